"""Is a file whole? Walks the structure of a picture or video forward, one block in memory, without decoding it.

Each walker returns None for a whole file, else a clause that says what is missing. `Short` means that the file ends
where the structure goes on. Bytes after a picture's end are left alone: phones append films and maps there.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterator
from typing import IO

_FIRST = 1 << 16  # bytes; most walks need no more than what is before the picture itself
_BLOCK = 1 << 20
_END_OF_JPEG = b"\xff\xd9"
# In entropy-coded data FF 00 is a byte of data and FF D0…D7 are restarts; FF FF is filling before a marker.
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_BOX_TYPE = re.compile(rb"[\x20-\x7e\xa9]{4}")


class Short(Exception):  # noqa: N818  # no error of anybody's: it only ends the walk
    """The file ends before `needed` bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class Stream:
    """A file that is gone through once from its start to its end; what nobody looks at is not read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.size = size
        self._file = file
        self._buffer = b""
        self._at = 0
        self._start = 0  # the offset in the file at which the buffer starts

    @property
    def position(self) -> int:
        return self._start + self._at

    def head(self, count: int) -> bytes:
        """The first bytes, fewer if the file has fewer; they stay to be taken."""
        while len(self._buffer) < count and self._refill():
            pass
        return self._buffer[:count]

    def take(self, count: int) -> bytes:
        return b"".join(self.blocks(count))

    def skip(self, count: int) -> None:
        end = self.position + count
        if end > self.size:
            raise Short(end)
        self._at += count
        if self._at > len(self._buffer):
            self._go_to(end - 1)
            if not self.head(1):  # it is shorter than it should be
                self._go_to(self._file.seek(0, os.SEEK_END))
                raise Short(end)
            self._at = 1

    def ends_with(self, tail: bytes) -> bool:
        """Whether these are the last bytes of the file; then all before them is left alone."""
        here, start = self.position, self.size - len(tail)
        if start < here:
            return False
        self._go_to(start)
        found = self.head(len(tail) + 1) == tail
        self._go_to(self.size if found else here)
        return found

    def _go_to(self, position: int) -> None:
        self._start, self._buffer, self._at = self._file.seek(position), b"", 0

    def blocks(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, in pieces."""
        end = self.position + count
        if end > self.size:
            raise Short(end)
        while (left := end - self.position) > 0:
            if self._at == len(self._buffer) and not self._refill():
                raise Short(end)
            piece = self._buffer[self._at : self._at + left]
            self._at += len(piece)
            yield piece

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")

    def jpeg_marker(self) -> int | None:
        """The code of the next marker, wherever it is; None at the end of the file."""
        while (found := _JPEG_MARKER.search(self._buffer, self._at)) is None:
            # The FF of a marker may be the last byte of a block.
            kept = min(1, len(self._buffer) - self._at) if self._buffer.endswith(b"\xff") else 0
            self._at = len(self._buffer) - kept
            if not self._refill():
                return None
        self._at = found.end()
        return self._buffer[self._at - 1]

    def _refill(self) -> bool:
        kept = self._buffer[self._at :]
        block = self._file.read(_BLOCK if self.position else _FIRST)
        self._start, self._at = self.position, 0
        self._buffer = kept + block if kept else block
        return bool(block)


def jpeg(stream: Stream) -> str | None:
    stream.skip(2)
    scanned = False
    while (marker := stream.jpeg_marker()) is not None:
        if marker == 0xD9:
            return None if scanned else "has no picture in it"
        if marker in (0x01, 0xD8):
            continue
        length = stream.number(2)
        if length < 2:
            return _broken(stream)
        stream.skip(length - 2)
        # Within a scan FF is followed by 00 or a restart alone, so no end of a part of it looks like the end of the picture.
        if marker == 0xDA and stream.ends_with(_END_OF_JPEG):
            return None
        scanned |= marker == 0xDA
    return "has no end marker"


def png(stream: Stream) -> str | None:
    stream.skip(8)
    kind, first, data = b"", True, False
    while kind != b"IEND":
        length, kind = stream.number(4), stream.take(4)
        if not kind.isalpha() or (first and (kind, length) != (b"IHDR", 13)):
            return _broken(stream)
        checksum = zlib.crc32(kind)
        for block in stream.blocks(length):
            checksum = zlib.crc32(block, checksum)
        if stream.number(4) != checksum:
            return _broken(stream)
        data |= kind == b"IDAT"
        first = False
    return None if data else "has no picture in it"


def webp(stream: Stream) -> str | None:
    stream.skip(4)
    end = 8 + int.from_bytes(stream.take(4), "little")
    if end > stream.size:
        raise Short(end)
    stream.skip(4)
    found = False
    while stream.position + 8 <= end:
        kind = stream.take(4)
        length = int.from_bytes(stream.take(4), "little")
        if stream.position + length > end:
            return _broken(stream)
        stream.skip(min(length + length % 2, end - stream.position))
        found |= kind in (b"VP8 ", b"VP8L", b"ANMF")
    return None if found else "has no picture in it"


def gif(stream: Stream) -> str | None:
    stream.skip(10)
    _skip_gif_colours(stream, between=2)
    found = False
    while (block := stream.number(1)) != 0x3B:
        if block == 0x2C:
            stream.skip(8)
            _skip_gif_colours(stream, between=0)
            found = True
        elif block != 0x21:
            return _broken(stream)
        stream.skip(1)
        while length := stream.number(1):
            stream.skip(length)
    return None if found else "has no picture in it"


def _skip_gif_colours(stream: Stream, *, between: int) -> None:
    flags = stream.number(1)
    stream.skip(between)
    if flags & 0x80:
        stream.skip(3 << ((flags & 0x07) + 1))


def film(stream: Stream) -> str | None:
    return _boxes(stream, ("ftyp", "moov", "mdat"))


def still(stream: Stream) -> str | None:
    """HEIC and AVIF: pictures in the boxes of a film."""
    return _boxes(stream, ("ftyp", "meta", "mdat"))


def _boxes(stream: Stream, wanted: tuple[str, ...]) -> str | None:
    missing = set(wanted)
    while stream.position < stream.size:
        start = stream.position
        length, kind = stream.number(4), stream.take(4)
        if not _BOX_TYPE.fullmatch(kind):
            return _broken(stream)
        if length == 0:  # to the end of the file
            length = stream.size - start
        elif length == 1:
            length = stream.number(8)
        end = start + length
        if end < stream.position:
            return _broken(stream)
        stream.skip(end - stream.position)
        missing.discard(kind.decode("latin-1"))
    return f"has no {' and no '.join(name for name in wanted if name in missing)} part" if missing else None


def _broken(stream: Stream) -> str:
    return f"is damaged near byte {stream.position:,}"


def walk(walker: Callable[[Stream], str | None], stream: Stream) -> str | None:
    """Run a walker over the whole of a file."""
    size = stream.size
    try:
        trouble = walker(stream)
        if trouble is None:
            stream.skip(size - stream.position)
    except Short as short:
        there = size if short.needed > size else stream.position
        return f"ends after {there:,} of {short.needed:,} bytes"
    return trouble
