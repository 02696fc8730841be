"""`pull` from the command line: with a daemon, without one, without any configuration."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from astria_sync.cli import cli
from astria_sync.cli import pull as module
from astria_sync.cli.pull import Progress, read_since
from astria_sync.errors import UsageError
from astria_sync.lock import StateLock
from astria_sync.simulator import Fault
from tests.pull_harness import made
from tests.service_harness import running


@pytest.fixture
def elsewhere(studio):
    """An account in which somebody has made two pictures."""
    studio.number = made(studio, "a cat", num_images="2")
    return studio


def env(studio, home):
    blank = dict.fromkeys(set(os.environ) - {"PATH"})
    leads = {"ASTRIA_BASE_URL": studio.base_url, "ASTRIA_AUTH_TOKEN": studio.token}
    return {
        **blank,
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        **leads,
    }


def call(studio, *args, config=True, **more):
    """Call it in the studio's home; the result has exit_code, stdout, stderr."""
    studio.settings()
    first = ("--config", str(studio.home / "config.toml")) if config else ()
    result = CliRunner().invoke(cli, [*first, *args], env={**env(studio, studio.home), **more})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_token_is_enough(elsewhere, monkeypatch):
    """Without any configuration everything goes to `astria-account` in the folder where one is; a second call finds it there."""
    monkeypatch.chdir(elsewhere.home)
    result = call(elsewhere, "pull", config=False)
    assert result.exit_code == 0, result.stderr
    name = f"a-cat-{elsewhere.number}"
    there = elsewhere.files(elsewhere.home / "astria-account")
    assert there == [f"_account/gemini/{name}{end}" for end in ("-1.jpg", "-2.jpg", ".json")]
    assert f"goes to {elsewhere.home}/astria-account/_account" in result.stderr
    assert "1 new generation, 2 pictures" in result.stderr
    assert result.stdout == ""
    again = call(elsewhere, "pull", "--json", config=False)
    assert again.exit_code == 0
    assert json.loads(again.stdout)["pictures"] == 0
    verified = call(elsewhere, "verify", config=False)
    assert "2 pictures checked, 2 as they were saved" in verified.stdout
    status = json.loads(call(elsewhere, "status", "--json", config=False).stdout)
    assert (status["counts"]["images"]["saved"], status["items"]) == (2, [])


def test_the_summary_for_programs(elsewhere):
    """One object on stdout; words on stderr."""
    result = call(elsewhere, "pull", "--json")
    found = json.loads(result.stdout)
    assert (found["version"], found["finished"], found["pictures"]) == (1, True, 2)
    assert found["folders"] == [str(elsewhere.output / "_account")]
    assert found["generations"] == {"listed": 1, "new": 1, "known": 0, "failed": 0, "gone": 0, "left": 0}
    assert found["bytes"] == sum(path.stat().st_size for path in elsewhere.output.rglob("*.jpg"))


def test_another_output(elsewhere):
    """--output says where to."""
    assert call(elsewhere, "pull", "--output", str(elsewhere.home / "rescue")).exit_code == 0
    assert (elsewhere.home / "rescue/_account/gemini").is_dir()
    assert not elsewhere.output.exists()


def test_a_second_output_says_where_the_first_is(elsewhere):
    """What an earlier pull has put elsewhere is not fetched again, and it is said where it lies."""
    home = elsewhere.home
    call(elsewhere, "pull", "--output", str(home / "a"))
    result = call(elsewhere, "pull", "--output", str(home / "b"))
    assert "1 were here already, or are of your files" in result.stderr
    assert f"in {home}/a/_account, where they stay" in result.stderr
    made(elsewhere, "a dog")
    found = json.loads(call(elsewhere, "pull", "--output", str(home / "b"), "--json").stdout)
    assert (found["folders"], found["known_in"]) == ([f"{home}/b/_account"], [f"{home}/a/_account"])


def test_the_same_progress_is_told_once(capsys, monkeypatch):
    """In a file or a pipe a line for each change; on a terminal one line that changes and is gone at the end."""
    told = Progress()
    for text in ("1 of 2", "1 of 2", "2 of 2"):
        told(text)
    told.over()
    assert capsys.readouterr().err == "1 of 2\n2 of 2\n"
    monkeypatch.setattr(module, "colour", lambda _: True)
    told = Progress()
    for text in ("1 of 2", "1 of 2", "2 of 2"):
        told(text)
    told.over()
    assert capsys.readouterr().err.replace("\x1b[K", "|") == "\r|1 of 2\r\r|2 of 2\r\r|"


def test_what_cannot_be_had_ends_with_1(elsewhere):
    """It is named, with the reason."""
    elsewhere.sim.faults.add(Fault(kind="status", status=503, host="pictures", times=None))
    result = call(elsewhere, "pull")
    assert result.exit_code == 1
    assert f"_account/gemini/a-cat-{elsewhere.number}: its host answered 503" in result.stderr


def test_without_a_token_it_ends_with_4(elsewhere):
    """None, and one that Astria refuses."""
    assert call(elsewhere, "pull", ASTRIA_AUTH_TOKEN=None).exit_code == 4
    result = call(elsewhere, "pull", ASTRIA_AUTH_TOKEN="sd_no")
    assert result.exit_code == 4
    assert "does not accept the token" in result.stderr


def test_another_process_has_the_state(elsewhere):
    """Two of them do not pull at once."""
    elsewhere.state.parent.mkdir()
    lock = StateLock(elsewhere.state, command="pull")
    lock.acquire()
    try:
        assert call(elsewhere, "pull").exit_code == 3
    finally:
        lock.release()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "is no date"),
        (["--since", "2026-13-01"], "is no date"),
        (["--since", "9999-01-01"], "lies in the future"),
        (["--since", ""], "is no date"),
        (["--output", "{home}/config.toml"], "is no folder"),
        (["--output", "{inbox}/pulled"], "lies in the watched folder"),
        (["--output", "{inbox}"], "lies in the watched folder"),
        (["more"], "unexpected extra argument"),
    ],
)
def test_wrong_input(elsewhere, arguments, words):
    """One sentence, and nothing is asked for."""
    filled = [one.format(home=elsewhere.home, inbox=elsewhere.inbox) for one in arguments]
    before = len(elsewhere.sim.ledger.requests())
    result = call(elsewhere, "pull", *filled)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert len(elsewhere.sim.ledger.requests()) == before


def test_moments():
    """A day begins where the machine is; a time may say its zone; lengths count back from now."""
    now = time.time()
    assert read_since("7d", now) == now - 7 * 86400
    assert read_since("12h", now) == now - 12 * 3600
    assert read_since("2026-01-02", now + 1e9) == time.mktime((2026, 1, 2, 0, 0, 0, 0, 0, -1))
    assert read_since("2026-01-02T00:00:00Z", now + 1e9) == 1767312000
    with pytest.raises(UsageError):
        read_since("2026-01-02", 0)


def test_a_running_daemon_does_it(elsewhere):
    """It is asked, and waited for; the summary is the same."""
    with running(elsewhere):
        result = call(elsewhere, "pull", "--json")
    assert result.exit_code == 0, result.stderr
    assert "The daemon does it" in result.stderr
    found = json.loads(result.stdout)
    assert (found["finished"], found["pictures"], found["generations"]["new"]) == (True, 2, 1)


def test_a_daemon_that_is_not_let_in(elsewhere):
    """It rests until its token is accepted; whoever waits for it is told, with 4."""
    with running(elsewhere) as service:
        service.until(lambda: elsewhere.value("walked:" + str(elsewhere.inbox)))
        elsewhere.sim.faults.add(Fault(kind="status", status=401, host="api", times=None))
        result = call(elsewhere, "pull")
        elsewhere.sim.faults.clear()
        service.until(lambda: elsewhere.value("gate:auth") is None)
    assert result.exit_code == 4
    assert "does not accept the token" in result.stderr


def test_stopped_in_the_middle(elsewhere):
    """Ctrl-C ends it in order, it says how to go on, and the next one does."""
    elsewhere.sim.faults.add(Fault(kind="hang", host="pictures"))
    elsewhere.settings()
    process = subprocess.Popen(
        [sys.executable, "-m", "astria_sync", "--config", str(elsewhere.home / "config.toml"), "pull"],
        env={key: value for key, value in env(elsewhere, elsewhere.home).items() if value is not None}
        | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    while not elsewhere.sim.ledger.requests("GET", host="pictures"):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)  # a second one does not wait for what hangs
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1, told
    elsewhere.sim.faults.clear()
    assert call(elsewhere, "pull").exit_code == 0
    assert elsewhere.check_pictures() == 2
