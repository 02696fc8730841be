"""The state and its folder are for their owner alone, whatever the umask."""

import os
import stat
from pathlib import Path

import pytest

from astria_sync.backup import back_up, folder_of
from astria_sync.control import ControlServer
from astria_sync.disk import make_private_folder
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock
from astria_sync.rootlocks import RootLocks


def modes(folder: Path) -> dict[str, int]:
    """What others may do to everything there."""
    found = {".": stat.S_IMODE(folder.stat().st_mode)}
    for path in folder.rglob("*"):
        found[str(path.relative_to(folder))] = stat.S_IMODE(path.lstat().st_mode)
    return found


@pytest.fixture
def umask():
    """Set the process's umask for the time of the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def test_a_daemons_files_while_it_runs(home, astria):
    """With a umask that takes nothing away: state, what SQLite and the locks put beside it, the socket, and the folders."""
    seen: dict[str, int] = {}

    def look(asked):
        if asked.path.endswith("/prompts") and not seen:
            seen.update(
                modes(home.state.parent), runtime=stat.S_IMODE((home.folder / "runtime").stat().st_mode)
            )

    astria.instead = look
    (home.inbox / "p.prompt").write_text("words")
    process = home.start(astria.url, "run", "--once", "--timeout", "20", umask=0)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0, told
    assert {"s.db", "s.db-wal", "s.db-shm", "s.db.lock", "s.db.pid", "s.db.sock"} <= set(seen)
    for name, mode in seen.items():
        assert mode == (0o700 if name in {".", "runtime"} else 0o600), name


@pytest.mark.parametrize("mask", [0, 0o777], ids=oct)
def test_what_is_made_beside_the_state(tmp_path, umask, mask):
    """Neither more for others nor less for the owner; folders above that had to be made are private too."""
    umask(mask)
    state = tmp_path / "a" / "b" / "s.db"
    open_journal(state, now=1).close()
    locks = [
        StateLock(state),
        RootLocks([tmp_path], state=state, environ={}, home=tmp_path / "home", command="x"),
    ]
    server = ControlServer(state, lambda _: None)
    try:
        for lock in locks:
            lock.acquire()
        server.start()
        copy = back_up(state, "2026-01-01")
        there = {**modes(tmp_path / "a"), **{f"home/{k}": v for k, v in modes(tmp_path / "home").items()}}
    finally:
        server.stop()
        for lock in locks:
            lock.release()
    assert copy.exists()
    assert len(there) >= 12
    folders = {".", "b", f"b/{folder_of(state).name}", "home/."} | {
        f"home/{path}"
        for path in (".local", ".local/state", ".local/state/astria-sync", ".local/state/astria-sync/roots")
    }
    for name, mode in there.items():
        assert mode == (0o700 if name in folders else 0o600), name


def test_a_state_that_others_could_read(tmp_path):
    """One that was made readable, or comes from elsewhere, is private again once it is opened; its folder is left alone."""
    state = tmp_path / "s.db"
    open_journal(state, now=1).close()
    state.chmod(0o644)
    tmp_path.chmod(0o755)
    open_journal(state, now=1).close()
    assert modes(tmp_path) == {".": 0o755, "s.db": 0o600}


def test_a_folder_that_is_there(tmp_path):
    """Somebody's own folder keeps its rights; two that make one at a time agree."""
    tmp_path.chmod(0o751)
    make_private_folder(tmp_path)
    make_private_folder(tmp_path / "x" / "y")
    make_private_folder(tmp_path / "x" / "y")
    assert modes(tmp_path) == {".": 0o751, "x": 0o700, "x/y": 0o700}
