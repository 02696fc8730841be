"""What wakes the engine is minded: by fakes, and once over the real schedule with a clock that is set."""

import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base
import pytest

from astria_sync.clock import AHEAD
from astria_sync.core.model import Hint, Tick
from astria_sync.journal import open_journal
from astria_sync.pulse import Pulse
from astria_sync.schedule import Schedule
from tests.service_harness import running
from tests.studio_harness import Hands, Studio

HOUR, DAY = 3600.0, 86_400.0


class Clock:
    steady, ahead = 1e9, 0.0

    def now(self) -> float:
        return self.steady

    def wall(self) -> float:
        return self.steady + self.ahead


class FakeSchedule:
    check_seconds = 30.0
    restarts = 0

    def restart(self) -> None:
        self.restarts += 1


class FakeWatcher:
    said: dict[str, str] = {}  # noqa: RUF012 - replaced, never changed
    hints: tuple[Hint, ...] = ()

    def problems(self) -> dict[str, str]:
        return self.said

    def check(self) -> tuple[Hint, ...]:
        return self.hints


class Bench:
    def __init__(self) -> None:
        self.clock, self.schedule, self.watcher = Clock(), FakeSchedule(), FakeWatcher()
        self.journal = open_journal(None, now=0)
        self.posted: list[Hint | Tick] = []
        parts: dict[str, Any] = {"watcher": self.watcher, "schedule": self.schedule}
        self.pulse = Pulse(**parts, clock=self.clock, journal=self.journal, post=self.posted.append)

    def after(self, seconds: float, what: str = "due") -> None:
        self.clock.steady += seconds
        self.pulse(Tick(what=what))


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.journal.close()


EVERYTHING = [Tick(what="check"), Tick(what="rescan")]


@pytest.mark.parametrize("by", [-HOUR, 40 * DAY])
def test_a_clock_that_was_set_starts_everything_anew(bench: Bench, by: float) -> None:
    """The schedule goes by the wall: it is set anew at once, and everything is looked at; once."""
    bench.after(10)
    bench.clock.ahead += by
    bench.after(10)
    assert (bench.schedule.restarts, bench.posted) == (1, EVERYTHING)
    bench.after(10)
    assert bench.schedule.restarts == 1


@pytest.mark.parametrize("pause", [66.0, 8 * HOUR], ids=["a dead thread", "a night of sleep"])
def test_ticks_that_cease_are_started_anew(bench: Bench, pause: float) -> None:
    """Two intervals without a tick of the schedule, whatever the reason; the engine's own turns do not count."""
    for _ in range(4):
        bench.after(30, "check")
    bench.after(pause)
    assert (bench.schedule.restarts, bench.posted) == (1, EVERYTHING)
    bench.after(20)
    assert bench.schedule.restarts == 1


def test_ordinary_ticks_change_nothing(bench: Bench) -> None:
    """A day of checks, each a few seconds late, on a clock that is slewed: nothing is started anew."""
    for _ in range(2880):
        bench.clock.ahead += 0.01
        bench.after(31, "check")
    assert (bench.schedule.restarts, bench.posted) == (0, [])


def test_what_the_watcher_says_goes_on(bench: Bench) -> None:
    """Hints of a check are posted; what is wrong is told in the state for as long as it is."""
    hint = Hint(root="/in", path=None)
    bench.watcher.hints = (hint,)
    bench.watcher.said = {"/in": "the folder is not there"}
    bench.after(1)
    assert (bench.posted, bench.journal.get("watch_problems")) == ([], None)
    bench.after(1, "check")
    assert (bench.posted, bench.journal.get("watch_problems")) == ([hint], bench.watcher.said)
    bench.watcher.said = {}
    bench.after(1, "check")
    assert bench.journal.get("watch_problems") is None


def test_a_week_of_ticks_leaves_nothing_behind() -> None:
    """Twenty thousand ticks, and the clock set every day: what is minded has no memory of it."""
    bench = Bench()
    tracemalloc.start()
    try:
        for n in range(20_000):
            if n % 2880 == 0:
                bench.clock.ahead = -bench.clock.ahead or HOUR
            bench.after(30, "check" if n % 10 else "rescan")
            bench.posted.clear()
            if n == 5000:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - before < 20_000
    finally:
        tracemalloc.stop()
        bench.journal.close()
    assert bench.schedule.restarts == 20_000 // 2880 + 1


# The whole daemon


def test_the_real_schedule_and_a_clock_that_is_set(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back an hour, with nobody to hint: files are found by the rescans alone, within two intervals, and again after that."""
    hands = Hands()

    class Wall(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(hands.wall(), tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Wall)
    monkeypatch.setattr("astria_sync.loop._SHORTEST_WAIT", 0.2)
    studio.tables["timing"]["rescan_seconds"] = 0.3
    monkeypatch.setattr("astria_sync.watch._inotify", lambda: None)  # a check hints at every root then
    monkeypatch.setattr("astria_sync.watch.Watcher.check", lambda _: ())
    with running(studio, hands) as daemon:
        for name in "abc":
            studio.prompt(f"{name}.prompt", f"words {name}")
            daemon.until(lambda name=name: studio.states().get(f"{name}.prompt") == "done")  # type: ignore[misc]
            if name == "a":
                hands.set_by = -HOUR
    assert studio.made() == (0, 3)
    assert abs(studio.value(AHEAD) - HOUR) < 60


def test_deadlines_are_shown_by_the_clock_on_the_wall(studio: Studio) -> None:
    """A row's deadline is on the engine's clock; who asks when it goes on is told the time that the wall will show then."""
    from astria_sync import report

    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: "queued" in studio._states(daemon.journal).values())
    now = datetime(2026, 8, 1, 12, tzinfo=UTC).astimezone().replace(hour=12, tzinfo=None).timestamp()
    with studio.journal() as journal:
        journal.put("paused", None)
        journal.change_all("prompts", "next_at = ?", "1", now + HOUR + 90)
        journal.put(AHEAD, HOUR)  # the wall was set back an hour
    alive = {"running": True, "pid": 1, "since": None}
    (item,) = report.snapshot(Path(studio.state), now=now, daemon=alive)["items"]
    assert item["then"] == "tried again at 12:01:30"


def test_deadlines_of_a_run_whose_clock_was_ahead(studio: Studio) -> None:
    """The next run begins by the wall's clock, and sets right what the one before wrote by its own."""
    studio.prompt("p.prompt", "words")
    studio.tables["timing"]["retry_max_seconds"] = 900
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: "queued" in studio._states(daemon.journal).values())
        daemon.command("resume")
        daemon.journal.change_all("prompts", "next_at = ?", "1", daemon.clock.now() + HOUR)
        daemon.journal.put(AHEAD, HOUR)
    studio.run_once(timeout=5)
    assert studio.made() == (0, 1)
    assert studio.value(AHEAD) is None


def test_the_schedule_itself_can_die(caplog: pytest.LogCaptureFixture) -> None:
    """A scheduler whose thread has ended is replaced by one that ticks."""
    arrived = threading.Event()
    schedule = Schedule(lambda _: arrived.set(), rescan_seconds=0, clock=Hands())
    schedule.start()
    schedule._scheduler.state = 0  # its loop ends as it does for no reason that we know
    schedule._scheduler.wakeup()
    schedule._scheduler._thread.join()
    schedule._scheduler.state = 1
    arrived.clear()
    schedule.restart()
    assert arrived.wait(5)
    schedule.stop()


def test_a_folder_that_went_from_under_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service was let into is another folder once it is moved or made again: that is told, until a restart."""
    let_in = {"/home/jane/inbox": "/home", "/home/jane/out": "/home"}
    astray: set[str] = set()
    monkeypatch.setattr("astria_sync.kernel.windows", lambda: let_in)
    monkeypatch.setattr("astria_sync.kernel.astray", lambda: astray)
    bench = Bench()
    parts: dict[str, Any] = {
        "watcher": bench.watcher,
        "schedule": bench.schedule,
        "post": bench.posted.append,
    }
    folders = ["/home/jane/inbox", "/home/jane/out", "/mnt/photos"]
    pulse = Pulse(**parts, clock=bench.clock, journal=bench.journal, folders=folders)
    pulse(Tick(what="check"))
    assert bench.journal.get("watch_problems") is None
    astray.add("/home/jane/inbox")
    pulse(Tick(what="check"))
    told = bench.journal.get("watch_problems")
    assert list(told) == ["/home/jane/inbox"]
    assert "systemctl --user restart astria-sync" in told["/home/jane/inbox"]
