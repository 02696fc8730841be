"""The unit of the configuration that a command was given: where its file lies, and what should stand in it."""

import os
import site
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from astria_sync.cli.common import Invocation
from astria_sync.installing import Program, unit_for, unit_name
from astria_sync.unitfile import MARK, Unit

RUNS = {"active", "activating", "reloading"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A unit and where its file lies."""

    unit: str
    file: Path

    @property
    def text(self) -> str:
        """What stands there now; "" if nothing does."""
        try:
            return self.file.read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    @property
    def ours(self) -> bool:
        """Whether `service install` wrote it."""
        return self.text.startswith(MARK)

    @property
    def sandboxed(self) -> bool:
        """Whether it has mounts of its own."""
        return "\nPrivateUsers=yes\n" in self.text


def place_of(invocation: Invocation) -> Place:
    """Where systemd looks for it."""
    base = Path(invocation.environ.get("XDG_CONFIG_HOME") or ".")
    folder = (base if base.is_absolute() else invocation.home / ".config") / "systemd" / "user"
    unit = unit_name(invocation.profile)
    return Place(unit=unit, file=folder / unit)


def installed_in() -> list[str]:
    """Where Python and this program lie."""
    return [
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        str(Path(os.path.realpath(sys.executable)).parent),
        str(Path(__file__).parents[2]),
    ]


def program(home: Path) -> Program:
    """What Python reads as it runs this program; folders that are there, and that are no whole home."""
    places = [
        *installed_in(),
        *sys.path[0 if sys.flags.safe_path else 1 :],  # the first is where the command was typed, or lies
    ]
    with suppress(Exception):
        places.append(site.getusersitepackages())
    found = [path for path in dict.fromkeys(places) if path and os.path.isdir(path)]
    return Program(python=sys.executable, places=[path for path in found if not home.is_relative_to(path)])


def wanted_unit(invocation: Invocation, *, namespaces: bool) -> Unit:
    """What the configuration, as it is now, wants; raises ConfigError with all that stands against it."""
    return unit_for(
        invocation.settings(),
        profile=invocation.profile,
        program=program(invocation.home),
        environ=invocation.environ,
        home=invocation.home,
        namespaces=namespaces,
    )
