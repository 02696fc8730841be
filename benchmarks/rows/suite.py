"""How long `make test` takes."""

import subprocess
import time
from pathlib import Path

from benchmarks.catalog import Benchmark, Run
from benchmarks.results import Figure, Goal, Result

_TOP = Path(__file__).resolve().parents[2]


def _measure(run: Run) -> Result:
    """$TEST_SECONDS, of a run elsewhere, is believed; else the tests are run, or for a look only collected."""
    known = run.environ.get("TEST_SECONDS")
    if known:
        seconds, how = float(known), "As it was told by $TEST_SECONDS."
    else:
        command = ["make", "test"] if not run.smoke else ["make", "--dry-run", "test"]
        began = time.monotonic()
        subprocess.run(command, cwd=_TOP, stdout=subprocess.DEVNULL, check=True)
        seconds, how = time.monotonic() - began, f"`{' '.join(command)}`, once."
    return Result(
        figures=[Figure(what="make test", unit="s", ours=[seconds], goals=[Goal(most=240)])],
        said=[how],
        size="the whole suite" if not run.smoke else "nothing",
    )


BENCHMARK = Benchmark(
    name="suite",
    title="How long the tests take.",
    how="`make test` once, or `TEST_SECONDS=n` of a run that was timed anyway. Not part of `make bench`: it is asked for by its name.",
    limits=(
        "CPU, on two cores: nothing in it sleeps, and folders in memory (`/dev/shm`) let nothing wait for a disk. The played "
        "schedules are a quarter of it: 320 of some 185 steps, each some 40 questions to SQLite; the whole jobs with a real server "
        "and threads another third. The first run in a checkout also compiles everything, once a worker."
    ),
    tried=(
        "Fifteen migrations for each new state took 13 ms, a copy of what they come to takes 1. Bytecode that is kept: each worker "
        "collects the tests in 3 s instead of 9. Python kept 128 prepared statements, the engine asks 200: 4 % of a schedule. "
        "Pictures of 32 pixels without words: 0.1 ms instead of 3. The played schedules come first, so that one worker computes while "
        "three wait for servers and processes. A rule of the architecture is one test over all modules, not one each: 1.5 s of CPU "
        "instead of 7. No help: settings of the garbage collector (frozen, rarer, none) and of malloc, pytest without its logging."
    ),
    measure=_measure,
    asked_only=True,
)
