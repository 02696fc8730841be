"""`run` in a terminal: a last line that says how the work stands, and the lines of the log above it.

It takes the place of sys.stderr. A thread of its own writes and draws, so that a terminal that takes nothing (Ctrl-S) stops
no work: what waits for it is kept, up to a limit.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO

from astria_sync.cli.cells import cut, shown
from astria_sync.cli.common import size
from astria_sync.core.money import dollars
from astria_sync.errors import StateError
from astria_sync.live import tally
from astria_sync.reading import reading, stamp

_EVERY: Final = 0.25  # seconds between drawings
_LOOK: Final = 0.5  # ... between looks whether something was written
_ANYWAY: Final = 5.0  # ... after which it is read although nothing seems to have been
_AT_MOST: Final = 5000  # pieces of text that wait
_PATIENCE: Final = 0.05  # seconds that whoever wants a line to be out waits for a terminal that takes it
_END: Final = 1.0  # ... at the end
_CLEAR: Final = "\r\x1b[2K"
_ORDER: Final = ("uploading", "training", "submitting", "generating", "downloading")


class LastLine:
    """A stream for what is written to stderr, with a line of its own below."""

    def __init__(self, stream: TextIO, say: Callable[[], str], *, every: float = _EVERY) -> None:
        """`say` is asked in the thread, and cut to what fits."""
        self.encoding = stream.encoding
        self._stream = stream
        self._say = say
        self._every = every
        self._turn = threading.Condition()  # held for moments only, never while anything is written
        self._texts: list[str] = []
        self._begun = ""  # a line that has no end yet
        self._taken = self._asked = 0  # texts that were written, and that were to be
        self._dropped = 0
        self._stuck = self._over = False
        self._drawn = ""
        self._thread = threading.Thread(target=self._run, name="last line", daemon=True)

    # What a stream is

    def write(self, text: str) -> int:
        """Have it written soon; never waits."""
        if not isinstance(text, str):
            raise TypeError("a text is wanted")  # this is how click finds out what a stream is
        with self._turn:
            if len(self._texts) < _AT_MOST:
                self._texts.append(text)
                self._asked += 1
            else:
                self._dropped += 1
            self._turn.notify_all()
        return len(text)

    def flush(self) -> None:
        """Wait until it is written, for a moment, and not again as long as the terminal takes nothing."""
        with self._turn:
            asked = self._asked
            if not self._stuck and threading.current_thread() is not self._thread:
                self._stuck = not self._turn.wait_for(lambda: self._taken >= asked, _PATIENCE)

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    # The thread

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and take the line away; a terminal that takes nothing is not waited for."""
        with self._turn:
            self._over = True
            self._turn.notify_all()
        self._thread.join(_END)

    def _run(self) -> None:
        with suppress(OSError):  # the terminal is gone: whoever logs need not know
            while not self._over or self._texts:
                with self._turn:
                    self._turn.wait_for(lambda: self._texts or self._over, self._every)
                    texts, self._texts = self._texts, []
                    dropped, self._dropped = self._dropped, 0
                if dropped:
                    texts.append(f"{dropped:,} lines were not shown, since the terminal took none.\n")
                self._draw("".join(texts))
                with self._turn:
                    self._taken += len(texts) - bool(dropped)
                    self._stuck = False
                    self._turn.notify_all()
            self._write((_CLEAR if self._drawn else "") + self._begun)

    def _draw(self, text: str) -> None:
        lines, end, self._begun = (self._begun + text).rpartition("\n")
        line = cut(self._say(), _columns(self._stream) - 1)
        if end or line != self._drawn:
            self._write(f"{_CLEAR if self._drawn else ''}{lines}{end}{line}")
            self._drawn = line

    def _write(self, text: str) -> None:
        """Past Python's buffer, whose lock a thread that waits for the terminal would keep until after the end."""
        data = text.encode(self.encoding or "utf-8", "backslashreplace")
        while data:
            try:
                data = data[os.write(self._stream.fileno(), data) :]
            except BlockingIOError:
                select.select([], [self._stream.fileno()], [])


@contextmanager
def below_the_log(state: Path) -> Iterator[None]:
    """In this block what goes to stderr stands above a line on the work of `state`."""
    stream = sys.stderr
    last = LastLine(stream, Tally(state))
    last.start()
    sys.stderr = last  # as much of a stream as is asked of it
    try:
        yield
    finally:
        last.stop()
        sys.stderr = stream


class Tally:
    """What the line says. The state is read only when it was written, and not for long: the daemon is to be its only owner."""

    def __init__(self, state: Path) -> None:
        """Nothing is read yet."""
        self._state = state
        self._looked = self._read = float("-inf")
        self._stamp: object = None
        self._text = ""

    def __call__(self) -> str:
        """The words, as of half a second ago at most."""
        now = time.monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            found = (stamp(self._state), stamp(Path(f"{self._state}-wal")))
            if found != self._stamp or now - self._read >= _ANYWAY:
                self._stamp, self._read = found, now
                with suppress(StateError, OSError), reading(self._state) as connection:
                    if connection is not None:
                        self._text = sentence(tally(connection, now=time.time()))
        return self._text


def sentence(numbers: Mapping[str, Any]) -> str:
    """The line: what keeps the work from going on, what runs, waits and needs somebody, and today's money."""
    parts = ["paused"] if numbers["paused"] else []
    parts += [shown(door["text"]).split("; ")[0].rstrip(".") for door in numbers["doors"]]
    running = {state: numbers["running"][state] for state in _ORDER if numbers["running"][state]}
    parts += [f"{number:,} {state.replace('submitting', 'sending')}" for state, number in running.items()]
    if numbers["uploads"]:
        sent, of, pace = (sum(column) for column in zip(*numbers["uploads"], strict=True))
        parts.append(f"{int(100 * sent / of)}% of {size(of)} sent" + (f", {size(pace)}/s" if pace else ""))
    if numbers["waiting"]:
        parts.append(f"{numbers['waiting']:,} waiting")
    if numbers["needs_you"]:
        parts.append(f"{numbers['needs_you']:,} needing you")
    return " · ".join([*(parts or ["nothing to do"]), f"{dollars(numbers['today_usd'])} today"])


def _columns(stream: TextIO) -> int:
    with suppress(OSError, ValueError):
        if columns := os.get_terminal_size(stream.fileno()).columns:
            return columns
    return 80
