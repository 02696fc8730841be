"""A person in the container, with a home and a user manager: what she types, saves, and finds."""

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.container.astria import URL
from tests.container.box import Box, ran, until

UNIT: Final = "astria-sync.service"


class Person:
    """A normal user."""

    def __init__(self, box: Box, name: str, *, lingers: bool = False) -> None:
        """Add her to the container; one who lingers has her services without being logged in."""
        self.box, self.name = box, name
        box.root("useradd", "--create-home", "--shell=/bin/bash", name)
        self.id = int(box.root("id", "-u", name).stdout)
        self.home = Path("/home", name)
        if lingers:
            box.root("loginctl", "enable-linger", name)
            until(lambda: self.systemctl("is-system-running", check=False).stdout, "a user manager")

    # Typing

    def types(self, line: str, check: bool = True, **how: Any) -> subprocess.CompletedProcess[str]:
        """A command line in her shell."""
        environ = {
            "HOME": str(self.home),
            "USER": self.name,
            "LANG": "C.UTF-8",
            "PATH": f"{self.home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": f"/run/user/{self.id}",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{self.id}/bus",
            "ASTRIA_BASE_URL": URL,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/opt/wheels",
        }
        who = ["setpriv", f"--reuid={self.id}", f"--regid={self.id}", "--init-groups"]
        set_to = ["env", "-i", f"--chdir={self.home}", *(f"{key}={value}" for key, value in environ.items())]
        return ran([*self.box.enter(), *who, *set_to, "sh", "-c", line], check=check, **how)

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.types(shlex.join(["systemctl", "--user", *arguments]), check=check)

    def unit(self, *names: str, unit: str = UNIT) -> dict[str, str]:
        """Properties of the service."""
        said = self.systemctl("show", f"--property={','.join(names)}", unit).stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def log(self, *more: str, unit: str = UNIT) -> str:
        """What the service and systemd said about it."""
        of_unit = [f"_SYSTEMD_USER_UNIT={unit}", "+", f"USER_UNIT={unit}"]
        return self.box.root("journalctl", "--no-pager", "--output=cat", *more, *of_unit).stdout

    # Files

    def path(self, name: str | Path) -> Path:
        """A file of hers, seen from outside; relative to her home."""
        return self.box.path(str(self.home / name))

    def saves(self, name: str | Path, data: str | bytes, mode: int = 0o644) -> Path:
        """A file of hers, and the folders on the way."""
        file = self.path(name)
        missing = [folder for folder in file.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        half = file.with_name(f".{file.name}.part")
        half.write_bytes(data if isinstance(data, bytes) else data.encode())
        half.chmod(mode)
        for one in (*missing, half):
            os.chown(one, self.id, self.id)
        half.rename(file)
        return file

    def pictures(self, below: str | Path) -> int:
        """Finished pictures, of which there is no half one under a final name."""
        kinds = {".jpg", ".jpeg", ".png", ".webp"}
        return sum(
            file.suffix in kinds and not file.name.startswith(".") for file in self.path(below).rglob("*")
        )
