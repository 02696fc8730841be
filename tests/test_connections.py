"""Connections to pictures' hosts, over real sockets: kept, counted, and every byte as it was sent."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from astria_sync import connection as connection_module
from astria_sync.connection import Connection
from astria_sync.connections import _KEPT, Connections
from astria_sync.picturehosts import proxied
from astria_sync.reads import Reads, TooSlow
from tests.ports import kept_ports

BODY = bytes(range(256)) * 4096  # 1 MiB
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY)


class Last(bytes):
    """An answer after which its host ends the connection."""


class Host:
    """Answers each request with the next of `says`; ends the connection where there is nothing more to say."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.says: list[bytes] = []
        self.open = self.most = self.made = 0
        self.ended = threading.Event()  # by this host
        self._context = context
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if context else "http"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/a.jpg"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.made += 1
            self.open += 1
            self.most = max(self.most, self.open)
        with suppress(OSError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            said: bytes = b""
            while not isinstance(said, Last) and b"\r\n\r\n" in connection.recv(65536):
                with self._lock:
                    said = self.says.pop(0) if self.says else Last()
                self._say(connection, said)
        with self._lock:
            self.open -= 1
        connection.close()
        self.ended.set()

    def _say(self, connection: socket.socket, said: bytes) -> None:
        connection.sendall(said)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def host() -> Iterator[Host]:
    one = Host()
    yield one
    one.close()


def client(most: int = 1, context: ssl.SSLContext | None = None) -> httpx.Client:
    return httpx.Client(transport=Connections(most, context or ssl.create_default_context()), timeout=5)


def fetched(client: httpx.Client, url: str, **extensions: Any) -> bytes:
    with client.stream("GET", url, extensions=extensions) as response:
        return b"".join(bytes(piece) for piece in response.iter_raw())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("says", "kept"),
    [
        (HEAD + b"\r\n" + BODY, True),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"\r\n" + BODY, True),
        (CHUNKED, True),
        (HEAD + b"Connection: Close\r\n\r\n" + BODY, False),
        (HEAD.replace(b"1.1", b"1.0") + b"\r\n" + BODY, False),
        (HEAD + b"\r\n" + BODY + b"more", False),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
    ],
    ids=["length", "after a 100", "chunked", "close", "HTTP/1.0", "more than its length", "204", "empty"],
)
def test_what_an_answer_may_look_like(host, says, kept):
    """Every byte of the body and none besides; the next request takes the same connection where that is in order."""
    host.says = [says, HEAD + b"\r\n" + BODY]
    with client() as one:
        expected = BODY if BODY[:1000] in says else b""
        assert fetched(one, host.url) == expected
        assert fetched(one, host.url) == BODY
    assert host.made == (1 if kept else 2)


def test_a_body_without_a_length(host):
    """It goes on until its host ends the connection."""
    host.says = [Last(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)]
    with client() as one:
        assert fetched(one, host.url) == BODY


@pytest.mark.parametrize(
    "says",
    [
        Last(),
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "another protocol", "101", "two lengths", "no length", "a head without end"],
)
def test_what_is_no_answer(host, says):
    """It ends as httpx has it, and the next request begins with a new connection."""
    host.says = [says, HEAD + b"\r\n" + BODY]
    with client() as one:
        with pytest.raises(httpx.RemoteProtocolError):
            fetched(one, host.url)
        assert fetched(one, host.url) == BODY
    assert host.made == 2


def test_a_body_that_breaks_off(host):
    """What came is handed on before the trouble is told, in numbers."""
    host.says = [Last(HEAD + b"\r\n" + BODY[:300_000])]
    pieces: list[bytes] = []
    broken = pytest.raises(httpx.RemoteProtocolError, match="after 300,000 of 1,048,576 bytes")
    with client() as one, one.stream("GET", host.url) as response, broken:
        pieces.extend(map(bytes, response.iter_raw()))
    assert b"".join(pieces) == BODY[:300_000]


def test_never_more_than_that_many(host):
    """Eight ask at once over three connections, which are all kept, and each is answered."""
    host.says = [HEAD + b"\r\n" + BODY] * 40
    bodies: list[bytes] = []
    with client(3) as one:

        def ask() -> None:
            bodies.extend(fetched(one, host.url) for _ in range(5))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert bodies == [BODY] * 40
    assert host.made <= 3


def test_all_are_in_use(host):
    """Whoever finds no place in time is told so, and takes none from the others."""
    host.says = [HEAD + b"\r\n" + BODY] * 2
    with client(1) as one:
        with one.stream("GET", host.url) as response, pytest.raises(httpx.PoolTimeout):
            one.get(host.url, timeout=httpx.Timeout(5, pool=0.01))
        assert response.is_closed
        assert fetched(one, host.url) == BODY


def test_an_answer_that_nobody_reads(host):
    """A redirect's body, or a picture given up: that connection is not used again, for its rest would be the next answer."""
    host.says = [HEAD + b"\r\n" + BODY, HEAD + b"\r\n" + BODY]
    with client() as one:
        with one.stream("GET", host.url):
            pass
        assert fetched(one, host.url) == BODY
    assert host.made == 2


def test_a_kept_one_that_has_ended(host):
    """Its host closed it meanwhile, or it was kept for too long: a new one is made, and nobody notices."""
    host.says = [Last(HEAD + b"\r\n" + BODY), HEAD + b"\r\n" + BODY, HEAD + b"\r\n" + BODY]
    with client() as one:
        fetched(one, host.url)
        assert host.ended.wait(10)
        assert fetched(one, host.url) == BODY
        one._transport._idle[0].expires -= _KEPT
        assert fetched(one, host.url) == BODY
    assert host.made == 3


def test_another_host_takes_the_place(host):
    """The place of an idle connection goes to another host: there are never more than the limit."""
    other = Host()
    host.says, other.says = [HEAD + b"\r\n" + BODY] * 2, [HEAD + b"\r\n" + BODY]
    with client() as one:
        for url in (host.url, other.url, host.url):
            assert fetched(one, url) == BODY
            assert len(one._transport._idle) == 1
    other.close()
    assert (host.made, other.made) == (2, 1)


def test_who_watches_may_refuse(host):
    """Before a byte is sent over it, and the place is free again."""
    told: list[str] = []

    def trace(event: str, info: dict[str, Any]) -> None:
        told.append(event)
        if event.endswith("complete"):
            assert info["return_value"].get_extra_info("server_addr")[0] == "127.0.0.1"
            raise LookupError

    host.says = [HEAD + b"\r\n" + BODY]
    with client() as one:
        with pytest.raises(LookupError):
            fetched(one, host.url, trace=trace)
        assert host.says
        assert fetched(one, host.url) == BODY
    assert told == ["connection.connect_tcp.started", "connection.connect_tcp.complete"]


def test_nobody_listens():
    """A host that is not there is told in httpx's words."""
    with kept_ports(1) as [port], client() as one, pytest.raises(httpx.ConnectError):
        fetched(one, f"http://127.0.0.1:{port}/")


def test_reads_are_limited(host):
    """A limit of the thread's own holds for heads and bodies alike; where it is later, httpx's time-out does."""
    reads = Reads(lambda: 0.0)
    host.says = [HEAD, HEAD + b"\r\n" + BODY[:9], HEAD + b"\r\n" + BODY[:9]]
    with client() as one:
        reads.limit(0.02, "enough")
        for _ in range(2):
            with pytest.raises(TooSlow, match="enough"):
                fetched(one, host.url, trace=reads.on_trace)
        reads.limit(9.0, "enough")
        with pytest.raises(httpx.ReadTimeout):
            fetched(one, host.url, trace=reads.on_trace, timeout={"read": 0.02})


def anonymous(purpose: int) -> ssl.SSLContext:
    """TLS without certificates, which nobody else would take."""
    context = ssl.SSLContext(purpose)
    if purpose == ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
    return context


def test_tls():
    """Records of 16 KiB are put together: fewer pieces than records, and the same bytes; the connection is kept."""
    host = Host(anonymous(ssl.PROTOCOL_TLS_SERVER))
    host.says = [HEAD + b"\r\n" + BODY] * 3
    with client(context=anonymous(ssl.PROTOCOL_TLS_CLIENT)) as one:
        for _ in range(3):
            assert fetched(one, host.url) == BODY
    host.close()
    assert host.made == 1


def test_more_than_its_length_by_tls():
    """What a host says besides is read along with the end of the body; it is not the beginning of the next answer."""
    host = Host(anonymous(ssl.PROTOCOL_TLS_SERVER))
    host.says = [HEAD + b"\r\n" + BODY + HEAD + b"\r\n", HEAD + b"\r\n" + BODY[::-1]]
    with client(context=anonymous(ssl.PROTOCOL_TLS_CLIENT)) as one:
        assert fetched(one, host.url) == BODY
        assert fetched(one, host.url) == BODY[::-1]
    host.close()
    assert host.made == 2


class Trickling:
    """A socket on which bytes come all the time, and never enough of them for a record; and how long that takes."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def recv_into(self, view: memoryview) -> int:
        raise ssl.SSLWantReadError

    def send(self, data: bytes) -> int:
        raise ssl.SSLWantReadError

    def modify(self, *_: object) -> None:
        pass

    setsockopt = modify

    def poll(self, most: float) -> list[object]:
        self.waits += 1
        assert self.waits < 100
        self.now += 1.0
        return [self] if most >= 1000 else []


def gives_up(monkeypatch, trickling: Trickling, wait: float) -> None:
    """A read over this socket, by this clock, that ends without a byte."""
    connection = Connection(("https", "a", 443), trickling)
    connection._poll = trickling
    monkeypatch.setattr(connection_module, "time", trickling)
    with pytest.raises(httpx.ReadTimeout):
        connection.read_into(memoryview(bytearray(9)), wait)


def test_records_that_trickle(monkeypatch):
    """A read ends in its time however many bytes come in it, if they do not come to anything."""
    trickling = Trickling()
    gives_up(monkeypatch, trickling, 5.0)
    assert trickling.now <= 7.0  # the moment in which more may come besides


class Hurried(Trickling):
    """Time goes by between any two looks at the clock; what waits for less than nothing waits for ever."""

    def monotonic(self) -> float:
        self.now += 0.01
        return self.now

    def poll(self, most: float) -> list[object]:
        assert most >= 0
        return []


def test_a_read_whose_time_is_over_before_it_waits(monkeypatch):
    """It ends at once, though the thread that is to wait came too late for what was left."""
    gives_up(monkeypatch, Hurried(), 0.001)


def test_a_host_that_speaks_no_tls(host):
    """It is no connection, and the place is free again."""
    host.says = [b"HTTP/1.1 400 Bad Request\r\n\r\n"]
    with client() as one:
        for _ in range(2):
            with pytest.raises(httpx.ConnectError):
                fetched(one, host.url.replace("http", "https"))


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "all_proxy", ""])
def test_whether_there_is_a_proxy(monkeypatch, name):
    """Any that httpx would take from the environment."""
    for one in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(one, raising=False)
        monkeypatch.delenv(one.upper(), raising=False)
    if name:
        monkeypatch.setenv(name, "http://127.0.0.1:3128")
    assert proxied() is bool(name)


class Pausing(Host):
    """Goes on with a body when somebody has taken what it had sent of it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.taken = threading.Semaphore(0)
        super().__init__(context)

    def _say(self, connection: socket.socket, said: bytes) -> None:
        for at in range(0, len(said), 400_000):
            connection.sendall(said[at : at + 400_000])
            assert self.taken.acquire(timeout=10)


@pytest.mark.parametrize("secret", [False, True], ids=["http", "https"])
def test_a_host_that_pauses_within_a_body(secret):
    """What has come is handed on, however much more would have been worth waking up for; also of the next body."""
    host = Pausing(anonymous(ssl.PROTOCOL_TLS_SERVER) if secret else None)
    host.says = [HEAD + b"\r\n" + BODY] * 2
    with client(context=anonymous(ssl.PROTOCOL_TLS_CLIENT) if secret else None) as one:
        for _ in range(2):
            there = len(HEAD) + 2
            ends = [400_000, 800_000, there + len(BODY)]
            with one.stream("GET", host.url) as response:
                for piece in response.iter_raw():
                    there += len(piece)
                    while ends and there >= ends[0]:
                        del ends[0]
                        host.taken.release()
            assert not ends
    host.close()
    assert host.made == 1


def test_a_system_that_wakes_for_each_packet(monkeypatch):
    """Where it cannot be told to wait for more, the bytes are the same, and the connection is kept."""
    monkeypatch.setattr(connection_module.socket, "SO_RCVLOWAT", 9999)
    host = Pausing()
    host.taken.release(100)
    host.says = [HEAD + b"\r\n" + BODY] * 2
    with client() as one:
        for _ in range(2):
            assert fetched(one, host.url) == BODY
    host.close()
    assert host.made == 1
