"""What is wrong with the state, in words for whoever mends it. Light: `status` says it too."""

import shlex
import sqlite3
from pathlib import Path
from typing import Final

_CORRUPT: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PASSING: Final = {
    sqlite3.SQLITE_FULL: "its disk is full; make room there",
    sqlite3.SQLITE_BUSY: "another program has it open for writing, perhaps a browser for databases; close it there",
    sqlite3.SQLITE_LOCKED: "another program has it open for writing, perhaps a browser for databases; close it there",
    sqlite3.SQLITE_READONLY: "it cannot be written; make the file, its folder and its disk writable",
    sqlite3.SQLITE_IOERR: "its disk fails, or is gone; look at the disk",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; make its folder and the file readable and writable",
    sqlite3.SQLITE_PERM: "it cannot be opened; make its folder and the file readable and writable",
}


class StateGoneError(sqlite3.OperationalError):
    """The state that is open is not the file at its place any more: nothing that it is told would be there tomorrow."""


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file itself is broken, or none of its own."""
    if isinstance(error, sqlite3.OperationalError) or not isinstance(error, sqlite3.DatabaseError):
        return False
    return type(error) is sqlite3.DatabaseError or _code(error) in _CORRUPT


def is_passing(error: Exception) -> bool:
    """Whether it may be over in a while: a full disk, a lock, a disk that is away."""
    return isinstance(error, StateGoneError) or (
        isinstance(error, sqlite3.OperationalError) and _code(error) in _PASSING
    )


def concerns_the_state(error: Exception) -> bool:
    """Whether the state itself cannot be written or read; other errors of SQLite are defects like any."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


def _code(error: BaseException) -> int:
    """SQLite's primary result code, 0 where Python's binding raised the error by itself."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def explained(state: Path | str, error: sqlite3.Error) -> str:
    """Why the state cannot be used for now, and what to do; goes on where a semicolon stands."""
    if isinstance(error, StateGoneError):
        return str(error)
    return (
        f"The state {state} cannot be used ({error}): {_PASSING.get(_code(error), 'see: astria-sync doctor')}"
    )


def damaged(state: Path, error: object) -> str:
    """The state is broken: how to put a copy back, or what to do without one."""
    from astria_sync.backup import copies, folder_of  # here, since `status` has no other use for it

    told = f"The state {state} is damaged ({error})"
    without = "move it away, and astria-sync finds again what it had ordered."
    newest = next(iter(reversed(copies(state))), None)
    if newest is None:
        return f"{told}; {without}"
    count = len(copies(state))
    there = "there is one copy" if count == 1 else f"there are {count} copies in {folder_of(state)}"
    return (
        f"{told}; put back the copy of {newest.stem} ({there}): {restoring(state, newest)} "
        f"- what was ordered since is found again at Astria. Or {without}"
    )


def restoring(state: Path, copy: Path) -> str:
    """The command that puts a copy in place; what belongs to the broken file must not be applied to it."""
    place = shlex.quote(str(state))
    return f"rm -f {place}-wal {place}-shm && cp {shlex.quote(str(copy))} {place}"
