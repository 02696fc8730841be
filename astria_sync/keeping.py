"""The state in the hands of the one process that may write it: taken with its lock, and put back when somebody takes it away."""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from astria_sync.clock import Clock
from astria_sync.control import ControlServer
from astria_sync.errors import StateError, StateUnusable
from astria_sync.journal import Journal, open_journal
from astria_sync.lock import StateLock, identity
from astria_sync.statefile import create_folder
from astria_sync.trouble import StateGoneError

log = logging.getLogger("astria_sync")

_PAUSE: Final = 2.0  # seconds between attempts to open a state that cannot be used for now
_PASSING: Final = {
    errno.ENOSPC: "its disk is full; make room there",
    errno.EDQUOT: "your quota of its disk is used up; make room there",
    errno.EROFS: "its disk is read-only; make it writable again",
}


class Keeper:
    """An open state, its lock and, for a daemon, its control socket."""

    def __init__(self, state: Path, lock: StateLock, journal: Journal) -> None:
        """Lock held, journal open."""
        self.state, self.journal = state, journal
        self._lock = lock
        self._post: Callable[[Any], None] | None = None
        self._server: ControlServer | None = None

    def listen(self, post: Callable[[Any], None]) -> None:
        """Take commands."""
        self._post = post
        self._server = ControlServer(self.state, post)
        self._server.start()

    def close(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.stop()

    def check(self) -> None:
        """Raise StateGoneError if what shows others that the state is taken is not there any more."""
        if not self._lock.in_place or not self._listens:
            raise StateGoneError(f"What belongs to the state {self.state} was removed from beside it.")

    def mend(self) -> str:
        """Put back whatever is gone; a sentence on what was done. Raises StateLocked if another daemon has the place."""
        create_folder(self.state.parent)
        if not self._lock.in_place:
            self._lock.renew()
        told = f"What belongs beside the state {self.state} was removed and is put back."
        if not self.journal.in_place:
            aside = self.journal.put_back()
            kept = f"; what lay there in its place is kept as {aside}" if aside else ""
            told = (
                f"The state {self.state} was taken away under the running astria-sync, and put back with all it knew "
                f"on {time.strftime('%Y-%m-%d %H:%M:%S')}{kept}."
            )
        if self._server and self._post and not self._listens:
            self._server.stop()
            self.listen(self._post)
        return told

    @property
    def _listens(self) -> bool:
        """Whether who asks for the daemon finds this one, if it is to be found."""
        return self._server is None or identity(self._server.path) == self._server.file


@contextmanager
def sole_owner(
    state: Path,
    clock: Clock,
    command: str,
    *,
    patient: bool = False,
    waiting: Callable[[str], None] = lambda _: None,
) -> Iterator[Keeper]:
    """The state, opened for writing; raises StateLocked if another process has it.

    `patient`: what may pass (a full disk, another program's lock) is said, and waited for; `waiting` hears of each attempt.
    """
    with ExitStack() as stack:
        lock = StateLock(state, command=command)
        journal = _opened(state, lock, clock, patient=patient, waiting=waiting)
        stack.callback(lock.release)
        keeper = Keeper(state, lock, journal)
        stack.callback(journal.close)
        stack.callback(keeper.close)
        yield keeper


def _opened(
    state: Path, lock: StateLock, clock: Clock, *, patient: bool, waiting: Callable[[str], None]
) -> Journal:
    told = ""
    while True:
        try:
            return _open(state, lock, clock)
        except StateUnusable as error:
            if not patient:
                raise
            if str(error) != told:
                log.error("%s It is tried again until it can.", error)  # noqa: TRY400 - for a person, who has no use for a traceback
                told = str(error)
        waiting(told)
        time.sleep(_PAUSE)


def _open(state: Path, lock: StateLock, clock: Clock) -> Journal:
    try:
        create_folder(state.parent)
        lock.acquire()
        return open_journal(state, now=clock.wall())
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError) and error.errno == errno.EROFS and not state.parent.exists():
            # Waiting would be in vain in a service: what is made outside of its sandbox by now is not seen within.
            raise StateError(
                f"The state's folder {state.parent} is not there, and cannot be made where nothing can be written; "
                "make it yourself, then start astria-sync again."
            ) from error
        if isinstance(error, OSError) and (why := _PASSING.get(error.errno or 0)):
            raise StateUnusable(f"The state {state} cannot be used: {why}.") from error
        raise
