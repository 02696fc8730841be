"""What was paid, and what the day's limit holds back, in the words of SQL: for `status`, and for the limit itself."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from math import ceil
from typing import Any, Final

from astria_sync.clock import day_of, month_of
from astria_sync.core.money import USD, dollars
from astria_sync.wording import things

_COMING: Final = (
    "SELECT {what} AS what, state, expected, (SELECT count(*) FROM prompts WHERE pack_run = packs.id) AS known "
    "FROM packs WHERE state IN ('submitting', 'unsure', 'generating') AND attempt > 0"
)
TABLES: Final = ("tunes", "prompts")
# Of what was found in the account `bound_at` is when Astria made it: it was paid for then. A clock that was wrong for a while
# may have left orders of a day to come. Of what was pulled it is NULL.
_BOUND: Final = "bound_at >= ? AND bound_at < ?"
PAID_BETWEEN: Final = {"tunes": f"{_BOUND} AND json_extract(params, '$.id') IS NULL", "prompts": _BOUND}
# What `id` in tune.toml names, and what was pulled, was paid for elsewhere.
_OWN: Final = {"tunes": "json_extract(o.params, '$.id') IS NULL", "prompts": "o.pulled = 0"}
# What the day's limit holds back: a tune stays queued, since a tune cannot be `held` (contract).
HELD_BACK: Final = {
    "prompts": "needs_mc IS NOT NULL AND +state = 'held'",
    "tunes": "needs_mc IS NOT NULL AND +state = 'queued'",
    "packs": "needs_mc IS NOT NULL AND +state = 'held' AND current = 1",
}


def coming(rows: Callable[[str], Iterable[Any]], what: str) -> Iterator[tuple[int | None, int]]:
    """For each run of a pack that is under way a column of it, and of that the share of the prompts that no row shows yet."""
    for row in rows(_COMING.format(what=what)):
        missing = max(0, row["expected"] - row["known"]) if row["state"] == "generating" else row["expected"]
        value = row["what"]
        yield value, ceil((value or 0) * missing / max(1, row["expected"]))


def spent(connection: sqlite3.Connection, within: str, now: float) -> dict[str, float]:
    """What was ordered from here; `within` is a condition on sources `s`. A tune that `id` in tune.toml names, and what is
    pulled, was paid for elsewhere.
    """
    total = today = month = 0
    began, ends = day_of(now)
    for table in TABLES:
        of = f"{table} o" if within == "1" else f"{table} o JOIN sources s ON s.id = o.source_id"
        sql = f"""
            SELECT coalesce(sum(o.cost_mc), 0), coalesce(sum(o.cost_mc * ({_BOUND})), 0),
                coalesce(sum(o.cost_mc * ({_BOUND})), 0)
            FROM {of} WHERE o.cost_mc > 0 AND {within}"""
        own, other = f"{sql} AND {_OWN[table]}", ""
        if table == "prompts" and within == "1":  # all of them by one index, without those of another
            own, other = sql, f"{sql} AND o.pulled = 1"
        sums = connection.execute(own, [began, ends, month_of(now), ends]).fetchone()
        less = (
            connection.execute(other, [began, ends, month_of(now), ends]).fetchone() if other else (0, 0, 0)
        )
        total, today, month = total + sums[0] - less[0], today + sums[1] - less[1], month + sums[2] - less[2]
    return {"today_usd": today / USD, "month_usd": month / USD, "total_usd": total / USD}


def spent_by_folder(connection: sqlite3.Connection, within: str, now: float) -> list[dict[str, Any]]:
    """The same for each folder that something was paid for, the dearest first: a tune's own, a prompt's the one that it lies in."""
    _, ends = day_of(now)
    folders: dict[tuple[str, str], list[int]] = {}
    for table in TABLES:
        sql = f"""
            SELECT s.root, s.path, s.kind, sum(o.cost_mc), sum(o.cost_mc * ({_BOUND}))
            FROM {table} o JOIN sources s ON s.id = o.source_id
            WHERE o.cost_mc > 0 AND {_OWN[table]} AND {within} GROUP BY s.id"""
        for root, path, kind, total, month in connection.execute(sql, [month_of(now), ends]):
            folder = path if kind == "folder" else path.rpartition("/")[0] or "."
            sums = folders.setdefault((root, folder), [0, 0])
            sums[0], sums[1] = sums[0] + total, sums[1] + month
    return [
        {"root": root, "path": path, "month_usd": month / USD, "total_usd": total / USD}
        for (root, path), (total, month) in sorted(folders.items(), key=lambda one: (-one[1][0], one[0]))
    ]


def held_back(connection: sqlite3.Connection, within: str, now: float) -> Iterator[dict[str, str]]:
    """The problem that the day's limit is, if it holds something back."""
    limit = connection.execute("SELECT value FROM meta WHERE key = 'day_limit'").fetchone()
    if limit is None or not _is_known(connection):
        return
    held = []
    for table, condition in HELD_BACK.items():
        rows = (
            f"SELECT count(*) FROM {table} JOIN sources s ON s.id = source_id WHERE {condition} AND {within}"
        )
        if number := connection.execute(rows).fetchone()[0]:
            held.append(things(number, table.removesuffix("s")))
    if held:
        today = dollars(spent(connection, "1", now)["today_usd"])
        yield {
            "kind": "limit",
            "text": f"{today} of the day's limit of {dollars(json.loads(limit[0]))} is spent; {' and '.join(held)} held back "
            "until the next day, or until `astria-sync approve`.",
        }


def _is_known(connection: sqlite3.Connection) -> bool:
    """Not yet in a state that an earlier version has left."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'packs_state'").fetchone() is not None
