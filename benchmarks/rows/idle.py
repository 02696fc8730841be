"""A daemon with nothing to do."""

import time

from benchmarks import tree
from benchmarks.catalog import Benchmark, Run
from benchmarks.process import Home, cpu_seconds, daemon, mebibytes, stand_in, switches
from benchmarks.results import Figure, Goal, Result


def the_tree(run: Run) -> Home:
    """The studio in which everything is done, made once for all that use it."""
    return run.shared("tree", lambda: tree.make(run.folder("tree"), the_size(run)))


def the_size(run: Run) -> tree.Size:
    return run.pick(tree.FULL, tree.SMALL)


def _measure(run: Run) -> Result:
    home, seconds = the_tree(run), run.pick(330.0, 3.0)
    with stand_in() as astria:
        home.write(astria.base_url, timing=tree.TIMING)
        with daemon(home, astria.token) as alone:
            alone.at_rest()
            asked = len(astria.ledger()["requests"])
            memory: list[tuple[float, float]] = []
            used, woken, began = cpu_seconds(alone.pid), switches(alone.pid), time.monotonic()
            pushed = switches(alone.pid, "nonvoluntary")
            while (passed := time.monotonic() - began) < seconds:
                memory.append((passed, mebibytes(alone.pid)))
                time.sleep(seconds / 60)
            passed = time.monotonic() - began
            used, woken = cpu_seconds(alone.pid) - used, switches(alone.pid) - woken
            pushed = switches(alone.pid, "nonvoluntary") - pushed
            memory.append((passed, mebibytes(alone.pid)))
            sent = len(astria.ledger()["requests"]) - asked
            paid = len(astria.requests("POST"))
    if paid:
        raise RuntimeError(
            f"{paid} orders went out although everything is done: the tree is not what it should be"
        )
    return Result(
        figures=(
            Figure(what="CPU at rest", unit="%", ours=[100 * used / passed], goals=[Goal(most=0.2)]),
            Figure(what="wake-ups at rest", unit="/s", ours=[woken / passed], goals=[Goal(most=1)]),
            Figure(
                what="memory at rest",
                unit="MiB",
                ours=[most for _, most in memory[-1:]],
                goals=[Goal(most=60)],
            ),
            Figure(
                what="memory, how much it grew",
                unit="MiB",
                ours=[memory[-1][1] - memory[0][1]],
                goals=[Goal(most=1, words="flat")],
            ),
        ),
        said=(
            f"{paid} orders and {sent} other requests went out in {passed:.0f} s; everything counted as done.",
            f"Of the {woken} switches {pushed} were not its own doing: another process wanted the core, or its time was over.",
        ),
        series={"memory": memory},
        axes=("s", "MiB"),
        size=str(the_size(run)),
    )


BENCHMARK = Benchmark(
    name="idle",
    title="A daemon that has nothing to do.",
    how=(
        "the real daemon beside the simulator, each a process; CPU from /proc/PID/stat, wake-ups as context switches of all its threads "
        "(an upper bound), memory as VmRSS, 60 times in five and a half minutes, in which a full rescan falls."
    ),
    limits=(
        "One wake-up every 30 s by the schedule and at most one a minute by the loop, some forty context switches each as the threads of "
        "APScheduler and the engine hand the tick on; the rescan every five minutes takes nearly all of the CPU. Memory: the interpreter "
        "with its libraries is 42 MiB, the rest is what is known of each source, and the walk's sightings of the last rescan."
    ),
    tried="Calling malloc_trim after a rescan: the pages go back, and the next rescan takes them again.",
    measure=_measure,
)
