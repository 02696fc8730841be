"""`retry`, `rerun`, `retrain`, `approve`, `pause`, `resume`, with and without a daemon."""

import json

import pytest

from astria_sync.cli import orders
from astria_sync.errors import StateError
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock


@pytest.fixture
def failed(desk):
    """A prompt that failed, and no daemon."""
    desk.configure()
    (desk.inbox / "a.prompt").write_text("x")
    journal = open_journal(desk.state, now=1.0)
    common = {"created_at": 1.0, "updated_at": 1.0}
    source = journal.add("sources", kind="prompt", root=str(desk.inbox), path="a.prompt", stamp="s", **common)
    journal.add("prompts", source_id=source, state="failed", fingerprint="f", script="s", **common)
    journal.close()
    return desk


@pytest.fixture
def daemon(monkeypatch):
    """A daemon that takes every order and gives the answer that it is given."""

    class Daemon:
        def __init__(self):
            self.asked = []
            self.answer = {"count": 1, "message": "1 thing will be tried again."}

        def __call__(self, state, name, arguments):
            self.asked.append((state, name, arguments))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    daemon = Daemon()
    monkeypatch.setattr("astria_sync.control.ask", daemon)
    return daemon


@pytest.mark.parametrize(
    ("arguments", "paths"),
    [
        (["retry", "inbox"], ["inbox"]),
        (["retry", "--all"], []),
        (["rerun", "inbox/a.prompt"], ["inbox/a.prompt"]),
        (["retrain", "inbox/jane"], ["inbox/jane"]),
        (["approve", "inbox", "other"], ["inbox", "other"]),
        (["approve", "--all"], []),
        (["pause"], []),
        (["resume"], []),
    ],
)
def test_the_daemon_is_asked_with_whole_paths(desk, daemon, monkeypatch, arguments, paths):
    """A daemon runs elsewhere, so paths are made absolute; its sentence goes to stderr."""
    monkeypatch.chdir(desk.home)
    result = desk.configure()(*arguments)
    assert daemon.asked == [(desk.state, arguments[0], {"paths": [str(desk.home / path) for path in paths]})]
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "astria-sync: 1 thing will be tried again.\n"


def test_json_prints_the_answer(desk, daemon):
    """A program gets the answer as it is."""
    assert json.loads(desk.configure()("retry", "--all", "--json").stdout) == daemon.answer


def test_what_the_daemon_refuses_is_told_with_its_exit_code(desk, daemon):
    """A sentence of the daemon's is a sentence here."""
    daemon.answer = {"error": "x is nothing that astria-sync knows of", "exit": 2}
    result = desk.configure()("rerun", "x")
    assert (result.exit_code, result.stderr) == (2, "astria-sync: x is nothing that astria-sync knows of\n")


def test_a_daemon_that_does_not_answer_is_told(desk, daemon):
    """A daemon that hangs is an error, not a reason to take over its state."""
    daemon.answer = StateError("The daemon does not answer.")
    assert desk.configure()("pause").exit_code == 2


def test_without_a_daemon_it_is_done_here(failed):
    """The journal is changed by this process, and the person is told that a daemon must be started."""
    result = failed("retry", "--all")
    assert result.exit_code == 0
    assert "1 thing will be tried again." in result.stderr
    assert f"{failed.itself} run" in result.stderr
    assert "Nothing there has failed." in failed("retry", "--all").stderr


def test_pause_and_resume_without_a_daemon(failed):
    """A pause outlives daemons; `status` shows it."""
    assert "Paused" in failed("pause").stderr
    assert json.loads(failed("status", "--json").stdout)["paused"] is True
    failed("resume")
    assert json.loads(failed("status", "--json").stdout)["paused"] is False


def test_an_unknown_path_is_wrong_usage(failed):
    """A slip of the fingers orders nothing."""
    result = failed("retry", str(failed.inbox / "none.prompt"))
    assert result.exit_code == 2
    assert "none.prompt" in result.stderr


def test_a_daemon_that_begins_is_waited_for(desk, daemon, monkeypatch):
    """It has the state and does not listen yet: asked again, it takes the order."""
    monkeypatch.setattr(orders, "_NAP", 0.001)
    told, daemon.answer = daemon.answer, None
    holder = StateLock(desk.configure().state)
    holder.acquire()
    asked = daemon.__call__

    def begins(state, name, arguments):
        daemon.answer = told if len(daemon.asked) == 3 else None
        return asked(state, name, arguments)

    monkeypatch.setattr("astria_sync.control.ask", begins)
    try:
        result = desk("approve", "--all")
    finally:
        holder.release()
    assert (result.exit_code, result.stderr) == (0, "astria-sync: 1 thing will be tried again.\n")
    assert len(daemon.asked) == 4


def test_a_state_in_use_ends_with_3(failed, monkeypatch):
    """Somebody else holds the state and listens to nobody: 3, and who it is."""
    monkeypatch.setattr(orders, "_PATIENCE", 0.0)
    lock = StateLock(failed.state)
    lock.acquire()
    try:
        result = failed("retry", "--all")
    finally:
        lock.release()
    assert result.exit_code == 3
    assert "is in use by" in result.stderr
    assert "say `retry` again" in result.stderr
