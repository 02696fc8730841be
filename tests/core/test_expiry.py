"""When Astria deletes what, and when a person is warned of it."""

import pytest

from astria_sync.core.expiry import KEPT, deleted_at, level, tunes_of

DAY = 86400.0


@pytest.mark.parametrize(
    ("tunes", "at"),
    [
        ([], 100 + KEPT),
        ([None, None], 100 + KEPT),
        ([100 + KEPT + 1], 100 + KEPT),
        ([None, 100 + 5 * DAY, 100 + 9 * DAY], 100 + 5 * DAY),
    ],
)
def test_the_first_of_its_ends(tunes, at):
    """Thirty days, or the end of the first tune that goes before."""
    assert deleted_at(100.0, tunes) == at


def test_the_tunes_of_a_prompt():
    """Target and tokens with an id; names, plain brackets and templates are none."""
    text = r"<faceid:12:1> woman with <lora:34:0.8> {{<faceid:99:1>}} \<faceid:98:1> <lora:film:1> a < b"
    assert list(tunes_of(text, 5)) == [5, 12, 34]
    assert list(tunes_of("words", None)) == []


@pytest.mark.parametrize(
    ("left", "days"), [(8 * DAY, None), (7 * DAY, 7), (3 * DAY, 7), (2 * DAY, 2), (1, 2), (0, 0), (-DAY, 0)]
)
def test_warnings(left, days):
    """Seven days before, two days before, and when it is over."""
    assert level(1000.0 + left, 1000.0) == days
