"""Pictures that Astria is about to delete and that are not here: a person is told while there is time to do something.

`at_risk` asks any connection to the state, so that `status` tells the truth of this moment, with or without a daemon.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from astria_sync.core.expiry import WARNINGS, deleted_at, level, tunes_of

_DAY: Final = 86400.0
_GRACE: Final = 600.0  # seconds: what was noticed just now is most likely here in a moment
_NAMED: Final = 3  # files that a sentence names

Rows = Callable[[str, Sequence[Any]], Sequence[Any]]

_WANTED: Final = """
    SELECT p.id, s.id AS source_id, s.path, p.output, p.url, p.reason, count(*) AS pictures, min(i.deadline) AS at
    FROM images i INDEXED BY images_wanted JOIN prompts p ON p.id = i.prompt_id JOIN sources s ON s.id = p.source_id
    WHERE i.state = 'wanted' AND i.deadline <= ? AND (coalesce(p.pictured_at, 0) <= ? OR i.deadline <= ?) AND {where}
    GROUP BY p.id"""
_UNLISTED: Final = """
    SELECT p.id, s.id AS source_id, s.path, p.output, p.url, p.reason, p.text, p.target, p.num_images AS pictures,
        json_extract(p.answer, '$.created_at') AS made, coalesce(p.armed_at, p.bound_at, p.created_at) AS sent,
        (SELECT count(*) FROM images WHERE prompt_id = p.id) AS listed
    FROM prompts p JOIN sources s ON s.id = p.source_id
    WHERE (p.state IN ('generating', 'unsure') OR (p.state = 'downloading' AND p.complete = 0))
        AND coalesce(p.bound_at, p.armed_at, p.created_at) <= ? AND {where}"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Risk:
    """One prompt's pictures that are not here."""

    prompt_id: int
    source_id: int
    path: str
    output: str
    page: str
    reason: str
    pictures: int
    at: float  # when Astria deletes the first of them
    days: int  # the warning that is due


def at_risk(rows: Rows, now: float, where: str = "1") -> list[Risk]:
    """What is deleted within the longest warning's time, the first to go in front; `where` is a condition on sources `s`."""
    horizon = now + max(WARNINGS) * _DAY
    found = {
        row["id"]: _risk(row, row["pictures"], row["at"], now)
        for row in rows(_WANTED.format(where=where), [horizon, now - _GRACE, now + 6 * _GRACE])
    }
    for row in rows(_UNLISTED.format(where=where), [now - _GRACE]):
        from astria_sync.core.wire import as_time  # here, since `status` seldom comes to it

        made = as_time(row["made"]) or row["sent"] or math.inf
        at = deleted_at(made, ends_of_tunes(rows, row["text"], row["target"]))
        missing = max(1, row["pictures"] - row["listed"])
        if at <= horizon and row["id"] not in found:
            found[row["id"]] = _risk(row, missing, at, now)
    return sorted(found.values(), key=lambda risk: (risk.at, risk.prompt_id))


def ends_of_tunes(rows: Rows, text: str, target: int | None) -> list[float]:
    """When the tunes that a prompt was made with go, of those that do."""
    ids = list(tunes_of(text, target))
    these = f"remote_id IN ({','.join('?' * len(ids))})"
    sql = (
        f"SELECT expires_at FROM tunes WHERE {these} AND expires_at IS NOT NULL "
        "AND coalesce(json_extract(patched, '$.auto_extend'), 0) = 0 UNION ALL "
        f"SELECT expires_at FROM account_tunes a WHERE {these} AND expires_at IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM tunes WHERE remote_id = a.remote_id)"
    )
    return [row["expires_at"] for row in rows(sql, [*ids, *ids])]


def _risk(row: Any, pictures: int, at: float, now: float) -> Risk:
    return Risk(
        prompt_id=row["id"],
        source_id=row["source_id"],
        path=row["path"],
        output=row["output"],
        page=row["url"],
        reason=row["reason"],
        pictures=pictures,
        at=at,
        days=level(at, now) or 0,
    )


def sentences(risks: Sequence[Risk], meta: Mapping[str, Any], *, running: bool) -> dict[int, str]:
    """One for each warning that is due, in days; `meta` are the state's small facts, which know what stands in the way."""
    return {
        days: _sentence([risk for risk in risks if risk.days == days], meta, running=running)
        for days in sorted({risk.days for risk in risks})
    }


def _sentence(risks: Sequence[Risk], meta: Mapping[str, Any], *, running: bool) -> str:
    count = sum(risk.pictures for risk in risks)
    names = ", ".join(list(dict.fromkeys(risk.path for risk in risks))[:_NAMED])
    if len(risks) > _NAMED:
        names += f" and {len(risks) - _NAMED:,} more"
    first = risks[0]
    moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(first.at))
    what, they = ("1 picture", "it is") if count == 1 else (f"{count:,} pictures", "they are")
    if first.days:
        told = f"Astria deletes {what} of {names} from {moment} on, and {they} not here yet"
    else:
        told = f"Astria was to delete {what} of {names} at {moment}; {they} tried for until it says so"
    return f"{told}: {_remedy(first, meta, running=running)}"


def _remedy(risk: Risk, meta: Mapping[str, Any], *, running: bool) -> str:
    """What stands in the way, and what to do."""
    if not running:
        return "no daemon runs; start one with: astria-sync run"
    if problem := meta.get(f"output:{risk.output}"):
        return str(problem)
    for name, text in sorted(meta.items()):
        if name.startswith("gate:"):
            return str(text)
    page = f"; you can save them yourself from {risk.page}" if risk.page else ""
    return f"{risk.reason.rstrip('.') or 'Astria has not finished them'}{page}."
