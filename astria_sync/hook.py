"""A person's own command, `[notify] command`: how it is read, with what it is run, and how it is ended if it does not end."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from astria_sync.secrets import hide

PATIENCE: Final = 30.0  # seconds that a command has
_ENDING: Final = 5.0  # seconds until one that was killed is given up
# The token, and what would let a command speak for the service to systemd.
_WITHHELD: Final = frozenset(
    {
        *("ASTRIA_AUTH_TOKEN", "ASTRIA_API_KEY", "CREDENTIALS_DIRECTORY"),
        *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"),
    }
)


def command_line(command: str, *, home: Path, folder: Path | None = None) -> tuple[str, ...]:
    """The words of a command, split as a shell would, without one; `~/` is the home, and a program with a path that is not
    absolute lies relative to `folder`, the configuration's. Raises ValueError for a quote that is not closed.
    """
    words = [
        str(home / word[2:]) if word.startswith("~/") else word
        for word in shlex.split(command, comments=False)
    ]
    if words and "/" in words[0] and folder is not None:
        words[0] = os.path.join(folder, words[0])
    return tuple(words)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a command gets of the environment: all but secrets."""
    return {name: value for name, value in environ.items() if name not in _WITHHELD and hide(value) == value}


def obstacle(program: str, environ: Mapping[str, str]) -> str:
    """Why a program cannot be run; "" if it can."""
    if shutil.which(program, path=environ.get("PATH", os.defpath)):
        return ""
    if "/" not in program:
        return f"{program} is not in PATH"
    return f"{program} is not executable" if os.path.exists(program) else f"{program} does not exist"


class Run:
    """One run of a command, in a session of its own, so that all that it starts can be ended with it. What it says is thrown away."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def __call__(
        self,
        words: Sequence[str],
        data: bytes,
        *,
        environ: Mapping[str, str],
        home: Path,
        patience: float = PATIENCE,
    ) -> str:
        """Run it with `data` on its standard input; what went wrong, "" if nothing did."""
        nowhere = subprocess.DEVNULL
        how: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": nowhere, "stderr": nowhere}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the person's own command, without a shell
                words,
                env=environment(environ),
                cwd=home if home.is_dir() else "/",
                start_new_session=True,
                **how,
            )
        except (OSError, ValueError) as error:
            return f"it cannot be run ({getattr(error, 'strerror', None) or error})"
        if self._ended:
            self.end()
        try:
            self._process.communicate(data, timeout=patience)
        except subprocess.TimeoutExpired:
            self.end()
            with suppress(OSError):
                self._process.stdin.close()  # type: ignore[union-attr] # it is a pipe
            return f"it had not ended after {patience:g} seconds, and was ended"
        code = self._process.returncode
        if self._ended:
            return ""  # by us, since the daemon ends
        if code < 0:
            return f"it was ended by {signal.Signals(-code).name}"
        return f"it ended with {code}" if code else ""

    def end(self) -> None:
        """End it and all that it has started. From any thread."""
        self._ended = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)
