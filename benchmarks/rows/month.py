"""A month of much work."""

import os

from astria_sync.simulator import Options
from benchmarks.catalog import Benchmark, Run
from benchmarks.played import Played, played
from benchmarks.process import Home, mebibytes
from benchmarks.results import Figure, Goal, Result

DAY = 86400.0
_FILES = 33  # a day, each with a matrix


def _day(engine: Played, day: int, prompts: int) -> None:
    """Orders in the morning, at noon and in the evening; and the rest of the day."""
    home, each = engine.home, max(1, prompts // _FILES)
    (home.inbox / f"day-{day:02}").mkdir()
    for part in range(3):
        for number in range(part, min(_FILES, prompts), 3):
            values = ", ".join(str(n) for n in range(each))
            text = f"---\nmatrix: {{n: [{values}]}}\n---\nday {day}, wall {number}, brick {{n}}\n"
            engine.write(home.inbox / f"day-{day:02}" / f"{number}.prompt", text)
        engine.look()
        engine.live(DAY / 3)


def _measure(run: Run) -> Result:
    days, prompts = run.pick(30, 2), run.pick(100_000, 66)
    home = Home(run.folder("month"))
    options = Options(generate_seconds=30, token="sd_played", balance_usd=10**8)  # noqa: S106 - of nothing
    memory: list[tuple[float, float]] = []
    with played(home, options) as engine:
        for day in range(days):
            _day(engine, day, prompts // days)
            memory.append((day + 1.0, mebibytes(os.getpid())))
            engine.astria.requests()
        done = engine.count("prompts", "state = 'done'")
        left = engine.count("prompts", "state != 'done'")
        events = engine.count("events", "1")
        cpu = engine.cpu
    size = home.state.stat().st_size
    return Result(
        figures=(
            Figure(
                what="memory after a month, over that after its first day",
                unit="MiB",
                ours=[memory[-1][1] - memory[0][1]],
                goals=[Goal(most=5)],
            ),
            Figure(what="the state file, for each prompt", unit="bytes", ours=[size / max(1, done)]),
            Figure(what="CPU of the engine, for each prompt", unit="ms", ours=[cpu / max(1, done) * 1000]),
        ),
        said=(
            f"{done:,} prompts were done and {left} were not; the state has {size / 1e6:,.1f} MB and {events:,} events.",
        ),
        series={"memory of the process": memory},
        axes=("days", "MiB"),
        size=f"{prompts:,} prompts in {days} days, {_FILES} files a day that ask for {prompts // days // _FILES:,} each by a matrix",
    )


BENCHMARK = Benchmark(
    name="month",
    title="A month of 100,000 prompts: does anything grow that should not?",
    how=(
        "the product's engine on a played clock, with its real journal, downloads and rescans; Astria is another process. Memory is VmRSS of "
        "the process in which the engine runs, so only its growth is the daemon's."
    ),
    limits=(
        "What is kept in memory for each prompt file that lies in the folders (its place and stamp); what is finished leaves "
        "nothing else. The state keeps a row for each prompt with what was sent and answered, one for each picture, and some "
        "eight events."
    ),
    tried="Nothing: it held from the first measurement on.",
    measure=_measure,
)
