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


def save(engine: Played, count: int, words: str = "wall") -> None:
    """So many prompts, a hundred in a folder, and a look at them."""
    for number in range(count):
        folder = engine.home.inbox / f"{words}-{number // _IN_A_FOLDER:04}"
        folder.mkdir(exist_ok=True)
        engine.write(folder / f"{number}.prompt", f"{words} number {number}, at noon")
    engine.look()


def _sent(run: Run, count: int) -> tuple[float, float]:
    """Milliseconds of the engine's CPU for each of so many prompts: until all are queued, and from there until all are answered."""
    home = Home(run.folder("planning"))
    options = Options(generate_seconds=3600, token="sd_played", balance_usd=10**6)  # noqa: S106 - of nothing
    with played(home, options) as engine:
        with engine.journal.transaction():
            engine.journal.put("paused", True)
        before = engine.cpu
        save(engine, count)
        engine.until(lambda: engine.count("prompts", "state = 'queued'") == count)
        planned = engine.cpu
        with engine.journal.transaction():
            engine.journal.put("paused", None)
        engine.until(lambda: engine.count("prompts", "state = 'generating'") == count)
        return (planned - before) / count * 1000, (engine.cpu - planned) / count * 1000


def _waiting(run: Run, count: int) -> tuple[float, float]:
    """The same for prompts that wait for a tune, until they wait; and what one more file costs beside them."""
    home = Home(run.folder("waiting"))
    with played(home, Options(token="sd_played")) as engine:  # noqa: S106 - of nothing
        before = engine.cpu
        save(engine, count, "<nobody> far away")
        engine.until(lambda: engine.count("prompts", "state = 'waiting'") == count)
        taken = (engine.cpu - before) / count * 1000
        engine.live(10)
        return taken, _one_more(engine)


def _one_more(engine: Played) -> float:
    """Milliseconds of CPU for one more file beside all that wait; the median of some."""
    costs = []
    for number in range(5):
        before = engine.cpu
        engine.write(engine.home.inbox / f"more-{number}.prompt", f"<nobody> and more, {number}")
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
    planned: dict[int, list[float]] = {few: [], many: []}
    sent: dict[int, list[float]] = {few: [], many: []}
    waits: dict[int, list[float]] = {few: [], many: []}
    more: dict[int, list[float]] = {few: [], many: []}
    plain = []
    for _ in range(run.times(3)):
        for count in (few, many):
            one, other = _sent(run, count)
            planned[count].append(one)
            sent[count].append(other)
            taken, one = _waiting(run, count)
            waits[count].append(taken)
            more[count].append(one)
        plain.append(_plain(run.folder("plain"), few))
    return Result(
        figures=(
            *_pair(
                "CPU for each of {} prompts, from dropped to queued",
                planned,
                Goal(most=3),
                beside={"sqlite3, four commits": plain},
            ),
            *_pair("CPU for each of {} prompts that wait for a tune, until they wait", waits, Goal(most=3)),
            *_pair("CPU for each of {} prompts, from queued to answered", sent, Goal(most=3)),
            *_pair("CPU for one more file beside {} that wait", more, None),
        ),
        size=f"{_IN_A_FOLDER} prompts in a folder, 8 requests at a time",
    )


def _pair(
    what: str,
    rounds: dict[int, list[float]],
    goal: Goal | None,
    *,
    beside: dict[str, list[float]] | None = None,
) -> tuple[Figure, Figure]:
    """What few cost, and what many cost beside that."""
    few, many = rounds
    fewer = f"at {few:,}"
    return (
        Figure(
            what=what.format(f"{few:,}"),
            unit="ms",
            ours=rounds[few],
            beside=beside or {},
            goals=[goal] if goal else [],
        ),
        Figure(
            what=what.format(f"{many:,}"),
            unit="ms",
            ours=rounds[many],
            beside={fewer: rounds[few]},
            goals=[Goal(most=1.3, of=fewer)] if goal else [],
            name=f"at {many:,}",
        ),
    )


BENCHMARK = Benchmark(
    name="planning",
    title="What a prompt costs the daemon until its request is answered: reading, planning, journaling.",
    how=(
        "the product's engine, loop and journal on a played clock, with the simulator's model in another process; counted is the CPU of the "
        "engine's thread alone, not that of the pool. Beside it four bare commits of SQLite, which is the least that a journal can cost."
    ),
    limits=(
        "One step and one commit for each answer, with some forty small questions to SQLite: a quarter is SQLite, a tenth the commit's own "
        "work, a tenth the look at the output before each request, the rest Python. What still grows with the crowd is following it: "
        "while the last are sent the first are shown in list after list, and of each is noted when it is asked for next (0.05 ms for each "
        "of 1,000, 0.12 for each of 6,000). The played disk has room without end: what 10,000 pictures could weigh, 160 GB, must be "
        "free before they are ordered, and on a smaller one nothing goes out after that."
    ),
    tried=(
        "A larger page cache (8 and 32 MB instead of 2) changes nothing, also for 10,000 files in one step. What did help, since nothing "
        "may be linear at each step: what becomes due of a crowd wakes nobody while its lists are read (1.6 steps for each of 10,000, now "
        "1.02); prompts of which a list tells nothing new are known without their rows; what waits is neither read nor counted for a file "
        "that is dropped beside it (36 ms beside 10,000, now 6, as beside 1,000); the row that stands for a file becomes its first "
        "order: in one step with 10,000 files each statement that SQLite can take back alone walked through all pages changed so "
        "far (for each of 10,000 from dropped to queued 2.2 ms, now 1.1, as of 1,000). Rows are read by place instead of by name (54 "
        "us each, now 27), the disk is looked at once a step, a bound prompt is written once. Before that: values of `meta` are "
        "remembered as long as nobody else has written, what is older than the state is found by an index, what is under way is "
        "counted every five seconds at most (15.6 ms for each of 3,000 from queued to answered, then 3.6)."
    ),
    measure=_measure,
)
