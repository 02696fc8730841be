"""One daemon at a time for one state: a lock that the system lets go when its process ends.

A lock says that somebody holds it; who, a small file beside it tells. That file may be a dead daemon's: only the lock counts.
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from errno import EACCES, EDQUOT, ENOSPC, ENOSYS, EROFS, EWOULDBLOCK
from pathlib import Path
from typing import Final

import msgspec

from astria_sync.errors import StateError, StateLocked

_PATIENCE: Final = 1.0  # seconds: `status` holds a lock for an instant while it asks
_POLL: Final = 0.02
_PASSING: Final = {ENOSPC, EDQUOT, EROFS}


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """The process that holds a lock; `pid` None for the moment in which it has not yet said who it is."""

    pid: int | None = None
    since: float = 0.0  # seconds since the epoch
    command: str = ""
    state: str = ""
    root: str = ""
    machine: str = ""

    @property
    def who(self) -> str:
        """For a sentence: "another astria-sync (process 12, since 2026-01-31 09:00:00)"."""
        if self.pid is None:
            return "another astria-sync"
        moment = datetime.fromtimestamp(self.since).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"another astria-sync (process {self.pid}, since {moment}{f', {self.command}' if self.command else ''})"


def beside(state: Path, suffix: str) -> Path:
    """The state's companion; one, by whichever links the state is reached."""
    real = Path(os.path.realpath(state))
    return real.with_name(real.name + suffix)


def holder(state: Path) -> Holder | None:
    """Who holds the state now; None if nobody does."""
    return held_by(beside(state, ".lock"), beside(state, ".pid"))


class Lock:
    """A lock file and the file that tells who holds it."""

    def __init__(self, lock: Path, record: Path) -> None:
        from filelock import FileLock  # here, since `status` asks who holds a lock and never takes one

        self.lock_file, self.record_file = lock, record
        self._lock = FileLock(lock, timeout=_PATIENCE, mode=0o600, thread_local=False, poll_interval=_POLL)
        self._taken: tuple[int, int] | None = None  # the lock file that is ours

    def acquire(self, record: Holder) -> bool:
        """Whether it is ours now; raises OSError if it cannot be tried."""
        from filelock import Timeout

        from astria_sync.disk import make_private_folder

        make_private_folder(self.lock_file.parent)
        try:
            self._lock.acquire()
        except Timeout:
            return False
        try:
            _publish(self.record_file, record)
        except BaseException:
            self._lock.release()
            raise
        self._taken = identity(self.lock_file)
        return True

    @property
    def in_place(self) -> bool:
        """Whether others who look for the lock find ours."""
        return self._lock.is_locked and identity(self.lock_file) == self._taken

    def release(self) -> None:
        if self._lock.is_locked:
            # Before the lock is given up: afterwards it might be the next holder's.
            if self.in_place:
                with suppress(OSError):
                    self.record_file.unlink()
            self._lock.release()

    def holder(self) -> Holder | None:
        return held_by(self.lock_file, self.record_file)


class StateLock:
    """Held by the one process that may write a state."""

    def __init__(
        self, path_of_state: Path, *, command: str = "", wall: Callable[[], float] = time.time
    ) -> None:
        """`command` is told to whoever asks who holds the state."""
        self._state = path_of_state
        self._command = command
        self._wall = wall
        self._lock = Lock(beside(path_of_state, ".lock"), beside(path_of_state, ".pid"))

    def acquire(self) -> None:
        """Take it, or raise StateLocked naming who has it."""
        record = Holder(
            pid=os.getpid(), since=self._wall(), command=self._command, state=sayable(self._state)
        )
        try:
            taken = self._lock.acquire(record)
        except (OSError, NotImplementedError) as error:
            if getattr(error, "errno", None) in _PASSING:
                raise  # its place is a good one, and will be again
            raise StateError(
                f"{self._lock.lock_file} cannot be locked ({error}); "
                "put `state` into a folder of your own on a local disk."
            ) from error
        if not taken:
            other = self._lock.holder() or Holder()
            raise StateLocked(
                f"{self._state} is in use by {other.who}; stop that one first, or give this one a `state` of its own."
            )

    @property
    def in_place(self) -> bool:
        """Whether others who look for the lock find ours; its file may have been removed."""
        return self._lock.in_place

    def renew(self) -> None:
        """Take it again after its file was removed, or raise StateLocked naming who has taken it since."""
        self._lock.release()
        self.acquire()

    def release(self) -> None:
        """Let the next one have it. Does nothing if it is not held."""
        self._lock.release()


def held_by(lock: Path, record: Path) -> Holder | None:
    """Who holds a lock, as its record tells; None if nobody does."""
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # Shared, so that readers do not see each other, and only tried: who holds it never notices.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        # Without flock on this file system, filelock goes by the file's being there.
        return _read(record) if error.errno in {EACCES, EWOULDBLOCK, ENOSYS} else None
    finally:
        os.close(descriptor)
    return None


def _read(record: Path) -> Holder:
    try:
        return msgspec.json.decode(record.read_bytes(), type=Holder)
    except (OSError, msgspec.DecodeError):
        return Holder()


def sayable(path: Path | str) -> str:
    """A path as JSON can hold it."""
    return os.fsencode(path).decode(errors="replace")


def _publish(path: Path, record: Holder) -> None:
    # One name for all: only the holder of the lock writes, and what a killed one left behind goes with it.
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            file.write(msgspec.json.encode(record))
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def identity(path: Path | str) -> tuple[int, int] | None:
    """Which file lies there now; None if none does."""
    try:
        info = os.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino
