"""`python -m tests.simulation SEED` plays one schedule and tells what happens; `--soak N` plays N seeds from SEED on."""

import argparse
import json
import logging
import multiprocessing
import sys
import time
import traceback
from functools import partial

from tests.simulation.breakages import CAUGHT_BY, search
from tests.simulation.late import LateSchedule, LostSchedule
from tests.simulation.machine import Broken
from tests.simulation.schedule import Schedule, play


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
    parser.add_argument("--late", action="store_true", help="with lists that lag longer than two looks take")
    parser.add_argument("--lost", action="store_true", help="with many lost answers while lists are stale")
    asked = parser.parse_args()
    kind = LateSchedule if asked.late else LostSchedule if asked.lost else Schedule
    if asked.log:
        logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="          %(message)s")
        logging.getLogger("astria_sync").setLevel(logging.DEBUG)
    if asked.breakages:
        CAUGHT_BY.write_text(json.dumps(search(asked.workers), indent=2) + "\n")
        return 0
    if asked.soak is None:
        play(asked.seed, print, kind=kind)
        print(f"Seed {asked.seed}: everything held.")
        return 0
    return soak(asked.seed, asked.soak, asked.workers, kind)


def soak(first: int, count: int, workers: int, kind: type[Schedule]) -> int:
    """Play many; a failing one is told as the command that plays it again."""
    began, failed, steps, runs = time.monotonic(), 0, 0, 0
    late = {LateSchedule: " --late", LostSchedule: " --lost"}.get(kind, "")
    with multiprocessing.Pool(workers) as pool:
        for seed, said, its_steps, its_runs in pool.imap(
            partial(one, kind=kind), range(first, first + count), chunksize=8
        ):
            steps, runs = steps + its_steps, runs + its_runs
            if said:
                failed += 1
                print(f"FAILED, again with: python -m tests.simulation {seed}{late}\n{said}", flush=True)
    seconds = time.monotonic() - began
    print(
        f"{count:,} schedules from seed {first}: {failed} failed; {steps:,} commits, {runs:,} runs, {seconds:.0f} s."
    )
    return 1 if failed else 0


def one(seed: int, kind: type[Schedule]) -> tuple[int, str, int, int]:
    """Play a seed: what was wrong ("" if nothing), how many commits and runs of the daemon it had."""
    try:
        world = play(seed, kind=kind).world
    except (Exception, Broken):  # noqa: BLE001 - whatever it is, it is told with its seed
        return seed, traceback.format_exc(limit=-3), 0, 0
    return seed, "", world.steps, world.runs


if __name__ == "__main__":
    sys.exit(main())
