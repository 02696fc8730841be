"""What a request will cost, and whether the day's limit has room for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.money import dollars
from astria_sync.core.prices import Day, Leave, estimate, prompt_kind, room_for, tune_kind

ONE = prompt_kind(7, {"resolution": "2K"}, 1)
FOUR = prompt_kind(7, {"resolution": "2K"}, 4)
SHARP = prompt_kind(7, {"resolution": "4K"}, 1)
MOVING = prompt_kind(7, {"video_model": "v", "video_duration": 5}, 1)
LORA = tune_kind("lora", 7, {"branch": "flux1", "preset": "flux-lora-portrait"})
QUICK = tune_kind("lora", 7, {"branch": "flux1", "preset": "flux-lora-fast"})


@pytest.mark.parametrize(
    ("kind", "bought", "price"),
    [
        (ONE, [], None),
        (ONE, [(ONE, 14), (ONE, 10)], 14),
        (ONE, [(SHARP, 24), (FOUR, 40), (ONE, 9)], 9),
        (FOUR, [(ONE, 14)], 56),
        (ONE, [(FOUR, 50)], 13),
        (SHARP, [(ONE, 14), (FOUR, 80)], 20),
        (ONE, [(ONE, 0)], 0),
        (MOVING, [(ONE, 14)], None),
        (ONE, [(MOVING, 500)], None),
        (prompt_kind(8, {"resolution": "2K"}, 1), [(ONE, 14)], None),
        (LORA, [(QUICK, 90), (LORA, 150)], 150),
        (LORA, [(QUICK, 90)], 90),
        (tune_kind("faceid", 7, {}), [(LORA, 150)], None),
        (tune_kind("lora", 7, {"branch": "fast"}), [], 0),
    ],
)
def test_estimates(kind, bought, price):
    """The last of the same kind tells; else the dearest picture of the same model; else nobody knows."""
    assert estimate(kind, bought) == price


@pytest.mark.parametrize("name", ["seed", "aspect_ratio", "input_image", "negative_prompt"])
def test_what_makes_no_difference(name):
    """Another seed or shape is no other kind."""
    assert prompt_kind(7, {"resolution": "2K", name: "9"}, 1) == ONE


@pytest.mark.parametrize("name", ["resolution", "super_resolution", "video_duration", "video_model"])
def test_what_makes_a_difference(name):
    """A sharper picture or a longer video is another kind."""
    assert prompt_kind(7, {"resolution": "2K", name: "9"}, 1) != ONE


@pytest.mark.parametrize(
    ("day", "price", "leave"),
    [
        (Day(limit=None, paid=10**9), 10**9, Leave.NOW),
        (Day(limit=None, unpriced=3), None, Leave.NOW),
        (Day(limit=100, paid=60), 40, Leave.NOW),
        (Day(limit=100, paid=60), 41, Leave.NOT_TODAY),
        (Day(limit=100, paid=30, expected=30), 40, Leave.NOW),
        (Day(limit=100, paid=30, expected=30), 41, Leave.LATER),
        (Day(limit=100, paid=300), 0, Leave.NOW),
        (Day(limit=100, paid=99), None, Leave.NOW),
        (Day(limit=100, paid=100), None, Leave.NOT_TODAY),
        (Day(limit=100, paid=50, expected=50), None, Leave.LATER),
        (Day(limit=100, unpriced=1), None, Leave.LATER),
        (Day(limit=100, unpriced=1), 40, Leave.NOW),
    ],
)
def test_the_day(day, price, leave):
    """Up to the limit and no further; what is free always; of those that nobody knows the price of one at a time."""
    assert day.leave(price) is leave


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        (0, "$0.00"),
        (-138.89, "-$138.89"),
        (5, "$5.00"),
        (0.1, "$0.10"),
        (0.045, "$0.045"),
        (0.00001, "less than $0.0001"),
    ],
)
def test_money_as_one_reads_it(usd, shown):
    """Cents, and what matters of less."""
    assert dollars(usd) == shown


def test_what_nobody_knows_waits_for_anything_left():
    """One whose price is not known goes when anything is left; no price that is known is taken for that."""
    assert room_for(None) == 1
    assert room_for(1) == room_for(2) == 2


@settings(print_blob=True, deadline=None)
@given(st.data())
def test_a_day_never_costs_more_than_its_limit_and_one_surprise(data):
    """However requests and their answers follow each other: prices that are known are kept to, and of those that are not one is
    on its way at a time.
    """
    limit = data.draw(st.integers(1, 60))
    day, known, unknown, dearest = Day(limit=limit), [], [], 0
    for _ in range(data.draw(st.integers(1, 60))):
        price, told = data.draw(st.integers(0, 30)), data.draw(st.booleans())
        answered = data.draw(st.integers(0, 2))
        if answered and known:
            done = known.pop()
            day = Day(limit=limit, paid=day.paid + done, expected=day.expected - done, unpriced=day.unpriced)
        elif answered and unknown:
            dearest = max(dearest, cost := unknown.pop())
            day = Day(limit=limit, paid=day.paid + cost, expected=day.expected, unpriced=day.unpriced - 1)
        elif day.leave(price if told else None) is Leave.NOW:
            (known if told else unknown).append(price)
            day = day.plus(price if told else None)
        assert day.paid + sum(known) <= limit + dearest
        assert len(unknown) <= 1
