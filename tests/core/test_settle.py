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
    assert settling.due(5.0) == []
    assert settling.next_due() == 8.0
    settling.see("a", "2", 6.0)
    assert settling.due(20.0) == ["b", "a"]
    assert settling.next_due() is None


def test_after_a_look_that_failed():
    """What a failed look was to see is due once more."""
    settling = Settling[str](5)
    settling.see("a", "1", 0.0)
    assert settling.due(5.0) == ["a"]
    settling.ask_again()
    assert settling.due(5.0) == ["a"]


def test_a_look_takes_time():
    """The time of standing still runs from the end of the look that saw the stamp to the start of the one that finds it."""
    settling = Settling[str](5)
    assert not settling.see("a", "1", 0.0, since=2.0)
    assert not settling.see("a", "1", 6.0, since=8.0)
    assert settling.due(6.9) == []
    assert settling.see("a", "1", 7.0, since=9.0)


def test_the_stamp_last_seen():
    """While a thing settles its last stamp can be asked for."""
    settling = Settling[str](5)
    settling.see("a", "1", 0.0)
    settling.see("a", "2", 1.0)
    assert settling.seen("a") == "2"
    settling.forget("a")
    assert settling.seen("a") == ""


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
    settling, now = Settling[str](seconds), 1.7e9
    since: dict[str, tuple[str, float]] = {}
    for key, stamp, step in sightings:
        now += step
        if key not in since or since[key][0] != stamp:
            since[key] = (stamp, now)
        assert settling.see(key, stamp, now) == (since[key][1] + seconds <= now)
        assert settling.seen(key) == stamp


@settings(print_blob=True, deadline=None)
@given(SIGHTINGS, st.floats(0.1, 10))
def test_nothing_that_settles_is_forgotten(sightings, seconds):
    """Whoever looks when told to, at what is told, takes everything up, and each wait ends in something to look at."""
    settling, now = Settling[str](seconds), 1.7e9
    for key, stamp, step in sightings:
        now += step
        settling.see(key, stamp, now)
        for told in settling.due(now):
            settling.see(told, settling.seen(told), now)
    for _ in range(len(sightings) + 1):
        settling.ask_again()
        if (at := settling.next_due()) is None:
            break
        now = max(now, at)
        told = settling.due(now)
        assert told
        for one in told:
            assert settling.see(one, settling.seen(one), now)
            settling.forget(one)
    assert len(settling) == 0
