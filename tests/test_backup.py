"""A copy of the state a day."""

import sqlite3
import stat
from contextlib import closing

import pytest

from astria_sync.backup import EVERY, KEPT, back_up, folder_of
from astria_sync.journal import open_journal


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
        journal.put("created_at", journal.get("created_at") - EVERY)
    studio.run_once()
    first = [(one.name, one.stat().st_mtime_ns) for one in folder_of(studio.state).iterdir()]
    assert len(first) == 1
    studio.run_once()
    assert [(one.name, one.stat().st_mtime_ns) for one in folder_of(studio.state).iterdir()] == first


def test_a_copy_that_cannot_be_made_stops_nothing(studio):
    """A file in its way is told in the log, and the work goes on."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    with studio.journal() as journal:
        journal.put("created_at", journal.get("created_at") - EVERY)
    folder_of(studio.state).write_text("in the way")
    studio.prompt("q.prompt", "other words")
    studio.run_once()
    assert studio.only("q.prompt").state == "done"
