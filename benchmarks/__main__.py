"""`python -m benchmarks [NAME…] [--smoke] [--rounds N]`: measure, and write docs/performance.md anew."""

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.catalog import Benchmark, Run, machine
from benchmarks.page import pictures, rendered, wanted
from benchmarks.results import Result, as_json, from_json, spread
from benchmarks.rows import BENCHMARKS

DOCS: Final = Path(__file__).resolve().parent.parent / "docs"


def load(file: Path) -> dict[str, Result]:
    """What was measured before; nothing if there is no file."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {name: from_json(one) for name, one in kept.items()}


def write(docs: Path, results: dict[str, Result]) -> None:
    """The JSON, the page and its plots."""
    order = [one.name for one in BENCHMARKS if one.name in results]
    kept = {name: as_json(results[name]) for name in order}
    (docs / "performance.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    (docs / "performance.md").write_text(rendered(BENCHMARKS, results))
    folder = docs / "performance"
    folder.mkdir(exist_ok=True)
    for name, text in pictures(results).items():
        (folder / f"{name}.svg").write_text(text)


def tell(result: Result) -> None:
    """The figures, for whoever waits for them."""
    for figure in result.figures:
        print(f"  {figure.what}: {spread(figure.ours)} {figure.unit}")
        for peer, rounds in figure.beside.items():
            print(f"    beside {peer}: {spread(rounds)}; ratio {spread(figure.ratios(peer), ' ×')}")
        for goal in figure.goals:
            print(f"    goal: {wanted(figure, goal)}: {figure.verdict(goal)}")
    for line in (*result.said, *(f"skipped: {line}" for line in result.skipped)):
        print(f"  - {line}")


def measured(one: Benchmark, run: Run) -> Result | None:
    """One benchmark; what goes wrong in it is told, and the others go on."""
    print(f"{one.name}: {one.title}", flush=True)
    began = time.monotonic()
    try:
        result = one.measure(run)
    except Exception:  # noqa: BLE001 - figures are for reading: one that cannot be had stops no other
        traceback.print_exc()
        return None
    today = dt.datetime.now(dt.UTC).date().isoformat()
    result = dataclasses.replace(result, taken=today, machine=machine())
    tell(result)
    print(f"  ({time.monotonic() - began:.1f} s)", flush=True)
    return result


def _times(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 or more")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns how many could not be measured; `make bench` does not mind, `make bench-smoke` does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(one.name for one in BENCHMARKS))
    parser.add_argument(
        "--smoke", action="store_true", help="tiny, in seconds: only whether it works; nothing is written"
    )
    parser.add_argument("--rounds", type=_times, help="instead of each benchmark's own number, 1 or more")
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="write there, not into docs/ (with --smoke, too)"
    )
    parser.add_argument("--page", action="store_true", help="measure nothing; make the page of what is kept")
    given = parser.parse_args(arguments)
    known = {one.name: one for one in BENCHMARKS}
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(known)}")
    docs = given.into or DOCS
    try:  # before minutes are spent on what could not be written
        docs.mkdir(parents=True, exist_ok=True)
        results = load(docs / "performance.json")
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{docs / 'performance.json'} cannot be used ({error})")
    if given.page:
        write(docs, results)
        return 0
    if missing := peers.look_for(peers.TOOLS).skipped:
        print(f"Not all tools to compare with are here; to have them: {peers.INSTALL}")
        print("\n".join(f"  {line}" for line in missing))
    wanted_ones = [known[name] for name in given.names] or [one for one in BENCHMARKS if not one.asked_only]
    failed = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was made is removed
    with contextlib.ExitStack() as stack:
        run = Run(smoke=given.smoke, rounds=given.rounds, stack=stack)
        for one in wanted_ones:
            result = measured(one, run)
            failed += result is None
            if result is not None:
                results[one.name] = result
            if result is not None and (given.into or not given.smoke):
                write(docs, results)
    return failed


if __name__ == "__main__":
    sys.exit(main())
