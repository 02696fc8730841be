"""The locks, against a second process that really holds them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astria_sync import lock, rootlocks
from astria_sync.errors import StateError, StateLocked
from astria_sync.lock import Holder, StateLock, holder
from astria_sync.rootlocks import RootLocks, meeting_places

OTHER = """
import sys
from pathlib import Path
from astria_sync.lock import StateLock
from astria_sync.rootlocks import RootLocks
state, home, *roots = map(Path, sys.argv[1:])
locks = [StateLock(state, command="astria-sync run"), RootLocks(roots, state=state, environ={}, home=home)]
for one in locks:
    one.acquire()
print("held", flush=True)
sys.stdin.read()
for one in locks:
    one.release()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a process that holds a state and roots until its standard input ends."""
    running: list[subprocess.Popen[str]] = []

    def start(state: Path, *roots: Path) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", OTHER, *map(str, (state, tmp_path, *roots))]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in running:
        process.communicate()
        assert process.returncode in {0, -signal.SIGKILL}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)


def test_a_held_state_names_its_holder(state: Path, other: Callable[..., subprocess.Popen[str]]) -> None:
    """Who comes second learns in one sentence who was first, since when, and what to do."""
    process = other(state)
    with pytest.raises(StateLocked) as told:
        StateLock(state).acquire()
    (sentence,) = told.value.problems
    for part in (str(state), f"process {process.pid}", "since 20", "astria-sync run", "stop that one"):
        assert part in sentence
    assert told.value.exit_code == 3
    seen = holder(state)
    assert seen is not None
    assert (seen.pid, seen.command, seen.state) == (process.pid, "astria-sync run", str(state))
    process.communicate()
    assert holder(state) is None
    StateLock(state).acquire()


def test_a_killed_daemon_holds_nothing(state: Path, other: Callable[..., subprocess.Popen[str]]) -> None:
    """What a kill -9 leaves on disk neither locks the state nor counts as a daemon."""
    process = other(state)
    process.kill()
    process.wait()
    assert Path(f"{state}.pid").exists()
    assert holder(state) is None
    second = StateLock(state)
    second.acquire()
    seen = holder(state)
    assert seen is not None
    assert seen.pid == os.getpid()
    second.release()


def test_what_a_killed_daemon_was_writing_goes(
    state: Path, other: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the record had its name: the hidden file is the next holder's to use, and none piles up."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            StateLock(state).acquire()
    assert any(file.name.endswith(".tmp") for file in state.parent.iterdir())
    other(state).communicate()
    assert [file.name for file in state.parent.iterdir()] == ["state.db.lock"]


def test_its_files_are_private_and_the_record_goes(state: Path) -> None:
    """Lock and record are for their owner's eyes; after the release the record is gone."""
    held = StateLock(state, command="astria-sync run", wall=lambda: 1234.5)
    held.acquire()
    for suffix in (".lock", ".pid"):
        assert Path(f"{state}{suffix}").stat().st_mode & 0o777 == 0o600
    record = json.loads(Path(f"{state}.pid").read_text())
    assert (record["pid"], record["since"], record["command"]) == (os.getpid(), 1234.5, "astria-sync run")
    held.release()
    held.release()
    assert [file.name for file in state.parent.iterdir()] == ["state.db.lock"]


def test_a_reader_does_not_keep_a_daemon_out(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` asks the lock itself, for an instant; a daemon that starts just then tries again."""
    monkeypatch.setattr(lock, "_PATIENCE", 5.0)
    Path(f"{state}.lock").touch(0o600)
    flock = lock.fcntl.flock
    tries: list[int] = []

    def while_somebody_asks(descriptor: int, how: int) -> None:
        tries.append(how)
        if len(tries) == 1:
            raise BlockingIOError(11, "held for an instant")
        flock(descriptor, how)

    monkeypatch.setattr(lock.fcntl, "flock", while_somebody_asks)
    held = StateLock(state)
    held.acquire()
    assert len(tries) >= 2
    held.release()


def test_nobody_holds_a_state_that_never_was(state: Path) -> None:
    """Asking makes no files."""
    assert holder(state) is None
    assert list(state.parent.iterdir()) == []


def test_a_link_to_the_state_is_the_same_state(state: Path) -> None:
    """Two names of one state are one lock."""
    state.touch()
    link = state.with_name("link.db")
    link.symlink_to(state)
    held = StateLock(state)
    held.acquire()
    with pytest.raises(StateLocked):
        StateLock(link).acquire()
    assert holder(link) == holder(state)
    held.release()


@pytest.mark.parametrize("content", [b"", b"not json", b'{"pid": "x"}', b"[]"])
def test_a_spoiled_record_is_an_unknown_holder(state: Path, content: bytes) -> None:
    """The lock alone says that somebody is there; a record that cannot be read only leaves out who."""
    held = StateLock(state)
    held.acquire()
    Path(f"{state}.pid").write_bytes(content)
    assert holder(state) == Holder()
    with pytest.raises(StateLocked, match="in use by another astria-sync; stop"):
        StateLock(state).acquire()
    held.release()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A state where no lock can be made is told with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"cannot be locked .* local disk"):
        StateLock(tmp_path / "file" / "state.db").acquire()


def test_a_root_is_watched_by_one(
    tmp_path: Path, state: Path, other: Callable[..., subprocess.Popen[str]]
) -> None:
    """A second daemon with another state is told who watches the root, and nothing of it stays locked."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "link").symlink_to("inbox")
    process = other(state, tmp_path / "inbox")

    def locks(*names: str) -> RootLocks:
        roots = [tmp_path / name for name in names]
        return RootLocks(roots, state=tmp_path / "mine.db", environ={}, home=tmp_path)

    for name in ("inbox", "link"):
        with pytest.raises(StateLocked) as told:
            locks("free", name).acquire()
        (sentence,) = told.value.problems
        assert f"process {process.pid}" in sentence
        assert f"with the state {state}" in sentence
        assert sentence.startswith(f"{tmp_path}/inbox is watched already")
    free = locks("free")
    free.acquire()
    free.release()
    process.communicate()
    taken = locks("link")
    taken.acquire()
    taken.release()


@pytest.mark.parametrize("name", ["inbox/jane", "."])
def test_roots_that_overlap_are_one_too_many(
    tmp_path: Path, state: Path, other: Callable[..., subprocess.Popen[str]], name: str
) -> None:
    """A root around or inside another daemon's would pay for the same files."""
    other(state, tmp_path / "inbox")
    mine = RootLocks([tmp_path / name], state=tmp_path / "mine.db", environ={}, home=tmp_path)
    with pytest.raises(StateLocked, match=r"\(it overlaps .*/inbox\)"):
        mine.acquire()
    beside = RootLocks([tmp_path / "inbox2"], state=tmp_path / "mine.db", environ={}, home=tmp_path)
    beside.acquire()
    beside.release()


def test_a_dead_daemons_root_is_free(
    tmp_path: Path, state: Path, other: Callable[..., subprocess.Popen[str]]
) -> None:
    """What a killed daemon left in the runtime folder keeps nobody out."""
    process = other(state, tmp_path / "inbox")
    process.kill()
    process.wait()
    for name in ("inbox", "inbox/jane"):
        mine = RootLocks([tmp_path / name], state=tmp_path / "mine.db", environ={}, home=tmp_path)
        mine.acquire()
        mine.release()


def test_a_root_that_is_no_utf8(tmp_path: Path, state: Path) -> None:
    """A name that JSON cannot hold is locked like any other."""
    root = os.fsdecode(os.fsencode(tmp_path) + b"/b\xff")
    for _ in range(2):
        mine = RootLocks(
            [root], state=state, environ={"XDG_RUNTIME_DIR": str(tmp_path / "run")}, home=tmp_path
        )
        mine.acquire()
        assert len(list((tmp_path / "run" / "astria-sync").glob("*.pid"))) == 1
        mine.release()


HOME = "/home/jane/.local/state/astria-sync/roots"


@pytest.mark.parametrize(
    ("environ", "folders"),
    [
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, ["/run/user/7/astria-sync", HOME]),
        ({"XDG_RUNTIME_DIR": "relative"}, [HOME]),
        ({}, [HOME]),
    ],
)
def test_meeting_places(environ: dict[str, str], folders: list[str]) -> None:
    """Where a user's daemons meet, with and without a session."""
    assert [str(place) for place in meeting_places(environ, Path("/home/jane"))] == folders


def roots(home: Path, *names: Path, **environ: str) -> RootLocks:
    return RootLocks(names, state=home / "mine.db", environ=environ, home=home)


def test_a_daemon_of_cron_and_one_of_a_session_meet(
    tmp_path: Path, other: Callable[..., subprocess.Popen[str]], state: Path
) -> None:
    """One has a runtime folder, the other none: they share a home."""
    other(state, tmp_path / "inbox")
    with pytest.raises(StateLocked):
        roots(tmp_path, tmp_path / "inbox", XDG_RUNTIME_DIR=str(tmp_path / "run")).acquire()


def test_one_meeting_place_is_enough(tmp_path: Path) -> None:
    """A home that cannot be written leaves the runtime folder; without either nobody could tell, and that is said."""
    (tmp_path / "file").touch()
    runtime = str(tmp_path / "run")
    first = roots(tmp_path / "file", tmp_path / "inbox", XDG_RUNTIME_DIR=runtime)
    first.acquire()
    with pytest.raises(StateLocked):
        roots(tmp_path, tmp_path / "inbox", XDG_RUNTIME_DIR=runtime).acquire()
    first.release()
    with pytest.raises(StateError, match="watched twice"):
        roots(tmp_path / "file", tmp_path / "inbox").acquire()


def test_a_home_that_two_machines_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of one name on two machines are two."""
    first = roots(tmp_path, tmp_path / "inbox")
    first.acquire()
    monkeypatch.setattr(rootlocks, "_machine", lambda: "another")
    second = roots(tmp_path, tmp_path / "inbox", tmp_path / "inbox" / "jane")
    second.acquire()
    second.release()
    first.release()


def test_a_root_under_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same directory mounted at two places is one root, also if the one lies deeper in it."""
    (tmp_path / "inbox/jane").mkdir(parents=True)
    (tmp_path / "mnt").symlink_to("inbox")
    monkeypatch.setattr(lock.os.path, "realpath", lambda path: str(path))  # a mount is no link
    first = roots(tmp_path, tmp_path / "inbox")
    first.acquire()
    for name in ("mnt", "mnt/jane"):
        with pytest.raises(StateLocked, match="it overlaps"):
            roots(tmp_path, tmp_path / name).acquire()
    first.release()
