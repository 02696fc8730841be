"""Folders whose pictures cannot be read, and folders that let go of a tune named by `id`."""

import errno
import os

import pytest

from astria_sync import tasks


@pytest.fixture
def broken(monkeypatch):
    """Paths that cannot be read, and how often somebody tried; what shows nothing in the rights, such as a bad block."""
    tried, paths = [], set()
    check = tasks.media.check_upload

    def read(path):
        if path.name in paths:
            tried.append(path)
            raise OSError(errno.EIO, "Input/output error", str(path))
        return check(path)

    monkeypatch.setattr(tasks.media, "check_upload", read)
    return paths, tried


@pytest.mark.parametrize("how", ["a change", "retry"])
def test_a_picture_that_cannot_be_read_is_said_and_left(studio, broken, how):
    """It is read once, not every few seconds for ever; a change or `retry` takes it up again."""
    paths, tried = broken
    paths.add("1.jpg")
    jane = studio.folder("jane")
    with studio.daemon() as daemon:
        assert daemon.run(2)
        assert len(tried) == 1
        assert "1.jpg cannot be read (Input/output error); make it readable" in studio.error("jane")
        paths.clear()
        if how == "retry":
            daemon.command("retry", jane)
        else:
            os.utime(jane / "1.jpg")
            daemon.look()
        assert daemon.run(10)
    assert studio.states() == {"jane": "ready"}
    assert studio.error("jane") is None


def test_what_could_not_be_read_is_not_taken_for_read(studio, broken):
    """Another tune.toml does not make an unreadable picture well: the folder is read again first."""
    paths, tried = broken
    studio.folder("jane", pictures=2)
    studio.prompt("z.prompt", "fine")
    studio.run_once()
    paths.add("1.jpg")
    os.utime(studio.inbox / "jane/1.jpg")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.write("jane/tune.toml", 'name = "woman"\n')
        daemon.look()
        assert daemon.run(10)
    assert len(tried) == 2
    assert "cannot be read" in studio.error("jane")


def test_a_slip_in_tune_toml_hides_no_new_picture(studio):
    """Pictures that changed along with a slip are read when the slip is mended."""
    jane = studio.folder("jane", pictures=1, toml='name = "woman"\n')
    studio.run_once()
    studio.picture("jane/2.jpg")
    studio.write("jane/tune.toml", "nme = 1\n")
    studio.run_once()
    studio.write("jane/tune.toml", 'name = "woman"\n')
    studio.run_once()
    assert studio.tune("jane").changed
    assert studio.command("retrain", jane)["count"] == 1


def test_an_id_taken_out_of_tune_toml_is_shown_and_can_be_retrained(studio):
    """The old tune is used on, it is said how to make one of the pictures, and that works."""
    other = studio.outside(
        "/tunes", {"tune[title]": "other", "tune[name]": "man", "tune[model_type]": "faceid"}
    )["id"]
    jane = studio.folder("jane", pictures=2, toml=f'name = "man"\nid = {other}\n')
    studio.run_once()
    assert studio.tune("jane").remote_id == other
    assert f"uses tune {other} by `id`" in studio.command("retrain", jane)["error"]
    studio.write("jane/tune.toml", 'name = "man"\n')
    studio.run_once()
    tune = studio.tune("jane")
    assert (tune.remote_id, tune.changed) == (other, True)
    assert f"tune {other}, whose `id` is not in tune.toml" in tune.reason
    studio.command("retrain", jane)
    studio.run_once()
    assert studio.tune("jane").remote_id != other
    assert studio.made()[0] == 2
    assert not studio.tune("jane").changed


def test_an_id_put_back_is_no_change(studio):
    """What was said is taken back."""
    other = studio.outside("/tunes", {"tune[title]": "o", "tune[name]": "man", "tune[model_type]": "faceid"})[
        "id"
    ]
    studio.folder("jane", toml=f'name = "man"\nid = {other}\n')
    studio.run_once()
    for toml, changed in (('name = "man"\n', True), (f'name = "man"\nid = {other}\n', False)):
        studio.write("jane/tune.toml", toml)
        studio.run_once()
        assert studio.tune("jane").changed is changed
    assert studio.tune("jane").reason == ""
