"""Prompts that cannot be read, wait under another spelling of a name, lack a file, or come by the thousand."""

import errno
import os
import unicodedata

import pytest

from astria_sync import prompting
from astria_sync.core.model import Hint


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("where", ["open", "read"])
def test_a_prompt_that_cannot_be_read_is_said(studio, monkeypatch, where, number):
    """It fails with a reason and an error file, and goes when it can be read; chmod alone is a change."""
    path = studio.prompt("p.prompt", "words")
    real_open, real_fdopen = os.open, os.fdopen

    def refuse(file, *args, **how):
        if str(file).endswith("p.prompt"):
            raise OSError(number, os.strerror(number))
        return real_open(file, *args, **how)

    def refuse_later(descriptor, *args, **how):
        file = real_fdopen(descriptor, *args, **how)
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("p.prompt"):
            file.close()
            raise OSError(number, os.strerror(number))
        return file

    monkeypatch.setattr(
        os, "open" if where == "open" else "fdopen", refuse if where == "open" else refuse_later
    )
    with studio.daemon() as daemon:
        assert daemon.run(5)
        assert studio.states() == {"p.prompt": "failed"}
        assert f"cannot be read ({os.strerror(number)})" in studio.error("p.prompt")
        monkeypatch.undo()
        path.chmod(0o600)
        daemon.look()
        assert daemon.run(5)
    assert studio.states() == {"p.prompt": "done"}
    assert studio.error("p.prompt") is None


def test_a_folder_named_by_a_mac_wakes_its_prompts(studio):
    """A decomposed name on disk and a composed one in the text are one name."""
    nfd, nfc = (unicodedata.normalize(form, "josé") for form in ("NFD", "NFC"))
    studio.folder(nfd, toml='name = "man"\n')
    studio.prompt(f"{nfd}/x.prompt", "walking")
    studio.prompt("y.prompt", f"<{nfc}> runs")
    studio.run_once()
    assert set(studio.states().values()) == {"ready", "done"}


def test_a_wake_up_that_was_missed_is_made_up_for_at_the_next_look_at_all(studio, monkeypatch):
    """The belt: what waits for a folder that is ready is judged again."""
    studio.folder("jane")
    studio.prompt("y.prompt", "<jane> runs")
    with studio.daemon() as daemon:
        monkeypatch.setattr(
            daemon.engine.prompting, "folders_changed", lambda *_: daemon.engine.prompting.subjects.forget()
        )
        daemon.until(lambda: studio.states().get("jane") == "ready")
        assert studio.states()["y.prompt"] == "waiting"
        daemon.look()
        daemon.until(lambda: studio.states()["y.prompt"] == "done")


def test_a_missing_video_that_arrives_is_noticed_by_a_look_at_its_folder(studio):
    """No stamp tells of a video; those beside it are judged at once, before any elsewhere."""
    studio.prompt("a/p.prompt", "words", "input_video: walk.mp4")
    studio.prompt("b/p.prompt", "words", "input_video: walk.mp4")
    with studio.daemon() as daemon:
        assert daemon.run(5)
        assert set(studio.states().values()) == {"failed"}
        judged = []
        real = daemon.engine.prompting.evaluate
        daemon.engine.prompting.evaluate = lambda one: (judged.append(one.output and one.folder), real(one))[
            1
        ]
        studio.write("a/walk.mp4", b"x")
        daemon.engine.inbox.put(Hint(root=str(studio.inbox), path="a", recursive=False))
        daemon.until(lambda: studio.states()["a/p.prompt"] == "generating")
        assert studio.states()["b/p.prompt"] == "failed"
        assert judged[0].startswith("a")


def test_a_large_matrix_is_judged_a_part_at_a_time(studio, monkeypatch):
    """Other messages come in between; a crash half-way loses none, and all of it is held."""
    monkeypatch.setattr(prompting, "_AT_ONCE", 10)
    studio.tables["limits"]["hold_above"] = 20
    studio.run_once()  # what comes from now on is new, not perhaps in the account already
    studio.prompt("m.prompt", "a {n}", f"matrix: {{n: [{', '.join(f'x{n}' for n in range(45))}]}}")
    with studio.daemon() as daemon:
        daemon.until(lambda: len(studio.prompts()) == 45)
        count = {row.state for row in studio.prompts()}
        assert "settling" in count
    with studio.daemon() as daemon:
        assert daemon.run(5)
    assert [row.state for row in studio.prompts()] == ["held"] * 45
    assert studio.posts() == []


def test_very_many_folders_change_at_once(studio):
    """More names than SQLite takes values in one question."""
    studio.prompt("p.prompt", "<nobody>")
    with studio.daemon() as daemon:
        assert daemon.run(5)
        daemon.engine.prompting.folders_changed(*(f"f{n}" for n in range(40_000)))
        assert daemon.run(5)
    assert studio.states() == {"p.prompt": "waiting"}
