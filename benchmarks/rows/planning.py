"""What a prompt costs until its request is out."""

import contextlib
import sqlite3
import time
from pathlib import Path

from astria_sync.simulator import Options
from benchmarks.catalog import Benchmark, Run
from benchmarks.played import Played, played
from benchmarks.process import Home
from benchmarks.results import Figure, Goal, Result

_IN_A_FOLDER = 100


def save(home: Home, count: int, words: str = "wall") -> None:
    """So many prompts, a hundred in a folder."""
    for number in range(count):
        folder = home.inbox / f"{words}-{number // _IN_A_FOLDER:04}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.prompt").write_text(f"{words} number {number}, at noon")


def _sent(run: Run, count: int) -> float:
    """Milliseconds of the engine's CPU for each of so many prompts, from dropped to answered."""
    home = Home(run.folder("planning"))
    options = Options(generate_seconds=10**6, token="sd_played", balance_usd=10**6)  # noqa: S106 - of nothing
    with played(home, options) as engine:
        save(home, count)
        before = engine.cpu
        engine.look()
        engine.until(lambda: engine.count("prompts", "state = 'generating'") == count)
        return (engine.cpu - before) / count * 1000


def _waiting(run: Run, count: int) -> tuple[float, float]:
    """The same for prompts that wait for a tune, until they wait; and what one more file costs beside them."""
    home = Home(run.folder("waiting"))
    with played(home, Options(token="sd_played")) as engine:  # noqa: S106 - of nothing
        save(home, count, "<nobody> far away")
        before = engine.cpu
        engine.look()
        engine.until(lambda: engine.count("prompts", "state = 'waiting'") == count)
        taken = (engine.cpu - before) / count * 1000
        engine.live(10)
        return taken, _one_more(engine)


def _one_more(engine: Played) -> float:
    """Milliseconds of CPU for one more file beside all that wait; the median of some."""
    costs = []
    for number in range(5):
        before = engine.cpu
        (engine.home.inbox / f"more-{number}.prompt").write_text(f"<nobody> and more, {number}")
        engine.look(".")
        engine.live(20)
        costs.append((engine.cpu - before) * 1000)
    return sorted(costs)[2]


def _plain(place: Path, count: int) -> float:
    """Milliseconds of CPU for a row of a few kilobytes, inserted and changed three times, a durable commit each."""
    with contextlib.closing(sqlite3.connect(place / "plain.db", isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("CREATE TABLE prompts (id INTEGER PRIMARY KEY, state TEXT, text TEXT)")
        before = time.thread_time()
        for number in range(count):
            conn.execute("INSERT INTO prompts VALUES (?, 'settling', ?)", (number, "x" * 2000))
            for state in ("queued", "submitting", "generating"):
                conn.execute("UPDATE prompts SET state = ? WHERE id = ?", (state, number))
        return (time.thread_time() - before) / count * 1000


def _measure(run: Run) -> Result:
    few, many = run.pick(1000, 20), run.pick(10_000, 60)
    ours: dict[int, list[float]] = {few: [], many: []}
    waits: dict[int, list[float]] = {few: [], many: []}
    more: dict[int, list[float]] = {few: [], many: []}
    plain = []
    for _ in range(run.times(3)):
        for count in (few, many):
            ours[count].append(_sent(run, count))
            taken, one = _waiting(run, count)
            waits[count].append(taken)
            more[count].append(one)
        plain.append(_plain(run.folder("plain"), few))
    sizes = f"at {few:,}", f"at {many:,}"
    return Result(
        figures=(
            Figure(
                what=f"CPU for each of {few:,} prompts, from dropped to answered",
                unit="ms",
                ours=ours[few],
                beside={"sqlite3, four commits": plain},
                goals=[Goal(most=3)],
            ),
            Figure(
                what=f"the same for each of {many:,}",
                unit="ms",
                ours=ours[many],
                beside={sizes[0]: ours[few]},
                goals=[Goal(most=1.3, of=sizes[0])],
                name=sizes[1],
            ),
            Figure(
                what=f"CPU for each of {few:,} prompts that wait for a tune, until they wait",
                unit="ms",
                ours=waits[few],
                goals=[Goal(most=3)],
            ),
            Figure(
                what=f"the same for each of {many:,}",
                unit="ms",
                ours=waits[many],
                beside={sizes[0]: waits[few]},
                goals=[Goal(most=1.3, of=sizes[0])],
                name=sizes[1],
            ),
            Figure(
                what=f"one more file beside {many:,} that wait",
                unit="ms",
                ours=more[many],
                beside={sizes[0]: more[few]},
                name=sizes[1],
            ),
        ),
        size=f"{_IN_A_FOLDER} prompts in a folder",
    )


BENCHMARK = Benchmark(
    name="planning",
    title="What a prompt costs the daemon until its request is answered: reading, planning, journaling.",
    how=(
        "the product's engine, loop and journal on a played clock, with the simulator's model in another process; counted is the CPU of the "
        "engine's thread alone, not that of the pool. Beside it four bare commits of SQLite, which is the least that a journal can cost."
    ),
    limits="",
    tried="",
    measure=_measure,
)
