"""What may yet turn up at Astria: lists that are to be read once more, and orders that were given up."""

import dataclasses
import json
import math
from collections.abc import Iterable
from typing import Final

from astria_sync.context import Context
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import Prompt, Tune, kind_of
from astria_sync.core.packrow import Pack
from astria_sync.core.reconcile import Row, key_of
from astria_sync.journal import Journal

# When lists are read again after a request was given up for lost, times reconcile_after_seconds: with 60 s after ten minutes,
# two hours and a day. What appears later than that is seen by any other list that reaches down to it.
_AGAIN_AFTER: Final = (10, 120, 1440)
_SLOT: Final = 10  # times reconcile_after_seconds; many requests lost at about the same time are one reading
_URGENT: Final = 10  # fruitless readings, reconcile_after_seconds apart, that `run --once` waits for
_KEPT: Final = 40 * 86400.0  # seconds; Astria deletes what it made after 30 days


def expect(ctx: Context, row: Row | Pack) -> None:
    """An unsure request is about to be sent again, or dropped: a server may still carry it out, or show it later."""
    step = ctx.settings.timing.reconcile_after_seconds
    for times in _AGAIN_AFTER:
        slot = math.ceil((ctx.now + times * step) / (_SLOT * step)) * _SLOT * step
        _reread(ctx.journal, row, slot, urgent=0)


def latest(ctx: Context) -> float:
    """No reading is further away than this, unless the clock was set back since it was noted."""
    return ctx.now + (_AGAIN_AFTER[-1] + _SLOT) * ctx.settings.timing.reconcile_after_seconds


def expect_now(ctx: Context, row: Row | Pack) -> None:
    """A request that was sent more than once has its object: the lists are read down to its watermark once more."""
    spare = not isinstance(row, Pack) and row.spare_of is not None
    if row.lost and row.attempt > 1 and not spare:
        _reread(ctx.journal, row, ctx.now, urgent=_URGENT)


def _reread(journal: Journal, row: Row | Pack, at: float, *, urgent: int) -> None:
    down_to = row.watermark or 0
    kind = "prompt" if isinstance(row, Pack) else kind_of(row)  # what shows of a pack are its prompts
    same = "SELECT id, down_to FROM rereads WHERE kind = ? AND workspace = ? AND next_at = ? AND urgent = ?"
    for known in journal.rows(same, [kind, row.workspace, at, urgent]):
        journal.change("rereads", known["id"], down_to=min(known["down_to"], down_to))
        return
    journal.add("rereads", kind=kind, workspace=row.workspace, down_to=down_to, next_at=at, urgent=urgent)


def give_up(journal: Journal, row: Row, wall: float) -> None:
    """The row is about to be dropped or made anew: keep what recognises its request, if it was ever sent."""
    if row.armed_at is None:
        return
    for old in journal.rows("SELECT id FROM given_up WHERE at < ?", [wall - _KEPT]):
        journal.drop("given_up", old["id"])
    journal.add(
        "given_up",
        kind=kind_of(row),
        source_id=row.source_id,
        workspace=row.workspace,
        key=key_of(row),
        columns=json.dumps(dataclasses.asdict(row)),
        at=wall,
    )


def forget(ctx: Context, row: Row) -> None:
    """Its file went, or was edited, while it was unsure whether Astria has it, and it has not: nobody wants it any more."""
    why = "its file has changed or gone and Astria never had it"
    ctx.event(kind_of(row), row.id, row.source_id, "dropped", why)
    give_up(ctx.journal, row, ctx.wall)
    ctx.journal.drop(f"{kind_of(row)}s", row.id)


def given_up(journal: Journal, kind: str, workspace: str, key: str) -> Iterable[tuple[int, Row]]:
    """Orders of this seed or title that were given up, newest first, each with the id of its record."""
    sql = "SELECT id, columns FROM given_up WHERE key = ? AND kind = ? AND workspace = ? ORDER BY id DESC"
    for found in journal.rows(sql, [key, kind, workspace]):
        kept = json.loads(found["columns"])
        # A later version may know columns that this row had not.
        columns = {
            one.name: kept.get(one.name) for one in dataclasses.fields(Tune if kind == "tune" else Prompt)
        }
        if kind == "tune":
            yield found["id"], Tune(**{**columns, "state": TuneState(kept["state"])})
        else:
            yield found["id"], Prompt(**{**columns, "state": PromptState(kept["state"])})
