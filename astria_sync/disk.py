"""How files of ours come to be: written under a hidden name, made durable, given their final name, that made durable too.

`Disk` is the seam: a test's may be full, fail, or lose what was not yet durable when the power went.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

from astria_sync.core.naming import temporary_name

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class Disk:
    """The machine's file system. Everything may raise OSError; thread-safe, as it has no state."""

    def mount(self, path: Path) -> str:
        """Where the disk is mounted on which a path lies, or would lie."""
        place = os.path.realpath(path)
        while not os.path.ismount(place):
            place = os.path.dirname(place)
        return place

    def mounted(self, mount: str) -> bool:
        """Whether a disk is mounted there; true if nothing is known ("")."""
        if not mount:
            return True
        with suppress(OSError):
            os.stat(os.path.join(mount, "."))  # to look into it wakes an automounter
        return os.path.ismount(mount)

    def stamp(self, folder: Path) -> list[int]:
        """Changes when something is put into a folder, or it is made anew; empty if there is none."""
        try:
            info = folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [info.st_ino, info.st_mtime_ns]

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, each durable: a file in a folder that a power cut takes away is lost with it."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir()
        self.sync_folder(folder.parent)

    def size(self, path: Path) -> int:
        """Bytes that a file has; 0 if it is not there."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def begin(self, part: Path) -> IO[bytes]:
        """A new file. Never the old one made empty: after a crash in `publish` it is the finished one as well."""
        self.remove(part)
        return self.open(part, "wb")

    def free(self, folder: Path) -> int:
        """Bytes that are free on the disk of a folder, for us."""
        disk = os.statvfs(folder)
        return disk.f_bavail * disk.f_frsize

    def open(self, path: Path, mode: str) -> IO[bytes]:
        """Open a file of ours, in a binary mode."""
        return open(path, mode)

    def sync(self, file: IO[bytes]) -> None:
        """Make what was written durable. After a failure the file must be thrown away: its pages count as clean."""
        file.flush()
        os.fsync(file.fileno())

    def publish(self, part: Path, final: Path) -> bool:
        """Give a file its final name unless that is taken; false if it is."""
        try:
            os.link(part, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if os.path.lexists(final):  # a file system without hard links (FAT, some network shares)
                return False
            part.rename(final)
        else:
            part.unlink()
        self.sync_folder(final.parent)
        return True

    def replace(self, part: Path, final: Path) -> None:
        """Give a file its final name, in place of what had it."""
        part.replace(final)
        self.sync_folder(final.parent)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """Make names that were given or taken away in this folder durable."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Replace a file of our own so that a reader, or a power cut, finds the old or the new one, never a part."""
        self.make_folder(path.parent)
        part = path.with_name(temporary_name(path.name))
        try:
            with self.begin(part) as file:
                file.write(data)
                self.sync(file)
            self.replace(part, path)
        except OSError:
            with suppress(OSError):
                self.remove(part)
            raise
