"""What a benchmark is, and what it is given."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.results import Result

T = TypeVar("T")


@dataclass(kw_only=True)
class Run:
    """One run of one benchmark or of all: how much is to be done, and where."""

    smoke: bool  # only to see that it works: tiny, in seconds
    rounds: int | None
    stack: contextlib.ExitStack
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _shared: dict[str, object] = field(default_factory=dict)

    def pick(self, full: T, smoke: T) -> T:
        """How large: as the goals have it, or tiny."""
        return smoke if self.smoke else full

    def times(self, full: int, smoke: int = 1) -> int:
        """How many rounds."""
        return self.rounds or self.pick(full, smoke)

    def folder(self, name: str) -> Path:
        """An empty folder of its own, removed when the run ends."""
        made = tempfile.TemporaryDirectory(prefix=f"astria-sync-{name}-", ignore_cleanup_errors=True)
        return Path(self.stack.enter_context(made))

    def shared(self, name: str, make: Callable[[], T]) -> T:
        """What takes long to make, and several benchmarks use one after the other."""
        if name not in self._shared:
            self._shared[name] = make()
        return self._shared[name]  # type: ignore[return-value]  # made under this very name


@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """A row of the table: what it measures and how, what limits it, what was tried that did not help."""

    name: str
    title: str
    how: str
    limits: str
    tried: str
    measure: Callable[[Run], Result]
    asked_only: bool = False  # runs when it is named, not with all


def machine() -> str:
    """What it was measured on."""
    cores = len(os.sched_getaffinity(0))
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{cores} cores, Python {version}, Linux {platform.release().partition('-')[0]}"
