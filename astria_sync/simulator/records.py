"""The objects of the service; what changes with time is worked out from the time asked about."""

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

DAY = 86400.0
REFERENCES = ("faceid", "lora")


def iso(at: float | None) -> str | None:
    if at is None or math.isinf(at):
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


@dataclass(slots=True, kw_only=True)
class Record:
    id: int
    workspace_id: int | None
    created_at: float
    updated_at: float
    deleted_at: float = math.inf

    def exists(self, at: float) -> bool:
        return self.created_at <= at < self.deleted_at


@dataclass(slots=True, kw_only=True)
class Tune(Record):
    title: str
    name: str | None = None
    model_type: str | None = None
    branch: str = "sd15"
    base_tune_id: int | None = None
    ready_at: float = 0.0
    expires_at: float = math.inf
    auto_extend: bool = False
    public: bool = False
    cost_mc: int = 0
    images: tuple[str, ...] = ()
    """Addresses, or paths on the pictures host."""

    params: dict[str, Any] = field(default_factory=dict)

    def alive(self, at: float) -> bool:
        """Say whether it is there at that time; without `auto_extend` it goes 30 days after training."""
        return self.exists(at) and (self.public or self.auto_extend or at < self.expires_at)

    @property
    def free(self) -> bool:
        return self.branch == "fast"

    @property
    def is_reference(self) -> bool:
        return self.model_type in REFERENCES


@dataclass(slots=True, kw_only=True)
class Prompt(Record):
    tune: Tune
    starts_at: float
    done_at: float
    expires_at: float
    num_images: int
    trickle: bool
    pictures: tuple[str, ...]
    """Paths on the pictures host, known before there is anything to see."""

    cost_mc: int = 0
    error: str | None = None
    liked: bool = False
    params: dict[str, Any] = field(default_factory=dict)

    def alive(self, at: float) -> bool:
        """Say whether it is there; its pictures go with the tune they were made by, or after 30 days."""
        kept = (
            at < self.expires_at if self.tune.public else self.tune.auto_extend or at < self.tune.expires_at
        )
        return self.exists(at) and kept

    def shown_at(self, index: int) -> float:
        if not self.trickle:
            return self.done_at
        return self.starts_at + (self.done_at - self.starts_at) * (index + 1) / self.num_images

    def shown(self, at: float) -> list[str]:
        """List the pictures that are there at that time."""
        if self.error is not None:
            return []
        return [path for index, path in enumerate(self.pictures) if self.shown_at(index) <= at]


@dataclass(slots=True, kw_only=True)
class Template:
    """A prompt of a pack; `<1>` stands for the subject."""

    id: int
    text: str
    name: str
    num_images: int = 4
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Pack(Record):
    slug: str
    title: str
    base_tune_id: int
    model_type: str | None = None
    subtitle: str | None = None
    public: bool = False
    listed: bool = True
    templates: list[Template] = field(default_factory=list)


R = TypeVar("R", bound=Record)


class Shelf(Generic[R]):
    """Records by id; ids only grow, so the newest are at the end."""

    def __init__(self) -> None:
        self._records: dict[int, R] = {}
        self._ids: list[int] = []

    def add(self, record: R) -> R:
        self._records[record.id] = record
        bisect.insort(self._ids, record.id)
        return record

    def get(self, key: int) -> R | None:
        return self._records.get(key)

    def newest(self, before_id: int | None = None) -> Iterator[R]:
        """Go through them by falling id, from below `before_id`."""
        end = len(self._ids) if before_id is None else bisect.bisect_left(self._ids, before_id)
        for index in range(end - 1, -1, -1):
            yield self._records[self._ids[index]]
