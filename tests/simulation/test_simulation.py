"""Whole schedules: whatever a person, a network, a disk and a machine do, each wish is paid once and every picture is kept."""

import json

import pytest

from tests.simulation.breakages import BREAKAGES, CAUGHT_BY, catches
from tests.simulation.machine import Broken
from tests.simulation.schedule import play

SCHEDULES = 320
_AT_ONCE = 5


@pytest.mark.parametrize("first", range(0, SCHEDULES, _AT_ONCE))
def test_schedules(first):
    """Nothing is paid twice, lost, half under its final name or wrongly told; and at rest all is done."""
    for seed in range(first, first + _AT_ONCE):
        try:
            play(seed)
        except (Exception, Broken) as error:
            raise AssertionError(f"again with: python -m tests.simulation {seed}") from error


def test_a_seed_plays_the_same_again():
    """Two plays of one seed tell the same, to the hundredth of a second."""
    stories: list[list[str]] = [[], []]
    for story in stories:
        play(4, story.append)
    assert stories[0] == stories[1] != []


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda one: one.name)
def test_what_is_broken_is_caught(breakage):
    """The harness notices each of the known ways to break the product, by the seed that is on record for it."""
    seed = json.loads(CAUGHT_BY.read_text())[breakage.name]
    assert catches(breakage, seed), (
        f"{breakage.name} is not caught by seed {seed}; look for another with --breakages"
    )
