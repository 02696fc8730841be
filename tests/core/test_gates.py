"""Doors: what closes them, what goes on while they are closed, and when they are tried."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.gates import AUTH, BALANCE, NETWORK, SLOW, Gate, Gates

DOORS = (NETWORK, AUTH, BALANCE, SLOW)


def closed(*names, until=10.0):
    gates = Gates()
    for name in names:
        gates.close(name, Gate("why", until))
    return gates


@pytest.mark.parametrize(
    ("names", "reads", "creates"),
    [
        ((), True, True),
        ((NETWORK,), False, False),
        ((AUTH,), False, False),
        ((SLOW,), False, False),
        ((BALANCE,), True, False),
        ((BALANCE, SLOW), False, False),
    ],
)
def test_what_goes_on(names, reads, creates):
    """An empty balance leaves lists readable; every other closed door stops all requests."""
    gates = closed(*names)
    assert (gates.reads, gates.creates) == (reads, creates)


def test_slow_opens_by_itself_and_nothing_else_does():
    """When the time is up, only the door that Astria asked for opens without a knock."""
    gates = closed(*DOORS)
    assert not gates.pass_time(9.9)
    assert gates.pass_time(10.0)
    assert set(gates.closed) == {NETWORK, AUTH, BALANCE}
    assert not gates.pass_time(1e9)


def test_when_to_knock():
    """A probe is due when a door that needs one is, and never while Astria asks to slow down."""
    assert not Gates().probe_due(1e9)
    assert not closed(SLOW).probe_due(1e9)
    assert not closed(NETWORK, SLOW).probe_due(1e9)
    assert not closed(NETWORK).probe_due(9.9)
    assert closed(NETWORK).probe_due(10.0)
    gates = closed(AUTH, until=50.0)
    gates.close(NETWORK, Gate("why", 20.0))
    assert gates.probe_due(20.0)
    assert gates.next_at() == 20.0
    assert Gates().next_at() is None


def test_a_door_is_kept_shut_for_longer_never_for_less():
    """Of two answers that close one door the later end holds, and the newest words."""
    gates = closed(SLOW, until=60.0)
    gates.close(SLOW, Gate("why", 30.0))
    assert gates.closed[SLOW] == Gate("why", 60.0)
    gates.close(SLOW, Gate("other words", 40.0))
    assert gates.closed[SLOW] == Gate("other words", 60.0)
    gates.close(SLOW, Gate("why", 90.0))
    assert gates.closed[SLOW] == Gate("why", 90.0)


def test_failures_together_count_once():
    """Eight requests that fail while the door is shut are one strike; each knock in vain is one more."""
    gates = Gates()
    assert gates.strike(NETWORK, 0.0) == 1
    gates.close(NETWORK, Gate("why", 10.0))
    assert [gates.strike(NETWORK, now) for now in (0.0, 5.0, 9.9)] == [1, 1, 1]
    assert gates.strike(NETWORK, 10.0) == 2


def test_opening_forgets_the_strikes():
    """A door seen to work starts counting anew; one that opened by its time alone does not."""
    gates = closed(NETWORK, SLOW)
    gates.strike(SLOW, 10.0)
    gates.strike(NETWORK, 10.0)
    gates.pass_time(10.0)
    assert gates.strike(SLOW, 11.0) == 2
    gates.open(SLOW, NETWORK, AUTH)
    assert gates.strike(SLOW, 12.0) == 1
    assert gates.strike(NETWORK, 12.0) == 1
    assert gates.creates


@settings(print_blob=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["close", "open", "strike", "time"]), st.sampled_from(DOORS), st.floats(0, 9)
        ),
        max_size=40,
    )
)
def test_doors_under_any_order_of_events(events):
    """Whatever happens in whatever order, nothing raises, and what creates may always read."""
    gates, now = Gates(), 0.0
    for what, name, step in events:
        now += step
        if what == "close":
            before = gates.closed.get(name, Gate("", 0.0)).until
            gates.close(name, Gate("why", now + step))
            assert gates.closed[name].until == max(before, now + step)
        elif what == "open":
            gates.open(name)
            assert name not in gates.closed
        elif what == "strike":
            assert gates.strike(name, now) >= 0
        else:
            gates.pass_time(now)
            assert SLOW not in gates.closed or gates.closed[SLOW].until > now
        assert gates.reads or not gates.creates
        assert (gates.next_at() is None) == gates.creates
        assert not (gates.probe_due(now) and gates.creates)
