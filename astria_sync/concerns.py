"""What concerns more than one file, from the state alone: the circumstances of all orders, and what is wrong."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from astria_sync.clock import AHEAD
from astria_sync.core.money import USD
from astria_sync.costs import held_back
from astria_sync.expiring import at_risk, sentences
from astria_sync.wording import Circumstances, closed_gates, made_besides, problems


def circumstances(meta: Mapping[str, Any], *, now: float, running: bool) -> Circumstances:
    """What holds for all orders, from the state's small facts."""
    return Circumstances(
        now=now,
        ahead=meta.get(AHEAD, 0.0),
        paused=bool(meta.get("paused")),
        gates=closed_gates(meta, running=running),
        running=running,
        uploads=meta.get("uploads", {}),
    )


def facts(connection: sqlite3.Connection) -> dict[str, Any]:
    """The state's small facts."""
    return {row["key"]: json.loads(row["value"]) for row in connection.execute("SELECT key, value FROM meta")}


def troubles(
    connection: sqlite3.Connection, within: str, meta: Mapping[str, Any], around: Circumstances
) -> list[dict[str, Any]]:
    """What concerns more than one file, or a file that no order shows: each a kind and a sentence."""
    return [
        *problems(meta, around),
        *held_back(connection, within, around.now),
        *_duplicates(connection, within),
        *_file_problems(connection, within),
        *_expiring(connection, within, meta, around),
    ]


def _duplicates(connection: sqlite3.Connection, within: str) -> list[dict[str, Any]]:
    """What Astria made besides what was asked for, as long as it is known: it was paid for."""
    found: list[dict[str, Any]] = []
    for kind in ("tune", "prompt"):
        sql = f"""
            SELECT s.path, s.root, o.remote_id AS id, first.remote_id AS besides, o.url AS page, o.cost_mc
            FROM {kind}s o INDEXED BY {kind}s_spare JOIN {kind}s first ON first.id = o.spare_of JOIN sources s ON s.id = o.source_id
            WHERE o.spare_of IS NOT NULL AND {within} ORDER BY o.id"""  # the few that are
        for row in connection.execute(sql):
            text = made_besides(kind, row["path"], row["id"], row["besides"], row["page"])
            facts = {key: row[key] for key in ("path", "root", "id", "besides", "page")}
            found.append({"kind": "duplicate", "text": text, **facts, "cost_usd": row["cost_mc"] / USD})
    return found


def _file_problems(connection: sqlite3.Connection, within: str) -> list[dict[str, str]]:
    """A tune.toml that cannot be used in a folder without pictures: no order shows it."""
    sql = f"""
        SELECT s.root, s.path, s.problem FROM sources s WHERE {within} AND s.problem != '' AND s.missing_since IS NULL
        AND s.kind = 'folder' AND NOT EXISTS (SELECT 1 FROM tunes WHERE source_id = s.id AND current = 1)"""
    return [
        {"kind": "file", "text": f"{row['path'] if row['path'] != '.' else row['root']}: {row['problem']}"}
        for row in connection.execute(sql)
    ]


def _expiring(
    connection: sqlite3.Connection, within: str, meta: Mapping[str, Any], around: Circumstances
) -> list[dict[str, str]]:
    """Pictures that Astria deletes soon and that are not here."""

    def rows(sql: str, values: Sequence[Any]) -> list[sqlite3.Row]:
        return list(connection.execute(sql, values))

    told = sentences(at_risk(rows, around.now, within), meta, running=around.running)
    return [{"kind": "expiring", "text": text} for text in told.values()]
