"""`log`: what happened to one file or folder. Reads SQLite and nothing else."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import click

from astria_sync.cli.common import (
    Invocation,
    command,
    count,
    json_option,
    pass_invocation,
    say,
    show,
    show_json,
    visible,
)
from astria_sync.cli.completion import KnownPath
from astria_sync.core.money import dollars
from astria_sync.wording import of_variant

_SHADES: Final = {"failed": "red", "deleted": "red", "expired": "yellow", "done": "green", "ready": "green"}


@command(
    "log",
    "log ~/Astria/inbox/jane/hiking.prompt",
    "log ~/Astria/inbox/jane                  a folder: its tune, its pack",
    "log --all ~/Astria/inbox/jane            and everything below it",
    "log ~/Astria/generated/jane/hiking/hiking-123-1.jpg",
)
@click.argument("path", metavar="PATH", type=KnownPath())
@click.option("--all", "everything", is_flag=True, help="Of a folder: what lies below it too.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    metavar="N",
    help="At most so many events, the newest; 0: all.",
)
@json_option
@pass_invocation
def log(invocation: Invocation, path: str, *, everything: bool, limit: int, as_json: bool) -> int:
    """Everything that happened to one file or folder, the newest last.

    PATH is a prompt, a folder, a picture or its record in the output; also one that has moved or is deleted since.
    """
    from astria_sync.history import history

    found = history(invocation.settings().state, path, everything=everything, limit=limit or None)
    if as_json:
        show_json(found)
        return 0
    for line in lines(found):
        show(line)
    if found["earlier"]:
        say(f"{count(found['earlier'], 'earlier event')} left out; see them with: --limit 0")
    return 0


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """How things stand, then how it came to that."""
    yield click.style(visible(found["path"]), bold=True)
    for note in found["notes"]:
        yield f"  {visible(note)}"
    several = len({(item["root"], item["path"]) for item in found["items"]}) > 1
    for item in found["items"]:
        yield from _item(item, several=several)
    yield ""
    for event in found["events"]:
        moment = datetime.fromisoformat(event["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        told = " ".join(event["text"].split())
        waited = _waited(event)
        yield f"{moment}  {visible(told)}{waited}"


def _waited(event: Mapping[str, Any]) -> str:
    """How long it had stood where it stood before, where the sentence does not say how long all took."""
    from astria_sync.core.happening import spoken

    seconds = event["seconds"]
    if seconds is None or seconds < 1 or event["seconds_since_sent"] is not None or event["event"] == "bound":
        return ""
    return f" (after {spoken(seconds)} {visible(event['from'])})"


def _item(item: Mapping[str, Any], *, several: bool) -> Iterator[str]:
    name = item["kind"] if item["id"] is None else f"{item['kind']} {item['id']}"
    variant = of_variant(item["variant"])
    parts = [f"{item['path']}: {name}" if several else name, f"[{variant}]" if variant else ""]
    head = visible(" ".join(part for part in parts if part))
    money = f", {dollars(item['cost_usd'])}" if item["cost_usd"] else ""
    yield f"  {head}: {click.style(item['state'], fg=_SHADES.get(item['state']))}{money}"
    for fact in ("reason", "pictures_in", "page"):
        if item[fact]:
            words = {"reason": "", "pictures_in": "pictures in ", "page": ""}[fact]
            yield f"    {words}{visible(' '.join(item[fact].split()))}"
