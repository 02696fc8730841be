"""`python -m tests.simulation SEED` plays one schedule and tells what happens; `--soak N` plays N seeds from SEED on."""

import argparse
import logging
import sys
import time
import traceback

from tests.simulation.machine import Broken
from tests.simulation.schedule import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--soak", type=int, metavar="N", help="play so many, from SEED on")
    parser.add_argument("--log", action="store_true", help="with the engine's own log")
    asked = parser.parse_args()
    if asked.log:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="          %(message)s")
        logging.getLogger("astria_sync").setLevel(logging.DEBUG)
    if asked.soak is None:
        play(asked.seed, print)
        print(f"Seed {asked.seed}: everything held.")
        return 0
    return soak(asked.seed, asked.soak)


def soak(first: int, count: int) -> int:
    """Play many; a failing one is told as the command that plays it again."""
    began, failed, steps, runs = time.monotonic(), 0, 0, 0
    for seed in range(first, first + count):
        try:
            world = play(seed)
        except (Exception, Broken):  # noqa: BLE001 - whatever it is, it is told with its seed
            failed += 1
            print(f"FAILED, again with: python -m tests.simulation {seed}\n{traceback.format_exc(limit=-3)}")
        else:
            steps, runs = steps + world.steps, runs + world.runs
    seconds = time.monotonic() - began
    print(
        f"{count} schedules from seed {first}: {failed} failed; {steps:,} commits, {runs:,} runs, {seconds:.0f} s."
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
