"""Pictures to disk, over a stand-in for the network and real files: a final name is only ever given to a whole file."""

import contextlib
import dataclasses
import errno
import hashlib
import io
import os
import random
import resource
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from astria_sync import download
from astria_sync.core.naming import temporary_name
from astria_sync.core.speed import LEAST, WINDOW
from astria_sync.core.work import Download, NotSaved, Saved
from astria_sync.disk import Disk
from astria_sync.download import Downloader

URL = "https://cdn.example/a/picture.jpg?signature=x"


def picture(kind: str = "JPEG", seed: int = 1, edge: int = 120) -> bytes:
    """A whole picture of noise, some tens of kilobytes."""
    file = io.BytesIO()
    Image.frombytes("RGB", (edge, edge), random.Random(seed).randbytes(edge * edge * 3)).save(file, kind)
    return file.getvalue()


JPEG = picture()
FILM = b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(8000)  # the beginning of a video


class Body(httpx.SyncByteStream):
    """Bytes in pieces, and perhaps an end before their end."""

    def __init__(self, data: bytes, *, broken: bool = False) -> None:
        self.data, self.broken = data, broken

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), 1000):
            yield self.data[at : at + 1000]
        if self.broken:
            raise httpx.ReadError("connection reset")


def answer(status: int, data: bytes = b"", *, broken: bool = False, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, stream=Body(data, broken=broken))


class Cdn:
    """Answers requests, by default with one picture and its range, and remembers what it was asked."""

    def __init__(self, data: bytes = JPEG, *, etag: str = '"one"', **headers: str) -> None:
        self.data, self.etag, self.headers = data, etag, headers
        self.cut: int | None = None  # end the connection after so many bytes
        self.says: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if said := self.says(request):
            return said
        start, headers, status = 0, {"ETag": self.etag, **self.headers}, 200
        if "Range" in request.headers and request.headers.get("If-Range") == self.etag:
            start, status = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        headers["Content-Length"] = str(len(self.data) - start)
        broken = self.cut is not None
        return answer(status, self.data[start : self.cut], broken=broken, **headers)


@pytest.fixture
def fetch(tmp_path: Path) -> Iterator[Callable[..., Saved | NotSaved]]:
    """Fetch a picture from a Cdn into the folder `out`."""
    open_ones: list[Downloader] = []

    def run(
        cdn: Callable[[httpx.Request], httpx.Response],
        *,
        url: str = URL,
        etag: str = "",
        kept: int = 10**9,
        plain: bool = False,
        **how: Any,
    ) -> Saved | NotSaved:
        downloader = Downloader(
            timeout=5, connections=2, plain_http=plain, transport=httpx.MockTransport(cdn), **how
        )
        open_ones.append(downloader)
        return downloader.fetch(
            Download(
                image_id=1,
                url=url,
                folder=tmp_path / "out",
                stem="walk-5-1",
                resume_etag=etag,
                resume_at=kept,
            )
        )

    yield run
    for downloader in open_ones:
        downloader.close()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())} if folder.exists() else {}


PART = temporary_name("walk-5-1")


def test_a_whole_picture(fetch, out):
    """The bytes lie under the final name as they were served, and the result tells their size and hash."""
    cdn = Cdn()
    assert fetch(cdn) == Saved(file="walk-5-1.jpg", size=len(JPEG), sha256=hashlib.sha256(JPEG).hexdigest())
    assert files(out) == {"walk-5-1.jpg": JPEG}
    assert (request := cdn.asked[0]).method == "GET"
    assert str(request.url) == URL
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("data", "suffix"),
    [(JPEG, ".jpg"), (picture("PNG"), ".png"), (picture("WEBP"), ".webp"), (picture("GIF"), ".gif")],
    ids=["jpeg", "png", "webp", "gif"],
)
def test_the_content_decides_the_suffix(fetch, out, data, suffix):
    """Whatever the address ends in, and whatever type is claimed, the file is named for what it is."""
    result = fetch(Cdn(data, Content_Type="text/plain"), url="https://cdn.example/film.mp4")
    assert result.file == f"walk-5-1{suffix}"
    assert files(out) == {f"walk-5-1{suffix}": data}


def test_a_body_without_a_length(fetch, out):
    """Where the server tells no length, the picture's own structure says whether it is whole."""
    assert isinstance(fetch(lambda _: answer(200, JPEG)), Saved)
    (out / "walk-5-1.jpg").unlink()
    result = fetch(lambda _: answer(200, JPEG[:-100]))
    assert isinstance(result, NotSaved)
    assert files(out) == {}


@pytest.mark.parametrize("broken", [True, False], ids=["reset", "early-end"])
def test_a_cut_download_goes_on(fetch, out, broken):
    """A download that ends early keeps its part under a hidden name, and the next one asks for the rest alone."""
    cdn = Cdn()
    cdn.says = lambda _: answer(200, JPEG[:5000], broken=broken, ETag='"one"', Content_Length=str(len(JPEG)))
    first = fetch(cdn)
    assert isinstance(first, NotSaved)
    assert (first.etag, first.expired, first.local) == ('"one"', False, False)
    assert files(out) == {PART: JPEG[:5000]}
    assert PART.startswith(".")
    cdn.says = lambda _: None
    second = fetch(cdn, etag=first.etag)
    assert cdn.asked[1].headers["Range"] == "bytes=5000-"
    assert cdn.asked[1].headers["If-Range"] == '"one"'
    assert second == Saved(file="walk-5-1.jpg", size=len(JPEG), sha256=hashlib.sha256(JPEG).hexdigest())
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_cut_again_and_again(fetch, out):
    """However often a connection breaks, each attempt goes on where the last one stopped."""
    cdn, etag = Cdn(), ""
    for cut in (3000, 3000, 9000):
        cdn.cut = cut
        result = fetch(cdn, etag=etag)
        assert isinstance(result, NotSaved)
        etag = result.etag
        assert files(out) == {PART: JPEG[:cut]}
    cdn.cut = None
    assert isinstance(fetch(cdn, etag=etag), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}
    assert [request.headers.get("Range") for request in cdn.asked] == [
        *(None, "bytes=3000-", "bytes=3000-", "bytes=9000-")
    ]


def keep_part(out: Path, data: bytes) -> None:
    out.mkdir(exist_ok=True)
    (out / PART).write_bytes(data)


def test_another_picture_meanwhile(fetch, out):
    """A part of a picture that the server no longer has is thrown away, also one that was longer."""
    keep_part(out, b"x" * 2 * len(JPEG))
    assert isinstance(fetch(Cdn(etag='"two"'), etag='"one"'), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_a_server_that_does_not_know_if_range(fetch, out):
    """The end of another picture is never joined to the beginning of ours."""
    keep_part(out, JPEG[:5000])
    other = picture(seed=2)
    span = f"bytes 5000-{len(other) - 1}/{len(other)}"
    result = fetch(lambda _: answer(206, other[5000:], ETag='"two"', Content_Range=span), etag='"one"')
    assert isinstance(result, NotSaved)
    assert result.etag == ""
    assert "walk-5-1.jpg" not in files(out)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (416, {"Content_Range": "bytes */5"}),
        (206, {}),
        (206, {"Content_Range": "bytes 4999-5000/5001"}),
        (206, {"Content_Range": "bytes 50000-50001/50002"}),
    ],
    ids=repr,
)
def test_a_range_that_was_not_asked_for(fetch, out, status, headers):
    """If the server cannot go on at that byte the next attempt starts anew, and nothing has a final name."""
    keep_part(out, JPEG[:5000])
    result = fetch(lambda _: answer(status, JPEG[5000:], **headers), etag='"one"')
    assert isinstance(result, NotSaved)
    assert (result.etag, result.expired) == ("", False)
    cdn = Cdn()
    assert isinstance(fetch(cdn, etag=result.etag), Saved)
    assert "Range" not in cdn.asked[0].headers


def test_what_a_power_cut_left_of_a_part(fetch, out):
    """A part is gone on with from where it was durable: behind that there may be zeros, which no structure shows."""
    first = fetch(lambda _: answer(200, JPEG[:5000], ETag='"one"', Content_Length=str(len(JPEG))))
    assert first.kept == 5000
    (part,) = out.iterdir()
    part.write_bytes(JPEG[:5000] + bytes(len(JPEG) - 5000))
    assert isinstance(fetch(Cdn(), etag=first.etag, kept=first.kept), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_a_part_without_an_etag_is_no_start(fetch, out):
    """Without a strong ETag nothing proves that the rest belongs to the part: the next attempt starts anew."""
    result = fetch(lambda _: answer(200, JPEG[:5000], ETag='W/"one"', Content_Length=str(len(JPEG))))
    assert isinstance(result, NotSaved)
    assert result.etag == ""
    assert isinstance(fetch(cdn := Cdn()), Saved)
    assert "Range" not in cdn.asked[0].headers


def test_a_part_that_has_its_final_name_already(fetch, out):
    """After a crash between the two steps of publishing the part is the finished file too: it is not written to."""
    out.mkdir()
    final = out / "walk-5-1.jpg"
    final.write_bytes(JPEG)
    os.link(final, out / PART)
    cdn = Cdn()
    cdn.cut = 2000
    assert isinstance(fetch(cdn), NotSaved)
    assert final.read_bytes() == JPEG
    cdn.cut = None
    assert isinstance(fetch(cdn), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_an_etag_without_a_part(fetch):
    """If the part is gone the picture is asked for as a whole."""
    assert isinstance(fetch(cdn := Cdn(), etag='"one"'), Saved)
    assert "Range" not in cdn.asked[0].headers


@pytest.mark.parametrize(
    ("status", "expired"),
    [
        (400, True),
        (401, True),
        (403, True),
        (404, True),
        (410, True),
        (408, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_refusals(fetch, out, status, expired):
    """An address that is no longer good is told apart from a server in trouble; a part that is here stays good."""
    keep_part(out, JPEG[:5000])
    result = fetch(lambda _: answer(status, b"<html>no</html>"), etag='"one"')
    assert isinstance(result, NotSaved)
    assert (result.expired, result.local, result.etag) == (expired, False, '"one"')
    assert str(status) in result.why
    assert files(out) == {PART: JPEG[:5000]}


@pytest.mark.parametrize(
    "data",
    [b"<!DOCTYPE html><html>Please sign in</html>", b'{"error": "x"}', b"", JPEG[:5000], JPEG[:3]],
    ids=["html", "json", "nothing", "half-a-picture", "three-bytes"],
)
def test_what_is_no_whole_picture(fetch, out, data):
    """Whatever comes under 200, unless it is a whole picture it gets no final name, and is not kept."""
    result = fetch(Cdn(data))
    assert isinstance(result, NotSaved)
    assert (result.etag, result.expired) == ("", False)
    assert result.why
    assert files(out) == {}


@pytest.mark.parametrize("status", [200, 206])
def test_compressed_bytes_are_refused(fetch, out, status):
    """Bytes are kept as served, so an encoding that nobody asked for cannot be a picture."""
    keep_part(out, JPEG[:5000])
    headers = {"Content_Encoding": "gzip", "Content_Range": f"bytes 5000-{len(JPEG) - 1}/{len(JPEG)}"}
    result = fetch(lambda _: answer(status, JPEG[5000:], **headers), etag='"one"')
    assert isinstance(result, NotSaved)
    assert "compressed" in result.why
    assert "walk-5-1.jpg" not in files(out)


def redirects(*targets: str) -> Callable[[httpx.Request], httpx.Response | None]:
    """A Cdn's `says`: each request is sent on to the next of the targets."""
    left: list[str] = list(targets)
    return lambda _: answer(302, Location=left.pop(0)) if left else None


@pytest.mark.parametrize(
    ("targets", "reached"),
    [
        (["https://other.example/b.jpg"], "https://other.example/b.jpg"),
        (["/b.jpg"], "https://cdn.example/b.jpg"),
        (["//third.example/c.jpg"], "https://third.example/c.jpg"),
        (["/1", "/2", "/3", "/4", "/5"], "https://cdn.example/5"),
    ],
    ids=repr,
)
def test_redirects(fetch, out, targets, reached):
    """A picture may have moved, also to another host, a few times."""
    cdn = Cdn()
    cdn.says = redirects(*targets)
    assert isinstance(fetch(cdn), Saved)
    assert str(cdn.asked[-1].url) == reached
    assert files(out) == {"walk-5-1.jpg": JPEG}


@pytest.mark.parametrize(
    "target",
    [
        "http://cdn.example/b.jpg",
        "ftp://cdn.example/b.jpg",
        "file:///etc/passwd",
        "data:,x",
    ],
)
def test_redirects_that_are_not_followed(fetch, out, target):
    """A redirect to anything but https is an end, and nothing is asked there."""
    cdn = Cdn()
    cdn.says = redirects(target)
    result = fetch(cdn)
    assert isinstance(result, NotSaved)
    assert len(cdn.asked) == 1
    assert files(out) == {}


def test_redirects_without_end(fetch, out):
    """A circle of redirects ends after a few, and says so."""
    cdn = Cdn()
    cdn.says = lambda request: answer(302, Location=str(request.url))
    result = fetch(cdn)
    assert isinstance(result, NotSaved)
    assert "without end" in result.why
    assert len(cdn.asked) < 10
    assert files(out) == {}


@pytest.mark.parametrize(
    ("url", "plain", "saved"),
    [
        ("https://cdn.example/a.jpg", False, True),
        ("http://cdn.example/a.jpg", False, False),
        ("http://cdn.example/a.jpg", True, True),
        ("HTTPS://cdn.example/a.jpg", False, True),
        ("ftp://cdn.example/a.jpg", True, False),
        ("/a.jpg", True, False),
        ("", True, False),
        ("https://[broken/a.jpg", True, False),
        ("https://cdn.example:port/a.jpg", True, False),
        ("https:///a.jpg", True, False),
        ("https://cdn.example/\x00", True, False),
    ],
)
def test_addresses(fetch, out, url, plain, saved):
    """Only https is asked, http just where the service itself is; an address that is none is told, never raised."""
    result = fetch(Cdn(), url=url, plain=plain)
    assert isinstance(result, Saved) is saved
    assert ("walk-5-1.jpg" in files(out)) is saved


def test_the_token_is_nowhere(fetch):
    """No request of this client authorises itself or carries a cookie, also after a redirect that sets one."""
    cdn = Cdn()
    cdn.says = lambda request: (
        answer(302, Location="https://other.example/b.jpg", Set_Cookie="a=b; Domain=example")
        if len(cdn.asked) == 1
        else None
    )
    assert isinstance(fetch(cdn), Saved)
    assert len(cdn.asked) == 2
    for request in cdn.asked:
        assert not {"authorization", "cookie", "x-workspace-id", "proxy-authorization"} & set(request.headers)


def test_the_network_breaks(fetch, out):
    """A connection that cannot be made is told in its own words and is nobody's fault here."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    keep_part(out, JPEG[:5000])
    result = fetch(refuse, etag='"one"')
    assert result == NotSaved(why="connection refused", etag='"one"', kept=10**9)
    assert files(out) == {PART: JPEG[:5000]}


class Endless(httpx.SyncByteStream):
    """A beginning, and then more of it for ever; `given` bytes were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.given = data, 0

    def __iter__(self) -> Iterator[bytes]:
        while True:
            self.given += len(self.data)
            yield self.data


@pytest.mark.parametrize(
    ("data", "limit"), [(JPEG, "_LARGEST_STILL"), (FILM, "_LARGEST")], ids=["picture", "video"]
)
def test_an_endless_body(fetch, out, monkeypatch, data, limit):
    """A body without end is stopped before it fills the disk, and nothing of it stays."""
    monkeypatch.setattr(download, limit, 5 * len(data))
    body = Endless(data)
    result = fetch(lambda _: httpx.Response(200, headers={"ETag": '"one"'}, stream=body))
    assert isinstance(result, NotSaved)
    assert "does not end" in result.why
    assert result.etag == ""
    assert body.given == 6 * len(data)
    assert files(out) == {}


def test_what_is_surely_no_picture_is_not_read_on(fetch, out):
    """A web page under 200 that never ends is known by its first bytes."""
    body = Endless(b"<!DOCTYPE html><html>")
    result = fetch(lambda _: httpx.Response(200, stream=body))
    assert isinstance(result, NotSaved)
    assert "no picture or video" in result.why
    assert body.given < 200
    assert files(out) == {}


class Small(Disk):
    """A disk on which so many bytes are free."""

    def __init__(self, free: int) -> None:
        self.left = free

    def free(self, folder: Path) -> int:
        return self.left


def test_a_disk_without_room_for_the_rest(fetch, out):
    """What does not fit is not begun: the disk keeps its last bytes, and a part that is here stays good."""
    keep_part(out, JPEG[:5000])
    disk = Small(download._FLOOR + len(JPEG) - 5001)
    result = fetch(Cdn(), etag='"one"', disk=disk)
    assert isinstance(result, NotSaved)
    assert (result.local, result.etag) == (True, '"one"')
    assert "make room" in result.why
    assert files(out) == {PART: JPEG[:5000]}
    disk.left += 1
    assert isinstance(fetch(Cdn(), etag='"one"', disk=disk), Saved)


def test_a_disk_that_fills_up_meanwhile(fetch, out, monkeypatch):
    """A body that tells no length is given up before the disk is full."""
    monkeypatch.setattr(download, "_LOOK", 3 * len(FILM))
    disk = Small(2 * download._FLOOR)
    body = Endless(FILM)
    disk.free = lambda _: 2 * download._FLOOR if body.given < 5 * len(FILM) else 0  # type: ignore[method-assign]
    result = fetch(lambda _: httpx.Response(200, stream=body), disk=disk)
    assert isinstance(result, NotSaved)
    assert result.local
    assert body.given < 10 * len(FILM)
    assert files(out) == {}


class Slow(httpx.SyncByteStream):
    """Bytes in pieces of `octets`, each `seconds` after the one before."""

    def __init__(self, data: bytes, clock: "Clock", octets: int, seconds: float) -> None:
        self.data, self.clock, self.octets, self.seconds = data, clock, octets, seconds

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.data), self.octets):
            self.clock.at += self.seconds
            yield self.data[at : at + self.octets]


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


def test_a_body_that_trickles_is_given_up_and_gone_on_with(fetch, out):
    """A byte every 50 seconds beats every time-out: after a minute it is let go, what came is kept, and the rest asked for."""
    clock = Clock()
    data = picture(kind="PNG")
    headers = {"ETag": '"one"', "Content-Length": str(len(data))}
    result = fetch(
        lambda _: httpx.Response(200, headers=headers, stream=Slow(data, clock, 1, 50)), clock=clock
    )
    assert isinstance(result, NotSaved)
    assert "too slowly" in result.why
    assert (result.etag, result.moved) == ('"one"', False)
    assert clock.at <= 1000 + 2 * WINDOW
    ((name, part),) = files(out).items()
    assert (name, data.startswith(part), len(part)) == (PART, True, 2)
    cdn = Cdn(data)
    assert isinstance(fetch(cdn, etag=result.etag, clock=clock), Saved)
    assert cdn.asked[0].headers["Range"] == "bytes=2-"


def test_a_slow_line_that_moves_succeeds(fetch):
    """Hours for one picture are no reason to give up, as long as enough comes every minute."""
    clock = Clock()
    data = picture(kind="PNG", edge=400)
    body = Slow(data, clock, LEAST, WINDOW - 1)
    assert isinstance(fetch(lambda _: httpx.Response(200, stream=body), clock=clock), Saved)
    assert clock.at > 1000 + 20 * WINDOW


def test_what_moved_is_told(fetch):
    """A cut after a good part is worth going on soon; one after nothing is not."""
    data = picture(kind="PNG", edge=400)
    for cut, moved in ((LEAST - 1000, False), (LEAST + 1000, True)):
        cdn = Cdn(data)
        cdn.cut = cut
        result = fetch(cdn)
        assert isinstance(result, NotSaved)
        assert result.moved is moved


def test_a_part_is_durable_before_it_is_counted_on(fetch, out, monkeypatch):
    """What a power cut could take from a part would be missing in the picture: it is synced, or thrown away."""
    cdn = Cdn()
    cdn.cut = 5000
    synced: list[bytes] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(files(out).get(PART, b"")), real(fd)))
    assert fetch(cdn).etag == '"one"'
    assert synced[-1] == JPEG[:5000]
    fail_fsync(monkeypatch, stat.S_ISREG)
    result = fetch(cdn)
    assert (result.local, result.etag) == (True, "")
    assert files(out) == {}


def test_the_same_file_is_there_already(fetch, out):
    """A crash after the rename and before the record costs nothing: the same bytes are accepted."""
    first = fetch(Cdn())
    before = (out / "walk-5-1.jpg").stat().st_ino
    assert fetch(Cdn()) == first
    assert (out / "walk-5-1.jpg").stat().st_ino == before
    assert files(out) == {"walk-5-1.jpg": JPEG}


@pytest.mark.parametrize("links", [True, False], ids=["ext4", "fat"])
def test_another_file_is_there(fetch, out, monkeypatch, links):
    """A person's file under the final name is never replaced, and is told of."""
    if not links:
        refuse_links(monkeypatch)
    out.mkdir()
    (out / "walk-5-1.jpg").write_bytes(b"mine")
    result = fetch(Cdn())
    assert isinstance(result, NotSaved)
    assert result.local
    assert str(out / "walk-5-1.jpg") in result.why
    assert files(out)["walk-5-1.jpg"] == b"mine"


@pytest.mark.parametrize("what", ["directory", "dangling-link"])
def test_something_else_is_there(fetch, out, what):
    """A folder or a dangling link under the final name is a local problem, and stays."""
    out.mkdir()
    if what == "directory":
        (out / "walk-5-1.jpg").mkdir()
    else:
        (out / "walk-5-1.jpg").symlink_to("nowhere")
    result = fetch(Cdn())
    assert isinstance(result, NotSaved)
    assert result.local
    assert not (out / "walk-5-1.jpg").is_file()


def refuse_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)


def test_a_file_system_without_hard_links(fetch, out, monkeypatch):
    """On FAT and some network shares the file is renamed."""
    refuse_links(monkeypatch)
    assert isinstance(fetch(Cdn()), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_a_full_disk(fetch, out):
    """What could not be written leaves no final file and no part that would pass for whole; later it works."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
    try:
        result = fetch(Cdn())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(result, NotSaved)
    assert (result.local, result.etag) == (True, "")
    assert os.strerror(errno.EFBIG) in result.why
    assert files(out) == {}
    assert isinstance(fetch(Cdn()), Saved)


def fail_fsync(monkeypatch: pytest.MonkeyPatch, fails: Callable[[int], bool]) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if fails(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def test_a_failing_fsync(fetch, out, monkeypatch):
    """After a failed fsync the bytes may be anything: the file is thrown away and fetched anew."""
    fail_fsync(monkeypatch, stat.S_ISREG)
    result = fetch(Cdn())
    assert isinstance(result, NotSaved)
    assert (result.local, result.etag) == (True, "")
    assert files(out) == {}


def test_a_failing_fsync_of_the_folder(fetch, out, monkeypatch):
    """A rename that may not outlive a power cut is not recorded; the whole file there is accepted the next time."""
    with monkeypatch.context() as patch:
        fail_fsync(patch, stat.S_ISDIR)
        result = fetch(Cdn())
    assert isinstance(result, NotSaved)
    assert result.local
    assert isinstance(fetch(Cdn()), Saved)
    assert files(out) == {"walk-5-1.jpg": JPEG}


def test_what_is_on_disk_before_the_name(fetch, out, monkeypatch):
    """The bytes are synced before the file has its name, and the folder after."""
    steps: list[str] = []
    real_link, real_fsync = os.link, os.fsync

    def link(*names: Path) -> None:
        steps.append("name")
        real_link(*names)

    def fsync(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "link", link)
    monkeypatch.setattr(os, "fsync", fsync)
    fetch(Cdn())
    assert steps[-3:] == ["file", "name", "folder"]


def test_a_folder_that_cannot_be_made(fetch, tmp_path):
    """A file in the place of the output folder is a local problem."""
    (tmp_path / "out").write_text("in the way")
    result = fetch(Cdn())
    assert isinstance(result, NotSaved)
    assert result.local


def descriptors() -> Sequence[str]:
    return os.listdir("/proc/self/fd")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted where /proc is")
def test_no_descriptor_is_left_open(fetch, out):
    """Whatever becomes of a download, its files are closed."""
    fetch(Cdn())
    before = len(descriptors())
    for data in (JPEG, b"<html>", JPEG[:5000]):
        fetch(Cdn(data))
    fetch(lambda _: answer(200, JPEG[:50], broken=True))
    fetch(lambda _: answer(503))
    assert len(descriptors()) == before


class Unmounted(Disk):
    """A disk at `mount` until it is `gone`; then what is at its mount point is seen."""

    gone = False

    def mounted(self, mount: str) -> bool:
        return not self.gone


@pytest.mark.parametrize("beneath", [True, False], ids=["a folder beneath", "nothing beneath"])
def test_a_disk_that_goes_between_two_pictures(tmp_path, out, beneath):
    """However shortly after the first: nothing is written at the bare mount point, where nobody would see it once it is mounted."""
    disk, cdn = Unmounted(), Cdn()
    work = Download(image_id=1, url=URL, folder=out, stem="walk-5-1", mount=str(tmp_path))
    downloader = Downloader(
        timeout=5,
        connections=2,
        plain_http=False,
        transport=httpx.MockTransport(cdn),
        disk=disk,
        clock=lambda: 5.0,
    )
    with contextlib.closing(downloader):
        assert isinstance(downloader.fetch(work), Saved)
        out.rename(tmp_path / "on the disk")
        disk.gone = True
        if beneath:
            out.mkdir()
        result = downloader.fetch(dataclasses.replace(work, stem="walk-5-2"))
    assert isinstance(result, NotSaved)
    assert "not mounted" in result.why
    assert files(out) == {}


def test_a_link_in_place_of_a_folder_between_two_pictures(tmp_path, out):
    """However shortly after the first: it is not followed out of the output."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    work = Download(image_id=1, url=URL, folder=out / "a", output=out, stem="walk-5-1")
    downloader = Downloader(
        timeout=5,
        connections=2,
        plain_http=False,
        transport=httpx.MockTransport(Cdn()),
        clock=lambda: 5.0,
    )
    with contextlib.closing(downloader):
        assert isinstance(downloader.fetch(work), Saved)
        (out / "a").rename(out / "b")
        (out / "a").symlink_to(elsewhere)
        result = downloader.fetch(dataclasses.replace(work, stem="walk-5-2"))
    assert isinstance(result, NotSaved)
    assert "remove the link" in result.why
    assert files(elsewhere) == {}
