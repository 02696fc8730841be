"""What was paid, and what the day's limit holds back, in the words of SQL: for `status`, and for the limit itself."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Final

from astria_sync.clock import day_of
from astria_sync.core.prices import USD, dollars
from astria_sync.wording import things

TABLES: Final = ("tunes", "prompts")
# An order without an attempt of ours was found in the account: it cost then, not today. A clock that was wrong for a while
# may have left orders of a day to come.
PAID_BETWEEN: Final = "bound_at >= ? AND bound_at < ? AND attempt > 0"
# What the day's limit holds back: a tune stays queued, since a tune cannot be `held` (contract).
HELD_BACK: Final = {
    "prompts": "needs_mc IS NOT NULL AND +state = 'held'",
    "tunes": "needs_mc IS NOT NULL AND +state = 'queued'",
}


def spent(connection: sqlite3.Connection, within: str, now: float) -> dict[str, float]:
    """What was ordered from here; `within` is a condition on sources `s`. A tune that `id` in tune.toml names was paid for
    elsewhere, once.
    """
    total = today = 0
    for table in TABLES:
        own = "json_extract(o.params, '$.id') IS NULL" if table == "tunes" else "1"
        sql = f"""
            SELECT coalesce(sum(o.cost_mc), 0), coalesce(sum(o.cost_mc * ({PAID_BETWEEN})), 0)
            FROM {table} o JOIN sources s ON s.id = o.source_id WHERE o.cost_mc > 0 AND {own} AND {within}"""
        sums = connection.execute(sql, day_of(now)).fetchone()
        total, today = total + sums[0], today + sums[1]
    return {"today_usd": today / USD, "total_usd": total / USD}


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
    return (
        connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'prompts_needs'").fetchone() is not None
    )
