"""The parts of docs/reliability.md that are facts of the tests: `python -m tests.reliability docs/reliability.md` writes them anew."""

import json
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "reliability.md"
FIGURES = TOP / "docs" / "figures.json"  # of long campaigns, which note them there
_PARTS = ("kills", "errors", "hooks", "strace", "storms", "disks")
_CASE = re.compile(r"\| `(tests/[\w/]+\.py)::(test_\w+)` \|$")


def cases(page: str) -> list[tuple[str, str, str]]:
    """What goes wrong, and the file and name of the test that shows what happens then."""
    return [
        (line.split("|")[1].strip(), found[1], found[2])
        for line in page.splitlines()
        if (found := _CASE.search(line))
    ]


def figures(page: str) -> str:
    """A table of how much is tried, in each `make test` and in the last long campaigns."""
    from tests.e2e.test_late_lists import LOST_SCHEDULES as LOST
    from tests.e2e.test_late_lists import SCHEDULES as LATE
    from tests.simulation.breakages import BREAKAGES
    from tests.simulation.test_simulation import SCHEDULES

    campaign = json.loads(FIGURES.read_text()).get("crashes", {})
    crashes = (
        ", ".join(f"{campaign[part]:,} {part}" for part in _PARTS if part in campaign)
        + f"; {campaign['broken']} broken, {campaign['seconds'] / 60:.0f} minutes"
        if campaign
        else "not noted for this version; `make crashes` notes it"
    )
    rows = [
        ("cases below, each with its test", str(len(cases(page)))),
        (
            "schedules played in each `make test`",
            f"{SCHEDULES:,}, and {LATE} with lists that lag for minutes, {LOST} with many lost answers and stale lists",
        ),
        ("ways to break it that the schedules must notice", str(len(BREAKAGES))),
        ("the last whole campaign of real crashes", crashes),
    ]
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {told} |" for name, told in rows)])


def breakages(_: str) -> str:
    """A table of the ways to break the product, with the seed that catches each."""
    from tests.simulation.breakages import BREAKAGES, CAUGHT_BY

    seeds = json.loads(CAUGHT_BY.read_text())
    rows = [f"| {one.name} | {seeds[one.name]} |" for one in BREAKAGES]
    return "\n".join(["| what is broken | seed |", "| --- | --- |", *rows])


def rewritten(page: str) -> str:
    """The page with these parts as they are now."""
    for name, text in (("figures", figures(page)), ("breakages", breakages(page))):
        start, end = f"<!-- {name}: python -m tests.reliability docs/reliability.md -->\n", "<!-- end -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.write_text(rewritten(place.read_text()))
