"""How often Astria is asked, and that the pages asked for cover everything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.pace import SLOWEST, next_cursor, next_delay, typical

SECONDS = st.floats(0, 1e7)


@pytest.mark.parametrize(
    ("age", "usual", "delay"),
    [
        (0.0, None, 5.0),
        (100.0, None, 15.0),
        (1e6, None, 60.0),
        (0.0, 30.0, 27.0),
        (26.0, 30.0, 5.0),
        (40.0, 30.0, 5.0),
        (130.0, 30.0, 15.0),
        (1e6, 30.0, 60.0),
        (0.0, 3600.0, 60.0),
    ],
)
def test_known_delays(age, usual, delay):
    """Rarely while it cannot be done, every poll when it should be, less when it is late, once a minute at least."""
    assert next_delay(age, usual, 5.0) == pytest.approx(delay)


@settings(print_blob=True, deadline=None)
@given(SECONDS, st.none() | SECONDS, st.floats(0.01, 1000))
def test_delays_have_bounds(age, usual, poll):
    """Never more often than `poll_seconds`, and never more rarely than once a minute."""
    assert poll <= next_delay(age, usual, poll) <= max(SLOWEST, poll)


@pytest.mark.parametrize(
    ("durations", "usual"), [([], None), ([7.0], 7.0), ([9.0, 1.0, 5.0, 3.0], 3.0), ([4.0, 2.0], 2.0)]
)
def test_typical(durations, usual):
    """The lower quartile, since durations are only ever seen too long."""
    assert typical(durations) == usual


@settings(print_blob=True, deadline=None)
@given(
    st.sets(st.integers(1, 400), max_size=60),
    st.sets(st.integers(1, 400), min_size=1, max_size=20),
    st.integers(1, 30),
)
def test_the_pages_cover_every_id(there, wanted, size):
    """With pages of any size, and others' objects between ours, each id that is there is shown, and the loop ends."""
    shown: set[int] = set()
    cursor: int | None = max(wanted) + 1
    left = sorted(wanted)
    pages = 0
    while cursor is not None:
        page = sorted((one for one in there if one < cursor), reverse=True)[:size]
        shown |= set(page)
        lowest = page[-1] if page else 0
        left = [one for one in left if one < lowest]
        cursor = next_cursor(left)
        pages += 1
    assert wanted & there <= shown
    assert pages <= len(wanted) + 1
