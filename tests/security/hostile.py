"""Servers that mean harm, on loopback: one that plays Astria badly, and one that says exactly what it is told to."""

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from astria_sync.simulator.pictures import draw

TOKEN = "sd_" + hashlib.sha256(b"no token").hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in small letters
    fields: dict[str, str]

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


@dataclass(kw_only=True)
class Says:
    """An answer. `body` is sent as it is if it is bytes, else as JSON."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Listening:
    """A loopback server with `answer(asked)`; `asked` has all that came."""

    def __init__(self, answer: Callable[[Asked], Says] = lambda _: Says(body={})) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                asked = _asked(self)
                outer.asked.append(asked)
                said = outer.answer(asked)
                self.send_response_only(said.status)
                for name, value in {"Content-Length": str(len(said.data)), **said.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(said.data)

            do_GET = do_POST = do_PATCH = do_DELETE = do_CONNECT = do_HEAD = handle_any

            def log_message(self, *_: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"


@contextmanager
def listening(server: Listening) -> Iterator[Any]:
    """Serve until the end of the block."""
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join()


def _asked(handler: BaseHTTPRequestHandler) -> Asked:
    body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    kind = handler.headers.get("Content-Type", "")
    fields: dict[str, str] = {}
    if kind.startswith("multipart/"):
        whole = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        for part in whole.iter_parts():
            name = part.get_param("name", header="content-disposition")
            fields[str(name)] = part.get_payload(decode=True).decode(errors="replace")
    path, _, query = handler.path.partition("?")
    return Asked(
        method=handler.command,
        path=path,
        query=query,
        headers={name.lower(): value for name, value in handler.headers.items()},
        fields=fields,
    )


class Astria(Listening):
    """As much of Astria as one prompt needs; `poison` has the last word on every object that it shows."""

    def __init__(self, poison: Callable[[Asked, dict[str, Any]], Any] = lambda _, shown: shown) -> None:
        super().__init__(self._answer)
        self.poison = poison
        self.prompts: list[dict[str, Any]] = []
        self.tunes: list[dict[str, Any]] = []
        self.instead: Callable[[Asked], Says | None] = lambda _: None
        self.picture = draw("a picture", "1", (32, 32), "jpg", ())

    def _answer(self, asked: Asked) -> Says:
        if said := self.instead(asked):
            return said
        if asked.path.startswith("/pictures/"):
            return Says(body=self.picture)
        if asked.path == "/users":
            return Says(
                body=self._shown(asked, {"id": 1, "email": "me@example.com", "usd_balance_mc": 10**6})
            )
        if asked.method == "POST" and asked.path.endswith("/prompts"):
            self.prompts.insert(0, self._prompt(asked))
            return self._object(asked, self.prompts[0])
        if asked.method == "POST" and asked.path == "/tunes":
            title = asked.fields["tune[title]"]
            self.tunes.insert(
                0, {"id": 500 + len(self.tunes), "title": title, "trained_at": "2026-01-01T00:00:00Z"}
            )
            return self._object(asked, self.tunes[0])
        things = self.prompts if "prompts" in asked.path else self.tunes
        return Says(body=[self._shown(asked, thing) for thing in things])

    def _prompt(self, asked: Asked) -> dict[str, Any]:
        number = 1000 + len(self.prompts)
        return {
            "id": number,
            "tune_id": int(asked.path.split("/")[2]),
            "text": asked.fields["prompt[text]"],
            "seed": int(asked.fields["prompt[seed]"]),
            "num_images": 1,
            "images": [f"{self.url}/pictures/{number}.jpg"],
            "user_error": None,
            "cost_mc": 1000,
        }

    def _shown(self, asked: Asked, thing: dict[str, Any]) -> Any:
        return self.poison(asked, dict(thing))

    def _object(self, asked: Asked, thing: dict[str, Any]) -> Says:
        return Says(body=self._shown(asked, thing), status=201)


class Raw:
    """A socket that answers every connection's first request with `say(connection)`, byte by byte as that likes."""

    def __init__(self, say: Callable[[socket.socket], None]) -> None:
        self.say = say
        self.heard: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self._open.append(connection)
                thread = threading.Thread(target=self._one, args=[connection], daemon=True)
                self._threads.append(thread)
                thread.start()

    def _one(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            self.heard.append(connection.recv(65536))
            if self.heard[-1]:
                self.say(connection)

    def __enter__(self) -> Self:
        self._threads.append(threading.Thread(target=self._serve, daemon=True))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()
