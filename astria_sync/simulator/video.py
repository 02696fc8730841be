"""A film of one frame, put together box by box, so that a video can be told from a picture."""

import struct

SECOND = 1000
MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", len(body) + 8, kind.encode()) + body


def _full(kind: str, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def movie(frame: bytes, edges: tuple[int, int]) -> bytes:
    """Wrap a JPEG into an MP4 that shows it for one second."""
    head = _box("ftyp", b"isom", struct.pack(">I", 512), b"isom", b"mp41")
    # The chunk's place depends on the size of the boxes before it, which does not depend on the place.
    offset = len(head) + len(_moov(len(frame), 0, edges)) + 8
    return head + _moov(len(frame), offset, edges) + _box("mdat", frame)


def _moov(length: int, offset: int, edges: tuple[int, int]) -> bytes:
    mvhd = _full(
        "mvhd",
        struct.pack(">4I", 0, 0, SECOND, SECOND),
        struct.pack(">IHHII", 0x10000, 0x100, 0, 0, 0),
        MATRIX,
        bytes(24),
        struct.pack(">I", 2),
    )
    return _box("moov", mvhd, _box("trak", _tkhd(edges), _mdia(length, offset, edges)))


def _tkhd(edges: tuple[int, int]) -> bytes:
    width, height = edges
    times = struct.pack(">5I", 0, 0, 1, 0, SECOND)
    return _full("tkhd", times, bytes(16), MATRIX, struct.pack(">II", width << 16, height << 16), flags=3)


def _mdia(length: int, offset: int, edges: tuple[int, int]) -> bytes:
    mdhd = _full("mdhd", struct.pack(">4IHH", 0, 0, SECOND, SECOND, 0x55C4, 0))
    hdlr = _full("hdlr", struct.pack(">I4s", 0, b"vide"), bytes(12), b"frames\0")
    dinf = _box("dinf", _full("dref", struct.pack(">I", 1), _full("url ", flags=1)))
    vmhd = _full("vmhd", bytes(8), flags=1)
    return _box("mdia", mdhd, hdlr, _box("minf", vmhd, dinf, _stbl(length, offset, edges)))


def _stbl(length: int, offset: int, edges: tuple[int, int]) -> bytes:
    entry = _box(
        "jpeg",
        bytes(6),
        struct.pack(">H", 1),
        bytes(16),
        struct.pack(">HH", *edges),
        struct.pack(">IIIH", 0x480000, 0x480000, 0, 1),
        bytes(32),
        struct.pack(">Hh", 24, -1),
    )
    return _box(
        "stbl",
        _full("stsd", struct.pack(">I", 1), entry),
        _full("stts", struct.pack(">III", 1, 1, SECOND)),
        _full("stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        _full("stsz", struct.pack(">III", 0, 1, length)),
        _full("stco", struct.pack(">II", 1, offset)),
    )
