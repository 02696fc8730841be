"""The history does not grow without end, and what `log` promises of a file stays."""

from types import SimpleNamespace

import pytest

from astria_sync import pruning
from astria_sync.core.happening import Happening
from astria_sync.core.lifecycle import Event
from astria_sync.journal import open_journal
from astria_sync.pruning import KEPT, Pruning

AT = {"created_at": 1.0, "updated_at": 1.0}
NOW = 10 * KEPT
OLD, NEW = 1.0, NOW - KEPT / 2


@pytest.fixture
def ctx():
    journal = open_journal(None, now=1.0)
    journal.add("sources", kind="prompt", root="/inbox", path="p.prompt", **AT)
    yield SimpleNamespace(journal=journal, wall=NOW, stopping=False)
    journal.close()


def note(ctx, event, *, at=OLD, kind="prompt", source=1, **more):
    ctx.journal.note(Happening(at=at, kind=kind, source_id=source, event=event, **more))


def left(ctx):
    return [row["event"] for row in ctx.journal.rows("SELECT event FROM events ORDER BY id")]


def prune(ctx):
    ctx.journal.put("pruned_at", None)
    Pruning(ctx=ctx).plan()
    return left(ctx)


@pytest.mark.parametrize(
    "event", [*sorted({*Event} - {*pruning._TRIED, Event.CHANGED}), "duplicate", "adopted"]
)
def test_what_came_of_a_file_stays(ctx, event):
    """What was sent, made, saved, refused, failed or deleted at Astria is kept as long as the file's row, however old it is."""
    note(ctx, event)
    note(ctx, "newest", at=NEW)
    assert prune(ctx) == [event, "newest"]


def test_where_a_file_was_stays(ctx):
    """That it was seen, and from where it moved."""
    for event in ("seen", "moved"):
        note(ctx, event, kind="source")
    note(ctx, "saved", kind="image")
    note(ctx, "newest", at=NEW)
    assert prune(ctx) == ["seen", "moved", "saved", "newest"]


def test_steps_between_go_after_a_season(ctx):
    """What was tried, and told nothing of the end: ninety days are enough."""
    for at in (OLD, NEW):
        for event in ("armed", "not_sent", "waits"):
            note(ctx, event, at=at)
        note(ctx, "gone", kind="source", at=at)
    note(ctx, "newest", at=NEW)
    assert prune(ctx) == ["armed", "not_sent", "waits", "gone", "newest"]


def test_the_daemons_own_go(ctx):
    """What happened to it is of use for a season, and no more than the newest ten thousand of it."""
    note(ctx, "old", kind="daemon", source=None)
    for n in range(pruning.DAEMON + 50):
        note(ctx, str(n), kind="daemon", source=None, at=NEW)
    found = prune(ctx)
    assert (found[0], found[-1], len(found)) == ("50", str(pruning.DAEMON + 49), pruning.DAEMON)


def test_files_that_nothing_was_sent_of_go(ctx):
    """They are gone, and so, after a season, is what happened to them; also where an older version left their number."""
    note(ctx, "forgotten", kind="source", source=None, root="/inbox", path="q.prompt")
    note(ctx, "seen", kind="source", source=77)
    note(ctx, "forgotten", kind="source", source=None, root="/inbox", path="r.prompt", at=NEW)
    note(ctx, "newest", at=NEW)
    assert prune(ctx) == ["forgotten", "newest"]


def test_one_restless_file_does_not_fill_the_state(ctx):
    """Of steps that come again and again within the season the newest five hundred stay, beside all that counts."""
    note(ctx, "bound", at=NEW)
    for _ in range(pruning.STEPS + 30):
        note(ctx, "not_sent", at=NEW)
    note(ctx, "saved", at=NEW)
    found = prune(ctx)
    assert found == ["bound", *["not_sent"] * pruning.STEPS, "saved"]


def test_the_newest_row_stays(ctx):
    """Others know by its number whether anything has happened since."""
    note(ctx, "old", kind="daemon", source=None)
    assert prune(ctx) == ["old"]


def test_it_is_done_once_a_day(ctx):
    """Not on every tick, and not while the daemon ends."""
    upkeep = Pruning(ctx=ctx)
    upkeep.plan()
    for _ in range(2):
        note(ctx, "armed")
    upkeep.plan()
    assert len(left(ctx)) == 2
    ctx.wall += 86_401
    ctx.stopping = True
    upkeep.plan()
    assert len(left(ctx)) == 2
    ctx.stopping = False
    upkeep.plan()
    assert len(left(ctx)) == 1


def test_much_goes_in_pieces(ctx, monkeypatch):
    """No step of the engine is long: what is left goes a minute later."""
    monkeypatch.setattr(pruning, "_AT_ONCE", 10)
    for _ in range(25):
        note(ctx, "armed")
    note(ctx, "newest", at=NEW)
    upkeep = Pruning(ctx=ctx)
    counts = []
    for _ in range(4):
        upkeep.plan()
        counts.append(len(left(ctx)))
        ctx.wall += 61
    assert counts == [16, 6, 1, 1]
