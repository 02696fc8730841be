"""Time, and a disk that forgets what was not made durable."""

import errno
import heapq
import os
import queue
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from astria_sync.disk import Disk


class Crash(BaseException):
    """The process is gone, in the middle of whatever it did."""


class Broken(BaseException):
    """Something that must hold does not. No Exception: those are the product's to catch."""


class Time:
    """What really passes, and what is to happen when."""

    def __init__(self, start: float) -> None:
        self.now = start
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, moment: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._agenda, (moment, self._count, what))

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        self.at(self.now + seconds, what)

    def next_before(self, end: float) -> Callable[[], None] | None:
        """The next thing up to `end`, with the clock moved to it; None if there is none, the clock then stands at `end`."""
        if self._agenda and self._agenda[0][0] <= end:
            moment, _, what = heapq.heappop(self._agenda)
            self.now = max(self.now, moment)
            return what
        self.now = max(self.now, end)
        return None


class MachineClock:
    """One process's clock: steady from its start on, while the wall clock can be set."""

    def __init__(self, time: Time, shift: Callable[[], float]) -> None:
        self._time, self._shift = time, shift
        self._at_start = shift()

    def now(self) -> float:
        return self._time.now + self._at_start

    def wall(self) -> float:
        return self._time.now + self._shift()


class Inbox:
    """The engine's queue: waiting lets time pass, and what is due happens meanwhile."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self._messages: list[Any] = []

    def put(self, message: Any) -> None:
        self._messages.append(message)

    def get(self, timeout: float) -> Any:
        end = self._time.now + timeout
        while not self._messages:
            due = self._time.next_before(end)
            if due is None:
                raise queue.Empty
            due()
        return self._messages.pop(0)

    def get_nowait(self) -> Any:
        if not self._messages:
            raise queue.Empty
        return self._messages.pop(0)

    def empty(self) -> bool:
        return not self._messages


@dataclass
class Inode:
    """A file's bytes as they would be after a power cut; what is on the real disk may be further."""

    durable: bytes | None = None  # None: nothing of it was ever made durable
    lost: bool = False  # a sync failed: its pages count as clean, so no later one helps


@dataclass
class Trouble:
    """What is wrong with the disk at present."""

    error: int = 0  # errno of every write and sync; 0: none
    crash_in: int = -1  # operations until the process dies; -1: it does not


@dataclass
class PowerDisk(Disk):
    """A real folder, of which a power cut leaves no more than was synced: file contents and names apart from each other."""

    chance: random.Random
    published: Callable[[Path], None]  # told of each final name
    below: Path  # only what lies here is lost with the power: the watched folders are the person's
    trouble: Trouble = field(default_factory=Trouble)
    operations: int = 0
    _inodes: dict[int, Inode] = field(
        default_factory=dict
    )  # by number of our own: those of a disk are used again
    _numbers: dict[int, int] = field(default_factory=dict)  # the disk's → ours
    _names: dict[Path, dict[str, int]] = field(default_factory=dict)  # folder → durable names
    _pending: dict[Path, list[tuple[str, int | None]]] = field(default_factory=dict)  # … and changes since

    def _operate(self, path: Path, *, may_fail: bool = True) -> None:
        self.operations += 1
        if self.trouble.crash_in == 0:
            self.trouble.crash_in = -1
            raise Crash
        if self.trouble.crash_in > 0:
            self.trouble.crash_in -= 1
        if may_fail and self.trouble.error:
            raise OSError(self.trouble.error, os.strerror(self.trouble.error), str(path))

    def _number(self, info: os.stat_result, *, new: bool = False) -> int:
        if new or info.st_ino not in self._numbers:
            self._numbers[info.st_ino] = len(self._inodes)
            self._inodes[len(self._inodes)] = Inode()
        return self._numbers[info.st_ino]

    def _named(self, path: Path, inode: int | None) -> None:
        self._pending.setdefault(path.parent, []).append((path.name, inode))

    def make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            self._operate(folder)
        super().make_folder(folder)

    def open(self, path: Path, mode: str) -> IO[bytes]:
        if mode == "rb":
            return super().open(path, mode)
        self._operate(path)
        new = not path.exists()
        file = _File(self, path, mode)
        number = self._number(os.fstat(file.fileno()), new=new)
        if "w" in mode:
            self._inodes[number].lost = False  # what is written from here on is dirty again
        if new:
            self._named(path, number)
        return file  # type: ignore[return-value]  # all of IO that the product uses

    def sync(self, file: IO[bytes]) -> None:
        file.flush()
        inode = self._inodes[self._number(os.fstat(file.fileno()))]
        try:
            self._operate(Path(str(file.name)))
        except OSError:
            inode.lost = True
            raise
        self.make_durable(file)

    def make_durable(self, file: IO[bytes]) -> None:
        """What fsync does; a switch of the tests leaves it out."""
        inode = self._inodes[self._number(os.fstat(file.fileno()))]
        if not inode.lost:
            inode.durable = Path(str(file.name)).read_bytes()

    def publish(self, part: Path, final: Path) -> bool:
        self._operate(final)
        number = self._number(part.stat())
        if os.path.lexists(final):
            return False
        os.link(part, final)
        self._named(final, number)
        self.published(final)
        self._operate(final, may_fail=False)  # between link and unlink
        part.unlink()
        self._named(part, None)
        self.sync_folder(final.parent)
        return True

    def replace(self, part: Path, final: Path) -> None:
        self._operate(final)
        number = self._number(part.stat())
        part.replace(final)
        self._named(part, None)
        self._named(final, number)
        self.published(final)
        self.sync_folder(final.parent)

    def remove(self, path: Path) -> None:
        self._operate(path, may_fail=False)
        if path.exists():
            self._named(path, None)
        super().remove(path)

    def sync_folder(self, folder: Path) -> None:
        self._operate(folder)
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
        self._names.setdefault(folder, {})
        self._apply(folder, self._pending.pop(folder, []))

    def _apply(self, folder: Path, changes: list[tuple[str, int | None]]) -> None:
        names = self._names.setdefault(folder, {})
        for name, inode in changes:
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode

    def lose_power(self) -> None:
        """Leave on the real disk what a power cut would: for each folder the names as of some moment since its last sync,
        and of files whose bytes were not synced anything from nothing to all.
        """
        for folder in sorted({*self._names, *self._pending}):
            before = self._pending.pop(folder, [])
            now = dict(self._names.get(folder, {}))
            for name, inode in before:
                now[name] = inode or 0  # only the names matter
            self._apply(folder, before[: self.chance.randint(0, len(before))])
            if folder.is_dir() and folder.is_relative_to(self.below):
                self._bring_back(folder, now)

    def _bring_back(self, folder: Path, touched: dict[str, int]) -> None:
        contents = {number: self._after_cut(folder, number) for number in self._names[folder].values()}
        for name in touched:
            (folder / name).unlink(missing_ok=True)
        for name, number in list(self._names[folder].items()):
            file = folder / name
            file.unlink(missing_ok=True)
            file.write_bytes(contents[number])
            self._names[folder][name] = again = self._number(file.stat(), new=True)
            self._inodes[again].durable = contents[number]

    def _after_cut(self, folder: Path, number: int) -> bytes:
        inode = self._inodes[number]
        there = [file for file in folder.iterdir() if file.is_file() and self._number(file.stat()) == number]
        written = there[0].read_bytes() if there else inode.durable or b""
        if inode.durable is not None and (inode.durable == written or self.chance.random() < 0.5):
            return inode.durable
        kept = written[: self.chance.randint(0, len(written))]
        return kept + bytes(len(written) - len(kept)) if self.chance.random() < 0.3 else kept


class _File:
    """A file of a PowerDisk: every write may fail, or be the last thing that the process does."""

    def __init__(self, disk: PowerDisk, path: Path, mode: str) -> None:
        self._disk, self._path = disk, path
        self._file = open(path, mode)  # noqa: SIM115 - closed by `with`, as files are
        self.name = str(path)

    def write(self, data: bytes) -> int:
        self._disk._operate(self._path)
        return self._file.write(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
