"""What a daemon tells the systemd that started it (sd_notify): one datagram to a socket. Without systemd nothing is told.

Telling never raises and never waits: a service manager that does not listen must not stop the work.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_LONGEST_STATUS: Final = 400  # characters: it is one line of `systemctl status`


class Notifier:
    """The way to the service manager; `there` is false where there is none."""

    def __init__(self, environ: Mapping[str, str], *, pid: int | None = None) -> None:
        """`environ` as systemd sets it for a service with Type=notify."""
        name = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte that an abstract address begins with.
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self.there = name.startswith(("/", "@"))
        self.watchdog = _watchdog(environ, os.getpid() if pid is None else pid) if self.there else None

    def ready(self) -> None:
        """It works: the first look is over."""
        self._send("READY=1")

    def stopping(self) -> None:
        """It is about to end."""
        self._send("STOPPING=1")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says when that is over."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        line = " ".join(text.split())
        self._send(f"STATUS={line if len(line) <= _LONGEST_STATUS else line[: _LONGEST_STATUS - 1] + '…'}")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def patience(self, seconds: float) -> None:
        """Starting takes so much longer, counted from now; say it again before that is over."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def _send(self, *lines: str) -> None:
        if not self.there:
            return
        with (
            suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto("\n".join(lines).encode(errors="replace"), os.fsencode(self._address))


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Seconds after which silence counts as death; None if nobody watches, or watches another process."""
    usec, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not (usec.isascii() and usec.isdecimal()) or int(usec) <= 0 or (whose and whose != str(pid)):
        return None
    return int(usec) / 1e6
