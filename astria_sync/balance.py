"""The account's balance: asked for now and then while money goes out, and a warning before it runs out."""

from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.money import USD, dollars
from astria_sync.costs import PAID_BETWEEN, TABLES

LOW: Final = "low_balance"  # in the state's `meta`: a sentence for `status`
_EVERY: Final = 3600.0  # seconds between questions
_SOON: Final = 60.0  # seconds, when what was told last cannot be true any more
# Seconds between sums of what was paid since: a day of thousands takes milliseconds to add up.
_SELDOM: Final = 10.0
_FIRST: Final = 300.0  # seconds after the start
_DAY: Final = 86_400.0
_LEAST: Final = USD // 2  # half a dollar is little, whatever a day costs


@dataclass(kw_only=True)
class Balance:
    """Asks `GET /users` (doors.py hears the answer), not oftener than each hour, and only after something was paid for."""

    ctx: Context
    _next: float = field(default=0.0, init=False)
    _asked: float = field(default=0.0, init=False)
    _added: float = field(default=0.0, init=False)

    def plan(self) -> None:
        """Called on ticks."""
        now = self.ctx.now
        usual = max(self._next, self.ctx.began + _FIRST)
        if not self.ctx.gates.reads or now < min(usual, max(self._asked + _SOON, self._added + _SELDOM)):
            return
        self._added = now
        if now < usual and not self._topped_up():
            return
        self._next, self._asked = now + _EVERY, now
        lately = "SELECT 1 FROM {} WHERE bound_at > ? AND attempt > 0 LIMIT 1"
        since = self.ctx.wall - 2 * _EVERY
        if any(self.ctx.journal.value(lately.format(table), [since]) for table in TABLES):
            self.ctx.start("probe", work.Probe())

    def _topped_up(self) -> bool:
        """More was paid since than there was: what was told last is not true any more."""
        journal = self.ctx.journal
        told_at = journal.get("balance_at")
        if told_at is None:  # as if there were no end to it
            return False
        later = "SELECT coalesce(sum(cost_mc), 0), count(*) FROM {} WHERE bound_at > ? AND attempt > 0"
        sums = [row for table in TABLES for row in journal.rows(later.format(table), [told_at])]
        paid, count = sum(int(row[0]) for row in sums), sum(int(row[1]) for row in sums)
        left = int(journal.get("balance_mc", 0))
        return count > 0 and paid >= max(left, 0)


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
