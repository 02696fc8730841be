"""Pictures and videos by their content: what a file is, whether it is whole, whether it may be uploaded."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from astria_sync import structure

HEAD_BYTES = 64  # enough for `sniff`
_DECODED_PIXELS = 64_000_000  # above, decoding would cost more memory than it is worth


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str  # for people, with its article
    extension: str
    media_type: str


JPEG = Kind(name="a JPEG", extension=".jpg", media_type="image/jpeg")
PNG = Kind(name="a PNG", extension=".png", media_type="image/png")
WEBP = Kind(name="a WebP", extension=".webp", media_type="image/webp")
GIF = Kind(name="a GIF", extension=".gif", media_type="image/gif")
AVIF = Kind(name="an AVIF", extension=".avif", media_type="image/avif")
HEIC = Kind(name="a HEIC", extension=".heic", media_type="image/heic")
MP4 = Kind(name="a video", extension=".mp4", media_type="video/mp4")

_WALKERS: dict[Kind, Callable[[structure.Stream], str | None]] = {
    JPEG: structure.jpeg,
    PNG: structure.png,
    WEBP: structure.webp,
    GIF: structure.gif,
    AVIF: structure.still,
    HEIC: structure.still,
    MP4: structure.film,
}
_UPLOADED = {".jpg": JPEG, ".jpeg": JPEG, ".png": PNG, ".webp": WEBP}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def sniff(head: bytes) -> Kind | None:
    """What a file that begins with `head` is, whatever its name says."""
    if head.startswith(b"\xff\xd8\xff"):
        return JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PNG
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GIF
    if head[4:8] == b"ftyp" and len(head) >= 12:
        return _by_brand(head)
    return None


def _by_brand(head: bytes) -> Kind:
    length = int.from_bytes(head[:4], "big")
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
    if brands & {b"avif", b"avis"}:
        return AVIF
    return HEIC if head[8:12] in _HEIC_BRANDS else MP4


def complete(file: IO[bytes], size: int) -> str | None:
    """None if `file`, read from its start, is a whole picture or video of `size` bytes; else a clause why not."""
    return examine(file, size)[1]


def examine(file: IO[bytes], size: int) -> tuple[Kind | None, str | None]:
    """The same, with what it is."""
    file.seek(0)
    stream = structure.Stream(file, size)
    kind = sniff(stream.head(HEAD_BYTES))
    if kind is None:
        return None, "is no picture or video" if size else "is empty"
    return kind, structure.walk(_WALKERS[kind], stream)


def check_upload(path: Path) -> str | None:
    """None if a person's picture can be sent; else a clause that goes on from the file's name."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return "is no regular file"
            return _check_picture(file, status.st_size, path.suffix)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # opening a FIFO would wait for a writer


def _check_picture(file: IO[bytes], size: int, suffix: str) -> str | None:
    if size == 0:
        return "is empty"
    head = file.read(HEAD_BYTES)
    kind = sniff(head)
    if kind is None:
        return "is no picture"
    expected = _UPLOADED.get(suffix.lower())
    if expected is not None and kind != expected:
        return f"is {kind.name} although its name ends in {suffix}"
    if kind not in _UPLOADED.values():
        return f"is {kind.name}, and only JPEG, PNG and WebP can be sent"
    trouble = complete(file, size)
    if trouble is None and not (kind == WEBP and _webp_pixels(head) > _DECODED_PIXELS):
        trouble = _undecodable(file, kind)
    return trouble


def _undecodable(file: IO[bytes], kind: Kind) -> str | None:
    # Pillow's classes rather than Image.open: no search through formats, and no warning about large pictures,
    # which have a limit of our own. Imported here, because most commands check nothing.
    from PIL import ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    openers: dict[Kind, Callable[[IO[bytes]], ImageFile.ImageFile]] = {
        JPEG: JpegImagePlugin.JpegImageFile,
        PNG: PngImagePlugin.PngImageFile,
        WEBP: WebPImagePlugin.WebPImageFile,
    }
    file.seek(0)
    try:
        with openers[kind](file) as image:
            width, height = image.size
            if width * height <= _DECODED_PIXELS:
                image.draft(None, (max(1, width // 8), max(1, height // 8)))
                image.load()
    except (Warning, ValueError, MemoryError):
        return None  # Pillow's own limits and doubts, about texts and profiles in the file: no damage
    except Exception as error:  # noqa: BLE001  # its decoders raise many kinds on damaged data
        return f"is damaged: {error}"
    return None


def _webp_pixels(head: bytes) -> int:
    """Width times height; Pillow's decoder takes the memory for all of them as soon as it is made."""
    if head[12:16] == b"VP8X":
        return (int.from_bytes(head[24:27], "little") + 1) * (int.from_bytes(head[27:30], "little") + 1)
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
    return int.from_bytes(head[26:28], "little") % 0x4000 * (int.from_bytes(head[28:30], "little") % 0x4000)
