"""One zygote for all tests of a worker, and what they may need that a machine does not have."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.crashes import points, strace
from tests.crashes.bench import Bench


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Processes to kill."""
    with Bench() as bench:
        yield bench


@pytest.fixture(scope="session")
def counts(bench: Bench) -> Counter[str]:
    """How many system calls of each kind there are."""
    if bench.unsupported:
        pytest.skip(bench.unsupported)
    return points.count(bench, "seccomp")


@pytest.fixture(scope="session")
def by_strace(bench: Bench) -> Counter[str]:
    """The same as strace counts it."""
    if reason := strace.unsupported():
        pytest.skip(reason)
    return points.count(bench, "strace")


@pytest.fixture(scope="session")
def by_hooks(bench: Bench) -> Counter[str]:
    """The same as our own hooks count it."""
    return points.count(bench, "hooks")
