"""What happened lately, whatever is done to the clock on the wall."""

import pytest

from astria_sync.core.lately import Lately

DAY = 86_400.0


class World:
    """Turns of an engine every `pace` seconds, and what was written down meanwhile by the wall clock."""

    def __init__(self, longest: float = 600.0, wall: float = 1e9, pace: float = 30.0) -> None:
        self.lately = Lately(longest)
        self.now, self.wall, self.pace = 5000.0, wall, pace
        self.lately.note(self.now, self.wall)

    def go(self, seconds: float) -> None:
        """So long awake."""
        while seconds > 0:
            step = min(seconds, self.pace)
            self.now, self.wall, seconds = self.now + step, self.wall + step, seconds - step
            self.lately.note(self.now, self.wall)

    def sleep(self, seconds: float) -> None:
        self.now, self.wall = self.now + seconds, self.wall + seconds
        self.lately.note(self.now, self.wall)

    def set_clock(self, by: float) -> None:
        self.wall += by
        self.lately.note(self.now, self.wall)

    def since(self) -> float:
        return self.lately.since(600.0, self.wall)


@pytest.mark.parametrize("pace", [0.5, 7.0, 60.0])
def test_an_ordinary_day(pace: float) -> None:
    """Ten minutes ago is ten minutes ago, or at most a turn more."""
    world = World(pace=pace)
    world.go(7200)
    assert world.wall - 600 - pace - 5 <= world.since() <= world.wall - 600


def test_at_the_start_the_clock_is_believed() -> None:
    """What an earlier run wrote down ten minutes ago is lately too."""
    world = World()
    assert world.since() == world.wall - 600
    world.go(300)
    assert world.since() == world.wall - 600


@pytest.mark.parametrize("by", [-3600.0, 40 * DAY], ids=["back an hour", "forty days on"])
def test_a_clock_that_is_set(by: float) -> None:
    """What was written down before the clock was set is lately for as long as it would have been, and no longer forward."""
    world = World()
    world.go(3000)
    written = world.wall
    world.set_clock(by)
    world.go(400)
    assert world.since() <= written
    world.go(400)
    assert (world.since() > written) is (by > 0)
    world.go(7200)
    assert world.wall - 640 <= world.since() <= world.wall - 600


def test_a_night_of_sleep() -> None:
    """What was written down just before the lid was closed is lately when it is opened again."""
    world = World()
    world.go(3000)
    written = world.wall
    world.sleep(8 * 3600)
    assert world.since() <= written
    world.go(600)
    assert world.since() > written


def test_its_memory_is_flat() -> None:
    """It keeps no more notes than it is ever asked for."""
    world = World(pace=6.0)
    world.go(20_000)
    assert len(world.lately._notes) < 130
