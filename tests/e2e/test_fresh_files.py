"""Files that went away and came back, cannot be read or removed, or lie where others lay."""

import logging
import os
import resource
import shutil

import pytest

from astria_sync import moves, scan
from astria_sync.core.model import Hint
from astria_sync.core.retry import NoAnswer
from astria_sync.core.work import Upload


@pytest.mark.parametrize("what", ["prompt", "folder"])
def test_what_goes_away_and_comes_back_as_it_was_is_ordered_again(studio, what):
    """An edited prompt and a retrained folder, not sent yet: their orders went with the files and come back with them."""
    studio.prompt("z.prompt", "keeps the root from being empty")
    studio.prompt("proj/a.prompt", "one")
    studio.folder("proj/jane")
    studio.run_once()
    with studio.daemon() as daemon:
        assert daemon.run(10)
        if what == "prompt":
            studio.prompt("proj/a.prompt", "<nobody> two")
            daemon.look()
        else:
            daemon.command("pause")
            daemon.command("retrain", studio.inbox / "proj/jane")
        assert daemon.run(10)
        before = studio.states()
        (studio.inbox / "proj").rename(studio.home / "proj")
        daemon.look()
        assert daemon.run(10)
        assert studio.states() != before
        (studio.home / "proj").rename(studio.inbox / "proj")
        daemon.look()
        assert daemon.run(10)
        assert studio.states() == before
        daemon.command("resume")
        studio.folder("nobody")
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == ((2, 3) if what == "prompt" else (3, 2))


def test_a_hint_into_an_unmounted_root_deletes_nothing(studio):
    """The root's directory is another one, and empty: a look at one of its folders believes it as little as a look at all."""
    studio.prompt("jane/p.prompt", "<nobody> waits")
    aside = studio.home / "aside"
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.inbox.rename(aside)
        studio.inbox.mkdir()
        daemon.engine.inbox.put(Hint(root=str(studio.inbox), path="jane"))
        assert daemon.run(10)
        assert studio.states() == {"jane/p.prompt": "waiting"}
        assert "is it mounted" in studio.value(f"root:{studio.inbox}")
        studio.inbox.rmdir()
        aside.rename(studio.inbox)
        daemon.look()
        assert daemon.run(10)
    assert not studio.value(f"root:{studio.inbox}")


@pytest.mark.parametrize("whole", [True, False], ids=["a look at all", "a hint"])
def test_a_root_whose_last_folder_is_deleted_is_well(studio, whole):
    """The directory is the one that was full: it was emptied, and that is no trouble, now or later."""
    studio.prompt("jane/p.prompt", "<nobody> waits")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        shutil.rmtree(studio.inbox / "jane")
        daemon.look() if whole else daemon.engine.inbox.put(Hint(root=str(studio.inbox), path="jane"))
        assert daemon.run(10)
        assert studio.states() == {}
        daemon.look()
        assert daemon.run(10)
    assert not studio.value(f"root:{studio.inbox}")
    studio.run_once()
    assert not studio.value(f"root:{studio.inbox}")


def test_an_error_file_that_cannot_be_removed_ends_nothing(studio, caplog):
    """Its prompt was deleted from a disk that is read-only now: a warning, and the work goes on."""
    studio.prompt("z.prompt", "fine")
    bad = studio.prompt("d/a.prompt", "x", "nope: 1")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    with studio.daemon() as daemon:
        assert daemon.run(10)
        daemon.engine.ctx.remove_file = refuse
        bad.unlink()
        daemon.look()
        with caplog.at_level(logging.WARNING):
            assert daemon.run(10)
    assert "cannot be removed" in caplog.text
    assert studio.states() == {"z.prompt": "done"}


def test_a_paid_tune_is_not_forgotten_for_pictures_that_moved_in(studio):
    """A folder of addresses alone has its tune; another folder's pictures move into it: both tunes stay known."""
    studio.folder("j")
    studio.write("u/tune.toml", 'image_urls = ["https://example.com/a.jpg"]\n')
    studio.prompt("z.prompt", "keeps the root from being empty")
    studio.run_once()
    made = {studio.tune("j").remote_id, studio.tune("u").remote_id}
    (studio.inbox / "j/1.jpg").rename(studio.inbox / "u/1.jpg")
    (studio.inbox / "j").rmdir()
    studio.run_once()
    with studio.journal() as journal:
        assert {tune.remote_id for tune in journal.tunes()} == made
    assert studio.made()[0] == 2


@pytest.mark.parametrize(("column", "heard"), [("armed_at", True), ("bound_at", True), ("done_at", False)])
def test_what_astria_may_know_is_heard_of(studio, column, heard):
    """An intent or an id: either may have been paid."""
    studio.prompt("p.prompt", "<nobody>")
    studio.run_once()
    with studio.journal() as journal:
        (row,) = journal.prompts()
        journal.change("prompts", row.id, **{column: 1.0})
        assert moves.is_heard_of(journal, journal.source(row.source_id)) is heard


def test_an_input_that_cannot_be_read_is_said(studio, monkeypatch):
    """Not sent, and not tried for ever; once it can be read it goes by itself."""
    studio.write("pose.mp4", b"x")
    studio.prompt("p.prompt", "words", "input_video: pose.mp4")
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: not str(path).endswith("pose.mp4") and access(path, mode)
    )
    studio.run_once()
    assert "pose.mp4 cannot be read; make it readable" in studio.error("p.prompt")
    assert studio.posts() == []
    monkeypatch.undo()
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.error("p.prompt") is None


def test_more_pictures_than_files_may_be_open(studio):
    """A folder of hundreds of pictures is sent whole by a process that may have few files open."""
    studio.folder("dcim", pictures=120)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with studio.daemon() as daemon:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 60, hard))
        try:
            assert daemon.run(10)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    (post,) = studio.posts()
    assert len(post.files) == 120
    assert studio.states() == {"dcim": "ready"}


def test_a_file_that_is_another_by_the_time_it_is_sent(studio, monkeypatch):
    """It is opened late, so it is compared with what was tried: half a request is never taken for one that was not sent."""
    file = studio.write("a.mp4", b"first")
    with studio.daemon() as daemon:
        real = daemon.api._creates.build_request

        def build(*args, **how):
            request = real(*args, **how)
            file.with_suffix(".new").write_bytes(b"other")
            file.with_suffix(".new").rename(file)
            return request

        monkeypatch.setattr(daemon.api._creates, "build_request", build)
        result = daemon.api.send("POST", "/tunes", [], [Upload(field="f", path=str(file), name="a.mp4")])
    assert isinstance(result, NoAnswer)
    assert result.sent
    assert "changed while it was sent" in result.why
    assert studio.made() == (0, 0)


def test_all_folders_are_found_by_three_questions(studio, monkeypatch):
    """Three for a hundred folders at a time, and with the newest tune of each."""
    for name in ("a", "b", "c"):
        studio.folder(name)
    studio.run_once()
    with studio.daemon() as daemon:
        asked = []
        daemon.journal._conn.set_trace_callback(asked.append)
        found = {one.path: one.tune_id for one in daemon.engine.prompting.subjects.all()}
        daemon.journal._conn.set_trace_callback(None)
    assert len(asked) == 3
    assert found == {name: studio.tune(name).remote_id for name in ("a", "b", "c")}


@pytest.mark.parametrize("written", ["0x" + "f" * 4000, "0x" + "f" * 3500, "9" * 4000, "9" * 4300])
def test_an_integer_that_python_would_not_write(studio, written):
    """Whatever its length, it is a number that can be written or it is text."""
    studio.prompt("p.prompt", "words", f"extra: {{x: {written}}}")
    studio.run_once()
    assert studio.made() == (0, 1)


def test_an_empty_root_is_told_apart_from_one_that_is_missing(tmp_path):
    """A scan alone does not know whether anything was there: it says what it saw and leaves the judgement."""
    root = scan.Root(path=str(tmp_path), outputs=[str(tmp_path / "out")])
    (tmp_path / "out").mkdir()
    for scope in (".", "jane"):
        found = scan.look(root, scope)
        assert found.complete
        assert found.problem == scan.EMPTY.format(root=tmp_path)
    (tmp_path / "jane").mkdir()
    assert scan.look(root, "jane").problem == ""
    (tmp_path / "jane").rmdir()
    assert scan.look(root, "jane").problem == ""
