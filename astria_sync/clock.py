"""Two clocks: `now` for deadlines, which never goes back, and `wall` for what a person reads."""

import time
from typing import Final, Protocol

# In the state's `meta`: seconds that `now` is ahead of `wall`, since that was set.
AHEAD: Final = "clock_ahead"


class Clock(Protocol):
    """What the engine asks for the time."""

    def now(self) -> float:
        """Seconds for deadlines: starts at the wall clock and then only runs forward, also through sleep."""

    def wall(self) -> float:
        """Seconds since the epoch, as the machine has it."""


def day_of(wall: float) -> tuple[float, float]:
    """The local day that this moment lies in, from midnight to midnight."""
    year, month, day = time.localtime(wall)[:3]
    # mktime finds out by itself whether it is summer then, and which day comes after the 31st.
    began, ends = (time.mktime((year, month, one, 0, 0, 0, 0, 0, -1)) for one in (day, day + 1))
    return began, ends


def month_of(wall: float) -> float:
    """When the local month began that this moment lies in."""
    year, month = time.localtime(wall)[:2]
    return time.mktime((year, month, 1, 0, 0, 0, 0, 0, -1))


class SystemClock:
    """The machine's. Setting the wall clock back an hour must not stop work for an hour, hence the steady one."""

    def __init__(self) -> None:
        """Tie the steady clock to the wall clock of this moment."""
        # CLOCK_BOOTTIME counts while a laptop sleeps, CLOCK_MONOTONIC does not (clock_gettime(2)).
        self._clock_id: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self._offset = time.time() - time.clock_gettime(self._clock_id)

    def now(self) -> float:
        """Steady seconds, comparable with `next_at` in the journal."""
        return time.clock_gettime(self._clock_id) + self._offset

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def jumped(
    wall_before: float, steady_before: float, wall_now: float, steady_now: float, tolerance: float = 5.0
) -> bool:
    """Whether the wall clock was set: it went another way than the steady one, by more than clocks are slewed."""
    return abs((wall_now - wall_before) - (steady_now - steady_before)) > tolerance
