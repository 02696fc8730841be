"""What `status` tells, from SQLite alone: read-only, with or without a daemon, with nothing imported that can write.

`snapshot` is the JSON of the contract (section 6) with a few keys more; wording.py says why each thing stands where it does.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from astria_sync.concerns import circumstances, facts, troubles
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.money import USD
from astria_sync.core.pseudoroots import place_of
from astria_sync.costs import spent, spent_by_folder
from astria_sync.reading import reading
from astria_sync.stale import FAILED_PROMPT, FAILED_TUNE, SAID_OF_TUNE, STALE_PACK, STALE_PROMPT, STALE_TUNE
from astria_sync.wording import Circumstances, why_and_then

SCHEMA: Final = 1  # of the JSON: counts up when a key changes its meaning

# What one reads first; the rest by path.
_ORDER: Final = {
    state: place
    for place, states in enumerate(
        (
            ("failed", "expired", "deleted"),
            ("unsure", "held"),
            ("waiting", "queued"),
            ("uploading", "submitting", "training", "generating", "downloading"),
            ("settling",),
            ("ready", "done"),
        )
    )
    for state in states
}

_COMMON: Final = (
    "o.id AS row, s.path, s.root, s.problem, o.state, o.remote_id AS id, o.reason, o.error, o.updated_at, "
    "o.next_at, o.url, o.cost_mc, o.spare_of, o.delete_at"
)
_OF_PACK: Final = "(SELECT coalesce(nullif(slug, ''), name) FROM packs WHERE id = o.pack_run) AS pack"
_NO_CROWD: Final = "0 AS crowd, 0 AS is_read"
_TUNES: Final = f"""
    SELECT 'tune' AS kind, {_COMMON}, 0 AS pulled, o.changed, ({FAILED_TUNE}) AS failed, ({STALE_TUNE}) AS stale, '{{}}' AS variant, 0 AS saved, 0 AS wanted, {_NO_CROWD},
        EXISTS (SELECT 1 FROM packs k WHERE k.source_id = o.source_id AND k.current = 1 AND k.state = 'held') AS pack_held
    FROM tunes o JOIN sources s ON s.id = o.source_id"""
_PROMPTS: Final = f"""
    SELECT 'prompt' AS kind, {_COMMON}, o.pulled, o.folder, o.output, o.stem, 0 AS changed, ({FAILED_PROMPT}) AS failed, ({STALE_PROMPT}) AS stale, o.variant, {_OF_PACK},
        o.crowd = 1 AND o.approved = 0 AS crowd, o.fingerprint != '' AS is_read,
        (SELECT count(*) FROM images WHERE prompt_id = o.id AND state = 'saved') AS saved,
        (SELECT count(*) FROM images WHERE prompt_id = o.id) AS wanted
    FROM prompts o JOIN sources s ON s.id = o.source_id"""
_PACKS: Final = f"""
    SELECT 'pack' AS kind, 0 AS pulled, o.id AS row, s.path, s.root, s.problem, o.state, o.order_id AS id, o.reason, o.error, o.updated_at,
        o.next_at, '' AS url, 0 AS cost_mc, NULL AS spare_of, NULL AS delete_at, 0 AS changed, o.state = 'failed' AS failed,
        ({STALE_PACK}) AS stale, '{{}}' AS variant, {_NO_CROWD}, coalesce(nullif(o.slug, ''), o.name) AS pack, o.expected AS wanted,
        (SELECT count(*) FROM prompts WHERE pack_run = o.id AND spare_of IS NULL) AS saved
    FROM packs o JOIN sources s ON s.id = o.source_id"""

# Prompts by indexes alone: those that may be none of the counted, and those that there may be something to say of.
_MAY_NOT_COUNT: Final = (
    "SELECT id FROM prompts WHERE state IN ('failed', 'deleted') UNION SELECT id FROM prompts WHERE spare_of IS NOT NULL "
    "UNION SELECT id FROM prompts WHERE pulled = 1 AND state = 'done'"
)
_MAY_TELL: Final = (
    f"SELECT id FROM prompts WHERE state IN ({', '.join(repr(str(one)) for one in PromptState if one != PromptState.DONE)}) "
    "UNION SELECT id FROM prompts WHERE reason != '' UNION SELECT id FROM prompts WHERE delete_at > 0 "
    "UNION SELECT id FROM prompts WHERE source_id IN (SELECT id FROM sources WHERE problem != '')"
)


def snapshot(
    state: Path,
    *,
    now: float,
    daemon: Mapping[str, Any],
    paths: Sequence[str] = (),
    everything: bool = False,
) -> dict[str, Any]:
    """Everything `status` knows. `paths`, absolute, limit it to what lies at or below them."""
    with reading(state) as connection:
        if connection is None or not has_tables(connection):
            return _empty(daemon)
        within = limit(connection, paths)
        meta = facts(connection)
        around = circumstances(meta, now=now, running=bool(daemon["running"]))
        wrong = troubles(connection, within, meta, around)
        shown = sorted(_orders(connection, within, everything=everything), key=_rank)
        return {
            **_empty(daemon),
            "paused": around.paused,
            "counts": _counts(connection, within),
            "spent": spent(connection, within, now)
            | ({"folders": spent_by_folder(connection, within, now)} if everything else {}),
            "balance_usd": meta["balance_mc"] / USD if isinstance(meta.get("balance_mc"), int) else None,
            "problems": wrong,
            "failed": any(_failed(order) for order in shown) or any(one["kind"] == "file" for one in wrong),
            "items": [_item(order, around) for order in shown],
        }


def limit(connection: sqlite3.Connection, paths: Sequence[str]) -> str:
    """A condition on sources `s`: at or below one of the paths."""
    if not paths:
        return "1"

    def within(root: str, path: str) -> bool:
        place = place_of(root) if path == "." else os.path.join(place_of(root), path)
        return any(one in {place, "/"} or place.startswith(one + "/") for one in paths)

    connection.create_function("within", 2, within, deterministic=True)
    return "within(s.root, s.path)"


def saved_pictures(state: Path, since: float = 0.0) -> list[dict[str, Any]]:
    """Every picture saved since then: which file it came from, where it lies, its size, oldest first."""
    sql = """
        SELECT s.root, s.path, p.id AS prompt, p.remote_id AS id, p.output, p.folder, i.n, i.file, i.size, p.cost_mc, p.pulled
        FROM images i JOIN prompts p ON p.id = i.prompt_id JOIN sources s ON s.id = p.source_id
        WHERE i.state = 'saved' AND i.saved_at >= ? ORDER BY i.saved_at, i.id"""
    with reading(state) as connection:
        if connection is None or not has_tables(connection):
            return []
        rows = [dict(row) for row in connection.execute(sql, [since])]
    return [
        row | {"location": Path(row["output"], row["folder"], os.path.basename(row["file"]))} for row in rows
    ]


def roots_known(state: Path) -> set[str]:
    """Every root that something was ever ordered from, also those that are watched no more."""
    with reading(state) as connection:
        if connection is None or not has_tables(connection):
            return set()
        return {place_of(row["root"]) for row in connection.execute("SELECT DISTINCT root FROM sources")}


def has_tables(connection: sqlite3.Connection) -> bool:
    """Not yet in the instant after a daemon made the file."""
    tables = (
        "SELECT count(*) FROM sqlite_master WHERE name IN ('meta', 'sources', 'tunes', 'prompts', 'images')"
    )
    return bool(connection.execute(tables).fetchone()[0] == 5)


def _empty(daemon: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": SCHEMA,
        "paused": False,
        "daemon": dict(daemon),
        "counts": {
            "tunes": {str(one): 0 for one in TuneState},
            "prompts": {str(one): 0 for one in PromptState},
            "images": {"saved": 0, "bytes": 0},
        },
        "spent": {"today_usd": 0.0, "month_usd": 0.0, "total_usd": 0.0},
        "balance_usd": None,
        "failed": False,
        "problems": [],
        "items": [],
    }


def _orders(connection: sqlite3.Connection, within: str, *, everything: bool) -> Iterator[sqlite3.Row]:
    """What is unfinished, failed, or finished with something to be said; or everything."""
    telling = "o.state NOT IN ('ready', 'done') OR s.problem != '' OR o.reason != ''"
    deleting = " OR (o.delete_at > 0 AND o.state != 'deleted')"
    ordered = "NOT (o.pulled = 1 AND o.state IN ('done', 'failed'))"
    selects = (
        (_TUNES, STALE_TUNE, " OR o.changed = 1", deleting, "1"),
        (_PROMPTS, STALE_PROMPT, "", deleting, ordered),
        (_PACKS, f"{STALE_PACK} OR ({SAID_OF_TUNE})", "", "", "1"),
    )
    for select, stale, also, in_any_case, every in selects:
        wanted = every if everything else f"({telling}{also}) AND NOT ({stale}){in_any_case}"
        if select == _PROMPTS and not everything:
            wanted = f"o.id IN ({_MAY_TELL}) AND ({wanted})"
        yield from connection.execute(f"{select} WHERE {_mine(select, within)} AND ({wanted})")


def _mine(select: str, within: str) -> str:
    """The same condition on orders: what a local pack asks for of a folder belongs to that folder as well."""
    if "prompts o" not in select or within == "1":
        return within
    of_it = within.replace("s.", "f.")
    return f"({within} OR EXISTS (SELECT 1 FROM sources f WHERE f.id = o.subject_id AND {of_it}))"


def pick(
    connection: sqlite3.Connection, table: str, where: str, around: Circumstances, most: int
) -> list[tuple[int, dict[str, Any]]]:
    """Orders of a table that a condition on `o` and its source `s` chooses, what changed last in front: each row's id, and its item."""
    select = {"tunes": _TUNES, "prompts": _PROMPTS, "packs": _PACKS}[table]
    rows = connection.execute(f"{select} WHERE {where} ORDER BY o.updated_at DESC, o.id LIMIT {most}")
    return [(row["row"], _item(row, around)) for row in rows]


def _failed(order: sqlite3.Row) -> bool:
    return not order["stale"] and bool(order["failed"] or order["problem"])


def _rank(order: sqlite3.Row) -> tuple[int, str, str, int]:
    first = 0 if _failed(order) else _ORDER[order["state"]]
    return first, order["root"], order["path"], order["row"]


def _item(order: sqlite3.Row, around: Circumstances) -> dict[str, Any]:
    why, then = why_and_then(order, around)
    if order["spare_of"] is not None:
        why = f"made by Astria besides what was asked for; {why}"
    item = {
        "kind": order["kind"],
        "path": order["path"],
        "root": order["root"],
        "state": order["state"],
        "id": order["id"],
        "reason": "; ".join(part for part in (why, then) if part),
        "updated_at": _iso(order["updated_at"]),
        "why": why,
        "then": then,
        "error": order["error"],
        "page": order["url"],
        "cost_usd": order["cost_mc"] / USD,
    }
    if order["kind"] == "prompt":
        item |= {"variant": json.loads(order["variant"]), "images_saved": order["saved"]}
    if order["kind"] == "pack":
        item |= {"prompts": order["wanted"]}
    if order["kind"] != "tune" and order["pack"]:
        item |= {"pack": order["pack"]}
    if order["spare_of"] is not None:
        item["duplicate"] = True
    if order["pulled"]:
        item |= {
            "path": f"{order['folder']}/{order['stem']}-{order['id']}",
            "root": order["output"],
            "pulled": True,
        }
    return item


def _counts(connection: sqlite3.Connection, within: str) -> dict[str, Any]:
    counts: dict[str, Any] = _empty({})["counts"]
    counted = (
        "SELECT o.state, count(*) FROM {} o JOIN sources s ON s.id = o.source_id WHERE {} GROUP BY o.state"
    )
    meant = "{} AND o.spare_of IS NULL AND NOT ({})"
    counts["tunes"] |= dict(connection.execute(counted.format("tunes", meant.format(within, STALE_TUNE))))
    images = "images i"
    if within == "1":  # all of them, from an index alone, without the few that do not count
        counts["prompts"] |= dict(connection.execute("SELECT state, count(*) FROM prompts GROUP BY state"))
        less = f"o.id IN ({_MAY_NOT_COUNT}) AND (o.spare_of IS NOT NULL OR {STALE_PROMPT})"
        for state, number in connection.execute(counted.format("prompts", less)):
            counts["prompts"][state] -= number
    else:
        mine = meant.format(_mine("prompts o", within), STALE_PROMPT)
        counts["prompts"] |= dict(connection.execute(counted.format("prompts", mine)))
        images += " JOIN prompts p ON p.id = i.prompt_id JOIN sources s ON s.id = p.source_id"
    sql = f"SELECT count(*), coalesce(sum(i.size), 0) FROM {images} WHERE i.state = 'saved' AND {within}"
    saved, octets = connection.execute(sql).fetchone()
    counts["images"] = {"saved": saved, "bytes": octets}
    return counts


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
