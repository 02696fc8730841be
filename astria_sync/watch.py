"""Hints from inotify: watchdog's threads post what may have changed, `check` finds what died without a word.

The only module that knows watchdog, and Linux only. A hint is no proof and silence is no reassurance: watches die with their
folder, the kernel's queue overflows, the limit of watches leaves folders out. Hence `check`, and the full look now and then.
"""

import logging
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EACCES, EMFILE, ENOSPC
from itertools import takewhile
from pathlib import Path
from typing import Final

from watchdog.events import EVENT_TYPE_MODIFIED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import inotify_c as kernel
from watchdog.observers.api import BaseObserver, EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter

from astria_sync.core.model import Hint
from astria_sync.scan import ERROR_SUFFIX, TUNE_ERROR
from astria_sync.transient import is_left_alone

log = logging.getLogger("astria_sync")
_SETTINGS: Final = Path("/proc/sys/fs/inotify")
_GATHER: Final = 0.05  # seconds without another event before hints are told
_LONGEST: Final = 0.5  # seconds that a hint waits if the events do not pause
_MANY: Final = 200  # hints at once; more are a look at the whole root
# Opening and reading are not asked for, or our own reading would wake us. Nor is every single write of a copy under way: the
# file's coming and its closing are (watchdog's filters cannot have attributes without writes), and the rest is looked at anyway.
_IN: Final = kernel.InotifyConstants
_MASK: Final = kernel.Mask(
    _IN.IN_CREATE | _IN.IN_CLOSE_WRITE | _IN.IN_ATTRIB | _IN.IN_MOVE | _IN.IN_DELETE | _IN.IN_DELETE_SELF
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watched:
    """One root. `poll` true: the file system reports no changes, so none are waited for."""

    path: str
    output: str
    poll: bool = False


class Watcher:
    """Owns watchdog's threads. All methods are the engine's thread's; hints also come from watchdog's."""

    def __init__(self, roots: Sequence[Watched], post: Callable[[Hint], None]) -> None:
        self._roots = tuple(root for root in roots if not root.poll)
        self._outputs = tuple(root.output for root in roots)
        self._post = post
        self._observer: _Observer | None = None
        self._armed: dict[str, tuple[ObservedWatch, tuple[int, int]]] = {}  # watch, device and inode
        self._real: dict[str, str] = {}
        self._problems: dict[str, str] = {}
        self._left_out: set[str] = set()  # also written by watchdog's threads

    def start(self) -> None:
        """Watch every root that can be watched; the rest are problems, which `check` tries again."""
        self._open()

    def stop(self) -> None:
        """No hint comes after this returns."""
        self._roots = ()
        self._close()

    def problems(self) -> Mapping[str, str]:
        """Each root with which something is wrong, and what, in one clause; as of the last `start` or `check`."""
        return dict(self._problems)

    def check(self) -> tuple[Hint, ...]:
        """Set anew what died, was replaced, or came back; the hints say which roots may have changed unseen."""
        if not self._roots:
            return ()
        if self._observer is None or not self._observer.healthy:
            was_running = self._close()
            concerned = self._roots if self._open() or was_running else ()
        else:
            concerned = tuple(root for root in self._roots if not self._sound(root) and self._rearm(root))
        self._explain_left_out()
        return tuple(Hint(root=root.path, path=None) for root in concerned)

    def _open(self) -> bool:
        try:
            descriptor = _Descriptor(self)
        except OSError as error:
            self._problems.update({root.path: _explain(error) for root in self._roots})
            return False
        descriptor.start()
        self._observer = _Observer(descriptor, self._post)
        self._observer.start()
        for root in self._roots:
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

    def overflowed(self) -> None:  # on watchdog's thread, as is the next
        for root in self._roots:
            self._post(Hint(root=root.path, path=None))

    def left_out(self, path: str) -> None:
        self._left_out.update(r for r, real in self._real.copy().items() if _parts(path, real) is not None)

    def _sound(self, root: Watched) -> bool:
        """Whether its watch does all it can; a root that was missing and still is has no watch to be unsound."""
        watch, identity = self._armed.get(root.path, (None, None))
        if watch is None or self._observer is None or identity != _identity(root.path):
            return identity == _identity(root.path)
        # A root that is watched and has a problem was left short of watches: set anew once the limit is another.
        said = self._problems.get(root.path)
        limit_stands = said is None or _setting("max_user_watches") in said
        return limit_stands and any(e.watch == watch and e.is_alive() for e in self._observer.emitters)

    def _rearm(self, root: Watched) -> bool:
        """Whether anything may have happened unseen."""
        watch, _ = self._armed.pop(root.path, (None, None))
        if watch is not None and self._observer is not None:
            with suppress(OSError, KeyError, RuntimeError):  # it may have died with its folder
                self._observer.unschedule(watch)
        return self._arm(root) or watch is not None

    def _arm(self, root: Watched) -> bool:
        assert self._observer is not None
        self._left_out.discard(root.path)
        # Before the watch is set: should the root be replaced in between, the next check sees another identity.
        identity = _identity(root.path)
        if identity is None:
            self._problems[root.path] = "the folder is not there (is its disk mounted?)"
            return False
        real = self._real[root.path] = os.path.realpath(root.path)  # watchdog follows no root that is a link
        try:
            handler = _Handler(root.path, real, self._outputs, self._observer.gather)
            watch = self._observer.schedule(handler, real, recursive=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: folders nested too deep, or no more threads
            self._problems[root.path] = _explain(error)
            return False
        self._armed[root.path] = (watch, identity)
        self._problems.pop(root.path, None)
        return True

    def _explain_left_out(self) -> None:
        limit = _setting("max_user_watches")
        for path in tuple(self._left_out):
            if limit not in self._problems.get(path, ""):
                folders = sum(1 for _ in os.walk(self._real[path]))
                unseen = f"some changes in its {folders} folders are not seen before the full look"
                self._problems[path] = f"{unseen}; raise {limit} with sysctl"


class _Handler(FileSystemEventHandler):
    """Turns one root's events into hints. An exception here would end watchdog's thread, so none leaves."""

    def __init__(self, root: str, real: str, outputs: Sequence[str], gather: Callable[[Hint], None]) -> None:
        self._root, self._real, self._gather = root, real, gather
        below = {_parts(output, root.rstrip("/")) for output in outputs}
        below |= {_parts(os.path.realpath(output), real) for output in outputs}
        self._outputs = tuple(path for path in below if path)

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            for hint in self._hints(event):
                self._gather(hint)
        except Exception:
            log.exception("a file event of %s could not be read; all of it is looked at", self._root)
            self._gather(Hint(root=self._root, path=None))

    def _hints(self, event: FileSystemEvent) -> Iterator[Hint]:
        # What lies below a moved directory is synthetic: its hint covers it. "Modified" watchdog adds to every other event.
        if event.is_synthetic or event.event_type == EVENT_TYPE_MODIFIED:
            return
        ends = [os.fsdecode(end) for end in (event.src_path, event.dest_path) if end]
        yield from dict.fromkeys(filter(None, [self._hint(end, event.is_directory) for end in ends]))

    def _hint(self, path: str, is_folder: bool) -> Hint | None:
        parts = _parts(path, self._real)
        if parts is None or any(is_left_alone(part) for part in parts):
            return None
        file = "" if is_folder or not parts else parts[-1]
        if file == TUNE_ERROR or file.endswith(ERROR_SUFFIX):
            return None
        if any(parts[: len(output)] == output for output in self._outputs):
            return None
        folder = parts if is_folder else parts[:-1]
        valid = list(takewhile(lambda name: os.fsencode(name).decode(errors="ignore") == name, folder))
        # The scan enters no folder whose name is not UTF-8: the one above tells of it.
        recursive = is_folder and len(valid) == len(folder)
        return Hint(root=self._root, path="/".join(valid) or ".", recursive=recursive)


class _Descriptor(kernel.InotifyFD):
    """The thread that reads inotify; knows three things that watchdog makes no event of."""

    def __init__(self, owner: Watcher) -> None:
        super().__init__()
        self._owner = owner
        self.lost_mount = False

    def handle_event(self, event: kernel.InotifyEvent) -> None:
        try:
            super().handle_event(event)  # on overflow: sets the watches anew
        finally:
            if event.is_queue_overflow:
                self._owner.overflowed()
            elif event.mask & _IN.IN_UNMOUNT:
                self.lost_mount = True

    def add_callback(
        self, path: bytes, mask: kernel.Mask, callback: kernel.WatchCallback, id_: kernel.CallbackId
    ) -> kernel.WatchDescriptor:
        try:
            descriptor = super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == ENOSPC:
                self._owner.left_out(os.fsdecode(path))
            raise
        if descriptor == -1:  # watchdog takes "permission denied" for a watch, and warns at the second
            self.remove_callbacks([(descriptor, id_)])
            raise PermissionError(EACCES, os.strerror(EACCES))
        return descriptor


class _Emitter(InotifyEmitter):
    def get_event_mask_from_filter(self) -> kernel.Mask:
        return _MASK


class _Observer(BaseObserver):
    """watchdog's InotifyObserver over our descriptor, which says a thing once: a thousand files in a folder are one hint."""

    def __init__(self, descriptor: _Descriptor, post: Callable[[Hint], None]) -> None:
        super().__init__(_Emitter, inotify_fd=descriptor)
        self._descriptor, self._post = descriptor, post
        self._gathered: dict[Hint, None] = {}
        self._since = 0.0

    def gather(self, hint: Hint) -> None:
        if not self._gathered:
            self._since = time.monotonic()
        self._gathered[hint] = None

    def dispatch_events(self, event_queue: EventQueue) -> None:
        super().dispatch_events(event_queue)
        if self._gathered and event_queue.empty():
            self.stopped_event.wait(_GATHER)
        if event_queue.empty() or time.monotonic() > self._since + _LONGEST:
            hints, self._gathered = self._gathered, {}
            if len(hints) > _MANY:
                hints = {Hint(root=hint.root, path=None): None for hint in hints}
            with suppress(Exception):  # one would end this thread
                for hint in hints:
                    self._post(hint)

    @property
    def healthy(self) -> bool:
        # A disk that was taken out and put back between two checks has the same inode, and none of the watches.
        return self.is_alive() and self._descriptor.is_alive() and not self._descriptor.lost_mount

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        self._descriptor.stop()
        self._descriptor.join()


def _parts(path: str, top: str) -> tuple[str, ...] | None:
    """The names from `top` down to `path`; None if it lies elsewhere."""
    if path == top:
        return ()
    return tuple(path[len(top) + 1 :].split("/")) if path.startswith(f"{top}/") else None


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        info = os.stat(path)
        return (info.st_dev, info.st_ino) if stat.S_ISDIR(info.st_mode) else None
    return None


def _explain(error: Exception) -> str:
    limited = isinstance(error, OSError) and error.errno == EMFILE
    advice = f"; raise {_setting('max_user_instances')} with sysctl" if limited else ""
    return f"its changes cannot be watched ({error}){advice}"


def _setting(name: str) -> str:
    with suppress(OSError):
        return f"fs.inotify.{name} (now {(_SETTINGS / name).read_text(encoding='ascii').strip()})"
    return f"fs.inotify.{name}"
