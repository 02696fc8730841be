"""What watchdog tells, over the real inotify: every wait is for a hint, with a deadline."""

import ctypes
import errno
import logging
import os
import queue
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from watchdog.events import FileCreatedEvent
from watchdog.observers import inotify_c
from watchdog.observers.inotify import InotifyEmitter

from astria_sync import kernel
from astria_sync.core.model import Hint
from astria_sync.watch import Watched, Watcher

DEADLINE = 5.0


class Ear:
    """Hears the hints of one root."""

    def __init__(self, root: Path, *, path: str = "", output: str = "", poll: bool = False) -> None:
        self.root = root
        self.path = path or str(root)
        self.queue: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self.watcher = Watcher(
            [Watched(path=self.path, output=output or f"{root}-output", poll=poll)],
            self.queue.put,
            now=time.monotonic,
        )
        self.watcher.start()

    def hint(self, path: str | None, *, recursive: bool = True) -> Hint:
        return Hint(root=self.path, path=path, recursive=recursive)

    def heard(self, *wanted: Hint) -> list[Hint]:
        """All hints up to the moment when every wanted one has come."""
        found: list[Hint] = []
        until = time.monotonic() + DEADLINE
        while not set(wanted) <= set(found):
            try:
                found.append(self.queue.get(timeout=max(0.0, until - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"wanted {wanted}, heard {found}")
        return found

    def until_marked(self) -> list[Hint]:
        """All hints before that of a folder made just now: events come in order."""
        (self.root / "marker").mkdir()
        mark = self.hint("marker")
        return [hint for hint in self.heard(mark) if hint != mark]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("astria_sync.inotify._GATHER", 0.01)


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /proc of the test's own."""
    monkeypatch.setattr(kernel, "_PROC", tmp_path / "proc")
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path / "proc"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "inbox"
    (root / "jane").mkdir(parents=True)
    return root


@pytest.fixture
def listen(root: Path) -> Iterator[Callable[..., Ear]]:
    ears: list[Ear] = []

    def start(**options: object) -> Ear:
        ears.append(Ear(root, **options))  # type: ignore[arg-type]
        return ears[-1]

    yield start
    for ear in ears:
        ear.watcher.stop()
    assert [
        t for t in threading.enumerate() if type(t).__module__.startswith(("watchdog", "astria_sync"))
    ] == []


def test_a_plain_write_hints_at_its_folder(root: Path, listen: Callable[..., Ear]) -> None:
    """A file that is written tells of its folder alone, a file in the root of "."."""
    ear = listen()
    (root / "jane" / "front.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))
    (root / "a.prompt").write_text("x")
    assert set(ear.heard(ear.hint(".", recursive=False))) <= {
        ear.hint("jane", recursive=False),
        ear.hint(".", recursive=False),
    }


def test_an_edit_in_place_hints(root: Path, listen: Callable[..., Ear]) -> None:
    """Closing a file after writing tells of it although no name appears."""
    (root / "jane" / "a.prompt").write_text("old")
    ear = listen()
    (root / "jane" / "a.prompt").write_text("new")
    ear.heard(ear.hint("jane", recursive=False))


def test_a_rename_into_place_hints_once(root: Path, listen: Callable[..., Ear]) -> None:
    """Editors that write a temporary file and rename it cause one hint, for the folder."""
    ear = listen()
    temporary = root / "jane" / ".a.prompt.Xy12"
    temporary.write_text("x")
    temporary.rename(root / "jane" / "a.prompt")
    assert ear.until_marked() == [ear.hint("jane", recursive=False)]


def test_saving_by_renaming_the_old_file_away(root: Path, listen: Callable[..., Ear]) -> None:
    """The way of vim: the old file becomes a backup, a new one takes its name."""
    file = root / "jane" / "a.prompt"
    file.write_text("old")
    ear = listen()
    file.rename(root / "jane" / "a.prompt~")
    file.write_text("new")
    ear.heard(ear.hint("jane", recursive=False))


def test_links_and_attributes_hint(root: Path, listen: Callable[..., Ear], tmp_path: Path) -> None:
    """A hard link has no writing to end, and a file may become readable without any."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    ear = listen()
    os.link(tmp_path / "a.jpg", root / "jane" / "a.jpg")
    assert ear.heard(ear.hint("jane", recursive=False))
    ear.until_marked()
    (root / "jane" / "a.jpg").chmod(0o640)
    ear.heard(ear.hint("jane", recursive=False))


def test_a_file_moved_in_and_out(root: Path, listen: Callable[..., Ear], tmp_path: Path) -> None:
    """A move over the border of the root is seen from the inside."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    ear = listen()
    (tmp_path / "a.jpg").rename(root / "jane" / "a.jpg")
    ear.heard(ear.hint("jane", recursive=False))
    (root / "jane" / "a.jpg").rename(tmp_path / "a.jpg")
    ear.heard(ear.hint("jane", recursive=False))


def test_a_file_moved_within_hints_at_both_folders(root: Path, listen: Callable[..., Ear]) -> None:
    """Both ends of a move are looked at."""
    (root / "jane" / "a.prompt").write_text("x")
    ear = listen()
    (root / "jane" / "a.prompt").rename(root / "b.prompt")
    assert ear.until_marked() == [ear.hint("jane", recursive=False), ear.hint(".", recursive=False)]


def test_a_directory_moved_in_is_looked_at_whole(
    root: Path, listen: Callable[..., Ear], tmp_path: Path
) -> None:
    """What comes with a directory is covered by its hint, and what happens in it later is seen."""
    (tmp_path / "mary" / "sub").mkdir(parents=True)
    (tmp_path / "mary" / "sub" / "a.jpg").write_bytes(b"x")
    ear = listen()
    (tmp_path / "mary").rename(root / "mary")
    assert ear.until_marked() == [ear.hint("mary")]
    (root / "mary" / "sub" / "b.jpg").write_bytes(b"x")
    ear.heard(ear.hint("mary/sub", recursive=False))


def test_a_directory_moved_within_and_out(root: Path, listen: Callable[..., Ear], tmp_path: Path) -> None:
    """Both ends of a directory's move are looked at with all below; moved out, the one end there is."""
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear = listen()
    (root / "jane").rename(root / "mary")
    assert ear.until_marked() == [ear.hint("jane"), ear.hint("mary")]
    (root / "mary" / "b.jpg").write_bytes(b"x")
    ear.heard(ear.hint("mary", recursive=False))
    (root / "mary").rename(tmp_path / "mary")
    ear.heard(ear.hint("mary"))


def test_a_directory_deleted_and_made_again(root: Path, listen: Callable[..., Ear]) -> None:
    """The new directory of the same name is watched like the old."""
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear = listen()
    shutil.rmtree(root / "jane")
    ear.heard(ear.hint("jane"))
    (root / "jane").mkdir()
    ear.heard(ear.hint("jane"))
    (root / "jane" / "b.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))


def test_a_tree_made_at_once(root: Path, listen: Callable[..., Ear]) -> None:
    """Files written before the watch of their new folder could be set are covered by a hint."""
    ear = listen()
    (root / "a" / "b" / "c").mkdir(parents=True)
    (root / "a" / "b" / "c" / "x.jpg").write_bytes(b"x")
    assert all(hint.path and hint.path.startswith("a") for hint in ear.until_marked())


def test_a_root_deleted_and_made_again(root: Path, listen: Callable[..., Ear]) -> None:
    """A root that went and came back is found by the check, looked at whole, and watched again."""
    ear = listen()
    assert ear.watcher.check() == ()
    shutil.rmtree(root)
    ear.heard(ear.hint("."))
    assert ear.watcher.check() == (ear.hint(None),)
    assert "not there" in ear.watcher.problems()[ear.path]
    assert ear.watcher.check() == ()
    root.mkdir()
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.problems() == {}
    (root / "a.prompt").write_text("x")
    ear.heard(ear.hint(".", recursive=False))


def test_a_root_replaced_between_two_checks(root: Path, listen: Callable[..., Ear]) -> None:
    """Deleted and made again before anybody looked: the new directory is another one."""
    ear = listen()
    root.rename(root.with_name("old"))
    root.mkdir()
    assert ear.watcher.check() == (ear.hint(None),)
    (root / "a.prompt").write_text("x")
    ear.heard(ear.hint(".", recursive=False))


def test_a_renamed_root_is_silent(root: Path, listen: Callable[..., Ear]) -> None:
    """A root that was renamed is missing, and what happens in it under its new name is no event of ours."""
    ear = listen()
    root.rename(root.with_name("elsewhere"))
    assert ear.watcher.check() == (ear.hint(None),)
    assert "not there" in ear.watcher.problems()[ear.path]
    (root.with_name("elsewhere") / "a.prompt").write_text("x")
    root.with_name("elsewhere").rename(root)
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.until_marked() == []


def test_a_root_that_comes_later(tmp_path: Path) -> None:
    """A root that is missing at the start is a problem, not an end."""
    posted: queue.SimpleQueue[Hint] = queue.SimpleQueue()
    path = str(tmp_path / "later")
    watcher = Watcher([Watched(path=path, output=path + "-output")], posted.put, now=time.monotonic)
    watcher.start()
    assert list(watcher.problems()) == [path]
    (tmp_path / "later").mkdir()
    assert watcher.check() == (Hint(root=path, path=None),)
    (tmp_path / "later" / "a.prompt").write_text("x")
    assert posted.get(timeout=DEADLINE) == Hint(root=path, path=".", recursive=False)
    watcher.stop()
    assert watcher.check() == ()


def test_what_is_left_alone_makes_no_hint(root: Path, listen: Callable[..., Ear]) -> None:
    """Hidden things, temporary names, our error files and the output inside the root wake nobody; nor does reading."""
    for folder in ("out/jane", ".git/objects"):
        (root / folder).mkdir(parents=True)
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear = listen(output=str(root / "out"))
    (root / "out" / "jane" / "1.png").write_bytes(b"x")
    (root / "out" / "deeper").mkdir()
    (root / ".git" / "objects" / "x").write_bytes(b"x")
    (root / ".hidden").mkdir()
    (root / "jane" / "a.jpg.crdownload").write_bytes(b"x")
    (root / "jane" / "tune.error.txt").write_text("x")
    (root / "jane" / "a.prompt.error.txt").write_text("x")
    (root / "jane" / "a.prompt.error.txt").unlink()
    (root / "jane" / "a.jpg").read_bytes()
    assert os.listdir(root / "jane")
    assert ear.until_marked() == []
    (root / "output").mkdir()
    ear.heard(ear.hint("output"))


def test_the_output_of_another_root_is_left_alone(tmp_path: Path) -> None:
    """One root's pictures may go into another root, and wake nobody there either."""
    posted: queue.SimpleQueue[Hint] = queue.SimpleQueue()
    one, other = tmp_path / "one", tmp_path / "other"
    (other / "out").mkdir(parents=True)
    one.mkdir()
    watcher = Watcher(
        [
            Watched(path=str(one), output=str(other / "out"), poll=True),
            Watched(path=str(other), output=str(tmp_path / "elsewhere")),
        ],
        posted.put,
        now=time.monotonic,
    )
    watcher.start()
    (other / "out" / "1.png").write_bytes(b"x")
    (other / "a.prompt").write_text("x")
    assert posted.get(timeout=DEADLINE) == Hint(root=str(other), path=".", recursive=False)
    watcher.stop()


@pytest.mark.parametrize("suffix", ["", "/"])
def test_a_root_that_is_a_link(root: Path, listen: Callable[..., Ear], tmp_path: Path, suffix: str) -> None:
    """Events of a root given as a link, or with a slash, are told under the name that the configuration gave it."""
    link = tmp_path / "link"
    link.symlink_to(root)
    ear = listen(path=f"{link}{suffix}", output=f"{link}/out")
    (root / "out").mkdir()
    (root / "a.prompt").write_text("x")
    assert set(ear.until_marked()) == {ear.hint(".", recursive=False)}
    (tmp_path / "other").mkdir()
    link.unlink()
    link.symlink_to(tmp_path / "other")
    assert ear.watcher.check() == (ear.hint(None),)


def test_names_that_are_no_utf8(root: Path, listen: Callable[..., Ear]) -> None:
    """A name that cannot be said is told as the nearest folder that can."""
    bad = os.fsencode(root / "jane") + b"/b\xff"
    ear = listen()
    os.mkdir(bad)
    ear.heard(ear.hint("jane", recursive=False))
    with open(bad + b"/a.jpg", "wb") as file:
        file.write(b"x")
    assert set(ear.until_marked()) <= {ear.hint("jane", recursive=False)}


def test_overflow_asks_for_a_full_look(
    root: Path, listen: Callable[..., Ear], caplog: pytest.LogCaptureFixture
) -> None:
    """When the kernel says that events were lost, everything is looked at, and the watches go on."""
    ear = listen()
    descriptor = next(t for t in threading.enumerate() if isinstance(t, inotify_c.InotifyFD))
    with caplog.at_level(logging.ERROR):
        descriptor.handle_event(
            inotify_c.InotifyEvent(
                inotify_c.WatchDescriptor(-1), inotify_c.InotifyConstants.IN_Q_OVERFLOW, 0, b""
            )
        )
    ear.heard(ear.hint(None))
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))
    # watchdog sets its watches anew and does not tell if it could not: the check does so once more.
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.check() == ()
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))


def test_a_queue_that_really_overflows(root: Path, listen: Callable[..., Ear]) -> None:
    """More happens than the kernel keeps for a reader that is held up: what was lost is asked for, and seen again later."""
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if most > 100_000:
        pytest.skip("the kernel's queue is too long to be filled here")
    ear = listen()
    descriptor = next(t for t in threading.enumerate() if isinstance(t, inotify_c.InotifyFD))
    scratch = root / "jane" / "x"
    with descriptor._lock:  # the reader waits for it
        for _ in range(most // 2):  # made, closed, deleted; some are read before
            scratch.touch()
            scratch.unlink()
        (root / "late").mkdir()
    ear.heard(ear.hint(None))
    assert ear.watcher.check() == (ear.hint(None),)
    (root / "late" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("late", recursive=False))


def test_an_unmounted_disk_is_watched_anew(root: Path, listen: Callable[..., Ear]) -> None:
    """A disk taken out and put back between two checks has the same inode, and none of the watches."""
    ear = listen()
    descriptor = next(t for t in threading.enumerate() if isinstance(t, inotify_c.InotifyFD))
    descriptor.handle_event(
        inotify_c.InotifyEvent(inotify_c.WatchDescriptor(-2), inotify_c.InotifyConstants.IN_UNMOUNT, 0, b"")
    )
    assert ear.watcher.check() == (ear.hint(None),)
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))


@pytest.mark.parametrize("part", [inotify_c.InotifyFD, InotifyEmitter, "observer"])
def test_a_dead_thread_is_replaced(root: Path, listen: Callable[..., Ear], part: object) -> None:
    """Whichever of watchdog's threads has ended: the check starts anew and asks for a full look."""
    ear = listen()
    for thread in threading.enumerate():
        name = type(thread).__name__
        if (isinstance(part, type) and isinstance(thread, part)) or (
            part == "observer" and name == "Observer"
        ):
            thread.stop()  # type: ignore[attr-defined]
            thread.join()
    assert ear.watcher.check() == (ear.hint(None),)
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))
    assert ear.watcher.check() == ()


def test_the_limit_of_watches_is_told(
    root: Path, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch, proc: Path
) -> None:
    """Folders left out for want of watches are a problem that names the limit; once it is raised, they are watched."""
    for name in ("a", "b", "c"):
        (root / name).mkdir()
    real, granted = inotify_c.inotify_add_watch, 2
    count = iter(range(1000))

    def limited(descriptor: int, path: bytes, mask: int) -> int:
        if next(count) < granted:
            return real(descriptor, path, mask)
        ctypes.set_errno(errno.ENOSPC)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_add_watch", limited)
    setting = proc / "sys/fs/inotify/max_user_watches"
    setting.parent.mkdir(parents=True)
    setting.write_text("2\n")
    ear = listen()
    clause = ear.watcher.problems()[ear.path]
    assert "fs.inotify.max_user_watches is 2" in clause
    assert "there are 5" in clause
    assert clause.endswith("sudo sysctl fs.inotify.max_user_watches=524288")
    assert ear.watcher.check() == ()
    granted = 1000
    setting.write_text("1000\n")
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.problems() == {}
    for name in ("a", "b", "c"):
        (root / name / "x.jpg").write_bytes(b"x")
        ear.heard(ear.hint(name, recursive=False))


def test_a_folder_that_may_not_be_read(
    root: Path, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permission denied to a folder leaves the rest watched; to the root, it is a problem."""
    for name in ("a", "b"):
        (root / name).mkdir()
    real = inotify_c.inotify_add_watch
    denied = [b"/a", b"/b"]

    def refusing(descriptor: int, path: bytes, mask: int) -> int:
        if not path.endswith(tuple(denied)):
            return real(descriptor, path, mask)
        ctypes.set_errno(errno.EACCES)
        return -1

    monkeypatch.setattr(inotify_c, "inotify_add_watch", refusing)
    ear = listen()
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))
    denied.append(b"/inbox")
    root.rename(root.with_name("old"))
    root.mkdir()
    assert ear.watcher.check() == (ear.hint(None),)
    assert "Permission denied" in ear.watcher.problems()[ear.path]
    assert ear.watcher.check() == ()


def test_no_inotify_at_all(root: Path, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of instances nothing is watched; it is said, and tried again."""

    def refuse() -> int:
        ctypes.set_errno(errno.EMFILE)
        return -1

    with monkeypatch.context() as patched:
        patched.setattr(inotify_c, "inotify_init", refuse)
        ear = listen()
        assert "fs.inotify.max_user_instances" in ear.watcher.problems()[ear.path]
        assert ear.watcher.check() == ()
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.problems() == {}


def test_a_polled_root_is_not_watched(root: Path, listen: Callable[..., Ear]) -> None:
    """`events = "poll"`: no inotify, every check asks for a look, and a share that hangs is not even asked for its inode."""
    ear = listen(poll=True)
    shutil.rmtree(root)
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.problems() == {}
    assert ear.watcher._observer is None


def mount(proc: Path, *lines: str) -> None:
    (proc / "self/mounts").write_text("".join(f"{line} rw 0 0\n" for line in ("dev / ext4", *lines)))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "virtiofs"])
def test_a_share_is_looked_at_instead(root: Path, listen: Callable[..., Ear], proc: Path, kind: str) -> None:
    """`events = "auto"` on a file system that others change without our kernel's knowing: as "poll"; on the disk below: events."""
    mount(proc, f"server:/x {root} {kind}")
    ear = listen()
    assert [ear.watcher.check(), ear.watcher.check()] == [(ear.hint(None),)] * 2
    assert ear.watcher.problems() == {}
    mount(proc)
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.check() == ()
    (root / "jane" / "a.jpg").write_bytes(b"x")
    ear.heard(ear.hint("jane", recursive=False))
    mount(proc, f"server:/x {root} {kind}")
    assert [ear.watcher.check(), ear.watcher.check()] == [(ear.hint(None),)] * 2
    assert ear.watcher._armed == {}


def test_a_link_to_a_share(root: Path, listen: Callable[..., Ear], proc: Path, tmp_path: Path) -> None:
    """What counts is where the link leads."""
    (tmp_path / "link").symlink_to(root)
    mount(proc, f"server:/x {root} nfs")
    ear = listen(path=str(tmp_path / "link"))
    assert [ear.watcher.check(), ear.watcher.check()] == [(ear.hint(None),)] * 2


def test_what_is_mounted_in_a_root_is_watched(root: Path, listen: Callable[..., Ear], proc: Path) -> None:
    """Something that is mounted inside, or goes from there, brings folders that have no watch, under an inode that stays."""
    mount(proc)
    ear = listen()
    mount(proc, f"disk {root}/jane ext4")
    assert ear.watcher.check() == (ear.hint(None),)
    assert ear.watcher.check() == ()
    mount(proc)
    assert ear.watcher.check() == (ear.hint(None),)


def test_without_inotify_all_roots_are_looked_at(
    root: Path, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system without inotify: nothing is watched, nothing is wrong, and every check asks for a look."""
    monkeypatch.setitem(sys.modules, "astria_sync.inotify", None)
    ear = listen()
    assert [ear.watcher.check(), ear.watcher.check()] == [(ear.hint(None),)] * 2
    assert ear.watcher.problems() == {}


def test_one_bad_root_of_several(root: Path, tmp_path: Path) -> None:
    """A root that is missing, one that is no folder and one on a share: the fourth is heard as if it were alone."""
    posted: queue.SimpleQueue[Hint] = queue.SimpleQueue()
    (tmp_path / "file").touch()
    names = {"missing": False, "file": False, "share": True, "inbox": False}
    watcher = Watcher(
        [Watched(path=f"{tmp_path}/{name}", output="/nowhere", poll=poll) for name, poll in names.items()],
        posted.put,
        now=time.monotonic,
    )
    watcher.start()
    assert set(watcher.problems()) == {f"{tmp_path}/missing", f"{tmp_path}/file"}
    assert watcher.check() == (Hint(root=f"{tmp_path}/share", path=None),)
    (root / "a.prompt").write_text("x")
    assert posted.get(timeout=DEADLINE) == Hint(root=str(root), path=".", recursive=False)
    watcher.stop()


def test_no_event_ends_a_thread(root: Path, listen: Callable[..., Ear]) -> None:
    """An event that makes no sense becomes a full look."""
    ear = listen()
    observer = ear.watcher._observer
    assert observer is not None
    (watch, _) = ear.watcher._armed[ear.path]
    observer.event_queue.put((FileCreatedEvent(object()), watch))  # type: ignore[arg-type]
    ear.heard(ear.hint(None))
    (root / "a.prompt").write_text("x")
    ear.heard(ear.hint(".", recursive=False))


def test_an_inbox_that_refuses_ends_no_thread(root: Path) -> None:
    """Where hints go there may be trouble; the next one is offered all the same."""
    offered: queue.SimpleQueue[Hint] = queue.SimpleQueue()

    def refuse(hint: Hint) -> None:
        offered.put(hint)
        raise MemoryError

    watcher = Watcher([Watched(path=str(root), output=f"{root}-output")], refuse, now=time.monotonic)
    watcher.start()
    for name in ("a", "b"):
        (root / name).mkdir()
        assert offered.get(timeout=DEADLINE).path == name
    assert watcher.check() == ()
    watcher.stop()


def test_a_hint_says_when_the_last_event_came(root: Path, listen: Callable[..., Ear]) -> None:
    """Not when it was told, a pause later: in that pause nothing happened, which is worth knowing."""
    ear = listen()
    began = time.monotonic()
    (root / "a.prompt").write_text("x")
    (hint,) = ear.heard(ear.hint(".", recursive=False))
    assert hint.heard is not None
    assert began <= hint.heard <= time.monotonic() - 0.01  # `hasty`


def test_many_files_are_few_hints(root: Path, listen: Callable[..., Ear]) -> None:
    """A thousand files in a folder are looked at a few times, not a thousand."""
    ear = listen()
    for number in range(1000):
        (root / "jane" / f"{number}.jpg").touch()
    assert len(ear.until_marked()) < 100


def test_many_folders_are_the_whole_root(
    root: Path, listen: Callable[..., Ear], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More hints at once than are worth telling one by one are one look at everything."""
    monkeypatch.setattr("astria_sync.inotify._MANY", 3)
    monkeypatch.setattr("astria_sync.inotify._GATHER", 0.2)
    ear = listen()
    (root / "a" / "b" / "c" / "d" / "e" / "f").mkdir(parents=True)
    ear.heard(ear.hint(None))
