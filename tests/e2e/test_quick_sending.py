"""From an event to a request: since when a file is taken to stand still, and what is asked of the journal on the way."""

import os
import re
import time
from types import SimpleNamespace

import pytest

from astria_sync.agenda import Agenda
from astria_sync.core import work
from astria_sync.core.model import Hint
from astria_sync.scan import Root
from astria_sync.tasks import walk
from tests.studio_harness import Hands

TICK = 0.01  # what a disk's clock may be behind


class Later:
    """A clock by which it is so many seconds after whatever the disk dates with now; deadlines count from 1000."""

    def __init__(self, seconds, *, set_by=0.0):
        self.seconds, self.set_by = seconds, set_by
        self.began = time.time()

    def now(self):
        return 1000.0 + self.seconds + (time.time() - self.began)

    def wall(self):
        return time.time() + self.seconds + self.set_by


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox/jane"
    folder.mkdir(parents=True)
    (folder / "a.prompt").write_text("words")
    return folder.parent


def still(inbox, clock, heard, scopes=(("jane", False),)):
    """Since when a look says that nothing has changed."""
    root = Root(path=str(inbox), outputs=())
    looks = walk(root, work.Walk(root=str(inbox), scopes=scopes, heard=heard), clock)
    assert len({look.still for look in looks}) == 1 or heard is None
    return looks[-1].still


def test_what_an_event_told_of_has_stood_still_since(inbox):
    """The look comes later, as it does after 50 ms of gathering, or behind another look; no second wait begins with it."""
    assert still(inbox, Later(0.5), heard=1000.25) == 1000.25


def test_a_late_look_counts_from_no_early_event(inbox):
    """It shows what was written meanwhile, without an event, and perhaps to a disk that dates to two seconds or by another clock."""
    assert still(inbox, Later(20), heard=1005.0) >= 1019


def test_without_an_event_it_counts_from_the_look(inbox):
    """Nobody knows what happened before it."""
    assert still(inbox, Later(20), heard=None) >= 1020


def test_what_was_written_after_the_last_event_counts_from_then(inbox):
    """Writes to an open file make no event: the disk dates them, and a change within its tick is taken for a later one."""
    clock = Later(0.5)
    assert 999.5 < still(inbox, clock, heard=990.0) - TICK <= 1000 + time.time() - clock.began


@pytest.mark.parametrize("what", ["grown", "dated back", "another gone", "moved in", "half"])
def test_no_way_to_change_a_folder_goes_unseen(inbox, what):
    """Also one that leaves the time of modification as it was, and one that no file is left to tell of."""
    folder, old = inbox / "jane", inbox.parent / "old.jpg"
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    (folder / "b.prompt").write_text("words")
    clock = Later(0)
    while time.time() < clock.began + 2 * TICK:  # what was made above is dated before this
        pass
    if what == "grown":
        (folder / "a.prompt").write_text("more words")
    elif what == "dated back":
        os.utime(folder / "a.prompt", (1, 1))
    elif what == "another gone":
        (folder / "b.prompt").unlink()
    elif what == "moved in":
        old.rename(folder / "old.jpg")
    else:
        (folder / "c.jpg.part").write_bytes(b"x")
    assert still(inbox, clock, heard=1000.0) > 1000 + TICK


def test_all_looks_of_a_walk_tell_the_same(inbox):
    """A tune.toml above is seen by one look and counts for the folders of the others."""
    (inbox / "joe").mkdir()
    scopes = (("jane", False), ("joe", True))
    assert still(inbox, Later(0.5), heard=1000.25, scopes=scopes) == 1000.25


def test_a_clock_that_is_set_makes_nothing_settle_early(inbox):
    """Set ahead, the wall clock makes every file old: no older than its event. Set back, all is from now on."""
    assert still(inbox, Later(0.5, set_by=3600), heard=1000.25) == 1000.25
    assert still(inbox, Later(0.5, set_by=-3600), heard=1000.25) >= 1000.5


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ([1.0], 1.0),
        ([1.0, 3.0, 2.0], 3.0),
        ([1.0, None], None),
        ([None, 1.0], None),
        (["all", 1.0], None),
        ([1.0, "all"], None),
    ],
)
def test_of_several_events_the_last_one_counts(asked, heard):
    """And none if something besides events asked for the look."""
    pieces = []
    ctx = SimpleNamespace(watches={"/in": None}, start=lambda key, piece: pieces.append(piece) or True)
    ctx.now = ctx.wall = 0.0
    todo = Agenda(ctx=ctx, at_rest=lambda root: {})
    for one in asked:
        if one == "all":
            todo.add_all("/in")
        else:
            todo.add("/in", "jane", recursive=False, heard=one)
    todo.plan()
    todo.add("/in", "jane", recursive=False, heard=9.0)  # what came before is looked at
    todo.plan()
    assert [piece.heard for piece in pieces] == [heard, 9.0]


def test_a_file_settles_so_long_after_its_event(studio):
    """The moment by which a look comes late is not waited for a second time."""
    studio.tables["timing"]["settle_seconds"] = 60
    studio.clock = Hands()
    studio.write("jane/1.jpg", studio.photo())
    with studio.daemon() as daemon:
        daemon.until(lambda: not daemon.engine.ctx.under_way and daemon.engine.intake.next_due() is not None)
        file = studio.prompt("p.prompt", "words")
        heard = studio.clock.now()
        studio.clock.slept += 0.9
        daemon.engine.inbox.put(Hint(root=str(studio.inbox), path=".", recursive=False, heard=heard))
        key = (str(studio.inbox), file.name, "prompt")
        daemon.until(lambda: key in daemon.engine.intake.settling)
        assert 0 <= daemon.engine.intake.settling._since[key][1] - heard < 0.9


def test_sending_one_prompt_among_many_reads_no_table_through(studio):
    """Ten thousand others are not asked about it: each question on its way is one of an index, or of rows by number."""
    studio.folder("jane")
    studio.prompt("jane/a.prompt", "words")
    studio.run_once()
    asked = set()
    with studio.daemon() as daemon:
        daemon.until(lambda: not daemon.engine.ctx.under_way)
        daemon.engine.judge.subjects.index()  # of all folders' names, which is made once
        daemon.journal._conn.set_trace_callback(asked.add)
        studio.prompt("jane/b.prompt", "other words")
        daemon.engine.inbox.put(Hint(root=str(studio.inbox), path="jane", recursive=False))
        daemon.until(lambda: studio.states().get("jane/b.prompt") == "generating")
        daemon.journal._conn.set_trace_callback(None)
        # The last few by number are no table read through, nor is what SQLite sees to be empty.
        real = [
            sql
            for sql in asked
            if re.match("SELECT|UPDATE|DELETE", sql) and not re.search(r"ORDER BY id DESC LIMIT|IN \(\)", sql)
        ]
        plans = {
            sql: " | ".join(row["detail"] for row in daemon.journal.rows(f"EXPLAIN QUERY PLAN {sql}"))
            for sql in real
        }
    assert len(plans) > 20
    # By kind alone, all folders are read.
    through = re.compile(r"SCAN (sources|prompts|images|events|texts)(?! USING)|\(kind=\?\)")
    assert not {sql: plan for sql, plan in plans.items() if through.search(plan)}
