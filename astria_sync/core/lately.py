"""How far back "lately" goes on a wall clock that may be set, and stands still for nobody while the machine sleeps."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

_NOTES: Final = 120  # for the longest time that is asked for
_SET: Final = 5.0  # seconds that the two clocks may differ without one being set
_AWAKE: Final = 60.0  # the engine turns at least so often; a longer pause was sleep


@dataclass(slots=True)
class Lately:
    """What the wall clock showed at which time awake. `note` is called on every turn of the engine."""

    longest: float  # seconds that were ever asked for
    _notes: deque[tuple[float, float]] = field(default_factory=deque)  # time awake, wall clock
    _awake: float = 0.0
    _last: float = -math.inf

    def note(self, now: float, wall: float) -> None:
        """The time on both clocks."""
        if self._notes:
            passed = now - self._last
            was_set = abs(wall - self._notes[-1][1] - passed) > _SET
            if passed < self.longest / _NOTES and not was_set:
                return
            self._awake += min(passed, _AWAKE)
        self._last = now
        self._notes.append((self._awake, wall))
        while len(self._notes) > 1 and self._notes[1][0] < self._awake - self.longest:
            self._notes.popleft()

    def since(self, seconds: float, wall: float) -> float:
        """What was noted by the wall clock in the last so many seconds awake is not earlier than this."""
        self.longest = max(self.longest, seconds)
        earliest = math.inf
        for awake, then in reversed(self._notes):
            earliest = min(earliest, then)
            if awake <= self._awake - seconds:
                return earliest
        return min(
            earliest, wall - seconds
        )  # of the time before this run nothing is known but what the clock shows
