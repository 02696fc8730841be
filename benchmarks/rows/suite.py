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
    limits="Two cores. Nothing in it sleeps; the played schedules and the real crashes take most of it.",
    tried="More workers than four: the crashes start processes of their own, and then wait for each other.",
    measure=_measure,
    asked_only=True,
)
