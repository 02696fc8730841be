"""What the kernel tells of file systems and of its limits for watches; on other systems than Linux, nothing."""

import functools
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_WATCHES: Final = ("fs.inotify.max_user_watches", "user.max_inotify_watches")
_INSTANCES: Final = ("fs.inotify.max_user_instances", "user.max_inotify_instances")
_NAMESPACES: Final = {  # setting → the value that forbids them
    "user.max_user_namespaces": 0,
    "kernel.unprivileged_userns_clone": 0,
    "kernel.apparmor_restrict_unprivileged_userns": 1,
}
_USUAL: Final = {_WATCHES: 524_288, _INSTANCES: 1_024}  # what programs that watch a lot commonly ask for
# Others may change what lies there, and no kernel of ours is told. Every file system in user space counts, but for fuseblk:
# that is a disk of this machine (NTFS, exFAT), which nobody else writes to.
_SHARED: Final = re.compile(
    r"nfs4?|cifs|smb3|smbfs|ncpfs|9p|virtiofs|vboxsf|prl_fs|drvfs|fuse(\..*)?|afs|ceph|coda|davfs|glusterfs|lustre|gpfs|"
    r"beegfs|orangefs|pvfs2|ocfs2|gfs2"
)

_LOCAL: Final = re.compile(
    r"ext[234]|xfs|btrfs|bcachefs|zfs|f2fs|jfs|reiserfs|nilfs2|tmpfs|ramfs|rootfs|overlay|squashfs|erofs|iso9660|udf|vfat|msdos|exfat|"
    r"ntfs|ntfs3|fuseblk|hfs|hfsplus|apfs|ufs|ecryptfs"
)


def mounted_at(path: str) -> tuple[str, str]:
    """The mount point that a path lies on, and the kind of its file system; "" for both if it cannot be told.

    Goes by the path as it is written: a share whose server is gone would keep whoever asks it waiting.
    """
    best, kind = "", ""
    for point, name in _mounts():
        if len(point) >= len(best) and (path == point or path.startswith(point.rstrip("/") + "/")):
            best, kind = point, name
    return best, kind


def silent(path: str) -> str:
    """The kind of file system if it does not tell what others change on it; "" if it does, as far as is known."""
    _, kind = mounted_at(path)
    if not _SHARED.fullmatch(kind):  # a link may lead to a share
        _, kind = mounted_at(os.path.realpath(path))
    return kind if _SHARED.fullmatch(kind) else ""


def is_local(kind: str) -> bool:
    """Whether a kind of file system is known to tell what is changed on it."""
    return not kind or bool(_LOCAL.fullmatch(kind))


def mounts_below(path: str) -> Iterator[str]:
    """Mount points at or below a path without links, each as often as something is mounted there."""
    return (point for point, _ in _mounts() if f"{point}/".startswith(f"{path.rstrip('/')}/"))


def _mounts() -> tuple[tuple[str, str], ...]:
    try:
        return _mounted((_PROC / "self/mounts").read_bytes())
    except OSError:
        return ()


@functools.lru_cache(maxsize=2)  # it is asked with every look, and hardly ever says something new
def _mounted(told: bytes) -> tuple[tuple[str, str], ...]:
    """Mount points and kinds of file systems, in the order of mounting (getmntent(3))."""
    lines = (line.split(b" ") for line in told.splitlines())
    # Blanks, tabs, line ends and backslashes are written as octal numbers.
    return tuple(
        (os.fsdecode(fields[1].decode("unicode_escape").encode("latin-1")), os.fsdecode(fields[2]))
        for fields in lines
        if len(fields) > 2
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """The most of a thing that this user may have, and the setting that says so."""

    name: str
    most: int
    usual: int

    def enough(self, needed: int) -> int:
        """A limit that certainly suffices for `needed` more than whatever uses up this one."""
        wanted, number = max(self.most + 2 * needed, self.usual), 1
        while number < wanted:
            number *= 2
        return number

    def advice(self, needed: int) -> str:
        """The command that raises it."""
        return f"sudo sysctl {self.name}={self.enough(needed)}"


def watches() -> Limit | None:
    """How many folders this user's programs may watch; None if the system does not tell."""
    return _limit(_WATCHES)


def instances() -> Limit | None:
    """How many of this user's programs may watch; None if the system does not tell."""
    return _limit(_INSTANCES)


def _limit(names: tuple[str, str]) -> Limit | None:
    """The lower one holds: a container may have one of its own."""
    found = []
    for name in names:
        with suppress(OSError, ValueError):
            text = (_PROC / "sys" / name.replace(".", "/")).read_text(encoding="ascii")
            found.append(Limit(name=name, most=int(text), usual=_USUAL[names]))
    return min(found, key=lambda limit: limit.most, default=None)


def in_use(*, but_by: int | None = None) -> tuple[int, int]:
    """Instances and watches that this user's programs have, as far as one may look; without those of process `but_by`."""
    found: list[int] = []
    with suppress(OSError):
        for process in _PROC.iterdir():
            if process.name.isdigit() and process.name != str(but_by):
                with suppress(OSError):
                    found += _watched_by(process)
    return len(found), sum(found)


def _watched_by(process: Path) -> Iterator[int]:
    """For each inotify instance of a process, how many watches it has."""
    if process.stat().st_uid != os.getuid():
        return
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            if os.readlink(descriptor).endswith("inotify"):
                lines = (process / "fdinfo" / descriptor.name).read_text().splitlines()
                yield sum(line.startswith("inotify ") for line in lines)


def no_user_namespaces() -> str:
    """The setting that keeps users from making namespaces of their own; "" if none does."""
    for name, forbidding in _NAMESPACES.items():
        with suppress(OSError, ValueError):
            value = int((_PROC / "sys" / name.replace(".", "/")).read_text(encoding="ascii"))
            if value == forbidding:
                return f"{name} = {value}"
    return ""


def folders_in(root: str) -> int:
    """How many watches a root wants: one for each folder."""
    return sum(1 for _ in os.walk(root))
