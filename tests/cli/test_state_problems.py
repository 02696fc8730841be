"""What is wrong with the state, from outside: `status` says it, the real daemon mends it, and no exit code is a surprise."""

import json
import signal
import sqlite3
import stat
import time
from contextlib import closing

import pytest

from astria_sync.bulletin import Bulletin
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock
from tests.cli.test_running import start


@pytest.fixture
def held(desk):
    """A state that a daemon holds."""
    desk.configure()
    open_journal(desk.state, now=1.0).close()
    lock = StateLock(desk.state)
    lock.acquire()
    yield lock
    lock.release()


def bulletin(desk):
    one = Bulletin(desk.state, desk.environ(), desk.home)
    one.open()
    return one


def problems(desk):
    return json.loads(desk("status", "--json").stdout)["problems"]


def test_what_the_daemon_cannot_write_into_the_state(desk, held):
    """A full disk keeps it out of the state; `status` tells it all the same, first, and no longer than it lasts."""
    note = bulletin(desk)
    assert problems(desk) == []
    note.say("Its disk is full; make room there. " * 100)
    note.say("Its disk is full; make room there.")
    assert problems(desk) == [{"kind": "state", "text": "Its disk is full; make room there."}]
    assert "make room there" in desk("status").stdout.partition("PROBLEMS")[2]
    note.say("")
    assert problems(desk) == []


def test_a_note_needs_no_new_room_and_is_private(desk, held):
    """Its place is taken while there is some: writing it changes neither its size nor its blocks."""
    note = bulletin(desk)
    (file,) = (desk.home / "runtime" / "astria-sync").glob("*.note")
    before = file.stat()
    note.say("trouble " * 10_000)
    assert (file.stat().st_size, file.stat().st_blocks) == (before.st_size, before.st_blocks)
    assert stat.S_IMODE(before.st_mode) == 0o600
    note.close()
    assert not file.exists()


def test_the_note_of_a_daemon_that_died(desk, held):
    """Nobody lives who could take it back: it is not believed."""
    bulletin(desk).say("trouble")
    held.release()
    assert problems(desk) == []


def test_a_note_that_can_be_written_nowhere(desk, held):
    """It is only a note: nothing fails for it."""
    (desk.home / "runtime").write_text("in the way")
    note = bulletin(desk)
    note.say("trouble")
    note.close()
    assert problems(desk) == []


def test_a_state_that_is_gone_under_a_daemon(desk, held):
    """`status` does not take it for an empty one."""
    desk.state.unlink()
    (problem,) = problems(desk)
    assert problem["kind"] == "state"
    assert "is gone although a daemon runs" in problem["text"]


@pytest.mark.parametrize("command", ["status", "retry", "plan", "doctor", "verify"])
def test_a_damaged_state_is_a_sentence_everywhere(desk, command, account):
    """Exit code 2, the file's name, and no traceback."""
    desk.configure().state.write_bytes(b"rubbish" * 5000)
    arguments = {"retry": ["--all"]}.get(command, [])
    result = desk(command, *arguments, **account)
    assert result.exit_code == 2
    said = result.stdout + result.stderr
    assert "state" in said
    assert "not a database" in said


def test_a_locked_state_is_a_sentence(desk, account):
    """`run --once` and an order say which kind of program has it, and end with 2."""
    open_journal(desk.configure().state, now=1.0).close()
    with closing(sqlite3.connect(desk.state, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for command in (["run", "--once"], ["pause"]):
            result = desk(*command, **account)
            assert result.exit_code == 2
            assert "another program has it open for writing" in result.stderr
        assert desk("status").exit_code == 0


def test_a_running_daemon_puts_its_state_back(desk, account):
    """The folder goes: state, lock and socket are there again within a tick, and orders reach the daemon; it ends with 0."""
    desk.configure("[limits]\nhold_above = 1000\n")
    text = desk.config.read_text().replace('"state.db"', '"st/state.db"')
    desk.config.write_text(text.replace("[timing]", "[timing]\nrescan_seconds = 0.3"))
    state = desk.home / "st" / "state.db"
    daemon = start(desk, "--config", str(desk.config), "run", **account)
    try:
        waits(lambda: state.with_name("state.db.sock").exists())
        state.parent.rename(desk.home / "away")
        beside = [state, *(state.with_name(f"state.db{suffix}") for suffix in (".sock", ".lock", ".pid"))]
        waits(lambda: all(path.exists() for path in beside))
        assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in beside} == {0o600}
        assert desk("run", "--once", **account).exit_code == 3
        assert "Paused" in desk("pause").stderr
        found = json.loads(desk("status", "--json").stdout)
        assert found["paused"]
        assert found["daemon"]["pid"] == daemon.pid
        assert any("put back" in problem["text"] for problem in found["problems"])
        state.with_name("state.db.sock").unlink()
        waits(lambda: state.with_name("state.db.sock").exists())
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, words = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, words
    assert words.count("was taken away") == 1
    assert words.count("was removed and is put back") == 1


def waits(holds):
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
