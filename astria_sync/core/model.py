"""What the parts say to each other: rows of the journal, sightings of the scan, messages to the engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astria_sync.core.lifecycle import PromptState, TuneState

# How far back the account is searched before something is paid (contract §1): for what is older than the state, which may be
# new beside old folders, all of it; for what is older than this run, what this state has not seen yet (it may be a copy).
OLDER_THAN_STATE = 2
OLDER_THAN_RUN = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """An image folder or a prompt file, as the journal knows it."""

    id: int
    kind: str  # "folder" or "prompt"
    root: str
    path: str  # relative to root, posix; "." is the root itself
    inode: int
    mtime_ns: int
    stamp: str
    content: str
    is_image_folder: bool
    pictures: int
    adoptable: int  # OLDER_THAN_STATE, OLDER_THAN_RUN, or 0
    problem: str
    settings: Mapping[str, Any]
    note: str
    missing_since: float | None
    created_at: float
    updated_at: float

    @property
    def location(self) -> Path:
        """Where it lies on this machine."""
        return Path(self.root) if self.path == "." else Path(self.root, self.path)

    @property
    def name(self) -> str:
        """The folder's or file's own name; the root's name for the root."""
        return self.location.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Tune:
    """One order for a tune: the folder that it was made of, and what Astria calls it."""

    id: int
    source_id: int
    current: bool
    state: TuneState
    reason: str
    error: str
    remote_id: int | None
    workspace: str
    title: str
    class_noun: str
    model_type: str
    base_tune_id: int | None
    params: Mapping[str, Any]
    content: str
    pictures: int
    captions: int
    changed: bool
    patched: Mapping[str, Any]
    patch: Mapping[str, Any]
    watermark: int | None
    attempt: int
    looks: int
    lost: bool
    absent: int
    next_at: float
    armed_at: float | None
    bound_at: float | None
    ready_at: float | None
    expires_at: float | None
    cost_mc: int
    url: str
    created_at: float
    updated_at: float
    needs_mc: int | None  # the day's limit holds it back until the day has this much left
    past_limit: bool
    spare_of: int | None = None  # the row that asked once and got this one too
    made_at: float | None = None  # by Astria's clock
    pack_run: int | None = None  # the row of the pack that went out with its pictures
    # When it is deleted at Astria, since its file is gone; below 0: Astria refused.
    delete_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One order for pictures: one version (and variant, and run) of one prompt file."""

    id: int
    source_id: int
    subject_id: int | None
    fingerprint: str
    variant: Mapping[str, str]
    run: int
    current: bool
    state: PromptState
    reason: str
    error: str
    remote_id: int | None
    workspace: str
    request: Mapping[str, Any]
    script: str
    target: int | None
    model: str
    text: str
    params: Mapping[str, Any]
    files: list[list[str]]
    seed: int | None
    complete: bool
    num_images: int
    watermark: int | None
    attempt: int
    looks: int
    lost: bool
    absent: int
    sought: bool
    next_at: float
    folder: str
    output: str
    stem: str
    approved: bool
    armed_at: float | None
    bound_at: float | None
    pictured_at: float | None
    done_at: float | None
    cost_mc: int
    url: str
    answer: Mapping[str, Any]
    created_at: float
    updated_at: float
    needs_mc: int | None
    past_limit: bool
    spare_of: int | None = None  # the row that asked once and got this one too
    # 1: to be looked for among the records beside the pictures, 2: once its folder is read; 0: done.
    unread: int = 0
    pack_run: int | None = None  # the run of a pack that made it; its source is then an image folder
    template: int | None = None  # which of the pack's prompts it is of
    pulled: bool = False  # made elsewhere: no file of ours asked for it (pulling.py)
    # When it is deleted at Astria, since its file is gone; below 0: Astria refused.
    delete_at: float | None = None
    crowd: bool = False  # one of too many new ones at one go: held unless approved, as soon as it could go
    old: int = 0  # its source's `adoptable`, as the state itself keeps it (schema.py)


def kind_of(row: Tune | Prompt) -> str:
    """What the row is an order for, "tune" or "prompt"; its table is named by the plural."""
    return "tune" if isinstance(row, Tune) else "prompt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One picture of a prompt: where it comes from and where it lies."""

    id: int
    prompt_id: int
    n: int
    state: str  # wanted, saved, gone
    url: str
    identity: str
    file: str
    size: int
    sha256: str
    etag: str
    reason: str
    attempt: int
    next_at: float
    deadline: float
    saved_at: float | None
    kept: int  # bytes of a part that are durable
    pulled: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSight:
    """A prompt file as the scan saw it."""

    path: str
    stamp: str
    inode: int
    mtime_ns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSight:
    """A directory that was read completely. `stamp` is "" if nothing in it concerns a tune."""

    path: str
    inode: int
    stamp: str  # of pictures, captions and urls.txt
    pictures: int
    has_urls: bool
    tune_stamp: str  # of tune.toml; "" if there is none
    prompts: tuple[FileSight, ...] = ()
    moving: str = ""  # stamp of what is not sent and yet tells that more is coming: a download under way
    # Of all files that the other columns may tell of; another does not mean that they tell something else.
    digest: str = field(default="", compare=False)

    def settled_stamp(self, tune_files: str) -> str:
        """What must stand still before the folder is taken up; the part up to the first "|" is of what is sent."""
        return f"{self.stamp}|{tune_files}" + (f"|{self.moving}" if self.moving else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a walk saw below `scope` of one root.

    `complete` is false when the root could not be read or shows nothing although it did before: then nothing that is
    not in `folders` may be taken for deleted. `unreadable` are directories of which the same is true.
    """

    root: str
    scope: str  # relative path of the directory that was walked; "." for all
    recursive: bool
    folders: tuple[FolderSight, ...]
    began: float = 0.0  # on the engine's clock
    # Since when what it shows has not changed, on the same: since it ended, if nothing tells.
    still: float = 0.0
    touched: float = field(default=0.0, compare=False)  # the latest change in there, by the disk's clock
    complete: bool = True
    problem: str = ""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    # Folders that are as whoever asked knows them; they are not among `folders`.
    unchanged: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()  # mount points in the root, "." if it is one, that were there all the while


# Messages to the engine. Each is one fact; the engine decides what follows.


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """Something may have changed below `path` of `root`; path None: look at everything.

    `heard` is when its root's last event came, on the engine's clock; None if no event tells of it.
    """

    root: str
    path: str | None
    recursive: bool = True
    heard: float | None = field(default=None, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """Time has come for `what`: "rescan" or "check"."""

    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """A signal, or the end of `run --once`; `now` true: do not wait for requests under way."""

    signal: int = 0
    now: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Reload:
    """A wish that the configuration be read again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A person's wish that came over the control socket; `reply` gets one answer."""

    name: str
    arguments: Mapping[str, Any]
    reply: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a piece of work ended. `work` is what was asked for; exactly one of `result` and `failure` is set."""

    work: Any
    result: Any = None
    failure: BaseException | None = None


def described(message: Any) -> str:
    """What a message is, for a sentence about it."""
    if isinstance(message, Outcome):
        return f"What came of {type(message.work).__name__}"
    return f"The command {message.name}" if isinstance(message, Command) else f"A {type(message).__name__}"
