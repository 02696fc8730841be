"""File systems of one's own, without privileges: in a user and mount namespace, as a tmpfs or served over /dev/fuse (card.py)."""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.crashes.scene import TOP

_NEWUSER, _NEWNS = 0x10000000, 0x00020000
_RDONLY, _REMOUNT, _BIND, _DETACH = 1, 32, 4096, 2
_LARGE = 1 << 30  # more than the daemon wants to be free; a tmpfs takes no memory for what is not written


def system(name: str, *args: object) -> None:
    """A function of the C library that Python does not have; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    plain = [os.fsencode(one) if isinstance(one, str | Path) else one for one in args]
    if getattr(libc, name)(*plain):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def own_namespace() -> None:
    """From here on this process may mount; to be called while there is one thread. Raises OSError."""
    user, group = os.getuid(), os.getgid()
    system("unshare", _NEWUSER | _NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


class SmallDisk:
    """A tmpfs, mounted at `backing`, whose folders can be seen at other places; `with SmallDisk(…) as disk`."""

    def __init__(self, backing: Path) -> None:
        backing.mkdir(exist_ok=True)
        self._backing = backing
        self._seen: list[Path] = []

    def __enter__(self) -> Self:
        system("mount", "tmpfs", self._backing, "tmpfs", 0, f"size={_LARGE}")
        return self

    def __exit__(self, *_: object) -> None:
        for place in (*self._seen, self._backing):
            system("umount2", place, _DETACH)

    def put_in(self, place: Path) -> None:
        """Show the folder of this disk that has this name, there."""
        kept = self._backing / place.name
        kept.mkdir(exist_ok=True)
        kept.chmod(0o700)
        place.mkdir(exist_ok=True)
        system("mount", kept, place, None, _BIND, None)
        self._seen.append(place)

    def take_out(self, place: Path) -> None:
        system("umount2", place, _DETACH)
        self._seen.remove(place)

    def fill(self) -> None:
        """Nothing more can be written, or next to nothing."""
        disk = os.statvfs(self._backing)
        used = max(1, disk.f_blocks - disk.f_bfree)  # 0 would be no limit
        self._remount(0, f"size={used * disk.f_frsize}")

    def make_room(self) -> None:
        self._remount(0, f"size={_LARGE}")

    def read_only(self, *, on: bool) -> None:
        self._remount(_RDONLY if on else 0, "")

    def _remount(self, flags: int, options: str) -> None:
        system("mount", None, self._backing, None, _REMOUNT | flags, options)


class Card:
    """The file system of card.py at a place; `with Card(place):`."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __enter__(self) -> Self:
        self._place.mkdir(exist_ok=True)
        fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={fd},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}"
        system("mount", "card", self._place, "fuse", 0, options)
        command = [sys.executable, "-m", "tests.crashes.card", str(fd)]
        self._server = subprocess.Popen(command, cwd=TOP, pass_fds=[fd], stdin=subprocess.DEVNULL)
        os.close(fd)
        return self

    def __exit__(self, *_: object) -> None:
        system("umount2", self._place, _DETACH)
        self._server.kill()  # it would end by itself, but for files that somebody still has open
        self._server.wait()


def unsupported(what: str) -> str:
    """Why there is none of these (SmallDisk, Card) here; "" if there is."""
    probe = (
        "import sys; from pathlib import Path; from tests.crashes import mounts; mounts.own_namespace(); "
        f"place = Path(sys.argv[1], 'place'); place.mkdir(); kept = mounts.{what}(place).__enter__(); "
        "list(place.iterdir()); kept.__exit__()"
    )
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", probe, folder]
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"nothing can be mounted ({done.stderr.strip().splitlines()[-1]})"
