"""Connections to the hosts of pictures, kept for the next one: a body goes from the socket into one buffer, and from there to the disk.

An httpx transport, since httpcore hands a body on in pieces of 64 KiB that are copied three times: at gigabit speed that is most of
a core. Heads, and bodies without a length, are h11's to understand. No proxies: with one in the environment httpx's own is used.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, cast

import h11
import httpx

from astria_sync.connection import Connection, Origin, as_httpx

_PIECE: Final = 1024 * 1024  # bytes; for each piece the threads take turns in the interpreter three times
_HEAD: Final = 64 * 1024
_LONGEST_HEAD: Final = 100 * 1024
_KEPT: Final = 5.0  # seconds that a connection is kept without being used
_BODILESS: Final = frozenset({204, 304})

_Trace = Callable[[str, Mapping[str, Any]], None]


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
        """One to this host that can be used, if there is one; makes room for a new one otherwise."""
        with self._lock:
            self._busy += 1
        # Whether it is usable its socket tells, which is asked while no other thread waits for the list.
        while (found := self._taken(origin)) and not found.usable:
            found.close()
        return found

    def _taken(self, origin: Origin) -> Connection | None:
        """The latest one to this host, whatever has become of it; those that nobody will use any more are closed."""
        now = time.monotonic()
        with self._lock:
            spent = [one for one in self._idle if one.expires < now]
            self._idle = [one for one in self._idle if one.expires >= now]
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
        with as_httpx(httpx.ConnectTimeout, httpx.ConnectError):
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
    with as_httpx():
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
        with as_httpx():
            event = talk.next_event()
        if event is not h11.NEED_DATA:
            return event
        data = connection.read(_HEAD, wait)
        if not data and talk.their_state is h11.SEND_RESPONSE:
            raise httpx.RemoteProtocolError("its host ended the connection without an answer")
        with as_httpx():
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
