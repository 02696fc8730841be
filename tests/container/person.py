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
    """A normal user, and a service of her own."""

    def __init__(self, box: Box, name: str, *, lingers: bool = False) -> None:
        """Add her to the container; one who lingers has her services without being logged in."""
        self.box, self.name, self.service = box, name, UNIT
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

    def systemd_run(self, *line: str) -> str:
        """A process of hers, without a sandbox."""
        return self.types(shlex.join(["systemd-run", "--user", "--quiet", *line])).stdout

    @property
    def drop_ins(self) -> Path:
        """Where changes of the service belong, seen from outside."""
        return self.path(f".config/systemd/user/{self.service}.d")

    def drops_in(self, name: str, text: str) -> Path:
        """A change of the service."""
        return self.saves(f".config/systemd/user/{self.service}.d/{name}.conf", text)

    def unit(self, *names: str, unit: str = "") -> dict[str, str]:
        """Properties of the service."""
        said = self.systemctl("show", f"--property={','.join(names)}", unit or self.service).stdout
        return dict(line.split("=", 1) for line in said.splitlines())

    def log(self, *more: str) -> str:
        """What the service and systemd said about it."""
        return self.box.root("journalctl", "--no-pager", "--output=cat", *more, *self._about()).stdout

    def _about(self) -> list[str]:
        return [f"_SYSTEMD_USER_UNIT={self.service}", "+", f"USER_UNIT={self.service}"]

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


class Served(Person):
    """A normal user whose service is one of the system's: an administrator minds it, and she need not be logged in."""

    def __init__(self, box: Box, name: str) -> None:
        super().__init__(box, name)
        self.service = f"astria-sync@{name}.service"

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.box.root("systemctl", *arguments, check=check)

    def systemd_run(self, *line: str) -> str:
        return self.box.root("systemd-run", f"--uid={self.name}", "--quiet", *line).stdout

    @property
    def drop_ins(self) -> Path:
        return self.box.path(f"/etc/systemd/system/{self.service}.d")

    def drops_in(self, name: str, text: str) -> Path:
        file = self.drop_ins / f"{name}.conf"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return file

    def _about(self) -> list[str]:
        return [f"_SYSTEMD_UNIT={self.service}", "+", f"UNIT={self.service}"]
