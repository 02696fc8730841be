"""`status`: what waits, runs, failed and why. Reads SQLite and nothing else, so that it costs nothing to ask."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from astria_sync import report
from astria_sync.cli.common import (
    Invocation,
    advised,
    colour,
    command,
    count,
    json_option,
    pass_invocation,
    show,
    show_json,
    size,
    visible,
)
from astria_sync.cli.completion import KnownPath
from astria_sync.cli.labels import label_of, names_of
from astria_sync.core.money import dollars
from astria_sync.errors import UsageError

if TYPE_CHECKING:
    from astria_sync.settings import Settings

_SECTIONS: Final = {
    "FAILED": ("failed",),
    "GONE AT ASTRIA": ("expired", "deleted"),
    "UNSURE": ("unsure",),
    "HELD": ("held",),
    "WAITING": ("waiting", "queued", "settling"),
    "RUNNING": ("uploading", "submitting", "training", "generating", "downloading"),
    "FINISHED": ("ready", "done"),
}
_SHOWN: Final = 25  # of one section, without --all
_MORE: Final = "  … and {:,} more; see: astria-sync status --all"
_WIDEST: Final = 100
_COLUMN: Final = 32  # a longer path has its reason on the next line


@command(
    "status",
    "status ~/Astria/inbox/jane      only this folder",
    "status --all --json | jq .items",
    "status --watch                  keep looking",
)
@click.argument("paths", nargs=-1, metavar="[PATH]…", type=KnownPath())
@click.option("--all", "everything", is_flag=True, help="What is finished too, and every item.")
@click.option("--watch", is_flag=True, help="Keep looking, and show it as it changes; q or Ctrl-C ends it.")
@json_option
@pass_invocation
def status(
    invocation: Invocation, paths: tuple[str, ...], *, everything: bool, watch: bool, as_json: bool
) -> int:
    """What waits, runs, failed and why; counts; money spent.

    PATHs limit all of it to what lies at or below them. Ends with 1 if something is failed, else with 0; --watch always with 0.
    """
    settings = invocation.settings()
    within = limits(paths, settings.state, [one.path for one in settings.watch])
    if watch:
        if everything:
            raise click.UsageError("--watch shows what a screen has room for; leave out --all.")
        return _watch(invocation, settings, within, as_json=as_json)
    found = report.snapshot(
        settings.state,
        now=time.time(),
        daemon=daemon(settings.state),
        paths=within,
        everything=everything,
    )
    found["problems"][:0] = state_problems(invocation, settings.state, running=found["daemon"]["running"])
    if as_json:
        show_json(found)
    else:
        for line in lines(found, everything=everything):
            show(line)
    return int(found["failed"])


def _watch(invocation: Invocation, settings: "Settings", paths: list[str], *, as_json: bool) -> int:
    from astria_sync.cli.watching import watch
    from astria_sync.live import Live

    live = Live(settings.state, paths=paths, limit_usd=settings.limits.spend_per_day_usd)

    def look() -> dict[str, Any]:
        holder = daemon(settings.state)
        told = state_problems(invocation, settings.state, running=holder["running"])
        return live.look(now=time.time(), daemon=holder, told=told[0]["text"] if told else "")

    try:
        return watch(look, as_json=as_json)
    finally:
        live.close()


def daemon(state: Path) -> dict[str, Any]:
    """Who holds the state, as the contract wants it told."""
    other = None
    if Path(
        os.path.realpath(state) + ".lock"
    ).exists():  # else nobody does, and the locks need not be imported
        from astria_sync.lock import holder

        other = holder(state)
    since = (
        datetime.fromtimestamp(other.since, UTC).isoformat(timespec="seconds")
        if other and other.pid
        else None
    )
    return {"running": other is not None, "pid": other.pid if other else None, "since": since}


def state_problems(invocation: Invocation, state: Path, *, running: bool) -> list[dict[str, str]]:
    """What the state itself cannot say: that its daemon cannot write it, or that it is gone."""
    if not running:
        return []
    from astria_sync import bulletin

    told = bulletin.read(state, invocation.environ, invocation.home)
    if not told and not state.exists():
        told = f"The state {state} is gone although a daemon runs; it puts it back within a minute."
    return [{"kind": "state", "text": told}] if told else []


def limits(paths: Sequence[str], state: Path, watched: Iterable[Path]) -> list[str]:
    """The paths as the journal knows them; raises UsageError for one that has nothing to do with a watched folder."""
    if not paths:
        return []
    roots = {os.path.realpath(root): root for root in {*map(str, watched), *report.roots_known(state)}}
    return [_known_as(path, roots) for path in paths]


def _known_as(path: str, roots: Mapping[str, str]) -> str:
    real = os.path.realpath(os.path.expanduser(path))
    for real_root, root in roots.items():
        if real == real_root or real.startswith(real_root + "/"):
            return root + real[len(real_root) :]
        if real_root.startswith(real.rstrip("/") + "/"):
            return real
    raise UsageError(f"{path} is outside of the watched folders; see: astria-sync status")


# For people


def lines(found: Mapping[str, Any], *, everything: bool, width: int | None = None) -> list[str]:
    """The report in lines, what matters most first, the counts last."""
    width = width or min(shutil.get_terminal_size().columns, _WIDEST) if colour(sys.stdout) else 80
    text = _head(found, width, None if everything else _SHOWN)
    names = names_of(found["items"])
    failed_ready = {
        id(item) for item in found["items"] if item["state"] in {"ready", "done"} and item["reason"]
    }
    for title, states in _SECTIONS.items():
        items = [item for item in found["items"] if item["state"] in states]
        if title == "FINISHED":
            items.sort(key=lambda item: id(item) not in failed_ready)
        if items:
            text += _section(title, items, names, width, None if everything else _SHOWN)
    if not found["items"]:
        text += ["Nothing waits, and nothing has failed.", ""]
    return [*text, *_tail(found, width)]


def _head(found: Mapping[str, Any], width: int, most: int | None) -> list[str]:
    text = []
    problems = found["problems"]
    if problems:
        text += [click.style("PROBLEMS", fg="red", bold=True)]
        for problem in problems[:most]:
            text += _wrapped(" ".join(problem["text"].split()), width, "  ", "    ")
        text += [_MORE.format(len(problems) - most)] if most and len(problems) > most else []
        text.append("")
    if found["paused"]:
        text += [click.style("Paused: nothing new is sent until `astria-sync resume`.", fg="yellow"), ""]
    return text


def _section(
    title: str, items: Sequence[Mapping[str, Any]], names: Mapping[str, str], width: int, most: int | None
) -> list[str]:
    shades = {
        "FAILED": "red",
        "GONE AT ASTRIA": "red",
        "UNSURE": "yellow",
        "HELD": "yellow",
        "FINISHED": "green",
    }
    shown = items[:most]
    text = [click.style(f"{title} ({len(items):,})", fg=shades.get(title, "cyan"), bold=True)]
    labels = [label_of(item, names[item["root"]]) for item in shown]
    column = max((len(label) for label in labels if len(label) <= _COLUMN), default=0) + 4
    shared = _shared_next(shown)
    for label, item in zip(labels, shown, strict=True):
        text += _entry(label, _words(item, shared=bool(shared)), column, width)
    if shared:
        text += _wrapped(f"→ {shared}", width, "  ", "    ")
    if len(shown) < len(items):
        text.append(_MORE.format(len(items) - len(shown)))
    return [*text, ""]


def _shared_next(items: Sequence[Mapping[str, Any]]) -> str:
    """What comes next, if it is the same for several: said once."""
    following = {item["then"] for item in items}
    return following.pop() if len(items) > 1 and len(following) == 1 else ""


def _words(item: Mapping[str, Any], *, shared: bool) -> str:
    if item["state"] == "ready" and not item["reason"]:
        return f"tune {item['id']}"
    # The section's title says failed, waiting …; what runs is told apart by its own words.
    return str(item["why"] if shared else item["reason"])


def _entry(label: str, words: str, column: int, width: int) -> list[str]:
    if len(label) + 4 > column:
        return [f"  {label}", *_wrapped(words, width, " " * 6, " " * 6)]
    return _wrapped(words, width, f"  {label}".ljust(column), " " * column)


def _wrapped(words: str, width: int, first: str, then: str) -> list[str]:
    filled = textwrap.wrap(
        advised(visible(words)), width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False
    )
    return filled or [first.rstrip()]


def _tail(found: Mapping[str, Any], width: int) -> list[str]:
    holder = found["daemon"]
    if holder["running"]:
        who = f"The daemon runs (process {holder['pid']})." if holder["pid"] else "The daemon runs."
    else:
        who = "No daemon runs; start one with: astria-sync run"
    counts, images, spent = found["counts"], found["counts"]["images"], found["spent"]
    parts = [
        _counted("tune", counts["tunes"]),
        _counted("prompt", counts["prompts"]),
        f"{count(images['saved'], 'picture')} ({size(images['bytes'])})",
        f"{dollars(spent['today_usd'])} today, {dollars(spent['month_usd'])} this month, {dollars(spent['total_usd'])} in all",
    ]
    if found["balance_usd"] is not None:
        parts.append(f"balance {dollars(found['balance_usd'])}")
    return [*_folders(spent.get("folders", ())), who, *textwrap.wrap(" · ".join(parts), width)]


def _folders(spent: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each folder has cost."""
    if not spent:
        return []
    names = names_of(spent)
    shown = [
        (
            dollars(one["month_usd"]),
            dollars(one["total_usd"]),
            visible(
                os.path.basename(one["root"]) if one["path"] == "." else names[one["root"]] + one["path"]
            ),
        )
        for one in spent
    ]
    lines = [f"  {month:>10} {total:>10}  {name}" for month, total, name in shown]
    return [click.style("SPENT", bold=True), f"  {'this month':>10} {'in all':>10}", *lines, ""]


def _counted(what: str, states: Mapping[str, int]) -> str:
    total = sum(states.values())
    detail = ", ".join(f"{number:,} {state}" for state, number in reversed(list(states.items())) if number)
    return f"{count(total, what)}{f' ({detail})' if detail else ''}"
