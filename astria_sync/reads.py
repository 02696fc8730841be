"""Reads from the network that end. A time-out of httpx is for one read; a server that sends a byte a minute beats it for ever."""

import math
import threading
from collections.abc import Callable, Mapping
from typing import Any


class TooSlow(Exception):  # noqa: N818 - nothing of ours went wrong
    """It was waited for long enough."""


class Reads:
    """Each thread's own limit, which no read of its connections outlasts. Connections may go from one thread to another."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back. One that stands still while the machine sleeps is right: no server is slow then."""
        self.clock = clock
        self._mine = threading.local()

    def limit(self, until: float, why: str) -> None:
        """What this thread reads from now on has come by `until`, or `TooSlow` says `why` it was given up."""
        self._mine.limit = (until, why)

    def check(self) -> float:
        """Seconds that are left to this thread; raises TooSlow when there are none."""
        until, why = getattr(self._mine, "limit", (math.inf, ""))
        left: float = until - self.clock()
        if left <= 0:
            raise TooSlow(why)
        return left

    def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """A connection was made (httpcore's trace): its reads ask here how long they may wait."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._teach(info["return_value"])

    def _teach(self, stream: Any) -> None:
        for name in ("read", "read_into"):
            if hasattr(stream, name):
                setattr(stream, name, self._within(getattr(stream, name)))

    def _within(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def within(what: Any, timeout: float | None = None) -> Any:
            left = self.check()
            ours = timeout is None or left < timeout
            try:
                return read(what, timeout=left if ours else timeout)
            except Exception as error:
                if ours and isinstance(error.__cause__, TimeoutError):
                    raise TooSlow(self._mine.limit[1]) from error
                raise

        return within
