"""Signs of life: when a daemon is ready, when its watchdog is fed and when not, and what `systemctl status` shows. The clock is turned."""

import math
import socket
from collections import Counter
from contextlib import closing
from types import SimpleNamespace

import pytest

from astria_sync.core.gates import Gate, Gates
from astria_sync.core.work import Lane
from astria_sync.heartbeat import Heartbeat, line
from astria_sync.journal import open_journal
from astria_sync.progress import Progress
from astria_sync.settings import Astria
from astria_sync.systemd import Notifier

WATCHDOG = 60.0


class Daemon:
    """What a heartbeat needs of one, and systemd's end of the socket."""

    def __init__(self, ear, address, watchdog):
        self.ear, self.now, self.looked = ear, 1000.0, False
        self.progress = Progress()
        self.ctx = SimpleNamespace(
            journal=open_journal(None, now=0.0),
            busy=Counter(),
            gates=Gates(),
            stopping=False,
            wall=1e9,
            settings=SimpleNamespace(astria=Astria(token_file=None, timeout_seconds=60.0)),
        )
        environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(watchdog * 1e6))}
        self.beat = Heartbeat(
            Notifier(environ),
            ctx=self.ctx,
            progress=self.progress,
            looked=lambda: self.looked,
            clock=lambda: self.now,
        )

    def turn(self, seconds=0.0):
        """Time passes, the loop turns; what systemd heard."""
        self.now += seconds
        self.beat()
        heard = []
        while True:
            try:
                heard.append(self.ear.recv(4096, socket.MSG_DONTWAIT).decode())
            except BlockingIOError:
                return heard

    def turns(self, seconds, every=5.0):
        """The loop turns for so long; what was heard."""
        heard = []
        for _ in range(int(seconds / every)):
            heard += self.turn(every)
        return heard


@pytest.fixture
def daemon(tmp_path):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as ear:
        ear.bind(str(tmp_path / "notify"))
        yield Daemon(ear, str(tmp_path / "notify"), WATCHDOG)


def test_ready_after_the_first_look(daemon):
    """Not before every root was looked at, once, and whether or not there is a network."""
    assert "READY=1" not in daemon.turn()
    daemon.ctx.gates.close("network", Gate("no network", 2000.0))
    daemon.looked = True
    assert "READY=1" in daemon.turn(1)
    assert "READY=1" not in daemon.turn(1)


def test_a_long_first_look_asks_for_more_time(daemon):
    """As long as the loop turns the start is extended; a share that never answers holds it up for five minutes, no longer."""
    heard = daemon.turns(290)
    assert heard.count("EXTEND_TIMEOUT_USEC=60000000") >= 290 / 30
    assert "READY=1" not in heard
    heard = daemon.turns(20)
    assert "READY=1" in heard
    assert not [word for word in daemon.turns(120) if word.startswith("EXTEND")]


def test_the_watchdog_is_fed_while_the_loop_turns(daemon):
    """At least twice in its interval, and not on each of a thousand turns."""
    daemon.looked = True
    daemon.turn()
    heard = daemon.turns(WATCHDOG, every=daemon.beat())
    assert 2 <= heard.count("WATCHDOG=1") <= 8
    assert sum(word == "WATCHDOG=1" for _ in range(1000) for word in daemon.turn(0.001)) <= 1


def test_requests_of_which_nothing_is_heard_starve_it(daemon):
    """All that is under way is silent for longer than a request may be by its own time-outs: it is fed no more, and that is said."""
    daemon.turn()
    daemon.ctx.busy[Lane.REQUESTS] = 8
    assert "WATCHDOG=1" in daemon.turns(daemon.beat.limit - 10)[-3:]
    daemon.turns(20)
    assert "WATCHDOG=1" not in daemon.turns(600)


def test_an_upload_that_moves_keeps_it_fed(daemon):
    """A gigabyte over a slow line takes hours, and each of its bytes is a sign of life."""
    daemon.turn()
    daemon.ctx.busy[Lane.UPLOADS] = 1
    for _ in range(100):
        daemon.progress.heard = daemon.now
        assert "WATCHDOG=1" in daemon.turns(300)
    assert "WATCHDOG=1" in daemon.turns(daemon.beat.limit - 20)[-3:]


def test_a_dead_share_and_long_rests_do_not_starve_it(daemon):
    """A start would mend no disk that does not answer; and a daemon that had nothing to do for a week is as fresh as ever."""
    daemon.ctx.busy[Lane.DISK] = 4
    daemon.ctx.busy[Lane.DOWNLOADS] = 8
    for _ in range(100):
        assert "WATCHDOG=1" in daemon.turn(6000)
    daemon.ctx.busy[Lane.REQUESTS] = 1
    assert "WATCHDOG=1" in daemon.turn(60)


def test_the_line_follows_what_changes(daemon):
    """At once when something has changed, once a second at most, and not at all when nothing has."""
    daemon.looked = True
    heard = daemon.turn()
    assert "STATUS=nothing waits, $0.00 today" in heard
    assert not [word for word in daemon.turns(60) if word.startswith("STATUS")]
    with daemon.ctx.journal.transaction():
        daemon.ctx.journal.put("paused", value=True)
    assert "STATUS=paused; nothing waits, $0.00 today" in daemon.turn(2)
    with daemon.ctx.journal.transaction():
        daemon.ctx.journal.put("paused", None)
    assert not [word for word in daemon.turn(0.1) if word.startswith("STATUS")]
    assert 0 < daemon.beat() < 1  # the loop is to turn again as soon as it may be said
    assert "STATUS=nothing waits, $0.00 today" in daemon.turn(2)


def test_what_stands_in_the_way_comes_first(daemon):
    """A state that cannot be written is the line, until it can."""
    daemon.turn()
    daemon.beat.trouble = "The disk is full"
    assert "STATUS=The disk is full" in daemon.turn(2)
    daemon.beat.trouble = ""
    assert "STATUS=nothing waits, $0.00 today" in daemon.turn(2)


def test_a_closed_state_is_no_end(daemon):
    """What it cannot read it leaves to the loop to find out, and goes on feeding."""
    daemon.ctx.journal.close()
    assert "WATCHDOG=1" in daemon.turn(10)


def test_the_end_is_told_once(daemon):
    """STOPPING when the end begins; the watchdog is fed during the drain."""
    daemon.turn()
    daemon.ctx.stopping = True
    assert "STOPPING=1" in daemon.turn(1)
    heard = daemon.turns(60)
    assert "STOPPING=1" not in heard
    assert "WATCHDOG=1" in heard


def test_to_begin_anew_is_no_end(daemon):
    """While it waits for requests before a reload, systemd is told that, and not that it stops."""
    daemon.turn()
    daemon.ctx.stopping = daemon.beat.reloads = True
    heard = daemon.turns(60)
    assert "STOPPING=1" not in heard
    assert [word for word in heard if word.startswith("STATUS=waits for requests")]


def test_without_systemd_it_costs_nothing():
    """Nothing is counted for nobody."""
    beat = Heartbeat(Notifier({}), ctx=None, progress=None, looked=lambda: 1 / 0)
    assert beat() == math.inf


@pytest.mark.parametrize(
    ("counts", "today", "notes", "said"),
    [
        ({}, 0, (), "nothing waits, $0.00 today"),
        (
            {"training": 3, "waiting": 12, "needs you": 1},
            420_000,
            (),
            "3 training, 12 waiting, 1 needs you, $4.20 today",
        ),
        (
            {"waiting": 1200, "needs you": 2},
            0,
            ("no network",),
            "no network; 1,200 waiting, 2 need you, $0.00 today",
        ),
    ],
)
def test_the_words_of_the_line(counts, today, notes, said):
    """Counts of what moves, then what a person must do, then money."""
    assert line(counts, today=today, notes=notes) == said
