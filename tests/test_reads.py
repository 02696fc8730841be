"""Reads that end, over real connections: servers that send a byte whenever they like are given up in time."""

import socket
import threading
from collections.abc import Iterator

import pytest

from astria_sync import download
from astria_sync.core.work import Download, NotSaved
from astria_sync.download import Downloader
from astria_sync.reads import Reads, TooSlow


class Trickle:
    """Sends `first` at once and then a byte each time that it is asked the time: a server as slow as its clock is fast."""

    def __init__(self, first: bytes, drop: bytes, step: float) -> None:
        self.first, self.drop, self.step = first, drop, step
        self.at, self.sent = 0.0, 0
        self._turns = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/a.jpg"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __call__(self) -> float:
        self.at += self.step
        self._turns.release()
        return self.at

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            try:
                connection.sendall(self.first)
                while self._turns.acquire(timeout=10):
                    connection.sendall(self.drop)
                    self.sent += 1
            except OSError:
                return

    def close(self) -> None:
        self._turns.release(2)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def trickle(request) -> Iterator[Trickle]:
    server = Trickle(*request.param)
    yield server
    server.close()


HEAD = b'HTTP/1.1 200 OK\r\nETag: "one"\r\n'


@pytest.mark.parametrize(
    ("trickle", "says"),
    [
        ((HEAD + b"X-More: ", b"x", 5.0), "did not answer"),
        ((HEAD + b"Content-Length: 100000\r\n\r\n\xff\xd8\xff", b"x", 5.0), "too slowly"),
        ((HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;x=", b"x", 5.0), "too slowly"),
    ],
    indirect=["trickle"],
    ids=["head", "body", "between pieces of the body"],
)
def test_a_server_that_sends_a_byte_now_and_then(tmp_path, trickle, says):
    """However the bytes trickle, in the head, in the body or between its pieces, the attempt ends in good time."""
    downloader = Downloader(timeout=1000, connections=1, plain_http=True, clock=trickle)
    result = downloader.fetch(Download(image_id=1, url=trickle.url, folder=tmp_path, stem="a"))
    downloader.close()
    assert isinstance(result, NotSaved)
    assert says in result.why
    assert 5 < trickle.at < 10 * download._HEAD


class Stream:
    """A connection that remembers how long each read of it may wait."""

    def __init__(self) -> None:
        self.waited: list[float | None] = []

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self.waited.append(timeout)
        return b"x" * max_bytes


def test_a_limit_is_its_threads_own():
    """Connections are shared, limits are not: what one thread may wait is nothing to another that reads the same one."""
    reads, stream = Reads(lambda: 100.0), Stream()
    reads.on_trace("connection.connect_tcp.complete", {"return_value": stream})
    reads.limit(107.0, "enough")
    assert stream.read(3, timeout=60) == b"xxx"
    other = threading.Thread(target=lambda: stream.read(1, timeout=60))
    other.start()
    other.join()
    assert stream.waited == [7.0, 60]
    reads.limit(100.0, "enough")
    with pytest.raises(TooSlow, match="enough"):
        stream.read(1, timeout=60)
    assert len(stream.waited) == 2


def test_a_read_that_runs_into_the_limit_says_so():
    """A time-out of the socket at our limit is ours to explain; any other trouble keeps its own words."""
    reads, stream = Reads(lambda: 100.0), Stream()

    def read(max_bytes: int, timeout: float | None = None) -> bytes:
        raise RuntimeError("timed out") from (TimeoutError() if timeout == 7.0 else OSError())

    stream.read = read  # type: ignore[method-assign]
    reads.on_trace("connection.start_tls.complete", {"return_value": stream})
    reads.limit(107.0, "enough")
    with pytest.raises(TooSlow, match="enough"):
        stream.read(1, timeout=60)
    with pytest.raises(RuntimeError):
        stream.read(1, timeout=2)
