"""One thing that happened, as a row of the history and as a line of the log have it, and the sentence that tells of it."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.money import USD, dollars
from astria_sync.core.packrow import Pack

Level = Literal["debug", "info", "warning", "error"]

_LONGEST: Final = 4000  # characters of a reason that are kept: an answer may quote a whole file

# What somebody who reads along wants to know of one that moves; the rest is for `--verbose`.
_LEVELS: Final[Mapping[str, Level]] = {
    Event.INVALID: "error",
    Event.REFUSED: "error",
    Event.USER_ERROR: "error",
    Event.HELD: "info",  # a crowd is a warning of its own (prompting.py), and so is the day's limit
    Event.LOST: "warning",
    Event.EXPIRED: "warning",
    Event.GONE: "error",
    Event.WAITS: "info",
    Event.APPROVED: "info",
    Event.ABSENT: "info",
    Event.BOUND: "info",
    Event.TRAINED: "info",
    Event.SAVED: "info",
    Event.RETRY: "info",
    Event.REMOVED: "info",
    Event.COMPLETE: "info",
}
_FAILED: Final = "failed"
_WORDS: Final[Mapping[str, str]] = {
    Event.SETTLED: "is ready to be sent",
    Event.INVALID: _FAILED,
    Event.CHANGED: "has changed",
    Event.HELD: "is held back",
    Event.APPROVED: "is let go",
    Event.ARMED: "is being sent",
    Event.NOT_SENT: "was not sent",
    Event.ABSENT: "was not found at Astria; it is sent again",
    Event.REFUSED: _FAILED,
    Event.TRAINED: "is ready",
    Event.PICTURED: "has pictures to fetch",
    Event.SAVED: "is done, its pictures are saved",
    Event.USER_ERROR: _FAILED,
    Event.RETRY: "is tried again",
    Event.GONE: "is gone at Astria",
    Event.REMOVED: "was deleted at Astria, since its file was deleted here",
    Event.EXPIRED: "has expired at Astria",
    Event.COMPLETE: "is complete, all its prompts are known",
}
# The same of what is no move: of files, and of orders.
_OTHER_WORDS: Final[Mapping[tuple[str, str], str]] = {
    ("source", "seen"): "was seen",
    ("source", "read"): "was read",
    ("source", "gone"): "is gone",
    ("source", "forgotten"): "is gone; nothing was sent of it",
    ("source", "back"): "is back",
    ("source", "moved"): "has moved here",
    ("source", "problem"): "cannot be used",
    ("source", "mended"): "can be used again",
    ("image", "saved"): "a picture is saved",
    ("tune", "changed"): "the folder has changed since its tune was made",
    ("tune", "unchanged"): "the folder is again as it was when its tune was made",
    ("tune", "retrain"): "a new tune was asked for",
    ("prompt", "rerun"): "one more generation was asked for",
    **{
        (kind, "to be deleted"): "is to be deleted at Astria, since its file is gone"
        for kind in ("tune", "prompt")
    },
    **{(kind, "kept"): "is kept at Astria after all" for kind in ("tune", "prompt")},
}
# Their reason is the whole sentence.
_REASONED: Final = frozenset({Event.WAITS, Event.LOST, "duplicate", "expiring", "patch refused"})
# How long it took since it was sent is what counts at the end of these.
_ENDS: Final = frozenset(
    {Event.TRAINED, Event.PICTURED, Event.SAVED, Event.USER_ERROR, Event.GONE, Event.COMPLETE}
)
_SENT_FROM: Final = frozenset({TuneState.UPLOADING, PromptState.SUBMITTING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """What happened to a file's order, to a file, or to the daemon.

    `event` "" are words for the log alone, which the history does not keep.
    """

    at: float
    kind: str  # tune, prompt, pack, image, source, daemon
    event: str = ""
    item_id: int | None = None  # the row
    source_id: int | None = None
    detail: str = ""
    level: Level = "debug"
    was: str = ""  # the state before, and after
    state: str = ""
    remote_id: int | None = None
    seconds: float | None = None  # spent in the state before
    since_sent: float | None = None
    cost_mc: int | None = None
    variant: Mapping[str, str] = field(default_factory=dict)
    into: str = ""  # where its pictures are
    subject_id: int | None = None  # the folder that a prompt is run for
    by_pack: bool = False  # a prompt that came of a pack which was run here
    # Where its source lay, if that is not where the source is now: of what moved or is forgotten.
    root: str = ""
    path: str = ""


def moved(before: Tune | Prompt | Pack, after: Tune | Prompt | Pack, event: Event, at: float) -> Happening:
    """A move of lifecycle.py, from the row before and after it."""
    kind = type(after).__name__.lower()
    always = _needs_reason(event)
    reason = after.reason if always or after.reason != before.reason else ""
    error = after.error if always or after.error != before.error else ""
    sent = after.armed_at if after.attempt and event in _ENDS else None
    return Happening(
        at=at,
        kind=kind,
        event=str(event),
        item_id=after.id,
        source_id=after.source_id,
        detail=": ".join(part for part in (reason, error) if part)[:_LONGEST],
        level=level_of(kind, event, before.state),
        was=str(before.state),
        state=str(after.state),
        remote_id=after.order_id if isinstance(after, Pack) else after.remote_id,
        seconds=_lasted(before.updated_at, at),
        since_sent=None if sent is None else _lasted(sent, at),
        cost_mc=None if isinstance(after, Pack) else after.cost_mc or None,
        variant=after.variant if isinstance(after, Prompt) else {},
        into=posixpath.join(after.output, after.folder)
        if isinstance(after, Prompt) and event == Event.SAVED
        else "",
        subject_id=after.subject_id if isinstance(after, Prompt) else None,
        by_pack=isinstance(after, Prompt) and after.pack_run is not None and after.attempt > 0,
    )


def level_of(kind: str, event: str, was: str) -> Level:
    """How much a move matters to whoever reads along."""
    if event == Event.WAITS and was == PromptState.WAITING:
        return "debug"  # it waits for something else now
    if event == Event.HELD and kind == "pack":
        return "warning"
    return _LEVELS.get(event, "debug")


def is_end(event: str) -> bool:
    """Whether it is told how long all took since the order was sent."""
    return event in _ENDS


def _needs_reason(event: Event) -> bool:
    return event == Event.HELD or _LEVELS.get(event) in {"error", "warning"} or event in _REASONED


def _lasted(since: float, until: float) -> float | None:
    """Seconds between two moments of a wall clock; None if that was set meanwhile."""
    return round(until - since, 3) if 0 < since <= until else None


def sentence(one: Happening, file: str) -> str:
    """What happened, to which file; for people."""
    if one.kind == "daemon":
        return one.detail or one.event
    variant = ", ".join(f"{name}: {value}" for name, value in one.variant.items())
    head = " ".join(part for part in (file, f"[{variant}]" if variant else "") if part)
    told = _told(one, posixpath.basename(file))
    # A sentence that was made for other places names its file itself.
    return told if not head or (file and told.startswith(file)) else f"{head}: {told}"


def _told(one: Happening, name: str) -> str:
    detail = one.detail.removeprefix(f"{name}: ")
    if not one.event or one.event in _REASONED:
        return detail
    other = _OTHER_WORDS.get((one.kind, one.event))
    words = other or (_move(one) if one.event in _WORDS or one.event == Event.BOUND else one.event)
    facts = "; ".join(_facts(one))
    return f"{words}{f' ({facts})' if facts else ''}{f': {detail}' if detail else ''}"


def _move(one: Happening) -> str:
    what = one.kind if one.remote_id is None else f"{one.kind} {one.remote_id}"
    if one.event == Event.BOUND:
        return f"{what} {'was made by the pack' if one.by_pack else _bound(one.was)}"
    return f"{what} {_WORDS.get(one.event, one.event)}"


def _bound(was: str) -> str:
    """Its id is known: as the answer to what was sent just now, or else."""
    if not was or was in _SENT_FROM:
        return "was sent"
    return (
        "was found: it had been sent" if was == PromptState.UNSURE else "was there already, and is taken over"
    )


def _facts(one: Happening) -> list[str]:
    facts = [f"in {one.into}"] if one.into else []
    if one.since_sent is not None:
        facts.append(f"{spoken(one.since_sent)} after it was sent")
    elif one.seconds is not None and one.event == Event.BOUND:
        facts.append(f"after {spoken(one.seconds)}")
    if one.cost_mc and one.event in {Event.BOUND, *_ENDS}:
        facts.append(dollars(one.cost_mc / USD))
    return facts


def spoken(seconds: float) -> str:
    """A length of time as one says it."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    for unit, length, most in (("min", 60, 100), ("h", 3600, 48)):
        if seconds < most * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"
