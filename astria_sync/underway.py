"""What is under way, what waits and what has come, for the live view: by questions of indexes, whatever lies beside it."""

import os
import sqlite3
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from astria_sync.report import pick
from astria_sync.stale import STALE_PACK, STALE_PROMPT, STALE_TUNE
from astria_sync.wording import Circumstances

MOST: Final = 100  # orders of a kind that are looked at one by one; the others are counted
_RECENT: Final = 12
_NAMES: Final = 20
_LATELY: Final = 50  # orders of which it is told how long their like takes
STALE: Final = {"tunes": STALE_TUNE, "prompts": STALE_PROMPT, "packs": STALE_PACK}
RUNNING: Final = {
    "uploading": "tunes",
    "training": "tunes",
    "downloading": "prompts",
    "generating": "prompts",
    "submitting": "prompts",
}
_WAITING: Final = ("waiting", "queued", "settling")
# How long an order has taken: not of what was found in the account, nor of what was lost in between.
_TOOK: Final = {
    "tunes": "SELECT ready_at - bound_at FROM tunes WHERE model_type = ? AND bound_at > 0 AND (cost_mc > 0 OR state = 'ready') "
    "AND ready_at > bound_at AND attempt > 0 AND lost = 0 ORDER BY id DESC LIMIT ?",
    "prompts": "SELECT pictured_at - bound_at FROM prompts WHERE target IS ? AND num_images = ? "
    "AND json_extract(params, '$.resolution') IS ? AND (coalesce(json_extract(params, '$.video_model'), '') != '') = ? "
    "AND bound_at > 0 AND (cost_mc > 0 OR state = 'done') AND pictured_at > bound_at AND attempt > 0 AND lost = 0 "
    "ORDER BY id DESC LIMIT ?",
}
_OF_ROW: Final = {
    "tunes": "SELECT armed_at, bound_at, model_type, 0 AS saved, 0 AS wanted FROM tunes WHERE id = ?",
    "prompts": "SELECT armed_at, bound_at, target, num_images, json_extract(params, '$.resolution') AS resolution, "
    "coalesce(json_extract(params, '$.video_model'), '') != '' AS video, "
    "(SELECT count(*) FROM images WHERE prompt_id = o.id AND state = 'saved') AS saved, "
    "(SELECT count(*) FROM images WHERE prompt_id = o.id) AS wanted FROM prompts o WHERE id = ?",
    "packs": "SELECT armed_at, bound_at, expected AS wanted, "
    "(SELECT count(*) FROM prompts WHERE pack_run = o.id AND spare_of IS NULL) AS saved FROM packs o WHERE id = ?",
}


def count(connection: sqlite3.Connection, table: str, where: str, within: str) -> int:
    """Of a table, those that conditions on `o` and its source `s` choose."""
    sql = f"SELECT count(*) FROM {table} o JOIN sources s ON s.id = o.source_id WHERE {where} AND {within}"
    return int(connection.execute(sql).fetchone()[0])


def running(connection: sqlite3.Connection, within: str, around: Circumstances) -> dict[str, Any]:
    """What is under way, what has been so for longest in front of its like."""
    number, found = 0, []
    usual: dict[Any, float | None] = {}
    selects = [*((table, state) for state, table in RUNNING.items())]
    selects += [("packs", "submitting"), ("packs", "generating")]
    for table, state in selects:
        where = f"o.state = '{state}' AND {within}"
        number += count(connection, table, f"o.state = '{state}'", within)
        items = [
            item | _progress(connection, table, row, item, around, usual)
            for row, item in pick(connection, table, where, around, MOST)
        ]
        found += sorted(items, key=lambda item: item["since_at"] or 0.0)
    return {"count": number, "items": found}


def _progress(
    connection: sqlite3.Connection,
    table: str,
    row: int,
    item: Mapping[str, Any],
    around: Circumstances,
    usual: dict[Any, float | None],
) -> dict[str, Any]:
    """How far it is: since when, how long its like takes, pieces that are here, bytes that are sent."""
    columns = connection.execute(_OF_ROW[table], [row]).fetchone()
    begun = columns["bound_at"] if item["state"] in {"training", "generating"} else columns["armed_at"]
    like = None
    if item["state"] == "training":
        like = ("tunes", columns["model_type"])
    elif item["state"] == "generating" and table == "prompts":
        like = ("prompts", *(columns[name] for name in ("target", "num_images", "resolution", "video")))
    if like is not None and like not in usual:
        usual[like] = _usual(connection, *like)
    sent = around.uploads.get(f"{item['kind']}:{row}") if around.running else None
    sent, of, pace = sent or (None, None, None)
    return {
        "since_at": begun,
        "usual_seconds": usual[like] if like is not None else None,
        "done": columns["saved"],
        "of": columns["wanted"],
        "sent_bytes": sent,
        "of_bytes": of,
        "bytes_a_second": pace,
    }


def _usual(connection: sqlite3.Connection, table: str, *like: Any) -> float | None:
    """How long its like took lately, the middle of it."""
    took = [row[0] for row in connection.execute(_TOOK[table], [*like, _LATELY])]
    return round(median(took), 1) if took else None


def waiting(connection: sqlite3.Connection, within: str) -> dict[str, Any]:
    """How many orders have not gone yet, and for which folders how many prompts wait."""
    states = dict.fromkeys(_WAITING, 0)
    for table, stale in STALE.items():
        for state in _WAITING:
            states[state] += count(connection, table, f"o.state = '{state}' AND NOT ({stale})", within)
    sql = f"""
        SELECT w.needs AS name, count(*) AS prompts FROM prompts o JOIN waits w ON w.prompt_id = o.id
        JOIN sources s ON s.id = o.source_id WHERE o.state = 'waiting' AND {within}
        GROUP BY w.needs ORDER BY count(*) DESC, w.needs LIMIT {_NAMES}"""
    names = [dict(row) for row in connection.execute(sql)]
    return {"count": sum(states.values()), "states": states, "for": names}


def recent(connection: sqlite3.Connection, within: str) -> list[dict[str, Any]]:
    """The pictures that came last."""
    sql = f"""
        SELECT s.path, p.output, p.folder, i.file, i.size, i.saved_at FROM images i JOIN prompts p ON p.id = i.prompt_id
        JOIN sources s ON s.id = p.source_id
        WHERE i.state = 'saved' AND i.saved_at > 0 AND {within} ORDER BY i.saved_at DESC, i.id DESC LIMIT {_RECENT}"""
    return [
        {
            "path": row["path"],
            "location": os.path.join(row["output"], row["folder"], os.path.basename(row["file"])),
            "size": row["size"],
            "saved_at": row["saved_at"],
        }
        for row in connection.execute(sql)
    ]
