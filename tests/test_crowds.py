"""Lists that tell nothing new of prompts under way: these are put off, and nothing that is told is passed over."""

from types import SimpleNamespace

import pytest

from astria_sync.core.wire import read_prompt
from astria_sync.crowds import Crowd
from tests.test_spending import NOON, Purse

SHOWN = {"id": 900, "text": "a walk", "seed": 1, "images": [], "cost_mc": 14_000, "url": "https://astria/900"}


@pytest.fixture
def purse(tmp_path):
    one = Purse(tmp_path)
    yield one
    one.journal.close()


def passed_over(crowd, body=SHOWN, took=0.2):
    return crowd.passed_over("", {body["id"]: read_prompt(body)}, took)


def crowd_of(purse, **values):
    """A crowd of one, whose row has what is shown; asked for next in a minute."""
    told = read_prompt(SHOWN)
    row = purse.prompt("generating", remote_id=told.id, url=told.url, answer=told.raw, **values)
    binding = SimpleNamespace(when=lambda kind, what, age: purse.ctx.now + 60 + age)
    return Crowd(ctx=purse.ctx, binding=binding), row


def test_what_is_known_is_put_off_without_its_row(purse):
    """By the first list its row is read and compared; by the next nothing is read at all, and it is asked for later again."""
    crowd, row = crowd_of(purse, bound_at=NOON - 60)
    assert passed_over(crowd) == {900}
    assert purse.journal.prompt(row.id).next_at == NOON + 120
    asked = []
    purse.journal._conn.set_trace_callback(asked.append)
    purse.clock.time += 10
    assert passed_over(crowd) == {900}
    purse.journal._conn.set_trace_callback(None)
    assert purse.journal.prompt(row.id).next_at == NOON + 140
    assert [sql.split()[0] for sql in asked] == ["UPDATE"]


def test_a_list_that_was_read_in_a_machine_asleep_rests_five_minutes_at_most(purse):
    """The lid was closed for eight hours in the middle of it: what is done by now is not found eight hours later."""
    crowd, row = crowd_of(purse, bound_at=NOON)
    assert passed_over(crowd, took=8 * 3600.0) == {900}
    assert purse.journal.prompt(row.id).next_at == NOON + 300


@pytest.mark.parametrize(
    "news",
    [
        {"cost_mc": 15_000},
        {"images": ["https://pictures/1.png"]},
        {"user_error": "no"},
        {"url": "https://astria/9"},
    ],
)
def test_news_is_not_passed_over(purse, news):
    """Neither at first nor once it is known."""
    crowd, _ = crowd_of(purse)
    assert passed_over(crowd, SHOWN | news) == set()
    assert passed_over(crowd) == {900}
    assert passed_over(crowd, SHOWN | news) == set()


@pytest.mark.parametrize("change", ["state = 'done'", "absent = 1", "workspace = 'other'"])
def test_what_is_not_under_way_any_more_is_not_put_off(purse, change):
    """Its row has moved on since it was known: then nothing that is remembered counts."""
    crowd, row = crowd_of(purse)
    assert passed_over(crowd) == {900}
    purse.journal.change_all("prompts", change, "id = ?", row.id)
    assert passed_over(crowd) == set()


def test_what_vanished_is_forgotten_after_a_day(purse):
    """A daemon that runs for months does not remember all that it ever saw."""
    crowd, _ = crowd_of(purse)
    crowd._many = 0
    passed_over(crowd)
    purse.clock.time += 2 * 86400
    crowd._many = 0
    passed_over(crowd)
    assert not crowd._known


def test_a_long_list_rests_as_long_as_it_took(purse):
    """Thousands under way are not asked for without a break: half of the time the place is free."""
    crowd, row = crowd_of(purse)
    assert passed_over(crowd, took=200) == {900}
    assert purse.journal.prompt(row.id).next_at == NOON + 200
