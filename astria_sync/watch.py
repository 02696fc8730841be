"""Who tells of changes: hints from inotify where the file system tells of them, a look every so often where it does not.

A hint is no proof and silence is no reassurance: watches die with their folder, the kernel's queue overflows, the limit of
watches leaves folders out. Hence `check`, and the full look now and then.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EMFILE
from importlib import import_module
from typing import Any, Final

from astria_sync import kernel
from astria_sync.core.model import Hint

CHECK_SECONDS: Final = 30.0  # at most between checks, and so between looks where no changes are told


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """One root. `poll` true: no changes are waited for, whatever its file system."""

    path: str
    output: str
    poll: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Identity:
    """Which directory a path is, and what is mounted at or below it: if that changes, its watches are of something else."""

    device: int
    inode: int
    mounts: tuple[str, ...]


class Watcher:
    """Owns inotify's threads. All methods are the engine's thread's; hints also come from inotify's."""

    def __init__(
        self, roots: Sequence[Watched], post: Callable[[Hint], None], *, now: Callable[[], float]
    ) -> None:
        """`now` is the engine's clock, by which hints say when they were heard of."""
        self._roots = tuple(roots)
        self._outputs = tuple(root.output for root in roots)
        self._post = post
        self._now = now
        self._inotify = _inotify()
        self._observer: Any = None
        self._armed: dict[str, tuple[Any, _Identity]] = {}  # root → its watch, and what it is of
        self._real: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._left_out: set[str] = set()  # also written by inotify's threads
        self._limits: dict[
            str, tuple[kernel.Limit | None, str]
        ] = {}  # root → what left some of it out, in words

    def start(self) -> None:
        """Watch every root that can be watched; the rest are problems, which `check` tries again."""
        self._open(self._telling())

    def stop(self) -> None:
        """No hint comes after this returns."""
        self._roots = ()
        self._close()

    def problems(self) -> Mapping[str, str]:
        """Each root with which something is wrong, and what, in one clause; as of the last `start` or `check`."""
        return dict(self._problems)

    def check(self) -> tuple[Hint, ...]:
        """Set anew what died, was replaced, or came back; the hints say which roots may have changed unseen.

        Those on file systems that tell of no changes may have at any time.
        """
        telling = self._telling()
        silent = [root for root in self._roots if root not in telling]
        for root in silent:
            self._disarm(root)
        if self._observer is None or not self._observer.healthy:
            was_running = self._close()
            concerned = telling if self._open(telling) or was_running else []
        else:
            concerned = [root for root in telling if not self._sound(root) and self._rearm(root)]
        self._explain_left_out()
        return tuple(Hint(root=root.path, path=None) for root in (*concerned, *silent))

    def _telling(self) -> list[Watched]:
        """Roots of which changes are told. The others are not even asked for their inode: a share may keep us waiting."""
        if self._inotify is None:
            return []
        return [root for root in self._roots if not root.poll and not kernel.silent(root.path)]

    def _open(self, telling: Sequence[Watched]) -> bool:
        if not telling:
            return False
        try:
            observer = self._inotify.Observer(
                self._post, now=self._now, overflowed=self._overflowed, left_out=self._note_left_out
            )
        except OSError as error:
            self._problems.update({root.path: _explain(error) for root in telling})
            return False
        self._observer = observer
        observer.start()
        for root in telling:
            self._arm(root)
        self._explain_left_out()
        return True

    def _close(self) -> bool:
        observer, self._observer = self._observer, None
        self._armed.clear()
        if observer is not None:
            observer.stop()
            observer.join()
        return observer is not None

    def _overflowed(self) -> None:  # on inotify's thread, as is the next
        for root in self._roots:
            self._post(Hint(root=root.path, path=None))

    def _note_left_out(self, path: str) -> None:
        known = self._real.copy().items()
        self._left_out.update(root for root, real in known if f"{path}/".startswith(f"{real}/"))

    def _sound(self, root: Watched) -> bool:
        """Whether its watch does all it can; a root that was missing and still is has no watch to be unsound."""
        watch, identity = self._armed.get(root.path, (None, None))
        if watch is None or identity != _identity(root.path):
            return watch is None and _identity(root.path) is None
        # A root that was left short of watches is set anew once the limit is another.
        limit_stands = root.path not in self._left_out or self._limits[root.path][0] == kernel.watches()
        return limit_stands and bool(self._observer.sees(watch))

    def _rearm(self, root: Watched) -> bool:
        """Whether anything may have happened unseen."""
        was_armed = self._disarm(root)
        return self._arm(root) or was_armed

    def _disarm(self, root: Watched) -> bool:
        watch, _ = self._armed.pop(root.path, (None, None))
        self._problems.pop(root.path, None)
        if watch is not None and self._observer is not None:
            self._observer.drop(watch)
        return watch is not None

    def _arm(self, root: Watched) -> bool:
        self._left_out.discard(root.path)
        # Before the watch is set: should the root be replaced in between, the next check sees another identity.
        identity = _identity(root.path)
        if identity is None:
            self._problems[root.path] = "the folder is not there (is its disk mounted?)"
            return False
        real = self._real[root.path] = os.path.realpath(root.path)
        try:
            watch = self._observer.watch(root.path, real, self._outputs)
        except (OSError, RuntimeError) as error:  # RuntimeError: folders nested too deep, or no more threads
            if root.path not in self._left_out:
                self._problems[root.path] = _explain(error)
            return False
        self._armed[root.path] = (watch, identity)
        self._problems.pop(root.path, None)
        return True

    def _explain_left_out(self) -> None:
        """The kernel had no watch left for some folders: which limit it is, and what raises it for all of them."""
        limit = kernel.watches()
        for path in tuple(self._left_out):
            known = self._limits.get(path)
            if known is None or known[0] != limit:
                known = self._limits[path] = (limit, _too_many(limit, self._real.values()))
            self._problems[path] = known[1]


def _inotify() -> Any:
    """The module that knows inotify; None where the system has none."""
    try:
        return import_module("astria_sync.inotify")
    except Exception:  # noqa: BLE001 - watchdog raises one of its own where the C library has no inotify
        return None


def _identity(path: str) -> _Identity | None:
    with suppress(OSError):
        info = os.stat(path)
        if stat.S_ISDIR(info.st_mode):
            mounts = kernel.mounts_below(os.path.realpath(path))
            return _Identity(device=info.st_dev, inode=info.st_ino, mounts=tuple(mounts))
    return None


def _too_many(limit: kernel.Limit | None, folders: Iterable[str]) -> str:
    needed = sum(map(kernel.folders_in, folders))
    known = f" ({limit.name} is {limit.most:,})" if limit else ""
    advice = f"; raise the limit with: {limit.advice(needed)}" if limit else ""
    text = (
        f"the kernel watches no more folders{known}, there are {needed:,}, so changes in some are seen late"
    )
    return f"{text}{advice}"


def _explain(error: Exception) -> str:
    advice = ""
    if isinstance(error, OSError) and error.errno == EMFILE:
        limit = kernel.instances()
        advice = f"; raise the limit with: {limit.advice(1)}" if limit else ""
        if _no_file_left():
            advice = "; this process may have no more files open: raise its limit (ulimit -n, LimitNOFILE=)"
    return f"its changes cannot be watched ({error}), so they are seen late{advice}"


def _no_file_left() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as error:
        return error.errno == EMFILE
    return False
