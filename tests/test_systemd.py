"""What systemd is told, against real sockets."""

import os
import socket
import time
from contextlib import closing

import pytest

from astria_sync.systemd import Notifier


def listening(address):
    """A service manager's end."""
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(address)
    ear.settimeout(5)
    return closing(ear)


@pytest.mark.parametrize("abstract", [False, True])
def test_everything_it_can_say(tmp_path, abstract):
    """Each word is one datagram, to a socket that is a file or to one that is none."""
    name = f"@astria-sync-test-{os.getpid()}-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with listening(name.replace("@", "\0", 1)) as ear:
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "7"}, pid=7)
        notifier.ready()
        notifier.status("3 training,\n12 waiting")
        notifier.alive()
        notifier.patience(60)
        notifier.reloading()
        notifier.stopping()
        said = [ear.recv(1000).decode() for _ in range(6)]
    assert said[:4] == [
        "READY=1",
        "STATUS=3 training, 12 waiting",
        "WATCHDOG=1",
        "EXTEND_TIMEOUT_USEC=60000000",
    ]
    assert said[5] == "STOPPING=1"
    word, moment = said[4].splitlines()
    assert word == "RELOADING=1"
    name, _, usec = moment.partition("=")
    assert name == "MONOTONIC_USEC"
    assert 0 <= time.clock_gettime(time.CLOCK_MONOTONIC) - int(usec) / 1e6 < 60


def test_a_long_status_is_cut(tmp_path):
    """It is one line of `systemctl status`, whatever it is made of."""
    with listening(str(tmp_path / "notify")) as ear:
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).status("x" * 100_000)
        assert len(ear.recv(100_000)) < 500


@pytest.mark.parametrize("name", ["", "relative/path", "vsock:2:1234"])
def test_without_systemd_nothing_is_told(name):
    """No socket, or none that a local service has: it does nothing, and knows."""
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000"})
    assert not notifier.there
    assert notifier.watchdog is None
    notifier.ready()


def test_nobody_listens(tmp_path):
    """A manager that is gone, or whose queue is full, neither raises nor holds anything up."""
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    gone.ready()
    with listening(str(tmp_path / "full")):
        full = Notifier({"NOTIFY_SOCKET": str(tmp_path / "full")})
        for _ in range(2000):  # a datagram socket queues a few hundred at most
            full.ready()


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("180000000", "", 180.0),
        ("180000000", "7", 180.0),
        ("180000000", "8", None),  # meant for another process
        ("", "", None),
        ("0", "", None),
        ("-5", "", None),
        ("soon", "", None),
        ("²", "", None),
    ],
)
def test_who_is_watched(tmp_path, usec, pid, seconds):
    """The interval, if it is one and it is this process that is meant."""
    environ = {"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notifier(environ, pid=7).watchdog == seconds
