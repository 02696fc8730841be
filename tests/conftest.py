"""Fixtures for the tests that run the whole thing."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests import prepared
from tests.studio_harness import Studio, new_simulator

prepared.install()


@pytest.fixture
def make_studio(tmp_path: Path) -> Iterator[Callable[..., Studio]]:
    """Studios with a simulator of their own; keywords are the simulator's options."""
    with ExitStack() as stack:
        count = 0

        def make(**options: Any) -> Studio:
            nonlocal count
            count += 1
            home = tmp_path / f"studio{count}"
            home.mkdir()
            return Studio(home, stack.enter_context(new_simulator(**options)))

        yield make


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    """One studio with the usual simulator."""
    return make_studio()
