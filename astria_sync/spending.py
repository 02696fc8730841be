"""The day's limit: what is paid today, what is under way, and whether one more request may go.

What it holds back goes by itself as soon as the day has room for it: on the next day, with a higher limit, or because
something cost less. A prompt is `held` meanwhile; a tune stays queued, and the prompts that need it wait for it.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from astria_sync.clock import day_of
from astria_sync.context import Context
from astria_sync.core.lifecycle import Event
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.money import USD, dollars
from astria_sync.core.packrow import Pack
from astria_sync.core.prices import ANYTHING, Day, Kind, Leave, estimate, prompt_kind, room_for, tune_kind
from astria_sync.costs import HELD_BACK, PAID_BETWEEN, TABLES, coming
from astria_sync.judging import Ready
from astria_sync.mocks import MARK

_BOUNDLESS: Final = 2**62
_SPARE: Final = 16  # more rows than there are places: some of them may be held back
_LATEST: Final = 200  # of a family, to find one of the same kind among
_COLUMNS: Final = {"tune": "model_type, base_tune_id, params", "prompt": "target, params, num_images"}
# The last lines but one of these are, word for word, the conditions of indexes (schema.py).
_BOUGHT: Final = {
    "tune": f"""
        SELECT {_COLUMNS["tune"]}, cost_mc FROM tunes WHERE model_type = ? AND base_tune_id IS ?
        AND json_extract(params, '$.branch') IS ? AND json_extract(params, '$.id') IS NULL
        AND bound_at > 0 AND (cost_mc > 0 OR state = 'ready')
        ORDER BY id DESC LIMIT {_LATEST}""",
    "prompt": f"""
        SELECT {_COLUMNS["prompt"]}, cost_mc FROM prompts WHERE target = ?
        AND (coalesce(json_extract(params, '$.video_model'), '') != '') = ?
        AND bound_at > 0 AND (cost_mc > 0 OR state = 'done')
        ORDER BY id DESC LIMIT {_LATEST}""",
}
# Thousands of others of the family may have been bought since the last of this kind.
_BOUGHT_LIKE: Final = f"""
    SELECT {_COLUMNS["prompt"]}, cost_mc FROM prompts
    WHERE target = ? AND num_images = ? AND json_extract(params, '$.resolution') IS ?
    AND bound_at > 0 AND (cost_mc > 0 OR state = 'done')
    ORDER BY id DESC LIMIT {_LATEST}"""
# What is sent now is bound today, if at all. Of what is bound the price may be told at the end only; the plus keeps SQLite from
# going through all that runs.
_UNDER_WAY: Final = """
    SELECT {columns} FROM {what}s WHERE state IN ('uploading', 'submitting', 'unsure')
    UNION ALL
    SELECT {columns} FROM {what}s WHERE {between} AND cost_mc = 0 AND +state IN ('training', 'generating')"""
_WAITS: Final = "waits until it is known what others under way cost, for the day's limit of {limit}"
_HELD: Final = "the day's limit of {limit} leaves no room for it{price}; it goes on the next day, or on `astria-sync approve`"
_DEARER: Final = "it costs more than the day's limit of {limit}{price}; only `astria-sync approve` lets it go"


@dataclass(kw_only=True)
class Spending:
    """Asked before each paid request; the engine calls `begin` in each step."""

    ctx: Context
    restless: bool = field(default=False, init=False)  # something was held back: the next may go in its place
    _day: Day | None = field(default=None, init=False)  # as of this step
    _prices: dict[Kind, int | None] = field(default_factory=dict, init=False)  # likewise

    def begin(self) -> None:
        """A new step: whatever was known may have changed."""
        self.restless = False
        self._day = None
        self._prices.clear()

    # What things cost

    def price(self, kind: Kind) -> int | None:
        """What one more of this kind will cost; None if nothing like it was bought yet."""
        if kind not in self._prices:
            self._prices[kind] = estimate(kind, self._bought(kind))
        return self._prices[kind]

    def _bought(self, kind: Kind) -> Iterator[tuple[Kind, int]]:
        """What was bought: first what is much like it, then what is of its family, the latest first."""
        what, *key = kind.family
        if what == "prompt":
            images, resolution, *_ = kind.exact
            for row in self.ctx.journal.rows(_BOUGHT_LIKE, [key[0], images, resolution or None]):
                yield _kind_of(what, row), row["cost_mc"]
        for row in self.ctx.journal.rows(_BOUGHT[what], key):
            yield _kind_of(what, row), row["cost_mc"]

    # The day

    @property
    def limit(self) -> int | None:
        """The day's limit, in thousandths of a cent."""
        usd = self.ctx.settings.limits.spend_per_day_usd
        return max(1, round(usd * USD)) if usd else None

    @property
    def day(self) -> Day:
        """What this day has cost so far."""
        if self._day is None:
            self._day = Day(limit=self.limit) if self.limit is None else self._counted(self.limit)
        return self._day

    def _counted(self, limit: int) -> Day:
        between = day_of(self.ctx.wall)
        paid = sum(
            self.ctx.journal.value(
                f"SELECT coalesce(sum(cost_mc), 0) FROM {table} WHERE {PAID_BETWEEN[table]}", between
            )
            for table in TABLES
        )
        day = Day(limit=limit, paid=paid)
        for kind in self._under_way(between):
            day = day.plus(self.price(kind))
        for price, share in coming(self.ctx.journal.rows, "price_mc"):
            day = day.plus(None if price is None else share)
        return day

    def _under_way(self, between: tuple[float, float]) -> Iterator[Kind]:
        """What is sent, or may be, and has not told its price."""
        for what, columns in _COLUMNS.items():
            sql = _UNDER_WAY.format(columns=columns, what=what, between=PAID_BETWEEN[f"{what}s"])
            for row in self.ctx.journal.rows(sql, between):
                yield _kind_of(what, row)

    # May it go?

    @property
    def spare(self) -> int:
        """How many more rows to look at than there are places."""
        return 0 if self.limit is None else _SPARE

    @property
    def fitting(self) -> str:
        """A condition on queued rows: the limit does not hold it back, or the day has room for it now."""
        if self._least("tunes") is None:
            return "1"
        left = self.day.left
        return f"(needs_mc IS NULL OR needs_mc <= {_BOUNDLESS if left is None else left})"

    def lets_prompt(self, prompt: Prompt, ready: Ready) -> bool:
        """Whether a prompt may go now; if not, the row says why."""
        if self.limit is None:
            return True
        sent = prompt.armed_at is not None  # it goes out as it was
        kind = (
            kind_of_row(prompt)
            if sent
            else prompt_kind(ready.target, ready.params, ready.num_images, free=ready.free)
        )
        leave, price = self.ask(kind, approved=prompt.past_limit)
        if leave is Leave.NOT_TODAY:
            reason = self.reason(price)
            self.ctx.journal.move_prompt(
                prompt, Event.HELD, self.ctx.wall, reason=reason, needs_mc=room_for(price)
            )
        elif leave is Leave.LATER:
            self._waits("prompts", prompt)
        return leave is Leave.NOW

    def lets_tune(self, tune: Tune) -> bool:
        """Whether a tune may go now; if not, the row says why."""
        leave, price = self.ask(kind_of_row(tune), approved=tune.past_limit)
        journal = self.ctx.journal
        if leave is Leave.NOT_TODAY:
            reason = self.reason(price)
            journal.change(
                "tunes", tune.id, needs_mc=room_for(price), reason=reason, updated_at=self.ctx.wall
            )
            if tune.needs_mc is None:
                self.ctx.event("tune", tune.id, tune.source_id, "held", reason, level="warning")
        elif tune.needs_mc is not None:
            journal.change("tunes", tune.id, needs_mc=None, reason="")
        if leave is Leave.LATER:
            self._waits("tunes", journal.tune(tune.id))
        return leave is Leave.NOW

    def ask(self, kind: Kind, *, approved: bool) -> tuple[Leave, int | None]:
        """Whether one of this kind may go, and what it will cost; one that may counts from now on."""
        price = self.price(kind) if self.limit is not None else None
        return self.leave(price, approved=approved), price

    def leave(self, price: int | None, *, approved: bool) -> Leave:
        """Whether what costs so much may go; what may counts from now on."""
        leave = Leave.NOW if approved else self.day.leave(price)
        if leave is Leave.NOW:
            self._day = self.day.plus(price)
        self.restless |= leave is Leave.NOT_TODAY
        return leave

    def lets_pack(self, pack: Pack) -> bool:
        """Whether a pack may be run now, for the price that Astria tells; if not, the row says why."""
        if self.limit is None:
            return True
        leave = self.leave(pack.price_mc, approved=pack.past_limit)
        if leave is Leave.NOT_TODAY:
            needs, reason = room_for(pack.price_mc), self.reason(pack.price_mc)
            self.ctx.journal.move_pack(pack, Event.HELD, self.ctx.wall, reason=reason, needs_mc=needs)
        elif leave is Leave.LATER:
            self._waits("packs", pack)
        return leave is Leave.NOW

    def reason(self, price: int | None) -> str:
        """Why one that costs so much is held back."""
        limit = self.limit or 0
        if price is None:
            return _HELD.format(limit=dollars(limit / USD), price="")
        about = f" (about {dollars(price / USD)})"
        return (_DEARER if price > limit else _HELD).format(limit=dollars(limit / USD), price=about)

    def _waits(self, table: str, row: Tune | Prompt | Pack) -> None:
        reason = _WAITS.format(limit=dollars((self.limit or 0) / USD))
        if row.reason != reason:
            self.ctx.journal.change(table, row.id, reason=reason, updated_at=self.ctx.wall)

    # What goes on

    def wake(self, places: int) -> None:
        """Prompts that the limit held back and the day has room for now: into the queue again, so many at a time."""
        least = self._least("prompts")
        left = _BOUNDLESS if self.day.left is None else self.day.left
        if least is None or least > left:
            return
        fits = f"{HELD_BACK['prompts']} AND needs_mc BETWEEN ? AND ? ORDER BY id LIMIT ?"
        rows = self.ctx.journal.prompts(fits, [ANYTHING + 1, left, places])
        if not rows and not self.day.unpriced:  # of those that nobody knew the price of one at a time
            rows = self.ctx.journal.prompts(fits, [ANYTHING, ANYTHING, 1])
        for prompt in rows:
            self.ctx.journal.move_prompt(prompt, Event.SETTLED, self.ctx.wall, reason="", needs_mc=None)
        self.restless |= bool(rows)

    def _least(self, table: str) -> int | None:
        """What the first of those that are held back needs; None if nothing is."""
        least: int | None = self.ctx.journal.value(
            f"SELECT min(needs_mc) FROM {table} WHERE {HELD_BACK[table]}"
        )
        return least

    def tell(self) -> None:
        """Where `status` finds it; and the log says when it begins and ends."""
        before = self.ctx.journal.get("day_limit")
        if self.limit is None and before is None:
            return
        holds = any(self._least(table) is not None for table in HELD_BACK)
        now = self.ctx.settings.limits.spend_per_day_usd if holds else None
        if now == before:
            return
        self.ctx.journal.put("day_limit", now)
        told = (
            "nothing is held back any more"
            if now is None
            else f"{dollars(now)}: what would pass it is held back"
        )
        self.ctx.event("daemon", None, None, "day's limit", f"The day's limit: {told}", level="warning")

    def next_due(self) -> float | None:
        """When the next day begins, if something waits for it, on the engine's clock."""
        if self.ctx.journal.get("day_limit") is None:
            return None
        return self.ctx.now + day_of(self.ctx.wall)[1] - self.ctx.wall


def kind_of_row(row: Tune | Prompt) -> Kind:
    """The kind of a row whose request is fixed."""
    if isinstance(row, Tune):
        return tune_kind(row.model_type, row.base_tune_id, row.params)
    return prompt_kind(row.target, row.params, row.num_images, free=MARK in row.variant)


def _kind_of(what: str, row: sqlite3.Row) -> Kind:
    """The same of a row that was read in part."""
    params = json.loads(row["params"])
    if what == "tune":
        return tune_kind(row["model_type"], row["base_tune_id"], params)
    return prompt_kind(row["target"], params, row["num_images"])
