"""Lines of the log that say again what was said just now: held back, and told once with their number."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

WINDOW: Final = 600.0  # seconds within which the same words are no news
_AT_MOST: Final = 1000  # different lines that are remembered
Line = TypeVar("Line")


@dataclass(slots=True)
class _Known(Generic[Line]):
    line: Line
    told_at: float
    held: int = 0


@dataclass
class Repeats(Generic[Line]):
    """What was said lately. A key is everything that makes two lines the same: words, level, file."""

    _known: dict[Hashable, _Known[Line]] = field(default_factory=dict)  # in the order in which they were told
    _held: int = 0

    def is_news(self, key: Hashable, line: Line, at: float) -> bool:
        """Whether it is to be said; else it is counted."""
        known = self._known.get(key)
        if known is not None and 0 <= at - known.told_at < WINDOW:
            known.held += 1
            self._held += 1
            known.line = line
            return False
        if len(self._known) >= _AT_MOST:
            # The oldest gives way, unless its number is to be told yet: then this one is said whenever it comes.
            oldest = next(iter(self._known))
            if self._known[oldest].held:
                return True
            del self._known[oldest]
        self._known[key] = _Known(line, at)
        return True

    def over(self, at: float, *, everything: bool = False) -> Iterator[tuple[Line, int]]:
        """The last of each that was held back, and how many were, as soon as its time is over; it is forgotten with that."""
        while self._known:
            key, known = next(iter(self._known.items()))  # the oldest: those behind it were told later
            if not everything and 0 <= at - known.told_at < WINDOW:
                return
            del self._known[key]
            if known.held:
                self._held -= known.held
                yield known.line, known.held

    def next_due(self) -> float | None:
        """When the first of what was held back is to be told; None if nothing is."""
        if not self._held:
            return None
        return min(known.told_at + WINDOW for known in self._known.values() if known.held)
