"""What an answer, or none, means: try again when, look first, or final. Sources: astria-api.md "Errors", contract §5."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from astria_sync.core.whole import MAX_ID

MAX_WORDS: Final = 4000  # characters of what Astria says, kept with each row and shown to a person


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Astria answered. `body` is the JSON, None if it was none; `text` the answer's beginning for a person."""

    status: int
    body: Any
    text: str = ""
    retry_after: float | None = None  # seconds
    date: str = field(default="", compare=False)  # the server's clock, as its header has it


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAnswer:
    """Nothing came back. `sent` is false only where it is proven that not one byte of the request went out."""

    sent: bool
    why: str
    changed: bool = False  # nothing was sent because the files are not what they were when they were checked


class Verdict(StrEnum):
    """What follows from a result."""

    OK = "ok"
    REFUSED = "refused"  # final, in Astria's words
    GONE = "gone"  # 404 to a read
    LATER = "later"  # not now: 429, or 5xx to a read
    OFFLINE = "offline"  # no network, nothing sent (or a read that broke)
    UNSURE = "unsure"  # a creating call that may have been carried out
    UNAUTHORISED = "unauthorised"
    NO_BALANCE = "no_balance"


def judge_create(result: Answer | NoAnswer, *, made: bool | None = None) -> Verdict:
    """The verdict on a call that creates and costs money: first ask whether the server could have acted.

    `made`: whether an answer of success tells what was made, where that is no object with an id.
    """
    if isinstance(result, NoAnswer):
        return Verdict.UNSURE if result.sent else Verdict.OFFLINE
    common = _common(result)
    if common is not None:
        return common
    if 200 <= result.status < 300:
        told = created_id(result.body) is not None if made is None else made
        return Verdict.OK if told else Verdict.UNSURE
    if result.status in {408, 425} or not 400 <= result.status < 500:
        return Verdict.UNSURE
    return Verdict.REFUSED


def judge_read(result: Answer | NoAnswer) -> Verdict:
    """The verdict on a call that can be repeated freely."""
    if isinstance(result, NoAnswer):
        return Verdict.OFFLINE
    common = _common(result)
    if common is not None:
        return common
    if 200 <= result.status < 300:
        return Verdict.LATER if result.body is None else Verdict.OK
    if result.status in {404, 410}:
        return Verdict.GONE
    return (
        Verdict.REFUSED if 400 <= result.status < 500 and result.status not in {408, 425} else Verdict.LATER
    )


def _common(answer: Answer) -> Verdict | None:
    special = {
        401: Verdict.UNAUTHORISED,
        403: Verdict.UNAUTHORISED,
        402: Verdict.NO_BALANCE,
        429: Verdict.LATER,
    }
    return special.get(answer.status)


def created_id(body: Any) -> int | None:
    """The id of the object in an answer; Astria sends the object, sometimes a list of one."""
    found = the_object(body)
    value = found.get("id") if found else None
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_ID else None


def the_object(body: Any) -> Mapping[str, Any] | None:
    """The object in an answer that is one, or a list of one."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    return body if isinstance(body, dict) else None


def backoff(attempt: int, *, base: float, maximum: float, chance: float) -> float:
    """Seconds before attempt number `attempt` + 1: base, doubled each time, ± 25 % by `chance` in 0…1, at most `maximum`.

    Written here, since libraries for retries run a function again in this process; our attempts outlive it.
    """
    doubled: float = base * 2.0 ** min(max(attempt - 1, 0), 40)
    return min(maximum, doubled * (0.75 + 0.5 * chance))


def message(answer: Answer) -> str:
    """Astria's own words: `error`, `message`, or a map of field to messages; else the answer's beginning."""
    body = answer.body
    said = [body.get(key) for key in ("error", "message", "errors")] if isinstance(body, dict) else []
    if isinstance(body, dict | list | str):
        said.append(body)
    words = (_words(part) for part in said)
    return next(filter(None, words), answer.text.strip() or f"HTTP {answer.status}")[:MAX_WORDS]


def _words(value: Any) -> str:
    """A value as a person reads it; "" if there is nothing in it to read."""
    if value is None or isinstance(value, str):
        return (value or "").strip()
    if isinstance(value, dict):
        told = ((key, _words(part)) for key, part in value.items())
        return "; ".join(f"{key} {words}" for key, words in told if words)
    if isinstance(value, list):
        return ", ".join(filter(None, map(_words, value)))
    return json.dumps(value, ensure_ascii=False)
