"""A copy of the state a day, made by SQLite itself while the daemon goes on; the last seven are kept."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

EVERY: Final = 86_400.0  # seconds
KEPT: Final = 7


def folder_of(state: Path) -> Path:
    """Where the copies of this state lie."""
    return state.with_name(state.name + ".backups")


def back_up(state: Path, day: str) -> Path:
    """Copy the state to `DAY.db` beside it and remove what is too old; raises OSError or sqlite3.Error.

    Reads through a connection of its own, which neither writes nor checkpoints, so it cannot get in the engine's way.
    """
    folder = folder_of(state)
    folder.mkdir(mode=0o700, exist_ok=True)
    final, part = folder / f"{day}.db", folder / f".{day}.part"
    with suppress(FileNotFoundError):
        part.unlink()
    os.close(os.open(part, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with (
        closing(sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(part)) as copy,
    ):
        source.backup(copy, pages=1000)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, that can be copied back as it is
    part.replace(final)
    for old in sorted(folder.glob("????-??-??.db"))[:-KEPT]:
        old.unlink()
    return final
