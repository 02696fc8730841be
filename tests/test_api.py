"""Calls to Astria: what goes out, what comes back, and what is known of a call that failed."""

import json
import logging
import math
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from astria_sync import answers
from astria_sync.api import USER_AGENT, Api
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.core.work import Upload
from astria_sync.secrets import Token
from tests.ports import kept_ports

SECRET = "sd_" + "t" * 20
PROPERTY = settings(print_blob=True, deadline=None)


def token() -> Token:
    return Token(SECRET, source="a test")


class Recorder(httpx.BaseTransport):
    """Answers with the next of `answers`, 200 and an empty object after them; keeps requests and their bytes in pieces."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.bodies: list[list[bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert isinstance(request.stream, httpx.SyncByteStream)
        self.bodies.append(list(request.stream))
        whole = self.answers.pop(0) if self.answers else httpx.Response(200, json={})
        return httpx.Response(
            whole.status_code, headers=whole.headers, stream=httpx.ByteStream(whole.content)
        )


@pytest.fixture
def make_api() -> Iterator[Callable[..., Api]]:
    """An Api that is closed at the end of the test."""
    open_ones: list[Api] = []

    def make(
        transport: httpx.BaseTransport | None = None,
        *,
        base: str = "https://api.example",
        timeout: float = 10,
    ) -> Api:
        open_ones.append(Api(base, token, timeout=timeout, transport=transport))
        return open_ones[-1]

    yield make
    for one in open_ones:
        one.close()


SILENCE = b""  # no answer, and the connection stays open


class Whole(bytes):
    """A whole answer: the connection may be used again after it."""


class Server:
    """One loopback socket: `reply` says what bytes a request gets, None for none; then the connection is closed."""

    def __init__(self, reply: Callable[[bytes], bytes | None]) -> None:
        self.reply = reply
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=[connection], daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while request := self._read(connection):
                self.requests.append(request)
                said = self.reply(request)
                connection.sendall(said or b"")
                if not isinstance(said, Whole) and said != SILENCE:
                    return

    @staticmethod
    def _read(connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", head)
        while len(body) < (int(found[1]) if found else 0) and (more := connection.recv(65536)):
            body += more
        return head + b"\r\n\r\n" + body

    def close(self) -> None:
        for one in (self._socket, *self.connections):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[bytes], bytes | None]], Server]]:
    """A loopback server that is closed at the end of the test."""
    servers: list[Server] = []

    def start(reply: Callable[[bytes], bytes | None]) -> Server:
        servers.append(Server(reply))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def http(body: bytes, status: str = "200 OK", headers: str = "") -> Whole:
    return Whole(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)


# What goes out


def test_a_read(make_api):
    """A read has the token, asks for JSON, says who asks, and leaves out what is None."""
    transport = Recorder()
    make_api(transport, base="https://api.example/v1/").get(
        "/prompts", limit=120, before_id=None, text="a b&c"
    )
    (request,) = transport.requests
    assert request.method == "GET"
    assert str(request.url) == "https://api.example/v1/prompts?limit=120&text=a+b%26c"
    assert request.headers["Authorization"] == f"Bearer {SECRET}"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["User-Agent"] == USER_AGENT
    assert "X-Workspace-Id" not in request.headers


def test_a_read_that_is_open_to_all(make_api):
    """It goes out without the token, also where there is none, and what it brings is still cleaned of it."""
    transport = Recorder()
    api = make_api(transport)
    api.get("/cli/models", anonymous=True, **{"name[]": ["a", "b"]}, liked=True)
    (request,) = transport.requests
    assert "Authorization" not in request.headers
    assert request.url.query == b"name%5B%5D=a&name%5B%5D=b&liked=true"


@pytest.mark.parametrize("workspace", ["679", "all"])
def test_a_workspace(make_api, workspace):
    """Reads and creating calls alike carry the workspace that they are for."""
    transport = Recorder()
    api = make_api(transport)
    api.get("/tunes", workspace=workspace)
    api.send("POST", "/tunes", [("tune[title]", "x")], workspace=workspace)
    assert [request.headers["X-Workspace-Id"] for request in transport.requests] == [workspace] * 2


def parts(request: httpx.Request, body: bytes) -> list[tuple[str, bytes]]:
    """Head and content of each part of a multipart body."""
    kind, _, boundary = request.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/form-data"
    pieces = body.split(f"--{boundary}".encode())
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    read = []
    for piece in pieces[1:-1]:
        head, _, content = piece.strip(b"\r\n").partition(b"\r\n\r\n")
        read.append((head.decode(), content))
    return read


def test_a_form(make_api, tmp_path):
    """Fields come first and files after them, each under its Rails name, in the order given, text as UTF-8."""
    (tmp_path / "b.jpg").write_bytes(b"picture b")
    (tmp_path / "a.txt").write_bytes(b"caption")
    fields = [
        ("tune[title]", "Jäne"),
        ("tune[image_urls][]", "u1"),
        ("tune[image_urls][]", "u2"),
        ("tune[name]", ""),
    ]
    uploads = [
        Upload(field="tune[images][]", path=str(tmp_path / "b.jpg"), name="b.jpg"),
        Upload(field="tune[images][]", path=str(tmp_path / "a.txt"), name="ä.txt"),
    ]
    transport = Recorder()
    make_api(transport).send("POST", "/tunes", fields, uploads)
    body = b"".join(transport.bodies[0])
    assert int(transport.requests[0].headers["Content-Length"]) == len(body)
    assert parts(transport.requests[0], body) == [
        ('Content-Disposition: form-data; name="tune[title]"', "Jäne".encode()),
        ('Content-Disposition: form-data; name="tune[image_urls][]"', b"u1"),
        ('Content-Disposition: form-data; name="tune[image_urls][]"', b"u2"),
        ('Content-Disposition: form-data; name="tune[name]"', b""),
        (
            'Content-Disposition: form-data; name="tune[images][]"; filename="b.jpg"\r\nContent-Type: image/jpeg',
            b"picture b",
        ),
        (
            'Content-Disposition: form-data; name="tune[images][]"; filename="ä.txt"\r\nContent-Type: text/plain',
            b"caption",
        ),
    ]


@pytest.mark.parametrize("name", ['a"b.jpg', "a\r\nX-Evil: 1.jpg", "a\udcff.jpg"], ids=repr)
def test_odd_file_names(make_api, tmp_path, name):
    """No name of a file breaks out of its form, or keeps the request from being sent."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    transport = Recorder()
    result = make_api(transport).send(
        "POST", "/tunes", [("tune[title]", "x")], [Upload(field="f", path=str(tmp_path / "a.jpg"), name=name)]
    )
    assert isinstance(result, Answer)
    head, content = parts(transport.requests[0], b"".join(transport.bodies[0]))[1]
    assert len(head.split("\r\n")) == 2
    assert content == b"x"


def test_files_are_streamed(make_api, tmp_path):
    """A large picture goes out in small pieces: it is never in memory as a whole."""
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(20_000_000)
    transport = Recorder()
    make_api(transport).send(
        "POST", "/tunes", [], [Upload(field="f", path=str(tmp_path / "large.png"), name="large.png")]
    )
    assert sum(map(len, transport.bodies[0])) > 20_000_000
    assert max(map(len, transport.bodies[0])) <= 1 << 20


def test_what_is_small_goes_out_together(make_api, tmp_path):
    """The lines between fields are no packets of their own: a form without files is one piece, and so are many small files."""
    transport = Recorder()
    (tmp_path / "a.txt").write_bytes(b"x" * 100)
    fields = [(f"prompt[{n}]", "value") for n in range(20)]
    files = [Upload(field="f", path=str(tmp_path / "a.txt"), name=f"{n}.txt") for n in range(20)]
    make_api(transport).send("POST", "/tunes", fields, files)
    (body,) = transport.bodies[0]
    assert [content for _, content in parts(transport.requests[0], body)] == [b"value"] * 20 + [
        b"x" * 100
    ] * 20


def test_large_files_bring_no_small_pieces(make_api, tmp_path):
    """What stands between two photos goes along with the second one."""
    (tmp_path / "a.jpg").write_bytes(b"x" * 700_000)
    photo = Upload(field="f", path=str(tmp_path / "a.jpg"), name="a.jpg")
    transport = Recorder()
    make_api(transport).send("POST", "/tunes", [("tune[title]", "x")], [photo] * 3)
    sizes = list(map(len, transport.bodies[0]))
    assert min(sizes[:-1]) > 60_000
    found = parts(transport.requests[0], b"".join(transport.bodies[0]))
    assert [len(content) for _, content in found] == [1, *[700_000] * 3]


def test_files_are_closed(make_api, tmp_path):
    """After a call, answered or not, no upload is left open."""
    (tmp_path / "a.jpg").write_bytes(b"x")
    transport = Recorder()
    api = make_api(transport)
    here = [Upload(field="f", path=str(tmp_path / "a.jpg"), name="a.jpg")]
    api.send("POST", "/tunes", [], here)
    before = os.listdir("/proc/self/fd")
    api.send("POST", "/tunes", [], here)
    api.send("POST", "/tunes", [], [*here, Upload(field="f", path=str(tmp_path / "no.jpg"), name="no.jpg")])
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_file_that_is_gone(make_api, tmp_path):
    """If a file cannot be opened nothing is sent, and that is known to be the files' doing."""
    transport = Recorder()
    missing = Upload(field="f", path=str(tmp_path / "no.jpg"), name="no.jpg")
    result = make_api(transport).send("POST", "/tunes", [("tune[title]", "x")], [missing])
    assert isinstance(result, NoAnswer)
    assert (result.sent, result.changed) == (False, True)
    assert str(tmp_path / "no.jpg") in result.why
    assert not transport.requests


# The token


def test_without_a_token_nothing_is_sent(caplog):
    """No token is answered as Astria would answer a wrong one, without a request."""
    transport = Recorder()
    api = Api("https://api.example", lambda: None, timeout=1, transport=transport)
    for result in (api.get("/users"), api.send("POST", "/tunes", [])):
        assert isinstance(result, Answer)
        assert result.status == 401
        assert result.text
    assert not transport.requests
    assert api.token is None
    api.close()


def test_a_renewed_token():
    """A token that was put in place of a refused one is used from the next call on."""
    found = [Token("a" * 9, source="x"), Token("b" * 9, source="x"), None]
    transport = Recorder()
    api = Api("https://api.example", lambda: found.pop(0), timeout=1, transport=transport)
    api.get("/users")
    api.renew_token()
    api.get("/users")
    api.renew_token()
    assert api.get("/users") == Answer(status=401, body=None, text="There is no token.")
    assert [request.headers["Authorization"][-9:] for request in transport.requests] == ["a" * 9, "b" * 9]
    api.close()


ECHO = {"error": f"the token {SECRET} is not valid", "seen": {"Authorization": f"Bearer {SECRET}"}}


def replies() -> dict[str, Callable[[bytes], bytes | None]]:
    return {
        "json": lambda _: http(b'{"id": 7}'),
        "echo": lambda _: http(json.dumps(ECHO).encode(), "401 Unauthorized"),
        "echo-text": lambda request: http(request, "500 Internal Server Error"),
        "redirect": lambda _: http(b"", "302 Found", "Location: https://elsewhere.example/\r\n"),
        "garbage": lambda _: b"\x00\x01\x02 garbage\r\n\r\n",
        "nothing": lambda _: None,
    }


@pytest.mark.parametrize("kind", sorted(replies()))
def test_the_token_shows_nowhere(make_api, serve, caplog, kind, tmp_path):
    """Whatever the server does, also if it repeats the token, no log record and no result has it."""
    for name in ("", "httpx", "httpcore", "astria_sync"):
        caplog.set_level(logging.DEBUG, logger=name)
    server = serve(replies()[kind])
    api = make_api(base=server.url)
    (tmp_path / "a.jpg").write_bytes(b"x")
    results = [
        api.get("/users", workspace="1"),
        api.send(
            "POST",
            "/tunes",
            [("tune[title]", "x")],
            [Upload(field="f", path=str(tmp_path / "a.jpg"), name="a.jpg")],
        ),
    ]
    assert all(request.count(SECRET.encode()) == 1 for request in server.requests)
    assert len(server.requests) == 2
    assert caplog.records
    told = [
        *(record.getMessage() + str(record.args) for record in caplog.records),
        *map(repr, results),
        repr(api),
        str(api.token),
    ]
    assert not [line for line in told if SECRET in line]


def test_the_library_says_little(caplog):
    """The libraries' own loggers, which print whole addresses, are quiet unless somebody asks."""
    assert logging.getLogger("httpx").getEffectiveLevel() >= logging.WARNING
    assert logging.getLogger("httpcore").getEffectiveLevel() >= logging.WARNING


# What comes back


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["https://elsewhere.example/", "/tunes/2"])
def test_redirects_are_not_followed(make_api, status, target):
    """A redirect is an answer like any other: neither token nor order follow it."""
    transport = Recorder(*(httpx.Response(status, headers={"Location": target}) for _ in range(2)))
    api = make_api(transport)
    for result in (api.get("/tunes"), api.send("POST", "/tunes", [])):
        assert isinstance(result, Answer)
        assert result.status == status
    assert len(transport.requests) == 2


@pytest.mark.parametrize(
    ("content", "body", "text"),
    [
        (b'{"id": 7}', {"id": 7}, ""),
        (b"[]", [], ""),
        (b"", None, ""),
        (b"null", None, "null"),
        (b"<html>Bad Gateway</html>", None, "<html>Bad Gateway</html>"),
        (b'{"id": 7', None, '{"id": 7'),
        (b"\xff\xfe\xfd", None, "\ufffd\ufffd\ufffd"),
        (b"[" * 100_000, None, "[" * 2000),
        (b'{"error": "half a pair: \\ud83d."}', {"error": "half a pair: ?."}, ""),
        (b'{"error": "a pair: \\ud83d\\ude00."}', {"error": "a pair: \U0001f600."}, ""),
        (b'{"error": "\\u00e4\\\\ud800"}', {"error": "ä\\ud800"}, ""),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bodies(make_api, content, body, text):
    """JSON is read as text that can be stored; of anything else the beginning is kept for a person."""
    result = make_api(Recorder(httpx.Response(200, content=content))).get("/users")
    assert result == Answer(status=200, body=body, text=text)


@PROPERTY
@given(st.integers(200, 599), st.binary(max_size=60))
@example(200, b'"\\udfff"')
@example(200, b"1e999")
def test_any_answer_is_an_answer(status, content):
    """Whatever bytes come under whatever status, the call comes back, and what it brings can be stored."""
    api = Api(
        "https://api.example", token, timeout=1, transport=Recorder(httpx.Response(status, content=content))
    )
    result = api.get("/users")
    api.close()
    assert isinstance(result, Answer)
    assert result.status == status
    json.dumps(result.body, ensure_ascii=False).encode()
    result.text.encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0.5", 0.5),
        ("-5", 0.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", 86400.0),
        ("1e300", 86400.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0),
    ],
)
def test_retry_after(make_api, value, seconds):
    """A wait is told as a number of seconds or a date, is never negative, and never without end."""
    result = make_api(Recorder(httpx.Response(429, headers={"Retry-After": value}))).get("/users")
    assert isinstance(result, Answer)
    assert result.retry_after == seconds


def test_retry_after_a_date_to_come(make_api, monkeypatch):
    """A date is counted from now."""
    now = datetime(2026, 8, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(answers.time, "time", now.timestamp)
    at = format_datetime(now + timedelta(seconds=90), usegmt=True)
    result = make_api(Recorder(httpx.Response(503, headers={"Retry-After": at}))).get("/users")
    assert isinstance(result, Answer)
    assert result.retry_after == 90.0


@pytest.mark.parametrize("wrong", [-40 * 86400, 0, 3600])
def test_retry_after_a_date_is_counted_by_the_servers_clock(make_api, monkeypatch, wrong):
    """A clock of ours that is wrong makes a wait neither longer nor shorter."""
    now = datetime(2026, 8, 1, 12, tzinfo=UTC)
    monkeypatch.setattr(answers.time, "time", (now + timedelta(seconds=wrong)).timestamp)
    headers = {
        "Retry-After": format_datetime(now + timedelta(seconds=90), usegmt=True),
        "Date": format_datetime(now, usegmt=True),
    }
    result = make_api(Recorder(httpx.Response(429, headers=headers))).get("/users")
    assert isinstance(result, Answer)
    assert result.retry_after == 90.0


@PROPERTY
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_retry_after(value):
    """Whatever stands there, it is a number of seconds that ends, or nothing."""
    response = httpx.Response(429, headers={"Retry-After": value.strip()})
    api = Api("https://api.example", token, timeout=1, transport=Recorder(response))
    result = api.get("/users")
    api.close()
    assert isinstance(result, Answer)
    assert result.retry_after is None or (
        0 <= result.retry_after <= 86400 and math.isfinite(result.retry_after)
    )


def test_an_answer_larger_than_any(make_api, monkeypatch):
    """An answer without end is given up, not read into memory."""
    monkeypatch.setattr(answers, "_BYTES", 1000)
    assert isinstance(make_api(Recorder(httpx.Response(200, content=b"x" * 1000))).get("/users"), Answer)
    assert isinstance(make_api(Recorder(httpx.Response(200, content=b"x" * 1001))).get("/users"), NoAnswer)


# What is known of a call that failed


def calls(api: Api) -> list[Answer | NoAnswer]:
    return [api.get("/users"), api.send("POST", "/tunes", [("tune[title]", "x")])]


def test_a_refused_connection_sent_nothing(make_api):
    """Where nobody listens, not one byte went out."""
    with kept_ports(1) as [port]:
        results = calls(make_api(base=f"http://127.0.0.1:{port}"))
    for result in results:
        assert isinstance(result, NoAnswer)
        assert (result.sent, result.changed) == (False, False)
        assert result.why.startswith("no connection")


def test_an_unknown_name_sent_nothing(make_api, monkeypatch):
    """Without a name server, as on a train, not one byte went out."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for result in calls(make_api(base="http://api.example")):
        assert isinstance(result, NoAnswer)
        assert not result.sent
        assert "name resolution" in result.why


def test_a_failed_handshake_sent_nothing(make_api, serve):
    """If TLS cannot be agreed upon the request was never written."""
    # A ClientHello is no HTTP request; what cannot be read as one is left unanswered.
    server = serve(lambda _: None)
    api = make_api(base=server.url.replace("http:", "https:"), timeout=0.2)
    result = api.send("POST", "/tunes", [("tune[title]", "x")])
    assert isinstance(result, NoAnswer)
    assert not result.sent
    assert not server.requests


@pytest.mark.parametrize(
    "base", ["ftp://api.example", "https://", "https://[broken", "nothing", "https://a b"]
)
def test_an_address_that_is_none_sent_nothing(make_api, base):
    """A wrong `base_url` is told, never raised."""
    for result in calls(make_api(base=base)):
        assert isinstance(result, NoAnswer)
        assert not result.sent
        assert result.why


def test_a_workspace_that_is_no_header_sent_nothing(make_api, serve):
    """What cannot stand in a header stops the request before it is sent."""
    server = serve(lambda _: http(b"{}"))
    api = make_api(base=server.url)
    for workspace in ("ä\udcff", "1\r\nX-Evil: 1"):
        result = api.get("/users", workspace=workspace)
        assert isinstance(result, Answer | NoAnswer)
        assert not [request for request in server.requests if b"\r\nX-Evil" in request]


LOST: dict[str, Callable[[bytes], bytes | None]] = {
    "closes": lambda _: None,
    "garbage": lambda _: b"garbage\r\n\r\n",
    "half-a-head": lambda _: b"HTTP/1.1 201 Crea",
    "half-a-body": lambda _: b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"id": 7',
    "wrong-gzip": lambda _: http(b'{"id": 7}', "201 Created", "Content-Encoding: gzip\r\n"),
    "two-lengths": lambda _: b"HTTP/1.1 201 Created\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("kind", sorted(LOST))
def test_an_answer_that_was_lost(make_api, serve, kind):
    """Once the request was written the server may have acted, however badly it answers."""
    server = serve(LOST[kind])
    for result in calls(make_api(base=server.url)):
        assert isinstance(result, NoAnswer)
        assert result.sent
        assert result.why
    assert len(server.requests) == 2


def test_an_answer_that_does_not_come(make_api, serve):
    """A server that takes the request and says nothing may be at work on it."""
    server = serve(lambda _: SILENCE)
    for result in calls(make_api(base=server.url, timeout=0.2)):
        assert result == NoAnswer(sent=True, why="no answer in time")


def test_a_file_that_shrinks_on_its_way(make_api, serve, tmp_path, monkeypatch):
    """A request that broke off in the middle of a file may have been understood: it counts as sent."""
    file = tmp_path / "a.jpg"
    file.write_bytes(b"x" * 200_000)
    server = serve(lambda _: SILENCE)
    api = make_api(base=server.url)
    build = api._creates.build_request

    def build_then_cut(*args, **kwargs):
        request = build(*args, **kwargs)
        os.truncate(file, 10)
        return request

    monkeypatch.setattr(api._creates, "build_request", build_then_cut)
    result = api.send("POST", "/tunes", [], [Upload(field="f", path=str(file), name="a.jpg")])
    assert isinstance(result, NoAnswer)
    assert result.sent


def test_creating_calls_have_connections_of_their_own(make_api, serve):
    """A kept connection that is just being closed would leave a payment's fate unknown; reads may share one."""
    server = serve(lambda _: http(b"{}"))
    api = make_api(base=server.url)
    for _ in range(3):
        assert isinstance(api.get("/users"), Answer)
    assert len(server.connections) == 1
    for _ in range(3):
        assert isinstance(api.send("POST", "/tunes", []), Answer)
    assert len(server.connections) == 4


def test_a_creating_call_goes_out_once(make_api, serve):
    """A call that costs is never repeated by the library, whatever comes back."""
    for reply in replies().values():
        server = serve(reply)
        make_api(base=server.url).send("POST", "/tunes", [("tune[title]", "x")])
        assert len(server.requests) == 1
