"""Signals: the first asks for an orderly end, the second for one at once, and a guard sees to it that either comes.

A handler of Python's waits until the main thread comes by: not while that hangs in a call to a share that does not answer, nor
when the system hands the signal to another thread. So the guard, a thread of its own, hears of each from the system's handler.
A process that it ends leaves what a crash would leave, and the journal knows how to go on from there.
"""

import logging
import math
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

from astria_sync.core.model import Reload, Stop

log = logging.getLogger("astria_sync")

PATIENCE: Final = 9.5  # seconds from the first signal; the engine waits 8 for requests under way (loop.py)
AT_ONCE: Final = 2.0  # seconds from the second
_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def handled(
    post: Callable[[Stop | Reload], None],
    *,
    heard: Callable[[], bool] = lambda: True,
    reloads: bool = False,
) -> Iterator[None]:
    """While in this block, signals post a Stop, and end the process if it has not ended in time. Main thread only.

    SIGHUP, which a terminal sends when it is closed, ends as the others do; after `nohup` it is ignored. `reloads`: there is no
    terminal, so that whoever sends it wants the configuration to be read again. While nobody has `heard` of Stops yet, or any
    more, what the main thread is at is left at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    guard = threading.Thread(target=_guard, args=(ours, post, reloads), name="signals", daemon=True)
    guard.start()
    wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def met(number: int, _: object) -> None:
        if not (heard() or (reloads and number == signal.SIGHUP)):
            _leave(number)

    before = {
        number: signal.signal(number, met) for number in _NUMBERS if not (number is signal.SIGHUP and ignored)
    }
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # see `hold_back`
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not _held_back:
                signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        theirs.close()
        guard.join()
        ours.close()


def terminal() -> bool:
    """Whether this process belongs to a terminal, which may be closed: only then does a SIGHUP come from that."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def hold_back() -> None:
    """Until another program takes the place of this one in the same process, and minds it again, a SIGHUP ends neither.

    The one that comes reads what that SIGHUP wants to be read. Other threads do not block what this one does, so there is a
    handler too.
    """
    signal.signal(signal.SIGHUP, _held_back)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def _held_back(_: int, __: object) -> None:
    pass


def _leave(number: int) -> NoReturn:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _guard(ours: socket.socket, post: Callable[[Stop | Reload], None], reloads: bool) -> None:
    """Asks for the end, and ends a process that does not come to it; ends itself when the other end is closed."""
    deadline, last = math.inf, 0
    with selectors.DefaultSelector() as selector:
        selector.register(ours, selectors.EVENT_READ)
        while True:
            left = None if last == 0 else max(0.0, deadline - time.monotonic())
            if not selector.select(left):
                break
            received = ours.recv(64)  # one byte for each signal, its number
            if not received:
                return
            for number in filter(_NUMBERS.__contains__, received):
                if reloads and number == signal.SIGHUP:
                    post(Reload())
                    continue
                deadline = min(deadline, time.monotonic() + (AT_ONCE if last else PATIENCE))
                last = number
                post(Stop(signal=number))
    log.error("It does not end: a disk or share may not answer. It is ended all the same.")
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(128 + last)
