"""Copies of the state, made by SQLite itself while the daemon goes on: one a day, of which seven are kept, and one before an update."""

import errno
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from astria_sync.disk import create_private_file, make_private_folder

KEPT: Final = 7


def folder_of(state: Path) -> Path:
    """Where the copies of this state lie."""
    return state.with_name(state.name + ".backups")


def copies(state: Path) -> list[Path]:
    """The daily copies that are there, the oldest first."""
    return sorted(folder_of(state).glob("????-??-??.db"))


def back_up(state: Path, day: str) -> Path:
    """Copy the state to `DAY.db` beside it and remove what is too old; raises OSError or sqlite3.Error.

    Whatever is wrong with the state, no good copy goes for it.
    """
    final = _copy(state, folder_of(state) / f"{day}.db")
    # A clock that was wrong for a while leaves copies from the future: they would outlive all that come after it is set right.
    others = sorted(set(copies(state)) - {final}, key=lambda copy: (copy.stem < day, copy.stem))
    for old in others[: 1 - KEPT]:
        old.unlink()
    return final


def before_update(state: Path, migration: str) -> Path:
    """The copy of a state as it is, or was, before `migration`: the way back to an older astria-sync."""
    return folder_of(state) / f"before-{migration}.db"


def keep_before_update(state: Path, migration: str) -> None:
    """Make that copy; raises OSError or sqlite3.Error."""
    _copy(state, before_update(state, migration))


def _copy(state: Path, final: Path) -> Path:
    """Through a connection of its own, which neither writes nor checkpoints, so that it cannot get in the engine's way."""
    make_private_folder(final.parent)
    part = final.with_name(f".{final.stem}.part")
    with suppress(FileNotFoundError):
        part.unlink()
    create_private_file(part)
    try:
        with (
            closing(sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy, pages=1000)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, that can be copied back as it is
            _check(copy, source, part)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    part.replace(final)
    return final


def _check(copy: sqlite3.Connection, source: sqlite3.Connection, part: Path) -> None:
    """A copy that is not whole is none; whose fault it is, is told."""
    said, at_home = (conn.execute("PRAGMA quick_check(1)").fetchone()[0] for conn in (copy, source))
    if at_home != "ok":
        raise sqlite3.DatabaseError(at_home)
    if said != "ok":
        raise OSError(errno.EIO, f"what was written to it reads otherwise ({said})", str(part))
