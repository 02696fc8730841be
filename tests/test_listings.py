"""Looks at a root that was looked at before: they read fewer directories, and see the same."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.model import Look
from astria_sync.scan import Root, look

HEAD = 32  # bytes of what is kept that say of which directory it is, and when that was last changed


class Inbox:
    """A root on a disk that dates its directories, looked at so late that nothing in it is new."""

    def __init__(self, top: Path, *ignore: str) -> None:
        self.top, self.passed = top, 0.0
        self.begin(*ignore)

    def begin(self, *ignore: str) -> None:
        """Nobody has looked at it yet."""
        self.ignore = ignore
        self.root = self.fresh()
        self.root.listings.wall = lambda: time.time() + 3600
        self.root.listings.steady = lambda: self.passed
        self.root.listings.dated = lambda _: True

    def fresh(self) -> Root:
        """The same root without anything remembered."""
        return Root(path=str(self.top), outputs=(f"{self.top}/jane/out",), ignore=self.ignore)

    def put(self, *paths: str) -> None:
        for path in paths:
            file = self.top / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(ascii(path))

    def look(self) -> Look:
        """A look that must be what one by somebody who knows nothing is."""
        told = look(self.root)
        other = self.fresh()
        other.full[:] = self.root.full
        fresh = look(other)
        assert (told, told.touched) == (fresh, fresh.touched)
        at_rest = {folder.path: folder.digest for folder in told.folders}
        assert look(self.root, at_rest=at_rest) == look(other, at_rest=at_rest)
        return told

    def tick(self) -> None:
        """Until the disk's clock has gone on: what is changed within one tick is no test."""
        probe = self.top.parent / "probe"
        probe.touch()
        before = probe.stat().st_ctime_ns
        while probe.stat().st_ctime_ns == before:
            os.utime(probe)


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    (tmp_path / "inbox").mkdir()
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def reads(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Looks, and tells which directories were read for it."""
    read: list[str] = []
    scandir = os.scandir

    def noted(descriptor: int):  # type: ignore[no-untyped-def]
        read.append(os.path.relpath(os.readlink(f"/proc/self/fd/{descriptor}"), inbox.top))
        return scandir(descriptor)

    def reads() -> list[str]:
        read.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, "scandir", noted)
            look(inbox.root)
        return sorted(read)

    return reads


def test_what_has_not_changed_is_not_read(inbox, reads):
    """A directory is read at the first look, and again when a name in it comes, goes or is another file's; no other is then."""
    inbox.put("jane/a.jpg", "jane/deep/b.prompt", "top.jpg")
    assert reads() == [".", "jane", "jane/deep"]
    assert reads() == []
    inbox.tick()
    inbox.put("jane/b.jpg")
    assert reads() == ["jane"]
    assert reads() == []
    inbox.tick()
    inbox.put("new.jpg")
    os.replace(inbox.top / "new.jpg", inbox.top / "jane/deep/b.prompt")
    assert reads() == [".", "jane/deep"]
    inbox.tick()
    shutil.rmtree(inbox.top / "jane/deep")
    assert reads() == ["jane"]
    inbox.look()


def test_a_file_that_is_written_in_place(inbox, reads):
    """It does not change its directory, and is seen."""
    inbox.put("jane/a.jpg")
    before = inbox.look()
    inbox.put("jane/a.jpg")
    os.utime(inbox.top / "jane/a.jpg", (0, 0))
    assert inbox.look() != before
    assert reads() == []


def test_a_time_that_was_set_back(inbox):
    """Whoever gives a directory its old time of modification again changes the other one."""
    inbox.put("jane/a.jpg")
    inbox.look()
    before = (inbox.top / "jane").stat()
    inbox.tick()
    inbox.put("jane/b.jpg")
    os.utime(inbox.top / "jane", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [folder.pictures for folder in inbox.look().folders] == [0, 2]


@pytest.mark.parametrize(("later", "believed"), [(-9.0, False), (0.0, False), (1.9, False), (2.1, True)])
def test_what_changed_just_now_may_change_once_more(inbox, reads, later, believed):
    """A second change in the same tick leaves the time as it is; so does one after a clock that was set back."""
    inbox.put("jane/a.jpg")
    (jane, top) = (os.stat(inbox.top / "jane").st_ctime, os.stat(inbox.top).st_ctime)
    inbox.root.listings.wall = lambda: max(jane, top) + later
    assert reads() == [".", "jane"]
    assert reads() == ([] if believed else [".", "jane"])
    if believed:
        inbox.root.listings.wall = lambda: jane - 60
        assert reads() == [".", "jane"]


def test_a_disk_that_may_not_date(inbox, reads):
    """Where a file system is not known to date its directories all are read each time; it is asked for once in a look."""
    asked: list[str] = []
    inbox.root.listings.dated = lambda path: bool(asked.append(path))
    inbox.put("jane/a.jpg")
    assert reads() == [".", "jane"]
    assert reads() == [".", "jane"]
    assert asked == [str(inbox.top)] * 2


def test_once_an_hour_nothing_is_believed(inbox, reads):
    """A disk that dates wrongly hides nothing for longer."""
    inbox.put("jane/a.jpg")
    assert reads() == [".", "jane"]
    inbox.passed = 3599.0
    assert reads() == []
    inbox.passed = 3600.0
    assert reads() == [".", "jane"]
    inbox.passed = 7199.0
    assert reads() == []


@pytest.mark.parametrize("name", [".b.jpg.Ab3xYz", "b.jpg.part", "b\udcff.jpg", "link.jpg", "link"])
def test_a_directory_with_more_than_files(inbox, reads, name):
    """Links lead anywhere, what is on its way is looked at too, and bad names are told each time: these are read."""
    inbox.put("jane/a.jpg", "poses/p.jpg")
    if name.startswith("link"):
        (inbox.top / "jane" / name).symlink_to("../poses" + "/p.jpg" * name.endswith(".jpg"))
    else:
        inbox.put(f"jane/{name}")
    assert "jane" in reads()
    assert reads() == ["jane"]
    inbox.look()


def test_what_is_none_of_ours_does_not_matter(inbox, reads):
    """Hidden names, bins, other files and what the watch's patterns leave alone are decided by their names."""
    inbox.begin("drafts/", "*.png")
    inbox.put(
        "a.jpg",
        ".hid/x.jpg",
        "b.jpg.xmp",
        "c.png",
        "drafts/d.jpg",
        "lost+found/e",
        "jane/f.jpg",
        "jane/out/g.jpg",
    )
    os.mkfifo(inbox.top / "pipe.jpg")
    assert reads() == [".", "jane"]
    assert reads() == []
    inbox.look()


def test_a_directory_without_anything_is_read(inbox, reads):
    """An encrypted one that is locked shows nothing of ours, and has not changed when it is unlocked."""
    inbox.put("jane/a.jpg", "locked/Zm9vYmFy")
    (inbox.top / "empty").mkdir()
    assert reads() == [".", "empty", "jane", "locked"]
    assert reads() == ["empty", "locked"]


def _gone(top: Path) -> None:
    (top / "jane/a.jpg").unlink()


def _a_folder(top: Path) -> None:
    (top / "jane/a.jpg").unlink()
    (top / "jane/a.jpg").mkdir()


def _a_link(top: Path) -> None:
    (top / "jane/a.jpg").unlink()
    (top / "jane/a.jpg").symlink_to("b.jpg")


def _a_file(top: Path) -> None:
    shutil.rmtree(top / "jane/deep")
    (top / "jane/deep").touch()


def _no_folder(top: Path) -> None:
    shutil.rmtree(top / "jane/deep")


@pytest.mark.parametrize("change", [_gone, _a_folder, _a_link, _a_file, _no_folder])
def test_a_name_that_is_not_what_it_was(inbox, reads, change):
    """If the disk did not date a change, the first name that is gone or another thing tells, and the directory is read."""
    inbox.put("jane/a.jpg", "jane/b.jpg", "jane/deep/c.jpg")
    inbox.look()
    old = inbox.root.listings.kept["jane"]
    change(inbox.top)
    info = os.stat(inbox.top / "jane")
    times = b"".join(
        one.to_bytes(8, "little") for one in (info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
    )
    inbox.root.listings.kept["jane"] = times + old[HEAD:]
    inbox.look()


def test_a_look_at_a_part_reads(inbox, reads):
    """It was asked for since something changed there; and it forgets nothing of the rest."""
    inbox.put("jane/a.jpg")
    inbox.look()
    kept = dict(inbox.root.listings.kept)
    inbox.root.listings.kept["jane"] = b"untrue"
    assert look(inbox.root, "jane", recursive=False).folders[0].pictures == 1
    assert look(inbox.root, "jane").folders[0].pictures == 1
    assert inbox.root.listings.kept == kept | {"jane": b"untrue"}


def test_what_is_gone_is_forgotten(inbox):
    """What is kept is of the directories that there are."""
    inbox.put("jane/a.jpg", "deep/down/b.jpg")
    inbox.look()
    assert set(inbox.root.listings.kept) == {".", "jane", "deep", "deep/down"}
    inbox.tick()
    shutil.rmtree(inbox.top / "deep")
    inbox.look()
    assert set(inbox.root.listings.kept) == {".", "jane"}


NAMES = st.sampled_from(
    [
        "a.jpg",
        "b.PNG",
        "c.prompt",
        "a.txt",
        "tune.toml",
        "urls.txt",
        "ü.jpg",
        ".h.jpg",
        "d.jpg.part",
        "e.md",
        "b\udcff.jpg",
    ]
)
FOLDERS = st.sampled_from([".", "jane", "jane/deep", "jane/out", "drafts", "_each", ".hid", "é"])
PLACES = st.tuples(FOLDERS, NAMES).map("/".join) | FOLDERS


def _write(here: Path, there: Path) -> None:
    if here.is_fifo():  # opening one waits for somebody at its other end
        return
    here.parent.mkdir(parents=True, exist_ok=True)
    with here.open("a") as file:
        file.write("more")


def _rmtree(here: Path, there: Path) -> None:
    if here.is_dir():  # what is none is opened too, a pipe for ever
        shutil.rmtree(here)


def _replace(here: Path, there: Path) -> None:
    part = here.with_name(".part")
    part.write_text("anew")
    os.replace(part, here)


def _same_time(here: Path, there: Path) -> None:
    """A change, and then the time of modification from before it."""
    before = here.parent.stat().st_mtime_ns
    _write(here, there) if not here.exists() else here.unlink()
    os.utime(here.parent, ns=(before, before))


DOINGS: dict[str, Callable[[Path, Path], object]] = {
    "write": _write,
    "replace": _replace,
    "same time": _same_time,
    "delete": lambda here, _: here.unlink(),
    "rename": lambda here, there: here.rename(there),
    "mkdir": lambda here, _: here.mkdir(parents=True),
    "rmdir": lambda here, _: here.rmdir(),
    "rmtree": _rmtree,
    "link": lambda here, there: here.symlink_to(there),
    "hard link": lambda here, there: os.link(there, here),
    "pipe": lambda here, _: os.mkfifo(here),
    "old": lambda here, _: os.utime(here, (1, 1)),
    "chmod": lambda here, _: here.chmod(0o700),
    "pass": lambda *_: None,
}
STEPS = st.lists(
    st.lists(st.tuples(st.sampled_from(sorted(DOINGS)), PLACES, PLACES), min_size=1, max_size=4),
    min_size=1,
    max_size=8,
)


@settings(print_blob=True, deadline=None, max_examples=80)
@given(st.sets(PLACES, max_size=14), STEPS, st.booleans())
def test_whatever_is_done_both_see_the_same(first, steps, ignore):
    """Files and folders come, go, move, change in place and get old times: each look is that of one who reads everything."""
    with tempfile.TemporaryDirectory() as place:
        top = Path(place, "inbox")
        top.mkdir()
        inbox = Inbox(top, *(["drafts", "*.md"] if ignore else []))
        for path in sorted(first):
            with suppress(OSError):
                _write(top / path, top)
        inbox.look()
        for step in steps:
            inbox.tick()
            for what, here, there in step:
                if here != ".":  # the root itself stays
                    with suppress(OSError):
                        DOINGS[what](top / here, top / there)
            inbox.look()
