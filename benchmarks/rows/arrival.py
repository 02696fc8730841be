"""From finished at the server to on disk."""

import time

from benchmarks.catalog import Benchmark, Run
from benchmarks.process import Home, daemon, stand_in, until
from benchmarks.results import Figure, Goal, Result, quantile
from benchmarks.rows.latency import skew
from benchmarks.tree import ask

POLL = 5.0


def _measure(run: Run) -> Result:
    count, apart, takes = run.pick(60, 2), run.pick(1.7, 0.3), run.pick(20.0, 2.0)
    home = Home(run.folder("arrival"))
    with stand_in("--generate-seconds", str(takes)) as astria:
        home.write(astria.base_url, timing={"settle_seconds": 0.2, "poll_seconds": POLL})
        with daemon(home, astria.token) as alone:
            alone.at_rest()
            for number in range(count):
                (home.inbox / f"{number}.prompt").write_text(f"wall {number} in the evening")
                time.sleep(apart)
            until(lambda: len(list(home.output.rglob("*.json"))) == count, seconds=60 + 3 * takes)
            ahead = skew(astria)
        made = {
            one["id"]: one["at"] + takes - ahead
            for one in astria.ledger()["created"]
            if one["kind"] == "prompt"
        }
        asked = len([one for one in astria.requests("GET") if "prompts" in one["path"]])
    rows = ask(
        home.state, "SELECT p.remote_id, p.folder, i.file FROM images i JOIN prompts p ON p.id = i.prompt_id"
    )
    # A file gets its final name by a link, which sets the time of its change (link(2)).
    seconds = [
        (home.output / folder / file).stat().st_ctime - made[remote_id] for remote_id, folder, file in rows
    ]
    return Result(
        figures=(
            Figure(
                what="finished at the server → on disk, median",
                unit="s",
                ours=seconds,
                goals=[Goal(most=3.5)],
            ),
            Figure(what="the same, 99 of 100", unit="s", ours=[quantile(seconds, 0.99)]),
        ),
        said=(
            f"{count} prompts, {takes:g} s of generation, one every {apart:g} s; lists were asked for {asked} times.",
            f"Who asks every {POLL:g} s without a break, one prompt at a time, has a median of {POLL / 2:g} s and the download: computed.",
        ),
        size=f"poll_seconds = {POLL:g}",
    )


BENCHMARK = Benchmark(
    name="arrival",
    title="A picture that is finished at the server: when is it on disk?",
    how=(
        "the real daemon beside the simulator, whose log says when each prompt was finished; the file's time of change says when it got its "
        "final name, checked and durable."
    ),
    limits=(
        "`poll_seconds` itself: who may ask every 5 s is 2.5 s late in the middle. How long a kind of prompt takes is learned "
        "from the first ones, so that lists are asked for when it is about to be finished, not before."
    ),
    tried="Nothing: it held from the first measurement on.",
    measure=_measure,
)
