"""Files of a request: tried when it is put together, open only while their own part is sent.

A folder may have more pictures than the process may have files open.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import IO, Final

from astria_sync.disk import leads_out

_PIECE: Final = (
    256 * 1024
)  # bytes; httpx asks for 64 KiB, and does as much for each piece as for a larger one


class LateFile:
    """One of them. Links on the way to it may have changed since it was judged: none is followed out of `roots`."""

    def __init__(
        self, path: str, roots: Sequence[str] = (), count: Callable[[int], None] = lambda _: None
    ) -> None:
        """Raises OSError if it cannot be read now. Without `roots` it may lie anywhere. `count` hears of bytes that are sent."""
        self._count = count
        self._path = path
        self._roots = roots
        self._file: IO[bytes] | None = None
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
        return self._is[1] if whence == os.SEEK_END else offset

    def tell(self) -> int:
        return 0

    def read(self, count: int) -> bytes:
        """The next bytes, also more than `count`; closes the file at its end. Raises OSError if it is not the file that was tried."""
        if self._file is None:
            self._file = self._open()
            if _what(self._file) != self._is:
                raise OSError(errno.ESTALE, f"{self._path} changed while it was sent")
        data = self._file.read(max(count, _PIECE))
        self._count(len(data))
        if not data:
            self.close()
        return data

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        real = os.path.realpath(self._path)
        if self._roots and all(leads_out(real, root) for root in self._roots):
            raise OSError(errno.ELOOP, "a link leads out of the watched folder", self._path)
        # Not waiting, as opening a pipe would for somebody to write into it.
        file = os.fdopen(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(errno.EINVAL, "it is no regular file", self._path)
        return file


def _what(file: IO[bytes]) -> tuple[int, int, int]:
    info = os.fstat(file.fileno())
    return info.st_ino, info.st_size, info.st_mtime_ns
