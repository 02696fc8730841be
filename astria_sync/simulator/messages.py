"""What goes in and comes out of the stand-in: requests and responses without a network."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from astria_sync.simulator.forms import MalformedError, Upload, flatten, parse_form

Host = Literal["api", "pictures"]


class RefusedError(Exception):
    """The service answers with an error: a status and a JSON body."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {body}")
        self.response = Response.of(body, status=status, headers=headers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request as the service sees it: headers in lower case, a body taken apart into fields and files."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    fields: tuple[tuple[str, Any], ...] = ()
    files: tuple[tuple[str, Upload], ...] = ()
    host: Host = "api"

    @classmethod
    def parse(
        cls, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, host: Host = "api"
    ) -> "Request":
        """Build one from what travels: multipart, urlencoded and JSON bodies come out the same."""
        lower = {name.lower(): value for name, value in headers.items()}
        parts = parse_body(lower.get("content-type", ""), body)
        address = urlsplit(url)
        return cls(
            method=method.upper(),
            path=unquote(address.path) or "/",
            query=address.query,
            headers=lower,
            fields=tuple((name, value) for name, value in parts if not isinstance(value, Upload)),
            files=tuple((name, value) for name, value in parts if isinstance(value, Upload)),
            host=host,
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.query, keep_blank_values=True)


def parse_body(content_type: str, body: bytes) -> list[tuple[str, Any]]:
    if "json" not in content_type or not body:
        return parse_form(content_type, body)
    try:
        value = json.loads(body)
    except ValueError as error:
        raise MalformedError("There was a problem in the JSON you submitted") from error
    return list(flatten(value)) if isinstance(value, dict) else []


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
        text = json.dumps(value, ensure_ascii=False, default=str)
        kind = {"content-type": "application/json; charset=utf-8"}
        return cls(status=status, headers=kind | dict(headers or {}), body=text.encode())

    def json(self) -> Any:
        return json.loads(self.body)


def sha256(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
