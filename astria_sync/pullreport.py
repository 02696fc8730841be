"""What a `pull` has come to, from SQLite alone: for whoever did it, or waits for the daemon that does."""

import json
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from astria_sync.core.account import FOLDER
from astria_sync.pulled import unfinished
from astria_sync.pulljob import COUNTS, JOB, LAST
from astria_sync.reading import reading

SCHEMA: Final = 1  # of the JSON

_SAVED: Final = "SELECT count(*), coalesce(sum(size), 0) FROM images WHERE pulled = 1 AND state = 'saved' AND saved_at >= ?"
_WAITED_FOR: Final = "SELECT count(*) FROM images WHERE pulled = 1 AND state = 'wanted'"
_PLACES: Final = "SELECT DISTINCT output FROM prompts WHERE pulled = 1 AND updated_at >= ? ORDER BY 1"
# Where lies what was known before.
_KNOWN_IN: Final = "SELECT DISTINCT output FROM prompts WHERE pulled = 1 AND state = 'done' ORDER BY 1"
_NO_ROOM: Final = "there is no room for it"
_NOT_HAD: Final = """
    SELECT p.remote_id AS id, p.url AS page, p.output, p.folder, p.stem, count(i.id) AS pictures,
        coalesce(nullif(max(i.reason), ''), nullif(p.reason, ''), 'it is not finished') AS why
    FROM prompts p LEFT JOIN images i ON i.prompt_id = p.id AND i.state IN ('wanted', 'gone')
    WHERE p.pulled = 1 AND (p.state IN ('generating', 'downloading') OR (p.state = 'deleted' AND p.updated_at >= ?))
    GROUP BY p.id ORDER BY p.remote_id"""


def summary(state: Path, asked_at: float) -> dict[str, Any]:
    """What came of the pull that was asked for then. Raises StateError."""
    with reading(state) as connection:
        if connection is None:
            return _empty()
        job = _meta(connection, JOB) or _meta(connection, LAST) or {}
        missing = [dict(row) for row in connection.execute(_NOT_HAD, [asked_at])]
        places = [str(Path(row["output"], FOLDER)) for row in connection.execute(_PLACES, [asked_at])]
        known = [str(Path(row["output"], FOLDER)) for row in connection.execute(_KNOWN_IN)]
        known = known if job.get("counts", {}).get("known") else []
        full = dict(connection.execute("SELECT substr(key, 8), value FROM meta WHERE key GLOB 'output:*'"))
        return _so_far(connection, asked_at) | {
            "finished": _meta(connection, JOB) is None,
            "folders": places,
            "known_in": [place for place in known if place not in places],
            "not_had": [_item(one, full) for one in missing],
            "problems": [*job.get("problems", ()), *(json.loads(text) for text in full.values())],
        }


def so_far(state: Path, asked_at: float) -> dict[str, Any]:
    """The numbers of it alone, which take no more memory the more there is."""
    with reading(state) as connection:
        return _empty() if connection is None else _so_far(connection, asked_at)


def _so_far(connection: sqlite3.Connection, asked_at: float) -> dict[str, Any]:
    job = _meta(connection, JOB) or _meta(connection, LAST) or {}
    saved, octets = connection.execute(_SAVED, [asked_at]).fetchone()
    return _empty() | {
        "generations": _empty()["generations"] | job.get("counts", {}),
        "pictures": saved,
        "bytes": octets,
        "waiting": connection.execute(_WAITED_FOR).fetchone()[0],
    }


def under_way(state: Path) -> tuple[bool, str]:
    """Whether a pull still goes on in a daemon, and what Astria says of the token if it is refused."""
    with reading(state) as connection:
        if connection is None:
            return False, ""
        refused = str(_meta(connection, "gate:auth") or "")

        def rows(sql: str, values: Any) -> list[sqlite3.Row]:
            return list(connection.execute(sql, values))

        full = [
            row["key"].removeprefix("output:")
            for row in rows("SELECT key FROM meta WHERE key GLOB 'output:*'", [])
        ]
        return _meta(connection, JOB) is not None or bool(unfinished(rows, full)), refused


def _item(row: dict[str, Any], full: Collection[str]) -> dict[str, Any]:
    path = Path(row["output"], row["folder"], f"{row['stem']}-{row['id']}")
    return {
        "id": row["id"],
        "page": row["page"],
        "path": str(path),
        "pictures": row["pictures"],
        "why": _NO_ROOM if row["output"] in full else row["why"],
    }


def _meta(connection: sqlite3.Connection, key: str) -> Any:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", [key]).fetchone()
    return None if row is None else json.loads(row[0])


def _empty() -> dict[str, Any]:
    return {
        "version": SCHEMA,
        "finished": False,
        "folders": [],
        "known_in": [],
        "generations": dict.fromkeys(COUNTS, 0),
        "pictures": 0,
        "bytes": 0,
        "waiting": 0,
        "not_had": [],
        "problems": [],
    }
