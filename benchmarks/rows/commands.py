"""Commands that a person waits for."""

import subprocess
import sys
import time

from benchmarks.catalog import Benchmark, Run
from benchmarks.process import TOKEN
from benchmarks.results import Figure, Goal, Result
from benchmarks.rows.idle import the_size, the_tree


def _measure(run: Run) -> Result:
    home = the_tree(run)
    home.write("http://127.0.0.1:1")
    environ = home.environ(TOKEN)

    def timed(command: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began

    bare: list[float] = []
    ours: dict[str, list[float]] = {"--help": [], "status": [], "status --json --all": []}
    for number in range(run.times(20, 2) + 1):
        rounds = {name: timed([*home.command(), *name.split()]) * 1000 for name in ours}
        plain = timed([sys.executable, "-c", ""]) * 1000
        if number:  # the first only warms the caches
            bare.append(plain)
            for name, one in rounds.items():
                ours[name].append(one)
    most = {"--help": 6.0, "status": 10.0}
    return Result(
        figures=[
            Figure(
                what=f"`astria-sync {name}`",
                unit="ms",
                ours=rounds,
                beside={"python -c ''": bare},
                goals=[
                    Goal(most=most[name], of="python -c ''", words=f"at most {most[name]:g} × bare Python")
                ]
                if name in most
                else [],
            )
            for name, rounds in ours.items()
        ],
        size=str(the_size(run)),
    )


BENCHMARK = Benchmark(
    name="commands",
    title="Commands that a person waits for, beside the start of the same Python with nothing to do.",
    how="processes started in turn; no daemon runs, so `status` reads the state itself.",
    limits=(
        "`--help`: importing click and the texts. `status`: half is importing, of which msgspec with the configuration is the "
        "most; what SQLite does for 10,000 prompts is 15 ms of CPU, of which most is reading the pictures' sizes and the money."
    ),
    tried=(
        "Nothing that did not help. What did: counts, money and what there is to say of are asked from indexes alone where no path limits "
        "them, instead of joining each prompt with its file (70 ms of CPU for 10,000 prompts, now 15)."
    ),
    measure=_measure,
)
