"""The schedule, without waiting for it: what its jobs are, what they post, and when they would run."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from astria_sync.clock import jumped
from astria_sync.core.model import Tick
from astria_sync.schedule import Schedule
from astria_sync.watch import CHECK_SECONDS


class Clock:
    def __init__(self) -> None:
        self.time = datetime.now(UTC).timestamp()

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time


@pytest.fixture
def posted() -> list[Tick]:
    return []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(posted: list[Tick], clock: Clock) -> Iterator[Schedule]:
    before = set(threading.enumerate())
    schedule = Schedule(posted.append, rescan_seconds=300, clock=clock)
    schedule.start()
    yield schedule
    schedule.stop()
    assert set(threading.enumerate()) <= before


def jobs(schedule: Schedule) -> dict:
    return {job.id: job for job in schedule._scheduler.get_jobs()}


def first_runs(schedule: Schedule, clock: Clock) -> dict:
    now = datetime.fromtimestamp(clock.wall(), UTC)
    return {id_: (job.next_run_time - now).total_seconds() for id_, job in jobs(schedule).items()}


def test_each_job_posts_its_tick(schedule: Schedule, posted: list[Tick]) -> None:
    """A job does nothing but post its message."""
    for job in jobs(schedule).values():
        job.func(*job.args)
    assert sorted(tick.what for tick in posted) == ["check", "rescan"]


def test_first_runs_come_after_one_interval(schedule: Schedule, clock: Clock) -> None:
    """Nothing is due at the start, when the engine looks by itself."""
    assert first_runs(schedule, clock) == {"rescan": 300, "check": CHECK_SECONDS}


def test_a_short_rescan_shortens_the_check(clock: Clock, posted: list[Tick]) -> None:
    """Whoever wants a full look often wants to know as soon that somebody is deaf."""
    schedule = Schedule(posted.append, rescan_seconds=2.5, clock=clock)
    schedule.start()
    assert first_runs(schedule, clock) == {"rescan": 2.5, "check": 2.5}
    schedule.stop()


def test_late_ticks_are_not_dropped_and_come_once(schedule: Schedule) -> None:
    """The three settings that APScheduler gets wrong for us when it is left to itself."""
    for job in jobs(schedule).values():
        assert (job.misfire_grace_time, job.coalesce, job.max_instances) == (None, True, 1)


def test_forty_days_forward_are_one_run(schedule: Schedule) -> None:
    """A clock set far forward makes one late run of each job, not one for each that was missed."""
    later = datetime.now(UTC) + timedelta(days=40)
    for job in jobs(schedule).values():
        assert len(job._get_run_times(later)) == 1


def test_a_restart_counts_from_the_new_time(schedule: Schedule, clock: Clock) -> None:
    """A clock set back an hour stops nothing once all is set anew."""
    clock.time -= 3600
    assert min(first_runs(schedule, clock).values()) > 3600
    schedule.restart()
    assert first_runs(schedule, clock) == {"rescan": 300, "check": CHECK_SECONDS}


def test_a_tick_that_is_due_arrives(clock: Clock) -> None:
    """The scheduler's own thread runs a job that is due, and a nonsensical interval does not spin."""
    arrived = threading.Event()
    schedule = Schedule(lambda _: arrived.set(), rescan_seconds=0, clock=clock)
    clock.time -= 10
    schedule.start()
    assert arrived.wait(5)
    schedule.stop()
    schedule.stop()


def test_it_is_quiet(schedule: Schedule, caplog: pytest.LogCaptureFixture) -> None:
    """APScheduler's line for each run is not written."""
    assert logging.getLogger("apscheduler.executors.default").getEffectiveLevel() == logging.WARNING
    assert caplog.records == []


@pytest.mark.parametrize(
    ("before", "now", "answer"),
    [
        ((1000.0, 50.0), (1030.0, 80.0), False),
        ((1000.0, 50.0), (1034.0, 80.0), False),
        ((1000.0, 50.0), (1036.0, 80.0), True),
        ((1000.0, 50.0), (1030.0 - 3600.0, 80.0), True),
        ((1000.0, 50.0), (1030.0 + 40 * 86400.0, 80.0), True),
        ((1000.0, 50.0), (1000.0 + 28800.0, 50.0 + 28800.0), False),
    ],
    ids=["together", "slewed", "forward", "back an hour", "forty days", "a night of sleep"],
)
def test_jumped(before: tuple[float, float], now: tuple[float, float], answer: bool) -> None:
    """Only what the wall clock did and the steady one did not is a jump."""
    assert jumped(*before, *now) is answer
