"""The loop that turns the engine: how long to wait, what to take in at one go, and when to end."""

import logging
import queue
import sqlite3
from typing import Any, Final

from astria_sync.core import gates
from astria_sync.core.lifecycle import FINAL_PROMPTS, FINAL_TUNES
from astria_sync.core.model import Stop, Tick
from astria_sync.engine import Engine

log = logging.getLogger("astria_sync")

_LONGEST_WAIT: Final = 60.0  # seconds; something always wakes the loop within it
_SOON: Final = 0.002
_DRAIN: Final = (
    8.0  # seconds that requests under way are waited for at the end; what is not answered by then is unsure
)
_AT_ONCE: Final = 64  # messages in a step
_STATE_TROUBLE: Final = 2.0  # seconds between attempts to write to a state that cannot be written


class Loop:
    """Lets messages through to an engine until there is a reason to end."""

    def __init__(self, engine: Engine) -> None:
        """The engine is started by whoever built it."""
        self._engine = engine

    def run(self, *, until_idle: bool = False, deadline: float | None = None) -> None:
        """Let messages through until Stop has come and work under way has ended; or, `until_idle`, until nothing is left."""
        while not (self._engine.ctx.stopping and not self._engine.ctx.under_way):
            if (until_idle and self.idle) or (deadline is not None and self._engine.ctx.now >= deadline):
                return
            messages = self._messages(self.patience(deadline))
            for stop in (message for message in messages if isinstance(message, Stop)):
                if stop.now or self._engine.ctx.stopping:
                    return
                self._engine.ctx.stopping = True
                deadline = self._engine.ctx.now + _DRAIN
            self._step_until_written(messages)

    def _messages(self, patience: float) -> list[Any]:
        """What has come, at least a tick; no more at once than keeps a step short."""
        messages: list[Any] = []
        try:
            messages.append(self._engine.inbox.get(timeout=patience))
            while len(messages) < _AT_ONCE:
                messages.append(self._engine.inbox.get_nowait())
        except queue.Empty:
            pass
        return messages or [Tick(what="due")]

    def _step_until_written(self, messages: list[Any]) -> None:
        """A state that cannot be written (a full disk) stops everything but loses nothing: the step is done again."""
        trouble = False
        while True:
            try:
                self._engine.step(*messages)
            except sqlite3.OperationalError as error:
                if not trouble:
                    log.error("The state cannot be written (%s); nothing is sent until it can.", error)  # noqa: TRY400
                trouble = True
                self._engine.intake.reload()
                try:
                    following = self._engine.inbox.get(timeout=_STATE_TROUBLE)
                except queue.Empty:
                    continue
                if isinstance(following, Stop):
                    self._engine.ctx.stopping = True
                    return
                self._engine.inbox.put(following)
            else:
                if trouble:
                    log.warning("The state can be written again.")
                return

    def patience(self, deadline: float | None) -> float:
        """Seconds until the next thing is due."""
        now = self._engine.ctx.now
        if (
            self._engine.prompting.restless
        ):  # a folder's tune was adopted after its prompts were looked at: no answer will wake the loop
            return _SOON
        known = [
            self._engine.intake.next_due(),
            self._engine.doors.next_due(),
            deadline,
            # As of the last plan: what has become due since then was seen by nobody yet.
            self._engine.ctx.journal.next_deadline(self._engine.planned_at),
        ]
        nearest = min((moment for moment in known if moment is not None), default=now + _LONGEST_WAIT)
        return min(_LONGEST_WAIT, max(_SOON, nearest - now))

    @property
    def idle(self) -> bool:
        """Whether nothing is left that could move by itself (`run --once`)."""
        if (
            self._engine.ctx.under_way
            or not self._engine.intake.idle
            or not self._engine.inbox.empty()
            or self._engine.prompting.restless
        ):
            return False
        if not self._looked_everywhere():
            return False
        stuck = (
            self._engine.sending.paused
            or self._engine.ctx.gates.closed.keys() & {gates.AUTH, gates.BALANCE}
            or self._engine.sending.room.lacking
        )
        rest = {*FINAL_TUNES, *FINAL_PROMPTS, "waiting", "held"}
        if stuck:
            rest |= {"queued"}
        if gates.AUTH in self._engine.ctx.gates.closed:
            rest |= {"generating", "training", "unsure"}
        marks = ",".join("?" * len(rest))
        here = ",".join("?" * len(self._engine.ctx.walked))  # of a root that is not there nothing is sent
        still = f"state NOT IN ({marks}) AND NOT (state = 'queued' AND source_id IN (SELECT id FROM sources WHERE root NOT IN ({here})))"
        moving = f"SELECT 1 FROM tunes WHERE {still} UNION ALL SELECT 1 FROM prompts WHERE {still}"
        untold = "current = 1 AND patch != '{}' AND state IN ('training', 'ready')"
        if gates.AUTH not in self._engine.ctx.gates.closed and self._engine.ctx.journal.tunes(untold):
            return False
        return self._engine.ctx.journal.value(moving, [*rest, *self._engine.ctx.walked] * 2) is None

    def _looked_everywhere(self) -> bool:
        broken = {root for root in self._engine.ctx.watches if self._engine.ctx.journal.get(f"root:{root}")}
        return self._engine.ctx.walked | broken >= set(self._engine.ctx.watches)
