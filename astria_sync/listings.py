"""What the directories of a root had in them: one that has not changed since need not be read again, only its files looked at."""

import contextlib
import math
import os
import stat
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from astria_sync import kernel
from astria_sync.sights import is_utf8
from astria_sync.transient import is_half, is_left_alone

File = tuple[str, os.stat_result]

# A change in the same tick of the disk's clock as the listing leaves the time as it was; old ext3 counts in whole seconds.
_TICK: Final = 2.0
# All are listed anew after so long: a disk that dates its directories wrongly hides nothing for longer.
_BELIEVED: Final = 3600.0
_HEAD: Final = struct.Struct("=QQqq")
_SMALL: Final = -12  # a window of 4 kB, no head: an eighth of the time that zlib takes to make ready for more


@dataclass(kw_only=True, slots=True)
class Listings:
    """Of one root, by path. Touched only by the look that is under way: there is one at a time (agenda.py)."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    dated: Callable[[str], bool] = kernel.dates_directories
    kept: dict[str, bytes] = field(default_factory=dict)
    read_at: float = -math.inf  # when nothing was believed last

    def recalled(self) -> "Recall":
        """For one look at the whole root."""
        return Recall(of=self, believes=self.steady() - self.read_at < _BELIEVED, wall=self.wall())


@dataclass(kw_only=True, slots=True)
class Recall:
    """What one look knows from the looks before, and keeps for the next."""

    of: Listings
    believes: bool
    wall: float
    _kept: dict[str, bytes] = field(default_factory=dict)
    # Device → whether its file system dates directories.
    _dated: dict[int, bool] = field(default_factory=dict)

    def known(
        self, directory: str, path: str, info: os.stat_result, descriptor: int
    ) -> tuple[list[File], list[str]] | None:
        """The files of a directory as they are now, and the names of the directories in it; None: it must be read.

        Every file is looked at: one that is written in place does not change its directory.
        """
        kept = self.of.kept.get(path, b"") if self.believes else b""
        if not (kept.startswith(_head(info)) and self._lasts(directory, info)):
            return None
        files, below = _unpacked(kept)
        try:
            seen = [(name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)) for name in files]
            sub = [os.stat(name, dir_fd=descriptor, follow_symlinks=False) for name in below]
        except OSError:
            return None
        if not (
            all(stat.S_ISREG(one.st_mode) for _, one in seen)
            and all(stat.S_ISDIR(one.st_mode) for one in sub)
        ):
            return None
        self._kept[path] = kept
        return seen, below

    def keep(
        self, directory: str, path: str, info: os.stat_result, files: Sequence[File], below: Sequence[str]
    ) -> None:
        """Note what a listing found; `info` is from before it.

        Not if that was nothing: an encrypted folder shows its real names, without having changed, once it is unlocked. The names
        from before are gone then, which tells, but there must be one.
        """
        if (files or below) and self._lasts(directory, info):
            self._kept[path] = _head(info) + _packed(sorted(name for name, _ in files), sorted(below))

    def end(self) -> None:
        """The look has seen all of the root; what it did not come by is forgotten."""
        self.of.kept = self._kept
        if not self.believes:
            self.of.read_at = self.of.steady()

    def _lasts(self, directory: str, info: os.stat_result) -> bool:
        """Whether any later change of the directory shows in its times."""
        if max(info.st_mtime, info.st_ctime) > self.wall - _TICK:
            return False
        if info.st_dev not in self._dated:
            self._dated[info.st_dev] = self.of.dated(os.path.realpath(directory))
        return self._dated[info.st_dev]


def lasts(entry: os.DirEntry[str]) -> bool:
    """Whether what the walk makes of an entry stays so for as long as its directory does not change.

    Of a link nobody can tell; what is on its way is looked at although it is left alone; a bad name is told each time.
    """
    name = entry.name
    return not entry.is_symlink() and not (is_left_alone(name) and is_half(name)) and is_utf8(name)


@contextlib.contextmanager
def opened(directory: str) -> Iterator[tuple[os.stat_result, int]]:
    """Held open, so that the system need not find the way to it anew for every file."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield os.fstat(descriptor), descriptor
    finally:
        os.close(descriptor)


def _head(info: os.stat_result) -> bytes:
    return _HEAD.pack(info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)


def _packed(files: Sequence[str], below: Sequence[str]) -> bytes:
    """No name has a "/" or a NUL in it. A quarter of what the names take, and a hundredth of what they take as objects."""
    told = "/".join(["\0".join(files), "\0".join(below)]).encode()
    packer = zlib.compressobj(wbits=_SMALL, memLevel=5)
    return packer.compress(told) + packer.flush()


def _unpacked(kept: bytes) -> tuple[list[str], list[str]]:
    files, _, below = zlib.decompress(memoryview(kept)[_HEAD.size :], wbits=_SMALL).decode().partition("/")
    return files.split("\0") if files else [], below.split("\0") if below else []
