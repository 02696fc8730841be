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

    _known: dict[Hashable, _Known[Line]] = field(default_factory=dict)

    def is_news(self, key: Hashable, line: Line, at: float) -> bool:
        """Whether it is to be said; else it is counted."""
        known = self._known.get(key)
        if known is not None and 0 <= at - known.told_at < WINDOW:
            known.held += 1
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
        for key, known in list(self._known.items()):
            if everything or not 0 <= at - known.told_at < WINDOW:
                del self._known[key]
                if known.held:
                    yield known.line, known.held

    def next_due(self) -> float | None:
        """When the first of what was held back is to be told; None if nothing is."""
        return min((known.told_at + WINDOW for known in self._known.values() if known.held), default=None)
