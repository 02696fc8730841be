"""From the start of a daemon to ready, with nothing changed."""

import subprocess
import sys
import time

from benchmarks import tree
from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import bytes_read, daemon, stand_in
from benchmarks.results import Figure, Goal, Result
from benchmarks.rows.idle import the_size, the_tree


def timed(command: list[str]) -> float:
    """Seconds that a command takes; its output is thrown away, but it writes it."""
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _measure(run: Run) -> Result:
    home, peers = the_tree(run), look_for(["find"])
    ready, rest, found, bare, read = [], [], [], [], []
    with stand_in() as astria:
        home.write(astria.base_url, timing=tree.TIMING)
        for _ in range(run.times(10)):
            with daemon(home, astria.token) as started:
                rest.append(started.at_rest())
                read.append(bytes_read(started.pid) / 1e6)
                ready += [started.ready] if started.ready is not None else []
            if peers.has("find"):
                found.append(timed([peers.here["find"], str(home.inbox), "-printf", "%s %T@\n"]))
            bare.append(timed([sys.executable, "-c", ""]))
        paid = len(astria.requests("POST"))
    opened = tree.pictures_read(home)
    return Result(
        figures=(
            Figure(what="start to ready", unit="s", ours=ready or rest, goals=[Goal(most=2.5)]),
            Figure(
                what="start to at rest", unit="s", ours=rest, beside={"find": found, "python -c ''": bare}
            ),
            Figure(
                what="pictures read again",
                unit="",
                ours=[] if opened is None else [float(opened)],
                goals=[Goal(most=0, words="none")],
            ),
            Figure(what="read from files and sockets", unit="MB", ours=read),
        ),
        said=(
            f"{paid} orders went out.",
            "Ready is what it tells systemd (READY=1)."
            if ready
            else "It tells nobody that it is ready, so at rest stands for it.",
        ),
        skipped=peers.skipped,
        peers=peers.versions,
        size=str(the_size(run)),
    )


BENCHMARK = Benchmark(
    name="start",
    title="From the start of a daemon to ready, nothing having changed while it was away.",
    how=(
        "the real daemon, started and stopped; ready is its READY=1, at rest the last moment before a second without CPU. In turn with "
        "`find -printf` over the same tree, which is the least that a look can cost, and an empty Python. Whether a picture was read again "
        "is told by its time of access."
    ),
    limits=(
        "Of the main thread's time a half is importing, a quarter setting 1,000 watches, an eighth reading the sources from the "
        "state; then comes the walk, as in a rescan, on a thread of its own, and taking in what it saw."
    ),
    tried=(
        "That helped, each for other rows as well: a cheaper walk, no garbage looked for while modules are imported, and at the first "
        "look only naming the folders that are as they were left."
    ),
    measure=_measure,
)
