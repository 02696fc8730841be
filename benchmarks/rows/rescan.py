"""The look at everything that is done every so often."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from astria_sync import config
from astria_sync.clock import SystemClock
from astria_sync.context import Context, roots_of
from astria_sync.core import work
from astria_sync.core.model import Outcome, Tick
from astria_sync.engine import Engine
from astria_sync.journal import open_journal
from astria_sync.scan import look
from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import Home
from benchmarks.results import Figure, Goal, Result
from benchmarks.rows.idle import the_size, the_tree
from benchmarks.rows.start import timed
from benchmarks.tree import ask


class _Pool:
    """Does nothing by itself; what is to be done waits until it is asked for."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []

    def submit(self, piece: Any) -> None:
        self.pieces.append(piece)

    def withdraw(self) -> tuple[Any, ...]:
        return ()

    def close(self, *, wait: bool) -> None:
        """As a pool has it."""


@contextlib.contextmanager
def engine_of(home: Home) -> Iterator[tuple[Engine, _Pool]]:
    """The product's engine over a state, with nobody that works for it."""
    settings = config.load(home.config, profile=None, environ={}, home=home.top)
    journal = open_journal(settings.state, now=time.time())
    ctx = Context(
        journal=journal,
        clock=SystemClock(),
        settings=settings,
        write_file=lambda *_: None,
        remove_file=lambda *_: None,
    )
    pool = _Pool()
    engine = Engine(ctx, pool)
    engine.strict = True
    try:
        engine.start()
        yield engine, pool
    finally:
        journal.close()


def _rescan(engine: Engine, pool: _Pool, root: Any) -> tuple[float, float]:
    """Seconds of the walk, which a thread of the pool does, and of the longest step of the engine's own."""
    pool.pieces.clear()
    engine.step(Tick(what="rescan"))
    (piece,) = [one for one in pool.pieces if isinstance(one, work.Walk)]
    began = time.perf_counter()
    seen = look(root, at_rest=piece.at_rest)
    walked = time.perf_counter() - began
    began = time.perf_counter()
    engine.step(Outcome(work=piece, result=[seen]))
    return walked, time.perf_counter() - began


def _measure(run: Run) -> Result:
    home, peers = the_tree(run), look_for(["find"])
    walks: list[float] = []
    steps: list[float] = []
    found: list[float] = []
    home.write("http://127.0.0.1:1")
    with engine_of(home) as (engine, pool):
        (root,) = roots_of(engine.ctx.settings).values()
        engine.step(Outcome(work=pool.pieces[0], result=[look(root)]))
        for _ in range(run.times(15)):
            walked, taken = _rescan(engine, pool, root)
            walks.append(walked)
            steps.append(taken)
            if peers.has("find"):
                found.append(timed([peers.here["find"], str(home.inbox), "-printf", "%s %T@\n"]))
        ((left,),) = ask(home.state, "SELECT count(*) FROM prompts WHERE state != 'done'")
    return Result(
        figures=(
            Figure(
                what="a rescan, walk and taking in",
                unit="s",
                ours=[a + b for a, b in zip(walks, steps, strict=True)],
                beside={"find": found},
                goals=[Goal(most=3, of="find")],
            ),
            Figure(what="the walk, on a thread of its own", unit="s", ours=walks, beside={"find": found}),
            Figure(what="taking it in, on the thread that answers events", unit="s", ours=steps),
        ),
        said=(f"{left} prompts were not done at the end.",),
        skipped=peers.skipped,
        peers=peers.versions,
        size=str(the_size(run)),
    )


BENCHMARK = Benchmark(
    name="rescan",
    title="The look at everything that is done every 300 s, beside the events.",
    how=(
        "the product's walk and the step of its engine that takes in what was seen, over the state of the tree, in one process, in turn with "
        "`find -printf '%s %T@'`. The daemon walks on a thread of the pool; only the second part holds up events."
    ),
    limits=(
        "A stat for each file, which find does too, and Python's object for what it says are three quarters of it (0.23 of 0.31 s of CPU); "
        "the rest is hashing names, sizes and times, one text a folder. Directories that have not changed are not read, but it cannot look at changed folders "
        "alone: a file that is written in place does not change its folder."
    ),
    tried=(
        "`rglob` takes three times as long as `scandir`, watchdog's polling snapshot twice as long, with 88 MiB. What did help: "
        "folders that are as the engine last took them in are only named, so that taking in is 1.5 ms for 10,000 files; "
        "asking for suffixes by rfind instead of os.path.splitext, and for captions only where there is a text file (a third); "
        "one glance at names that are plainly a picture or a prompt (0.51 to 0.42 s of CPU), and looking at files from the open "
        "folder, so that the system does not find the way to each (to 0.38 s); remembering what is in directories that do not "
        "change, which was meant to spare the disk (to 0.31 s: what a picture is called need not be asked either). Looking for garbage less often changed nothing."
    ),
    measure=_measure,
)
