"""SIGHUP to real daemons, which no terminal started: the configuration is read again, and nothing is paid twice on the way."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from astria_sync import reloading
from astria_sync.errors import ConfigError
from astria_sync.rootlocks import RootLocks
from astria_sync.simulator import Fault

pytestmark = pytest.mark.usefixtures("hangups")


class Service:
    """`astria-sync run` with a studio's configuration, and systemd's end of the socket."""

    def __init__(self, studio, home, *, profile="", stderr=None):
        self.studio, self.home = studio, home
        self.place = studio.home / "notify"
        self.ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ear.bind(str(self.place))
        self.ear.settimeout(20)
        self.heard = []
        self.log = (studio.home / "log").open("w+")
        if not profile:
            studio.settings()
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ASTRIA_BASE_URL": studio.base_url,
            "ASTRIA_AUTH_TOKEN": studio.token,
            "NOTIFY_SOCKET": str(self.place),
        }
        which = ["--profile", profile] if profile else ["--config", str(studio.home / "config.toml")]
        command = [sys.executable, "-m", "astria_sync", *which, "run"]
        self.process = subprocess.Popen(
            command,
            env=environ,
            stderr=stderr or self.log,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def hears(self, word):
        """Wait until systemd is told this."""
        while True:
            self.heard.append(self.ear.recv(4096).decode())
            if self.heard[-1].startswith(word):
                return self.heard[-1]

    def until(self, holds):
        for _ in range(2000):
            if holds():
                return
            threading.Event().wait(0.01)
        pytest.fail(f"it did not come to pass: {self.studio.states()}\n{self.said()}")

    def said(self):
        return (self.studio.home / "log").read_text()

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def end(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, self.said()


@pytest.fixture
def start(tmp_path):
    """Starts services, in one home."""
    started = []

    def begin(studio, **how):
        started.append(Service(studio, tmp_path, **how))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()
        one.ear.close()
        one.log.close()


@pytest.fixture
def service(studio, start):
    return start(studio)


def test_a_new_root_is_watched_in_the_same_process(studio, service):
    """READY, RELOADING, READY: the same process watches what the configuration names now, and has forgotten nothing."""
    studio.prompt("first.prompt", "words")
    service.hears("READY=1")
    service.until(lambda: studio.states().get("first.prompt") == "done")
    other = studio.root("other")
    studio.write(other / "second.prompt", "other words")
    studio.settings()
    service.reload()
    assert "MONOTONIC_USEC=" in service.hears("RELOADING=1")
    service.hears("READY=1")
    service.until(lambda: studio.states().get("second.prompt") == "done")
    service.end()
    assert "STOPPING=1" in service.heard or service.hears("STOPPING=1")
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


def test_a_reload_behind_another_ends_nothing(studio, start):
    """Nobody reads the log, so the first takes its time to begin anew; what comes in between is no reason to die."""
    nobody, full = os.pipe()
    os.set_blocking(full, False)
    with suppress(BlockingIOError):
        while True:
            os.write(full, bytes(4096))
    os.set_blocking(full, True)
    service = start(studio, stderr=full)
    try:
        service.hears("READY=1")
        for _ in range(12):
            service.reload()
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"it has ended with {service.process.wait(0.25)}")
        service.hears("RELOADING=1")
        service.hears("READY=1")
    finally:
        os.close(nobody)
        os.close(full)


def test_what_is_paid_for_is_waited_for(studio, service):
    """A reload while Astria takes its time over an order, and another right behind it: it is answered, bound, paid for once."""
    service.hears("READY=1")
    studio.sim.faults.add(Fault(kind="delay", method="POST", when="after", seconds=1.0, times=1))
    studio.prompt("p.prompt", "words")
    service.until(lambda: studio.posts())
    service.reload()
    service.reload()
    service.hears("RELOADING=1")
    service.hears("READY=1")
    service.until(lambda: studio.states().get("p.prompt") == "done")
    service.end()
    assert (studio.made(), len(studio.posts())) == ((0, 1), 1)
    assert studio.check_pictures() == 1


def test_many_reloads_pay_for_nothing_twice(studio, service):
    """Again and again while tunes and prompts are on their way: each is made once."""
    service.hears("READY=1")
    for n in range(3):
        studio.folder(f"jane{n}")
        studio.prompt(f"jane{n}/p.prompt", f"words {n}")
        service.reload()
        service.hears("RELOADING=1")
        service.hears("READY=1")
    service.until(
        lambda: (
            list(studio.states().values()) == ["ready", "done"] * 3
            or set(studio.states().values()) == {"ready", "done"}
        )
    )
    service.end()
    assert (studio.made(), len(studio.posts())) == ((3, 3), 6)


def test_a_broken_configuration_keeps_the_old_one(studio, service):
    """It is said in the log, to systemd and in `status`, and the work goes on as before; once it is mended, so are they."""
    service.hears("READY=1")
    config = studio.home / "config.toml"
    whole = config.read_text()
    config.write_text(whole.replace("settle_seconds", "settle_secnds"))
    service.reload()
    service.hears("RELOADING=1")
    service.hears("READY=1")
    assert "settle_secnds" in service.hears("STATUS=The configuration was read again and is not taken over")
    assert "did you mean" in service.said()
    assert "the one before it goes on" in studio.value("reload")
    studio.prompt("p.prompt", "words")
    service.until(lambda: studio.states().get("p.prompt") == "done")
    config.write_text(whole)
    service.reload()
    service.hears("RELOADING=1")
    service.hears("READY=1")
    service.until(lambda: studio.value("reload") is None)
    service.end()


# What a reload is refused for


def check(studio, *, sandboxed=False, **tables):
    """Why the studio's configuration cannot be taken over, with these in place of its own."""
    old = studio.settings()
    for name, value in tables.items():
        setattr(studio, name, value)
    environ = {"ASTRIA_SYNC_CONFIG": "", "ASTRIA_AUTH_TOKEN": studio.token}
    return reloading.why_not(old, studio.settings, environ=environ, home=studio.home, sandboxed=sandboxed)


def test_nothing_speaks_against_the_same(studio):
    assert check(studio) == ""


def test_the_state_cannot_change(studio):
    """Another state is another daemon's: one must stop this one."""
    assert "`state` cannot change while astria-sync runs" in check(studio, state=studio.home / "other.db")


def test_a_root_that_is_not_there(studio):
    """It is named, as at a start."""
    gone = {"path": str(studio.home / "gone"), "output": str(studio.home / "o")}
    assert "does not exist" in check(studio, watches=[*studio.watches, gone])


def test_a_root_out_of_the_sandbox(studio):
    """In a service it may well be there, and one command puts it right."""
    gone = {"path": str(studio.home / "gone"), "output": str(studio.home / "o")}
    assert "run `astria-sync service install` again" in check(
        studio, sandboxed=True, watches=[*studio.watches, gone]
    )


def test_an_output_out_of_the_sandbox(studio, monkeypatch):
    """What would be paid for and could not be saved is refused before."""
    root = studio.root("more")
    monkeypatch.setattr(reloading, "_read_only", lambda path: str(path).endswith("more-out"))
    watches, studio.watches = studio.watches, studio.watches[:1]
    told = check(studio, sandboxed=True, watches=watches)
    assert told.startswith(f"{root}-out cannot be written")
    assert (
        check(studio, sandboxed=True) == ""
    )  # what was there before is not refused: its trouble is told elsewhere


def test_a_root_that_another_daemon_watches(studio, tmp_path):
    """Two daemons would pay for the same files twice."""
    theirs = studio.root("theirs")
    watches, studio.watches = studio.watches, studio.watches[:1]
    other = RootLocks([theirs], state=tmp_path / "other.db", environ={}, home=studio.home)
    other.acquire()
    try:
        assert "is watched already by another astria-sync" in check(studio, watches=watches)
    finally:
        other.release()


def test_a_root_inside_the_one_that_is_given_up(studio):
    """Our own locks do not stand in the way of ourselves."""
    inner = studio.inbox / "inner"
    inner.mkdir()
    ours = RootLocks([studio.inbox], state=studio.state, environ={}, home=studio.home)
    ours.acquire()
    try:
        assert check(studio, watches=[{"path": str(inner), "output": str(studio.output)}]) == ""
    finally:
        ours.release()


def test_without_a_token(studio):
    """A daemon that begins anew without one would end for good."""
    old = studio.settings()
    told = reloading.why_not(old, lambda: old, environ={}, home=studio.home, sandboxed=False)
    assert told.startswith("There is no token")


def test_all_that_is_wrong_is_one_text(studio):
    """Every problem of the configuration, one after the other."""

    def read():
        raise ConfigError("One.", "Two.")

    told = reloading.why_not(studio.settings(), read, environ={}, home=studio.home, sandboxed=False)
    assert told == "One. Two."


def test_two_profiles_side_by_side(make_studio, start, tmp_path):
    """Two accounts in one home, each with a configuration, a state and a root: each gets its own pictures, and pays itself."""
    studios = {name: make_studio() for name in ("one", "two")}
    for name, studio in studios.items():
        studio.settings()
        file = tmp_path / ".config" / "astria-sync" / f"{name}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = (studio.home / "config.toml").read_text()
        file.write_text(whole.partition("\n")[2])  # without `state`: a profile has one of its own
        studio.state = tmp_path / ".local" / "state" / "astria-sync" / f"{name}.db"
    daemons = [start(studio, profile=name) for name, studio in studios.items()]
    for daemon in daemons:
        daemon.hears("READY=1")
        daemon.studio.folder("jane")
        daemon.studio.prompt("jane/p.prompt", "words")
    for daemon in daemons:
        daemon.until(lambda daemon=daemon: daemon.studio.states().get("jane/p.prompt") == "done")
        daemon.end()
    assert [studio.made() for studio in studios.values()] == [(1, 1), (1, 1)]
    assert [studio.check_pictures() for studio in studios.values()] == [1, 1]
