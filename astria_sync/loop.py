"""The loop that turns the engine: how long to wait, what to take in at one go, and when to end."""

import logging
import math
import queue
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from astria_sync.core.model import Hint, Outcome, Reload, Stop, Tick
from astria_sync.core.work import Download, Lane, WriteSidecar
from astria_sync.engine import Engine
from astria_sync.errors import StateDamaged, StateUnusable
from astria_sync.idle import idle, looked_everywhere
from astria_sync.trouble import StateGoneError, damaged, explained, is_damage

log = logging.getLogger("astria_sync")

_LONGEST_WAIT: Final = 60.0  # seconds; something always wakes the loop within it
_SHORTEST_WAIT: Final = 1.0  # ... but need not more often than this only to look at the clock
_SOON: Final = 0.002
_AWAITED: Final = 0.1
# Seconds that requests under way are waited for at the end; what is not answered by then is unsure.
_DRAIN: Final = 8.0
_AT_ONCE: Final = 64  # messages in a step
_TOGETHER: Final = 0.1  # seconds that a picture waits for others to be written down with
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
        reload: Callable[[], bool] = lambda: False,
    ) -> None:
        """`mend` puts back a state that was taken away and tells of it; `announce` takes what cannot be written into the state;
        `reload` reads the configuration again, and says whether the loop is to end so that all begins anew with it.
        """
        self._engine = engine
        self._mend = mend or (lambda: f"The state was put back ({engine.ctx.journal.put_back()}).")
        self.announce = announce
        self._reload = reload
        self.ends_to_reload = False
        self.beat: Callable[[], float] = lambda: (
            math.inf
        )  # called on each turn; wants to be again so soon (heartbeat.py)
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
            again = self.beat()
            try:
                if (self._over and not self._paid_for) or (until_idle and self.idle):
                    return
                # Nothing that falls due is begun any more by a loop that waits for requests before a reload.
                patience = (
                    max(_AWAITED, self.patience(None)) if self._paid_for else self.patience(self._deadline)
                )
            except sqlite3.Error as error:
                self._tell(error)
                patience = _STATE_TROUBLE
            messages = self._messages(min(patience, again))
            self._note_stop(messages)
            self._note_reload(messages)
            self._step_until_written(messages)

    @property
    def _over(self) -> bool:
        return self._deadline is not None and self._engine.ctx.now >= self._deadline

    @property
    def _paid_for(self) -> bool:
        """Whether a reload still waits for requests: these are not cut short, nor is a long upload; pictures can be gone on with."""
        busy = self._engine.ctx.busy
        return self.ends_to_reload and bool(busy[Lane.UPLOADS] or busy[Lane.REQUESTS])

    def _note_reload(self, messages: list[Any]) -> None:
        """Only the last of several counts, and none once the end has come."""
        if self._engine.ctx.stopping or not any(isinstance(message, Reload) for message in messages):
            return
        if self._reload():
            self.ends_to_reload = self._engine.ctx.stopping = True
            self._deadline = self._engine.ctx.now + _DRAIN

    def _note_stop(self, messages: list[Any]) -> None:
        """From a Stop on, work under way is waited for, for a while; from a second one on, or if it says so, nothing is."""
        for stop in (message for message in messages if isinstance(message, Stop)):
            at_once = stop.now or (self._engine.ctx.stopping and not self.ends_to_reload)
            self.ends_to_reload = False
            self._engine.ctx.stopping = True
            self._withdraw()
            if not at_once and (awaited := self._awaited()):
                log.info(
                    "Stopping: %s awaited, for %g s at most. A second Ctrl-C ends it at once.",
                    awaited,
                    _DRAIN,
                )
            self._deadline = self._engine.ctx.now + (0.0 if at_once else _DRAIN)

    def _awaited(self) -> str:
        """What of the network is under way, with its verb; looks at folders are over soon."""
        busy = self._engine.ctx.busy
        sums = {
            "request": busy[Lane.UPLOADS] + busy[Lane.REQUESTS] + busy[Lane.ASIDE],
            "download": busy[Lane.DOWNLOADS],
        }
        parts = [f"{number} {what}{'s' * (number != 1)}" for what, number in sums.items() if number]
        return f"{' and '.join(parts)} {'are' if sum(sums.values()) > 1 else 'is'}" if parts else ""

    def _messages(self, patience: float) -> list[Any]:
        """What has come, and a tick if nothing has, or no tick for long; no more at once than keeps a step short."""
        messages: list[Any] = []
        try:
            messages.append(receive(self._engine.inbox, patience))
            until = self._engine.ctx.now + _TOGETHER
            while len(messages) < _AT_ONCE:
                left = until - self._engine.ctx.now
                if left > 0 and self._more_pictures(messages):
                    messages.append(receive(self._engine.inbox, left))
                else:
                    messages.append(self._engine.inbox.get_nowait())
        except queue.Empty:
            pass
        now = self._engine.ctx.now
        if not messages or now - self._ticked >= self._longest:  # a busy loop looks at the clock as well
            messages.append(Tick(what="due"))
            self._ticked = now
        return messages

    def _more_pictures(self, messages: list[Any]) -> bool:
        """Whether nothing but pictures and what tells of them has come, and other pictures will, while the threads have enough to
        do: one commit does for them.
        """
        ctx = self._engine.ctx
        works = [message.work for message in messages if isinstance(message, Outcome)]
        only = all(isinstance(one, Download | WriteSidecar) for one in works)
        if ctx.stopping or not only or len(works) < len(messages):
            return False
        pictures = sum(isinstance(one, Download) for one in works)
        return pictures < min(ctx.ahead, ctx.busy[Lane.DOWNLOADS])

    def _step_until_written(self, messages: list[Any]) -> None:
        self._until_written(lambda messages: self._engine.step(*messages), messages)
        if self._engine.ctx.stopping:
            self._withdraw()

    def _withdraw(self) -> None:
        """What the pool has not begun is not awaited: its row is as it was, and the next start begins it."""
        for piece in self._engine.pool.withdraw():
            self._engine.ctx.finish(piece)

    def _until_written(self, step: Callable[[list[Any]], None], messages: list[Any]) -> None:
        """A state that cannot be written (a full disk) stops everything but loses nothing: the step is done again."""
        while True:
            self.beat()
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
                self._note_reload(came)
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
            self._engine.following.vanishing.next_due,
            deadline,
            # As of the last plan: what has become due since then was seen by nobody yet.
            self._engine.ctx.journal.next_deadline(self._engine.planned_at, self._engine.following.asking()),
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
        return idle(self._engine)

    def looked_everywhere(self) -> bool:
        """Whether each root was seen, or could not be."""
        return looked_everywhere(self._engine)
