"""Connections to the hosts of pictures, kept for the next one: a body goes from the socket into one buffer, and from there to the disk.

An httpx transport, since httpcore hands a body on in pieces of 64 KiB that are copied three times: at gigabit speed that is most of
a core. Heads, and bodies without a length, are h11's to understand. No proxies: with one in the environment httpx's own is used.
"""

import math
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar, cast

import h11
import httpx

_PIECE: Final = 256 * 1024  # bytes; larger ones leave the processor's cache before they are written
# Seconds that packets are let come together: each that wakes us costs more than to take what it brings.
_GATHERING: Final = 0.02
_HEAD: Final = 64 * 1024
_LONGEST_HEAD: Final = 100 * 1024
_KEPT: Final = 5.0  # seconds that a connection is kept without being used
_BODILESS: Final = frozenset({204, 304})

_Done = TypeVar("_Done")
Origin = tuple[str, str, int]
_Trace = Callable[[str, Mapping[str, Any]], None]


class Connection:
    """One, that is asked for one thing at a time. Whoever limits reads puts a `read` and a `read_into` of their own here."""

    def __init__(self, origin: Origin, sock: socket.socket) -> None:
        self.origin = origin
        self.expires = 0.0  # on the monotonic clock, once it is idle
        self._socket = sock
        self._poll = select.poll()
        self._wakes_at = 1

    def get_extra_info(self, what: str) -> Any:
        """Where it leads to (server_addr), as httpcore's streams tell it."""
        return self._socket.getpeername() if what == "server_addr" else None

    def begin(self, context: ssl.SSLContext | None, wait: float | None) -> None:
        """Greet the host, by TLS if there is a context. From then on it is waited for here, not by Python's sockets."""
        with _as_httpx(httpx.ConnectTimeout, httpx.ConnectError):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context:
                self._socket.settimeout(wait)
                self._socket = context.wrap_socket(self._socket, server_hostname=self.origin[1])
            self._socket.settimeout(0)
        self._poll.register(self._socket, select.POLLIN)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come, of a head; waits for it."""
        with _as_httpx(httpx.ReadTimeout, httpx.ReadError):
            return self._waiting(self._socket.recv, max_bytes, timeout)

    def read_into(self, view: memoryview, timeout: float | None = None) -> int:
        """What has come, of a body; waits for it. 0 at its end."""
        with _as_httpx(httpx.ReadTimeout, httpx.ReadError):
            size = self._waiting(self._socket.recv_into, view, timeout, len(view))
        if size and isinstance(self._socket, ssl.SSLSocket):
            # It gives 16 KiB at once, however much has come: take the rest of it too.
            with suppress(OSError):  # nothing more for now; what else it may be, the next read tells
                while size < len(view) and (more := self._socket.recv_into(view[size:])):
                    size += more
        return size

    def write(self, data: bytes, timeout: float | None = None) -> None:
        with _as_httpx(httpx.WriteTimeout, httpx.WriteError):
            while data:
                data = data[self._waiting(self._socket.send, data, timeout) :]

    def _waiting(self, do: Callable[[Any], _Done], what: Any, wait: float | None, gather: int = 1) -> _Done:
        """Mostly something is there already, so that nobody need ask first. `gather`: bytes that are worth waking up for."""
        until = 0.0
        while True:
            try:
                return do(what)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                reads = do != self._socket.send and not isinstance(error, ssl.SSLWantWriteError)
            now = time.monotonic()
            # A part of a TLS record is nothing yet: however its bytes trickle, they have the time of one read.
            until = until or (math.inf if wait is None else now + wait)
            if gather > 1:
                self._wait(select.POLLIN, gather, min(_GATHERING, until - now))
                gather = 1
            elif now >= until or not self._wait(select.POLLIN if reads else select.POLLOUT, 1, until - now):
                raise TimeoutError("timed out")

    def _wait(self, wanted: int, least: int, timeout: float) -> bool:
        """Until so many bytes are there to be read (or it can be written), or the time is over; the end counts as any number."""
        if self._wakes_at != least:
            self._wakes_at = least
            with suppress(OSError):  # else, as where a system knows no such thing, each packet wakes us
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
        self._poll.modify(self._socket, wanted)
        return bool(self._poll.poll(None if timeout == math.inf else timeout * 1000))

    @property
    def usable(self) -> bool:
        """Whether it can be used once more: something to be read, by TLS already or not, is no answer to what is asked next."""
        more = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        return time.monotonic() <= self.expires and not more and not self._wait(select.POLLIN, 1, 0)


class Connections(httpx.BaseTransport):
    """So many at once at most, those included that are kept. Thread-safe.

    A piece of a body is good until the next one is asked for: they share their memory. So whoever wants all of it at once
    (`response.read()`) is not served here.
    """

    def __init__(self, most: int, context: ssl.SSLContext) -> None:
        self.context = context
        self._most = most
        self._places = threading.BoundedSemaphore(most)
        self._lock = threading.Lock()
        self._busy = 0
        self._idle: list[Connection] = []

    def close(self) -> None:
        """Close those that are idle; one that is in use closes with its response."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._most = 0
        for one in idle:
            one.close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, and read the head of the answer."""
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        if not self._places.acquire(timeout=timeouts.get("pool")):
            raise httpx.PoolTimeout("all connections are in use")
        url, connection = request.url, None
        port = url.port or (443 if url.scheme == "https" else 80)
        origin = (url.scheme, url.raw_host.decode("ascii"), port)
        try:
            connection = self._kept(origin) or self._opened(origin, request)
            return _ask(connection, request, timeouts, self._given_back)
        except BaseException:
            self._given_back(connection, good=False)
            raise

    def _kept(self, origin: Origin) -> Connection | None:
        """The latest one to this host, if there is one; makes room for a new one otherwise."""
        with self._lock:
            self._busy += 1
            spent = [one for one in self._idle if not one.usable]
            self._idle = [one for one in self._idle if one not in spent]
            found = next((one for one in reversed(self._idle) if one.origin == origin), None)
            if found:
                self._idle.remove(found)
            while len(self._idle) > max(0, self._most - self._busy):
                spent.append(self._idle.pop(0))
        for one in spent:
            one.close()
        return found

    def _opened(self, origin: Origin, request: httpx.Request) -> Connection:
        """A new one. Its watcher (httpx's `trace`) may refuse it by an exception, before anything is sent over it."""
        scheme, host, port = origin
        trace: _Trace = request.extensions.get("trace") or (lambda _event, _info: None)
        trace("connection.connect_tcp.started", {"host": host, "port": port})
        wait = request.extensions.get("timeout", {}).get("connect")
        with _as_httpx(httpx.ConnectTimeout, httpx.ConnectError):
            sock = socket.create_connection((host, port), wait)
        connection = Connection(origin, sock)
        try:
            trace("connection.connect_tcp.complete", {"return_value": connection})
            connection.begin(self.context if scheme == "https" else None, wait)
        except BaseException:
            connection.close()
            raise
        return connection

    def _given_back(self, connection: Connection | None, *, good: bool) -> None:
        """It is not used any more; `good`: for now."""
        with self._lock:
            self._busy -= 1
            if good and connection and len(self._idle) + self._busy < self._most:
                connection.expires = time.monotonic() + _KEPT
                self._idle.append(connection)
                connection = None
        if connection:
            connection.close()
        self._places.release()


def _ask(
    connection: Connection,
    request: httpx.Request,
    timeouts: Mapping[str, float | None],
    give_back: Callable[..., None],
) -> httpx.Response:
    with _as_httpx():
        talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        head = h11.Request(
            method=request.method, target=request.url.raw_path, headers=list(request.headers.raw)
        )
        said = (talk.send(head) or b"") + (talk.send(h11.EndOfMessage()) or b"")
    connection.write(said, timeouts.get("write"))
    wait = timeouts.get("read")
    event = _next(talk, connection, wait)
    while isinstance(event, h11.InformationalResponse) and event.status_code != 101:
        event = _next(talk, connection, wait)
    if not isinstance(event, h11.Response):
        raise httpx.RemoteProtocolError("its host did not answer in HTTP")
    headers = [(bytes(name), bytes(value)) for name, value in event.headers.raw_items()]
    body = _Body(connection, talk, event, wait, give_back)
    return httpx.Response(event.status_code, headers=headers, stream=body)


def _next(talk: h11.Connection, connection: Connection, wait: float | None) -> Any:
    """What came next, by h11."""
    while True:
        with _as_httpx():
            event = talk.next_event()
        if event is not h11.NEED_DATA:
            return event
        data = connection.read(_HEAD, wait)
        if not data and talk.their_state is h11.SEND_RESPONSE:
            raise httpx.RemoteProtocolError("its host ended the connection without an answer")
        with _as_httpx():
            talk.receive_data(data)


class _Body(httpx.SyncByteStream):
    """The bytes of one answer; gives the connection back when they are all there, or nobody wants more."""

    def __init__(
        self,
        connection: Connection,
        talk: h11.Connection,
        head: h11.Response,
        wait: float | None,
        give_back: Callable[..., None],
    ) -> None:
        self._connection, self._talk, self._wait, self._give_back = connection, talk, wait, give_back
        names = dict(head.headers)  # h11 lets no two lengths pass
        plain = b"transfer-encoding" not in names and head.status_code not in _BODILESS
        self._length = int(names[b"content-length"]) if plain and b"content-length" in names else None
        self._stays = head.http_version == b"1.1" and b"close" not in names.get(b"connection", b"").lower()
        self._whole = self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self._by_h11() if self._length is None else self._by_length(self._length)

    def _by_length(self, length: int) -> Iterator[bytes]:
        begun = self._talk.trailing_data[0]
        if begun:
            yield begun[:length]
        left = length - len(begun)
        view = memoryview(bytearray(min(_PIECE, max(0, left))))
        while left > 0:
            size = self._connection.read_into(view[:left], self._wait)
            if not size:
                there = length - left
                raise httpx.RemoteProtocolError(f"the connection ended after {there:,} of {length:,} bytes")
            left -= size
            yield cast("bytes", view[:size])
        self._whole = self._stays and not left  # what came besides belongs to no answer

    def _by_h11(self) -> Iterator[bytes]:
        while isinstance(event := _next(self._talk, self._connection, self._wait), h11.Data):
            yield bytes(event.data)
        ended = (h11.DONE, h11.DONE)
        more = self._talk.trailing_data[0]
        self._whole = (self._talk.our_state, self._talk.their_state) == ended and self._stays and not more

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._give_back(self._connection, good=self._whole)


@contextmanager
def _as_httpx(
    late: type[httpx.TransportError] = httpx.ReadTimeout,
    broken: type[httpx.TransportError] = httpx.ReadError,
) -> Iterator[None]:
    """What went wrong, in httpx's words, which the callers know."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise broken(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
