"""One daemon at a time for one root, whatever their states: two would pay for the same files twice."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from astria_sync.errors import StateError, StateLocked
from astria_sync.lock import Holder, Lock, held_by, sayable


def meeting_places(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where this user's daemons say which roots they watch.

    One that was started by cron has no runtime folder, one of a system's service perhaps no home that it may write to: whoever
    shares one of the two with another finds it.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    places = [Path(runtime, "astria-sync")] if os.path.isabs(runtime) else []
    return [*places, home / ".local" / "state" / "astria-sync" / "roots"]


def _machine() -> str:
    """Which machine this is: a home may be shared by several, whose folders of one name are not the same."""
    with suppress(OSError):
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    return os.uname().nodename


class RootLocks:
    """Held for every watched root, so that two daemons with two states do not pay for the same files twice."""

    def __init__(
        self,
        roots: Iterable[Path | str],
        *,
        state: Path,
        environ: Mapping[str, str],
        home: Path,
        command: str = "",
        wall: Callable[[], float] = time.time,
        ours: int | None = None,
    ) -> None:
        """`environ` and `home` say where this user's daemons meet; what process `ours` watches may overlap."""
        self._ours = ours
        self._roots = [os.path.realpath(root) for root in roots]
        self._folders = meeting_places(environ, home)
        self._record = Holder(
            pid=os.getpid(), since=wall(), command=command, state=sayable(state), machine=_machine()
        )
        self._locks: list[Lock] = []

    def acquire(self) -> None:
        """Take all, or none and raise StateLocked naming who watches what."""
        try:
            for root in self._roots:
                self._take(root)
            self._refuse_overlaps()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others watch. Does nothing if nothing is held."""
        while self._locks:
            self._locks.pop().release()

    def _take(self, root: str) -> None:
        troubles = [trouble for folder in self._folders if (trouble := self._take_in(folder, root))]
        if len(troubles) == len(self._folders):
            raise StateError(
                f"{troubles[0]}, so nobody can tell whether {root} is watched twice; "
                "make its folder writable, or set XDG_RUNTIME_DIR to one that is."
            )

    def _take_in(self, folder: Path, root: str) -> str:
        """Why it cannot be tried there; "" if it is ours now."""
        import hashlib

        names = os.fsencode(root) + b"\0" + self._record.machine.encode()
        name = hashlib.blake2b(names, digest_size=12).hexdigest()
        lock = Lock(folder / f"{name}.lock", folder / f"{name}.pid")
        try:
            taken = lock.acquire(replace(self._record, root=sayable(root)))
        except (OSError, NotImplementedError) as error:
            return f"{lock.lock_file} cannot be locked ({error})"
        if not taken:
            raise _watched(root, lock.holder() or Holder())
        self._locks.append(lock)
        return ""

    def _refuse_overlaps(self) -> None:
        """One root inside another has another name. Ours are taken by now, so whoever comes later finds us likewise."""
        ours = {lock.record_file for lock in self._locks}
        for record in sorted({record for folder in self._folders for record in folder.glob("*.pid")} - ours):
            other = held_by(record.with_suffix(".lock"), record)
            if other is None or not other.root or other.machine != self._record.machine:
                continue
            if other.pid is not None and other.pid == self._ours:
                continue
            for root in self._roots:
                if _overlap(root, other.root):
                    raise _watched(root, other)


def _overlap(one: str, other: str) -> bool:
    """Whether one of two folders is or lies in the other, by name, or by what the names stand for (a mount of the same)."""
    if os.path.commonpath([one, other]) in {one, other}:
        return True
    return _lies_in(one, other) or _lies_in(other, one)


def _lies_in(path: str, folder: str) -> bool:
    for place in (Path(path), *Path(path).parents):
        with suppress(OSError):
            if place.samefile(folder):
                return True
    return False


def _watched(root: str, other: Holder) -> StateLocked:
    overlap = f" (it overlaps {other.root})" if other.root not in {"", root} else ""
    state = f" with the state {other.state}" if other.state else ""
    return StateLocked(
        f"{root}{overlap} is watched already by {other.who}{state}; "
        "stop that one, or take this root out of one of the two."
    )
