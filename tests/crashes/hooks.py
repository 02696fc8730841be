"""The same numbered points without any help of the system: at the calls of Python's own that change a disk or talk.

Coarser than syscalls.py (a commit is one point here, and dozens of writes there), but it works wherever Python can fork.
`install` is called in the child that is to be killed, by zygote.py.
"""

import errno
import json
import os
import signal
import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

KINDS = ("fsync", "link", "rename", "replace", "unlink", "mkdir", "write", "commit", "send", "recv")
_counts: Counter[str] = Counter()
_lock = threading.Lock()


def install(*, label: str, n: int, what: str, counts: str) -> None:
    """At the n-th call of this kind (0: never): die, or raise this errno; `counts` is where `report` writes to."""
    del counts

    def before(kind: str) -> None:
        with _lock:
            _counts[kind] += 1
            hit = kind == label and _counts[kind] == n
        if hit and what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if hit and kind == "commit":
            raise sqlite3.OperationalError("disk I/O error")
        if hit:
            number = getattr(errno, what)
            raise OSError(number, os.strerror(number))

    for kind in ("fsync", "link", "rename", "replace", "unlink", "mkdir"):
        setattr(os, kind, _counted(getattr(os, kind), kind, before))
    for method, kind in (("send", "send"), ("sendall", "send"), ("recv", "recv")):
        setattr(socket.socket, method, _counted(getattr(socket.socket, method), kind, before))
    _hook_the_state(before)
    _hook_files(before)


def _counted(call: Callable[..., Any], kind: str, before: Callable[[str], None]) -> Callable[..., Any]:
    def hooked(*args: Any, **more: Any) -> Any:
        before(kind)
        return call(*args, **more)

    return hooked


def _hook_the_state(before: Callable[[str], None]) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                before("commit")
            return super().execute(sql, *values)

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **more: connect(*args, **{"factory": Connection, **more})


def _hook_files(before: Callable[[str], None]) -> None:
    from astria_sync.disk import Disk

    opened = Disk.open

    def hooked(self: Disk, path: Path, mode: str) -> Any:
        file = opened(self, path, mode)
        return file if mode == "rb" else _File(file, before)

    Disk.open = hooked  # type: ignore[method-assign]


class _File:
    """A file whose writes are counted."""

    def __init__(self, file: Any, before: Callable[[str], None]) -> None:
        self._file, self._before = file, before

    def write(self, data: bytes) -> int:
        self._before("write")
        written: int = self._file.write(data)
        self._file.flush()
        return written

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def report(path: str) -> None:
    """Say how many calls of each kind there were."""
    Path(path).write_text(json.dumps(_counts))
