"""A clock that can run fast and be pushed ahead."""

import threading
import time
from collections.abc import Callable


class SimClock:
    """Epoch seconds, `speed` times as fast as `ticks`, plus every push so far."""

    def __init__(
        self,
        speed: float = 1.0,
        *,
        start: float | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.speed = speed
        self._ticks = ticks
        self._begun = ticks()
        self._base = time.time() if start is None else start
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self._base + (self._ticks() - self._begun) * self.speed

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._base += seconds
