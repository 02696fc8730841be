"""`run`: the daemon in the foreground."""

import faulthandler
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import click

from astria_sync import report, signals
from astria_sync.cli.common import (
    Invocation,
    command,
    count,
    log_format_option,
    pass_invocation,
    size,
    tell,
    visible,
)
from astria_sync.core.money import dollars
from astria_sync.wording import of_variant

log = logging.getLogger("astria_sync")

_SHOWN = 20
_FAILED = {"failed", "expired", "deleted"}


@command(
    "run",
    "run --once                      do what is there to do, wait for the pictures, end",
    "run --once --timeout 3600       the same, for an hour at most",
)
@click.option("--once", is_flag=True, help="Do all that is there to do, wait for the pictures, end.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="End after this long."
)
@log_format_option
@pass_invocation
def run(invocation: Invocation, *, once: bool, timeout: float | None, log_format: str | None) -> int:
    """Watch the folders, order what is new, fetch the pictures; until stopped.

    Ends on Ctrl-C or SIGTERM once requests under way are answered; a second Ctrl-C does not wait. Where there is no terminal,
    SIGHUP has the configuration read again; what is wrong with it is told, and the old one goes on. With --once it ends with 1
    if something is failed, or unfinished after --timeout; what waits for `approve` or for the next day's money is neither.
    """
    from astria_sync.cli import logs
    from astria_sync.service import Service

    settings = invocation.settings()
    click.get_current_context().with_resource(_progress(settings.state))
    if "NOTIFY_SOCKET" in invocation.environ:
        faulthandler.enable()  # what its watchdog ends says in the log where it stood
    wanted = log_format or invocation.log_format
    logs.set_up(verbose=invocation.verbose, wanted=wanted, environ=invocation.environ)
    started = time.time()
    ready: list[Any] = []

    def on_ready(engine: Any) -> None:
        ready.append(engine)
        for watch in settings.watch:
            log.info("Watching %s; pictures go to %s", watch.path, watch.output)

    lasting = not once and timeout is None
    service = Service(
        settings,
        environ=invocation.environ,
        home=invocation.home,
        reread=invocation.settings if lasting and not signals.terminal() else None,
    )
    code = 1
    try:
        code = service.run(once=once, timeout=timeout, on_ready=on_ready)
    finally:
        logs.flush()
        if once and ready:
            for line in summary(settings.state, since=started, over=not code):
                tell(line)
    if service.again:
        _begin_anew()
    return code


def _progress(state: Path) -> AbstractContextManager[None]:
    """A line on how the work stands below the log, where there is a terminal to show it."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return nullcontext()
    from astria_sync.cli.lastline import below_the_log  # with the widths of letters, which no service needs

    return below_the_log(state)


def _begin_anew() -> None:
    """The same process with everything made anew, as after an end and a start: nothing is left over of what it was before."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - what is already running


def summary(state: Path, *, since: float, over: bool = True) -> Iterator[str]:
    """What a run came to: what was made, what waits and why, what failed and why. `over`: it ended since all was done."""
    stopped = {"running": False, "pid": None, "since": None}
    found = report.snapshot(state, now=time.time(), daemon=stopped)
    pictures = report.saved_pictures(state, since)
    yield ""
    yield from _made([one for one in pictures if not one["pulled"]])
    if pulled := [one for one in pictures if one["pulled"]]:
        yield f"Pulled: {count(len(pulled), 'picture')} ({size(sum(one['size'] for one in pulled))})"
    failed = [item for item in found["items"] if item["state"] in _FAILED]
    yield from _left("Failed:", failed)
    yield from _left(
        "Not finished:", [item for item in found["items"] if item["state"] not in {*_FAILED, "ready", "done"}]
    )
    for problem in found["problems"]:
        yield visible(" ".join(problem["text"].split()))
    if not pictures and not found["items"]:
        yield (
            "Nothing was left to do."
            if over
            else "Not finished: it ended before everything was seen and done."
        )


def _made(pictures: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not pictures:
        return
    cost = {one["prompt"]: one["cost_mc"] for one in pictures}
    octets = sum(one["size"] for one in pictures)
    price = f", {dollars(sum(cost.values()) / 100_000)}" if any(cost.values()) else ""
    yield f"Made: {count(len(pictures), 'picture')} of {count(len(cost), 'prompt')} ({size(octets)}{price})"
    for one in pictures[:_SHOWN]:
        yield f"  {visible(one['path'])} → {visible(one['location'])}"
    if len(pictures) > _SHOWN:
        yield f"  … and {len(pictures) - _SHOWN:,} more"


def _left(title: str, items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is left, and once for all what to do; that no daemon runs is known to whoever has just seen one end."""
    if items:
        yield title
    for item in items[:_SHOWN]:
        yield f"  {visible(item['path'] + _variant(item))}: {visible(item['why'])}"
    if len(items) > _SHOWN:
        yield f"  … and {len(items) - _SHOWN:,} more; see: astria-sync status"
    for then in sorted({item["then"] for item in items if item["state"] in {*_FAILED, "held"}} - {""}):
        yield f"  → {visible(then)}"


def _variant(item: Mapping[str, Any]) -> str:
    """Which of the requests of one file it is."""
    told = of_variant(item.get("variant", {}))
    return f" [{told}]" if told else ""
