"""The state as a file: opened, watched whether it is still the one at its place, and put back when it is not.

SQLite goes on in a file that was deleted or replaced under it without a word; what is paid then would be forgotten at the end.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from astria_sync.backup import before_update, keep_before_update
from astria_sync.disk import create_private_file, make_private_folder
from astria_sync.errors import StateDamaged, StateTooNew, StateUnusable
from astria_sync.lock import identity
from astria_sync.schema import migrations
from astria_sync.trouble import StateGoneError, damaged, explained, is_damage, is_passing, restoring

log = logging.getLogger("astria_sync")

# Seconds that SQLite waits for another program's lock by itself; then it is said, and tried again. Signals wait as long.
_BUSY: Final = 1.0
# Statements that are kept prepared: the engine asks some 200 different ones, and Python's 128 would be read over and over.
_QUESTIONS: Final = 512
_BESIDE: Final = ("-wal", "-shm")
_Identity = tuple[int, int]
# What SQLite notes in its shared memory (sqlite.org/walformat.html): which WAL it is; how much of it was put, or begun to be put,
# into the file.
_CHECKPOINTS: Final = (slice(32, 40), slice(96, 100), slice(128, 132))
_LITESTREAM: Final = "SELECT 1 FROM sqlite_master WHERE name = '_litestream_seq'"
_MENDED: Final = (
    3,
    51,
    3,
)  # before it, two that write or checkpoint at once can damage a WAL (sqlite.org/wal.html)


def create_private(path: Path) -> None:
    """Make the state's folder 0700 and the file 0600 before SQLite would make them with the umask's rights."""
    create_folder(path.parent)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def open_database(path: Path | None) -> Database:
    """The state with its schema up to date; None for one in memory.

    Raises StateTooNew if a later version wrote it, StateDamaged if it is no database or fails SQLite's check, StateUnusable if
    that may pass.
    """
    if path is not None:
        create_private(path)
    name = ":memory:" if path is None else path
    conn = sqlite3.connect(name, isolation_level=None, timeout=_BUSY, cached_statements=_QUESTIONS)
    try:
        for one in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            conn.execute(f"PRAGMA {one}")
        check(conn)
        return adopt(conn, path, copied=True)
    except BaseException as error:
        conn.close()
        if path is not None and isinstance(error, sqlite3.Error):
            if is_damage(error):
                raise StateDamaged(damaged(path, error)) from error
            if is_passing(error):
                raise StateUnusable(explained(path, error)) from error
        raise


def check(conn: sqlite3.Connection) -> None:
    """A state that is damaged somewhere may have forgotten what was paid for: better not to begin with it."""
    if (said := conn.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise sqlite3.DatabaseError(said)


def adopt(conn: sqlite3.Connection, path: Path | None, *, copied: bool = False) -> Database:
    """Bring a connection's schema up to date; raises StateTooNew if it is ahead of this program.

    `copied`: keep a copy of what an older version wrote, for whoever wants to go back to that.
    """
    database = Database(conn)
    blank = Database(memory=True)  # nothing is applied there: what is pending are all of them
    known = {migration.name for migration in migrations.pending(blank)}
    blank.close()
    applied = {migration.name for migration in migrations.applied(database)}
    if ahead := sorted(applied - known):
        raise StateTooNew(_too_new(path or Path(":memory:"), ahead))
    pending = migrations.pending(database)
    if path is not None and copied and applied and pending:
        keep_before_update(path, pending[0].name)
    migrations.apply(database)
    return database


def _too_new(path: Path, ahead: Sequence[str]) -> str:
    told = f"The state {path} was written by a newer astria-sync ({ahead[-1]}); update astria-sync, or name another state"
    for copy in (before_update(path, name) for name in ahead):
        if copy.exists():
            return f"{told}, or put back what it was before that update: {restoring(path, copy)}"
    return f"{told}."


class Place:
    """Where an open state lies, and how it looked there when this process last wrote it."""

    def __init__(self, path: Path, conn: sqlite3.Connection) -> None:
        """`conn` has just opened what lies there."""
        self.path = path
        self._memory: int | None = None
        self._real = Path(os.path.realpath(path))
        self._own = {name: identity(name) for name in self._names()}
        self._put: _Identity | None = None
        self._stamp: tuple[int, int] | None = None
        self._version = 0
        self._shared = False  # another program has written to it by SQLite's rules
        # Open for as long as the connection is: to close it would drop this process's locks on that file.
        with suppress(OSError):
            self._memory = os.open(f"{self._real}-shm", os.O_RDONLY | os.O_CLOEXEC)
        self._checkpointed = b""
        self.overwritten = False
        self.written(conn)

    def _names(self) -> list[str]:
        return [str(self._real), *(f"{self._real}{suffix}" for suffix in _BESIDE)]

    @property
    def is_there(self) -> bool:
        """Whether the file at its place is the one that is open."""
        return identity(self.path) == self._own[str(self._real)]

    def check(self, conn: sqlite3.Connection) -> None:
        """Raise StateGoneError if it was removed or replaced, StateDamaged if somebody wrote over it. A system call or two."""
        try:
            info = os.stat(self.path)
        except OSError as error:
            raise StateGoneError(f"The state {self.path} is gone ({error.strerror}).") from error
        if (info.st_dev, info.st_ino) != self._own[str(self._real)]:
            raise StateGoneError(f"The state {self.path} was replaced by another file.")
        if (info.st_size, info.st_mtime_ns) != self._stamp:
            self._changed(conn)

    def _changed(self, conn: sqlite3.Connection) -> None:
        """The file was written by somebody else. By SQLite's rules that is a checkpoint, of another's commits or of ours."""
        if _version(conn) == self._version and self._checkpoints() == self._checkpointed:
            self.overwritten = True
            uri = f"{self._real.as_uri()}?mode=ro"
            try:
                with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY)) as fresh:
                    check(fresh)
            except sqlite3.Error as error:
                if not is_passing(error):
                    raise StateDamaged(damaged(self.path, error)) from error
            raise StateDamaged(
                f"The state {self.path} was overwritten while astria-sync had it open; it is left as it is now. "
                "Start astria-sync again to go on with it, and stop it first next time."
            )
        if not self._shared:
            self._shared = True
            self._tell_who(conn)
        self.written(conn)

    def _checkpoints(self) -> bytes:
        """Whatever changes with a checkpoint of anybody's; a file that is written over leaves it as it was."""
        if self._memory is None:
            return b""
        try:
            head = os.pread(self._memory, 136, 0)
        except OSError:
            return self._checkpointed  # nothing can be told: as if there had been none
        return b"".join(head[part] for part in _CHECKPOINTS)

    def _tell_who(self, conn: sqlite3.Connection) -> None:
        """Once: a replicator is wanted, and safe with an SQLite that is new enough."""
        if conn.execute(_LITESTREAM).fetchone() is None:
            told = "Another program writes to the state %s; stop astria-sync before you change it."
            log.warning(told, self.path)
        elif sqlite3.sqlite_version_info < _MENDED:
            told = "Litestream writes to the state %s, and SQLite %s may damage it when two programs do; see docs/scale.md."
            log.warning(told, self.path, sqlite3.sqlite_version)
        else:
            log.info("Litestream replicates the state %s.", self.path)

    def written(self, conn: sqlite3.Connection) -> None:
        """It was written by this process: only SQLite's checkpoints at a commit change the file itself."""
        # What was committed stays so, whatever becomes of this: the next check tells.
        with suppress(OSError, sqlite3.Error):
            info = os.stat(self.path)
            self._stamp = (info.st_size, info.st_mtime_ns)
            self._version = _version(conn)
            self._checkpointed = self._checkpoints()

    def put_back(self, conn: sqlite3.Connection) -> Path | None:
        """Write what the open state holds to its place; what lies there now is kept under another name, which is returned.

        Nothing may be open at that place. SQLite's own backup reads the deleted file through the open connection.
        """
        self._real = Path(os.path.realpath(self.path))
        create_folder(self._real.parent)
        part = self._real.with_name(f".{self._real.name}.part")
        part.unlink(missing_ok=True)
        create_private_file(part)
        with closing(sqlite3.connect(part, isolation_level=None)) as copy:
            conn.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            check(copy)
        _sync(part)
        aside = self._make_way()
        part.rename(self._real)
        self._put = identity(self._real)
        _sync(self._real.parent)
        return aside

    def _make_way(self) -> Path | None:
        """Ours beside it goes: applied to another file it would break that. What is not ours is somebody's."""
        aside = self._real.with_name(f"{self._real.name}.replaced-{time.strftime('%Y%m%d-%H%M%S')}")
        moved = None
        for suffix in ("", *_BESIDE):
            there = Path(f"{self._real}{suffix}")
            lies_there = identity(there)
            if lies_there is None:
                continue
            if lies_there == (self._own.get(str(there)) if suffix else self._put):
                there.unlink()
            else:
                there.rename(f"{aside}{suffix}")
                moved = aside
        return moved

    def close(self, database: Database) -> None:
        """Checkpoint and close; the state is then one file. Not if it was written over: that would break what lies there."""
        if not self.overwritten:
            # SQLite does it by itself only if nobody else has the state open, as `status --watch` has.
            with suppress(sqlite3.Error):
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            database.close()
            self.released()
            return
        away = self._real.with_name(f".{self._real.name}.kept")
        self._real.rename(away)  # SQLite checkpoints no file that has moved
        try:
            database.close()
        finally:
            away.rename(self._real)
            self.released()
        for name in self._names()[1:]:
            if identity(name) == self._own[name] is not None:
                os.unlink(name)

    def released(self) -> None:
        """The connection is closed: there are no locks left to be dropped."""
        if self._memory is not None:
            os.close(self._memory)
            self._memory = None


def create_folder(folder: Path) -> None:
    """The state's folder, for its owner alone."""
    make_private_folder(folder)


def _version(conn: sqlite3.Connection) -> int:
    """Changes when another connection commits."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
