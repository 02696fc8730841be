"""The live view as lines: a pure function of what live.py found, the time, and the size of the screen.

What a person must see comes first; what does not fit is counted.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from rich.cells import cell_len

from astria_sync.cli.cells import Line, clipped, cut, cut_front, line_length, padded, shown, wrapped
from astria_sync.cli.common import advised, count, size
from astria_sync.cli.fitting import Entry, Section, fitted
from astria_sync.cli.labels import label_of, names_of
from astria_sync.core.money import dollars

NARROW: Final = 60  # columns; below, what is nice to have is left out
_REASON: Final = 2  # lines of a reason on a screen; what is printed has room for all of it
_ALIKE: Final = 3  # orders with the same reason are told in one entry
_SENDING: Final = {"submitting": "sending"}
_BAR: Final = 10
_TOP: Final = 5  # lines at most that say how things are as a whole


def page(seen: Mapping[str, Any], *, now: float, width: int, height: int | None = None) -> list[Line]:
    """All of it in lines no wider than `width`, and no more of them than `height`; None: as many as it takes."""
    deep = None if height is None else _REASON
    head = list(_head(seen, now, width))
    if height is not None:
        head = head[: max(1, min(_TOP, height))]
    sections = [
        _needs_you(seen, width, deep),
        _running(seen, now, width),
        _waiting(seen, width, deep),
        _recent(seen, now, width),
    ]
    sections = [section for section in sections if section.number]
    body = list(fitted(sections, None if height is None else height - len(head)))
    if not sections and seen["state"] == "there" and (height is None or height - len(head) > 1):
        body = [(), (("Nothing waits, and nothing has failed.", ""),)]
    return [clipped(line, width) for line in [*head, *body][:height]]


# How things are as a whole


def _head(seen: Mapping[str, Any], now: float, width: int) -> Iterator[Line]:
    yield from _joined([("astria-sync", "bold"), *_who(seen, now)], width)
    if seen["state"] == "missing":
        text = "There is no state yet: nothing was ordered from here."
        yield from _coloured(text, "yellow", width)
        return
    for door in seen["doors"]:
        again = f" Tried again at {_moment(door['until_at'], now)}." if door["until_at"] else ""
        yield from _coloured(shown(door["text"]) + again, "yellow", width)
    yield from _joined(list(_money(seen, now)), width)
    yield from _joined(list(_totals(seen)), width)


def _who(seen: Mapping[str, Any], now: float) -> Iterator[tuple[str, str]]:
    daemon = seen["daemon"]
    if not daemon["running"]:
        yield "no daemon runs; start one with: astria-sync run", "yellow"
    elif daemon["since"]:
        since = datetime.fromisoformat(daemon["since"]).timestamp()
        yield f"runs since {_moment(since, now)}", "green"
    else:
        yield "runs", "green"
    if seen["paused"]:
        yield "paused until: astria-sync resume", "yellow"


def _money(seen: Mapping[str, Any], now: float) -> Iterator[tuple[str, str]]:
    spent = seen["spent"]
    limit = f" of {dollars(spent['limit_usd'])}" if spent["limit_usd"] else ""
    yield f"{dollars(spent['today_usd'])}{limit} today", ""
    if seen["balance_usd"] is not None:
        yield f"balance {dollars(seen['balance_usd'])}", ""
    if expiry := seen["next_expiry"]:
        soon = expiry["deleted_at"] - now < 2 * 86400
        when = _moment(expiry["deleted_at"], now)
        yield f"next to expire: {shown(expiry['path'])}, {when}", "red" if soon else ""


def _totals(seen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    counts = seen["counts"]
    if ready := counts["tunes"].get("ready"):
        yield f"{count(ready, 'tune')} ready", "dim"
    if done := counts["prompts"].get("done"):
        yield f"{count(done, 'prompt')} done", "dim"
    if counts["pictures"]:
        yield f"{count(counts['pictures'], 'picture')} on disk", "dim"


# What a person should look at


def _needs_you(seen: Mapping[str, Any], width: int, deep: int | None) -> Section:
    entries = [Entry(_reason(_sentence(text), width, deep, "  ")) for text in seen["problems"]]
    items = seen["needs_you"]["items"]
    names = names_of(items)
    for alike in _grouped(items):
        first = alike[0]
        label = shown(label_of(first, names[first["root"]]))
        if len(alike) > 1:
            label += f" and {len(alike) - 1:,} more"
        state = "" if first["state"] == "failed" else f"{first['state']}: "
        why = state + _sentence(first["why"])
        head = (("  ", ""), (cut_front(label, width - 2), "bold"))
        if line_length(head) + 2 + cell_len(why) <= width:
            entries.append(Entry(((*head, (f"  {why}", "")),), len(alike)))
        else:
            entries.append(Entry((head, *_reason(why, width, deep, "    ")), len(alike)))
    number = len(seen["problems"]) + seen["needs_you"]["count"]
    return Section("NEEDS YOU", "bold red", tuple(entries), number)


def _grouped(items: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Those of one reason together, if they are several: a crowd that is held back is one thing to decide."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for item in items:
        groups.setdefault((item["state"], item["why"]), []).append(item)
    found = []
    for group in groups.values():
        found += [group] if len(group) >= _ALIKE else [[one] for one in group]
    return found


def _sentence(text: str) -> str:
    """The first of several."""
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`\"<])", shown(text), maxsplit=1)[0]


def _reason(text: str, width: int, deep: int | None, indent: str) -> tuple[Line, ...]:
    room = max(1, width - len(indent))
    lines = wrapped(text, room)
    if deep is not None and len(lines) > deep:
        lines = [*lines[: deep - 1], cut(" ".join(lines[deep - 1 :]), room)]
    return tuple(((indent + line, ""),) for line in lines)


# What is under way


def _running(seen: Mapping[str, Any], now: float, width: int) -> Section:
    items = seen["running"]["items"]
    names = names_of(items)
    labels = [shown(label_of(item, names[item["root"]])) for item in items]
    widest = max((line_length(((label, ""),)) for label in labels), default=0)
    column = min(widest, max(12, width * 2 // 5 - 4))
    entries = [
        Entry((_one(padded(label, column), item, now, width),))
        for label, item in zip(labels, items, strict=True)
    ]
    return Section("RUNNING", "bold cyan", tuple(entries), seen["running"]["count"])


def _one(label: str, item: Mapping[str, Any], now: float, width: int) -> Line:
    share, told, late = _progress(item, now, short=width < NARROW)
    state = _SENDING.get(item["state"], item["state"])
    pieces = [(f"  {label}  ", ""), (f"{state:<11}  " if width >= NARROW else f"{state}  ", "cyan")]
    if width >= NARROW:
        full = int(_BAR * share) if share is not None else 0
        bar = "█" * full + "░" * (_BAR - full) if share is not None else " " * _BAR
        pieces.append((f"{bar}  ", "cyan"))
    return (*pieces, (told, "yellow" if late else ""))


def _progress(item: Mapping[str, Any], now: float, *, short: bool) -> tuple[float | None, str, bool]:
    """How much of it is done, in words too, and whether it takes longer than it should."""
    if item["of_bytes"]:
        share = item["sent_bytes"] / item["of_bytes"]
        pace = f", {size(item['bytes_a_second'])}/s" if item["bytes_a_second"] else ""
        of = "" if short else f" of {size(item['of_bytes'])}"
        return share, f"{int(100 * share)}%{of}{pace}", False
    if item["of"] and (item["state"] == "downloading" or item["kind"] == "pack"):
        what = "prompt" if item["kind"] == "pack" else "picture"
        of = f"{item['of']:,}" if short else count(item["of"], what)
        return item["done"] / item["of"], f"{item['done']:,} of {of}", False
    if item["since_at"] is None:
        return None, "", False
    elapsed, usual = max(0.0, now - item["since_at"]), item["usual_seconds"]
    if not usual:
        return None, _clock(elapsed) if short else took(elapsed), False
    told = f"{_clock(elapsed)} of {_clock(usual)}" if short else f"{took(elapsed)}, usually {took(usual)}"
    return min(1.0, elapsed / usual), told, elapsed > 2 * usual + 10


def took(seconds: float) -> str:
    """A length of time as one says it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _clock(seconds: float) -> str:
    """The same in few letters."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02}"


# What waits, and what has come


def _waiting(seen: Mapping[str, Any], width: int, deep: int | None) -> Section:
    waiting = seen["waiting"]
    names = [f"{one['prompts']:,} for {shown(one['name'])}" for one in waiting["for"]]
    words = {"queued": "to be sent next", "settling": "new, or being changed"}
    states = [
        f"{waiting['states'][state]:,} {told}"
        for state, told in words.items()
        if waiting["states"].get(state)
    ]
    lines = [line for told in (names, states) for line in _reason(", ".join(told), width, deep and 1, "  ")]
    return Section("WAITING", "bold", (Entry(tuple(lines), waiting["count"]),), waiting["count"])


def _recent(seen: Mapping[str, Any], now: float, width: int) -> Section:
    entries = []
    for one in seen["recent"]:
        when = f"  {_moment(one['saved_at'], now)}  "
        place = shown(one["location"])
        entries.append(Entry((((when, "dim"), (cut_front(place, width - len(when)), "")),)))
    return Section("LAST PICTURES", "bold green", tuple(entries), len(entries))


def _joined(parts: Sequence[tuple[str, str]], width: int) -> Iterator[Line]:
    """Parts with a dot between them, in as few lines as they fit."""
    line: Line = ()
    for text, style in parts:
        piece = (cut(advised(text), width), style)
        if line and line_length(line) + 3 + line_length((piece,)) > width:
            yield line
            line = ()
        line = (*line, (" · ", "dim"), piece) if line else (piece,)
    if line:
        yield line


def _coloured(text: str, style: str, width: int) -> Iterator[Line]:
    yield from (((line, style),) for line in wrapped(advised(text), width))


def _moment(at: float, now: float) -> str:
    """The time of day, or the date if it is another day's."""
    then, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%Y-%m-%d", then)
