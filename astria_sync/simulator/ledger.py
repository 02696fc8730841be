"""The stand-in's own account of what happened, kept apart from what it answers."""

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from astria_sync.simulator.messages import Host, Request, sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    field: str
    filename: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestEntry:
    """One request; `status` is None when nothing was answered. No token is ever written down."""

    number: int
    at: float
    host: Host
    method: str
    path: str
    query: str
    workspace: str | None
    authorised: bool
    carried_token: bool
    fields: tuple[tuple[str, Any], ...]
    files: tuple[FileEntry, ...]
    status: int | None
    fault: str | None

    def field(self, name: str) -> Any:
        """Return the last value sent under this name, None if there is none."""
        return dict(self.fields).get(name)


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedEntry:
    """One object that came into being, and the number of the request that caused it."""

    kind: str
    id: int
    at: float
    request: int
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureEntry:
    """Bytes of one picture that were handed out; `sent` counts what the answer held, before any cut."""

    request: int
    at: float
    path: str
    prompt_id: int | None
    range: str | None
    status: int
    sent: int
    authorization: bool
    fault: str | None


class Ledger:
    """Append-only; the model's lock guards it."""

    def __init__(self) -> None:
        self._requests: list[RequestEntry] = []
        self._created: list[CreatedEntry] = []
        self._pictures: list[PictureEntry] = []
        self._number = 0

    def next_number(self) -> int:
        """Give the request that is about to be worked on its number."""
        self._number += 1
        return self._number

    def note_request(
        self,
        number: int,
        at: float,
        request: Request,
        *,
        authorised: bool,
        status: int | None,
        fault: str | None,
    ) -> None:
        files = tuple(
            FileEntry(field=name, filename=file.filename, size=file.size, sha256=sha256(file.data))
            for name, file in request.files
        )
        self._requests.append(
            RequestEntry(
                number=number,
                at=at,
                host=request.host,
                method=request.method,
                path=request.path,
                query=request.query,
                workspace=request.headers.get("x-workspace-id"),
                authorised=authorised,
                carried_token="authorization" in request.headers,
                fields=request.fields,
                files=files,
                status=status,
                fault=fault,
            )
        )

    def note_created(self, kind: str, id: int, at: float, facts: dict[str, Any]) -> None:  # noqa: A002 - its name
        self._created.append(CreatedEntry(kind=kind, id=id, at=at, request=self._number, facts=facts))

    def note_picture(self, entry: PictureEntry) -> None:
        self._pictures.append(entry)

    def requests(
        self, method: str | None = None, path_regex: str | None = None, host: Host | None = None
    ) -> list[RequestEntry]:
        """Every request so far, or those of one method, host or kind of path, in order."""
        return [
            entry
            for entry in list(self._requests)
            if (method is None or entry.method == method.upper())
            and (host is None or entry.host == host)
            and (path_regex is None or re.search(path_regex, entry.path))
        ]

    def created(self, kind: str | None = None) -> list[CreatedEntry]:
        return [entry for entry in list(self._created) if kind in {None, entry.kind}]

    def created_tunes(self) -> list[CreatedEntry]:
        return self.created("tune")

    def created_prompts(self) -> list[CreatedEntry]:
        return self.created("prompt")

    def pictures_served(self) -> list[PictureEntry]:
        return list(self._pictures)

    def spent_mc(self) -> int:
        """Sum up what all creations cost, in thousandths of a cent."""
        return sum(entry.facts.get("cost_mc", 0) for entry in list(self._created))

    def as_json(self) -> dict[str, Any]:
        return {
            "requests": [asdict(entry) for entry in list(self._requests)],
            "created": [asdict(entry) for entry in list(self._created)],
            "pictures": [asdict(entry) for entry in list(self._pictures)],
            "spent_mc": self.spent_mc(),
        }
