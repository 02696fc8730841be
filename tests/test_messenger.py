"""Notices on their way: a command may hang, fail, flood, not listen or not exist, and nobody waits for it."""

import json
import logging
import os
import select
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from astria_sync import desktop, hook
from astria_sync.core.news import Item, compose
from astria_sync.messenger import Messenger
from astria_sync.secrets import Token
from astria_sync.settings import Astria, Notify, Settings

NOTICE = compose(
    [Item(about="failed", kind="prompt", path="p.prompt", root="/in", reason="no")],
    {"failed": 1},
    at=1_800_000_000.0,
    configuration="",
)
PATIENCE = 20.0  # seconds after which a test gives up


def program(folder: Path, body: str, name: str = "tell") -> Path:
    """A command of the person's."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{body}\n")
    file.chmod(0o755)
    return file


class Desk:
    """A home, an environment, and a messenger that is told what to run."""

    def __init__(self, home: Path) -> None:
        self.home, self.out = home, home / "out"
        self.environ = {"PATH": f"{home}:{os.environ['PATH']}", "OUT": str(self.out)}
        self.notify = Notify()

    def messenger(self, body: str | None = None, **notify: object) -> Messenger:
        if body is not None:
            notify["command"] = str(program(self.home, body))
        self.notify = Notify(**notify)  # type: ignore[arg-type]
        messenger = Messenger(self.settings, environ=self.environ, home=self.home)
        messenger.patience = PATIENCE
        return messenger

    def settings(self) -> Settings:
        return Settings(
            file=self.home / "c.toml",
            state=self.home / "s",
            astria=Astria(token_file=self.home / "t"),
            notify=self.notify,
        )


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_the_command_gets_json(desk):
    """On its standard input, and only that."""
    carrier = desk.messenger('cat > "$OUT"')
    carrier.post(NOTICE)
    carrier.close()
    assert json.loads(desk.out.read_text()) == json.loads(json.dumps(NOTICE.body))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("exit 3", "it ended with 3"),
        ("kill -9 $$", "it was ended by SIGKILL"),
        ("exec <&-; exit 0", ""),
        ("exec >&- 2>&-; exit 0", ""),
        ("head -c 50000000 /dev/zero; head -c 5000000 /dev/zero >&2", ""),
    ],
)
def test_a_command_that_fails_is_said_once(desk, caplog, body, told):
    """In the log, however often it fails; one that floods its output or closes its input has not failed."""
    carrier = desk.messenger(body)
    for _ in range(3):
        carrier.post(NOTICE)
    carrier.close()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == bool(told)
    assert not told or told in said[0]


def test_a_large_notice_for_a_command_that_does_not_read(desk):
    """More than a pipe holds, and nobody takes it."""
    run = hook.Run()
    assert run(["true"], b"x" * 1_000_000, environ=desk.environ, home=desk.home) == ""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/no/such/program", "/no/such/program does not exist"),
        ("nosuchprogram", "nosuchprogram is not in PATH"),
        ("./c.toml", "c.toml is not executable"),
    ],
)
def test_a_command_that_is_not_there_is_said_at_the_start(desk, caplog, command, told):
    """And again not with each notice, but for the words of the system."""
    (desk.home / "c.toml").write_text("")
    carrier = desk.messenger(command=command)
    carrier.check()
    assert told in caplog.records[0].getMessage()
    for _ in range(3):
        carrier.post(NOTICE)
    carrier.close()
    assert len(caplog.records) == 2
    assert "cannot be run" in caplog.records[1].getMessage()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(desk):
    """After its time, children included."""
    file = program(desk.home, 'sleep 600 & echo $! > "$OUT"; wait')
    wrong = hook.Run()([str(file)], b"", environ=desk.environ, home=desk.home, patience=0.5)
    assert "had not ended after 0.5 seconds" in wrong
    child = int(desk.out.read_text())
    with suppress(ProcessLookupError):  # it is over, and its parent's parent has noticed
        assert select.select([os.pidfd_open(child)], [], [], PATIENCE)[0]


def test_the_end_does_not_wait_for_a_command_that_hangs(desk):
    """It is ended as soon as the patience is over."""
    os.mkfifo(desk.out)
    carrier = desk.messenger('echo up > "$OUT"; exec sleep 600')
    carrier.post(NOTICE)
    assert desk.out.read_text() == "up\n"  # it runs
    carrier.patience = 0.0
    carrier.close()
    assert carrier._thread is not None
    carrier._thread.join(PATIENCE)
    assert not carrier._thread.is_alive()


def test_what_the_end_cuts_short_is_said(desk, caplog):
    """What waits behind it is not begun any more: it would get half of its notice, and nobody to end it."""
    os.mkfifo(desk.out)
    carrier = desk.messenger(f'echo up >> "{desk.home}/begun"; echo up > "$OUT"; exec sleep 600')
    carrier.post(NOTICE)
    assert desk.out.read_text() == "up\n"
    for _ in range(8):
        carrier.post(NOTICE)
    carrier.patience = 0.0
    carrier.close()
    assert carrier._thread is not None
    carrier._thread.join(PATIENCE)
    assert not carrier._thread.is_alive()
    assert (desk.home / "begun").read_text() == "up\n"
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("A notification under way and 8 behind it are not waited for")


def test_who_posts_never_waits(desk, caplog):
    """While a command hangs, a few notices wait; what comes beyond is left out, and said."""
    os.mkfifo(desk.out)
    carrier = desk.messenger('echo up > "$OUT"; exec sleep 600')
    poster = threading.Thread(target=lambda: [carrier.post(NOTICE) for _ in range(50)])
    poster.start()
    poster.join(PATIENCE)
    assert not poster.is_alive()
    assert "is left out" in caplog.text
    desk.out.read_text()
    carrier.patience = 0.0
    carrier.close()
    carrier.post(NOTICE)  # too late, and no harm


def test_the_command_is_not_told_the_token(desk):
    """Not by its environment, under whatever name, nor by the notice."""
    secret = Token("sd_not_a_real_one_0123456789", source="the test")
    names = ["ASTRIA_AUTH_TOKEN", "ASTRIA_API_KEY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"]
    desk.environ |= dict.fromkeys(names, "x") | {"MY_KEY": secret.reveal(), "KEPT": "kept"}
    carrier = desk.messenger('env > "$OUT"; cat >> "$OUT"')
    leaky = Item(about="failed", kind="prompt", path="p", root="/", reason=f"said {secret.reveal()}")
    carrier.post(compose([leaky], {"failed": 1}, at=0.0, configuration=""))
    carrier.close()
    seen = desk.out.read_text()
    assert "KEPT=kept" in seen
    assert secret.reveal() not in seen
    assert not [name for name in names if f"{name}=" in seen]
    assert "said" in json.loads(seen[seen.index("{") :])["text"]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("~/bin/tell", ("/home/me/bin/tell",)),
        ("tell --to 'me and you' ~/log $HOME", ("tell", "--to", "me and you", "/home/me/log", "$HOME")),
        ("./tell # all", ("/etc/x/./tell", "#", "all")),
        ("/usr/bin/tell;rm", ("/usr/bin/tell;rm",)),
    ],
)
def test_a_command_is_split_without_a_shell(command, words):
    """Quotes and `~/` as in a shell; nothing else means anything."""
    assert hook.command_line(command, home=Path("/home/me"), folder=Path("/etc/x")) == words


# The desktop


def test_the_desktop_is_told_by_notify_send(desk):
    """Title and text as arguments after `--`, and no markup or escape of a file's name has a meaning."""
    program(desk.home, 'printf "%s\\n" "$@" > "$OUT"', "notify-send")
    desk.environ["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nowhere"
    item = Item(about="failed", kind="prompt", path='--<b>&"\\n\x1b[2J\u202e.prompt', root="/in", reason="no")
    carrier = desk.messenger(desktop=True)
    carrier.post(compose([item], {"failed": 1}, at=0.0, configuration=""))
    carrier.close()
    assert desk.out.read_text().splitlines() == [
        "--app-name=astria-sync",
        "--urgency=normal",
        "--category=transfer",
        "--",
        "astria-sync: 1 failed",
        '--&lt;b&gt;&amp;"\\\\n\\\\x1b[2J\\\\u202e.prompt: no',
    ]


def test_no_desktop_is_said_once(desk, caplog):
    """At the start; the hook goes on."""
    carrier = desk.messenger('cat > "$OUT"', desktop=True)
    carrier.check()
    for _ in range(3):
        carrier.post(NOTICE)
    carrier.close()
    assert len(caplog.records) == 1
    assert "desktop" in caplog.text
    assert desk.out.exists()


def test_a_service_finds_the_desktop_by_the_users_bus(desk):
    """systemd's services have no DISPLAY, but the session's bus."""
    program(desk.home, "exit 0", "notify-send")
    assert "no desktop session" in desktop.obstacle(desk.environ | {"XDG_RUNTIME_DIR": str(desk.home)})
    (desk.home / "bus").write_text("")
    assert desktop.obstacle(desk.environ | {"XDG_RUNTIME_DIR": str(desk.home)}) == ""


def test_alerts_of_the_state_are_few(desk):
    """A disk that is full every other second is told once."""
    carrier = desk.messenger('cat >> "$OUT"')
    for _ in range(5):
        carrier.alert("The state cannot be written.")
        carrier.alert("")
    carrier.close()
    (line,) = desk.out.read_text().splitlines()
    assert json.loads(line)["event"] == "state"


def test_nobody_wants_any(desk):
    """Off as by default: no thread, no process."""
    carrier = desk.messenger()
    carrier.check()
    carrier.post(NOTICE)
    carrier.close()
    assert carrier._thread is None
