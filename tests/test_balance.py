"""The balance: asked for while money goes out, and told before it is gone."""

import pytest

from astria_sync.balance import LOW, Balance, note
from astria_sync.core import work
from tests.test_spending import NOON, Purse

USD = 100_000


@pytest.fixture
def purse(tmp_path):
    return Purse(tmp_path)


def asked(purse):
    Balance(ctx=purse.ctx).plan()
    return [piece for piece in purse.ctx.outbox if isinstance(piece, work.Probe)]


def test_it_is_not_asked_for_while_nothing_is_paid(purse):
    """An idle daemon asks Astria nothing."""
    purse.clock.time += 3600
    assert asked(purse) == []


def test_it_is_asked_for_once_an_hour_while_something_is(purse):
    """Not in the first minutes, and then no oftener."""
    purse.row("prompts", "done", bound_at=NOON, cost_mc=1)
    balance = Balance(ctx=purse.ctx)
    for seconds, probes in ((0, 0), (301, 1), (10, 1), (3600, 2)):
        purse.clock.time += seconds
        purse.ctx.under_way.clear()
        balance.plan()
        assert len(purse.ctx.outbox) == probes


def test_it_is_asked_for_soon_after_a_top_up(purse):
    """Something is paid for although nothing was left: that is not said for another hour."""
    purse.journal.put("balance_mc", -5)
    purse.journal.put("balance_at", NOON)
    balance = Balance(ctx=purse.ctx)
    balance.plan()
    assert not purse.ctx.outbox
    purse.row("prompts", "done", bound_at=NOON + 1, cost_mc=1)
    for seconds, probes in ((1, 0), (10, 1), (10, 1), (60, 2)):  # what was paid is added up every ten seconds
        purse.clock.time += seconds
        purse.ctx.under_way.clear()
        balance.plan()
        assert len(purse.ctx.outbox) == probes
    note(purse.ctx, 50 * USD)
    purse.clock.time += 100
    balance.plan()
    assert len(purse.ctx.outbox) == 2


def test_it_is_asked_for_soon_when_more_was_paid_than_there_was(purse):
    """Topped up while a little was left: the warning must not outlive it for an hour."""
    purse.journal.put("balance_mc", 8_000)
    purse.journal.put("balance_at", NOON)
    purse.clock.time += 60
    purse.row("prompts", "done", bound_at=NOON + 1, cost_mc=5_000)
    assert not asked(purse)
    purse.row("tunes", "ready", bound_at=NOON + 2, cost_mc=3_000)
    assert asked(purse)


@pytest.mark.parametrize(
    ("paid", "left", "low"),
    [(0, 0.0, False), (3, 2.5, True), (3, 3.5, False), (0.1, 0.4, True), (0.1, 0.6, False)],
)
def test_it_is_low_when_it_will_not_last_another_day(purse, paid, left, low):
    """Less than the last day cost, or than half a dollar."""
    purse.row("prompts", "done", bound_at=NOON - 60, cost_mc=int(paid * USD))
    note(purse.ctx, int(left * USD))
    assert bool(purse.journal.get(LOW)) is low
    assert purse.journal.get("balance_mc") == int(left * USD)


def test_a_top_up_ends_the_warning(purse):
    """It is said once, and not any more when there is enough."""
    purse.row("prompts", "done", bound_at=NOON - 60, cost_mc=3 * USD)
    note(purse.ctx, USD)
    assert "$1.00" in purse.journal.get(LOW)
    note(purse.ctx, 50 * USD)
    assert purse.journal.get(LOW) is None
