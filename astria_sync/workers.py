"""The pool: threads that do work and report every ending, also an unexpected one, as an Outcome."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from astria_sync.core.model import Outcome

log = logging.getLogger(__name__)


class Pool(Protocol):
    """Where the engine hands its work; a test's pool may do it at once, or never."""

    def submit(self, piece: Any) -> None:
        """Do `piece` and post its Outcome."""

    def close(self, *, wait: bool) -> None:
        """Take nothing more; wait for what is under way if asked."""


class Workers:
    """A pool of threads. They start when there is work for them."""

    def __init__(
        self, perform: Callable[[Any], Any], post: Callable[[Outcome], None], *, threads: int
    ) -> None:
        """`perform` does one piece, `post` takes its outcome from any thread."""
        self._perform = perform
        self._post = post
        self._executor = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="work")

    def submit(self, piece: Any) -> None:
        """Do `piece` on a free thread."""
        self._executor.submit(self._run, piece)

    def _run(self, piece: Any) -> None:
        try:
            outcome = Outcome(work=piece, result=self._perform(piece))
        except BaseException as error:
            log.debug("%s ended unexpectedly", type(piece).__name__, exc_info=True)
            outcome = Outcome(work=piece, failure=error)
        self._post(outcome)

    def close(self, *, wait: bool) -> None:
        """Drop what has not begun; wait for the rest if asked."""
        self._executor.shutdown(wait=wait, cancel_futures=True)
