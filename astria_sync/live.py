"""What the live view shows, from SQLite alone and in questions of indexes: it is asked again and again, beside thousands of
finished orders. Times are seconds since the epoch; `as_json` turns them into dates.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from astria_sync.clock import day_of
from astria_sync.concerns import circumstances, facts, troubles
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.money import USD
from astria_sync.costs import PAID_BETWEEN
from astria_sync.errors import StateError
from astria_sync.reading import Window
from astria_sync.report import has_tables, limit, pick
from astria_sync.stale import FAILED_PROMPT, FAILED_TUNE
from astria_sync.underway import MOST, RUNNING, STALE, count, recent, running, waiting
from astria_sync.wording import Circumstances

SCHEMA: Final = 1  # of the JSON: counts up when a key changes its meaning
_ANYWAY: Final = 60.0  # seconds after which it is read again although nothing was written: a day ends, a deadline comes near
_BROKEN: Final = "o.source_id IN (SELECT id FROM sources WHERE problem != '')"
_NEEDS: Final = {
    "tunes": f"(o.state = 'unsure' OR ({FAILED_TUNE}) OR {_BROKEN})",
    "prompts": f"(o.state IN ('unsure', 'held') OR (o.state IN ('failed', 'deleted') AND {FAILED_PROMPT}) OR {_BROKEN})",
    "packs": f"(o.state IN ('unsure', 'held', 'failed') OR {_BROKEN})",
}
_STATES: Final = {"tunes": TuneState, "prompts": PromptState}


class Live:
    """One who keeps looking at a state, and reads it only when something was written."""

    def __init__(self, state: Path, *, paths: Sequence[str] = (), limit_usd: float = 0.0) -> None:
        """`paths`, absolute, limit it to what lies at or below them; `limit_usd` is the day's."""
        self._window = Window(state)
        self._paths = paths
        self._limit_usd = limit_usd
        self._seen: dict[str, Any] = {}
        self._around: object = None
        self._at = float("-inf")

    def look(self, *, now: float, daemon: Mapping[str, Any], told: str = "") -> dict[str, Any]:
        """How things are; the same object as before if nothing has changed. `told` is what a daemon says beside its state."""
        try:
            changed = self._window.changed()
            around = (dict(daemon), told)
            if changed or around != self._around or not 0 <= now - self._at < _ANYWAY:
                self._keep(self._read(now, daemon, told), now)
            self._around = around
        except StateError as error:
            self._window.close()
            self._around = None  # it may pass
            self._keep(_nothing(daemon, "unreadable", str(error)), now)
        return self._seen

    def close(self) -> None:
        """Look no more."""
        self._window.close()

    def _keep(self, seen: dict[str, Any], now: float) -> None:
        self._at = now
        if seen != self._seen:
            self._seen = seen

    def _read(self, now: float, daemon: Mapping[str, Any], told: str) -> dict[str, Any]:
        with self._window.reading() as connection:
            if connection is None or not has_tables(connection):
                return _nothing(daemon, "missing", told)
            within = limit(connection, self._paths)
            meta = facts(connection)
            around = circumstances(meta, now=now, running=bool(daemon["running"]))
            wrong = [one["text"] for one in troubles(connection, within, meta, around)]
            number, items = _needing(connection, within, around)
            return {
                **_nothing(daemon, "there", told),
                "paused": around.paused,
                "balance_usd": meta["balance_mc"] / USD if isinstance(meta.get("balance_mc"), int) else None,
                "spent": {"today_usd": _today(connection, within, now), "limit_usd": self._limit_usd},
                "doors": list(_doors(meta, around)),
                "next_expiry": _next_expiry(connection, within),
                "counts": _counts(connection, within),
                "problems": [told] * bool(told)
                + [text for text in wrong if text not in around.gates.values()],
                "needs_you": {"count": number, "items": items},
                "running": running(connection, within, around),
                "waiting": waiting(connection, within),
                "recent": recent(connection, within),
            }


def tally(connection: sqlite3.Connection, *, now: float) -> dict[str, Any]:
    """The few numbers of the line below a log."""
    meta = facts(connection)
    around = circumstances(meta, now=now, running=True)
    return {
        "paused": around.paused,
        "doors": list(_doors(meta, around)),
        "running": {
            state: count(connection, table, f"o.state = '{state}'", "1") for state, table in RUNNING.items()
        },
        "uploads": list(around.uploads.values()),
        "waiting": waiting(connection, "1")["count"],
        "needs_you": sum(count(connection, table, _needed(table), "1") for table in _NEEDS),
        "today_usd": _today(connection, "1", now),
    }


def as_json(value: Any, key: str = "") -> Any:
    """The same with dates for times, as `status --json` has them."""
    if isinstance(value, dict):
        return {name: as_json(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [as_json(one) for one in value]
    if key.endswith("_at") and isinstance(value, float | int):
        return datetime.fromtimestamp(value, UTC).isoformat(timespec="seconds")
    return value


def _nothing(daemon: Mapping[str, Any], state: str, told: str) -> dict[str, Any]:
    return {
        "version": SCHEMA,
        "daemon": dict(daemon),
        "state": state,
        "paused": False,
        "balance_usd": None,
        "spent": {"today_usd": 0.0, "limit_usd": 0.0},
        "doors": [],
        "next_expiry": None,
        "counts": {"tunes": {}, "prompts": {}, "pictures": 0},
        "problems": [told] if told else [],
        "needs_you": {"count": 0, "items": []},
        "running": {"count": 0, "items": []},
        "waiting": {"count": 0, "states": {}, "for": []},
        "recent": [],
    }


def _needed(table: str) -> str:
    return f"{_NEEDS[table]} AND NOT ({STALE[table]})"


def _needing(
    connection: sqlite3.Connection, within: str, around: Circumstances
) -> tuple[int, list[dict[str, Any]]]:
    """What a person should look at, what has failed in front, the newest first."""
    number, found = 0, []
    for table in _NEEDS:
        where = f"{_needed(table)} AND {within}"
        number += count(connection, table, _needed(table), within)
        found += [item for _, item in pick(connection, table, where, around, MOST)]
    found.sort(key=lambda item: item["updated_at"], reverse=True)
    return number, sorted(found, key=lambda item: item["state"] in {"unsure", "held"})[:MOST]


def _counts(connection: sqlite3.Connection, within: str) -> dict[str, Any]:
    """How many there are of each state, of those that are any, as `status` counts them."""
    counts: dict[str, Any] = {}
    for table, states in _STATES.items():
        where = f"o.spare_of IS NULL AND NOT ({STALE[table]})"
        numbers = {
            str(state): count(connection, table, f"o.state = '{state}' AND {where}", within)
            for state in states
        }
        counts[table] = {state: number for state, number in numbers.items() if number}
    saved = "SELECT count(*) FROM images i WHERE i.state = 'saved'"
    if within != "1":
        saved = (
            "SELECT count(*) FROM images i JOIN prompts p ON p.id = i.prompt_id JOIN sources s ON s.id = p.source_id "
            f"WHERE i.state = 'saved' AND {within}"
        )
    counts["pictures"] = connection.execute(saved).fetchone()[0]
    return counts


def _today(connection: sqlite3.Connection, within: str, now: float) -> float:
    """Dollars."""
    total = 0
    for table in ("tunes", "prompts"):
        sql = f"""
            SELECT coalesce(sum(o.cost_mc), 0) FROM {table} o JOIN sources s ON s.id = o.source_id
            WHERE {PAID_BETWEEN[table]} AND {within}"""
        total += connection.execute(sql, day_of(now)).fetchone()[0]
    return total / USD


def _doors(meta: Mapping[str, Any], around: Circumstances) -> Iterator[dict[str, Any]]:
    """Those that are closed, and when they are tried again."""
    for name, text in around.gates.items():
        until = meta.get(f"until:{name}") if around.running else None
        yield {"kind": name, "text": text, "until_at": until - around.ahead if until else None}


def _next_expiry(connection: sqlite3.Connection, within: str) -> dict[str, Any] | None:
    """The first picture that Astria deletes of those that are not here."""
    sql = f"""
        SELECT s.path, i.deadline AS deleted_at FROM images i JOIN prompts p ON p.id = i.prompt_id
        JOIN sources s ON s.id = p.source_id
        WHERE i.state = 'wanted' AND i.deadline > 0 AND {within} ORDER BY i.deadline LIMIT 1"""
    row = connection.execute(sql).fetchone()
    return dict(row) if row else None
