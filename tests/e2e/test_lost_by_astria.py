"""A prompt that Astria loses before its pictures are here has failed, and is told like any failure."""

import pytest

from astria_sync import report
from astria_sync.service import Service


@pytest.fixture
def lost(make_studio):
    """p.prompt was sent, and deleted at Astria while it generated."""
    studio = make_studio(generate_seconds=0.15)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
        studio.outside(f"/prompts/{studio.created().id}", {}, method="DELETE")
        assert daemon.run(10)
    assert studio.states() == {"p.prompt": "deleted"}
    return studio


def said(studio):
    """Exit code of `run --once`, and whether `status` counts a failure."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        code = Service._exit_code(daemon.engine, once=True)
    told = report.snapshot(studio.state, now=0.0, daemon={"running": False})
    return code, told["failed"]


def test_it_is_told_beside_the_file(lost):
    """With its reason, by exit 1 and in `status`; not any more when the file is gone."""
    assert "Astria does not have it any more" in (lost.error("p.prompt") or "")
    assert said(lost) == (1, True)
    (lost.inbox / "p.prompt").rename(lost.home / "p.prompt")
    lost.write("an empty root/would be/unmounted.prompt", "<nobody> words")
    assert said(lost) == (0, False)


@pytest.mark.parametrize("command", ["retry", "rerun"])
def test_it_is_made_anew(lost, command):
    """As its error file says; then it is history."""
    assert lost.command(command, lost.inbox / "p.prompt")["count"] == 1
    lost.run_once()
    assert lost.made() == (0, 2)
    assert lost.error("p.prompt") is None
    assert said(lost) == (0, False)
    assert lost.command("retry", lost.inbox / "p.prompt")["count"] == 0


def test_an_edit_replaces_it(lost):
    """What the file asks for now is another order."""
    lost.prompt("p.prompt", "other words")
    lost.run_once()
    assert lost.error("p.prompt") is None
    assert said(lost) == (0, False)


def test_what_was_done_once_is_no_failure(studio):
    """A picture to be fetched again that Astria has deleted long since: the prompt had been done."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    with studio.daemon() as daemon:
        (row,) = daemon.journal.prompts()
        daemon.journal.change("prompts", row.id, state="deleted")
    assert said(studio) == (0, False)
    assert studio.error("p.prompt") is None
