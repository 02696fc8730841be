"""`python -m tests.crashes`: everything, or one point again; each failing test prints its command."""

import argparse
import sys
import time
from pathlib import Path

from tests.crashes import campaign, filling, points, storms
from tests.crashes.bench import Bench


def main() -> int:
    """0 if every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.crashes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    everything = commands.add_parser("all", help="every point, with a table at the end")
    everything.add_argument(
        "--part", choices=campaign.PARTS, action="append", help="only this; may be repeated"
    )
    everything.add_argument("--workers", type=int, default=2)
    everything.add_argument("--seed", type=int, default=storms.seed_by_the_clock())
    everything.add_argument("--figures", type=Path, help="a JSON file to note the figures in")
    for name, does in (("kill", "kill the process at this call"), ("refuse", "let this call fail")):
        one = commands.add_parser(name, help=does)
        one.add_argument(
            "label", help="the call and what for, as fsync:picture; by strace or hooks the call alone"
        )
        one.add_argument("n", type=int)
        one.add_argument("--by", choices=["seccomp", "strace", "hooks"], default="seccomp")
        if name == "refuse":
            one.add_argument("--error", choices=points.ERRORS, default="EIO")
            one.add_argument("--on", action="store_true", help="from then on")
    commands.add_parser("counts", help="how many calls of each kind there are")
    storm = commands.add_parser("storm", help="random kills, under faults")
    storm.add_argument("seed", type=int)
    storm.add_argument("kills", type=int)
    storm.add_argument("--lying", action="store_true", help="lists lag so long that things are made twice")
    disk = commands.add_parser("disk", help="a disk that fills, or goes away")
    disk.add_argument("names", metavar="NAME", nargs="+", choices=filling.SCENARIOS)
    return _do(parser.parse_args())


def _do(given: argparse.Namespace) -> int:
    if given.command == "all":
        run = campaign.Campaign(parts=given.part or campaign.PARTS, workers=given.workers, seed=given.seed)
        print(f"seed {given.seed}", flush=True)
        figures = run.run()
        run.show()
        print(f"\n{figures}")
        if given.figures:
            campaign.write_figures(given.figures, figures)
        return 1 if figures["broken"] else 0
    if given.command == "disk":
        filling.play(*given.names)
        print("All is well.")
        return 0
    began = time.monotonic()
    with Bench() as bench:
        if given.command == "storm":
            print(storms.play(bench, given.seed, given.kills, lying=given.lying))
        elif given.command == "counts":
            for label, n in sorted(points.count(bench, "seccomp").items()):
                print(f"{label:<24}{n:>5}")
        else:
            what = {"what": given.error, "on": given.on} if given.command == "refuse" else {}
            point = points.Point(label=given.label, n=given.n, by=given.by, **what)
            hit = points.play(bench, point)
            print("All is well." if hit else "The run ended before it came to that point; all is well.")
    print(f"{time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
