"""Astria over HTTP: with download.py the only module that touches the network, and the only one that knows the token.

It never raises for what a network or server can do: a call comes back as `Answer` or as `NoAnswer`, and `NoAnswer.sent` is
false only where httpx's trace proves that not one byte of the request went out.
"""

import errno
import json
import logging
import math
import mimetypes
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, Any, Final

import httpx

import astria_sync
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.core.work import Upload
from astria_sync.secrets import Token

USER_AGENT: Final = f"astria-sync/{astria_sync.__version__}"
_TEXT_LIMIT: Final = 2000
_BODY_LIMIT: Final = 64 * 1024 * 1024
_LONGEST_WAIT: Final = 86400.0  # seconds; a slip in Retry-After must not stop the work for ever

# httpx logs whole URLs at INFO, signatures of pictures included.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class _Trace:
    """Whether a request's first byte was handed to the socket (httpcore's trace extension)."""

    def __init__(self) -> None:
        self.sent = False

    def __call__(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.sent = True


class Api:
    """Calls to `base_url`. Thread-safe; the token is asked for anew when it was refused."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], Token | None],
        *,
        timeout: float,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`transport` is the seam for tests; redirects are never followed, so the token cannot leave `base_url`."""
        self._base = base_url.rstrip("/")
        self._find_token = token
        self._token = token()
        common: dict[str, Any] = {
            "timeout": timeout,
            "follow_redirects": False,
            "headers": {"User-Agent": USER_AGENT, "Accept": "application/json"},
            "transport": transport,
        }
        self._reads = httpx.Client(
            limits=httpx.Limits(max_keepalive_connections=4, keepalive_expiry=20), **common
        )
        # A kept connection that the server is just closing would make a creating call's fate unknown: use a new one each.
        self._creates = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), **common)

    def close(self) -> None:
        """Close the connections."""
        self._reads.close()
        self._creates.close()

    @property
    def token(self) -> Token | None:
        """The token in use, None if there is none."""
        return self._token

    def renew_token(self) -> None:
        """Read the token again, after it was refused."""
        self._token = self._find_token()

    def get(self, path: str, *, workspace: str = "", **query: Any) -> Answer | NoAnswer:
        """A call that can be repeated."""
        params = {key: str(value) for key, value in query.items() if value is not None}
        return self._call(self._reads, "GET", path, workspace, params=params)

    def send(
        self,
        method: str,
        path: str,
        fields: Sequence[tuple[str, str]],
        uploads: Sequence[Upload] = (),
        *,
        workspace: str = "",
    ) -> Answer | NoAnswer:
        """A creating or changing call, as multipart/form-data; files are streamed from disk."""
        with ExitStack() as stack:
            try:
                parts: list[tuple[str, Any]] = [(name, (None, value.encode())) for name, value in fields]
                for up in uploads:
                    file = stack.enter_context(closing(_LateFile(up.path)))
                    parts.append((up.field, (_name(up), file, _media_type(up.name))))
            except OSError as error:
                return NoAnswer(
                    sent=False, why=f"{error.filename} cannot be read ({error.strerror})", changed=True
                )
            return self._call(self._creates, method, path, workspace, files=parts)

    def _call(
        self, client: httpx.Client, method: str, path: str, workspace: str, **how: Any
    ) -> Answer | NoAnswer:
        token = self._token  # another thread may renew it
        if token is None:
            return Answer(status=401, body=None, text="There is no token.")
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        if workspace:
            headers["X-Workspace-Id"] = workspace
        trace = _Trace()
        try:
            request = client.build_request(
                method, self._base + path, headers=headers, extensions={"trace": trace}, **how
            )
            response = client.send(request, stream=True)
            try:
                content = _read(response)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 - h11's own come through httpx too (a file that shrinks on its way)
            return NoAnswer(sent=trace.sent, why=_why(error))
        # A server that repeats the token in an error must not bring it into a log or an error file.
        return _answer(response, content.replace(token.reveal().encode(), b"[token]"))


class _LateFile:
    """A file of a request: tried when the request is put together, open only while its own part is sent.

    A folder may have more pictures than the process may have files open.
    """

    def __init__(self, path: str) -> None:
        """Raises OSError if it cannot be read now."""
        self._path = path
        self._file: IO[bytes] | None = None
        try:
            with open(path, "rb") as file:
                file.read(1)
                self._is = _what(file)
        except OSError as error:
            error.filename = path  # a read says none
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """`httpx` goes to the end for the length, and to the start before it reads; nothing else is needed."""
        self.close()
        return self._is[1] if whence == os.SEEK_END else offset

    def tell(self) -> int:
        return 0

    def read(self, count: int) -> bytes:
        """The next bytes; closes the file at its end. Raises OSError if it is not the file that was tried."""
        if self._file is None:
            self._file = open(self._path, "rb")  # noqa: SIM115 - closed at its end, or by whoever made this
            if _what(self._file) != self._is:
                raise OSError(errno.ESTALE, f"{self._path} changed while it was sent")
        data = self._file.read(count)
        if not data:
            self.close()
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _what(file: IO[bytes]) -> tuple[int, int, int]:
    info = os.fstat(file.fileno())
    return info.st_ino, info.st_size, info.st_mtime_ns


def _name(upload: Upload) -> str:
    return upload.name.encode(errors="replace").decode()


def _media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _read(response: httpx.Response) -> bytes:
    parts = bytearray()
    for chunk in response.iter_bytes():
        parts += chunk
        if len(parts) > _BODY_LIMIT:
            raise httpx.DecodingError("the answer is larger than any that Astria gives")
    return bytes(parts)


def _answer(response: httpx.Response, content: bytes) -> Answer:
    try:
        body = json.loads(content) if content else None
        if (
            b"\\u" in content
        ):  # halves of surrogate pairs are JSON, but no text that a file or the state could hold
            body = json.loads(json.dumps(body, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        body = None
    text = content[:_TEXT_LIMIT].decode("utf-8", "replace") if body is None else ""
    return Answer(
        status=response.status_code,
        body=body,
        text=text,
        retry_after=_retry_after(response.headers.get("Retry-After")),
        date=response.headers.get("Date", ""),
    )


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number or a date (RFC 9110 §10.2.3); None if it says neither."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        seconds = (at - datetime.fromtimestamp(time.time(), UTC)).total_seconds()
    return None if math.isnan(seconds) else min(max(0.0, seconds), _LONGEST_WAIT)


def _why(error: Exception) -> str:
    """A clause for a person; httpx's texts name no secrets, but may be empty."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({error})" if str(error) else "no connection"
    return f"{error}" or type(error).__name__
