"""Files of a request: tried when it is put together, open only while their own part is sent.

A folder may have more pictures than the process may have files open.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import FileIO
from typing import Final

from astria_sync.disk import leads_out

# Bytes. httpx asks for 64 KiB, and does as much for each piece as for a larger one. But a piece must be through in
# `timeout_seconds`, whatever the line.
_PIECE: Final = 256 * 1024
_FIRST: Final = 64 * 1024  # of a file; it is copied, to go out along with the lines before it
_ENOUGH: Final = 32 * 1024


def joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What is small together, and with what follows: each piece is a call to the system, a packet and a TLS record of its own."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _ENOUGH:
            yield b"".join(held)  # of one alone, itself
            held, size = [], 0
    if held:
        yield b"".join(held)


class LateFile:
    """One of them. Links on the way to it may have changed since it was judged: none is followed out of `roots`.

    Nor is one later: what is sent is the very file that was tried, by its device and number.
    """

    def __init__(
        self, path: str, roots: Sequence[str] = (), count: Callable[[int], None] = lambda _: None
    ) -> None:
        """Raises OSError if it cannot be read now. Without `roots` it may lie anywhere. `count` hears of bytes that are sent."""
        self._count = count
        self._path = path
        self._real = os.path.realpath(path)
        self._file: FileIO | None = None
        if roots and all(leads_out(self._real, root) for root in roots):
            raise OSError(errno.ELOOP, "a link leads out of the watched folder", path)
        try:
            with self._open() as file:
                file.read(1)
                self._is = _what(file)
        except OSError as error:
            error.filename = path  # a read says none
            raise

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """`httpx` goes to the end for the length, and to the start before it reads; nothing else is needed."""
        self.close()
        return self._is[2] if whence == os.SEEK_END else offset

    def tell(self) -> int:
        return 0

    def read(self, _count: int) -> bytes:
        """The next bytes, of which `count` says nothing; closes the file at its end. Raises OSError if it is not the file that was tried."""
        size = _PIECE
        if self._file is None:
            self._file, size = self._open(), _FIRST
            if _what(self._file) != self._is:
                raise OSError(errno.ESTALE, f"{self._path} changed while it was sent")
        data = self._file.read(size)
        self._count(len(data))
        if not data:
            self.close()
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> FileIO:
        # Not waiting, as opening a pipe would for somebody to write into it.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = FileIO(os.open(self._real, flags))
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no regular file", self._path)
        return file


def _what(file: FileIO) -> tuple[int, int, int, int]:
    info = os.fstat(file.fileno())
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns
