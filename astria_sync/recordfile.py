"""What a record beside the pictures (a sidecar) holds, as types that are checked when one is read."""

import hashlib
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from astria_sync.core.whole import MAX_ID
from astria_sync.core.wire import as_time
from astria_sync.transient import EACH

_Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
_Count = Annotated[int, Meta(ge=0, le=MAX_ID)]
_Line = Annotated[str, Meta(max_length=4096)]


class _Source(msgspec.Struct, frozen=True):
    root: _Line
    path: _Line
    fingerprint: _Hash
    sha256: str = ""
    text: str = ""
    variant: dict[str, str] = {}
    run: Annotated[int, Meta(ge=1, le=1_000_000)] = 1

    @property
    def each(self) -> str:
        """The image folder that a local pack's prompt was made for; "" for any other."""
        return self.variant.get(EACH, "")


class Picture(msgspec.Struct, frozen=True):
    """One picture, as its record has it."""

    n: Annotated[int, Meta(ge=1, le=1000)]
    file: str
    size: _Count
    sha256: _Hash
    url: _Line = ""


class RecordedPack(msgspec.Struct, frozen=True):
    """The run of a pack that it is of."""

    id: _Id
    slug: Annotated[str, Meta(min_length=1, max_length=4096)]
    template: _Id | None = None
    order_id: _Id | None = None


class _File(msgspec.Struct, frozen=True):
    parameter: _Line
    path: _Line


class _Tune(msgspec.Struct, frozen=True):
    id: _Id
    folder: _Line
    content: str = ""


class Sidecar(msgspec.Struct, frozen=True):
    """A whole record, as docs/guide.md has it; what is not listed here is not needed."""

    id: _Id
    source: _Source
    images: Annotated[list[Picture], Meta(min_length=1, max_length=1000)]
    text: str = ""
    tune_id: _Id | None = None
    model: str | None = None
    workspace_id: str | None = None
    duplicate_of: _Id | None = None
    pack: RecordedPack | None = None
    seed: _Count | None = None
    parameters: dict[str, Any] = {}
    files: list[_File] = []
    tunes: list[_Tune] | None = None
    cost_mc: _Count = 0
    page: str | None = None
    sent_at: str | None = None
    accepted_at: str | None = None
    finished_at: str | None = None
    saved_at: str | None = None
    answer: dict[str, Any] = {}

    def time(self, name: str, *, latest: float) -> float | None:
        """One of its times in seconds; a clock that was ahead makes nothing of the future."""
        at = as_time(getattr(self, name))
        return None if at is None else min(at, latest)

    @property
    def script(self) -> str | None:
        """The prompt file's text, if it is the one that the record names by its hash."""
        data = self.source.text.encode()
        for bom in (b"", b"\xef\xbb\xbf"):
            if hashlib.sha256(bom + data).hexdigest() == self.source.sha256:
                return self.source.text
        return None
