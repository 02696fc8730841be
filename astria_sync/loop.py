"""The loop that turns the engine: how long to wait, what to take in at one go, and when to end."""

import logging
import queue
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from astria_sync.core import gates
from astria_sync.core.lifecycle import FINAL_PROMPTS, FINAL_TUNES
from astria_sync.core.model import Hint, Stop, Tick
from astria_sync.engine import Engine
from astria_sync.errors import StateDamaged, StateUnusable
from astria_sync.trouble import StateGoneError, damaged, explained, is_damage

log = logging.getLogger("astria_sync")

_LONGEST_WAIT: Final = 60.0  # seconds; something always wakes the loop within it
_SHORTEST_WAIT: Final = 1.0  # ... but need not more often than this only to look at the clock
_SOON: Final = 0.002
_DRAIN: Final = (
    8.0  # seconds that requests under way are waited for at the end; what is not answered by then is unsure
)
_AT_ONCE: Final = 64  # messages in a step
_PACKS_BESIDE: Final = {
    # A tune that waits for its pack goes with it; a pack that nobody wants any more is not sent, nor one whose tune has failed.
    "tunes": " AND NOT (state = 'queued' AND EXISTS (SELECT 1 FROM packs k WHERE k.source_id = tunes.source_id "
    "AND k.current = 1 AND k.state IN ('settling', 'waiting', 'held', 'queued')))",
    "packs": " AND (state NOT IN ('settling', 'queued') OR (current = 1 AND source_id IN "
    "(SELECT s.id FROM sources s JOIN tunes t ON t.source_id = s.id AND t.current = 1 "
    "WHERE s.missing_since IS NULL AND t.state IN ('settling', 'queued', 'ready'))))",
}
_STATE_TROUBLE: Final = 2.0  # seconds between attempts to write to a state that cannot be written


def receive(inbox: queue.SimpleQueue[Any], patience: float) -> Any:
    """The next message; raises queue.Empty if none comes in so many seconds.

    CPython's SimpleQueue (3.11) can wait for ever: a get that times out just as something is put leaves its lock open, and the
    next get but one on the then empty queue takes the lock, looks again, and has less than nothing left to wait. To look
    without waiting first closes the lock, since there is one reader.
    """
    try:
        return inbox.get_nowait()
    except queue.Empty:
        return inbox.get(timeout=patience)


class Loop:
    """Lets messages through to an engine until there is a reason to end."""

    def __init__(
        self,
        engine: Engine,
        *,
        mend: Callable[[], str] | None = None,
        announce: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`mend` puts back a state that was taken away and tells of it; `announce` takes what cannot be written into the state."""
        self._engine = engine
        self._mend = mend or (lambda: f"The state was put back ({engine.ctx.journal.put_back()}).")
        self.announce = announce
        self._deadline: float | None = None
        self._told = ""  # what is wrong with the state
        self._behind = False  # a step was rolled back: memory is ahead of the state
        self._ticked = engine.ctx.now
        rescan = engine.ctx.settings.timing.rescan_seconds
        self._longest = min(_LONGEST_WAIT, max(_SHORTEST_WAIT, rescan))

    def start(self, *, deadline: float | None = None) -> None:
        """Start the engine, as soon as the state can be written."""
        self._deadline = deadline
        self._until_written(self._start, [])

    def _start(self, came: list[Any]) -> None:
        self._engine.start()
        for message in came:  # while it could not be written
            self._engine.inbox.put(message)

    def run(self, *, until_idle: bool = False, deadline: float | None = None) -> None:
        """Let messages through until Stop has come and work under way has ended; or, `until_idle`, until nothing is left."""
        self._deadline = deadline
        while not (self._engine.ctx.stopping and not self._engine.ctx.under_way):
            try:
                if self._over or (until_idle and self.idle):
                    return
                patience = self.patience(self._deadline)
            except sqlite3.Error as error:
                self._tell(error)
                patience = _STATE_TROUBLE
            messages = self._messages(patience)
            self._note_stop(messages)
            self._step_until_written(messages)

    @property
    def _over(self) -> bool:
        return self._deadline is not None and self._engine.ctx.now >= self._deadline

    def _note_stop(self, messages: list[Any]) -> None:
        """From a Stop on, work under way is waited for, for a while; from a second one on, or if it says so, nothing is."""
        for stop in (message for message in messages if isinstance(message, Stop)):
            at_once = stop.now or self._engine.ctx.stopping
            self._engine.ctx.stopping = True
            self._deadline = self._engine.ctx.now + (0.0 if at_once else _DRAIN)

    def _messages(self, patience: float) -> list[Any]:
        """What has come, and a tick if nothing has, or no tick for long; no more at once than keeps a step short."""
        messages: list[Any] = []
        try:
            messages.append(receive(self._engine.inbox, patience))
            while len(messages) < _AT_ONCE:
                messages.append(self._engine.inbox.get_nowait())
        except queue.Empty:
            pass
        now = self._engine.ctx.now
        if not messages or now - self._ticked >= self._longest:  # a busy loop looks at the clock as well
            messages.append(Tick(what="due"))
            self._ticked = now
        return messages

    def _step_until_written(self, messages: list[Any]) -> None:
        self._until_written(lambda messages: self._engine.step(*messages), messages)

    def _until_written(self, step: Callable[[list[Any]], None], messages: list[Any]) -> None:
        """A state that cannot be written (a full disk) stops everything but loses nothing: the step is done again."""
        while True:
            try:
                if self._behind:
                    self._engine.recover()
                    self._behind = False
                step(messages)
            except sqlite3.Error as error:
                self._behind = True
                if not isinstance(error, StateGoneError):
                    self._tell(error)
                elif self._mended(error):
                    continue
                came = self._pause()
                self._note_stop(came)
                if self._over:
                    return
                # To look everywhere is to be done anyway.
                messages = [*messages, *(one for one in came if not isinstance(one, Hint | Tick))]
            else:
                if self._told:
                    log.warning("The state can be written again.")
                    self._say("")
                return

    def _tell(self, error: sqlite3.Error) -> None:
        """Say once what is wrong with the state. Raises StateDamaged if that will not pass, and a defect as it is."""
        state = self._engine.ctx.settings.state
        if is_damage(error):
            raise StateDamaged(damaged(state, error)) from error
        if not isinstance(error, sqlite3.OperationalError):
            raise error
        self._say(f"{explained(state, error)}; nothing is sent until it can be written.")

    def _say(self, text: str) -> None:
        """In the log and where `status` finds it, once."""
        if text != self._told:
            self._told = text
            self.announce(text)
            if text:
                log.error("%s", text)

    def _mended(self, gone: StateGoneError) -> bool:
        """Put the state back where it was; false, and said, if that cannot be done for now."""
        try:
            told = self._mend()
            with self._engine.ctx.journal.transaction():
                self._engine.ctx.alarm(told)
        except (OSError, sqlite3.Error, StateUnusable) as error:
            self._say(f"{gone} It cannot be put back ({error}). Nothing is sent until it can.")
            return False
        return True

    def _pause(self) -> list[Any]:
        """What comes until it is time for the next attempt; a Stop ends the pause."""
        came: list[Any] = []
        end = self._engine.ctx.now + _STATE_TROUBLE
        if self._deadline is not None:
            end = min(end, self._deadline)
        while not (came and isinstance(came[-1], Stop)) and (left := end - self._engine.ctx.now) > 0:
            try:
                came.append(receive(self._engine.inbox, left))
            except queue.Empty:
                break
        return came

    def patience(self, deadline: float | None) -> float:
        """Seconds until the next thing is due."""
        now = self._engine.ctx.now
        # A folder's tune was adopted after its prompts were looked at, or one was held back and the next may go: no answer will
        # wake the loop.
        if self._restless:
            return _SOON
        known = [
            self._engine.intake.next_due(),
            None if self._engine.ctx.stopping else self._engine.doors.next_due(),  # nobody knocks any more
            self._engine.spending.next_due(),
            self._engine.adopting.next_due(),
            self._engine.deleting.next_due(),
            self._engine.telling.next_due(),
            self._engine.pulling.wakes(),
            self._engine.news.next_due(),
            deadline,
            # As of the last plan: what has become due since then was seen by nobody yet.
            self._engine.ctx.journal.next_deadline(self._engine.planned_at),
        ]
        nearest = min((moment for moment in known if moment is not None), default=now + self._longest)
        return min(self._longest, max(_SOON, nearest - now))

    @property
    def _restless(self) -> bool:
        parts = (self._engine.prompting, self._engine.adopting, self._engine.spending)
        return any(part.restless for part in parts)

    @property
    def idle(self) -> bool:
        """Whether nothing is left that could move by itself (`run --once`)."""
        if (
            self._engine.ctx.under_way
            or not self._engine.intake.idle
            or not self._engine.inbox.empty()
            or self._engine.prompting.restless
            or self._engine.adopting.restless
        ):
            return False
        if not self._looked_everywhere():
            return False
        closed = self._engine.ctx.gates.closed
        rest = {*FINAL_TUNES, *FINAL_PROMPTS, "waiting", "held"}
        if self._engine.sending.paused or closed.keys() & {gates.AUTH, gates.BALANCE}:
            rest |= {"queued"}
        if gates.AUTH in closed:
            rest |= {"generating", "training", "unsure"}
        untold = "current = 1 AND patch != '{}' AND state IN ('training', 'ready')"
        if gates.AUTH not in closed and self._engine.ctx.journal.tunes(untold):
            return False
        if gates.AUTH not in closed and (self._engine.auditing.urgent or self._engine.pulling.restless):
            return False
        # Of a root that is not there nothing is sent, nor of one with an output that cannot be read.
        sending = self._engine.ctx.walked - self._engine.adopting.resting()
        return not (
            self._moves("tunes", rest, sending)
            or self._moves("prompts", rest, sending - self._full())
            or self._moves("packs", rest, sending - self._full())
        )

    def _moves(self, table: str, rest: set[str], sending: set[str]) -> bool:
        """Whether a row is in none of the states `rest`; queued ones count only in roots of which something is sent, and not if
        the day's limit holds them back.
        """
        here = f"SELECT id FROM sources WHERE root IN ({','.join('?' * len(sending))})"
        also = _PACKS_BESIDE.get(table, "")
        also += " AND pulled = 0" if table == "prompts" else ""  # what was pulled: pulling.py
        sql = (
            f"SELECT 1 FROM {table} WHERE state NOT IN ({','.join('?' * len(rest))}) "
            f"AND (state != 'queued' OR (needs_mc IS NULL AND source_id IN ({here}))){also} LIMIT 1"
        )
        return self._engine.ctx.journal.value(sql, [*rest, *sending]) is not None

    def _full(self) -> set[str]:
        """Roots whose output takes no pictures at present (room.py)."""
        ctx = self._engine.ctx
        return {root for root, watch in ctx.watches.items() if ctx.journal.get(f"output:{watch.output}")}

    def _looked_everywhere(self) -> bool:
        broken = {root for root in self._engine.ctx.watches if self._engine.ctx.journal.get(f"root:{root}")}
        return self._engine.ctx.walked | broken >= set(self._engine.ctx.watches)
