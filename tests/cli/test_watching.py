"""`status --watch` in a terminal, in a pipe, and for programs."""

import io
import json
import re
import signal
import subprocess
import sys
import time

import pytest

from astria_sync.cli.watching import Blocks, Json, spelled
from astria_sync.journal import open_journal
from tests.pictures import busy, quiet
from tests.terminal import Terminal

ESCAPE = "\x1b"


@pytest.fixture
def journal(desk):
    desk.configure()
    journal = open_journal(desk.state, now=1.0)
    yield journal
    journal.close()


def prompt(desk, journal, path, state, **more):
    common = {"created_at": time.time(), "updated_at": time.time()}
    with journal.transaction():
        source = journal.add("sources", kind="prompt", root=str(desk.inbox), path=path, **common)
        journal.add("prompts", source_id=source, state=state, **common, **more)


def watching(desk, **environ):
    return Terminal("--config", str(desk.config), "status", "--watch", environ=desk.environ(**environ))


def piped(desk, *more, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "astria_sync", "--config", str(desk.config), "status", "--watch", *more],
        env=desk.environ(PYTHONUTF8="1", **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_terminal_from_beginning_to_end(desk, journal):
    """It draws on a screen of its own, shows what changes, draws anew when the window is dragged, and leaves nothing behind."""
    prompt(desk, journal, "jane/hiking.prompt", "failed", reason="Astria refused it")
    with watching(desk) as terminal:
        first = terminal.until("NEEDS YOU (1)", "hiking.prompt", "no daemon runs")
        assert first.index(f"{ESCAPE}[?1049h") < first.index("NEEDS YOU")
        assert terminal.modes != terminal.before
        prompt(desk, journal, "sky.prompt", "generating")
        terminal.until("RUNNING (1)", "sky.prompt")
        terminal.resize(30, 12)
        assert "start one with: astria-sync run" not in terminal.until("NEEDS YOU (1)", "RUNNING (1)")
        terminal.type("xq")
        assert terminal.end() == 0
        assert f"{ESCAPE}[?1049l" in terminal.written
        assert terminal.is_restored


@pytest.mark.parametrize(
    ("how", "code"), [("\x03", 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_however_it_ends_the_terminal_is_as_before(desk, journal, how, code):
    """Ctrl-C is the usual way to leave; what ends it from outside leaves the terminal in order too."""
    with watching(desk) as terminal:
        terminal.until("Nothing waits")
        terminal.type(how) if isinstance(how, str) else terminal.signal(how)
        assert terminal.end() == code
        assert terminal.is_restored
        assert "Traceback" not in terminal.written


def test_ctrl_z_gives_the_terminal_back_for_a_while(desk, journal):
    """While it is stopped the shell has its screen and keyboard; after `fg` it goes on."""
    with watching(desk) as terminal:
        terminal.until("Nothing waits")
        terminal.type("\x1a")
        assert terminal.stopped()
        terminal.until(f"{ESCAPE}[?1049l")
        assert terminal.is_restored
        terminal.written = ""
        terminal.signal(signal.SIGCONT)
        terminal.until(f"{ESCAPE}[?1049h", "Nothing waits")
        terminal.type("q")
        assert terminal.end() == 0


def test_without_colour(desk, journal):
    """NO_COLOR is respected on the screen; a dumb terminal gets plain blocks and no control code at all."""
    prompt(desk, journal, "a.prompt", "failed", reason="Astria refused it")
    with watching(desk, NO_COLOR="1") as terminal:
        shown = terminal.until("NEEDS YOU (1)", "a.prompt")
        assert not re.search(r"\x1b\[[0-9;]*(?<![0-9])(3|4|9|10)[0-7]m", shown)
    with watching(desk, TERM="dumb") as terminal:
        assert ESCAPE not in terminal.until("NEEDS YOU (1)", "a.prompt", "Astria refused it")
        terminal.type("\x03")
        assert terminal.end() == 0
        assert ESCAPE not in terminal.written


def test_in_a_pipe_it_prints_what_changes(desk, journal):
    """A block for each change, below a line with the time, 80 columns at most, without control codes."""
    process = piped(desk)
    try:
        assert re.fullmatch(r"--- \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", process.stdout.readline())
        while "Nothing waits" not in process.stdout.readline():
            pass
        prompt(desk, journal, "空" * 50 + "\x1b[31m.prompt", "failed", reason="Astria refused it")
        lines = []
        while not lines or "Astria refused it" not in lines[-1]:
            lines.append(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=20)
    assert (process.returncode, words) == (0, "")
    assert lines[1].startswith("--- ")
    assert r"空\x1b[31m.prompt" in "".join(lines)
    assert ESCAPE not in "".join(lines)


def test_for_programs_one_object_a_line(desk):
    """Each change is one line of JSON; it begins before there is a state."""
    process = piped(desk.configure(), "--json")
    try:
        first = json.loads(process.stdout.readline())
        journal = open_journal(desk.state, now=1.0)
        prompt(desk, journal, "a.prompt", "generating", bound_at=1_790_000_000.0)
        while not (found := json.loads(process.stdout.readline()))["running"]["count"]:
            pass
        journal.close()
    finally:
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=20)
    assert (process.returncode, words) == (0, "")
    assert (first["state"], first["daemon"]["running"]) == ("missing", False)
    assert found["running"]["items"][0]["since_at"] == "2026-09-21T14:13:20+00:00"
    assert re.match(r"\d{4}-\d\d-\d\dT", found["seen_at"])


def test_when_nobody_reads_any_more_it_ends(desk, journal):
    """`| head` has seen enough: it does not stay behind until the next change."""
    process = piped(desk)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_when_there_is_nobody_to_show_it_to_it_ends(desk, journal, more):
    """`>&-`: no traceback, and it does not stay behind."""
    command = [sys.executable, "-m", "astria_sync", "--config", str(desk.config), "status", "--watch", *more]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command],
        env=desk.environ(),
        stderr=subprocess.PIPE,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("view", [Blocks, Json])
def test_what_has_not_changed_is_not_said_again(capsys, view):
    """Seconds that pass are no change; another object is."""
    shown, seen = view(), busy()
    for second in range(5):
        shown.show(seen, 1_790_000_000.0 + second)
    assert len(re.findall("jane/neon", capsys.readouterr().out)) == 1
    shown.show(quiet(), 1_790_000_005.0)
    assert capsys.readouterr().out


def test_a_terminal_without_our_letters():
    """Where the letters of a bar cannot be written, others stand for them, one for one."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert spelled(["█░ … ·"], stream) == ["#. ~ -"]
