"""How often running work is asked for: rarely while it cannot be done yet, often when it should be, less when it is late.

One list call covers 120 objects (astria-api.md), so what counts is the number of pages, not of objects.
"""

from collections.abc import Sequence
from typing import Final

PAGE: Final = 120
SLOWEST: Final = 60.0  # seconds; a training of an hour is noticed within a minute


def next_delay(age: float, usual: float | None, poll: float) -> float:
    """Seconds until work that has run for `age` is asked for again; `usual` is how long its kind took before, if known."""
    slowest = max(SLOWEST, poll)
    if usual is None:
        return min(slowest, max(poll, age * 0.15))
    early = 0.9 * usual
    if age < early:
        return min(slowest, max(poll, early - age))
    if age < 2 * usual + poll:
        return poll
    return min(slowest, max(poll, (age - usual) * 0.15))


def typical(durations: Sequence[float]) -> float | None:
    """How long it usually takes: the lower quartile, since a late poll makes durations look longer, never shorter."""
    known = sorted(durations)
    return known[len(known) // 4] if known else None


def next_cursor(wanted: Sequence[int]) -> int | None:
    """The `before_id` of the next page needed, given the ids that no page has covered yet, the newest last; None if all were."""
    return wanted[-1] + 1 if wanted else None
