"""A copy of the state a day."""

import shutil
import sqlite3
import stat
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from astria_sync import report
from astria_sync.backup import KEPT, back_up, copies, folder_of, keep_before_update
from astria_sync.clock import SystemClock
from astria_sync.context import Context
from astria_sync.journal import open_journal
from astria_sync.settings import Limits, Models
from astria_sync.upkeep import Upkeep

DAY = 86_400.0


@pytest.fixture
def state(tmp_path):
    """A state that a daemon has open."""
    path = tmp_path / "state.db"
    journal = open_journal(path, now=1.0)
    yield path, journal
    journal.close()


def test_a_copy_is_whole_and_private(state):
    """What was committed, also if only the WAL has it, is in the copy; nobody else may read it; it is a single file."""
    path, journal = state
    journal.put("fact", "paid")
    copy = back_up(path, "2026-11-22")
    assert [one.name for one in folder_of(path).iterdir()] == ["2026-11-22.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder_of(path).stat().st_mode) == 0o700
    with closing(sqlite3.connect(copy)) as read:
        assert read.execute("SELECT value FROM meta WHERE key = 'fact'").fetchone() == ('"paid"',)


def test_a_copy_can_be_put_back(state, tmp_path):
    """It opens as a state."""
    path, journal = state
    journal.put("fact", "paid")
    back = tmp_path / "back.db"
    back_up(path, "2026-11-22").rename(back)
    again = open_journal(back, now=2.0)
    assert again.get("fact") == "paid"
    assert again.get("created_at") == 1.0
    again.close()


def test_the_last_seven_are_kept(state):
    """Older ones go, what is no copy of ours stays, and a copy of the same day is replaced."""
    path, _ = state
    folder_of(path).mkdir()
    (folder_of(path) / "mine.db").write_text("not ours")
    for day in [*range(1, 11), 10]:
        back_up(path, f"2026-11-{day:02}")
    kept = sorted(one.name for one in folder_of(path).iterdir())
    assert kept == [*(f"2026-11-{day:02}.db" for day in range(11 - KEPT, 11)), "mine.db"]


def test_the_daemon_makes_one_when_a_day_has_passed(studio):
    """Not at the first start, once when a day has passed, and not again before the next."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert not folder_of(studio.state).exists()
    with studio.journal() as journal:
        journal.put("created_at", journal.get("created_at") - DAY)
    studio.run_once()
    first = [(one.name, one.stat().st_mtime_ns) for one in folder_of(studio.state).iterdir()]
    assert len(first) == 1
    studio.run_once()
    assert [(one.name, one.stat().st_mtime_ns) for one in folder_of(studio.state).iterdir()] == first


def test_a_copy_that_cannot_be_made_stops_nothing(studio):
    """A file in its way is told in the log and in `status`, the work goes on, and so do copies when it is away."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    with studio.journal() as journal:
        journal.put("created_at", journal.get("created_at") - DAY)
    folder_of(studio.state).write_text("in the way")
    studio.prompt("q.prompt", "other words")
    studio.run_once()
    assert studio.only("q.prompt").state == "done"
    (problem,) = problems(studio)
    assert problem["kind"] == "backup"
    assert str(folder_of(studio.state)) in problem["text"]
    folder_of(studio.state).unlink()
    studio.run_once()
    assert problems(studio) == []
    assert len(copies(studio.state)) == 1


def problems(studio):
    daemon = {"running": False, "pid": None, "since": None}
    return report.snapshot(studio.state, now=time.time(), daemon=daemon)["problems"]


class Calendar:
    """A daemon's upkeep on a clock of our own; copies are made as soon as they are asked for."""

    def __init__(self, start: float) -> None:
        self.at, self.made = start, []
        clock = SystemClock()
        clock.wall = lambda: self.at
        settings = SimpleNamespace(state=Path("/nowhere/state.db"), limits=Limits(), models=Models())
        nothing = lambda *_: None  # noqa: E731
        journal = open_journal(None, now=start)
        self.ctx = Context(
            journal=journal, clock=clock, settings=settings, write_file=nothing, remove_file=nothing
        )
        self.start()

    def start(self) -> None:
        self.upkeep = Upkeep(ctx=self.ctx)

    def tick(self, at: float) -> None:
        self.at = at
        self.upkeep.plan()
        for piece in self.ctx.outbox:
            self.ctx.finish(piece)
            self.made.append(piece.day)
            self.upkeep.backed_up(Path(piece.day), None)
        self.ctx.outbox.clear()


SPRING = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()  # the clocks of Europe go forward in the night


@pytest.mark.parametrize("hour", [0, 5, 11.5])
def test_an_hour_a_day_is_enough(hour):
    """Whoever runs it for an hour each day, each day a little earlier, has a copy of each day."""
    days = Calendar(SPRING + hour * 3600)
    for day in range(1, 6):
        days.start()
        for minute in range(60):
            days.tick(SPRING + day * DAY + (hour - day) * 3600 + minute * 60)
    assert days.made == [f"2026-03-{28 + day}" if day < 4 else f"2026-04-0{day - 3}" for day in range(1, 6)]


def test_one_a_day():
    """Whoever lets it run has one each day, also in the nights in which clocks are changed."""
    days = Calendar(SPRING)
    for tick in range(8 * 24 * 4):
        days.tick(SPRING + tick * 900)
    assert len(days.made) == len(set(days.made)) == 8


@pytest.mark.parametrize("jump", [-40 * DAY, -DAY, 40 * DAY])
def test_clocks_that_jump(jump):
    """Wherever the clock is set, the next copy is at most a day away, and not one for each tick."""
    days = Calendar(SPRING)
    days.tick(SPRING + DAY)
    for tick in range(200):
        days.tick(SPRING + DAY + jump + tick * 900)
    assert len(days.made) == 1 + 3
    assert len(set(days.made)) >= 3


def test_copies_from_the_future_go_first(state):
    """A clock that was wrong for a day leaves a copy that must not outlive all those made after it was set right."""
    path, _ = state
    back_up(path, "2041-01-01")
    for day in range(1, 10):
        back_up(path, f"2026-11-{day:02}")
    assert [one.stem for one in copies(path)] == [f"2026-11-{day:02}" for day in range(10 - KEPT, 10)]


def test_the_copy_just_made_stays(state):
    """Set back by years, the clock gives the new copy the oldest name: it is kept all the same."""
    path, _ = state
    for day in range(1, 9):
        back_up(path, f"2026-11-{day:02}")
    assert back_up(path, "1970-01-01").exists()
    assert len(copies(path)) == KEPT


def break_a_page(path):
    """A page in the middle of a state is lost, as a bad sector does it."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 8192 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    path.write_bytes(data)


def test_a_damaged_state_replaces_no_good_copy(state):
    """The copy of this day, and the older ones, stay as they are when the state is not whole any more."""
    path, journal = state
    with journal.transaction():
        for n in range(2000):
            journal.put(f"fact {n}", "words " * 20)
    for day in range(1, 9):
        back_up(path, f"2026-11-{day:02}")
    before = {one.name: one.read_bytes() for one in folder_of(path).iterdir()}
    journal.close()
    break_a_page(path)
    with pytest.raises(sqlite3.DatabaseError):
        back_up(path, "2026-11-08")
    with pytest.raises(sqlite3.DatabaseError):
        back_up(path, "2026-11-09")
    assert {one.name: one.read_bytes() for one in folder_of(path).iterdir()} == before


def test_a_copy_from_before_an_update_stays(state):
    """It is no daily one: however many of those are made, the way back to the older program stays open."""
    path, _ = state
    keep_before_update(path, "m002_next")
    for day in range(1, 11):
        back_up(path, f"2026-11-{day:02}")
    assert (folder_of(path) / "before-m002_next.db").exists()


def test_a_real_copy_put_back(studio):
    """Yesterday's copy in place of the state: what was ordered since is found in the account, and nothing is paid again."""
    studio.prompt("old.prompt", "old words")
    studio.run_once()
    copy = back_up(studio.state, "2026-11-21")
    studio.folder("joe", pictures=2)
    studio.prompt("joe/new.prompt", "new words")
    studio.prompt("old.prompt", "old words, edited")
    studio.run_once()
    assert studio.made() == (1, 3)
    shutil.copy(copy, studio.state)
    studio.run_once()
    assert studio.made() == (1, 3)
    assert {row.state for row in studio.prompts()} == {"done"}
    assert studio.check_pictures() == 3
