"""The systemd of this user, asked and told by its own commands: systemctl, loginctl, journalctl. Nothing of it is asked of the state."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from astria_sync import kernel
from astria_sync.errors import AstriaSyncError

_PATIENCE: Final = 30.0  # seconds for an answer
_START: Final = 60.0  # ... for a start, which is over after the first look at all folders
# What systemd's own part of a start ends with when it may not make namespaces (systemd.exec(5)).
NO_NAMESPACE: Final = {"217", "218", "226"}
_SHOWN: Final = [
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ExecMainStatus",
    "ExecMainCode",
    "MainPID",
    "StatusText",
    "ActiveEnterTimestamp",
    "InactiveEnterTimestamp",
    "NRestarts",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
]


class NoServiceManagerError(AstriaSyncError):
    """There is no systemd for this user."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def why(self) -> str:
        """Its last words."""
        lines = (self.err or self.out).strip().splitlines()
        return lines[0] if lines else f"it ended with {self.code}"


class ServiceManager:
    """`systemctl --user` and its like."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Raises NoServiceManagerError if there is none, or none that answers."""
        self._environ = dict(environ)
        if not self.path("systemctl"):
            raise NoServiceManagerError(
                "There is no systemd on this machine (no systemctl); keep `astria-sync run` going with what starts services here."
            )
        said = self.systemctl("show-environment")
        if said.code:
            raise NoServiceManagerError(
                f"The systemd of your user cannot be reached ({said.why}); log in as yourself, not by su or sudo, "
                "or keep `astria-sync run` going with what starts services here."
            )

    def path(self, name: str) -> str | None:
        """Where a command lies."""
        return shutil.which(name, path=self._environ.get("PATH", os.defpath))

    def systemctl(self, *words: str, patience: float = _PATIENCE) -> Said:
        """Have it do or tell something."""
        return self._call(["systemctl", "--user", "--no-pager", *words], patience)

    def do(self, *words: str) -> None:
        """The same, and it must succeed."""
        said = self.systemctl(*words)
        if said.code:
            raise AstriaSyncError(f"`systemctl --user {' '.join(words)}` failed: {said.why}")

    def start(self, unit: str) -> Said:
        """Start it, or start it anew, and wait until it is ready, for a minute; code -1 if it is not by then."""
        self.systemctl("reset-failed", unit)
        return self.systemctl("restart", unit, patience=_START)

    def shown(self, unit: str) -> dict[str, str]:
        """Everything that is worth knowing of a unit."""
        said = self.systemctl("show", unit, f"--property={','.join(_SHOWN)}")
        found = dict.fromkeys(_SHOWN, "")
        for line in said.out.splitlines():
            name, _, value = line.partition("=")
            found[name] = value
        return found

    def lines(self, unit: str, count: int) -> list[str]:
        """The last of its log; none where it cannot be read."""
        if not self.path("journalctl"):
            return []
        words = ["journalctl", "--user", "--no-pager", "-q", "-o", "cat", "-n", str(count), "-u", unit]
        said = self._call(words, _PATIENCE)
        return said.out.splitlines() if said.code == 0 else []

    def lingers(self) -> bool | None:
        """Whether this user's services run while nobody is logged in; None if that cannot be told."""
        if not self.path("loginctl"):
            return None
        said = self._call(
            ["loginctl", "show-user", str(os.getuid()), "--property=Linger", "--value"], _PATIENCE
        )
        return {"yes": True, "no": False}.get(said.out.strip()) if said.code == 0 else None

    def namespaces_off(self) -> str:
        """Why a service of this user can have no mounts of its own, and what changes that; "" if it can."""
        if os.geteuid() == 0:
            return ""
        if setting := kernel.no_user_namespaces():
            return f"user namespaces are off (sudo sysctl {setting[1]} turns them on)"
        if self.path("unshare"):
            said = self._call(["unshare", "--user", "--map-current-user", "--mount", "true"], _PATIENCE)
            if said.code:
                return f"user namespaces do not work here ({said.why})"
        return ""

    def _call(self, words: Sequence[str], patience: float) -> Said:
        program = self.path(words[0])
        assert program
        environ = {**self._environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
        try:
            done = subprocess.run(  # noqa: S603 - the system's own commands, by words of ours
                [program, *words[1:]],
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Said(code=-1, out="", err=f"no answer within {patience:.0f} s")
        except OSError as error:
            return Said(code=-2, out="", err=str(error))
        return Said(code=done.returncode, out=done.stdout, err=done.stderr)
