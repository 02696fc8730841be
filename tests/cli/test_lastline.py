"""The line below the log of `run` in a terminal: it garbles no line, and stops no work."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import time
import tty

import pytest

from astria_sync.cli.lastline import LastLine, Tally, sentence
from astria_sync.journal import open_journal
from tests.terminal import Terminal

CLEAR = "\r\x1b[2K"
NUMBERS = {
    "paused": False,
    "doors": [],
    "running": dict.fromkeys(("uploading", "training", "downloading", "generating", "submitting"), 0),
    "uploads": [],
    "waiting": 0,
    "needs_you": 0,
    "today_usd": 0.0,
}


@pytest.fixture
def screen():
    """A raw pty: what is read from it, and a stream that writes to it."""
    ours, slave = pty.openpty()
    tty.setraw(slave)
    with open(slave, "w", encoding="utf-8") as stream:
        yield ours, stream
    os.close(ours)


def read(ours):
    return os.read(ours, 65536).decode()


def test_lines_stand_whole_above_the_last(screen):
    """Each line is written where the last one stood, which is drawn again below; at the end it is gone."""
    ours, stream = screen
    last = LastLine(stream, lambda: "3 training")
    last.start()
    last.write("one\n")
    last.write("tw")
    last.write("o\nthree\n")
    last.stop()
    shown = read(ours)
    assert re.sub(rf"({re.escape(CLEAR)}|3 training)", "", shown) == "one\ntwo\nthree\n"
    assert shown.endswith(f"3 training{CLEAR}")
    assert all(part.startswith(("one", "two", "three", "3 training", "")) for part in shown.split(CLEAR))


def test_it_is_cut_to_the_terminal(screen):
    """A line that went round the edge could not be taken away again."""
    ours, stream = screen
    last = LastLine(stream, lambda: "空" * 300)
    last.start()
    last.write("x\n")
    last.flush()
    last.stop()
    drawn = read(ours).split("\n")[1].replace(CLEAR, "")
    assert drawn == "空" * 39 + "…"


def test_a_terminal_that_takes_nothing_stops_nobody(screen):
    """Whoever logs goes on at once, and is told later what was not shown."""
    ours, stream = screen
    last = LastLine(stream, lambda: "")
    last.start()
    for number in range(20_000):
        last.write(f"line {number} {'x' * 80}\n")
        last.flush()
    assert last._stuck
    last._thread.join(0)
    assert last._thread.is_alive()
    fcntl.fcntl(ours, fcntl.F_SETFL, os.O_NONBLOCK)
    shown = ""
    with last._turn:
        last._over = True
        last._turn.notify_all()
    while last._thread.is_alive() or "were not shown" not in shown:
        try:
            shown += read(ours)
        except BlockingIOError:
            continue
    assert re.search(r"^[\d,]+ lines were not shown, since the terminal took none\.", shown, re.MULTILINE)
    assert shown.startswith("line 0 ")


def test_a_terminal_that_is_gone_is_no_failure(screen, monkeypatch):
    """The window was closed: what is written goes nowhere, and nobody is told."""
    _, stream = screen
    last = LastLine(stream, lambda: "")
    monkeypatch.setattr(last, "_write", lambda _: (_ for _ in ()).throw(OSError(5, "gone")))
    last.start()
    last.write("x\n")
    last.flush()
    last.stop()
    assert not last._thread.is_alive()


def test_what_it_says():
    """What stands in the way first, then what runs, waits and needs somebody."""
    assert sentence(NUMBERS) == "nothing to do · $0.00 today"
    busy = NUMBERS | {
        "paused": True,
        "doors": [{"text": "Astria asks to slow down; work goes on in a while."}],
        "running": NUMBERS["running"] | {"uploading": 1, "generating": 1200},
        "uploads": [[12_000_000, 26_000_000, 1_200_000], [0, 4_000_000, 0]],
        "waiting": 40,
        "needs_you": 1,
        "today_usd": 4.2,
    }
    assert sentence(busy) == (
        "paused · Astria asks to slow down · 1 uploading · 1,200 generating · 40% of 30.0 MB sent, 1.2 MB/s · "
        "40 waiting · 1 needing you · $4.20 today"
    )


def test_it_is_read_from_the_state(tmp_path):
    """Nothing before there is a state; then its numbers. Nothing of it stays open."""
    tally = Tally(tmp_path / "state.db")
    assert tally() == ""
    journal = open_journal(tmp_path / "state.db", now=time.time())
    tally._looked = float("-inf")
    assert tally() == "nothing to do · $0.00 today"
    journal.close()
    assert os.listdir(tmp_path) == ["state.db"]


# The real thing


def running(desk, *more, **environ):
    return Terminal("--config", str(desk.config), "run", *more, environ=desk.environ(**environ))


def left_on(terminal):
    """The lines that are to be seen at the end: of each what was written after it was last cleared."""
    return [re.sub(r"\x1b\[\d*m", "", line.rpartition(CLEAR)[2]) for line in terminal.written.split("\r\n")]


def test_run_in_a_terminal_shows_progress(desk, account):
    """The numbers change below the log's lines, and are gone at the end; the terminal is as it was."""
    (desk.configure().inbox / "sky.prompt").write_text("a sky")
    with running(desk, **account) as terminal:
        terminal.until("Watching", "nothing to do · $0.14 today")
        terminal.type("\x03")
        assert terminal.end() == 0
        assert terminal.is_restored
        lines = left_on(terminal)
        assert re.match(r"\d\d:\d\d:\d\d Watching .*", lines[0])
        assert not any("today" in line for line in lines)


def test_run_goes_on_when_the_terminal_is_stopped(desk, account):
    """Ctrl-S stops the picture of the work, not the work: what is dropped meanwhile is made."""
    with running(desk.configure(), "--timeout", "60", **account) as terminal:
        terminal.until("Watching")
        terminal.type("\x13")
        (desk.inbox / "sky.prompt").write_text("a sky")
        end = time.monotonic() + 30
        while not list(desk.home.glob("out/sky/sky-*.jpg")):
            assert time.monotonic() < end
        terminal.type("\x11\x03")
        assert terminal.end() == 0


def test_run_once_in_a_terminal_sums_up_last(desk, account):
    """What it came to stands below the log, and nothing below that."""
    (desk.configure().inbox / "sky.prompt").write_text("a sky")
    with running(desk, "--once", **account) as terminal:
        assert terminal.end() == 0
        made, where, end = left_on(terminal)[-3:]
        assert made.startswith("Made: 1 picture of 1 prompt")
        assert re.match(r"  sky.prompt → .*\.jpg$", where)
        assert end == ""


def test_an_error_stands_on_its_own_line(desk):
    """What ends the run is told after the line was taken away."""
    with running(desk.configure()) as terminal:
        assert terminal.end() == 4
        assert left_on(terminal)[0].startswith("astria-sync: There is no token")


def test_a_service_pays_nothing_for_it(desk, account):
    """Where there is no terminal neither the line nor what draws is imported, and there are only lines."""
    script = (
        "import sys, atexit\n"
        "atexit.register(lambda: print(*sorted(sys.modules)))\n"
        "from astria_sync.cli import main\n"
        f"sys.argv = ['astria-sync', '--config', {str(desk.configure().config)!r}, 'run', '--once']\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        env=desk.environ(**account, TERM="xterm"),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = ended.stdout.split()
    assert "astria_sync.engine" in loaded
    assert not [name for name in loaded if name.partition(".")[0] == "rich" or "lastline" in name]
    assert "\x1b" not in ended.stderr


def test_a_dumb_terminal_gets_lines_alone(desk, account):
    """TERM=dumb: no control code is written."""
    with running(desk.configure(), "--once", **account, TERM="dumb") as terminal:
        assert terminal.end() == 0
        assert "\x1b" not in terminal.written


def test_it_does_not_hold_up_signals(desk, account):
    """A terminal that is stopped for good does not keep a SIGTERM from ending it."""
    with running(desk.configure(), **account) as terminal:
        terminal.until("Watching")
        terminal.type("\x13")
        terminal.signal(signal.SIGTERM)
        assert terminal.process.wait(20) == 0
