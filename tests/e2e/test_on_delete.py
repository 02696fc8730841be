"""`on_delete = "delete"`: what is deleted here is deleted at Astria, after the grace, and never by mistake."""

import shutil
from contextlib import suppress

import pytest

from astria_sync import report
from astria_sync.core import work
from astria_sync.simulator import Fault
from tests.studio_harness import Crash

GRACE = 0.3


@pytest.fixture
def studio(make_studio):
    """A watch that deletes."""
    studio = make_studio()
    studio.watches[0]["on_delete"] = "delete"
    studio.tables["timing"]["delete_grace_seconds"] = GRACE
    return studio


def deletes(studio):
    return [entry.path for entry in studio.sim.ledger.requests("DELETE")]


def after(studio, holds, **how):
    """A daemon that goes on until this holds."""
    with studio.daemon(**how) as daemon:
        daemon.look()
        daemon.until(holds)
        assert daemon.run(10)


def quiet(studio, seconds=3 * GRACE):
    """A daemon that goes on for so long, come what may."""
    with studio.daemon() as daemon:
        daemon.look()
        daemon.loop.run(deadline=daemon.clock.now() + seconds)


def pending(studio):
    return [row for row in studio.prompts() if row.delete_at and row.delete_at > 0 and row.state != "deleted"]


def test_a_prompt_file_that_goes_takes_its_prompt_with_it(studio):
    """After the grace the prompt is deleted at Astria, of its own tune; the pictures stay here."""
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    row = studio.only("q.prompt")
    path.unlink()
    after(studio, lambda: studio.only("q.prompt").state == "deleted")
    assert deletes(studio) == [f"/tunes/{row.target}/prompts/{row.remote_id}"]
    assert studio.check_pictures() == 2
    quiet(studio)
    assert len(deletes(studio)) == 1


def test_a_folder_that_goes_takes_its_tune_and_its_prompts(studio):
    """Prompts first, then the tune."""
    studio.folder("jane")
    studio.folder("stays")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    tune = studio.tune("jane")
    shutil.rmtree(studio.inbox / "jane")
    after(studio, lambda: studio.tune("jane").state == "deleted")
    assert deletes(studio)[-1] == f"/tunes/{tune.remote_id}"
    assert len(deletes(studio)) == 2
    assert studio.tune("stays").state == "ready"


def test_nothing_is_deleted_by_default(make_studio):
    """`keep` is what a configuration says that says nothing."""
    studio = make_studio()
    studio.tables["timing"]["delete_grace_seconds"] = GRACE
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    path.unlink()
    quiet(studio)
    assert deletes(studio) == []


def test_put_back_in_time_it_is_kept(studio):
    """While it is pending `status` says until when; a file that is back undoes it."""
    studio.tables["timing"]["delete_grace_seconds"] = 3600
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    data = path.read_bytes()
    path.unlink()
    after(studio, lambda: pending(studio))
    told = report.snapshot(studio.state, now=0.0, daemon={"running": True, "pid": 1, "since": None})
    (item,) = [item for item in told["items"] if item["path"] == "q.prompt"]
    assert "its file is gone; Astria's copy is deleted at" in item["reason"]
    path.write_bytes(data)
    studio.tables["timing"]["delete_grace_seconds"] = GRACE
    after(studio, lambda: not pending(studio))
    quiet(studio)
    assert deletes(studio) == []
    assert studio.made() == (0, 2)


def test_a_move_is_no_deletion(studio):
    """A folder that is moved while the daemon is down, and one that is renamed under it."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    (studio.inbox / "jane").rename(studio.inbox / "sue")
    quiet(studio)
    assert deletes(studio) == []


@pytest.mark.parametrize("how", ["removed", "emptied", "unmounted"])
def test_a_root_that_is_gone_or_empty_deletes_nothing(studio, how):
    """Not even one that is emptied before the daemon's eyes; when something is there again, what is gone goes."""
    studio.folder("jane")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    with studio.daemon() as daemon:
        daemon.look()
        assert daemon.run(10)
        if how == "emptied":
            shutil.rmtree(studio.inbox / "jane")
            (studio.inbox / "p.prompt").unlink()
        else:
            studio.inbox.rename(studio.home / "away")
            if how == "unmounted":
                studio.inbox.mkdir()
        daemon.look()
        daemon.loop.run(deadline=daemon.clock.now() + 3 * GRACE)
    quiet(studio)
    assert deletes(studio) == []
    if how == "emptied":
        assert "nothing is deleted at Astria" in studio.value(f"deleting:{studio.inbox}")
        studio.prompt("new.prompt", "words of today")
        after(studio, lambda: studio.tune("jane").state == "deleted")
        assert studio.value(f"deleting:{studio.inbox}") is None


def test_a_tune_that_tune_toml_names_is_not_ours_to_delete(studio):
    """`id = N` may be anybody's."""
    made = studio.outside(
        "/tunes",
        {"tune[title]": "theirs", "tune[name]": "woman", "tune[image_urls][]": "https://a.example/1.jpg"},
    )
    studio.prompt("p.prompt", "words")
    studio.write("jane/tune.toml", f"id = {made['id']}\n")
    studio.run_once()
    shutil.rmtree(studio.inbox / "jane")
    quiet(studio)
    assert deletes(studio) == []


def test_what_is_not_finished_is_fetched_first(make_studio):
    """A prompt whose file goes while Astria makes it is paid for: its pictures are saved, then it is deleted."""
    studio = make_studio(generate_seconds=0.8)
    studio.watches[0]["on_delete"] = "delete"
    studio.tables["timing"]["delete_grace_seconds"] = 0.05
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    with studio.daemon() as daemon:
        daemon.until(lambda: [row.state for row in studio.prompts()].count("generating") == 2)
        path.unlink()
        daemon.look()
        daemon.until(lambda: studio.only("q.prompt").state == "deleted")
    assert studio.only("q.prompt").done_at is not None
    studio.run_once()
    assert studio.check_pictures() == 2


@pytest.mark.parametrize("status", [404, 503, 504])
def test_an_answer_that_is_lost_is_asked_for_again(studio, status):
    """Deleting is repeated until Astria says that it is done, or that there is nothing."""
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    studio.sim.faults.add(Fault(kind="status", status=status, when="after", method="DELETE"))
    path.unlink()
    after(studio, lambda: studio.only("q.prompt").state == "deleted")
    assert len(deletes(studio)) == (1 if status == 404 else 2)


def test_a_refusal_is_said_once(studio):
    """In Astria's words, as an alarm; it is not asked for again."""
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    studio.sim.faults.add(
        Fault(
            kind="status",
            status=422,
            body='{"error": "It is liked"}',
            method="DELETE",
            when="before",
            times=9,
        )
    )
    path.unlink()
    after(studio, lambda: studio.value("alarms"))
    assert "It is liked" in studio.value("alarms")[0]
    quiet(studio)
    assert len(deletes(studio)) == 1


@pytest.mark.parametrize("sent", [False, True])
def test_killed_while_it_deletes(studio, sent):
    """It is deleted once, and known to be."""
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    path.unlink()
    dies = {"crash_when": lambda piece: isinstance(piece, work.Delete), "sent": sent}
    with suppress(Crash), studio.daemon(**dies) as daemon:
        daemon.look()
        daemon.until(lambda: False)
    after(studio, lambda: studio.only("q.prompt").state == "deleted")
    assert studio.made() == (0, 2)


def test_the_local_packs_prompts_go_with_their_folder(studio):
    """What was made for a folder goes with it; the file stays for the others."""
    for name in ("red", "blue"):
        studio.folder(name)
    studio.prompt("_each/shot.prompt", "<1> on a hanger")
    studio.run_once()
    shutil.rmtree(studio.inbox / "red")
    after(studio, lambda: studio.tune("red").state == "deleted")
    states = {row.folder: str(row.state) for row in studio.prompts("_each/shot.prompt")}
    assert states == {"red/shot": "deleted", "blue/shot": "done"}


def test_back_to_keep_before_the_grace_is_over(studio):
    """Who takes `on_delete` out keeps what was pending."""
    studio.tables["timing"]["delete_grace_seconds"] = 3600
    studio.prompt("p.prompt", "words")
    path = studio.prompt("q.prompt", "more words")
    studio.run_once()
    path.unlink()
    after(studio, lambda: pending(studio))
    del studio.watches[0]["on_delete"]
    after(studio, lambda: not pending(studio))
    assert deletes(studio) == []
