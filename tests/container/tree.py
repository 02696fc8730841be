"""A Debian as files: made once by debootstrap, kept beside other caches, never changed after that."""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from tests.container.machine import Obstacle, last_line

MIRROR: Final = "http://deb.debian.org/debian"
PACKAGES: Final = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "python3",
    "python3-venv",
    "pipx",
    "ca-certificates",
    # No procps: /bin/kill is not on every machine.
    "libnotify-bin",  # notify-send
    "python3-gi",  # a desktop of our own, that notifications reach
)


@dataclass(frozen=True, kw_only=True)
class Release:
    """A Debian; its Python and glibc decide which wheels it takes."""

    name: str
    python: str
    glibc: int  # of 2.x

    def platforms(self, machine: str) -> list[str]:
        """Tags of the wheels that run on it, for pip."""
        newest_first = [f"manylinux_2_{minor}_{machine}" for minor in range(self.glibc, 16, -1)]
        return [*newest_first, f"manylinux2014_{machine}", f"linux_{machine}"]


RELEASES: Final = {
    "bookworm": Release(name="bookworm", python="3.11", glibc=36),
    "trixie": Release(name="trixie", python="3.13", glibc=41),
}


def store(environ: Mapping[str, str] = os.environ) -> Path:
    """Where trees are kept between runs."""
    cache = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "/root", ".cache"))
    return Path(cache, "astria-sync-container")


def place(folder: Path, release: Release) -> Path:
    """A tree's own place: another list of packages is another tree."""
    mark = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:8]
    return folder / f"{release.name}-{mark}"


def made(folder: Path, release: Release, mirror: str = MIRROR) -> Path:
    """The tree, from the cache or made now; half of one is never taken for whole."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = place(folder, release)
    with FileLock(tree.with_name(tree.name + ".lock")):
        if not tree.exists():
            half = tree.with_name(tree.name + ".half")
            shutil.rmtree(half, ignore_errors=True)
            _bootstrap(half, release, mirror)
            half.rename(tree)
    return tree


def _bootstrap(half: Path, release: Release, mirror: str) -> None:
    line = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", release.name, half, mirror]
    try:
        subprocess.run(line, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(half, ignore_errors=True)
        raise Obstacle(f"debootstrap of {release.name} from {mirror} failed: {last_line(error)}") from None
    (half / "etc/hostname").unlink(missing_ok=True)  # debootstrap copies the machine's own
    (half / "etc/resolv.conf").unlink(missing_ok=True)
    shutil.rmtree(half / "var/cache/apt/archives", ignore_errors=True)
