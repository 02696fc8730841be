"""Standing still: only a second look that finds the same stamp, long enough after, takes a thing up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.settle import Settling

SIGHTINGS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("12"), st.floats(0, 4, allow_nan=False)), max_size=30
)


def test_a_first_sight_settles_nothing():
    """One look cannot tell whether somebody is still writing."""
    settling = Settling[str](5)
    assert not settling.see("a", "1", 100.0)
    assert "a" in settling
    assert len(settling) == 1


def test_the_same_stamp_after_the_time_settles():
    """It is settled at the very second, not before."""
    settling = Settling[str](5)
    assert [settling.see("a", "1", now) for now in (100.0, 104.9, 105.0)] == [False, False, True]


def test_a_change_starts_the_time_again():
    """A stamp that changed has to stand still anew, also when it changes back."""
    settling = Settling[str](5)
    looks = [("1", 0.0), ("2", 4.0), ("2", 8.9), ("1", 9.0), ("1", 13.9), ("1", 14.0)]
    assert [settling.see("a", *look) for look in looks] == [False, False, False, False, False, True]


def test_no_time_settles_at_once():
    """`settle_seconds = 0` takes things up at the first sight, and after each change."""
    settling = Settling[str](0)
    assert settling.see("a", "1", 0.0)
    assert settling.see("a", "2", 0.0)


def test_due_and_next_due():
    """Those that may have settled are named once until they are seen again, and when the first of the others will have."""
    settling = Settling[str](5)
    assert settling.next_due() is None
    settling.see("a", "1", 0.0)
    settling.see("b", "1", 3.0)
    assert settling.next_due() == 5.0
    assert settling.due(4.9) == []
    assert settling.due(5.0) == ["a"]
    assert settling.due(8.0) == ["b"]  # "a" is being looked at; it is told again once it was seen
    settling.ask_again()
    assert settling.due(8.0) == ["a", "b"]
    assert settling.next_due() is None


@pytest.mark.parametrize("known", [True, False])
def test_forgotten(known):
    """What was taken up, or is gone, is not settling any more; to forget it twice is nothing."""
    settling = Settling[str](5)
    if known:
        settling.see("a", "1", 0.0)
    settling.forget("a")
    assert "a" not in settling
    assert settling.next_due() is None
    assert not settling.see("a", "1", 100.0)


@settings(print_blob=True, deadline=None)
@given(SIGHTINGS, st.floats(0.1, 10))
def test_settled_means_seen_unchanged_for_that_long(sightings, seconds):
    """Whatever is seen when, a thing settles just when its latest run of equal stamps spans the time."""
    settling, now = Settling[str](seconds), 0.0
    since: dict[str, tuple[str, float]] = {}
    for key, stamp, step in sightings:
        now += step
        if key not in since or since[key][0] != stamp:
            since[key] = (stamp, now)
        assert settling.see(key, stamp, now) == (now - since[key][1] >= seconds)
        assert set(settling.due(now)) == {k for k, (_, at) in since.items() if now - at >= seconds}
        assert settling.next_due() == min(at for _, at in since.values()) + seconds
