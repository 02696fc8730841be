"""The state, for those that only read it: with or without a daemon, with nothing imported that can write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from astria_sync.errors import StateDamaged, StateError
from astria_sync.trouble import damaged, is_damage

LATEST: Final = "m010_money_and_crowds"  # the last migration of schema.py, which is not light to import


@contextmanager
def reading(state: Path) -> Iterator[sqlite3.Connection | None]:
    """The state, read-only, as of one moment; None if there is none yet. Raises StateError."""
    try:
        if not state.exists() or not state.stat().st_size:
            yield None
            return
        with closing(_up_to_date(_connect(state), state)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        if is_damage(error):
            raise StateDamaged(damaged(state, error)) from error
        raise StateError(f"The state {state} cannot be read ({error}); see: astria-sync doctor") from error


def _connect(state: Path) -> sqlite3.Connection:
    uri = state.absolute().as_uri()
    connection = sqlite3.connect(f"{uri}?mode=ro", uri=True, timeout=10, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.OperationalError:
        connection.close()
        if Path(f"{state}-wal").exists():
            raise
        # A folder that cannot be written has no place for the shared memory that WAL wants; nobody writes there either.
        return sqlite3.connect(f"{uri}?immutable=1", uri=True, isolation_level=None)
    return connection


def _up_to_date(connection: sqlite3.Connection, state: Path) -> sqlite3.Connection:
    """The same connection, or a copy in memory in today's schema of a state that no daemon of this version has opened yet."""
    tables = "SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'"
    applied = "SELECT 1 FROM _sqlite_migrations WHERE migration_set = 'astria_sync' AND name = ?"
    if connection.execute(tables).fetchone() is None or connection.execute(applied, [LATEST]).fetchone():
        return connection
    from astria_sync.statefile import adopt

    with closing(connection):
        memory = sqlite3.connect(":memory:", isolation_level=None)
        connection.backup(memory)
    adopt(memory, state)
    return memory
