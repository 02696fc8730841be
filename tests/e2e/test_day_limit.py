"""`spend_per_day_usd`: no new paid request once the day's sum would pass it."""

import shutil
import sqlite3
import time

import pytest

from astria_sync import following, report, sending, spending, tasks
from astria_sync.clock import SystemClock
from astria_sync.core import wire, work
from astria_sync.journal import open_journal
from astria_sync.rehearsal import rehearse
from astria_sync.simulator import Fault

PROMPTS = r"/prompts$"
PICTURE = 0.14  # dollars for a picture of the default model, as the simulator charges it
SMALL = 0.12  # … of 1K
TRAINING = 1.50
DAY = 86400.0
STOPPED = {"running": False, "pid": None, "since": None}


class Turned:
    """The machine's clocks, turned to a time of tomorrow, so that every file is of the past; a test turns them on."""

    def __init__(self, hour, minute=0, second=0):
        self.clock = SystemClock()
        self.slept = 0.0
        year, month, day = time.localtime()[:3]
        self.set = time.mktime((year, month, day + 1, hour, minute, second, 0, 0, -1)) - time.time()

    def now(self):
        return self.clock.now() + self.slept

    def wall(self):
        return self.clock.wall() + self.set + self.slept


@pytest.fixture
def studio(make_studio):
    """A studio at noon with a limit of three pictures a day."""
    studio = make_studio()
    studio.clock = Turned(12)
    studio.tables["limits"]["spend_per_day_usd"] = 3 * PICTURE
    return studio


def limit(studio, usd):
    studio.tables["limits"]["spend_per_day_usd"] = usd


def look(studio, **more):
    return report.snapshot(studio.state, now=studio.clock.wall(), daemon=STOPPED, **more)


def spent(studio):
    return pytest.approx(look(studio)["spent"]["today_usd"])


def told(studio):
    return [one["text"] for one in look(studio)["problems"] if one["kind"] == "limit"]


def states(studio):
    return sorted(str(row.state) for row in studio.prompts())


def crowd(studio, number, prefix="p"):
    for n in range(number):
        studio.prompt(f"{prefix}{n}.prompt", f"words {prefix} {n}")


def test_the_limit_is_reached_and_not_passed(studio):
    """Three of five go, to the cent; the others are held with a reason, and `status` says how much is spent of how much."""
    crowd(studio, 5)
    studio.run_once()
    assert states(studio) == ["done"] * 3 + ["held"] * 2
    assert studio.made() == (0, 3)
    assert spent(studio) == 3 * PICTURE
    held = next(row for row in studio.prompts() if row.state == "held")
    assert "day's limit of $0.42" in held.reason
    assert "about $0.14" in held.reason
    assert "`astria-sync approve`" in held.reason
    (text,) = told(studio)
    assert "$0.42 of the day's limit of $0.42 is spent; 2 prompts held back" in text
    assert studio.check_pictures() == 3


def test_a_limit_is_about_this_day(studio):
    """What waits goes by itself on the next day, with nothing done to it, until that day's limit; then again."""
    crowd(studio, 7)
    for day, done in enumerate((3, 6, 7)):
        studio.clock.slept = day * DAY
        studio.run_once()
        assert studio.made() == (0, done)
    assert told(studio) == []
    assert spent(studio) == PICTURE
    assert studio.check_pictures() == 7


@pytest.mark.parametrize("turn", ["slept", "set"], ids=["a night passes", "the wall clock is set"])
def test_a_daemon_goes_on_by_itself_at_midnight(studio, turn):
    """It wakes when the day ends, whatever else happens, and what was held goes."""
    studio.clock = Turned(23, 59, 30)
    crowd(studio, 4)
    with studio.daemon() as daemon:
        daemon.until(lambda: len(daemon.journal.prompts("state = 'done'")) == 3)
        daemon.until(lambda: daemon.journal.prompts("state = 'held'"))
        daemon.until(lambda: not daemon.engine.ctx.under_way)
        assert 0 < daemon.loop.patience(None) <= 30
        setattr(studio.clock, turn, getattr(studio.clock, turn) + 31)
        daemon.until(lambda: len(daemon.journal.prompts("state = 'done'")) == 4)
    assert studio.made() == (0, 4)
    assert spent(studio) == PICTURE


def test_a_clock_that_was_ahead_for_a_while(studio):
    """Money that was spent while the clock was 40 days ahead does not use up the days until then."""
    crowd(studio, 3)
    studio.clock.set += 40 * DAY
    studio.run_once()
    studio.clock.set -= 40 * DAY
    crowd(studio, 3, "q")
    studio.run_once()
    assert studio.made() == (0, 6)
    assert spent(studio) == 3 * PICTURE


def test_a_clock_set_back_does_not_open_the_purse(studio):
    """Set back over midnight, the day before has what was spent in it, and what was held stays held until it is over."""
    crowd(studio, 4)
    studio.run_once()
    studio.clock.set -= 600
    studio.run_once()
    assert studio.made() == (0, 3)


def test_what_nobody_knows_goes_alone(studio):
    """Nothing like them was bought before: one is sent, and the others wait for what it costs, and say so."""
    limit(studio, 5)
    crowd(studio, 8)
    studio.crash(work.CreatePrompt, sent=True)
    assert states(studio) == ["queued"] * 7 + ["submitting"]
    assert all(
        "what others under way cost" in row.reason for row in studio.prompts() if row.state == "queued"
    )
    studio.run_once()
    assert studio.made() == (0, 8)
    assert {row.reason for row in studio.prompts()} == {""}


def test_each_model_tells_its_price(studio):
    """Of several whose price is not known one goes at a time: the limit is passed by one such request at most."""
    limit(studio, 0.01)
    for model in ("gemini", "seedream", "gpt-image-2", "flux"):
        studio.prompt(f"{model}.prompt", "words", f"model: {model}")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert states(studio) == ["done", "held", "held", "held"]


def test_eight_at_once_are_counted_one_after_the_other(studio):
    """Requests that are armed in one step count each other: of eight places three are used."""
    crowd(studio, 1, "first")
    studio.run_once()
    limit(studio, 4 * PICTURE)
    crowd(studio, 8)
    armed = []
    studio.crash(lambda piece: isinstance(piece, work.CreatePrompt) and not armed.append(piece), sent=False)
    assert states(studio).count("submitting") == 3
    studio.run_once()
    assert studio.made() == (0, 4)
    assert states(studio) == ["done"] * 4 + ["held"] * 5
    assert spent(studio) == 4 * PICTURE


@pytest.mark.parametrize("known", [False, True])
def test_a_price_that_is_told_at_the_end(studio, monkeypatch, known):
    """While Astria has not said what those under way cost, they count as what their like cost, or go one by one."""

    def late(body):
        return wire.read_prompt(body if body.get("images") else {**body, "cost_mc": None})

    for module in (sending, following, tasks):
        monkeypatch.setattr(module, "read_prompt", late)
    if known:
        crowd(studio, 1, "first")
        studio.run_once()
        limit(studio, 4 * PICTURE)
    crowd(studio, 8)
    most = []
    with studio.daemon() as daemon:
        running = "state IN ('submitting', 'generating')"
        daemon.until(
            lambda: (
                most.append(len(daemon.journal.prompts(running))) or daemon.journal.prompts("state = 'held'")
            )
        )
        assert daemon.run(10)
    assert max(most) <= (3 if known else 2)
    assert studio.made() == (0, 3 + known)
    assert states(studio) == ["done"] * (3 + known) + ["held"] * 5
    assert spent(studio) == (3 + known) * PICTURE


def test_a_cheaper_one_may_go(studio):
    """What is too dear does not stand in the way of what is not."""
    studio.prompt("a.prompt", "words", "num_images: 2")
    studio.prompt("b.prompt", "words", "num_images: 1")
    studio.run_once()
    studio.prompt("c.prompt", "other words", "num_images: 2")
    studio.run_once()
    assert studio.only("c.prompt").state == "held"
    limit(studio, 3 * PICTURE + SMALL)
    studio.prompt("d.prompt", "other words", "num_images: 1\nresolution: 1K")
    studio.run_once()
    # Nothing of this size was bought before: it is taken to cost as much as the dearest picture of its model.
    assert studio.only("d.prompt").state == "held"
    limit(studio, 3 * PICTURE + PICTURE)
    studio.run_once()
    assert {path: str(studio.only(path).state) for path in ("c.prompt", "d.prompt")} == {
        "c.prompt": "held",
        "d.prompt": "done",
    }
    assert spent(studio) == 3 * PICTURE + SMALL


def test_dearer_than_a_whole_day(studio):
    """What costs more than the limit never goes by itself, and says that; approved, it goes."""
    studio.prompt("a.prompt", "words")
    studio.run_once()
    studio.prompt("b.prompt", "words", "num_images: 4")
    studio.run_once()
    assert "costs more than the day's limit" in studio.only("b.prompt").reason
    studio.clock.slept = DAY
    studio.run_once()
    assert studio.only("b.prompt").state == "held"
    studio.command("approve", studio.inbox / "b.prompt")
    studio.run_once()
    assert studio.only("b.prompt").state == "done"


def test_approve_lets_one_go_or_all(studio):
    """With a path that one, in spite of the limit; the others stay; without a path all."""
    crowd(studio, 6)
    studio.run_once()
    held = [row for row in studio.prompts() if row.state == "held"]
    with studio.journal() as journal:
        path = journal.source(held[1].source_id).location
    assert studio.command("approve", path)["count"] == 1
    studio.run_once()
    assert studio.made() == (0, 4)
    assert states(studio) == ["done"] * 4 + ["held"] * 2
    assert studio.command("approve") == {"count": 2, "message": "2 prompts let go."}
    studio.run_once()
    assert studio.made() == (0, 6)
    assert told(studio) == []
    assert spent(studio) == 6 * PICTURE


def test_approve_while_the_daemon_runs(studio):
    """What is approved goes at once, and counts: what comes after it is held."""
    crowd(studio, 4)
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'held'"))
        assert daemon.run(10)
        assert daemon.command("approve")["count"] == 1
        crowd(studio, 1, "q")
        daemon.look()
        daemon.until(lambda: len(daemon.journal.prompts("state = 'done'")) == 4)
        daemon.until(lambda: daemon.journal.prompts("state = 'held'"))
    assert studio.made() == (0, 4)


@pytest.mark.parametrize("usd", [5 * PICTURE, 0], ids=["raised", "removed"])
def test_another_limit_and_a_restart(studio, usd):
    """What a limit held goes when the next run has a higher one, or none; nothing goes on a restart alone."""
    crowd(studio, 5)
    studio.run_once()
    studio.run_once()
    assert studio.made() == (0, 3)
    limit(studio, usd)
    studio.run_once()
    assert studio.made() == (0, 5)
    assert told(studio) == []
    assert studio.value("day_limit") is None


def test_a_limit_that_comes_later(studio):
    """What was spent before there was a limit counts."""
    limit(studio, 0)
    crowd(studio, 2)
    studio.run_once()
    limit(studio, 2 * PICTURE)
    crowd(studio, 1, "q")
    studio.run_once()
    assert studio.made() == (0, 2)


def test_a_lost_answer_counts_once(studio):
    """Sent twice, with one seed, since the first never arrived: one price."""
    limit(studio, 2 * PICTURE)
    crowd(studio, 1, "first")
    studio.run_once()
    for when in ("before", "before"):
        studio.sim.faults.add(Fault(kind="status", status=502, when=when, method="POST", path=PROMPTS))
    crowd(studio, 1)
    studio.run_once()
    assert studio.made() == (0, 2)
    assert len(studio.posts()) == 4
    assert spent(studio) == 2 * PICTURE


@pytest.mark.parametrize("sent", [False, True], ids=["before it went out", "after it went out"])
def test_what_may_be_on_its_way_counts(studio, sent):
    """An order whose answer was lost in a crash is counted while it is looked for; found or sent again, it counts once."""
    crowd(studio, 1, "first")
    studio.run_once()
    limit(studio, 2 * PICTURE)
    crowd(studio, 1)
    studio.crash(work.CreatePrompt, sent=sent)
    crowd(studio, 1, "q")
    if not sent:  # else the first list that is read shows it
        studio.tables["timing"]["reconcile_after_seconds"] = 30
        with studio.daemon() as daemon:
            daemon.until(lambda: daemon.journal.prompts("state = 'queued' AND reason LIKE '%under way%'"))
            daemon.until(lambda: not daemon.engine.ctx.under_way)
        assert (states(studio), studio.made()) == (["done", "queued", "unsure"], (0, 1))
        studio.tables["timing"]["reconcile_after_seconds"] = 0.05
    studio.run_once()
    assert studio.made() == (0, 2)
    assert states(studio) == ["done", "done", "held"]
    assert studio.only("p0.prompt").state == "done" or not sent


def test_what_was_refused_gives_its_room_back(studio):
    """A request that Astria refuses costs nothing: the next one has the room."""
    limit(studio, 2 * PICTURE)
    crowd(studio, 1, "first")
    studio.run_once()
    fault = Fault(
        kind="status", status=422, when="before", method="POST", path=PROMPTS, body='{"error": "no"}'
    )
    studio.sim.faults.add(fault)
    crowd(studio, 3)
    studio.run_once()
    assert studio.made() == (0, 2)
    assert states(studio) == ["done", "done", "failed", "held"]


def test_rerun_is_held_like_any(studio):
    """One more generation costs like the first: it waits for the next day or for approval."""
    crowd(studio, 3)
    studio.run_once()
    studio.command("rerun", studio.inbox / "p0.prompt")
    studio.run_once()
    assert studio.made() == (0, 3)
    assert states(studio) == ["done"] * 3 + ["held"]
    studio.command("approve", studio.inbox / "p0.prompt")
    studio.run_once()
    assert studio.made() == (0, 4)


def test_what_failed_and_is_made_anew_is_paid_twice_and_counted_twice(studio):
    """Astria takes money for what it could not make: `retry` adds to the day's sum, and does not replace it."""
    limit(studio, 2 * PICTURE)
    studio.prompt("a.prompt", "FAIL_USER_ERROR")
    studio.run_once()
    studio.command("retry")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert spent(studio) == 2 * PICTURE
    studio.command("retry")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert states(studio) == ["failed", "failed", "held"]
    assert spent(studio) == 2 * PICTURE


def test_hold_above_and_the_limit(studio):
    """Each is passed by itself: what was let go as a crowd is still held for the money."""
    studio.tables["limits"]["hold_above"] = 4
    crowd(studio, 6)
    studio.run_once()
    assert studio.made() == (0, 0)
    assert told(studio) == []
    assert studio.command("approve")["count"] == 6
    studio.run_once()
    assert studio.made() == (0, 3)
    assert len([row for row in studio.prompts() if "day's limit" in row.reason]) == 3
    assert studio.command("approve")["count"] == 3
    studio.run_once()
    assert studio.made() == (0, 6)


def test_a_crowd_is_not_let_go_with_the_day(studio):
    """What `hold_above` holds waits for a person, whatever the day has left."""
    studio.tables["limits"]["hold_above"] = 4
    crowd(studio, 6)
    studio.run_once()
    studio.clock.slept = DAY
    studio.run_once()
    assert studio.made() == (0, 0)
    assert states(studio) == ["held"] * 6


def test_many_are_held_at_one_go_and_once(studio, monkeypatch):
    """More than one look takes: the next follows at once although nothing happens, and none is asked twice."""
    monkeypatch.setattr(spending, "_SPARE", 0)
    crowd(studio, 3)
    studio.run_once()
    crowd(studio, 90, "q")
    studio.run_once()
    assert states(studio) == ["done"] * 3 + ["held"] * 90
    with studio.journal() as journal:
        assert journal.value("SELECT count(*) FROM events WHERE event = 'held'") == 90


# Tunes


def lora(studio, *names):
    for name in names:
        studio.folder(name, toml='model_type = "lora"\nname = "woman"\nbase_tune = "flux"\n')


def test_a_tune_stays_queued(studio):
    """A tune that the day has no room for waits and says why; so does the prompt that needs it; nothing has failed."""
    limit(studio, 2)
    lora(studio, "jane", "joan")
    studio.prompt("joan/p.prompt", "words")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        daemon.turn()
        assert not daemon.engine.spending.restless
    made = {name: studio.tune(name) for name in ("jane", "joan")}
    held = next(tune for tune in made.values() if tune.state == "queued")
    assert "day's limit of $2.00" in held.reason
    assert studio.made()[0] == 1
    found = look(studio)
    assert found["failed"] is False
    (text,) = told(studio)
    assert "$1.50 of the day's limit of $2.00 is spent; 1 tune held back" in text


def test_a_held_tune_goes_on_the_next_day(studio):
    """By itself, and then the prompt that waited for it."""
    limit(studio, 1.6)
    lora(studio, "jane")
    studio.run_once()
    lora(studio, "joan")
    studio.prompt("joan/p.prompt", "words")
    studio.run_once()
    assert (studio.tune("joan").state, studio.only("joan/p.prompt").state) == ("queued", "waiting")
    studio.clock.slept = DAY
    studio.run_once()
    assert studio.made() == (2, 1)
    assert told(studio) == []
    assert studio.tune("joan").reason == ""


def test_a_held_tune_is_approved(studio):
    """`approve FOLDER` lets it go, and what needs it."""
    limit(studio, 1.6)
    lora(studio, "jane")
    studio.run_once()
    lora(studio, "joan")
    studio.run_once()
    assert studio.command("approve", studio.inbox / "joan") == {"count": 1, "message": "1 tune let go."}
    studio.run_once()
    assert studio.made() == (2, 0)
    assert studio.tune("joan").state == "ready"
    assert spent(studio) == 2 * TRAINING


def test_a_held_tune_whose_folder_changes(studio):
    """Its order is made anew and judged anew: it still waits, with its reason."""
    limit(studio, 1.6)
    lora(studio, "jane")
    studio.run_once()
    lora(studio, "joan")
    studio.run_once()
    studio.picture("joan/more.jpg")
    studio.run_once()
    assert studio.made() == (1, 0)
    assert "day's limit" in studio.tune("joan").reason
    studio.write("joan/tune.toml", 'name = "woman"\nbranch = "fast"\nmodel_type = "lora"\n')
    studio.run_once()
    assert studio.tune("joan").state == "ready"


def test_a_tune_that_failed_and_is_made_anew_is_counted_twice(studio):
    """The folder was mended after Astria could not make a model of it: the second training is paid like the first."""
    limit(studio, 10)
    lora(studio, "jane")
    studio.run_once()
    with studio.journal() as journal:
        journal.change("tunes", 1, state="failed", reason="Astria could not make it")
    studio.picture("jane/better.jpg")
    studio.run_once()
    assert studio.made() == (2, 0)
    assert spent(studio) == 2 * TRAINING


def test_what_is_free_is_never_held(studio):
    """A reference costs nothing, which the first one has shown: with the day's money spent it is made all the same."""
    studio.folder("jane")
    studio.run_once()
    crowd(studio, 4)
    studio.run_once()
    assert studio.made() == (1, 3)
    studio.folder("joan")
    studio.run_once()
    assert studio.tune("joan").state == "ready"


def test_the_limit_does_not_stop_adoption(studio):
    """What is in the account already is found, not paid: also by an older state with nothing left to spend."""
    crowd(studio, 3)
    studio.run_once()
    copy = studio.state.with_name("copy.db")
    shutil.copy(studio.state, copy)
    limit(studio, 10)
    lora(studio, "jane")
    crowd(studio, 2, "q")
    studio.run_once()
    shutil.copy(copy, studio.state)
    shutil.rmtree(studio.output)  # nothing is left to find them by but the account
    limit(studio, 3 * PICTURE)
    studio.run_once()
    assert studio.made() == (1, 5)
    assert set(studio.states().values()) == {"ready", "done"}


@pytest.mark.parametrize("days", [0, 1])
def test_what_is_found_in_the_account_counts_on_the_day_it_was_made(studio, days):
    """With the state and the records lost, what Astria made today is today's money, and what it made before is not."""
    studio.sim.advance(studio.clock.wall() - time.time() - 3600)
    limit(studio, 10)
    crowd(studio, 3)
    lora(studio, "jane")
    studio.run_once()
    studio.clock.slept += days * DAY
    studio.state.unlink()
    shutil.rmtree(studio.output)
    limit(studio, 3 * PICTURE + TRAINING)
    studio.prompt("new.prompt", "something else")
    # The list of tunes comes after that of prompts: what is new waits for both.
    studio.sim.faults.add(Fault(kind="delay", seconds=0.3, method="GET", path=r"^/tunes$"))
    studio.run_once()
    assert spent(studio) == (PICTURE if days else 3 * PICTURE + TRAINING)
    assert look(studio)["spent"]["total_usd"] == pytest.approx((4 if days else 3) * PICTURE + TRAINING)
    assert studio.made() == (1, 4 if days else 3)
    assert studio.only("new.prompt").state == ("done" if days else "held")


def test_money_of_an_earlier_version(studio):
    """What an earlier version found in the account, and dated when it was found, goes to the day on which it was made."""
    crowd(studio, 1)
    studio.run_once()
    with studio.journal() as journal, journal.transaction():
        (row,) = journal.prompts()
        journal.change(
            "prompts", row.id, attempt=0, answer={**row.answer, "created_at": "2020-01-02T03:04:05.678Z"}
        )
    with sqlite3.connect(studio.state) as connection:
        undone = "('m010_money_and_crowds', 'm016_every_step')"
        connection.execute(f"DELETE FROM _sqlite_migrations WHERE name IN {undone}")
        connection.execute("DROP INDEX prompts_incomplete")
        connection.execute("DROP INDEX prompts_crowd")
        connection.execute("ALTER TABLE prompts DROP COLUMN crowd")
    connection.close()
    open_journal(studio.state, now=0).close()
    assert studio.only("p0.prompt").bound_at == 1577934245
    assert spent(studio) == 0


# plan


def test_plan_knows_what_things_cost(studio):
    """What was bought tells what more of it will cost, and what the day's limit would hold back says so."""
    studio.prompt("a.prompt", "words", "num_images: 2")
    studio.run_once()
    studio.prompt("b.prompt", "words", "num_images: 2")
    studio.prompt("c.prompt", "more", "num_images: 1")
    studio.prompt("d.prompt", "more", "model: seedream")
    planned = {one.path: one for one in rehearse(studio.settings(), wall=studio.clock.wall())}
    assert {path: one.estimate_usd for path, one in planned.items()} == {
        "b.prompt": 2 * PICTURE,
        "c.prompt": PICTURE,
        "d.prompt": None,
    }
    assert {path: one.state for path, one in planned.items()} == {
        "b.prompt": "held",
        "c.prompt": "new",
        "d.prompt": "held",
    }
    assert "day's limit" in planned["b.prompt"].reason
    limit(studio, 0)
    assert {one.state for one in rehearse(studio.settings(), wall=studio.clock.wall())} == {"new"}


def test_plan_asks_anew_about_what_is_held(studio):
    """On the next day `plan` shows as new what the limit held on the day before."""
    crowd(studio, 4)
    studio.run_once()
    assert [one.state for one in rehearse(studio.settings(), wall=studio.clock.wall())] == ["held"]
    studio.clock.slept = DAY
    (one,) = rehearse(studio.settings(), wall=studio.clock.wall())
    assert (one.state, one.reason, one.estimate_usd) == ("new", "", PICTURE)
