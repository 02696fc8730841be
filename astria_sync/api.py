"""Astria over HTTP: with download.py the only module that touches the network, and the only one that knows the token.

It never raises for what a network or server can do: a call comes back as `Answer` or as `NoAnswer`, and `NoAnswer.sent` is
false only where httpx's trace proves that not one byte of the request went out.
"""

import functools
import logging
import math
import mimetypes
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

import astria_sync
from astria_sync import answers, secrets
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.core.wire import form_value
from astria_sync.core.work import Upload
from astria_sync.reads import Reads
from astria_sync.secrets import Token
from astria_sync.uploads import LateFile, joined

USER_AGENT: Final = f"astria-sync/{astria_sync.__version__}"
_PATIENCE: Final = 5  # times `timeout`, which holds for each read: an answer that trickles has no end
_LONGEST_WHY: Final = 300  # characters

# httpx logs whole URLs at INFO, signatures of pictures included.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class _Trace:
    """What becomes of a request (httpcore's trace): was its first byte handed to the socket, and how long may the answer take?"""

    def __init__(self, reads: Reads, patience: float, alive: Callable[[], None]) -> None:
        self.sent = False
        self._reads = reads
        self._patience = patience
        self._alive = alive

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self._alive()
        self._reads.on_trace(event, info)
        if event.endswith(".send_request_headers.started"):
            self.sent = True
            self._reads.limit(math.inf, "")  # an upload may take as long as it takes
        elif event.endswith(".send_request_body.complete"):
            self._reads.limit(self._reads.clock() + self._patience, "no answer in time")


class _Bearer(httpx.Auth):
    """Puts the token into a request at the last moment, so that it stands in nobody's variables."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        yield request


class _Joined(httpx.SyncByteStream):
    """The body of a request, in pieces that are worth sending: httpx makes each line between two fields one of its own."""

    def __init__(self, request: httpx.Request) -> None:
        assert isinstance(request.stream, httpx.SyncByteStream)
        self._body = request.stream

    def __iter__(self) -> Iterator[bytes]:
        return joined(self._body)


@functools.cache
def certificates() -> ssl.SSLContext:
    """Whose word is taken for who a host is; reading them takes 40 ms, so it is done once for all clients."""
    return httpx.create_ssl_context()


def no_cookies() -> CookieJar:
    """A jar that takes none: what one host says is repeated to nobody."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


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
        self._patience = _PATIENCE * timeout
        self._waits = Reads(time.monotonic)
        self.alive: Callable[[], None] = lambda: (
            None
        )  # hears of each step that a request makes, in its thread
        common: dict[str, Any] = {
            "timeout": timeout,
            "follow_redirects": False,
            "headers": {
                "User-Agent": USER_AGENT,
                "Accept": "application/json",
                "Accept-Encoding": answers.ENCODING,
            },
            "cookies": no_cookies(),
            "verify": certificates(),
            "transport": transport,
            # Over https a proxy passes on what it cannot read; over http it would read the token.
            "trust_env": self._base.startswith("https:"),
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

    def get(
        self, path: str, *, workspace: str = "", anonymous: bool = False, **query: Any
    ) -> Answer | NoAnswer:
        """A call that can be repeated; `anonymous`: one that needs no token, and is not given it."""
        params = [
            (key, form_value(one))
            for key, value in query.items()
            if value is not None
            for one in (value if isinstance(value, list | tuple) else [value])
        ]
        return self._call(self._reads, "GET", path, workspace, anonymous=anonymous, params=params)

    def send(
        self,
        method: str,
        path: str,
        fields: Sequence[tuple[str, str]],
        uploads: Sequence[Upload] = (),
        *,
        workspace: str = "",
        count: Callable[[int], None] = lambda _: None,
    ) -> Answer | NoAnswer:
        """A creating or changing call, as multipart/form-data; files are streamed from disk, `count` hears how far they are."""
        with ExitStack() as stack:
            try:
                parts: list[tuple[str, Any]] = [(name, (None, value.encode())) for name, value in fields]
                for up in uploads:
                    file = stack.enter_context(closing(LateFile(up.path, up.roots, count)))
                    parts.append((up.field, (_name(up), file, _media_type(up.name))))
            except OSError as error:
                return NoAnswer(
                    sent=False, why=f"{error.filename} cannot be read ({error.strerror})", changed=True
                )
            return self._call(self._creates, method, path, workspace, files=parts)

    def _call(
        self,
        client: httpx.Client,
        method: str,
        path: str,
        workspace: str,
        *,
        anonymous: bool = False,
        **how: Any,
    ) -> Answer | NoAnswer:
        token = None if anonymous else self._token  # another thread may renew it
        if token is None and not anonymous:
            return Answer(status=401, body=None, text="There is no token.")
        masks: answers.Masks = token or secrets
        headers = {"X-Workspace-Id": workspace} if workspace else {}
        trace = _Trace(self._waits, self._patience, self.alive)
        try:
            request = client.build_request(
                method, self._base + path, headers=headers, extensions={"trace": trace}, **how
            )
            request.stream = _Joined(request)
            response = client.send(request, auth=_Bearer(token) if token else None, stream=True)
            try:
                said = response.headers
                content = answers.unpacked(response.iter_raw(), said.get("Content-Encoding", ""))
            finally:
                response.close()
            return answers.read(response.status_code, said, content, masks)
        except Exception as error:  # noqa: BLE001 - h11's own come through httpx too (a file that shrinks on its way)
            return NoAnswer(sent=trace.sent, why=masks.hide(_why(error))[:_LONGEST_WHY])


def _name(upload: Upload) -> str:
    return upload.name.encode(errors="replace").decode()


def _media_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _why(error: Exception) -> str:
    """A clause for a person; httpx's texts may be empty, or hold what the server sent."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({error})" if str(error) else "no connection"
    return f"{error}" or type(error).__name__
