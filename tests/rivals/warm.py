"""astria-sync as a process of its own without the time to import it: a server that has imported it forks one for each run."""

# What a run imports late; the server imports this module, and so all of them, once.
import encodings.idna  # noqa: F401
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import filelock  # noqa: F401
import PIL.JpegImagePlugin  # noqa: F401

import astria_sync.cli.logs
import astria_sync.cli.run
import astria_sync.service  # noqa: F401
from astria_sync.cli import cli


class Forked:
    """As much of a Popen as the arena needs."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, said: Path) -> None:
        """`command` is `python -m astria_sync …`; what it says is added to the file `said`."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        words = list(command[3:])
        self._process = context.Process(target=_become, args=(words, dict(env), cwd, said))
        self._process.start()
        self.pid = self._process.pid or 0

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("astria-sync", timeout or 0)
        return self._process.exitcode

    @property
    def returncode(self) -> int:
        return self._process.exitcode or 0


def _become(words: list[str], env: dict[str, str], cwd: Path, said: Path) -> None:
    os.setsid()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    cli.main(words)
