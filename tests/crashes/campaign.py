"""All of it: every kill point, every failing call, random kills; two at a time, with a table at the end (`make crashes`)."""

import json
import multiprocessing
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crashes import filling, points, storms, strace
from tests.crashes.bench import Bench
from tests.crashes.syscalls import die_with_parent

PARTS = ("kills", "errors", "hooks", "strace", "storms", "disks")
_STORMS = (7, 3, 20)  # with lists that lag, with lists that lie, random kills in each


@dataclass(kw_only=True)
class Row:
    """A line of the table."""

    points: int = 0
    missed: int = 0
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of one piece of work, in another process."""

    name: str
    seconds: float
    hit: bool = True
    broken: str = ""


_bench: Bench | None = None


def _open_bench() -> None:
    global _bench
    die_with_parent()
    _bench = Bench().__enter__()
    multiprocessing.util.Finalize(None, _bench.__exit__, exitpriority=10)


def _timed(name: str, command: str, work: Callable[[], bool]) -> Done:
    began = time.monotonic()
    try:
        hit = work()
    except BaseException:  # noqa: BLE001 - told in the table
        return Done(
            name=name, seconds=time.monotonic() - began, broken=f"{command}\n{traceback.format_exc()}"
        )
    return Done(name=name, seconds=time.monotonic() - began, hit=hit)


def _point(point: points.Point) -> Done:
    assert _bench is not None
    bench = _bench
    return _timed(point.label, point.command, lambda: points.play(bench, point))


def _storm(seed: int, kills: int, lying: bool) -> Done:
    assert _bench is not None
    bench = _bench
    command = f"python -m tests.crashes storm {seed} {kills}{' --lying' if lying else ''}"
    name = "lists that lie" if lying else "lists that lag"
    return _timed(name, command, lambda: storms.play(bench, seed, kills, lying=lying).kills == kills)


def _disk(name: str) -> Done:
    return _timed(name, f"python -m tests.crashes disk {name}", lambda: filling.run(name))


def _count(by: str) -> Any:
    assert _bench is not None
    return points.count(_bench, by)


class Campaign:
    """Runs the parts and adds them up."""

    def __init__(self, *, parts: Sequence[str], workers: int, seed: int) -> None:
        self._parts, self._seed = parts, seed
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_open_bench)
        self.tables: dict[str, dict[str, Row]] = {}

    def run(self) -> dict[str, Any]:
        """Everything; the figures."""
        began = time.monotonic()
        with Bench() as probe:
            cannot = {"kills": probe.unsupported, "errors": probe.unsupported}
        cannot |= {"strace": strace.unsupported(), "disks": filling.unsupported("output_fills")}
        with self._pool:
            for part in self._parts:
                if reason := cannot.get(part):
                    print(f"{part}: left out, as {reason}", flush=True)
                else:
                    self._part(part, list(getattr(self, f"_{part}")()))
        return self._figures(time.monotonic() - began)

    def _kills(self) -> Iterator[Any]:
        counts = self._pool.submit(_count, "seccomp").result()
        return (self._pool.submit(_point, one) for one in points.kills(counts))

    def _errors(self) -> Iterator[Any]:
        counts = self._pool.submit(_count, "seccomp").result()
        return (self._pool.submit(_point, one) for one in points.errors(counts))

    def _hooks(self) -> Iterator[Any]:
        counts = self._pool.submit(_count, "hooks").result()
        chosen = [*points.kills(counts, "hooks"), *points.errors(counts, "hooks")]
        return (self._pool.submit(_point, one) for one in chosen)

    def _strace(self) -> Iterator[Any]:
        counts = self._pool.submit(_count, "strace").result()
        syncs = {name: n for name, n in counts.items() if name in {"fsync", "fdatasync", "write"}}
        chosen = [*points.kills(counts, "strace"), *points.errors(type(counts)(syncs), "strace")]
        return (self._pool.submit(_point, one) for one in chosen)

    def _storms(self) -> Iterator[Any]:
        lagging, lying, kills = _STORMS
        for n in range(lagging + lying):
            yield self._pool.submit(_storm, self._seed + n, kills, n >= lagging)

    def _disks(self) -> Iterator[Any]:
        return (self._pool.submit(_disk, name) for name in filling.SCENARIOS if not filling.unsupported(name))

    def _part(self, part: str, work: list[Any]) -> None:
        table = self.tables[part] = defaultdict(Row)
        for number, future in enumerate(as_completed(work), 1):
            done: Done = future.result()
            row = table[done.name]
            row.points += 1
            row.seconds += done.seconds
            row.missed += not done.hit
            if done.broken:
                row.broken.append(done.broken)
                print(f"\nBROKEN: {done.broken}", flush=True)
            _progress(part, number, len(work))

    def _figures(self, seconds: float) -> dict[str, Any]:
        figures: dict[str, Any] = {"seconds": round(seconds), "seed": self._seed, "broken": 0}
        for part, table in self.tables.items():
            points_of_it = sum(row.points for row in table.values())
            figures[part] = points_of_it * (_STORMS[-1] if part == "storms" else 1)
            figures["broken"] += sum(len(row.broken) for row in table.values())
        return figures

    def show(self) -> None:
        """The table."""
        for part, table in self.tables.items():
            print(f"\n{part:<24}{'points':>8}{'reached':>9}{'broken':>8}{'seconds':>9}")
            for name, row in sorted(table.items()):
                reached = row.points - row.missed
                print(f"  {name:<22}{row.points:>8}{reached:>9}{len(row.broken):>8}{row.seconds:>9.0f}")


def _progress(part: str, number: int, of: int) -> None:
    if sys.stdout.isatty():
        print(f"\r{part}: {number} of {of} ", end="" if number < of else "\n", flush=True)
    elif number % 50 == 0 or number == of:
        print(f"{part}: {number} of {of}", flush=True)


def write_figures(file: Path, figures: dict[str, Any]) -> None:
    """Into the section "crashes" of a JSON file, whose other sections stay."""
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, "crashes": figures}, indent=2, sort_keys=True) + os.linesep)
