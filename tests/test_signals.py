"""Signals, sent for real: to this process, to one that hangs, and to whole daemons while Astria does not answer."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from astria_sync import loop, signals
from astria_sync.core.model import Reload, Stop
from astria_sync.simulator import Fault
from tests.studio_harness import Studio

pytestmark = pytest.mark.usefixtures("hangups")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> "queue.SimpleQueue[int]":
    """What the guard would have ended this process with."""
    codes: queue.SimpleQueue[int] = queue.SimpleQueue()

    monkeypatch.setattr(signals.os, "_exit", codes.put)
    return codes


@pytest.fixture
def stops() -> "queue.SimpleQueue[Stop]":
    return queue.SimpleQueue()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_each_signal_asks_for_an_orderly_end(number: int, stops: "queue.SimpleQueue[Stop]") -> None:
    """A Stop for each, a closed terminal's too; afterwards everything is as it was."""
    before = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    threads = threading.active_count()
    with signals.handled(stops.put):
        os.kill(os.getpid(), number)
        assert stops.get(timeout=5) == Stop(signal=number)
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)] == before
    assert threading.active_count() == threads


def test_after_nohup_a_closed_terminal_is_nothing(stops: "queue.SimpleQueue[Stop]") -> None:
    """Whoever started it so that it outlives the terminal is heeded."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.handled(stops.put):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            assert stops.get(timeout=5) == Stop(signal=signal.SIGTERM)
            assert stops.empty()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_where_no_terminal_can_be_closed_sighup_is_a_wish(
    stops: "queue.SimpleQueue[Stop | Reload]",
    ended: "queue.SimpleQueue[int]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It asks for the configuration to be read again, also before anybody hears of it, and never for an end."""
    monkeypatch.setattr(signals, "PATIENCE", 0.01)
    with signals.handled(stops.put, heard=lambda: False, reloads=True):
        os.kill(os.getpid(), signal.SIGHUP)
        assert stops.get(timeout=5) == Reload()
    assert ended.empty()


HELD_BACK = """
import os, queue, signal
from astria_sync import signals
signals.hold_back()
os.kill(os.getpid(), signal.SIGHUP)
came = queue.SimpleQueue()
with signals.handled(came.put, reloads=True):
    print(type(came.get(timeout=5)).__name__)
"""


def test_a_held_back_sighup_comes_later() -> None:
    """One that comes between two programs of one process ends neither: the second one hears of it."""
    told = subprocess.run([sys.executable, "-c", HELD_BACK], capture_output=True, text=True, check=True)
    assert told.stdout == "Reload\n"


@pytest.mark.parametrize("count", [1, 2])
def test_what_does_not_end_is_ended(
    count: int,
    stops: "queue.SimpleQueue[Stop]",
    ended: "queue.SimpleQueue[int]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the first signal in ten seconds, after the second in two; the code says by which signal."""
    monkeypatch.setattr(signals, "PATIENCE", 0.02 if count == 1 else 60.0)
    monkeypatch.setattr(signals, "AT_ONCE", 0.02)
    with signals.handled(stops.put):
        for _ in range(count):
            os.kill(os.getpid(), signal.SIGTERM)
            assert stops.get(timeout=5)
        assert ended.get(timeout=5) == 128 + signal.SIGTERM


def test_there_is_time_for_the_drain() -> None:
    """The guard lets the engine wait for requests under way, and is out within ten seconds all the same."""
    assert loop._DRAIN < signals.PATIENCE < 10


HANGING = """
import ctypes
from astria_sync import signals
signals.PATIENCE = 0.05
libc, mutex = ctypes.CDLL(None), (ctypes.c_char * 64)()
with signals.handled(print):
    print("hangs", flush=True)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)  # for ever, and no signal interrupts it: as a share whose server is gone
"""


def test_a_process_that_hangs_in_a_call_is_ended() -> None:
    """Where Python never comes to run a handler, the guard hears of the signal all the same."""
    hanging = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True)
    assert hanging.stdout is not None
    assert hanging.stdout.readline() == "hangs\n"
    hanging.terminate()
    assert hanging.wait(timeout=20) == 128 + signal.SIGTERM
    hanging.stdout.close()


# Whole daemons

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(studio: Studio, tmp_path: Path) -> Iterator[Start]:
    """Starts `astria-sync run` on the studio; `first` is run before it, to make it wait less."""
    running: list[subprocess.Popen[str]] = []

    def begin(first: str = "") -> "subprocess.Popen[str]":
        studio.settings()
        code = f"{first}\nfrom astria_sync.cli import main\nmain()"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "ASTRIA_BASE_URL": studio.base_url,
            "ASTRIA_AUTH_TOKEN": studio.token,
        }
        arguments = [sys.executable, "-c", code, "--config", str(studio.home / "config.toml"), "run"]
        running.append(subprocess.Popen(arguments, env=environ, stderr=subprocess.PIPE, text=True))
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for(studio: Studio, what: Callable[[], bool]) -> None:
    """Until the simulator has seen it."""
    for _ in range(2000):
        if what():
            return
        threading.Event().wait(0.01)
    pytest.fail(f"it did not come to pass: {studio.states()}")


def test_an_orderly_end_repeats_nothing(studio: Studio, start: Start) -> None:
    """A prompt and a tune are being made, a picture is on its way, and nobody answers: out after the drain, with 0. The next
    run finds both and pays for neither again.
    """
    studio.prompt("done.prompt", "words")
    studio.sim.faults.add(Fault(kind="hang", host="pictures", times=None))
    daemon = start("from astria_sync import loop\nloop._DRAIN = 0.3")
    wait_for(studio, lambda: bool(studio.sim.ledger.requests("GET", host="pictures")))
    studio.sim.faults.add(Fault(kind="hang", method="POST", when="after", times=None))
    studio.folder("jane")
    studio.prompt("p.prompt", "other words")
    wait_for(studio, lambda: len(studio.posts()) == 3)
    daemon.terminate()
    _, said = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, said
    assert (
        "Stopping: 2 requests and 1 download are awaited, for 0.3 s at most. A second Ctrl-C ends it at once."
        in said
    )
    assert "3 pieces of work are under way" in said
    studio.sim.faults.clear()
    studio.run_once()
    assert (studio.made(), len(studio.posts())) == ((1, 2), 3)
    assert studio.check_pictures() == 2


def test_a_second_signal_does_not_wait(studio: Studio, start: Start) -> None:
    """The drain of eight seconds is not waited for; what was sent is found at the next start."""
    studio.prompt("p.prompt", "words")
    studio.sim.faults.add(Fault(kind="hang", method="POST", when="after", times=None))
    daemon = start("from astria_sync import loop, signals\nloop._DRAIN, signals.AT_ONCE = 3600, 60")
    wait_for(studio, lambda: len(studio.posts()) == 1)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.stderr is not None
    told = iter(daemon.stderr.readline, "")
    assert any(
        "Stopping: 1 request is awaited, for " in line for line in told
    )  # before anything is waited for
    daemon.send_signal(signal.SIGINT)
    _, said = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, said
    assert "1 piece of work is under way" in said
    studio.sim.faults.clear()
    studio.run_once()
    assert (studio.made(), len(studio.posts())) == ((0, 1), 1)
