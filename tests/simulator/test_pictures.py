"""The pictures host: bytes, conditions, ranges, links."""

import io
import struct

import pytest
from PIL import Image

GEMINI = 3618064


def made(bench, text="a red cat", **fields):
    """Order a prompt, let its time pass, give its addresses."""
    prompt = bench.prompt(text, **fields)
    bench.now += 30
    return bench.get(f"/prompts/{prompt['id']}")["images"]


@pytest.mark.parametrize(("ratio", "size"), [("1:1", (512, 512)), ("3:4", (384, 512)), ("21:9", (512, 219))])
def test_pictures_have_the_shape_that_was_asked_for(bench, ratio, size):
    """The longest edge is picture_px, the other follows aspect_ratio."""
    body = bench.picture(made(bench, aspect_ratio=ratio)[0]).body
    assert Image.open(io.BytesIO(body)).size == size


def test_every_picture_differs_and_is_the_same_each_time(make_bench):
    """Bytes depend on prompt and number alone; another process with the same seed draws the same."""
    one, two = make_bench(), make_bench()
    urls = made(one, num_images="4")
    bodies = [one.picture(url).body for url in urls]
    assert len(set(bodies)) == 4
    assert bodies == [one.picture(url).body for url in urls]
    assert bodies == [two.picture(url).body for url in made(two, num_images="4")]
    assert bodies == [one.astria.pictures.bytes_of(url) for url in urls]


def test_a_picture_shows_what_went_into_it(bench):
    """A mentioned reference is seen in the picture by its own first photo."""
    face = bench.tune()
    body = bench.picture(made(bench, f"<faceid:{face['id']}:1> woman")[0]).body
    with Image.open(io.BytesIO(body)) as picture:
        red, green, blue = picture.getpixel((70, 512 - 64 - 40))
    assert red > 200
    assert max(green, blue) < 60


def test_formats_can_be_mixed(make_bench):
    """JPEG, PNG and WebP, each with its type and ending."""
    bench = make_bench(picture_format="mixed")
    found = set()
    for _ in range(30):
        url = made(bench)[0]
        answer = bench.picture(url)
        kind = Image.open(io.BytesIO(answer.body)).format
        assert answer.headers["content-type"] == f"image/{kind.lower()}"
        found.add((kind, url.rpartition(".")[2]))
    assert found == {("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")}


def test_a_video_is_an_mp4_whose_frame_is_where_its_tables_say(bench):
    """ftyp, moov and mdat fill the file, and the chunk offset points at the JPEG."""
    url = made(bench, video_model="kling30_standard", video_prompt="it jumps")[0]
    body = bench.picture(url).body
    assert url.endswith(".mp4")
    kinds, at = [], 0
    while at < len(body):
        size, kind = struct.unpack_from(">I4s", body, at)
        kinds.append(kind)
        at += size
    assert kinds == [b"ftyp", b"moov", b"mdat"]
    assert at == len(body)
    offset = struct.unpack_from(">I", body, body.index(b"stco") + 12)[0]
    assert Image.open(io.BytesIO(body[offset:])).format == "JPEG"


def test_ranges_give_their_part(bench):
    """206 with Content-Range for a first, an open and a last part; 416 beyond the end."""
    url = made(bench)[0]
    whole = bench.picture(url)
    size = len(whole.body)
    for asked, part in (
        ("bytes=0-0", whole.body[:1]),
        ("bytes=10-19", whole.body[10:20]),
        (f"bytes={size - 5}-", whole.body[-5:]),
        ("bytes=-7", whole.body[-7:]),
        (f"bytes=5-{size * 2}", whole.body[5:]),
    ):
        answer = bench.picture(url, range=asked)
        assert (answer.status, answer.body) == (206, part)
        assert answer.headers["content-range"].endswith(f"/{size}")
    beyond = bench.picture(url, range=f"bytes={size}-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert bench.picture(url, range="lines=1-2").body == whole.body


def test_conditions_are_honoured(bench):
    """If-None-Match gives 304, a stale If-Range the whole."""
    url = made(bench)[0]
    whole = bench.picture(url)
    etag, date = whole.headers["etag"], whole.headers["last-modified"]
    assert bench.picture(url, if_none_match=etag).status == 304
    assert bench.picture(url, if_none_match='"other"').status == 200
    assert bench.picture(url, range="bytes=5-", if_range=etag).status == 206
    assert bench.picture(url, range="bytes=5-", if_range=date).status == 206
    assert bench.picture(url, range="bytes=5-", if_range='"other"').body == whole.body
    assert bench.picture(url, "POST").status == 405


def test_a_picture_is_not_there_before_its_time(bench):
    """An address that can be guessed serves nothing while the prompt is generated."""
    prompt = bench.prompt()
    path = bench.astria.world.prompts.get(prompt["id"]).pictures[0]
    assert bench.picture(path).status == 404
    bench.now += 30
    assert bench.picture(path).status == 200
    assert bench.picture("/nothing.jpg").status == 404


def test_links_expire_and_are_renewed(make_bench):
    """With link_seconds an address is good for that long; the next look at the prompt has a fresh one."""
    bench = make_bench(link_seconds=60)
    old = made(bench)[0]
    assert bench.picture(old).status == 200
    bench.now += 60
    assert bench.picture(old).status == 403
    fresh = bench.get("/prompts")[0]["images"][0]
    assert fresh != old
    assert fresh.split("?")[0] == old.split("?")[0]
    assert bench.picture(fresh).body == bench.astria.pictures.bytes_of(old)
    assert bench.picture(fresh.replace("expires=1", "expires=2")).status == 403
    assert bench.picture(fresh.split("?")[0]).status == 403


def test_what_is_served_is_written_down(bench):
    """The ledger has path, range, status, bytes, and whether a token was shown to the wrong host."""
    url = made(bench)[0]
    size = len(bench.picture(url).body)
    bench.picture(url, range="bytes=1-9")
    bench.picture(url, "HEAD", authorization="Bearer secret")
    served = bench.ledger.pictures_served()
    assert [(entry.status, entry.sent, entry.range) for entry in served] == [
        (200, size, None),
        (206, 9, "bytes=1-9"),
        (200, 0, None),
    ]
    assert [entry.authorization for entry in served] == [False, False, True]
    assert "secret" not in repr(bench.ledger.as_json())
