"""What Astria is about to delete: fetched first, warned of in time, and nothing of it left behind."""

import logging
import shutil
import time

import pytest

from astria_sync import report
from astria_sync.core.model import Tick
from astria_sync.simulator import Fault

DAY = 86400.0
PICTURES = {"host": "pictures", "method": "GET"}
NO_DAEMON = {"running": False, "pid": None, "since": None}
RUNS = {"running": True, "pid": 1, "since": None}


def told(studio, *, daemon=RUNS, later=0.0):
    """What `status` says of pictures that are about to be deleted."""
    found = report.snapshot(studio.state, now=time.time() + later, daemon=daemon)
    return [problem["text"] for problem in found["problems"] if problem["kind"] == "expiring"]


@pytest.fixture
def stuck(studio):
    """A prompt whose pictures are listed and cannot be fetched; the engine's wall clock is ours."""
    studio.sim.faults.add(Fault(kind="status", status=503, **PICTURES, times=None))
    studio.prompt("p.prompt", "words", "num_images: 3")
    with studio.daemon() as daemon:
        ahead = [0.0]
        daemon.clock.wall = lambda: time.time() + ahead[0]
        daemon.ahead = ahead
        daemon.until(lambda: daemon.journal.images("attempt > 0"))
        yield daemon


def later(daemon, days):
    """The wall clock goes on, and a tick comes."""
    daemon.ahead[0] = days * DAY
    daemon.engine.upkeep.expiring._next = 0.0
    daemon.engine.step(Tick(what="check"))


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if "Astria deletes" in record.getMessage()]


def test_pictures_that_are_about_to_be_deleted(stuck, studio, caplog):
    """Seven days before and two days before, once each: in the log, in the file's history, and in `status`; not earlier."""
    caplog.set_level(logging.WARNING, "astria_sync")
    later(stuck, 22.9)
    assert warnings(caplog) == []
    for days, count in ((23.1, 1), (25, 1), (28.1, 2), (29, 2)):
        later(stuck, days)
        later(stuck, days)
        assert len(warnings(caplog)) == count
    assert warnings(caplog)[0].startswith("Astria deletes 3 pictures of p.prompt from ")
    assert "answered 503" in warnings(caplog)[0]
    events = stuck.journal.rows("SELECT * FROM events WHERE event = 'expiring'")
    assert [row["kind"] for row in events] == ["prompt", "prompt"]
    (source,) = stuck.journal.sources()
    assert {row["source_id"] for row in events} == {source.id}
    assert told(studio) == []
    (sentence,) = told(studio, later=29 * DAY)
    assert "not here yet" in sentence
    assert "save them yourself from http" in sentence


def test_without_a_daemon(stuck, studio):
    """`status` finds out by itself, and says what helps: to start one."""
    (sentence,) = told(studio, daemon=NO_DAEMON, later=24 * DAY)
    assert sentence.endswith("no daemon runs; start one with: astria-sync run")


def test_what_is_saved_is_warned_of_no_more(stuck, studio):
    """The warning goes with its cause."""
    later(stuck, 24)
    assert told(studio, later=24 * DAY)
    studio.sim.faults.clear()
    assert stuck.run(10)
    later(stuck, 24)
    assert told(studio, later=24 * DAY) == []
    assert stuck.journal.get("expiring") is None


def test_after_the_deadline_they_are_tried_until_astria_says_no(stuck, studio, caplog):
    """The day may have passed on our clock alone: only Astria's word ends it."""
    caplog.set_level(logging.WARNING, "astria_sync")
    later(stuck, 31)
    assert any("was to delete 3 pictures" in record.getMessage() for record in caplog.records)
    assert "until it says so" in told(studio, later=31 * DAY)[0]
    studio.sim.faults.clear()
    assert stuck.run(10)
    assert studio.check_pictures() == 3


def test_a_prompt_whose_pictures_are_not_listed(make_studio):
    """Nothing is to be fetched yet, and time runs out all the same."""
    studio = make_studio(generate_seconds=1000)
    studio.prompt("p.prompt", "words", "num_images: 4")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'generating'"))
        assert told(studio) == []
        (sentence,) = told(studio, later=28.5 * DAY)
    assert sentence.startswith("Astria deletes 4 pictures of p.prompt from ")
    assert "has not finished them" in sentence


def test_only_what_is_asked_for(stuck, studio):
    """`status PATH` tells of that path alone."""
    found = report.snapshot(
        studio.state, now=time.time() + 24 * DAY, daemon=RUNS, paths=[str(studio.inbox / "other")]
    )
    assert [problem for problem in found["problems"] if problem["kind"] == "expiring"] == []


def test_pictures_go_with_their_tune(make_studio):
    """Astria deletes a tune's pictures with the tune, unless it is extended."""
    studio = make_studio(expire_days=10)
    studio.folder("joe", toml='model_type = "pti"\nbase_tune = 1504944')
    studio.folder("jim", toml='model_type = "pti"\nbase_tune = 1504944\nauto_extend = true')
    studio.prompt("joe/p.prompt", "<1> words")
    studio.prompt("jim/p.prompt", "<1> words")
    studio.run_once()
    with studio.journal() as journal:
        left = {
            journal.prompt(image.prompt_id).folder: (image.deadline - time.time()) / DAY
            for image in journal.images()
        }
    assert left == {"joe/p": pytest.approx(10, abs=0.1), "jim/p": pytest.approx(30, abs=0.1)}


def test_a_tune_that_is_extended_gives_time(make_studio):
    """What changes while pictures are waited for counts: they have their thirty days once the tune stays."""
    studio = make_studio(expire_days=10)
    studio.sim.faults.add(Fault(kind="status", status=403, **PICTURES, times=None))
    studio.folder("joe", toml='model_type = "pti"\nbase_tune = 1504944')
    studio.prompt("joe/p.prompt", "<1> words")

    def days(daemon):
        return [round((image.deadline - time.time()) / DAY) for image in daemon.journal.images()]

    with studio.daemon() as daemon:
        daemon.until(lambda: days(daemon) == [10])
        studio.write("joe/tune.toml", 'model_type = "pti"\nbase_tune = 1504944\nauto_extend = true')
        daemon.look()
        daemon.until(lambda: days(daemon) == [30])


def test_prompts_found_late_go_first(make_studio):
    """A new state beside old folders: what was made 25 days ago is fetched before what was made just now."""
    studio = make_studio()
    studio.tables["limits"]["downloads"] = 1
    for n in range(3):
        studio.prompt(f"old{n}.prompt", f"old words {n}")
    studio.run_once()
    studio.sim.advance(25 * DAY)
    for n in range(3):
        studio.prompt(f"a-new{n}.prompt", f"new words {n}")
    studio.run_once()
    studio.state.unlink()
    shutil.rmtree(
        studio.output
    )  # with the records beside the pictures, which would tell that nothing is missing
    served = len(studio.sim.ledger.pictures_served())
    studio.run_once()
    assert studio.made() == (0, 6)
    order = [entry.prompt_id for entry in studio.sim.ledger.pictures_served()[served:]]
    assert len(order) == 6
    assert {one.id for one in studio.sim.ledger.created_prompts()[:3]} == set(order[:3])


def test_a_part_that_was_left_behind_goes(make_studio):
    """Half of a picture that Astria deletes is litter: it goes within the hour, and nobody else's file with it."""
    studio = make_studio(picture_px=256)
    studio.sim.faults.add(Fault(kind="cut", cut_at=2500, **PICTURES, times=None))
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.output.exists() and list(studio.output.rglob(".*.part")))
        daemon.until(lambda: daemon.journal.images("etag != ''"))
        mine = studio.write(studio.output / "p" / ".mine.part", "not ours")
        studio.sim.faults.clear()
        studio.outside(f"/prompts/{studio.created().id}", {}, method="DELETE")
        assert daemon.run(10)
        assert studio.states() == {"p.prompt": "deleted"}
        assert len(studio.files()) == 2
        daemon.engine.step(Tick(what="check"))
        assert len(studio.files()) == 2
        daemon.clock.wall = lambda: time.time() + 3700
        daemon.engine.step(Tick(what="check"))
        daemon.until(lambda: studio.files() == ["p/.mine.part"])
    assert mine.read_text() == "not ours"
