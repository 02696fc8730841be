"""How a command reaches a running daemon: one line of JSON in, one line out, over a Unix socket beside the state.

One thread serves all clients without waiting for any: who says nothing, or nonsense, only wastes their own time.
"""

import hashlib
import json
import logging
import os
import queue
import selectors
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from astria_sync.core.model import Command
from astria_sync.errors import StateError, UsageError
from astria_sync.lock import beside, identity

log = logging.getLogger("astria_sync")

LIMIT: Final = 64 * 1024  # bytes of a line
_CLIENTS: Final = 32  # at a time
_SPEAK: Final = 5.0  # seconds a client has to ask, and to take the answer
_ANSWER: Final = 10.0  # seconds the engine has
_ASK: Final = 12.0  # seconds `ask` waits: the engine's, and some
_LONGEST_NAME: Final = 80  # bytes; an address has room for 107, and /proc/self/fd/ goes before the name
_NAP: Final = 0.5


def socket_path(state: Path) -> Path:
    """Where the daemon that holds `state` listens."""
    path = beside(state, ".sock")
    name = os.fsencode(path.name)
    if len(name) <= _LONGEST_NAME:
        return path
    return path.with_name(f"{hashlib.blake2b(name, digest_size=12).hexdigest()}.sock")


def ask(
    state: Path, name: str, arguments: Mapping[str, Any], *, timeout: float = _ASK
) -> dict[str, Any] | None:
    """Have the daemon of `state` do something; its answer, or None if no daemon listens.

    Raises StateError if one listens and does not answer in time: what was asked for may be done all the same.
    """
    line = _line({"name": name, "arguments": dict(arguments)})
    if len(line) > LIMIT:
        raise UsageError("This is too much for one command; name fewer paths, or use --all.")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        try:
            with _address(socket_path(state)) as address:
                client.connect(address)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise _no_answer(state, str(error)) from error
        try:
            client.sendall(line)
            answer = _receive(client, time.monotonic() + timeout)
            found = json.loads(answer)
        except (OSError, ValueError) as error:
            raise _no_answer(state, str(error)) from error
    if not isinstance(found, dict):
        raise _no_answer(state, "its answer makes no sense")
    return found


def _receive(client: socket.socket, deadline: float) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        client.settimeout(max(0.001, deadline - time.monotonic()))
        more = client.recv(LIMIT)
        if not more:
            raise ConnectionError("it is busy, or stopping")
        received += more
        if len(received) > LIMIT:
            raise ConnectionError("its answer has no end")
    return received


def _no_answer(state: Path, why: str) -> StateError:
    return StateError(
        f"A daemon holds {state} but gave no answer ({why}); it may still do what was asked. "
        "See `astria-sync status`, and the daemon's log if this goes on."
    )


class _Reply(queue.SimpleQueue[Any]):
    """Where the engine puts its answer; wakes the thread that sends it."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__()
        self._wake = wake

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._wake()


class _Client:
    """One connection: it asks, waits, and is told."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = b""
        self.reply: _Reply | None = None  # set once it has asked
        self.to_send = b""
        self.deadline = time.monotonic() + _SPEAK

    @property
    def interest(self) -> int:
        """What to wait for; nothing while the engine has the word."""
        if self.to_send:
            return selectors.EVENT_WRITE
        return 0 if self.reply else selectors.EVENT_READ


class ControlServer:
    """Takes commands for the engine. Owns its thread, the socket and its file; all else it posts."""

    def __init__(self, state: Path, post: Callable[[Command], None]) -> None:
        """The lock of `state` is to be held while it listens: then an old socket file is nobody's."""
        self.path = socket_path(state)
        self.file: tuple[int, int] | None = None  # the socket that was made there
        self._post = post
        self._clients: dict[socket.socket, _Client] = {}
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Listen; raises StateError if no socket can be made there."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind()
        except OSError as error:
            self._listener.close()
            raise StateError(
                f"{self.path} cannot be made ({error}), so no command would reach the daemon; "
                "put `state` into a folder of your own on a local disk."
            ) from error
        self._ear, self._bell = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for one in (self._listener, self._ear, self._bell):
            one.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; who waits for an answer is hung up on. Does nothing if nothing was started."""
        if self._thread is None:
            return
        self._stopping.set()
        self._ring()
        self._thread.join()
        self._thread = None
        self._selector.close()
        for one in (*self._clients, self._listener, self._ear, self._bell):
            one.close()
        if identity(self.path) == self.file:  # else it is another daemon's
            with suppress(OSError):  # the next one to listen removes what is left
                self.path.unlink()

    def _bind(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise FileExistsError("something else has its name")
            self.path.unlink()
        # The file gets the socket's mode, so that there is no moment in which others could connect.
        os.fchmod(self._listener.fileno(), 0o600)
        with _address(self.path) as address:
            self._listener.bind(address)
        self.path.chmod(0o600)
        self.file = identity(self.path)
        self._listener.listen(_CLIENTS)

    def _ring(self) -> None:
        with suppress(OSError):  # full: it rings already; closed: nobody listens any more
            self._bell.send(b"!")

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except Exception:
                log.exception("a command could not be taken")
                self._stopping.wait(_NAP)

    def _turn(self) -> None:
        nearest = min((client.deadline for client in self._clients.values()), default=None)
        patience = None if nearest is None else max(0.0, nearest - time.monotonic())
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._ear:
                self._ear.recv(4096)
            else:
                self._serve(key.data, self._exchange)
        for client in list(self._clients.values()):
            self._serve(client, self._progress)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        if len(self._clients) >= _CLIENTS or peer_uid(connection) != os.geteuid():
            connection.close()
            return
        connection.setblocking(False)
        self._clients[connection] = _Client(connection)

    def _serve(self, client: _Client, do: Callable[[_Client], bool]) -> None:
        """One client's trouble is its own."""
        try:
            goes_on = do(client)
        except BlockingIOError:
            return
        except Exception:
            log.debug("a client of the control socket is dropped", exc_info=True)
            goes_on = False
        with suppress(KeyError):
            self._selector.unregister(client.socket)
        if goes_on and client.interest:
            self._selector.register(client.socket, client.interest, client)
        elif not goes_on:
            del self._clients[client.socket]
            client.socket.close()

    def _exchange(self, client: _Client) -> bool:
        """Send or receive what can be; whether there is more to come."""
        if client.to_send:
            client.to_send = client.to_send[client.socket.send(client.to_send) :]
            return bool(client.to_send)
        more = client.socket.recv(LIMIT)
        client.received += more
        if b"\n" in more or len(client.received) > LIMIT:
            self._take(client)
        return bool(more)

    def _take(self, client: _Client) -> None:
        try:
            name, arguments = _read(client.received)
        except (ValueError, RecursionError) as error:
            _answer(client, {"error": f"This is no command ({error})."})
            return
        client.reply = _Reply(self._ring)
        client.deadline = time.monotonic() + _ANSWER
        self._post(Command(name=name, arguments=arguments, reply=client.reply))

    def _progress(self, client: _Client) -> bool:
        """Pass the engine's answer on if there is one; whether there is still time."""
        if client.reply is not None and not client.to_send:
            with suppress(queue.Empty):
                _answer(client, client.reply.get_nowait())
        return time.monotonic() < client.deadline


def _read(line: bytes) -> tuple[str, dict[str, Any]]:
    if len(line) > LIMIT:
        raise ValueError(f"more than {LIMIT} bytes")
    request = json.loads(line)
    if not isinstance(request, dict):
        raise ValueError("not an object")  # noqa: TRY004 - whoever wrote it reads this, no programmer
    name, arguments = request.get("name"), request.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise ValueError("it needs a name and arguments")  # noqa: TRY004
    return name, arguments


def _answer(client: _Client, answer: Mapping[str, Any]) -> None:
    line = _line(answer)
    client.to_send = line if len(line) <= LIMIT else _line({"error": "The answer is too long to be sent."})
    client.deadline = time.monotonic() + _SPEAK


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def peer_uid(connection: socket.socket) -> int:
    """Whose process is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A short name for a socket that may lie deep: an address holds 107 bytes."""
    descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
