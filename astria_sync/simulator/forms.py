"""Bodies as Rails reads them: `tune[images][]` and its kind, from multipart, urlencoded or JSON."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
PARAMETER = re.compile(rb'\b(name|filename)="((?:\\.|[^"\\])*)"', re.IGNORECASE)
BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
# Browsers and httpx escape by percent, curl by backslash; nothing else is escaped in these names.
ESCAPES = {b"%22": b'"', b"%0D": b"\r", b"%0A": b"\n"}


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that came in; its bytes are a view into the body, so that big ones are kept only once."""

    filename: str
    content_type: str
    data: bytes | memoryview

    @property
    def size(self) -> int:
        return len(self.data)


class MalformedError(ValueError):
    """A body or a field name that cannot be read."""


def parse_form(content_type: str, body: bytes) -> list[tuple[str, str | Upload]]:
    """Take a multipart or urlencoded body apart, in the order it came."""
    if not body:
        return []
    if content_type.startswith("multipart/form-data"):
        found = BOUNDARY.search(content_type)
        if found is None:
            raise MalformedError("multipart body without a boundary")
        return list(_parts(body, found[1].encode()))
    return list(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[str, str | Upload]]:
    mark = b"--" + boundary
    view = memoryview(body)
    start = body.find(mark)
    while start >= 0:
        start += len(mark)
        if body.startswith(b"--", start):
            return
        end = body.find(b"\r\n" + mark, start)
        head = body.find(b"\r\n\r\n", start)
        if end < 0 or head < 0:
            break
        yield _part(body[start:head], view[head + 4 : max(end, head + 4)])
        start = end + 2
    raise MalformedError("multipart body ends early")


def _part(head: bytes, content: memoryview) -> tuple[str, str | Upload]:
    parameters = {name.lower(): _unescape(value) for name, value in PARAMETER.findall(head)}
    name = parameters.get(b"name", "")
    if b"filename" not in parameters:
        return name, bytes(content).decode("utf-8", "replace")
    kind = re.search(rb"content-type:\s*([^\r\n]+)", head, re.IGNORECASE)
    return name, Upload(parameters[b"filename"], kind[1].decode("latin-1") if kind else "", content)


def _unescape(value: bytes) -> str:
    for escape, plain in ESCAPES.items():
        value = value.replace(escape, plain)
    return re.sub(rb'\\(["\\])', rb"\1", value).decode("utf-8", "replace")


def nest(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """`a[b][]=1` and its kind become nested mappings and lists."""
    result: dict[str, Any] = {}
    for name, value in pairs:
        found = KEY.match(name)
        if found is None:
            result[name] = value
            continue
        keys = [found[1], *re.findall(r"\[([^\[\]]*)\]", found[2])]
        try:
            _put(result, keys, value)
        except (AttributeError, TypeError) as error:
            raise MalformedError(f"{name} is used as two kinds of thing") from error
    return result


def _put(into: dict[str, Any], keys: list[str], value: Any) -> None:
    key, *rest = keys
    if not rest:
        into[key] = value
    elif rest[0]:
        _put(into.setdefault(key, {}), rest, value)
    elif len(rest) == 1:
        into.setdefault(key, []).append(value)
    else:
        items = into.setdefault(key, [])
        # Rack's rule: a key that the last element has already begins the next one.
        if not items or (len(rest) == 2 and rest[1] in items[-1]):
            items.append({})
        _put(items[-1], rest[1:], value)


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Turn a JSON body into the fields that the same request would have as a form."""
    for key, inner in value.items():
        name = f"{prefix}[{key}]" if prefix else str(key)
        if isinstance(inner, Mapping):
            yield from flatten(inner, name)
        elif isinstance(inner, list):
            for item in inner:
                if isinstance(item, Mapping):
                    yield from flatten(item, f"{name}[]")
                else:
                    yield f"{name}[]", item
        else:
            yield name, inner
