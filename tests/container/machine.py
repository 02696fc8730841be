"""What this machine has for a container: what stands in the way, and what can be installed."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TOOLS: Final[Mapping[str, str]] = {  # command → Debian's package of it
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
NEEDED: Final = 2 << 30  # bytes for the tree, and for what a run writes
_SYS_ADMIN: Final = 1 << 21


class Obstacle(Exception):
    """It cannot be done here; the text says why."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What decides whether a container can be booted."""

    system: str
    root: bool
    capabilities: int
    mounts: str  # /proc/mounts
    missing: tuple[str, ...]  # tools
    apt: bool
    room: int  # bytes where the tree is kept


def facts(store: Path) -> Facts:
    """Of this machine."""
    there = next(folder for folder in (store, *store.parents) if folder.exists())
    linux = sys.platform == "linux"
    return Facts(
        system=platform.system(),
        root=os.geteuid() == 0,
        capabilities=_capabilities(Path("/proc/self/status").read_text()) if linux else 0,
        mounts=Path("/proc/mounts").read_text() if linux else "",
        missing=tuple(tool for tool in TOOLS if not shutil.which(tool)),
        apt=shutil.which("apt-get") is not None,
        room=shutil.disk_usage(there).free,
    )


def _capabilities(status: str) -> int:
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff"))


def unified(mounts: str) -> str | None:
    """Where the unified cgroup hierarchy is mounted, for us to write to."""
    for line in mounts.splitlines():
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup2" and "rw" in options.split(","):
            return point
    return None


def obstacle(here: Facts) -> str | None:
    """Why no container can be booted here; None if nothing speaks against trying."""
    if here.system != "Linux":
        return f"this is {here.system}, and systemd needs Linux"
    if not here.root:
        return "it needs root, to boot a container"
    if not here.capabilities & _SYS_ADMIN:
        return "this root may not mount anything (no CAP_SYS_ADMIN; a container without --privileged?)"
    if unified(here.mounts) is None:
        return "no cgroup2 is mounted that could be written to, and systemd needs one"
    if here.missing and not here.apt:
        return f"{', '.join(here.missing)} missing, and there is no apt-get to install them with"
    if here.room < NEEDED:
        return f"only {here.room >> 20} MiB of disk left, and the Debian needs {NEEDED >> 20}"
    return None


def provide(here: Facts, run: Callable[..., object] = subprocess.run) -> None:
    """Install the tools that are missing."""
    if not here.missing:
        return
    packages = sorted({TOOLS[tool] for tool in here.missing} | {"debian-archive-keyring"})
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for line in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *packages]):
        try:
            run(["apt-get", *line], env=environ, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise Obstacle(f"apt-get {line[0]} failed: {last_line(error)}") from None


def last_line(error: subprocess.CalledProcessError) -> str:
    """What a command that failed said last."""
    said = f"{error.stdout or ''}\n{error.stderr or ''}".strip().splitlines()
    return said[-1] if said else f"exit status {error.returncode}"
