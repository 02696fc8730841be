"""Over inotify: watchdog's threads turn what the kernel tells into hints, and say what they could not watch.

The only module that knows watchdog, and Linux only: elsewhere it cannot be imported, and watch.py does without.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from errno import EACCES, ENOSPC
from itertools import takewhile
from typing import Final

from watchdog.events import EVENT_TYPE_MODIFIED, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import inotify_c as kernel
from watchdog.observers.api import BaseObserver, EventQueue, ObservedWatch
from watchdog.observers.inotify import InotifyEmitter

from astria_sync.core.model import Hint
from astria_sync.scan import ERROR_SUFFIX, TUNE_ERROR
from astria_sync.transient import is_left_alone

log = logging.getLogger("astria_sync")
_GATHER: Final = 0.05  # seconds without another event before hints are told
_LONGEST: Final = 0.5  # seconds that a hint waits if the events do not pause
_MANY: Final = 200  # hints at once; more are a look at the whole root
# Opening and reading are not asked for, or our own reading would wake us. Nor is every single write of a copy under way: the
# file's coming and its closing are (watchdog's filters cannot have attributes without writes), and the rest is looked at anyway.
_IN: Final = kernel.InotifyConstants
_MASK: Final = kernel.Mask(
    _IN.IN_CREATE | _IN.IN_CLOSE_WRITE | _IN.IN_ATTRIB | _IN.IN_MOVE | _IN.IN_DELETE | _IN.IN_DELETE_SELF
)


class _Handler(FileSystemEventHandler):
    """Turns one root's events into hints. An exception here would end watchdog's thread, so none leaves."""

    def __init__(self, root: str, real: str, outputs: Sequence[str], gather: Callable[[Hint], None]) -> None:
        self._root, self._real, self._gather = root, real, gather
        below = {parts_below(output, root.rstrip("/")) for output in outputs}
        below |= {parts_below(os.path.realpath(output), real) for output in outputs}
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
        parts = parts_below(path, self._real)
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

    def __init__(self, overflowed: Callable[[], None], left_out: Callable[[str], None]) -> None:
        super().__init__()
        self._overflowed, self._left_out = overflowed, left_out
        self.sound = True  # false: some watches may be gone although the thread goes on

    def handle_event(self, event: kernel.InotifyEvent) -> None:
        try:
            super().handle_event(event)  # on overflow: sets the watches anew, and does not tell if it cannot
        finally:
            if event.is_queue_overflow:
                self.sound = False
                self._overflowed()
            elif event.mask & _IN.IN_UNMOUNT:
                self.sound = False

    def add_callback(
        self, path: bytes, mask: kernel.Mask, callback: kernel.WatchCallback, id_: kernel.CallbackId
    ) -> kernel.WatchDescriptor:
        try:
            descriptor = super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == ENOSPC:
                self._left_out(os.fsdecode(path))
            raise
        if descriptor == -1:  # watchdog takes "permission denied" for a watch, and warns at the second
            self.remove_callbacks([(descriptor, id_)])
            raise PermissionError(EACCES, os.strerror(EACCES))
        return descriptor


class _Emitter(InotifyEmitter):
    def get_event_mask_from_filter(self) -> kernel.Mask:
        return _MASK


class Observer(BaseObserver):
    """watchdog's InotifyObserver over our descriptor, which says a thing once: a thousand files in a folder are one hint.

    `overflowed` and `left_out` (a folder for which there was no watch left) are called from watchdog's threads.
    """

    def __init__(
        self,
        post: Callable[[Hint], None],
        *,
        now: Callable[[], float],
        overflowed: Callable[[], None],
        left_out: Callable[[str], None],
    ) -> None:
        """Hints say by `now` when the last event came. Raises OSError if there is no inotify to be had."""
        self._descriptor = _Descriptor(overflowed, left_out)
        super().__init__(_Emitter, inotify_fd=self._descriptor)
        self._post = post
        self._now = now
        self._gathered: dict[Hint, None] = {}
        self._since = self._last = self._heard = 0.0
        self._descriptor.start()

    def watch(self, root: str, real: str, outputs: Sequence[str]) -> ObservedWatch:
        """Watch all of a root; `real` is where it lies, since watchdog follows no root that is a link. Raises OSError or RuntimeError."""
        return self.schedule(_Handler(root, real, outputs, self.gather), real, recursive=True)

    def drop(self, watch: ObservedWatch) -> None:
        """Watch it no more; it may have died with its folder."""
        with suppress(OSError, KeyError, RuntimeError):
            self.unschedule(watch)

    def sees(self, watch: ObservedWatch) -> bool:
        """Whether somebody still reads what concerns this watch."""
        return any(emitter.watch == watch and emitter.is_alive() for emitter in self.emitters)

    def gather(self, hint: Hint) -> None:
        self._last, self._heard = time.monotonic(), self._now()
        if not self._gathered:
            self._since = self._last
        self._gathered[hint] = None

    def dispatch_events(self, event_queue: EventQueue) -> None:
        super().dispatch_events(event_queue)
        # Each event is taken in as it comes: only then is it known when the last one came.
        left = min(self._last + _GATHER, self._since + _LONGEST) - time.monotonic()
        if self._gathered and event_queue.empty() and left > 0:
            with event_queue.not_empty:
                event_queue.not_empty.wait_for(lambda: event_queue.queue, left)
        if event_queue.empty() or time.monotonic() > self._since + _LONGEST:
            self._tell()

    def _tell(self) -> None:
        hints, self._gathered = self._gathered, {}
        if len(hints) > _MANY:
            hints = {Hint(root=hint.root, path=None): None for hint in hints}
        with suppress(Exception):  # one would end this thread
            for hint in hints:
                self._post(replace(hint, heard=self._heard))

    @property
    def healthy(self) -> bool:
        """Whether all of it works: a disk taken out and put back between two checks has its inode, and none of the watches."""
        return self.is_alive() and self._descriptor.is_alive() and self._descriptor.sound

    def on_thread_stop(self) -> None:
        super().on_thread_stop()
        self._descriptor.stop()
        self._descriptor.join()


def parts_below(path: str, top: str) -> tuple[str, ...] | None:
    """The names from `top` down to `path`; None if it lies elsewhere."""
    if path == top:
        return ()
    return tuple(path[len(top) + 1 :].split("/")) if path.startswith(f"{top}/") else None
