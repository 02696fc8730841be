"""Where lines of the log go: out of the way of whoever logs, by a thread of their own, so that a reader who does not read,
or a full disk, stops no work. What cannot be written is dropped, and said as soon as it can.
"""

import io
import logging
import os
import queue
import select
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from astria_sync.core.repeats import Repeats

_AT_MOST: Final = 5000  # lines that wait to be written
_PATIENCE: Final = 2.0  # seconds that the end of the process waits for them
_DROPPED: Final = "{} lines of the log were dropped: they could not be written, or not fast enough."
_Line = Callable[[int], str]  # how often it came besides → the line


class Sink(logging.Handler):
    """Takes records, formats them at once, and leaves the writing to its thread."""

    def __init__(self) -> None:
        """Nothing is written before there is something to write."""
        super().__init__()
        self._queue: queue.SimpleQueue[str | threading.Event] = queue.SimpleQueue()
        self._repeats: Repeats[logging.LogRecord] = Repeats()
        self._turn = threading.Lock()  # for the two above and below; never held while anybody waits
        self._dropped = 0
        self._stuck = False
        self._thread: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """One line, unless it says again what was said just now."""
        try:
            key = _key(record)
            with self._turn:
                self._over(record.created)
                if self._repeats.is_news(key, record, record.created):
                    self._put(self.format(record))
                else:
                    self._queue.put("")  # the thread is to look when its number is to be told
        except Exception:  # noqa: BLE001 - as logging has it: a defect in a line is told, and stops nothing
            self.handleError(record)

    def _over(self, at: float, *, everything: bool = False) -> None:
        for record, number in self._repeats.over(at, everything=everything):
            record.repeats = number
            self._put(self.format(record))

    def _put(self, line: str) -> None:
        if self._queue.qsize() >= _AT_MOST:
            self._dropped += 1
            return
        self._queue.put(line)
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Wait until what was logged so far is written; not for long, since nobody may ever read it."""
        if self._thread is not None and self._thread is not threading.current_thread():
            written = threading.Event()
            self._queue.put(written)
            self._stuck = not written.wait(0.0 if self._stuck else _PATIENCE)

    def close(self) -> None:
        """The end: what is held back is told, as far as somebody reads it."""
        with self._turn:
            self._over(time.time(), everything=True)
        self.flush()
        super().close()

    # In the thread

    def _write_all(self) -> None:
        while True:
            line = self._next()
            if isinstance(line, threading.Event):
                self._write("")
                line.set()
            elif line:
                self._write(f"{line}\n")

    def _next(self) -> str | threading.Event:
        """The next line; what was held back is put among them when its time has come."""
        while True:
            try:  # first without waiting: see loop.receive
                return self._queue.get_nowait()
            except queue.Empty:
                with self._turn:
                    due = self._repeats.next_due()
            try:
                return self._queue.get(timeout=None if due is None else max(0.0, due - time.time()) + 0.1)
            except queue.Empty:
                with self._turn:
                    self._over(time.time())

    def _write(self, text: str) -> None:
        """A line, after the number of those that were dropped before it, if any were."""
        with self._turn:
            dropped, self._dropped = self._dropped, 0
        lines = int(bool(text))
        if dropped:
            facts: Mapping[str, Any] = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
            notice = logging.makeLogRecord({**facts, "msg": _DROPPED.format(dropped)})
            text = f"{self.format(notice)}\n{text}"
        try:
            write(text)
        except (OSError, ValueError):  # a full disk, a reader that has gone, a stream that was closed
            with self._turn:
                self._dropped += dropped + lines


def _key(record: logging.LogRecord) -> tuple[Any, ...]:
    facts = getattr(record, "facts", {})
    where = (facts.get("root"), facts.get("file"), facts.get("id"))
    return record.levelno, record.getMessage(), *where


def write(text: str) -> None:
    """To stderr as it is now. Past Python's own buffer, whose lock a thread that waits for a reader would keep for ever."""
    stream = sys.stderr
    if stream is not sys.__stderr__ or stream is None:
        if stream is not None:  # a live view that shows lines above itself, or a test
            stream.write(text)
            stream.flush()
        return
    data = text.encode(stream.encoding or "utf-8", "backslashreplace")
    try:
        descriptor = stream.fileno()
    except io.UnsupportedOperation:
        stream.write(text)
        return
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # somebody else has set the terminal so
            select.select([], [descriptor], [])
