"""What a day has cost and what is under way, from rows; and how the limit holds back and lets go."""

import dataclasses
import time

import pytest

from astria_sync.clock import day_of
from astria_sync.context import Context
from astria_sync.core.prices import Leave, prompt_kind, tune_kind
from astria_sync.journal import open_journal
from astria_sync.settings import Astria, Limits, Settings
from astria_sync.spending import _BOUGHT, _BOUGHT_LIKE, _UNDER_WAY, Spending

NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))
AT = {"created_at": NOON, "updated_at": NOON}
SHARP = {"resolution": "4K"}


class Clock:
    """Stands still where a test sets it."""

    def __init__(self):
        self.time = NOON

    def now(self):
        return self.time

    def wall(self):
        return self.time


class Purse:
    """A day's limit over rows that a test writes."""

    def __init__(self, tmp_path, usd=5.0):
        self.journal = open_journal(None, now=NOON)
        self.clock = Clock()
        settings = Settings(
            file=None,
            state=tmp_path / "s.db",
            astria=Astria(token_file=tmp_path / "token"),
            limits=Limits(spend_per_day_usd=usd),
        )
        self.ctx = Context(
            journal=self.journal,
            clock=self.clock,
            settings=settings,
            write_file=lambda _path, _data: None,
            remove_file=lambda _path: None,
        )
        self.spending = Spending(ctx=self.ctx)
        self.source = self.journal.add("sources", kind="prompt", root="/in", path="p", **AT)

    def limit(self, usd):
        limits = Limits(spend_per_day_usd=usd)
        self.ctx.settings = dataclasses.replace(self.ctx.settings, limits=limits)

    def row(self, table, state, **values):
        usual = {"source_id": self.source, "attempt": 1, **AT}
        return self.journal.add(table, state=state, **usual | values)

    def prompt(self, state="done", *, cost=14_000, bound=NOON - 60, images=1, **values):
        usual = {"target": 7, "bound_at": bound, "cost_mc": cost, "num_images": images}
        return self.journal.prompt(self.row("prompts", state, **usual | values))

    def tune(self, state="ready", *, cost=150_000, bound=NOON - 60, **values):
        usual = {"model_type": "lora", "bound_at": bound, "cost_mc": cost}
        return self.journal.tune(self.row("tunes", state, **usual | values))

    @property
    def day(self):
        self.spending.begin()
        return self.spending.day

    def price(self, images=1, params=None):
        self.spending.begin()
        return self.spending.price(prompt_kind(7, params or {}, images))


@pytest.fixture
def purse(tmp_path):
    one = Purse(tmp_path)
    yield one
    one.journal.close()


# What was paid


def test_a_day_counts_what_was_bought_in_it(purse):
    """From midnight to midnight, also what was found in the account: neither yesterday, nor a clock's wrong tomorrow."""
    began, ends = day_of(NOON)
    purse.prompt(bound=began)
    purse.prompt(bound=began - 1, cost=1)
    purse.prompt(bound=ends, cost=2)
    purse.prompt(bound=ends - 1, cost=300)
    purse.prompt(attempt=0, cost=4)
    purse.tune()
    purse.tune(params={"id": 5}, attempt=0, cost=5)
    assert purse.day.paid == 14_000 + 300 + 4 + 150_000
    assert (purse.day.expected, purse.day.unpriced) == (0, 0)


@pytest.mark.parametrize(
    ("state", "bound", "cost", "counted"),
    [
        ("submitting", None, 0, True),
        ("unsure", None, 0, True),
        ("generating", NOON - 5, 0, True),
        ("generating", NOON - 5, 13_000, False),
        ("generating", NOON - 90_000, 0, False),
        ("queued", None, 0, False),
        ("waiting", None, 0, False),
        ("held", None, 0, False),
        ("downloading", NOON - 5, 0, False),
        ("done", NOON - 5, 0, False),
        ("failed", NOON - 5, 0, False),
    ],
)
def test_what_is_under_way_is_expected_to_cost_what_its_like_cost(purse, state, bound, cost, counted):
    """Each that has not told its price and may still do so today, once."""
    purse.prompt(bound=NOON - 90_000, params=SHARP, cost=24_000)
    purse.prompt(state, bound=bound, cost=cost, params=SHARP)
    assert purse.day.expected == 24_000 * counted
    assert purse.day.paid == cost


@pytest.mark.parametrize(("state", "bound"), [("uploading", None), ("unsure", None), ("training", NOON - 5)])
def test_tunes_under_way_are_expected_too(purse, state, bound):
    """A training is the dearest thing there is."""
    purse.tune(bound=NOON - 90_000)
    purse.tune(state, bound=bound, cost=0)
    assert purse.day.expected == 150_000


def test_what_nobody_knows_is_counted_apart(purse):
    """Under way, and nothing like it was ever bought."""
    purse.prompt("submitting", bound=None, cost=0)
    purse.tune("training", cost=0)
    assert (purse.day.unpriced, purse.day.expected) == (2, 0)


def test_without_a_limit_nothing_is_counted(purse):
    """Whoever sets no limit pays nothing for it, in time either."""
    purse.limit(0)
    purse.prompt()
    assert (purse.day.limit, purse.day.paid) == (None, 0)
    assert purse.spending.ask(prompt_kind(7, {}, 1), approved=False) == (Leave.NOW, None)


# What things cost


def test_the_latest_price_counts(purse):
    """Astria changes its prices: what the last one of a kind cost is what the next will cost."""
    purse.prompt(cost=14_000)
    purse.prompt(cost=15_000)
    purse.prompt(cost=30_000, images=2)
    assert (purse.price(), purse.price(2), purse.price(4)) == (15_000, 30_000, 60_000)


@pytest.mark.parametrize(
    "row",
    [
        {"state": "failed", "cost": 0},
        {"state": "generating", "cost": 0},
        {"bound": None},
        {"bound": 0.0},
        {"target": 8},
        {"params": {"video_model": "v"}},
    ],
)
def test_what_tells_no_price(purse, row):
    """What failed for nothing, runs, was never made, stands in for another, or is another model's."""
    purse.prompt(**row)
    assert purse.price() is None


def test_a_tune_that_was_there_tells_no_price(purse):
    """What `id` in tune.toml names cost whatever it cost elsewhere."""
    purse.tune(params={"id": 5}, cost=0)
    assert purse.spending.price(tune_kind("lora", None, {})) is None
    purse.tune(cost=9)
    purse.spending.begin()
    assert purse.spending.price(tune_kind("lora", None, {})) == 9


def test_a_rare_kind_is_found_among_others(purse):
    """Videos of a model, or sharper pictures, are not hidden by thousands of its usual pictures."""
    purse.prompt(params={"video_model": "v"}, cost=25_000)
    purse.prompt(params=SHARP, cost=24_000)
    for _ in range(250):
        purse.prompt()
    assert purse.price(params={"video_model": "v"}) == 25_000
    assert purse.price(params=SHARP) == 24_000


def test_no_question_goes_through_all_rows(purse):
    """Each is answered from an index, however many prompts there are."""
    for _ in range(300):
        purse.prompt()
    between = "bound_at >= 1 AND bound_at < 2 AND attempt > 0"
    questions = {
        _BOUGHT["prompt"]: [7, 0],
        _BOUGHT_LIKE: [7, 1, "4K"],
        _BOUGHT["tune"]: ["lora", None, None],
        f"SELECT coalesce(sum(cost_mc), 0) FROM prompts WHERE {between}": [],
        _UNDER_WAY.format(what="prompt", columns="params", between=between): [],
        _UNDER_WAY.format(what="tune", columns="params", between=between): [],
        "SELECT min(needs_mc) FROM prompts WHERE needs_mc IS NOT NULL AND +state = 'held'": [],
        "SELECT min(needs_mc) FROM tunes WHERE needs_mc IS NOT NULL AND +state = 'queued'": [],
    }
    for sql, values in questions.items():
        plan = [row["detail"] for row in purse.journal.rows(f"EXPLAIN QUERY PLAN {sql}", values)]
        steps = [step for step in plan if step.startswith(("SEARCH", "SCAN"))]
        assert steps
        assert all(step.startswith("SEARCH") and "INDEX" in step for step in steps), plan
        assert not any("ORDER BY" in step for step in plan), plan


# Held back, and let go


def held(purse, needs, **values):
    return purse.prompt("held", bound=None, cost=0, attempt=0, needs_mc=needs, **values)


def queued(purse):
    return [row.id for row in purse.journal.prompts("state = 'queued' ORDER BY id")]


def test_only_what_fits_wakes_the_oldest_first(purse):
    """As many as there are places; what is too dear sleeps on, and what a crowd was held for is not touched."""
    purse.limit(0.3)
    rows = [held(purse, needs).id for needs in (20_000, 40_000, 10_000, None, 30_000)]
    purse.spending.begin()
    purse.spending.wake(2)
    assert queued(purse) == [rows[0], rows[2]]
    assert purse.spending.restless
    purse.spending.begin()
    purse.spending.wake(2)
    assert queued(purse) == [rows[0], rows[2], rows[4]]
    purse.spending.begin()
    purse.spending.wake(2)
    assert not purse.spending.restless
    assert purse.journal.prompt(rows[0]).needs_mc is None


def test_of_those_that_nobody_knows_one_wakes(purse):
    """The first tells the price; with one under way, or nothing left, none does."""
    first, second = held(purse, 1), held(purse, 1)
    purse.spending.begin()
    purse.spending.wake(8)
    assert queued(purse) == [first.id]
    purse.journal.change("prompts", first.id, state="submitting")
    purse.spending.begin()
    purse.spending.wake(8)
    assert queued(purse) == []
    purse.journal.change("prompts", first.id, state="done", cost_mc=500_000, bound_at=NOON, attempt=1)
    purse.spending.begin()
    purse.spending.wake(8)
    assert purse.journal.prompt(second.id).state == "held"


def test_without_a_limit_all_wake(purse):
    """A limit that was taken away holds nothing."""
    purse.limit(0)
    rows = [held(purse, needs).id for needs in (1, 20_000, 10**9)]
    for _ in range(3):
        purse.spending.begin()
        purse.spending.wake(8)
    assert queued(purse) == rows


def test_what_is_held_back_is_told_once(purse):
    """`status` and the log learn that it begins, and that it ends."""
    purse.spending.tell()
    assert purse.journal.get("day_limit") is None
    assert purse.spending.next_due() is None
    row = held(purse, 20_000)
    for _ in range(3):
        purse.spending.tell()
    assert purse.journal.get("day_limit") == 5.0
    assert purse.spending.next_due() == day_of(NOON)[1]
    purse.journal.change("prompts", row.id, state="waiting")
    for _ in range(3):
        purse.spending.tell()
    assert purse.journal.get("day_limit") is None
    assert purse.journal.value("SELECT count(*) FROM events WHERE event = 'day''s limit'") == 2


@pytest.mark.parametrize("usd", [0.000001, 0.00001, 0.29, 1e9])
def test_a_limit_in_thousandths_of_a_cent(purse, usd):
    """However small, a limit is one; 29 cents are 29,000."""
    purse.limit(usd)
    assert purse.spending.limit == max(1, round(usd * 100_000))


# Days


@pytest.fixture
def zone(monkeypatch):
    """Put this machine into a time zone."""

    def put(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield put
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("name", "date", "hours"),
    [
        ("UTC", (2026, 11, 22), 24),
        ("<+14>-14", (2026, 12, 31), 24),
        ("CET-1CEST,M3.5.0,M10.5.0/3", (2026, 3, 29), 23),
        ("CET-1CEST,M3.5.0,M10.5.0/3", (2026, 10, 25), 25),
        ("<-04>4<-03>,M9.1.6/24,M4.1.6/24", (2026, 9, 6), 23),  # there is no midnight that day
    ],
)
def test_a_day_is_a_local_one(zone, name, date, hours):
    """From midnight to midnight where the machine is, also when the clock is put forward or back in between."""
    zone(name)
    began, ends = day_of(time.mktime((*date, 12, 0, 0, 0, 0, -1)))
    assert time.localtime(began)[:3] == date
    assert time.localtime(began - 1)[:3] != date
    assert time.localtime(ends - 1)[:3] == date
    assert ends - began == hours * 3600
    assert day_of(began) == day_of(ends - 1) == (began, ends)
    assert day_of(ends)[0] == ends
