import io
import os
import random
import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from astria_sync import media
from astria_sync.media import check_upload, complete, sniff


def picture(kind, size=(40, 30), mode="RGB", **options):
    noise = random.Random(7).randbytes(size[0] * size[1] * len(mode))
    file = io.BytesIO()
    Image.frombytes(mode, size, noise).save(file, kind, **options)
    return file.getvalue()


def box(kind, body=b"", *, long=False):
    if long:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


FTYP = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")
MOOV, MDAT = box(b"moov", box(b"mvhd", bytes(100))), box(b"mdat", bytes(range(200)))
AVIF_BOXES = box(b"ftyp", b"avif\0\0\0\0avifmif1") + box(b"meta", bytes(50)) + MDAT
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))

FILES = {
    "jpeg": (picture("JPEG"), ".jpg"),
    "jpeg-progressive": (picture("JPEG", progressive=True, quality=95), ".jpg"),
    "jpeg-restarts": (picture("JPEG", restart_marker_blocks=1), ".jpg"),
    "jpeg-thumbnail-inside": (picture("JPEG", exif=b"Exif\0\0" + picture("JPEG", size=(8, 8))), ".jpg"),
    "png": (picture("PNG"), ".png"),
    "png-alpha": (picture("PNG", mode="RGBA"), ".png"),
    "webp-lossy": (picture("WEBP"), ".webp"),
    "webp-lossless": (picture("WEBP", lossless=True), ".webp"),
    "webp-extended": (picture("WEBP", mode="RGBA", exif=b"Exif\0\0odd"), ".webp"),
    "gif": (picture("GIF"), ".gif"),
    "mp4": (FTYP + MOOV + MDAT, ".mp4"),
    "mp4-moov-last": (FTYP + box(b"free") + box(b"mdat", bytes(99), long=True) + MOOV, ".mp4"),
    "avif": (AVIF_BOXES, ".avif"),
}
EACH = pytest.mark.parametrize(("content", "extension"), FILES.values(), ids=FILES.keys())


def judge(content, size=None):
    return complete(io.BytesIO(content), len(content) if size is None else size)


@EACH
def test_a_whole_file_is_known_and_whole(content, extension):
    """Each kind of picture and video is told by its content and found whole."""
    assert sniff(content[: media.HEAD_BYTES]).extension == extension
    assert judge(content) is None


@EACH
def test_every_prefix_is_not_whole(content, extension):
    """A file cut anywhere is reported, whether its size or its end gives it away."""
    assert [n for n in range(len(content)) if judge(content[:n]) is None] == []
    assert [n for n in range(len(content)) if judge(content[:n], size=len(content)) is None] == []


@EACH
def test_a_missing_end_is_counted(content, extension):
    """A file shorter than the size that was announced says how much of it is there."""
    assert judge(content, size=len(content) + 10_000).endswith("bytes")


@pytest.mark.parametrize("name", ["jpeg", "png", "webp-lossy", "gif"])
def test_bytes_after_the_end_are_left_alone(name):
    """What phones append to a picture does not make it broken."""
    assert judge(FILES[name][0] + b"MotionPhoto_Data" * 9) is None


@pytest.mark.parametrize("block", [1, 2, 3, 64])
@EACH
def test_the_size_of_blocks_does_not_matter(content, extension, block, monkeypatch):
    """A marker across the border of two blocks is seen."""
    monkeypatch.setattr("astria_sync.structure._FIRST", block)
    monkeypatch.setattr("astria_sync.structure._BLOCK", block)
    assert judge(content) is None
    assert judge(content[:-1]) is not None
    if extension == ".jpg":  # whose end is looked for only if it is not that of the file
        assert judge(content + b"more") is None


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", "is empty"),
        (b"<html>502 Bad Gateway</html>", "is no picture or video"),
        (FILES["jpeg"][0][:-2], "has no end marker"),
        (b"\xff\xd8\xff\xd9", "has no picture in it"),
        (b"\xff\xd8\xff\xe0\0\1\xff\xd9", "is damaged near byte 6"),
        (FILES["jpeg"][0][:10], "ends after 10 of 20 bytes"),
        (PNG_SIGNATURE + IHDR + chunk(b"IEND"), "has no picture in it"),
        (PNG_SIGNATURE + chunk(b"IDAT"), "is damaged near byte 16"),
        (PNG_SIGNATURE + IHDR + bytes(1000), "is damaged near byte 41"),
        (PNG_SIGNATURE + IHDR[:-1] + b"!", "is damaged near byte 33"),
        (b"RIFF\x0e\0\0\0WEBPVP8 \xff\0\0\0\0\0", "is damaged near byte 20"),
        (b"RIFF\x04\0\0\0WEBP", "has no picture in it"),
        (b"RIFF\xff\xff\0\0WEBPVP8 ", "ends after 16 of 65,543 bytes"),
        (FTYP + MDAT, "has no moov part"),
        (FTYP, "has no moov and no mdat part"),
        (FTYP + MOOV + bytes(64), f"is damaged near byte {len(FTYP + MOOV) + 8}"),
        (FTYP + b"\0\0\0\1mdat" + bytes(8), f"is damaged near byte {len(FTYP) + 16}"),
    ],
)
def test_what_is_said_of_a_broken_file(content, clause):
    """The clause goes on from the file's name and says what is wrong."""
    assert judge(content) == clause


def test_a_box_to_the_end_of_the_file():
    """A video whose last box has no length reaches to the end of the file."""
    assert judge(FTYP + MOOV + b"\0\0\0\0mdat" + bytes(999)) is None


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"", None),
        (b"\xff\xd8", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"\0\0\0\x18ftyp", None),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", ".mp4"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ".heic"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", ".avif"),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom" + b"avif", ".mp4"),
        (b"GIF89a", ".gif"),
    ],
)
def test_sniff(head, extension):
    """Only the content decides, and half a signature is none."""
    kind = sniff(head)
    assert (kind and kind.extension) == extension


@given(st.sampled_from(list(FILES.values())), st.data())
def test_walking_is_total(file, data):
    """Damage of any kind gives an answer, never an exception or an endless walk."""
    content = bytearray(file[0])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert judge(bytes(content)) != ""


def test_a_flipped_bit_in_a_png_is_found():
    """The checksums of a PNG show any single byte that has changed."""
    content = FILES["png"][0]
    for at in range(0, len(content), 7):
        assert judge(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]) is not None


@pytest.mark.parametrize("pattern", [b"\xff\0", b"\xff\xd0", b"\xff\xff", b"\x12\x34"])
def test_a_large_jpeg_is_walked_quickly(pattern):
    """No data makes the walk slow: it is used for every picture that is downloaded."""
    head = FILES["jpeg"][0][:-2]
    content = head + pattern * 4_000_000 + b"\xff\xd9"
    started = time.perf_counter()
    assert judge(content + b"more") is None
    assert time.perf_counter() - started < 3


class Counted(io.BytesIO):
    """How much of it was read."""

    given = 0

    def read(self, size=-1):
        self.given += len(data := super().read(size))
        return data


@pytest.mark.parametrize("name", ["jpeg", "mp4", "mp4-moov-last", "webp-lossy"])
def test_what_tells_nothing_is_not_read(name):
    """Of a large picture or video its parts are gone through, not all that is in them."""
    content = FILES[name][0]
    if name == "jpeg":
        content = content[:-2] + bytes(30_000_000) + b"\xff\xd9"
    elif name == "webp-lossy":
        content = content[:4] + struct.pack("<I", len(content) - 8 + 30_000_000) + content[8:]
        content += b"MORE" + struct.pack("<I", 29_999_992) + bytes(29_999_992)
    else:
        content = content.replace(FTYP, FTYP + box(b"free", bytes(30_000_000)))
    file = Counted(content)
    assert complete(file, len(content)) is None
    assert file.given < 5_000_000
    assert complete(Counted(content[:-1]), len(content)) is not None


@pytest.fixture
def save(tmp_path):
    def save(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return save


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("jpeg", "a.jpg"),
        ("jpeg-progressive", "a.JPEG"),
        ("jpeg-restarts", "a.jpg"),
        ("png", "a.PNG"),
        ("webp-lossy", "a.webp"),
        ("webp-extended", "a.webp"),
        ("png", "no-extension"),
    ],
)
def test_a_good_picture_can_be_uploaded(file, name, save):
    """A picture that is what its name says can be sent."""
    assert check_upload(save(name, FILES[file][0])) is None


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG"), ("L", "JPEG")],
)
def test_unusual_modes_can_be_uploaded(mode, kind, save):
    """Grey, print and palette pictures are pictures too."""
    file = io.BytesIO()
    Image.new(mode, (30, 20)).save(file, kind)
    assert check_upload(save(f"a.{kind}", file.getvalue())) is None


@pytest.mark.parametrize(
    ("name", "content", "clause"),
    [
        ("a.jpg", b"", "is empty"),
        ("a.jpg", b"hello", "is no picture"),
        ("a.jpg", FILES["png"][0], "is a PNG although its name ends in .jpg"),
        ("a.PNG", FILES["jpeg"][0], "is a JPEG although its name ends in .PNG"),
        ("a.jpg", FILES["avif"][0], "is an AVIF although its name ends in .jpg"),
        ("a.webp", FILES["mp4"][0], "is a video although its name ends in .webp"),
        ("a.gif", FILES["gif"][0], "is a GIF, and only JPEG, PNG and WebP can be sent"),
        ("a.jpg", FILES["jpeg"][0][:-2], "has no end marker"),
    ],
)
def test_what_cannot_be_uploaded(name, content, clause, save):
    """What is wrong with a picture is said in one clause, before anything is sent."""
    assert check_upload(save(name, content)) == clause


@pytest.mark.parametrize("file", ["jpeg", "png", "webp-lossy", "webp-lossless", "webp-extended"])
def test_no_truncated_picture_is_uploaded(file, save):
    """Whatever part of a picture is missing at its end, it is not sent."""
    content, extension = FILES[file]
    for length in range(0, len(content), 11):
        assert check_upload(save(f"cut{extension}", content[:length])) is not None


def test_damage_inside_an_intact_structure_is_found(save):
    """Pixels that cannot be decoded are found although lengths and checksums are right."""
    webp = bytearray(FILES["webp-lossless"][0])
    webp[21:60] = bytes(39)
    png = PNG_SIGNATURE + IHDR + chunk(b"IDAT", b"junk") + chunk(b"IEND")
    assert check_upload(save("a.png", png)).startswith("is damaged: ")
    assert check_upload(save("a.webp", bytes(webp))).startswith("is damaged: ")
    assert check_upload(save("a.jpg", b"\xff\xd8\xff\xda\0\2 \xff\xd9")).startswith("is damaged: ")


@pytest.mark.parametrize("size", [(8_000, 8_001), (60_000, 60_000)])
def test_a_huge_picture_is_judged_by_its_structure(size, save):
    """A picture too large to decode in little memory is not decoded, and no warning is raised."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    content = PNG_SIGNATURE + header + chunk(b"IDAT", b"never read") + chunk(b"IEND")
    assert check_upload(save("a.png", content)) is None


def test_a_huge_webp_is_not_decoded(save):
    """A WebP's size is known before its decoder takes the memory for it."""
    body = b"VP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + b"VP8 \x04\0\0\0junk"
    assert check_upload(save("a.webp", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)) is None


@pytest.mark.parametrize("lossless", [True, False])
def test_the_size_of_a_webp(lossless):
    """Both simple forms of WebP tell their size."""
    assert media._webp_pixels(picture("WEBP", size=(333, 111), lossless=lossless)) == 333 * 111


def test_what_is_no_regular_file(tmp_path):
    """A pipe, a folder or a missing file is an answer, never a wait."""
    os.mkfifo(tmp_path / "pipe.jpg")
    assert check_upload(tmp_path / "pipe.jpg") == "is no regular file"
    assert check_upload(tmp_path) == "cannot be read: Is a directory"
    assert check_upload(tmp_path / "gone.jpg") == "cannot be read: No such file or directory"
