"""The state, for those that only read it: with or without a daemon, with nothing imported that can write."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from astria_sync.errors import StateDamaged, StateError
from astria_sync.trouble import damaged, is_damage

LATEST: Final = "m016_every_step"  # the last migration of schema.py, which is not light to import


@contextmanager
def reading(state: Path) -> Iterator[sqlite3.Connection | None]:
    """The state, read-only, as of one moment; None if there is none yet. Raises StateError."""
    with _explained(state):
        if not state.exists() or not state.stat().st_size:
            yield None
            return
        with closing(_up_to_date(_connect(state), state)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("BEGIN")
            yield connection


@contextmanager
def _explained(state: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            raise StateDamaged(damaged(state, error)) from error
        raise StateError(f"The state {state} cannot be read ({error}); see: astria-sync doctor") from error


class Window:
    """A state that is looked at again and again: one connection, for as long as it shows what lies there."""

    def __init__(self, state: Path) -> None:
        """Nothing is opened yet."""
        self._state = state
        self._connection: sqlite3.Connection | None = None
        self._lies: object = ()  # how the file looked when it was opened
        self._version: object = None

    def changed(self) -> bool:
        """Whether there is something else to be seen than at the last call; raises StateError.

        It costs a system call or two and one question that SQLite answers without reading the file.
        """
        with _explained(self._state):
            lies = stamp(self._state)
            if lies != self._lies:
                self.close()
                self._connection = self._open() if lies else None
                self._lies = lies
                self._version = self._seen()
                return True
            version = self._seen()
            changed, self._version = version != self._version, version
            return changed

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """What `changed` spoke of, as of one moment; None if there is no state."""
        with _explained(self._state):
            if self._connection is None:
                yield None
                return
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Leave it alone; `changed` opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._lies = None, ()

    def _open(self) -> sqlite3.Connection:
        connection = _connect(self._state)
        try:
            connection = _up_to_date(connection, self._state)
        except BaseException:
            connection.close()
            raise
        connection.row_factory = sqlite3.Row
        return connection

    def _seen(self) -> object:
        if self._connection is None:
            return None
        if not self._connection.execute("PRAGMA database_list").fetchone()["file"]:  # a copy in memory
            if (beside := stamp(Path(f"{self._state}-wal"))) != self._version:
                self._lies = ()
            return beside
        return self._connection.execute("PRAGMA data_version").fetchone()[0]


def stamp(path: Path) -> object:
    """What tells a file from another, and from what it was; None if there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns) if info.st_size else None


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
