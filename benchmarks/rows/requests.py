"""How often Astria is asked."""

from collections import Counter

from astria_sync.simulator import Options
from benchmarks.catalog import Benchmark, Run
from benchmarks.played import TOOK, played
from benchmarks.process import Home
from benchmarks.results import Figure, Goal, Result
from benchmarks.rows.planning import save

GENERATION, CLIENT_ASKS = 30.0, 5.0


def _measure(run: Run) -> Result:
    count = run.pick(1000, 20)
    each: list[float] = []
    kinds: Counter[str] = Counter()
    flying = 0
    for seed in range(run.times(3)):
        home = Home(run.folder("requests"))
        options = Options(generate_seconds=GENERATION, token="sd_played", balance_usd=10**6)  # noqa: S106 - of nothing
        with played(home, options, seed=seed) as engine:
            engine.astria.requests()
            save(engine, count)
            while engine.count("prompts", "state = 'done'") < count:
                engine.live(1)
                flying = max(flying, engine.count("prompts", "state = 'generating'"))
            engine.live(300)  # what it still asks for afterwards counts as well
            asked = engine.astria.requests()
        each.append(len(asked) / count)
        kinds = Counter(f"{method} {path.split('/')[-1]}" for method, path in asked)
    client = [1 + GENERATION / CLIENT_ASKS]
    return Result(
        figures=(
            Figure(
                what="requests for each finished prompt, the order itself included",
                unit="",
                ours=each,
                beside={"official client, computed": client * len(each)},
                goals=[Goal(most=1.2)],
            ),
        ),
        said=(
            f"The most that was under way at once: {flying:,}. The last run: {', '.join(f'{n} {kind}' for kind, n in kinds.most_common(6))}.",
            f"The official client asks once for each prompt every {CLIENT_ASKS:g} s: {client[0]:g} requests, computed, not run.",
        ),
        size=f"{count:,} prompts, {GENERATION:g} s of generation, {TOOK:g} s for a request, 8 at a time",
    )


BENCHMARK = Benchmark(
    name="requests",
    title="How often Astria is asked while a crowd of prompts is under way.",
    how=(
        "the product's engine on a played clock (its real loop, journal and tasks); counted is every request to the API that reaches the "
        "simulator's model, until five minutes after the last picture."
    ),
    limits=(
        "The order itself is one; a list shows 120 prompts, so a crowd is followed with a page for 120 and not with a request "
        "for each. What is left is how often these pages are read while pictures are due."
    ),
    tried="Nothing: it held from the first measurement on.",
    measure=_measure,
)
