"""Little that unpacks to much, and answers without an end: they cost a little memory, a little while, and are told."""

import gzip
import json
import struct
import threading
import tracemalloc
import zlib
from collections.abc import Iterator

import httpx
import pytest

from astria_sync import answers, download, media, promptfile, tunefile, validate, yamlblock
from astria_sync.api import Api, _Trace
from astria_sync.core.retry import Answer, NoAnswer, judge_create, judge_read
from astria_sync.core.wire import read_prompt
from astria_sync.core.work import Download, NotSaved
from astria_sync.download import Downloader
from astria_sync.errors import FileProblem
from astria_sync.reads import Reads, TooSlow
from astria_sync.secrets import Token
from tests.security.hostile import TOKEN, Raw, Says


def token() -> Token:
    return Token(TOKEN, source="a test")


# Answers


def zeros(megabytes: int) -> Iterator[bytes]:
    """A stream of gzip, a thousandth of what it unpacks to."""
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(megabytes):
        yield packer.compress(bytes(1 << 20))
    yield packer.flush()


@pytest.fixture
def peak():
    """Give a function that tells the most memory that was in use since the start of the test."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "bit by bit"])
def test_packed_zeros(monkeypatch, peak, at_once):
    """An answer that would unpack to twenty megabytes is given up where an answer may end."""
    bomb = b"".join(zeros(20))
    monkeypatch.setattr(answers, "_BYTES", 200_000)
    tracemalloc.reset_peak()
    with pytest.raises(answers.TooMuchError, match="larger than any"):
        answers.unpacked(
            [bomb] if at_once else [bomb[n : n + 1000] for n in range(0, len(bomb), 1000)], "gzip"
        )
    assert peak() < 2_000_000


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,gzip,gzip", "deflate", "br", "zstd", "x" * 10_000])
def test_packed_in_other_ways(encoding):
    """Layers would multiply, and nothing but gzip was asked for."""
    with pytest.raises(answers.TooMuchError, match="not asked for"):
        answers.unpacked(iter([b"x"]), encoding)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP ", "identity", ""])
def test_what_was_asked_for_is_read(encoding):
    """Packed or not, an ordinary answer is one."""
    body = b'[{"id": 1}]'
    sent = gzip.compress(body) if "gzip" in encoding.lower() else body
    assert answers.unpacked([sent[:5], sent[5:]], encoding) == body


def test_a_client_meets_one(astria, monkeypatch):
    """Through the real client: a bomb is no answer, and a packed list is a list."""
    monkeypatch.setattr(answers, "_BYTES", 1_000_000)
    bomb = b"".join(zeros(5))
    said = [Says(body=bomb, headers={"Content-Encoding": "gzip"}), Says(body=bytes(2_000_000))]
    said.append(Says(body=gzip.compress(b"[1, 2]"), headers={"Content-Encoding": "gzip"}))
    astria.instead = lambda _: said[len(astria.asked) - 1]
    api = Api(astria.url, token, timeout=5)
    results = [api.send("POST", "/tunes", []), api.get("/tunes"), api.get("/tunes")]
    api.close()
    assert [asked.headers["accept-encoding"] for asked in astria.asked] == ["gzip"] * 3
    assert all(isinstance(one, NoAnswer) and one.sent and "larger than any" in one.why for one in results[:2])
    assert results[2].body == [1, 2]


def deep(levels: int, mark: str = "[]") -> bytes:
    return (mark[0] * levels + mark[1] * levels).encode()


UNREADABLE = {
    "deep lists": deep(100_000),
    "deeper than any": deep(60),
    "deep tables": b'{"a":' * 60 + b"1" + b"}" * 60,
    "deep and cut": b"[" * 5_000_000,
    "a million values": b"[" + b"1," * 1_000_000 + b"1]",
    "a million lists": b"[" + b"[]," * 1_000_000 + b"1]",
    "a number of 5000 digits": b'{"id": ' + b"9" * 5000 + b"}",
    "no text": b'{"id": "\xff\xfe"}',
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_json_that_nobody_reads(content):
    """It is an answer that cannot be read: unsure for what was to be made, later for the rest; never an error of ours."""
    answer = answers.read(200, {}, content, token())
    assert answer.body is None
    assert len(answer.text) <= 2000
    assert judge_create(answer) == "unsure"
    assert judge_read(answer) == "later"


@pytest.mark.parametrize(
    "written",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e999",
        "-1e999",
        r'"\ud800"',
        r'{"\udfff": "\udfff\ud83d"}',
        "9" * 4000,
        '"\\u0000"',
    ],
    ids=lambda written: written[:12],
)
def test_json_that_others_do_not_read(written):
    """What is kept of an answer can be written to the state and to a sidecar, and read again by any program."""
    answer = answers.read(200, {}, f'{{"id": 1, "x": [{written}]}}'.encode(), token())
    assert answer.body["id"] == 1
    text = json.dumps(answer.body, ensure_ascii=False, allow_nan=False)
    text.encode()
    assert json.loads(text) == answer.body


@pytest.mark.parametrize("cost", [-5, 2**62, 2**63, 10**400, "9" * 30, 1e300, None, "x", [1]])
def test_costs_that_cannot_be_added_up(cost):
    """A slip in the price neither hides what was spent nor keeps `status` from adding."""
    remote = read_prompt({"id": 1, "cost_mc": cost})
    assert 0 <= remote.cost_mc * 1_000_000 < 2**63


@pytest.mark.parametrize(
    "value", ["9" * 30 + " Jan 2026 00:00:00 GMT", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "1e400"]
)
def test_dates_that_are_none(value):
    """In Retry-After or Date they are as if they were not there, or a day at most."""
    answer = answers.read(429, {"Retry-After": value, "Date": value}, b"", token())
    assert answer.retry_after in {None, 86400.0}
    assert answers.http_date(value) is None


# Answers without an end. The servers end them by themselves after a while, with a good answer: a client that waits fails.

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


def drip(connection, piece: bytes, rest: bytes) -> None:
    """A piece every now and then, so that no single read takes long."""
    pause = threading.Event()
    for _ in range(100):
        connection.sendall(piece)
        pause.wait(0.02)
    connection.sendall(rest)


ENDLESS = {
    "a header that trickles": lambda c: (c.sendall(HEAD + b"X: "), drip(c, b"x", b"\r\n\r\n{}")),
    "a body that trickles": lambda c: (
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 102\r\n\r\n"),
        drip(c, b" ", b"{}"),
    ),
    "chunks that trickle": lambda c: (
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        drip(c, b"1\r\n \r\n", b"2\r\n{}\r\n0\r\n\r\n"),
    ),
    "wait, wait": lambda c: drip(c, b"HTTP/1.1 100 Continue\r\n\r\n" * 10, HEAD + b"\r\n{}"),
}


@pytest.mark.parametrize("say", ENDLESS.values(), ids=ENDLESS.keys())
def test_answers_without_an_end(say):
    """A call ends after a few timeouts, however often the server says a little; a payment is unsure then."""
    with Raw(say) as server:
        api = Api(server.url, token, timeout=0.05)
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(api.get("/tunes"))),
            threading.Thread(target=lambda: results.append(api.send("POST", "/tunes", [("a", "b")]))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        api.close()
    for result in results:
        assert isinstance(result, NoAnswer)
        assert result.sent
        assert result.why == "no answer in time"


def test_a_second_call_on_a_slow_thread(astria):
    """The time that a call has is its own: one on a kept connection, long after the time of the last was over, has all of it."""
    api = Api(astria.url, token, timeout=5)
    for _ in range(3):
        assert isinstance(api.get("/tunes"), Answer)
        api._waits.limit(0.0, "over")
    api.close()


def test_an_upload_has_no_deadline():
    """Time runs from the end of the request; where that broke, the answer that says why can still be read."""

    class Stream:
        def read(self, most: int, timeout: float | None = None) -> bytes:
            return b"x"

    now = [100.0]
    reads = Reads(lambda: now[0])
    trace, stream = _Trace(reads, 5, lambda: None), Stream()
    trace("connection.connect_tcp.complete", {"return_value": stream})
    reads.limit(99.0, "over")
    trace("http11.send_request_headers.started", {})
    now[0] = 1000.0
    assert stream.read(1) == b"x"
    trace("http11.send_request_body.failed", {})
    assert stream.read(1) == b"x"
    trace("http11.send_request_body.complete", {})
    assert stream.read(1, 1.0) == b"x"
    now[0] = 1005.0
    with pytest.raises(TooSlow, match="no answer in time"):
        stream.read(1, 1.0)


HEADERS = {
    "many": lambda c: [c.sendall(b"X: y\r\n" * 1000) for _ in range(200)],
    "one": lambda c: c.sendall(b"x" * 10**6),
}


@pytest.mark.parametrize("say", HEADERS.values(), ids=HEADERS.keys())
def test_a_head_without_an_end(say, peak):
    """A million bytes of headers are given up long before."""
    with Raw(lambda c: (c.sendall(HEAD), say(c))) as server:
        api = Api(server.url, token, timeout=5)
        result = api.get("/tunes")
        api.close()
    assert isinstance(result, NoAnswer)
    assert len(result.why) <= 300
    assert peak() < 5_000_000


@pytest.mark.parametrize("name", ["a header that trickles", "wait, wait"])
def test_a_pictures_head_without_an_end(tmp_path, monkeypatch, name):
    """A picture's host that never comes to the picture holds no place for ever."""
    monkeypatch.setattr(download, "_HEAD", 0.3)
    with Raw(ENDLESS[name]) as server:
        downloader = Downloader(timeout=0.05, connections=1, plain_http=True)
        result = downloader.fetch(Download(image_id=1, url=f"{server.url}/a", folder=tmp_path, stem="a"))
        downloader.close()
    assert isinstance(result, NotSaved)
    assert not result.local
    assert "picture" not in result.why  # it never came so far


def test_a_strange_etag_is_not_sent_back(tmp_path):
    """What a server calls a picture by goes into a request again only if it is what the standard allows."""
    for etag in ('W/"x"', "bare", '"' + "x" * 5000 + '"', '"é"', '"a"b"'):
        answer = httpx.Response(
            200, headers=[(b"ETag", etag.encode("latin-1"))], stream=httpx.ByteStream(b"part")
        )
        answer.headers["Content-Length"] = "999"
        downloader = Downloader(
            timeout=1, connections=1, plain_http=False, transport=httpx.MockTransport(lambda _, a=answer: a)
        )
        result = downloader.fetch(
            Download(image_id=1, url="https://cdn.example/a", folder=tmp_path, stem="a")
        )
        downloader.close()
        assert isinstance(result, NotSaved)
        assert result.etag == ""


# Files of a person's


def block(yaml: str) -> bytes:
    return f"---\n{yaml}\n---\nwords {{a}}".encode()[: promptfile.MAX_BYTES]


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(12)
)
PROMPTS = {
    "billion laughs": LAUGHS,
    "an alias to itself": "extra: &a [*a]",
    "deep lists": "extra: " + "[" * 400,
    "deep tables": "extra: " + "{a: " * 400,
    "deep lines": "extra:\n" + "- " * 400 + "x",
    "many values": "extra: {a: [" + "x, " * 5_000 + "x]}",
    "many keys": "".join(f"k{n}: 1\n" for n in range(5_000)),
    "a matrix of 2^60": "matrix: {"
    + ",".join(f"{name}: [1,2]" for name in ["a", *(f"a{n}" for n in range(60))])
    + "}",
}


@pytest.mark.parametrize("yaml", PROMPTS.values(), ids=PROMPTS.keys())
def test_prompts_that_mean_too_much(yaml, monkeypatch):
    """A small file that means a huge one is refused in few words."""
    monkeypatch.setattr(yamlblock._Frugal, "_left", 3_000)
    with pytest.raises(FileProblem) as caught:
        promptfile.parse(block(yaml), name="p.prompt")
    assert len(str(caught.value)) < 20_000


def test_no_more_is_put_together_than_a_prompt_needs(monkeypatch):
    """A file of a megabyte is not read for a minute to be refused: reading ends with the first value that is too many."""
    counted = []
    right = yamlblock.Composer.compose_node
    monkeypatch.setattr(yamlblock.Composer, "compose_node", lambda *words: counted.append(1) or right(*words))
    monkeypatch.setattr(yamlblock._Frugal, "_left", 500)
    with pytest.raises(FileProblem, match="more values than"):
        promptfile.parse(block("extra: {a: [" + "x, " * 5000 + "x]}"), name="p.prompt")
    assert len(counted) == 500


TOMLS = {
    "a dotted key": ("a" + ".a" * 5000 + " = 1", "more than a hundred parts"),
    "a dotted table": ("[a" + " . 'a' . \"b\"" * 2000 + "]", "more than a hundred parts"),
    "deep lists": ("a = " + "[" * 5000, "nested too deeply"),
    "deep tables": ("a = " + "{a=" * 5000, "nested too deeply"),
    "many tables": ("".join(f"[t{n}]\n" for n in range(5000)), "5,000 keys"),
    "a long number": ("steps = " + "9" * 50_000, "too long"),
}


@pytest.mark.parametrize(("toml", "told"), TOMLS.values(), ids=TOMLS.keys())
def test_tune_files_that_mean_too_much(toml, told):
    """The same for tune.toml, where a name of many parts would take the memory of the square of them."""
    with pytest.raises(FileProblem, match=told) as caught:
        tunefile.parse(toml.encode(), name="tune.toml")
    assert len(str(caught.value)) < 500


def test_dots_that_are_no_names():
    """A text with many dots in it is a text; a name of some parts is a name."""
    for text in ("...", ". " * 500, "a.b.c.d.e.f.g", "1.2.3.4." * 12, "https://a.b/c.d?e.f" * 9):
        assert validate.read_toml(f'a = "{text}"\n[x.y.z]\nb.c = 1'.encode(), where="x")["a"] == text


def picture(width: int, height: int, *extra: tuple[bytes, bytes], pixels: bytes = b"\0" * 999) -> bytes:
    """A PNG that claims a size, with more in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rest = b"".join(chunk(kind, data) for kind, data in extra)
    return b"\x89PNG\r\n\x1a\n" + head + rest + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def test_a_picture_that_would_take_all_memory(tmp_path, monkeypatch):
    """One that claims more pixels than are worth the memory is not decoded; it may be sent, as it is whole."""
    from PIL import ImageFile

    loaded = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: loaded.append(self.size))
    file = tmp_path / "a.png"
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (8_001, 8_001), (100, 100)):
        file.write_bytes(picture(width, height))
        assert media.check_upload(file) is None
    assert loaded == [(100, 100)]


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt"])
def test_a_small_picture_with_much_packed_beside_it(tmp_path, peak, kind):
    """Profiles and texts that unpack to gigabytes are not unpacked."""
    file = tmp_path / "a.png"
    file.write_bytes(picture(8, 8, (kind, b"x\0\0" + zlib.compress(bytes(1 << 26), 1))))
    tracemalloc.reset_peak()
    assert media.check_upload(file) is None
    assert peak() < 20_000_000
