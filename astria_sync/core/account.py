"""`pull`: generations that no file of ours asked for. Which part of a list is known already, and what things are called on disk."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from astria_sync.core.naming import safe_component
from astria_sync.core.records import Record
from astria_sync.core.wire import RemotePrompt, RemoteTune
from astria_sync.core.work import Lane

FOLDER: Final = "_account"  # in the output (contract §4)
_WORDS: Final = 6  # of a prompt's text, in the names of its pictures
_LONGEST: Final = 48  # characters of them

Spans = list[list[int]]  # [lowest, highest] ids that were looked at, in order, apart from each other


def fingerprint(remote_id: int) -> str:
    """What a record of a pulled generation has where others have the wish of their file; none of those is ever equal."""
    return hashlib.sha256(f"{FOLDER}/{remote_id}".encode()).hexdigest()


# What of a list is known


def covered(spans: Spans, low: int, high: int) -> Spans:
    """The same with `low`…`high` looked at too."""
    if low > high:
        return spans
    merged: Spans = []
    for one in sorted([*spans, [low, high]]):
        if merged and one[0] <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], one[1])
        else:
            merged.append(list(one))
    return merged


def unknown_below(spans: Spans, cursor: int) -> int:
    """The `before_id` of the next page: what was looked at just below `cursor` is passed over; 0 or 1: nothing is left."""
    return next((low for low, high in spans if low < cursor <= high + 1), cursor)


# Names


def folder_names(title: str, tune_id: int) -> Iterator[str]:
    """Names for the folder of a tune's pictures, the first that no other tune has is to be taken."""
    if title.strip():
        yield safe_component(title.strip())
        yield safe_component(f"{safe_component(title.strip())[:80]}-{tune_id}")
    number = str(tune_id)
    while True:
        yield number
        number += f"-{tune_id}"


def folded(name: str) -> str:
    """What two names have in common that one folder of a Mac or of Windows cannot tell apart."""
    return safe_component(name.casefold()).casefold()


def stem_of(text: str) -> str:
    """The first words of a prompt, without the tokens of its tunes, for the names of its pictures."""
    words = re.findall(r"[^\W_]+", re.sub(r"<[^<>]*>", " ", text))[:_WORDS]
    return "-".join(words)[:_LONGEST].strip("-") or "prompt"


# Work, and what comes of it


@dataclass(frozen=True, kw_only=True, slots=True)
class PullPage:
    """One page of the account's list, and the titles of tunes that are not known. Comes back as Pulled."""

    job: str
    kind: str  # "tune" or "prompt"
    workspace: str
    before_id: int | None
    known: frozenset[int] = frozenset()  # tunes that are not to be asked for
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulled:
    """What a page showed. `failure` is the result that ended the reading; then there are no objects."""

    objects: tuple[Any, ...] = ()  # RemoteTune or RemotePrompt
    tunes: tuple[
        tuple[int, str, float | None], ...
    ] = ()  # id, title, when it goes; "": Astria does not show it
    unread: float | None = None  # what is just older than this could not be read: it may be anything
    failure: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FindRecords:
    """Walk an output for records of generations that this state has no row of. Comes back as work.Sidecars."""

    output: str
    known: frozenset[int] = frozenset()
    others: tuple[str, ...] = ()
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadRecords:
    """Read some of them whole. Comes back as work.SidecarsRead."""

    output: str
    records: tuple[Record, ...] = ()
    lane = Lane.DISK


def ends(tune: RemoteTune) -> float | None:
    """When a tune goes, and the pictures that were made with it."""
    return None if tune.auto_extend else tune.expires_at


def title_of(tune: RemoteTune) -> str:
    """What it is called, on one line."""
    return " ".join(tune.title.split())


def without_pictures(remote: RemotePrompt, *, now: float, patience: float) -> bool:
    """Whether nothing will come of it any more: it is finished, or so old that it must be."""
    old = remote.created_at is not None and now - remote.created_at > patience
    return not remote.images and (remote.trained or old)


def older(objects: Sequence[RemotePrompt], since: float | None) -> list[int]:
    """The ids of those that were made before `since`."""
    if since is None:
        return []
    return [one.id for one in objects if one.created_at is not None and one.created_at < since]
