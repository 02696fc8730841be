"""`python -m tests.simulation SEED` plays one schedule and tells what happens; `--soak N` plays N seeds from SEED on."""

import argparse
import json
import logging
import multiprocessing
import sys
import time
import traceback

from tests.simulation.breakages import CAUGHT_BY, search
from tests.simulation.machine import Broken
from tests.simulation.schedule import play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", default=0)
    parser.add_argument("--soak", type=int, metavar="N", help="play so many, from SEED on")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--log", action="store_true", help="with the engine's own log")
    parser.add_argument(
        "--breakages",
        action="store_true",
        help="look for seeds that catch each of the known ways to break it",
    )
    asked = parser.parse_args()
    if asked.log:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="          %(message)s")
        logging.getLogger("astria_sync").setLevel(logging.DEBUG)
    if asked.breakages:
        CAUGHT_BY.write_text(json.dumps(search(asked.seed), indent=2) + "\n")
        return 0
    if asked.soak is None:
        play(asked.seed, print)
        print(f"Seed {asked.seed}: everything held.")
        return 0
    return soak(asked.seed, asked.soak, asked.workers)


def soak(first: int, count: int, workers: int) -> int:
    """Play many; a failing one is told as the command that plays it again."""
    began, failed, steps, runs = time.monotonic(), 0, 0, 0
    with multiprocessing.Pool(workers) as pool:
        for seed, said, world_steps, world_runs in pool.imap(one, range(first, first + count), chunksize=8):
            steps, runs = steps + world_steps, runs + world_runs
            if said:
                failed += 1
                print(f"FAILED, again with: python -m tests.simulation {seed}\n{said}", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{count:,} schedules from seed {first}: {failed} failed; {steps:,} commits, {runs:,} runs, {seconds:.0f} s."
    )
    return 1 if failed else 0


def one(seed: int) -> tuple[int, str, int, int]:
    """Play a seed: what was wrong ("" if nothing), how many commits and runs of the daemon it had."""
    try:
        world = play(seed)
    except (Exception, Broken):  # noqa: BLE001 - whatever it is, it is told with its seed
        return seed, traceback.format_exc(limit=-3), 0, 0
    return seed, "", world.steps, world.runs


if __name__ == "__main__":
    sys.exit(main())
