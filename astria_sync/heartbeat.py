"""The daemon's signs of life for systemd: ready after the first look, a line with live counts, and food for the watchdog.

The engine's loop calls `Heartbeat` on each turn, so a step that never ends is not passed over in silence. A loop that turns is not
enough: as long as requests are under way, something must be heard of them within the time that they may take by their own
time-outs; bytes of an upload count. Work on disks does not count: a share that does not answer is no fault that a start mends.
"""

import logging
import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from astria_sync.clock import day_of
from astria_sync.context import Context
from astria_sync.core import gates
from astria_sync.core.money import USD, dollars
from astria_sync.core.work import Lane
from astria_sync.costs import PAID_BETWEEN, TABLES
from astria_sync.progress import Progress
from astria_sync.stale import FAILED_PACKS, FAILED_PROMPTS, FAILED_TUNES
from astria_sync.systemd import Notifier

log = logging.getLogger("astria_sync")

_STATUS_EVERY: Final = 1.0  # seconds at least, and never more than a fiftieth of the time goes into it
_COSTS: Final = 50.0
_PATIENCE: Final = 60.0  # seconds by which the start is extended, as long as the loop turns
# Seconds: whoever waits for the start waits no longer for a share that does not answer.
_LONGEST_LOOK: Final = 300.0
_TIMEOUTS: Final = 7  # a free connection, a connection, and five for the answer (api.py)
_SLACK: Final = 300.0  # seconds for what has no time-out of its own: names, proxies, a busy machine
_NETWORK: Final = {Lane.UPLOADS, Lane.REQUESTS}
_WORDS: Final = {
    "uploading": ("uploading",),
    "training": ("training",),
    "generating": ("submitting", "generating"),
    "downloading": ("downloading",),
    "waiting": ("settling", "waiting", "queued", "unsure"),
}


class Heartbeat:
    """One engine's. Does nothing, at no cost, where there is no systemd."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        ctx: Context,
        progress: Progress,
        looked: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`looked`: whether every root was looked at. `clock` stands still while the machine sleeps, as systemd's does."""
        self._notifier, self._ctx, self._progress, self._looked, self._clock = (
            notifier,
            ctx,
            progress,
            looked,
            clock,
        )
        self._began = self._moved = clock()
        self._ready = False
        self._next_food = self._next_status = self._next_patience = 0.0
        self._stalled = False
        self._changes = -1
        self._told = ""
        self._ended = False
        self.trouble = ""  # what stands in the way of all work, first in the line
        self.reloads = False  # it stops only to begin anew

    def __call__(self) -> float:
        """The loop has turned; in how many seconds it must turn again."""
        if not self._notifier.there:
            return math.inf
        now = self._clock()
        if now >= self._next_food and self._moves(now):
            self._next_food = now + (self._notifier.watchdog or 0.0) / 8
            self._notifier.alive()
        due = self._notifier.watchdog / 4 if self._notifier.watchdog else math.inf
        if self._ctx.stopping:
            if self.reloads:
                self._say("waits for requests under way, to begin anew with the configuration as it is now")
            else:
                self.end()
            return due
        try:
            return min(due, self._start(now), self._tell(now))
        except sqlite3.Error:
            self._say(self.trouble or "the state cannot be read")  # the loop finds out why
            return due

    def end(self) -> None:
        """Nothing new is begun any more."""
        if not self._ended:
            self._ended = True
            self._notifier.stopping()
            self._say("stopping")

    def _start(self, now: float) -> float:
        """Ready, once everything was looked at; until then more time is asked for."""
        if self._ready:
            return math.inf
        if self._looked() or now - self._began > _LONGEST_LOOK:
            self._ready = True
            self._notifier.ready()
            return math.inf
        if now >= self._next_patience:
            self._next_patience = now + _PATIENCE / 4
            self._notifier.patience(_PATIENCE)
        return self._next_patience - now

    # The watchdog

    def _moves(self, now: float) -> bool:
        """Whether what is under way may still be on its way, by its own time-outs."""
        lanes = self._ctx.busy
        if not any(lanes[lane] for lane in _NETWORK):
            self._moved = now
        self._moved = max(self._moved, self._progress.heard)
        stalled = now - self._moved > self.limit
        if stalled and not self._stalled:
            log.error(
                "Nothing was heard of any request for %.0f minutes, longer than one may take; systemd is to start the daemon anew.",
                (now - self._moved) / 60,
            )
        self._stalled = stalled
        return not stalled

    @property
    def limit(self) -> float:
        """Seconds of silence that no request of ours outlasts."""
        return _TIMEOUTS * self._ctx.settings.astria.timeout_seconds + _SLACK

    # The line of `systemctl status`

    def _tell(self, now: float) -> float:
        if self.trouble:
            self._changes = -1
            self._say(self.trouble)
            return math.inf
        changes = self._ctx.journal.value("SELECT total_changes()")
        if changes == self._changes:
            return math.inf
        if now < self._next_status:
            return self._next_status - now
        began = time.perf_counter()
        self._say(line(_counts(self._ctx), today=_today(self._ctx), notes=_notes(self._ctx)))
        self._changes = changes
        self._next_status = now + max(_STATUS_EVERY, _COSTS * (time.perf_counter() - began))
        return math.inf

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._notifier.status(text)


def line(counts: Mapping[str, int], *, today: int, notes: Iterable[str] = ()) -> str:
    """As in "3 training, 12 waiting, 1 needs you, $4.20 today"; `today` in thousandths of a cent."""
    parts = [f"{number:,} {word}" for word in _WORDS if (number := counts.get(word, 0))]
    if needs := counts.get("needs you", 0):
        parts.append(f"{needs:,} {'needs' if needs == 1 else 'need'} you")
    told = ", ".join([*(parts or ["nothing waits"]), f"{dollars(today / USD)} today"])
    return "; ".join([*(note.rstrip(".") for note in notes), told])


def _counts(ctx: Context) -> dict[str, int]:
    states: dict[str, int] = {}
    for table in ("tunes", "prompts", "packs"):
        current = "current = 1 AND " if table != "prompts" else ""
        listed = ", ".join(f"'{state}'" for states in _WORDS.values() for state in states)
        sql = f"SELECT state, count(*) AS n FROM {table} WHERE {current}state IN ({listed}, 'held') GROUP BY state"
        for row in ctx.journal.rows(sql):
            states[row["state"]] = states.get(row["state"], 0) + row["n"]
    counts = {word: sum(states.get(state, 0) for state in those) for word, those in _WORDS.items()}
    failed = sum(
        ctx.journal.value(f"SELECT count(*) FROM ({sql})")
        for sql in (FAILED_TUNES, FAILED_PROMPTS, FAILED_PACKS)
    )
    asking = len(ctx.gates.closed.keys() & {gates.AUTH, gates.BALANCE})
    return counts | {"needs you": failed + states.get("held", 0) + asking}


def _today(ctx: Context) -> int:
    between = day_of(ctx.wall)
    return sum(
        ctx.journal.value(
            f"SELECT coalesce(sum(cost_mc), 0) FROM {table} WHERE {PAID_BETWEEN[table]}", between
        )
        for table in TABLES
    )


def _notes(ctx: Context) -> Iterable[str]:
    """What the counts do not say."""
    if problem := ctx.journal.get("reload"):
        yield str(problem)
    if gates.NETWORK in ctx.gates.closed:
        yield "no network"
    if ctx.journal.get("paused"):
        yield "paused"
