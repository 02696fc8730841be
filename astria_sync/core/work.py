"""Pieces of work for the pool: what is to be done, as frozen data, and what comes back in `Outcome.result`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from astria_sync.core.records import FormerPack, FormerTune, Record
from astria_sync.core.retry import NoAnswer
from astria_sync.core.wire import RemotePrompt, RemoteTune


class Lane(StrEnum):
    """What a piece of work takes a place of ([limits] in the configuration)."""

    UPLOADS = "uploads"
    REQUESTS = "requests"
    DOWNLOADS = "downloads"
    DISK = "disk"
    ASIDE = "aside"  # a request that nothing waits for: it takes no place from what does


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that goes with a request: the form field, where it lies, and its name there."""

    field: str
    path: str
    name: str
    roots: tuple[str, ...] = ()  # watched folders that no link may lead out of on the way to it


def prompt_upload(name: str, path: str, roots: tuple[str, ...] = ()) -> Upload:
    """A file of a prompt, under the parameter that it is."""
    field_name = f"prompt[{name}][]" if name == "image_references" else f"prompt[{name}]"
    return Upload(field=field_name, path=path, name=path.rpartition("/")[2], roots=roots)


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """Look at folders of a root: each alone, or (true) with all below. Comes back as a tuple of model.Look."""

    root: str
    scopes: tuple[tuple[str, bool], ...] = ((".", True),)
    at_rest: Mapping[str, str] = field(default_factory=dict)  # folder → its digest: nothing is to be done
    heard: float | None = None  # when the last event came of all that called for it; None: not all are events
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadFolder:
    """Read and check every picture of a folder. Comes back as FolderRead."""

    source_id: int
    root: str
    path: str
    stamp: str
    inputs: tuple[str, ...] = ()  # files that its settings name for all prompts
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderRead:
    """What a folder holds: its hash, or what is wrong with it."""

    stamp: str  # at the end of reading; differs from the one asked for if somebody wrote meanwhile
    content: str
    pictures: int
    captions: int = 0
    urls: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    only_inputs: bool = False  # every picture is an input of a prompt beside it: no image folder
    doubt: str = ""  # why nobody can tell whether they are
    prompts: Mapping[str, str] = field(default_factory=dict)  # stamps of those that were read for it


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateTune:
    """The paid `POST /tunes` of one armed row. Comes back as retry.Answer or retry.NoAnswer, like all calls below."""

    row_id: int
    workspace: str
    root: str
    path: str
    stamp: str  # the folder must still show it when the upload starts
    fields: tuple[tuple[str, str], ...]
    pack: str = ""  # run this pack on it as well: `POST /p/:pack/tunes`
    lane = Lane.UPLOADS


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatePrompt:
    """The paid `POST /tunes/:id/prompts` of one armed row."""

    row_id: int
    workspace: str
    target: int
    fields: tuple[tuple[str, str], ...]
    uploads: tuple[Upload, ...] = ()
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class PatchTune:
    """`PATCH /tunes/:id`: harmless to repeat."""

    row_id: int
    workspace: str
    remote_id: int
    fields: tuple[tuple[str, str], ...]
    values: Mapping[str, Any]
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Delete:
    """`DELETE` of a tune, or of a prompt of the tune `target`: harmless to repeat."""

    kind: str  # "tune" or "prompt"
    row_id: int
    workspace: str
    remote_id: int
    target: int | None
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchOne:
    """`GET /tunes/:id` or `/prompts/:id`, when a list cannot answer."""

    kind: str  # "tune" or "prompt"
    row_id: int
    workspace: str
    remote_id: int
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Poll:
    """List pages that cover these ids. Comes back as Pages."""

    kind: str
    workspace: str
    ids: tuple[int, ...]
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """List pages, newest first, down to (not including) id `down_to`, and no further back than `back` seconds before its
    first page, by Astria's clock alone. Comes back as Pages.
    """

    kind: str
    workspace: str
    down_to: int
    back: float = math.inf
    purpose: str = "mark"  # the highest id only, one page; adopt: all; unsure, audit, pack: to the watermark
    asked: float = 0.0  # when, on the engine's clock
    mark: int = 0  # the highest id that was known then
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """What lists showed. `failure` is the result that ended the reading early; then the objects are only a part."""

    objects: tuple[RemoteTune | RemotePrompt, ...] = ()
    head: int = 0
    covered: tuple[int, ...] = ()  # ids asked for that a page would have shown
    whole: bool = True  # false: the list broke off without an error
    mark_gone: bool = False  # the head is older than the mark, and Astria has no object of that id any more
    failure: Any = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """`GET /users`: is there a network, is the token good, is there money?"""

    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class AskModels:
    """`GET /cli/models`, kept beside the state. Comes back as modelnames.Known or Unknown."""

    state: Path
    base_url: str
    lane = Lane.ASIDE


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """One picture to its folder. Comes back as Saved or NotSaved."""

    image_id: int
    url: str
    folder: Path
    output: Path | None = None  # the configured one: no link below it is followed out of it
    stem: str  # file name without extension
    resume_etag: str = ""
    resume_at: int = 0  # bytes of the part that are durable; what lies behind them is not gone on with
    mount: str = ""  # what must be mounted for the folder to be the one that is meant
    half: str = ""  # whose turn it is by (turns.py): at most half of all that are under way are of one half; "": of none
    lane = Lane.DOWNLOADS


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """A picture lies under its final name."""

    file: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NotSaved:
    """It does not, yet. `expired`: the address is no longer good, ask Astria for a new one. `local`: our disk's fault."""

    why: str
    expired: bool = False
    local: bool = False
    etag: str = ""  # of the part that was kept
    kept: int = 0  # bytes of it that are durable
    moved: bool = False  # some of it came: worth going on soon


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteSidecar:
    """The record beside the pictures. Comes back as None, or fails."""

    prompt_id: int
    path: Path
    output: Path | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    mount: str = ""  # as for Download
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class Tidy:
    """Remove parts of pictures that nobody goes on with. Comes back as those that could not be removed."""

    parts: tuple[Path, ...]
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class FindSidecars:
    """Walk an output for records of what was ordered. Comes back as Sidecars."""

    output: str
    known: frozenset[int] = frozenset()  # ids of prompts that this state has no question about
    others: tuple[str, ...] = ()  # outputs of other roots, which may lie inside this one
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class Sidecars:
    """What records an output has; or why it could not be read, and then nothing is known of it."""

    records: tuple[Record, ...] = ()
    tunes: tuple[FormerTune, ...] = ()
    packs: tuple[FormerPack, ...] = ()
    place: tuple[int, int] | None = None  # device and inode of what was read; None: nothing is there
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadSidecars:
    """Read some records whole. Comes back as SidecarsRead."""

    output: str
    records: tuple[Record, ...]
    lane = Lane.DISK


@dataclass(frozen=True, kw_only=True, slots=True)
class SidecarsRead:
    """For each record a `sidecars.Sidecar` and how many of its pictures are there, None if it is not what was found."""

    found: tuple[Any, ...] = ()
    problem: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackUp:
    """The daily copy of the state. Comes back as where it lies."""

    state: Path
    day: str  # 2026-11-22
    lane = Lane.DISK


def unknown(why: str) -> NoAnswer:
    """The result of a call that ended in an unexpected way: it may have gone out."""
    return NoAnswer(sent=True, why=why)
