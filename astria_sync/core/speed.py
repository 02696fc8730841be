"""Does a transfer still move? By its bytes over a sliding window, whatever its size: a slow line is no reason to give up."""

from collections import deque
from typing import Final

# 16 KiB a minute is 270 bytes a second: a modem line shared by eight downloads still has more, so whoever has a line at all
# gets a video of 2 GB in the end. What is slower will not be whole before Astria deletes it, and a new connection, which
# goes on with the part that is here, is worth trying.
WINDOW: Final = 60.0  # seconds
LEAST: Final = 16 * 1024  # bytes


class Speed:
    """The bytes of one transfer and when they came; times are on any clock that never goes back."""

    def __init__(self, began: float, *, window: float = WINDOW, least: int = LEAST) -> None:
        """`least` bytes must have come within the last `window` seconds, or ever since it began."""
        self._window, self._least = window, least
        self._total = 0
        # Arrivals with what had come before each. The first is the latest one since which enough has come.
        self._arrivals: deque[tuple[float, int]] = deque([(began, 0)])

    def took(self, octets: int, at: float) -> None:
        """So many bytes came."""
        self._arrivals.append((at, self._total))
        self._total += octets
        while len(self._arrivals) > 1 and self._total - self._arrivals[1][1] >= self._least:
            self._arrivals.popleft()

    @property
    def until(self) -> float:
        """The moment from which it is too slow, if nothing more comes before."""
        return self._arrivals[0][0] + self._window

    @property
    def total(self) -> int:
        """Bytes so far."""
        return self._total
