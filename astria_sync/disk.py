"""How files of ours come to be: written under a hidden name, made durable, given their final name, that made durable too.

`Disk` is the seam: a test's may be full, fail, or lose what was not yet durable when the power went.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO

from astria_sync import kernel
from astria_sync.core.naming import temporary_name

# EIO: so says rclone's mount. A disk that fails says it again when the file is to be renamed instead.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EIO}


def _there(path: str, flags: int) -> int:
    # Not waiting, should a pipe lie in its place.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)


def _new(path: str, flags: int) -> int:
    return _there(path, flags | os.O_EXCL)


def write_all(file: IO[bytes], data: bytes | memoryview) -> None:
    """Write it all, though a file without a buffer may take less at once."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def leads_out(path: Path | str, top: Path | str) -> bool:
    """Whether links lead out of `top` on the way from it to `path`; `top` itself may be one."""
    real, base = os.path.realpath(path), os.path.realpath(top)
    return real != base and not real.startswith(base.rstrip("/") + "/")


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner alone, whatever the umask."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)  # a umask can take away the owner's rights too


def create_private_file(path: Path) -> None:
    """A new, empty file for its owner alone, whatever the umask."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


class Disk:
    """The machine's file system. Everything may raise OSError; thread-safe, as it has no state."""

    def mount(self, path: Path) -> str:
        """Where the disk is mounted on which a path lies, or would lie."""
        return kernel.disk_of(os.path.realpath(path))

    def mounted(self, mount: str) -> bool:
        """Whether a disk is mounted there; true if nothing is known ("")."""
        if not mount:
            return True
        with suppress(OSError):
            os.stat(os.path.join(mount, "."))  # to look into it wakes an automounter
        return mount == "/" or kernel.is_disk(mount)

    def identity(self, folder: Path) -> tuple[int, int] | None:
        """Changes when the disk of a folder goes or comes, or something else lies in the folder's place; None if nothing does."""
        try:
            info = folder.lstat()
        except OSError:
            return None
        return info.st_dev, info.st_ino

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
        """Bytes of a file of ours that can be gone on with; 0 if it is not there, or not ours alone.

        A link may lie in its place, or it may have got its final name already, which a crash kept from being recorded.
        """
        try:
            info = path.lstat()
        except FileNotFoundError:
            return 0
        return info.st_size if stat.S_ISREG(info.st_mode) and info.st_nlink == 1 else 0

    def begin(self, part: Path) -> IO[bytes]:
        """A new file. Never the old one made empty: after a crash in `publish` it is the finished one as well."""
        with suppress(FileExistsError):
            return self.open(part, "w+b")
        self.remove(part)
        return self.open(part, "w+b")

    def told_of(self, folder: Path) -> os.statvfs_result:
        """What the system tells of the disk of a folder."""
        return os.statvfs(folder)

    def free(self, folder: Path) -> int:
        """Bytes that are free on the disk of a folder, for us."""
        disk = self.told_of(folder)
        return disk.f_bavail * disk.f_frsize

    def open(self, path: Path, mode: str) -> IO[bytes]:
        """Open a file of ours, in a binary mode; "w+b" is for a new one. No link is followed.

        Without a buffer, since what is written comes in large pieces: so it is written with `write_all`.
        """
        return open(path, mode, buffering=0, opener=_new if mode == "w+b" else _there)

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
                write_all(file, data)
                self.sync(file)
            self.replace(part, path)
        except OSError:
            with suppress(OSError):
                self.remove(part)
            raise
