"""Does everything that should wake the engine still do so? Looked at in the engine's own thread, on its own steady clock.

Ticks come by the wall clock, hints from threads that die without a word, and a laptop sleeps: whatever falls silent is started
anew here, and everything is looked at.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from astria_sync import kernel
from astria_sync.clock import Clock, jumped
from astria_sync.core.happening import Happening
from astria_sync.core.model import Hint, Tick
from astria_sync.journal import Journal
from astria_sync.schedule import Schedule
from astria_sync.watch import Watcher

log = logging.getLogger("astria_sync")

_ELSEWHERE: Final = (
    "the folder was removed, or moved elsewhere, while the service ran; to reach what is there now, restart the service "
    "(systemctl --user restart astria-sync)"
)
_LATE: Final = 5.0  # seconds beyond two intervals: then ticks do not only come late


class Pulse:
    """Minds the schedule and the watcher of one engine."""

    def __init__(
        self,
        *,
        watcher: Watcher,
        schedule: Schedule,
        clock: Clock,
        journal: Journal,
        post: Callable[[Hint | Tick], None],
        folders: Iterable[str] = (),
    ) -> None:
        """Both are started by whoever built them. `folders`: those that a sandbox may have been let into."""
        self._let_in = kernel.windows().keys() & set(folders)
        self._watcher, self._schedule, self._clock, self._journal, self._post = (
            watcher,
            schedule,
            clock,
            journal,
            post,
        )
        self._before = (clock.wall(), clock.now())
        self._heard = clock.now()  # the last tick of the schedule

    def __call__(self, tick: Tick) -> None:
        """A tick: of the schedule ("rescan", "check"), or of the engine itself, which wakes at least every minute."""
        self._mind_clock()
        if tick.what in {"rescan", "check"}:
            self._heard = self._clock.now()
        elif self._clock.now() - self._heard > 2 * self._schedule.check_seconds + _LATE:
            # Asleep, or its thread is gone. Either way nobody was told what happened meanwhile.
            log.info(
                "No ticks came for %.0f seconds; everything is looked at.", self._clock.now() - self._heard
            )
            self._begin_anew()
        if tick.what == "check":
            for hint in self._watcher.check():
                self._post(hint)
        if tick.what in {"start", "check"}:
            self._tell()

    def _mind_clock(self) -> None:
        wall, steady = self._clock.wall(), self._clock.now()
        if jumped(*self._before, wall, steady):
            self._begin_anew()
        self._before = (wall, steady)

    def _begin_anew(self) -> None:
        self._schedule.restart()
        self._heard = self._clock.now()
        self._post(Tick(what="check"))
        self._post(Tick(what="rescan"))

    def _tell(self) -> None:
        """Where `status` finds it."""
        problems = dict(self._watcher.problems())
        if self._let_in:
            problems |= dict.fromkeys(kernel.astray() & self._let_in, _ELSEWHERE)
        if self._journal.get("watch_problems", {}) != problems:
            self._journal.put("watch_problems", problems or None)
            for root, problem in problems.items():
                self._journal.note(
                    Happening(
                        at=self._clock.wall(), kind="daemon", level="warning", detail=f"{root}: {problem}"
                    )
                )
