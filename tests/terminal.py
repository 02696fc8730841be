"""A terminal for tests: a process in a pty of its own, what it has written, and what the terminal is left like."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any, Final, Self

_PATIENCE: Final = 30.0  # seconds until something must be wrong


class Terminal:
    """Runs astria-sync in it; `until` waits for output, nothing sleeps."""

    def __init__(self, *arguments: str, environ: Mapping[str, str], size: tuple[int, int] = (80, 24)) -> None:
        self._ours, slave = pty.openpty()
        self._resize(*size)
        self.before = termios.tcgetattr(slave)
        self._slave = slave  # kept open, so that what is written last can be read
        self.written = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "astria_sync", *arguments],
            env={"TERM": "xterm-256color", "LANG": "C.UTF-8", **environ},
            preexec_fn=lambda: os.login_tty(slave),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
        os.close(self._slave)

    def _resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """As somebody who drags a corner of the window; the kernel sends SIGWINCH."""
        self.written = ""
        self._resize(columns, lines)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def read(self, seconds: float = 0.0) -> bool:
        """Take in what has come."""
        there = select.poll()  # select.select knows no descriptor above 1023
        there.register(self._ours, select.POLLIN)
        if not there.poll(seconds * 1000):
            return False
        self.written += os.read(self._ours, 65536).decode(errors="replace")
        return True

    def until(self, *words: str) -> str:
        """Read until all of these were written since the last resize; what was."""
        end = time.monotonic() + _PATIENCE
        while not all(word in self.written for word in words):
            assert time.monotonic() < end, f"{words} did not come: {self.written!r}"
            self.read(0.05)
        return self.written

    def stopped(self) -> bool:
        """Wait for Ctrl-Z to have stopped it."""
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        return os.WIFSTOPPED(status)

    def end(self) -> int:
        """Wait for its end; its exit code."""
        end = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < end, self.written
            self.read(0.05)
        while self.read():
            pass
        return self.process.returncode

    @property
    def modes(self) -> list[Any]:
        """How the keyboard is set."""
        return termios.tcgetattr(self._slave)

    @property
    def is_restored(self) -> bool:
        """The first screen, a visible cursor, and the keyboard as it was."""
        screens, cursors = (re.findall(rf"\x1b\[\?{number}([hl])", self.written) for number in (1049, 25))
        return screens[-1:] in ([], ["l"]) and cursors[-1:] in ([], ["h"]) and self.modes == self.before

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
