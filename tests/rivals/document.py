"""The comparison as docs/rivals.md has it."""

from collections.abc import Sequence
from typing import Final

from tests.rivals.arena import AGAIN, Result
from tests.rivals.cases import CASES

PAGE: Final = """# The same trouble, another client

What becomes of one order when something goes wrong on the way, for astria-sync and for Astria's own command-line client. Both are real
processes, and talk to the stand-in for Astria over real HTTP; each case has a stand-in of its own. Written by

    python -m tests.rivals --client 'python3 path/to/astria' --document docs/rivals.md

- The clients: {ours}; {theirs}.
- astria-sync is given a `.prompt` file, or a folder with a photo, and called as `astria-sync run --once`. Its waits are shortened
  (`timeout_seconds` 1, `reconcile_after_seconds` 0.2, and so on), so that a case takes seconds.
- The other is called as `astria generate --text … --num-images 1 --wait` and then, with the id that this printed, `astria download ID --out …`;
  for a tune as `astria tunes create --title … --name … --image …`. It has its own timing. It was not made for going on where it stopped:
  each call is a new order, as a person at a terminal would expect. It sends by `curl --retry 2`, which repeats an order after 429 and
  5xx, and puts the answers to all attempts one after the other; those are then no JSON. Pictures are fetched by `curl --fail -o`.
- While the command ends with an error, or was killed, it is called again as it was, up to {again} times.
- *Paid*: objects that the service made, after the first call → at the end. *Whole*: pictures as the service has them, under their final names.
  *Half*: other files under such names. *Exit*: what each call ended with; -9 is the kill that belongs to the case. An exit of 0 in **bold** is
  one although a picture that was paid for is not there; `download` tells of it in its JSON.

| case | what happens | astria-sync: paid, whole, exit | {their_name}: paid, whole, half, exit |
| --- | --- | --- | --- |
{rows}

In {our_good} of {count} cases astria-sync paid once, had the picture whole and said so; {their_name} did in {their_good}. The token stood in the
arguments of a process in {our_token} and {their_token} of them: `curl` is told it on its command line.

`python -m tests.rivals --client 'CMD {{text}} {{output}} {{base_url}} {{token}}'` plays the same cases for any other client.
"""


def document(their_name: str, theirs: Sequence[Result], our_name: str, ours: Sequence[Result]) -> str:
    """Both, case by case."""
    says = {case.name: case.says for case in CASES}
    rows = [
        f"| {one.case} | {says[one.case]} | {_cell(one, half=False)} | {_cell(other, half=True)} |"
        for one, other in zip(ours, theirs, strict=True)
    ]
    return PAGE.format(
        ours=our_name,
        theirs=their_name,
        their_name=their_name,
        again=AGAIN,
        rows="\n".join(rows),
        count=len(ours),
        our_good=_good(ours),
        their_good=_good(theirs),
        our_token=sum(one.token_in_arguments for one in ours),
        their_token=sum(one.token_in_arguments for one in theirs),
    )


def _good(results: Sequence[Result]) -> int:
    """Where the money and the picture are concerned."""
    return sum(
        one.paid == 1 and one.half == 0 and one.says_done and not one.zero_but_missing for one in results
    )


def _cell(one: Result, *, half: bool) -> str:
    first, last = one.runs[0].paid, one.paid
    parts = [f"{first} → {last}" if first != last else str(last)]
    if one.makes == "prompt":
        parts += [str(one.whole), *([str(one.half)] if half else [])]
    else:
        parts += ["–", *(["–"] if half else [])]
    codes = [
        f"**{run.exit}**" if run.exit == 0 and one.zero_but_missing else str(run.exit) for run in one.runs
    ]
    return ", ".join([*parts, " ".join(codes)])
