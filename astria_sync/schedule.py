"""Ticks: jobs that only post a message. What is due, and when, the journal knows; this only wakes the engine to look.

The only module that knows APScheduler, which goes by the wall clock: which pulse.py minds.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from apscheduler.executors.pool import ThreadPoolExecutor  # type: ignore[import-untyped]
from apscheduler.jobstores.memory import MemoryJobStore  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]

from astria_sync.clock import Clock
from astria_sync.core.model import Tick
from astria_sync.watch import CHECK_SECONDS

_SHORTEST: Final = 0.1  # a job that is always due would never let go


class Schedule:
    """Posts the ticks "rescan" and "check", from a thread of its own."""

    def __init__(self, post: Callable[[Tick], None], *, rescan_seconds: float, clock: Clock) -> None:
        self._post = post
        self._clock = clock
        self.check_seconds = min(CHECK_SECONDS, rescan_seconds)
        self._every = {"rescan": rescan_seconds, "check": self.check_seconds}
        # A line for every run, every 30 seconds, tells nobody anything.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler: Any = None

    def start(self) -> None:
        """The first ticks come after one interval: the engine looks at everything when it starts."""
        self._scheduler = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(1)},
            # A tick that is late is as good as one in time, and one is as good as many.
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.start()
        now = datetime.fromtimestamp(self._clock.wall(), UTC)
        for what, seconds in self._every.items():
            trigger = _Every(seconds)
            first = trigger.get_next_fire_time(None, now)
            self._scheduler.add_job(
                self._post, trigger, args=[Tick(what=what)], id=what, name=what, next_run_time=first
            )

    def stop(self) -> None:
        """No tick comes after this returns. Does nothing if nothing was started."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown(wait=True)

    def restart(self) -> None:
        """All anew, counted from now: for when the wall clock was set, or when the ticks have ceased for whatever reason."""
        self.stop()
        self.start()


class _Every(BaseTrigger):  # type: ignore[misc]
    """An interval counted from now, and not from the last run: a clock set forward by 40 days makes one late run.

    APScheduler's own interval would list all hundred thousand missed ones before it drops all but the last.
    """

    def __init__(self, seconds: float) -> None:
        self.interval = timedelta(seconds=max(_SHORTEST, seconds))

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        return now + self.interval
