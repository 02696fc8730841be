"""The pool: threads that do work and report every ending, also an unexpected one, as an Outcome."""

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from astria_sync.core import work
from astria_sync.core.model import Outcome
from astria_sync.core.work import Lane

log = logging.getLogger(__name__)

_DISK_THREADS: Final = 2  # for each root and output
_PATIENCE: Final = 5.0  # seconds


class Pool(Protocol):
    """Where the engine hands its work; a test's pool may do it at once, or never."""

    def submit(self, piece: Any) -> None:
        """Do `piece` and post its Outcome."""

    def withdraw(self) -> Sequence[Any]:
        """Give back what was not begun and can wait until the next start."""

    def close(self, *, wait: bool) -> None:
        """Take nothing more; wait for what is under way if asked."""


class Workers:
    """A pool of threads, started when there is work for them.

    Not concurrent.futures: its threads hold up the end of the process until the last request has timed out. Ours are
    daemons; what they leave half-done is what a crash would leave, and the journal knows how to go on from there.
    """

    def __init__(
        self, perform: Callable[[Any], Any], post: Callable[[Outcome], None], *, threads: int
    ) -> None:
        """`perform` does one piece, `post` takes its outcome from any thread."""
        self._perform = perform
        self._post = post
        self._most = threads
        self._pieces: Any = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    def submit(self, piece: Any) -> None:
        """Do `piece` on a free thread. Called by the engine's thread alone."""
        self._pieces.put(piece)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name=f"work-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._run(piece)
            self._idle.release()

    def _run(self, piece: Any) -> None:
        try:
            outcome = Outcome(work=piece, result=self._perform(piece))
        except BaseException as error:
            log.debug("%s ended unexpectedly", type(piece).__name__, exc_info=True)
            outcome = Outcome(work=piece, failure=error)
        self._post(outcome)

    def close(self, *, wait: bool) -> None:
        """Let the threads end after what they are doing; wait for that if asked."""
        for _ in self._threads:
            self._pieces.put(None)
        for thread in self._threads if wait else ():
            thread.join()


class Halves:
    """The queue of downloads: in their order, save that at most half of the threads have pieces of one half (turns.py).

    A half that has its share waits for a piece of the other, which the engine is just handing out; for so long.
    """

    def __init__(self, threads: int, patience: float = _PATIENCE) -> None:
        """`threads` take from it. None of them stands still for more than `patience` seconds while there is something to do."""
        self._patience = patience
        self._share = -(-threads // 2)
        self._waiting: list[work.Download | None] = []
        self._under_way: Counter[str] = Counter()
        self._changed = threading.Condition()

    def put(self, piece: work.Download | None) -> None:
        """Nothing (None) ends the thread that takes it."""
        with self._changed:
            self._waiting.append(piece)
            if self._next() is None:  # who waits for the first piece of all has patience from now on
                self._changed.notify_all()
            else:
                self._changed.notify()

    @property
    def ready(self) -> bool:
        """Whether there is one that may begin now."""
        with self._changed:
            return self._next() is not None

    def get(self) -> work.Download | None:
        """The next one; waits for it."""
        with self._changed:
            while (at := self._next()) is None:
                if not self._changed.wait(self._patience if self._waiting else None) and self._waiting:
                    at = (
                        self._next() or 0
                    )  # what has its share may hang for hours, and what waits behind it has a deadline
                    break
            piece = self._waiting.pop(at)
            if piece:
                self._under_way[piece.half] += 1
            return piece

    def _next(self) -> int | None:
        for at, piece in enumerate(self._waiting):
            if not (piece and piece.half) or self._under_way[piece.half] < self._share:
                return at
        return None

    def ended(self, piece: work.Download) -> None:
        """Its thread is free again."""
        with self._changed:
            self._under_way[piece.half] -= 1
            if self._waiting:
                self._changed.notify()

    def withdraw(self) -> Sequence[work.Download]:
        """Take back what nobody has taken."""
        with self._changed:
            left = [piece for piece in self._waiting if piece]
            self._waiting = [piece for piece in self._waiting if not piece]
            return left


class Downloads(Workers):
    """Threads for pictures alone, as many as there may be connections: what is handed out beyond them waits."""

    _pieces: Halves

    def __init__(
        self, perform: Callable[[Any], Any], post: Callable[[Outcome], None], *, threads: int
    ) -> None:
        """As Workers."""
        super().__init__(perform, post, threads=threads)
        self._pieces = Halves(threads)

    def _run(self, piece: Any) -> None:
        super()._run(piece)
        self._pieces.ended(piece)

    def withdraw(self) -> Sequence[Any]:
        """What is not begun, and will not be."""
        return self._pieces.withdraw()


class Pools:
    """One pool for what concerns Astria, one for pictures, and a small one for each root and output: a share that does not answer keeps its
    readers for as long as it likes, and no others. So has what nothing waits for.
    """

    def __init__(
        self, perform: Callable[[Any], Any], post: Callable[[Outcome], None], *, threads: int, downloads: int
    ) -> None:
        """As Workers; `threads` are those for Astria, `downloads` those for pictures."""
        self._perform, self._post = perform, post
        self._astria = Workers(perform, post, threads=threads)
        self._downloads = Downloads(perform, post, threads=downloads)
        self._disks: dict[str, Workers] = {}

    def submit(self, piece: Any) -> None:
        """Do `piece` on a free thread of its pool. Called by the engine's thread alone."""
        if piece.lane is Lane.DOWNLOADS:
            self._downloads.submit(piece)
            return
        if piece.lane not in {Lane.DISK, Lane.ASIDE}:
            self._astria.submit(piece)
            return
        place = str(
            getattr(piece, "root", "") or getattr(piece, "output", "") or piece.lane
        )  # the state's copy has neither
        if place not in self._disks:
            self._disks[place] = Workers(self._perform, self._post, threads=_DISK_THREADS)
        self._disks[place].submit(piece)

    def close(self, *, wait: bool) -> None:
        """Let all threads end after what they are doing; wait for that if asked."""
        for pool in (self._astria, self._downloads, *self._disks.values()):
            pool.close(wait=wait)

    def withdraw(self) -> Sequence[Any]:
        """Downloads that wait for a thread: they are not carried out any more."""
        return self._downloads.withdraw()


def result_of(outcome: Outcome) -> Any:
    """What the work gave; a piece that ended unexpectedly counts as one whose fate is unknown."""
    if outcome.failure is None:
        return outcome.result
    why = f"{type(outcome.failure).__name__}: {outcome.failure}"
    log.error("unexpected: %s", why)
    if isinstance(outcome.work, work.Download):
        return work.NotSaved(why=why, local=True)
    unknown = work.unknown(why)
    return work.Pages(failure=unknown) if isinstance(outcome.work, work.Poll | work.Survey) else unknown
