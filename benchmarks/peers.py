"""The other tools: which of them are here, in which version, and how to get one that is not."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

# Tool → the package of Debian that has it, and how it tells its version.
TOOLS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "find": ("findutils", ("--version",)),
    "curl": ("curl", ("--version",)),
    "rclone": ("rclone", ("version",)),
    "aria2c": ("aria2", ("--version",)),
    "inotifywait": ("inotify-tools", ("--help",)),
    "nginx": ("nginx-light", ("-v",)),
    "openssl": ("openssl", ("version",)),
}
INSTALL: Final = "apt install " + " ".join(sorted({package for package, _ in TOOLS.values()}))
_VERSION: Final = re.compile(r"\d+\.\d+(?:\.\d+)*")


@dataclass(slots=True)
class Peers:
    """Those that a benchmark wants: `here` with their paths, and a sentence for each that is not."""

    here: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def has(self, name: str) -> bool:
        return name in self.here


def look_for(names: Iterable[str], path: str | None = None) -> Peers:
    """Which of the tools are here; `path` is searched instead of $PATH."""
    found = Peers()
    for name in names:
        package, asked = TOOLS[name]
        # nginx lies in sbin, where a user's PATH does not lead.
        where = shutil.which(name, path=path) or (
            shutil.which(name, path="/usr/sbin:/sbin") if path is None else None
        )
        if where is None:
            found.skipped.append(f"{name} is not here (apt install {package})")
            continue
        found.here[name] = where
        found.versions[name] = _version([where, *asked])
    return found


def _version(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    number = _VERSION.search(said.stdout + said.stderr)
    return number[0] if number else ""
