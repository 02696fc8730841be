"""Whole schedules with lists that lag longer than two looks take (tests/simulation/late.py): what is bought twice is all told."""

import itertools

import pytest

from tests.simulation.late import LateSchedule, LostSchedule
from tests.simulation.schedule import play

SCHEDULES = 24
LOST_SCHEDULES = 8
EACH = 4
TELLING = 5  # a seed that is known to buy twice; should it do so no longer, others are looked through


@pytest.mark.parametrize("first", range(0, SCHEDULES, EACH))
def test_everything_made_is_fetched_and_what_is_too_much_is_told(first):
    """Every object that was made has its row and its pictures; those beyond what was wished for, and no other, are told as such.

    A seed that fails is played again by `python -m tests.simulation SEED --late`.
    """
    for seed in range(first, first + EACH):
        play(seed, print, kind=LateSchedule)


@pytest.mark.parametrize("first", range(0, LOST_SCHEDULES, EACH))
def test_twins_stay_two_while_answers_are_lost_and_lists_are_stale(first):
    """Each wish is paid once, with its own seed, since a list whose head is older than what was seen proves nothing.

    A seed that fails is played again by `python -m tests.simulation SEED --lost`.
    """
    for seed in range(first, first + EACH):
        play(seed, print, kind=LostSchedule)


def test_there_is_something_to_tell():
    """Such schedules do buy twice: what they prove is not proven of nothing."""
    seeds = itertools.chain([TELLING], itertools.count(0))
    played = (play(seed, kind=LateSchedule) for seed in seeds)
    found = next(schedule for schedule in itertools.islice(played, 40) if schedule.judge.surplus)
    assert found.judge.surplus
