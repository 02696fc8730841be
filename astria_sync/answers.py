"""From a response to an Answer: whatever a server sends, it takes little memory, has no token in it, and never raises.

A server in disorder, or one that wants to do harm, can send anything: bytes without end, a few that unpack to gigabytes, a
million lists in each other, text that no file can hold, and the request with its token.
"""

import json
import math
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol

from astria_sync.core.retry import Answer

ENCODING: Final = "gzip"  # what answers may be packed with; several layers, as HTTP allows, would multiply
_BYTES: Final = 32 * 1024 * 1024  # unpacked; a page of 120 prompts has one, at most a few
_VALUES: Final = 1_000_000
_DEPTH: Final = 50
_TEXT: Final = 2000  # characters of an answer that is no JSON
_LONGEST_WAIT: Final = 86400.0  # seconds; a slip in Retry-After must not stop the work for ever


class Masks(Protocol):
    """Takes what is secret out of a text: a token, or the module `secrets`, which knows all that were read."""

    def hide(self, text: str) -> str: ...


class TooMuchError(Exception):
    """More than any answer of Astria's has."""


def unpacked(chunks: Iterable[bytes], encoding: str) -> bytes:
    """The body; raises TooMuchError before it takes more memory than it may."""
    encoding = encoding.strip().lower()
    if encoding not in {"", "identity", ENCODING}:
        raise TooMuchError(f"the answer is packed in a way that was not asked for ({encoding[:40]})")
    gzip = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == ENCODING else None
    body = bytearray()
    for chunk in chunks:
        body += gzip.decompress(chunk, _BYTES + 1 - len(body)) if gzip else chunk
        if len(body) > _BYTES:
            raise TooMuchError("the answer is larger than any that Astria gives")
    return bytes(body)


def read(status: int, headers: Mapping[str, str], content: bytes, token: Masks) -> Answer:
    """What it says: its JSON, or if it is none its beginning as text."""
    body = _json(content, token)
    text = content[: 4 * _TEXT].decode("utf-8", "replace") if body is None else ""
    return Answer(
        status=status,
        body=body,
        text=token.hide(text)[:_TEXT],
        retry_after=_retry_after(headers.get("Retry-After", ""), headers.get("Date", "")),
        date=headers.get("Date", ""),
    )


def http_date(text: str) -> float | None:
    """Seconds since the epoch; None if it is no date."""
    with suppress(TypeError, ValueError, OverflowError):
        at = parsedate_to_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return None


def _json(content: bytes, token: Masks) -> Any:
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > _VALUES:
        return None
    try:
        # Python writes and reads infinities and not-a-numbers that nobody else reads.
        found = json.loads(content, parse_constant=lambda _: None, parse_float=_finite) if content else None
        return _clean(found, token, _DEPTH)
    except (ValueError, RecursionError):
        return None


def _finite(written: str) -> float | None:
    number = float(written)
    return number if math.isfinite(number) else None


def _clean(value: Any, token: Masks, depth: int) -> Any:
    """The same without the token, and without what no file and no state can hold: halves of characters."""
    if isinstance(value, str):
        return token.hide(value if value.isascii() else value.encode(errors="replace").decode())
    if depth == 0 and isinstance(value, list | dict):
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [_clean(one, token, depth - 1) for one in value]
    if isinstance(value, dict):
        return {_clean(key, token, 0): _clean(one, token, depth - 1) for key, one in value.items()}
    return value


def _retry_after(value: str, date: str) -> float | None:
    """Seconds, from a number or a date (RFC 9110 §10.2.3); None if it says neither.

    Both dates are the server's: one against this machine's clock would be wrong by whatever that is.
    """
    try:
        seconds = float(value)
    except ValueError:
        at, now = http_date(value), http_date(date)
        if at is None:
            return None
        seconds = at - (time.time() if now is None else now)
    return None if math.isnan(seconds) else min(max(0.0, seconds), _LONGEST_WAIT)
