"""The control socket: real sockets, and an engine that is a queue."""

import errno
import json
import os
import queue
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from astria_sync import control
from astria_sync.control import LIMIT, ControlServer, ask, socket_path
from astria_sync.core.model import Command
from astria_sync.errors import StateError, UsageError

DEADLINE = 5.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def inbox() -> queue.SimpleQueue[Command]:
    return queue.SimpleQueue()


@pytest.fixture
def server(state: Path, inbox: queue.SimpleQueue[Command]) -> Iterator[ControlServer]:
    server = ControlServer(state, inbox.put)
    server.start()
    yield server
    server.stop()
    assert "control" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def engine(inbox: queue.SimpleQueue[Command]) -> Iterator[list[Command]]:
    """Answers each command with its own words."""
    taken: list[Command] = []

    def run() -> None:
        while (command := inbox.get()) is not None:
            taken.append(command)
            command.reply.put({"name": command.name, **command.arguments})

    thread = threading.Thread(target=run)
    thread.start()
    yield taken
    inbox.put(None)  # type: ignore[arg-type]
    thread.join()


def connect(state: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE)
    client.connect(str(socket_path(state)))
    return client


def test_a_command_and_its_answer(state: Path, engine: list[Command], server: ControlServer) -> None:
    """What the client asks reaches the engine as it was meant, and its answer comes back."""
    arguments = {"paths": ["/inbox/jäne", "b\udcff"], "all": True}
    assert ask(state, "retry", arguments) == {"name": "retry", **arguments}
    assert [(one.name, one.arguments) for one in engine] == [("retry", arguments)]
    assert ask(state, "pause", {}) == {"name": "pause"}


def test_a_socket_that_cannot_be_removed(
    state: Path, inbox: queue.SimpleQueue[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fails at the very end makes no failure of a run that did all it should; the next one takes its place."""
    first, second = ControlServer(state, inbox.put), ControlServer(state, inbox.put)
    first.start()

    def fails(*_: Path, **__: bool) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fails)
        first.stop()
    assert socket_path(state).exists()
    second.start()
    second.stop()
    assert not socket_path(state).exists()


def test_nobody_listens(state: Path, inbox: queue.SimpleQueue[Command]) -> None:
    """Without a daemon the answer is None: before the first, after the last, and beside a killed one's socket."""
    assert ask(state, "pause", {}) is None
    assert ask(state / "below", "pause", {}) is None
    server = ControlServer(state, inbox.put)
    server.start()
    server.stop()
    server.stop()
    assert list(state.parent.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_path(state)))
    assert ask(state, "pause", {}) is None


def test_a_stale_socket_is_replaced(
    state: Path, inbox: queue.SimpleQueue[Command], engine: list[Command]
) -> None:
    """A killed daemon's socket does not keep the next one from listening."""
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(socket_path(state)))
    server = ControlServer(state, inbox.put)
    server.start()
    assert ask(state, "pause", {}) == {"name": "pause"}
    server.stop()


def test_another_file_in_its_place_is_kept(state: Path, inbox: queue.SimpleQueue[Command]) -> None:
    """What is no socket is not ours to remove."""
    socket_path(state).write_text("precious")
    with pytest.raises(StateError, match="something else has its name"):
        ControlServer(state, inbox.put).start()
    assert socket_path(state).read_text() == "precious"


def test_the_socket_is_private(state: Path, server: ControlServer) -> None:
    """Only its owner can connect."""
    assert socket_path(state).stat().st_mode & 0o777 == 0o600


def test_another_user_is_not_heard(
    state: Path,
    server: ControlServer,
    inbox: queue.SimpleQueue[Command],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever gets past the file's mode is hung up on by their uid."""
    monkeypatch.setattr(control, "peer_uid", lambda _: os.geteuid() + 1)
    with pytest.raises(StateError):
        ask(state, "pause", {})
    assert inbox.empty()


def test_the_kernel_tells_who_asks(state: Path, server: ControlServer) -> None:
    """The uid comes from the kernel and not from the client."""
    with connect(state) as client:
        assert control.peer_uid(client) == os.geteuid()


@pytest.mark.parametrize(
    "names", [["d" * 100, "d" * 100, "state.db"], ["s" * 200 + ".db"]], ids=["deep", "long"]
)
def test_long_paths(
    tmp_path: Path, inbox: queue.SimpleQueue[Command], engine: list[Command], names: list[str]
) -> None:
    """A socket's address holds 107 bytes; a state's path may be longer."""
    state = tmp_path.joinpath(*names)
    state.parent.mkdir(parents=True, exist_ok=True)
    server = ControlServer(state, inbox.put)
    server.start()
    assert ask(state, "pause", {}) == {"name": "pause"}
    server.stop()
    assert list(state.parent.iterdir()) == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"\x00\xff\n",
        b"[]\n",
        b'"pause"\n',
        b'{"name": 1}\n',
        b'{"name": "pause", "arguments": []}\n',
        b"[" * 60000 + b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"x" * (LIMIT + 1),
    ],
    ids=["empty", "binary", "list", "text", "number", "arguments", "nested", "http", "endless"],
)
def test_garbage_is_answered_and_harms_nobody(
    state: Path, server: ControlServer, engine: list[Command], garbage: bytes
) -> None:
    """Nonsense gets an error in return, the engine never sees it, and the next client is served."""
    with connect(state) as client:
        client.sendall(garbage)
        with client.makefile("rb") as answer:
            assert "This is no command" in json.loads(answer.readline())["error"]
    assert ask(state, "pause", {}) == {"name": "pause"}
    assert len(engine) == 1


def test_silent_clients_do_not_block(state: Path, server: ControlServer, engine: list[Command]) -> None:
    """Clients that say nothing, half a line, or hang up at once, keep nobody waiting."""
    silent = [connect(state) for _ in range(10)]
    silent[0].sendall(b'{"name": "pa')
    silent[1].close()
    assert ask(state, "pause", {}, timeout=2) == {"name": "pause"}
    for client in silent:
        client.close()
    assert ask(state, "resume", {}, timeout=2) == {"name": "resume"}


def test_a_silent_client_is_hung_up_on(
    state: Path, server: ControlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Saying nothing is not for ever."""
    monkeypatch.setattr(control, "_SPEAK", 0.05)
    with connect(state) as client:
        assert client.recv(1) == b""


def test_too_many_clients(
    state: Path, server: ControlServer, engine: list[Command], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number of clients at once, further ones are turned away, until others leave."""
    monkeypatch.setattr(control, "_CLIENTS", 1)
    first = connect(state)
    with connect(state) as second:
        assert second.recv(1) == b""
    first.sendall(b'{"name": "pause"}\n')
    with first, first.makefile("rb") as answer:
        assert json.loads(answer.readline()) == {"name": "pause"}


def test_half_closed_clients_get_their_answer(
    state: Path, server: ControlServer, inbox: queue.SimpleQueue[Command]
) -> None:
    """A client that has said all it will say, and closed that direction, still hears."""
    with connect(state) as client:
        client.sendall(b'{"name": "pause"}\n')
        client.shutdown(socket.SHUT_WR)
        command = inbox.get(timeout=DEADLINE)
        command.reply.put({"ok": True})
        with client.makefile("rb") as answer:
            assert json.loads(answer.readline()) == {"ok": True}


def test_commands_wait_side_by_side(
    state: Path, server: ControlServer, inbox: queue.SimpleQueue[Command]
) -> None:
    """A command that takes the engine long does not hold up the next client's."""
    clients = [connect(state) for _ in range(2)]
    commands = []
    for number, client in enumerate(clients):
        client.sendall(json.dumps({"name": str(number), "arguments": {}}).encode() + b"\n")
        commands.append(inbox.get(timeout=DEADLINE))
    for command, client in reversed(list(zip(commands, clients, strict=True))):
        command.reply.put({"was": command.name})
        with client, client.makefile("rb") as answer:
            assert json.loads(answer.readline()) == {"was": command.name}


def test_an_engine_that_does_not_answer(
    state: Path,
    server: ControlServer,
    inbox: queue.SimpleQueue[Command],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client is told that nobody answered and that it may be done all the same; a late answer hurts nobody."""
    with pytest.raises(StateError, match="may still do what was asked"):
        ask(state, "pause", {}, timeout=0.05)
    inbox.get(timeout=DEADLINE).reply.put({})
    monkeypatch.setattr(control, "_ANSWER", 0.05)
    with pytest.raises(StateError, match="busy, or stopping"):
        ask(state, "pause", {})
    inbox.get(timeout=DEADLINE).reply.put({})


@pytest.mark.parametrize("answer", [object(), {"x": object()}, [], "text"])
def test_an_answer_that_makes_no_sense(
    state: Path, server: ControlServer, inbox: queue.SimpleQueue[Command], answer: Any
) -> None:
    """What is no object of JSON becomes an error for the client and ends no thread."""
    threading.Thread(target=lambda: inbox.get().reply.put(answer)).start()
    with pytest.raises(StateError):
        ask(state, "pause", {})
    assert server._thread is not None
    assert server._thread.is_alive()


def test_lines_are_bounded(state: Path, server: ControlServer, inbox: queue.SimpleQueue[Command]) -> None:
    """Too much to ask is refused before it is sent, too much to answer is said."""
    with pytest.raises(UsageError, match="name fewer paths"):
        ask(state, "retry", {"paths": ["x" * LIMIT]})
    assert inbox.empty()
    threading.Thread(target=lambda: inbox.get().reply.put({"x": "x" * LIMIT})).start()
    assert ask(state, "pause", {}) == {"error": "The answer is too long to be sent."}


def test_an_inbox_that_refuses(state: Path) -> None:
    """Whatever happens where commands go, the thread goes on."""
    refusals: list[Command] = []

    def refuse(command: Command) -> None:
        refusals.append(command)
        raise MemoryError

    server = ControlServer(state, refuse)
    server.start()
    for _ in range(2):
        with pytest.raises(StateError):
            ask(state, "pause", {})
    assert len(refusals) == 2
    server.stop()


def test_stopping_ends_the_waits(
    state: Path, server: ControlServer, inbox: queue.SimpleQueue[Command]
) -> None:
    """A daemon that stops hangs up on whoever still waits; their command may reach a queue that nobody reads."""
    with connect(state) as client:
        client.sendall(b'{"name": "pause"}\n')
        command = inbox.get(timeout=DEADLINE)
        server.stop()
        assert client.recv(1) == b""
        command.reply.put({})
    assert ask(state, "pause", {}) is None


def test_asking_a_wall(state: Path) -> None:
    """A listener that never takes the call is a daemon that gives no answer."""
    with socket.socket(socket.AF_UNIX) as wall:
        wall.bind(str(socket_path(state)))
        wall.listen(0)
        with pytest.raises(StateError, match="gave no answer"):
            ask(state, "pause", {}, timeout=0.05)


def test_a_chatty_wall(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without an end is cut off."""
    with socket.socket(socket.AF_UNIX) as wall:
        wall.bind(str(socket_path(state)))
        wall.listen(1)

        def chat() -> None:
            connection, _ = wall.accept()
            with connection:
                while not connection.recv(LIMIT).endswith(
                    b"\n"
                ):  # it is rude to answer before the question ends
                    pass
                connection.sendall(b"x" * (LIMIT + 1))

        thread = threading.Thread(target=chat)
        thread.start()
        with pytest.raises(StateError, match="no end"):
            ask(state, "pause", {})
        thread.join()
