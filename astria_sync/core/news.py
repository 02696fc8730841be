"""What a person is told of outside of files and terminal, and when: from what has happened since, what was told, and the clock.

Troubles are collected for a few seconds, finished pictures until nothing runs any more. Between two notices lies ever more
time, and an hour has only so many: what comes meanwhile is in the next one.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from astria_sync.core.money import USD, dollars
from astria_sync.core.plain import visible

SCHEMA: Final = 1  # of the JSON: counts up when a key changes its meaning
COLLECT: Final = 8.0  # seconds from the first of several things to the notice of all of them
BATCH: Final = 900.0  # seconds after which finished pictures are told of although more are under way
GONE_FOR: Final = 300.0  # seconds that a trouble must be over before it is a new one
LISTED: Final = 100  # things that a notice lists; the others it counts
_PAUSES: Final = (0.0, 60.0, 240.0, 600.0, 900.0, 900.0)  # seconds before each of an hour's notices
_HOUR: Final = 3600.0
_LINES: Final = 5  # of troubles, and of finished folders, that the text spells out
_LONGEST: Final = 300  # characters of one reason

# What a notice is about, the most pressing first; the first that it holds is its `event`.
ABOUT: Final = {
    "state": "something is wrong with the record of orders",
    "token": "Astria refuses the token",
    "balance": "the balance is used up, or nearly",
    "limit": "the day's limit is reached",
    "expiring": "pictures are about to be deleted",
    "failed": "{n} failed",
    "duplicate": "{n} made twice",
    "folder": "{n} of the folders cannot be used",
    "problem": "{n} to be looked at",
    "held": "{n} waiting for approve",
    "finished": "",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was told, as the state remembers it."""

    troubles: int = 0  # the last event whose trouble was told
    pictures: int = 0  # the last event whose pictures were told
    at: tuple[float, ...] = ()  # when the notices of the last hour went out
    standing: Mapping[str, float] = field(
        default_factory=dict
    )  # trouble that lasts → since when it is over; 0: it is not


@dataclass(frozen=True, kw_only=True, slots=True)
class Since:
    """What is to be told."""

    trouble: float | None = None  # when the first trouble came
    first: float | None = None  # when the first pictures were finished
    last: float = 0.0  # when anything happened at all
    running: bool = False  # more are under way, although nothing happens


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that a notice tells of."""

    about: str
    kind: str
    reason: str
    path: str = ""
    root: str = ""
    state: str = ""
    then: str = ""
    id: int | None = None
    pictures: int = 0
    prompts: int = 0
    cost_mc: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One notification, for a desktop and as JSON for a program."""

    title: str
    text: str
    urgent: bool
    body: Mapping[str, Any]


def recent(told: Told, now: float) -> tuple[float, ...]:
    """The notices of the last hour; what a clock dated into the future is none."""
    return tuple(at for at in told.at if now - _HOUR < at <= now)


def _earliest(told: Told, now: float) -> float:
    """When there may be a next notice."""
    before = recent(told, now)
    if len(before) < len(_PAUSES):
        return before[-1] + _PAUSES[len(before)] if before else now
    return before[0] + _HOUR


def trouble_due(since: Since) -> float | None:
    """When troubles have been collected."""
    return None if since.trouble is None else since.trouble + COLLECT


def pictures_due(since: Since) -> float | None:
    """When finished pictures have been."""
    if since.first is None:
        return None
    return since.first + BATCH if since.running else min(since.first + BATCH, since.last + COLLECT)


def due(told: Told, since: Since, now: float) -> float | None:
    """When the next notice goes out; None if there is nothing to tell."""
    moments = [at for at in (trouble_due(since), pictures_due(since)) if at is not None]
    return max(min(moments), _earliest(told, now)) if moments else None


def allowed(told: Told, now: float) -> bool:
    """Whether the hour has one more notice, for a run that ends and can tell no later."""
    return len(recent(told, now)) < len(_PAUSES)


def stand(
    standing: Mapping[str, float], present: Iterable[str], now: float, *, over: bool = False
) -> tuple[list[str], dict[str, float]]:
    """Which of the troubles that last are new, and what is remembered of those that were told.

    One that comes and goes is one, for a while. `over`: the run ends, and what is not there now has gone.
    """
    there = list(present)
    kept: dict[str, float] = {}
    for key, missed in standing.items():
        if key in there:
            kept[key] = 0.0
        elif not over and now - (since := min(missed or now, now)) < GONE_FOR:
            kept[key] = since
    return [key for key in there if key not in kept], kept


def first_sentence(text: str) -> str:
    """The first sentence of a reason, on one line; what an address is signed with is left out."""
    line = " ".join(without_signatures(text).split())
    sentence = re.split(r"(?<=[.!?])\s(?=[A-Z„\"'])", line, maxsplit=1)[0]
    return visible(sentence if len(sentence) <= _LONGEST else sentence[: _LONGEST - 1] + "…")


def without_signatures(text: str) -> str:
    """Addresses without what follows `?` or `#`: that may be a key to what they lead to."""
    return re.sub(r"(?i)(https?://[^\s?#]+)[?#]\S*", r"\1", text)


def made(pictures: int, prompts: int, cost_mc: int) -> str:
    """`12 pictures of 4 prompts, $0.84`."""
    told = f"{_things(pictures, 'picture')} of {_things(prompts, 'prompt')}"
    return f"{told}, {dollars(cost_mc / USD)}" if cost_mc else told


def _things(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def compose(items: Sequence[Item], counts: Mapping[str, int], *, at: float, configuration: str) -> Notice:
    """One notice of all these; `counts`, by what they are about, may be more than are listed."""
    troubles = [item for item in items if item.about != "finished"]
    batches = [item for item in items if item.about == "finished"]
    pictures, prompts = sum(one.pictures for one in batches), sum(one.prompts for one in batches)
    cost = sum(one.cost_mc for one in batches)
    parts = [
        words.format(n=f"{counts[about]:,}") for about, words in ABOUT.items() if words and counts.get(about)
    ]
    if batches:
        parts.append(made(pictures, prompts, cost) if pictures else "ready")
    title = f"astria-sync: {', '.join(parts)}"
    left = sum(counts.values()) - counts.get("finished", 0) - len(troubles)
    text = "\n".join([*_of_troubles(troubles, left), *_of_batches(batches)])
    event = next(about for about in ABOUT if counts.get(about))
    body = {
        "version": SCHEMA,
        "event": event,
        "title": title,
        "text": text,
        "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        "configuration": configuration,
        "counts": dict(counts),
        "items": [_item(item) for item in items[:LISTED]],
        "pictures": pictures,
        "prompts": prompts,
        "cost_usd": cost / USD,
    }
    return Notice(
        title=title, text=text, urgent=event in {"state", "token", "balance", "expiring"}, body=body
    )


def _of_troubles(troubles: Sequence[Item], left: int) -> Iterable[str]:
    lines = dict.fromkeys(f"{_place(item)}: {item.reason}" if item.path else item.reason for item in troubles)
    yield from list(lines)[:_LINES]
    if hidden := max(0, len(lines) - _LINES) + left:
        yield f"… and {hidden:,} more; see: astria-sync status"
    yield from (f"→ {then}" for then in sorted({item.then for item in troubles} - {""}))


def _of_batches(batches: Sequence[Item]) -> Iterable[str]:
    yield from (f"{_place(item)}: {item.reason}" for item in batches[:_LINES])
    if len(batches) > _LINES:
        yield f"… and {_things(len(batches) - _LINES, 'more folder')}"


def _place(item: Item) -> str:
    return visible(item.path if item.path != "." else posixpath.basename(item.root))


def _item(item: Item) -> dict[str, Any]:
    told: dict[str, Any] = {
        "about": item.about,
        "kind": item.kind,
        "path": item.path,
        "root": item.root,
        "state": item.state,
        "reason": item.reason,
        "then": item.then,
        "id": item.id,
    }
    if item.about == "finished":
        told |= {"pictures": item.pictures, "prompts": item.prompts, "cost_usd": item.cost_mc / USD}
    return told


def of_state(text: str, *, at: float, configuration: str) -> Notice:
    """The state itself is the trouble, so nothing can be looked up in it."""
    item = Item(about="state", kind="problem", reason=visible(" ".join(text.split())))
    return compose([item], Counter(state=1), at=at, configuration=configuration)
