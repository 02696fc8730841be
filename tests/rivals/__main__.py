"""`python -m tests.rivals [--official PATH] [--client 'CMD']`: every case, for each client, as a table or as JSON."""

import argparse
import json
import sys
from dataclasses import asdict

from tests.rivals.cases import CASES
from tests.rivals.clients import Any, AstriaSync, Official
from tests.rivals.play import Client, Result, play


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rivals", description=__doc__)
    parser.add_argument("--official", metavar="PATH", help="a copy of Astria's own client")
    parser.add_argument(
        "--client", metavar="CMD", action="append", default=[], help="with {text} and {output}"
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    clients: list[Client] = [AstriaSync(), *map(Any, asked.client)]
    if asked.official:
        clients.append(Official(asked.official))
    results = {client.name: [play(client, case) for case in CASES] for client in clients}
    if asked.json:
        print(json.dumps({name: [asdict(one) for one in ones] for name, ones in results.items()}, indent=2))
    else:
        print("\n".join(table(results)))
    return 0


def table(results: dict[str, list[Result]]) -> list[str]:
    """Markdown: a row for each case, a column for each client."""
    lines = [f"| one picture wanted, and … | {' | '.join(results)} |", "| --- |" + " --- |" * len(results)]
    for row in zip(*results.values(), strict=True):
        lines.append(f"| {row[0].case} | {' | '.join(map(told, row))} |")
    return lines


def told(one: Result) -> str:
    """A result in a few words."""
    parts = [f"{one.paid} paid", f"{one.whole} whole"]
    parts += [f"**{one.half} half under a final name**"] if one.half else []
    parts += [f"{len(one.exits)} attempts"] if len(one.exits) > 1 else []
    parts += [f"ends with {one.exits[-1]}"] if one.exits[-1] else []
    parts += [f"token in {' and '.join(one.token_seen)}"] if one.token_seen else []
    return ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
