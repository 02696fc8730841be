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
        "In millions of instructions, as valgrind counts them: bare Python 39; click, with what it imports, 134 more; the rest of "
        "`--help` 38. `status` imports msgspec (32), makes the table of the configuration's keys (36), reads TOML (11), and asks "
        "SQLite about 10,000 prompts (71, of which nearly half is adding up the pictures' sizes)."
    ),
    tried=(
        "Not to look for garbage at all while `status` works: 2 %. What did help: counts, money and what there is to say of are asked from indexes alone where no path limits "
        "them, instead of joining each prompt with its file (70 ms of CPU for 10,000 prompts, now 15); what only orders, prices, lists of models, sockets and slips of the fingers need is "
        "imported where it is used (677 to 449 million); no garbage is looked for while the command line is imported and at the end "
        "(10 % of `--help`). A frozen dataclass costs 4 million at import: that of all pieces of work was a fifth of `status`."
    ),
    measure=_measure,
)
