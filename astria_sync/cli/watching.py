"""`status --watch`: looks once a second, and shows what has changed: on a screen of its own, as text, or as JSON.

What it found there it leaves there: the screen, the cursor and the keyboard are as before, however it ends.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, Final, Protocol, Self, TextIO

from astria_sync.cli.cells import Line, plain
from astria_sync.cli.common import colour
from astria_sync.cli.screen import page
from astria_sync.core.plain import visible_json
from astria_sync.live import as_json as with_dates

Seen = dict[str, Any]
_EVERY: Final = 1.0  # seconds between looks
_PRINTED: Final = 80  # columns of what is no terminal's
_USUAL: Final = (80, 24)
_LEAVE: Final = {b"q", b"Q", b"\x04", b""}  # Ctrl-D, or a keyboard that is gone
# For terminals that know no other letters; one for one, so that nothing moves.
_ASCII: Final = str.maketrans({"█": "#", "░": ".", "…": "~", "·": "-"})


class View(Protocol):
    """Where it is shown."""

    def show(self, seen: Seen, now: float) -> None:
        """Have this there, and nothing else."""


def watch(look: Callable[[], Seen], *, as_json: bool) -> int:
    """Show what `look` finds until Ctrl-C or q; the exit code."""
    if sys.stdout is None:
        return 0  # it was closed: there is nobody to show it to
    full = not as_json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    while (number := _watch(look, as_json=as_json, full=full)) == signal.SIGTSTP:
        os.kill(os.getpid(), signal.SIGSTOP)  # the terminal is the shell's until `fg`
    return 0 if number == signal.SIGINT else 128 + number  # Ctrl-C is the usual way to leave


def _watch(look: Callable[[], Seen], *, as_json: bool, full: bool) -> int:
    """The signal that ended it."""
    with ExitStack() as stack:
        ears = stack.enter_context(Ears(keys=full))
        view: View = stack.enter_context(Screen()) if full else Json() if as_json else Blocks()
        while not (heard := ears.wait(0.0)):
            view.show(look(), time.time())
            if heard := ears.wait(_EVERY):
                break
        return heard


class Json:
    """One object for each change, a line each."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._last: Seen | None = None

    def show(self, seen: Seen, now: float) -> None:
        """Write it if it is not what was written last."""
        if seen is not self._last:
            self._last = seen
            print(visible_json(with_dates({"seen_at": now, **seen}), indent=None), flush=True)


class Blocks:
    """A block of plain text for each change, below a line with the time."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._last: Seen | None = None

    def show(self, seen: Seen, now: float) -> None:
        """Write it if it is not what was written last."""
        if seen is self._last:
            return
        self._last = seen
        width = _size(sys.stdout)[0] if sys.stdout.isatty() else _PRINTED
        lines = [plain(line) for line in page(seen, now=now, width=width)]
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        print(*spelled([f"--- {moment}", *lines, ""], sys.stdout), sep="\n", flush=True)


class Screen:
    """The terminal's other screen, drawn anew only when what is to be seen, or its size, has changed."""

    def __init__(self) -> None:
        """Nothing is drawn yet."""
        from rich.console import Console
        from rich.live import Live

        self._console = Console(
            file=sys.stdout, highlight=False, markup=False, emoji=False, force_terminal=True
        )
        self._console.no_color = not colour(sys.stdout)
        self._live = Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawn: object = None

    def __enter__(self) -> Self:
        """Take the screen."""
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        self._live.stop()

    def show(self, seen: Seen, now: float) -> None:
        """Draw it."""
        width, height = _size(sys.stdout)
        lines = page(seen, now=now, width=width, height=height)
        drawing = (width, height, lines)
        if drawing != self._drawn:
            self._drawn = drawing
            self._console.size = drawing[:2]
            self._live.update(as_text(lines, self._console.encoding), refresh=True)


def as_text(lines: list[Line], encoding: str = "utf-8") -> Any:
    """Lines as rich draws them."""
    from rich.text import Text

    text = Text(no_wrap=True, overflow="crop", end="")
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        for words, style in line:
            text.append(words if encoding.startswith("utf") else words.translate(_ASCII), style or None)
    return text


def spelled(lines: list[str], stream: TextIO) -> list[str]:
    """In letters that the stream can take."""
    known = (stream.encoding or "").lower().startswith("utf")
    return lines if known else [line.translate(_ASCII) for line in lines]


def _size(stream: TextIO) -> tuple[int, int]:
    """Columns and lines, of the terminal itself: COLUMNS in the environment would be the one of the beginning."""
    with suppress(OSError, ValueError):
        size = os.get_terminal_size(stream.fileno())
        if size.columns and size.lines:
            return size.columns, size.lines
    return _USUAL


class Ears:
    """Hears keys and signals, and whether whoever reads is still there."""

    def __init__(self, *, keys: bool) -> None:
        """`keys`: the keyboard too, if there is one."""
        self._keys = keys and sys.stdin is not None and sys.stdin.isatty()
        self._heard: list[int] = []
        self._poll = select.poll()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Begin."""
        with ExitStack() as stack:
            self._ear, bell = os.pipe()
            for end in (self._ear, bell):
                os.set_blocking(end, False)
                stack.callback(os.close, end)
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(bell, warn_on_full_buffer=False))
            numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH]
            for number in [*numbers, signal.SIGTSTP] if self._keys else numbers:
                stack.callback(signal.signal, number, signal.signal(number, self._hear))
            self._poll.register(self._ear, select.POLLIN)
            with suppress(OSError, ValueError):  # it may be no file at all
                self._poll.register(sys.stdout.fileno(), 0)
            if self._keys:
                stack.enter_context(_unbuffered_keys())
                self._poll.register(sys.stdin.fileno(), select.POLLIN)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave everything as it was."""
        self._stack.close()

    def _hear(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in self._heard:
            raise KeyboardInterrupt  # whoever asks twice does not want to wait for a look that takes long
        if number != signal.SIGWINCH:
            self._heard.append(number)

    def wait(self, seconds: float) -> int:
        """Wait for so long or until something is heard: the signal, or that which a key stands for; 0 if it is to go on.

        Raises BrokenPipeError if nobody reads any more.
        """
        for end, what in self._poll.poll(0 if self._heard else seconds * 1000):
            if end == self._ear:
                with suppress(BlockingIOError):
                    os.read(end, 64)
            elif self._keys and end == sys.stdin.fileno():
                if not what & select.POLLIN or os.read(end, 1) in _LEAVE:
                    return signal.SIGINT
            elif what & select.POLLERR:
                raise BrokenPipeError
        return self._heard[0] if self._heard else 0


@contextmanager
def _unbuffered_keys() -> Iterator[None]:
    """Each key is heard as it is pressed, and is not shown."""
    import termios
    import tty

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSANOW, before)
