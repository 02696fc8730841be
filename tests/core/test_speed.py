"""A transfer is given up when it hardly moves, and never because it is large."""

from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.speed import LEAST, WINDOW, Speed

ARRIVALS = st.lists(st.tuples(st.floats(0, 30), st.integers(1, 300)), max_size=60)


def test_a_byte_every_now_and_then_is_no_progress():
    """What trickles is given up after one window, however often a byte comes."""
    speed = Speed(100.0)
    for n in range(1000):
        speed.took(1, 100.0 + n * WINDOW / 1000)
    assert speed.until == 100.0 + WINDOW


def test_a_slow_line_that_moves_is_let_go_on():
    """At twice the least speed a video of 2 GB takes seven weeks, and no moment of it is too slow."""
    speed, at = Speed(0.0), 0.0
    while speed.total < 2e9:
        at += WINDOW / 2
        assert at <= speed.until
        speed.took(LEAST, at)
    assert at > 40 * 86400


def test_it_must_go_on_moving():
    """A fast start buys no standstill later: one window after the last bytes that were enough, it is over."""
    speed = Speed(0.0)
    speed.took(10**9, 5.0)
    assert speed.until == 5.0 + WINDOW
    speed.took(1, 30.0)
    assert speed.until == 5.0 + WINDOW


@settings(print_blob=True, deadline=None)
@given(ARRIVALS)
def test_it_is_the_window_that_counts(arrivals):
    """At every moment: too slow exactly if fewer than `least` bytes came within the last `window` seconds."""
    speed, at, came = Speed(0.0, window=60, least=500), 0.0, []
    for wait, octets in arrivals:
        at += wait
        came.append((at, octets))
        speed.took(octets, at)
    for moment in (at + n / 4 for n in range(400)):
        within = sum(octets for when, octets in came if when > moment - 60)
        at_the_edge = sum(octets for when, octets in came if when >= moment - 60)
        if moment < speed.until:
            assert at_the_edge >= 500 or moment < 60
        elif moment > speed.until:
            assert within < 500
    assert speed.total == sum(octets for _, octets in came)
