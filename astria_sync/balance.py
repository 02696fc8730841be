"""The account's balance: asked for now and then while money goes out, and a warning before it runs out."""

from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.prices import USD, dollars
from astria_sync.costs import PAID_BETWEEN, TABLES

LOW: Final = "low_balance"  # in the state's `meta`: a sentence for `status`
_EVERY: Final = 3600.0  # seconds between questions
_SOON: Final = 60.0  # seconds, when what was told last cannot be true any more
_FIRST: Final = 300.0  # seconds after the start
_DAY: Final = 86_400.0
_LEAST: Final = USD // 2  # half a dollar is little, whatever a day costs


@dataclass(kw_only=True)
class Balance:
    """Asks `GET /users` (doors.py hears the answer), not oftener than each hour, and only after something was paid for."""

    ctx: Context
    _next: float = field(default=0.0, init=False)
    _asked: float = field(default=0.0, init=False)

    def plan(self) -> None:
        """Called on ticks."""
        now = self.ctx.now
        usual = max(self._next, self.ctx.began + _FIRST)
        due = min(usual, self._asked + _SOON) if self._topped_up() else usual
        if now < due or not self.ctx.gates.reads:
            return
        self._next, self._asked = now + _EVERY, now
        lately = "SELECT 1 FROM {} WHERE bound_at > ? AND attempt > 0 LIMIT 1"
        since = self.ctx.wall - 2 * _EVERY
        if any(self.ctx.journal.value(lately.format(table), [since]) for table in TABLES):
            self.ctx.start("probe", work.Probe())

    def _topped_up(self) -> bool:
        """Something was paid for since there was nothing left: what was told last is not true any more."""
        journal = self.ctx.journal
        if journal.get("balance_mc", 1) > 0:
            return False
        later = "SELECT 1 FROM {} WHERE bound_at > ? AND attempt > 0 LIMIT 1"
        told_at = journal.get("balance_at", 0.0)
        return any(journal.value(later.format(table), [told_at]) for table in TABLES)


def note(ctx: Context, balance_mc: int) -> None:
    """Astria told the balance; say so if it is less than what the last day cost."""
    journal = ctx.journal
    journal.put("balance_mc", balance_mc)
    journal.put("balance_at", ctx.wall)
    day = [ctx.wall - _DAY, ctx.wall + 1]
    paid = sum(
        journal.value(f"SELECT coalesce(sum(cost_mc), 0) FROM {table} WHERE {PAID_BETWEEN[table]}", day)
        for table in TABLES
    )
    low = paid > 0 and balance_mc < max(paid, _LEAST)
    text = (
        f"Astria's balance is {dollars(balance_mc / USD)}, and the last day cost {dollars(paid / USD)}: top it up before it runs out."
        if low
        else None
    )
    if text and journal.get(LOW) is None:
        ctx.say("warning", text)
    if journal.get(LOW) != text:
        journal.put(LOW, text)
