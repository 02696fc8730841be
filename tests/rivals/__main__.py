"""Show how a client stands trouble: `python -m tests.rivals --client 'python3 astria' [--json] [CASE …]`.

Without --client it is astria-sync itself. A client that is not known is asked by a template:
`--client 'mine --text {text} --out {output} --url {base_url}' --tune 'mine train {photo}'`; it finds ASTRIA_BASE_URL and
ASTRIA_AUTH_TOKEN in its environment.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.rivals.arena import AGAIN, Result, play
from tests.rivals.cases import CASES, Case
from tests.rivals.clients import Client, client_for
from tests.rivals.document import document

HEAD: Final = ("case", "paid", "whole", "half", "exit codes", "0 but missing", "token")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the cases; 0 if each of them was played to its end, whatever came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.rivals", description=__doc__)
    parser.add_argument("--client", default="", help="a client's command line [default: astria-sync itself]")
    parser.add_argument("--tune", default="", help="a template's command line for a tune")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--list", action="store_true", help="tell the cases, and end")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases [default: all]")
    parser.add_argument(
        "--document", metavar="FILE", help="play astria-sync too, and write both down as Markdown"
    )
    asked = parser.parse_args(arguments)
    unknown = set(asked.cases) - {case.name for case in CASES}
    if unknown:
        parser.error(f"there is no case {', '.join(sorted(unknown))}; see --list")
    if asked.list:
        for case in CASES:
            print(f"{case.name:28}{case.says}")
        return 0
    client = client_for(asked.client, tune_line=asked.tune)
    chosen = [case for case in CASES if not asked.cases or case.name in asked.cases]
    results = _played(client, chosen, asked.jobs)
    if asked.document:
        ours = client_for("")
        text = document(client.name, results, ours.name, _played(ours, chosen, asked.jobs))
        Path(asked.document).write_text(text, "utf-8")
    elif asked.json:
        print(json.dumps({"client": client.name, "cases": [one.as_json() for one in results]}, indent=2))
    else:
        print("\n".join(table(client.name, results)))
    return 0


def _played(client: Client, cases: Sequence[Case], jobs: int) -> list[Result]:
    asked = [case for case in cases if client.makes(case.makes)]
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda case: play(case, client), asked))


def table(name: str, results: Sequence[Result]) -> list[str]:
    """For people: what was paid after the first run and at the end, what came, and what was said."""
    rows = [HEAD, *map(_row, results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    good = sum(one.perfect for one in results)
    return [
        f"{name}: one order in each case, the same command again up to {AGAIN} times while it ends with an error",
        "",
        *lines,
        "",
        f"{good} of {len(results)} cases: paid once, whole, told, and the token in no arguments and no output.",
        "paid: after the first run → at the end. whole, half: files under final names.",
        "0 but missing: it ended with 0 although a picture that was paid for is not there.",
    ]


def _row(one: Result) -> tuple[str, ...]:
    first, last = one.runs[0].paid, one.paid
    places = [
        place
        for place, seen in (("arguments", one.token_in_arguments), ("output", one.token_in_output))
        if seen
    ]
    return (
        one.case,
        str(last) if first == last else f"{first} → {last}",
        str(one.whole) if one.makes == "prompt" else "-",
        str(one.half) if one.makes == "prompt" else "-",
        " ".join(str(run.exit) if run.answered else "none" for run in one.runs),
        "yes" if one.zero_but_missing else "-",
        ", ".join(places) or "-",
    )


if __name__ == "__main__":
    sys.exit(main())
