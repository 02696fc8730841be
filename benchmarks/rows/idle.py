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
        "Between ticks no thread wakes: the schedule posts one every 30 s, the loop looks at the clock once a minute. Nearly "
        "all of the CPU is the rescan (see below), so it is that divided by 300 s. "
        "Wake-ups: about half a one a second, of which a quarter are other processes that want the core. A rescan adds hardly any, also on a "
        "system that takes back what was not used for five minutes: such a system drops the blocks of directories and keeps inodes, and a rescan "
        "reads no directory that has not changed. Once an hour it reads all of them: on such a system 1,000 sleeps more, 0.3 a second of that hour, which do "
        "not fall into these five minutes. Where inodes are dropped too, each block is one sleep more, as for find (12,048 over such "
        "a tree, with 97,416 blocks read). Memory: 39 MiB are the interpreter and what "
        "is imported (of which the scheduler with asyncio, and sqlite-utils with dateutil, 3 each), 7 the journal, the clients and "
        "the threads, 2.5 the table of places that spares a rescan all questions to SQLite, with what is in each directory, "
        "2 SQLite's cache, the rest what the first look has in hand for a moment."
    ),
    tried=(
        "`MALLOC_ARENA_MAX=1`, alone or with a low trim threshold: 63.2 MiB instead of 63.7. `malloc_trim` after a rescan gave "
        "0.4 MiB back, SQLite's `shrink_memory` before it nothing more. Reading the sources row by row instead of all at once: 0.3 MiB. "
        "Smaller stacks of threads: 0.1. A cache of SQLite's of 512 kB would give 1.4 MiB back, from every question. What did "
        "help: to keep httpx from loading its own command line with rich and pygments (6 MiB); ruamel.yaml only for a prompt with a "
        "block (2); folders and their tunes a hundred rows at a time (3); at the first look, too, only naming what is as it was; "
        "the table of places by folder and name, with one text for id and stamp, in place of tuples and sets (3). "
        "Wake-ups: before directories were remembered a rescan slept once for each, which made 3.4 to 4 a second."
    ),
    measure=_measure,
)
