"""What the kernel tells of file systems and of its limits for watches; on other systems than Linux, nothing."""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_known: dict[Path, dict[str, str]] = {}  # by where it was read
_WATCHES: Final = ("fs.inotify.max_user_watches", "user.max_inotify_watches")
_INSTANCES: Final = ("fs.inotify.max_user_instances", "user.max_inotify_instances")
_NAMESPACES: Final = {  # setting → the value that forbids users namespaces and mounts of their own, and one that does not
    "user.max_user_namespaces": (0, 15000),
    "user.max_mnt_namespaces": (0, 15000),
    "kernel.unprivileged_userns_clone": (0, 1),
    "kernel.apparmor_restrict_unprivileged_userns": (1, 0),
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

# Where a directory's times change whenever a name in it comes, goes, or is another file's.
_DATED: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "zfs", "f2fs", "tmpfs"})


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


def dates_directories(path: str) -> bool:
    """Whether the file system of a path without links is known to date a directory when what is in it changes."""
    return mounted_at(path)[1] in _DATED


def mounts_below(path: str) -> Iterator[str]:
    """Mount points of disks at or below a path without links, each as often as something is mounted there."""
    top, shown = f"{path.rstrip('/')}/", windows()
    return (point for point, _ in _mounts() if f"{point}/".startswith(top) and point not in shown)


def is_disk(path: str) -> bool:
    """Whether a disk is mounted at a path without links."""
    return os.path.ismount(path) and path not in windows()


def disk_of(path: str) -> str:
    """Where the disk is mounted on which a path without links lies, or would lie."""
    place, shown = path, windows()
    here = _found(place)
    # As os.path.ismount has it, which asks for all of the path anew at each step; this is asked before each request.
    while (above := os.path.dirname(place)) != place:
        up = _found(above)
        if here and up and (here.st_dev != up.st_dev or here.st_ino == up.st_ino):
            break
        place, here = above, up
    while place in shown:
        place = shown[place]
    return place


def _found(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def windows() -> Mapping[str, str]:
    """Mount points that show what would lie there anyway, those of a sandbox (systemd's ReadWritePaths=, BindPaths=), and where
    the disk is mounted of which that is so.

    Whoever took them for disks would miss them wherever there is no sandbox, or another. What was one stays one, although its
    folder is moved or removed outside.
    """
    known = _known.setdefault(_PROC, {})
    known.update(_windows())
    return known


def astray() -> set[str]:
    """Those that show something else by now than what lies there outside of the sandbox."""
    return {*windows()} - {*_windows()}


def _windows() -> Mapping[str, str]:
    try:
        return _seen_through((_PROC / "self/mountinfo").read_bytes())
    except OSError:
        return {}


@functools.lru_cache(maxsize=2)
def _seen_through(told: bytes) -> Mapping[str, str]:
    places: dict[str, list[_Point]] = {}
    for one in _mount_points(told):
        places.setdefault(one.device, []).append(one)
    found: dict[str, str] = {}
    disks: set[str] = set()
    for mounts in places.values():
        for one in mounts:
            whole = [other for other in mounts if _shows(other, one)]
            if whole:
                found[one.point] = max(whole, key=lambda other: len(other.folder)).point
            else:
                disks.add(one.point)
    return {point: disk for point, disk in found.items() if point not in disks}


@dataclass(frozen=True, slots=True)
class _Point:
    """A line of /proc/self/mountinfo: which folder of which device lies where."""

    device: str
    folder: str
    point: str


def _shows(other: _Point, one: _Point) -> bool:
    """Whether a mount has nothing that another does not show at the same place already."""
    folder = other.folder.rstrip("/")
    if one.folder in {other.folder, folder} or not one.folder.startswith(f"{folder}/"):
        return False
    return one.point == other.point.rstrip("/") + one.folder[len(folder) :]


def _mount_points(told: bytes) -> Iterator[_Point]:
    for line in told.splitlines():
        fields = line.split(b" ")
        if len(fields) > 4:
            yield _Point(fields[2].decode(), _plain(fields[3]), _plain(fields[4]))


def _plain(field: bytes) -> str:
    """Blanks, tabs, line ends and backslashes are written as octal numbers (getmntent(3))."""
    return os.fsdecode(field.decode("unicode_escape").encode("latin-1"))


def _mounts() -> tuple[tuple[str, str], ...]:
    try:
        return _mounted((_PROC / "self/mounts").read_bytes())
    except OSError:
        return ()


@functools.lru_cache(maxsize=2)  # it is asked with every look, and hardly ever says something new
def _mounted(told: bytes) -> tuple[tuple[str, str], ...]:
    """Mount points and kinds of file systems, in the order of mounting (getmntent(3))."""
    lines = (line.split(b" ") for line in told.splitlines())
    return tuple((_plain(fields[1]), os.fsdecode(fields[2])) for fields in lines if len(fields) > 2)


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


def no_user_namespaces() -> tuple[str, str] | None:
    """The setting that keeps users from making namespaces of their own, as it is and as it would let them; None if none does."""
    for name, (forbidding, allowing) in _NAMESPACES.items():
        with suppress(OSError, ValueError):
            value = int((_PROC / "sys" / name.replace(".", "/")).read_text(encoding="ascii"))
            if value == forbidding:
                return f"{name} = {value}", f"{name}={allowing}"
    return None


def folders_in(root: str) -> int:
    """How many watches a root wants: one for each folder."""
    return sum(1 for _ in os.walk(root))
