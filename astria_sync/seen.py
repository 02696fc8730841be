"""What was found to be well a moment ago need not be asked of the disk again for every picture."""

from collections.abc import Callable, Hashable
from typing import Final

# Seconds. To ask the way up to the root for each picture takes a dozen calls, after each of which a thread waits for its turn.
_TRUSTED: Final = 1.0
_MOST: Final = 1000


class Seen:
    """Answers that were "yes", for a second; a "no" is asked again each time. Thread-safe: the worst is to ask twice."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: seconds that never go back."""
        self._clock = clock
        self._until: dict[Hashable, float] = {}

    def lately(self, what: Hashable, ask: Callable[[], bool]) -> bool:
        """What `ask()` says, or said of it within the last second."""
        now = self._clock()
        if now < self._until.get(what, now):
            return True
        if not ask():
            return False
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[what] = now + _TRUSTED
        return True
