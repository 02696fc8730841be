"""Tunes that Astria may have no more: a refused prompt lets them be asked for by id; what was refused for one goes on with the next.

Asking costs nothing. A tune is taken for gone when Astria has said so several times, some time apart: one replica may lag.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.expiry import tunes_of
from astria_sync.core.lifecycle import Event, PromptState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.retry import Answer
from astria_sync.late import give_up
from astria_sync.prompting import Prompting

ASKING: Final = "Astria refused it; whether the tunes that it uses are still there is being asked"
REFUSED: Final = "Astria refused it"
EXPIRED: Final = "Astria has deleted the tune at the end of its 30 days"
GONE: Final = "Astria does not have tune {id} any more: it was deleted there"
_SURE_AFTER: Final = 3  # times: the refusal, and two answers to GET
_STATUSES: Final = {404, 410, 422}
_SUSPECTED: Final = "state = 'ready' AND absent > 0"


@dataclass(kw_only=True)
class Vanishing:
    """Owns `absent` of tunes that are ready, and prompts that were refused while it is asked."""

    ctx: Context
    prompting: Prompting
    ask: Callable[[Tune], None]
    restless: bool = field(default=True, init=False)  # some tune is asked for; at the start nobody knows
    next_due: float | None = field(default=None, init=False)  # None also while nothing can be asked

    def plan(self) -> None:
        """Ask for those whose time has come."""
        self.next_due = None
        if not self.restless or not self.ctx.gates.reads:
            return
        suspected = self.ctx.journal.tunes(_SUSPECTED)
        self.restless = bool(suspected)
        for tune in suspected:
            if tune.next_at > self.ctx.now:
                self.next_due = min(tune.next_at, self.next_due or tune.next_at)
            elif self.ctx.free(work.Lane.REQUESTS):
                self.ask(tune)

    def refused(self, prompt: Prompt, answer: Answer) -> str:
        """Why it failed, in our words: it may be for a tune that is not there any more."""
        if answer.status not in _STATUSES:
            return REFUSED
        used = [tune for tune in self._used(prompt, "ready") if tune.workspace == prompt.workspace]
        for tune in used:
            if not tune.absent:
                self.ctx.journal.change("tunes", tune.id, absent=1, next_at=self.ctx.now)
        self.restless = self.restless or bool(used)
        return ASKING if used else REFUSED

    def is_there(self, tune: Tune) -> None:
        """Astria shows it: what was refused was refused for something else."""
        for prompt in self._asking(tune):
            if not any(one.absent for one in self._used(prompt, "ready")):
                self.ctx.journal.change("prompts", prompt.id, reason=REFUSED)
                self.ctx.event("prompt", prompt.id, prompt.source_id, "tunes are there", "", level="debug")

    def is_not(self, tune: Tune) -> tuple[Event, str] | None:
        """Astria said once more that it has none of that id: what has become of it, as soon as that is sure."""
        if tune.expires_at is not None and tune.expires_at <= self.ctx.wall:
            return Event.EXPIRED, EXPIRED
        times = max(tune.absent, 1) + 1
        if times >= _SURE_AFTER:
            return Event.GONE, GONE.format(id=tune.remote_id)
        later = self.ctx.now + self.ctx.settings.timing.reconcile_after_seconds
        self.ctx.journal.change("tunes", tune.id, absent=times, next_at=later)
        self.restless = True
        return None

    def left_behind(self, tune: Tune) -> None:
        """It is gone: what was refused for it was never made, and waits for the folder's next tune."""
        for prompt in self._asking(tune):
            give_up(self.ctx.journal, prompt, self.ctx.wall)  # should a list show it all the same
            anew = {
                "armed_at": None,
                "watermark": None,
                "seed": None,
                "attempt": 0,
                "next_at": 0,
                "lost": False,
            }
            moved = self.ctx.journal.move_prompt(
                prompt, Event.RETRY, self.ctx.wall, reason="", error="", approved=True, **anew
            )
            self.prompting.evaluate(self.ctx.journal.prompt(moved.id))

    def _used(self, prompt: Prompt, state: str) -> list[Tune]:
        ids = list(tunes_of(prompt.text, prompt.target))
        where = f"state = ? AND remote_id IN ({','.join('?' * len(ids))})"
        return list(self.ctx.journal.tunes(where, [state, *ids]))

    def _asking(self, tune: Tune) -> list[Prompt]:
        where = "state = ? AND reason = ? AND current = 1 AND remote_id IS NULL"
        found = self.ctx.journal.prompts(where, [PromptState.FAILED, ASKING])
        return [one for one in found if tune.remote_id in set(tunes_of(one.text, one.target))]
