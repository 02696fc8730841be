"""Fixtures for the tests that run the whole thing."""

import logging
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from astria_sync import secrets
from astria_sync.sink import Sink
from tests import prepared
from tests.studio_harness import Studio, new_simulator

prepared.install()

# A busy machine is slow at anything: neither an example nor making one has a time in which it must be done.
settings.register_profile(
    "tests", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")

_MEMORY = Path("/dev/shm")
_ENOUGH = 2 << 30  # bytes

# Of a process that is killed in a play SQLite keeps what it shared with others open, four descriptors a schedule: more than the
# thousand that a shell allows at first.
_SOFT, _HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
_OPEN = 16_384 if _HARD == resource.RLIM_INFINITY else min(_HARD, 16_384)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(_SOFT, _OPEN), _HARD))


def pytest_configure() -> None:
    """A file system in memory takes the tests' folders, where there is one: each commit of a state waits for a disk otherwise."""
    if not os.access(_MEMORY, os.W_OK):
        return
    disk = os.statvfs(_MEMORY)
    if disk.f_bavail * disk.f_frsize >= _ENOUGH and not disk.f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


_PLAYED = {"test_simulation.py", "test_late_lists.py"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The played schedules first: seconds of nothing but CPU each, a third of all. One worker is at them from the start, while
    the others wait for servers and processes half of their time; and nobody is left alone with one at the end.
    """
    items.sort(key=lambda item: item.path.name not in _PLAYED)


_LOGGERS = [logging.getLogger(name) for name in (None, "astria_sync", "httpx", "httpcore")]


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """A command line that a test runs in this process sets up its log: later tests would write all of theirs to it."""
    levels = [logger.level for logger in _LOGGERS]
    yield
    for logger, level in zip(_LOGGERS, levels, strict=True):
        if logger.level != level:
            logger.setLevel(level)
    root = _LOGGERS[0]
    for handler in [one for one in root.handlers if isinstance(one, Sink)]:
        root.removeHandler(handler)
        handler.close()


@pytest.fixture(autouse=True)
def _tokens_as_before() -> Iterator[None]:
    """Each studio has a token of its own, and a process looks for every one that it has read in all that it logs."""
    before = dict(secrets._read)
    yield
    secrets._read.clear()
    secrets._read.update(before)


@pytest.fixture
def hangups() -> Iterator[None]:
    """SIGHUP as a process has it that nobody started under nohup, whoever started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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
