"""One connection to a host of pictures: a socket, with or without TLS, and how it is waited for."""

import math
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import h11
import httpx

# Seconds that packets are let come together: each that wakes us costs more than to take what it brings.
_GATHERING: Final = 0.1

_Done = TypeVar("_Done")
Origin = tuple[str, str, int]


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
        with as_httpx(httpx.ConnectTimeout, httpx.ConnectError):
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
        with as_httpx(httpx.ReadTimeout, httpx.ReadError):
            return self._waiting(self._socket.recv, max_bytes, timeout, 1)

    def read_into(self, view: memoryview, timeout: float | None = None) -> int:
        """What has come, of a body; waits for it. 0 at its end."""
        with as_httpx(httpx.ReadTimeout, httpx.ReadError):
            size = self._waiting(self._socket.recv_into, view, timeout, len(view))
        if size and isinstance(self._socket, ssl.SSLSocket):
            # It gives 16 KiB at once, however much has come: take the rest of it too.
            with suppress(OSError):  # nothing more for now; what else it may be, the next read tells
                while size < len(view) and (more := self._socket.recv_into(view[size:])):
                    size += more
        return size

    def write(self, data: bytes, timeout: float | None = None) -> None:
        with as_httpx(httpx.WriteTimeout, httpx.WriteError):
            while data:
                data = data[self._waiting(self._socket.send, data, timeout) :]

    def _waiting(self, do: Callable[[Any], _Done], what: Any, wait: float | None, gather: int = 0) -> _Done:
        """Do it as soon as that can be done. `gather`: bytes to be read that are worth waking up for."""
        # A part of a TLS record is nothing yet: however its bytes trickle, they have the time of one read.
        until = math.inf if wait is None else time.monotonic() + wait
        if gather and not self._has_more:
            self._wait(select.POLLIN, gather, min(_GATHERING, until - time.monotonic()))
        while True:
            try:
                return do(what)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
                reads = do != self._socket.send and not isinstance(error, ssl.SSLWantWriteError)
            left = until - time.monotonic()
            if left <= 0 or not self._wait(select.POLLIN if reads else select.POLLOUT, 1, left):
                raise TimeoutError("timed out")

    def _wait(self, wanted: int, least: int, timeout: float) -> bool:
        """Until so many bytes are there to be read (or it can be written), or the time is over; the end counts as any number."""
        if self._wakes_at != least:
            self._wakes_at = least
            with suppress(OSError):  # else, as where a system knows no such thing, each packet wakes us
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
        self._poll.modify(self._socket, wanted)
        # Less than nothing, which is left when another thread had its turn since that was reckoned, would be for ever.
        return bool(self._poll.poll(None if timeout == math.inf else max(0.0, timeout * 1000)))

    @property
    def usable(self) -> bool:
        """Whether it can be used once more: something to be read, by TLS already or not, is no answer to what is asked next."""
        return time.monotonic() <= self.expires and not self._has_more and not self._wait(select.POLLIN, 1, 0)

    @property
    def _has_more(self) -> bool:
        """Whether TLS has read on already, beyond what was asked for."""
        return isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0


@contextmanager
def as_httpx(
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
