"""`run`, `simulator` and `demo` as the processes that they are."""

import errno
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from astria_sync import lock
from astria_sync.cli import demo, logs
from astria_sync.cli.run import summary
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock


def start(desk, *arguments, **environ):
    return subprocess.Popen(
        [sys.executable, "-m", "astria_sync", *arguments],
        env=desk.environ(**environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As in a terminal: what a shell starts in the background, tests too, has it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_run_once_sums_up(desk, account):
    """At the end it says what was made, what waits and why, what failed and why; the token is in no line of it."""
    desk.configure()
    (desk.inbox / "sky.prompt").write_text("a sky")
    (desk.inbox / "look.prompt").write_text("<nobody> in the rain")
    (desk.inbox / "bad.prompt").write_text("a sky FAIL_USER_ERROR")
    result = desk.process("--verbose", "run", "--once", "--timeout", "30", **account)
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    assert re.search(r"^Made: 1 picture of 1 prompt", result.stderr, re.MULTILINE)
    assert re.search(rf"^  sky.prompt → {desk.home}/out/sky/sky-\d+-1.jpg$", result.stderr, re.MULTILINE)
    failed, _, waiting = result.stderr.partition("\nFailed:\n")[2].partition("Not finished:\n")
    assert "bad.prompt: Astria could not make it" in failed
    assert "look.prompt: waits for <nobody>" in waiting
    assert account["ASTRIA_AUTH_TOKEN"] not in result.stderr
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \w+ ", result.stderr)


def test_run_once_with_a_day_limit_has_not_failed(desk, account):
    """What the day's limit holds back is left for another day: that is said, and the run ends with 0."""
    desk.configure("[limits]\nspend_per_day_usd = 0.01")
    for name in ("sky", "sea"):
        (desk.inbox / f"{name}.prompt").write_text(f"a {name}")
    result = desk.process("run", "--once", "--timeout", "30", **account)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^Made: 1 picture of 1 prompt", result.stderr, re.MULTILINE)
    assert "costs more than the day's limit of $0.01" in result.stderr
    assert "$0.14 of the day's limit of $0.01 is spent; 1 prompt held back" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize(("command", "code"), [(("run", "--once"), 0), (("nonsense",), 2)])
def test_words_that_cannot_be_written_change_nothing(desk, account, command, code):
    """A log on a full disk is no failure of what was done: everything is, and the exit code says so."""
    desk.configure()
    (desk.inbox / "p.prompt").write_text("words")
    arguments = [sys.executable, "-m", "astria_sync", "--config", str(desk.config), *command]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(arguments, env=desk.environ(**account), stderr=full, timeout=50, check=False)
    assert ended.returncode == code
    assert len(list(desk.home.glob("out/p/p-*.jpg"))) == (code == 0)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
@pytest.mark.parametrize("command", [("--help",), ("--version",), ("status", "--help"), ("status",)])
def test_data_that_cannot_be_written_is_one_sentence(desk, command):
    """Whether a command was called or not: what the system refused, and what to do."""
    desk.configure()
    arguments = [sys.executable, "-m", "astria_sync", "--config", str(desk.config), *command]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            arguments,
            env=desk.environ(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr == "astria-sync: No space left on device; free some space and try again.\n"


def test_a_line_that_cannot_be_written_is_not_told_unmasked(monkeypatch):
    """The disk of the log is full for a moment: the line is lost, and what it would have held is nowhere else."""

    class FullOnce(io.StringIO):
        full = True

        def write(self, text):
            if self.full:
                self.full = False
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(text)

    root, stream = logging.getLogger(), FullOnce()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", stream)
    ours, levels = logging.getLogger("astria_sync"), (root.level, logging.getLogger("astria_sync").level)
    try:
        logs.set_up(verbose=False)
        for word in ("first", "second"):
            ours.info("the %s line", word)
        logs.flush()
    finally:
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        logging.captureWarnings(capture=False)
    notice, second = stream.getvalue().splitlines()
    assert "1 lines of the log were dropped" in notice
    assert second.endswith("the second line")


def test_run_without_a_token_ends_with_4(desk):
    """Nothing can be done without a token, and that is said."""
    result = desk.configure().process("run", "--once")
    assert result.returncode == 4
    assert "There is no token" in result.stderr
    assert "Traceback" not in result.stderr


def test_run_beside_another_daemon_ends_with_3(desk, account):
    """One daemon at a time for one state."""
    held = StateLock(desk.configure().state)
    held.acquire()
    try:
        result = desk.process("run", "--once", **account)
    finally:
        held.release()
    assert result.returncode == 3
    assert "in use by" in result.stderr


def test_run_with_a_token_that_is_refused_ends_with_4(desk, account):
    """`run --once` does not wait for a better token."""
    (desk.configure().inbox / "sky.prompt").write_text("a sky")
    result = desk.process("run", "--once", **account | {"ASTRIA_AUTH_TOKEN": "another-key"})
    assert result.returncode == 4, result.stderr
    assert "does not accept the token" in result.stderr


def test_a_daemon_takes_orders_and_ends_on_ctrl_c(desk, account):
    """`pause` reaches a running daemon, `status` sees both, and an interrupt ends it with 0."""
    daemon = start(desk.configure(), "--config", str(desk.config), "run", **account)
    try:
        deadline = time.monotonic() + 20
        while not json.loads(desk("status", "--json").stdout)["daemon"]["running"]:
            assert time.monotonic() < deadline
        while not desk.state.with_name("state.db.sock").exists():
            assert time.monotonic() < deadline
        assert "Paused" in desk("pause").stderr
        while not (found := json.loads(desk("status", "--json").stdout))["paused"]:
            assert time.monotonic() < deadline
        assert found["daemon"]["pid"] == daemon.pid
    finally:
        daemon.send_signal(signal.SIGINT)
        _, words = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, words
    assert f"Watching {desk.inbox}" in words


def test_the_second_daemon_ends_with_3_and_names_the_first(desk, account, monkeypatch):
    """One state, by its name and by a link; one root with another state, by a link, from above, from inside, without a session:
    all end with 3, name the process, since when, and its state. Once the first was killed, nothing of it is in the way.
    """
    monkeypatch.setattr(lock, "_PATIENCE", 0.05)
    first = start(desk.configure(), "--config", str(desk.config), "run", **account)
    try:
        while not re.search("Watching", first.stderr.readline()):
            assert first.poll() is None
        here = rf"in use by another astria-sync \(process {first.pid}, since 20\d\d-[^)]*, run\)"
        for arguments in (["run"], ["run", "--once"]):
            refused = desk(*arguments, **account)
            assert refused.exit_code == 3
            assert re.search(here, refused.stderr), refused.stderr
        (desk.home / "link.db").symlink_to(desk.state)
        (desk.home / "link").symlink_to(desk.inbox)
        (desk.inbox / "jane").mkdir()
        there = rf"is watched already by another astria-sync \(process {first.pid}, since .* with the state {desk.state};"
        for state, root, said, session in (
            ("link.db", "inbox", here, True),
            ("other.db", "inbox", there, True),
            ("other.db", "inbox", there, False),
            ("other.db", "link", there, True),
            ("other.db", "inbox/jane", there, True),
            ("other.db", ".", there, True),
        ):
            other = desk.home / "other.toml"
            other.write_text(f'state = "{state}"\n[[watch]]\npath = "{root}"\noutput = "{desk.home}/out2"\n')
            environ = account if session else account | {"XDG_RUNTIME_DIR": ""}
            refused = desk("--config", str(other), "run", "--once", config=False, **environ)
            assert refused.exit_code == 3, (state, root)
            assert re.search(said, refused.stderr), refused.stderr
        assert json.loads(desk("status", "--json").stdout)["daemon"]["pid"] == first.pid
    finally:
        first.kill()
        first.communicate()
    (desk.inbox / "sky.prompt").write_text("a sky")
    assert desk("run", "--once", **account).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_simulator_prints_what_a_shell_can_take(desk, number):
    """Its first line sets address and token; a signal ends it with 0."""
    stand_in = start(desk, "simulator", "--train-seconds", "1", "--idempotency")
    try:
        line = stand_in.stdout.readline()
    finally:
        stand_in.send_signal(number)
        _, words = stand_in.communicate(timeout=20)
    assert re.fullmatch(r"export ASTRIA_BASE_URL=http://127.0.0.1:\d+ ASTRIA_AUTH_TOKEN=\S+\n", line)
    assert stand_in.returncode == 0
    assert "The simulator ends" in words


def test_the_simulator_as_json(desk):
    """A program reads address and token from JSON."""
    stand_in = start(desk, "simulator", "--json")
    try:
        first = "".join(stand_in.stdout.readline() for _ in range(5))
    finally:
        stand_in.terminate()
        stand_in.communicate(timeout=20)
    assert set(json.loads(first)) == {"base_url", "token", "pictures_url"}


def test_a_port_that_is_taken_is_a_sentence(desk, stand_in):
    """Two cannot listen on one port."""
    port = stand_in.base_url.rpartition(":")[2]
    result = desk("simulator", "--port", port, config=False)
    assert result.exit_code == 2
    assert f"Port {port} cannot be used" in result.stderr


def test_demo_ends_with_pictures(desk):
    """Piped, without a network or an account: every picture, which file it came from, the price, and how to go on."""
    studio = desk.home / "kept studio"
    result = desk.process(
        "demo",
        "--fast",
        "--keep",
        str(studio),
        config=False,
        ASTRIA_AUTH_TOKEN="must-not-be-used",
        WORKSPACE_ID="1",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "5 of 5 pictures arrived" in result.stdout
    for prompt in ("jane/hiking", "jane/portrait", "lighthouse", "lookbook"):
        (first, *_) = (studio / "generated" / prompt).glob("*.jpg")
        assert first.stat().st_size > 1000
        assert re.search(rf"{prompt}.prompt +→ generated/{prompt}/{first.stem[:-1]}", result.stdout)
    assert re.search(r"At Astria: \$\d", result.stdout)
    assert "astria-sync init" in result.stdout
    assert "\x1b" not in result.stdout
    assert (studio / "contact-sheet.jpg").exists()
    assert os.listdir(desk.home) == ["kept studio"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_that_is_stopped_leaves_nothing_behind(desk, number):
    """Whoever ends the demo ends its daemon and its studio with it."""
    demo = start(desk, "demo", TMPDIR=str(desk.home))
    try:
        while "settling" not in demo.stdout.readline():
            assert demo.poll() is None
        (studio,) = desk.home.glob("astria-demo-*")
    finally:
        demo.send_signal(number)
        _, words = demo.communicate(timeout=20)
    assert demo.returncode == 130, words
    assert "Traceback" not in words
    assert not studio.exists()


def test_demo_tells_what_kept_pictures_from_coming(tmp_path, capsys):
    """A full disk is told of as `status` tells of it, and the demo has failed."""
    state = tmp_path / "state" / "state.db"
    with closing(open_journal(state, now=0)) as journal, journal.transaction():
        journal.put(f"output:{tmp_path}/generated", "generated has 0 MB free; make room")
    assert not demo._ending(tmp_path, state, 1, 0, keep=True)
    assert "generated has 0 MB free; make room" in capsys.readouterr().err


def test_demo_touches_nothing_that_is_there(desk):
    """A folder with something in it is refused."""
    desk.configure()
    result = desk("demo", "--keep", str(desk.home), config=False)
    assert result.exit_code == 2
    assert "is not empty" in result.stderr


def test_nothing_done_is_not_nothing_to_do(tmp_path):
    """A run that ended before it saw anything (its state could not be written) does not say that nothing was left."""
    state = tmp_path / "none.db"
    assert list(summary(state, since=0.0))[-1] == "Nothing was left to do."
    assert list(summary(state, since=0.0, over=False))[-1].startswith("Not finished:")
