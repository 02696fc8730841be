"""How far uploads are: counted by the threads that send them, noted in the state every few seconds for `status`."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core import work

NOTED: Final = "uploads"  # in the state's `meta`: "tune:7" → bytes sent, bytes in all, bytes a second
_WORTH_TELLING: Final = 4 << 20  # bytes; what is smaller is gone before anybody looks
_EVERY: Final = 2.0  # seconds


@dataclass(kw_only=True)
class Progress:
    """What is being sent right now. Its methods may be called from any thread."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _sent: dict[str, list[int]] = field(default_factory=dict)  # → sent, in all
    heard: float = 0.0  # when a request last gave a sign of life, on the monotonic clock

    def sign(self) -> None:
        """Something was heard of a request: it connects, sends, is answered, or has ended."""
        self.heard = time.monotonic()

    @contextmanager
    def of(self, key: str, uploads: Sequence[work.Upload]) -> Iterator[Callable[[int], None]]:
        """Count what is sent until the end of the block; a file that went meanwhile is for whoever sends it to tell."""
        total = sum(os.path.getsize(one.path) for one in uploads if os.path.exists(one.path))
        counts = [0, total]
        with self._lock:
            self._sent[key] = counts

        def count(sent: int) -> None:
            counts[0] += sent
            self.sign()

        try:
            yield count
        finally:
            with self._lock:
                self._sent.pop(key, None)

    def shown(self) -> dict[str, tuple[int, int]]:
        """Those worth telling: sent, in all."""
        with self._lock:
            return {key: (sent, of) for key, (sent, of) in self._sent.items() if of >= _WORTH_TELLING}


@dataclass(kw_only=True)
class Telling:
    """Notes progress in the state."""

    ctx: Context
    progress: Progress = field(default_factory=Progress)
    _next: float = field(default=0.0, init=False)
    _before: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)

    def start(self) -> None:
        """What an earlier run noted is over."""
        self.ctx.journal.put(NOTED, None)

    def next_due(self) -> float | None:
        """When it is to be noted again."""
        return self._next if self._before or self.progress.shown() else None

    def plan(self) -> None:
        """Note how far everything is, every few seconds."""
        now = self.ctx.now
        if now < self._next:
            return
        shown = self.progress.shown()
        if not shown and not self._before:
            return
        self._next = now + _EVERY
        noted = {}
        for key, (sent, of) in shown.items():
            before, at = self._before.get(key, (sent, now))
            noted[key] = [sent, of, round((sent - before) / (now - at)) if now > at else 0]
        self._before = {key: (sent, now) for key, (sent, _) in shown.items()}
        self.ctx.journal.put(NOTED, noted or None)
