"""`pull`: everything in the account that was made elsewhere, to disk."""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from astria_sync.cli.common import (
    Invocation,
    colour,
    command,
    count,
    json_option,
    pass_invocation,
    say,
    show_json,
    size,
    tell,
    visible,
)
from astria_sync.errors import NotAuthorised, UsageError

if TYPE_CHECKING:
    from astria_sync.settings import Settings

_ALONE: Final = "astria-account"  # where to, without a watched folder
_UNITS: Final = {"d": 86400, "h": 3600, "m": 60}
_LOOK: Final = 0.5  # seconds between looks at what a daemon does
_EVERY: Final = 4  # of these between words on it
_SHOWN: Final = 20


@command(
    "pull",
    "pull --since 2026-11-01",
    "pull --since 7d",
    "pull --output /mnt/disk/astria    also without any configuration, with a token alone",
)
@click.option(
    "--since", metavar="DATE", help="Only what was made since: 2026-11-01, an ISO time, or 7d, 12h, 30m."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where `_account` is to lie [default: the output of the workspace's first watch; without one ./astria-account].",
)
@json_option
@pass_invocation
def pull(invocation: Invocation, *, since: str | None, output: Path | None, as_json: bool) -> int:
    """Fetch generations made elsewhere too: on the web page, by other clients, by packs.

    They go to OUTPUT/_account/TUNE'S TITLE/, each once, with a record beside it; what Astria deletes first is fetched first.
    Orders nothing. Stopped at any moment, it goes on where it was. A running daemon does it; else this command. Ends with 1 if
    something could not be had.
    """
    settings = invocation.settings()
    moment = None if since is None else read_since(since, time.time())
    place = _place(settings, output)
    asked_at = _have_it_done(invocation, settings, moment, place, given=output is not None)

    from astria_sync import pullreport

    found = pullreport.summary(settings.state, asked_at)
    if as_json:
        show_json(found)
    for line in lines(found):
        tell(line)
    had_all = found["finished"] and not (
        found["not_had"] or found["problems"] or found["generations"]["gone"]
    )
    return int(not had_all)


def read_since(text: str, now: float) -> float:
    """A moment, as seconds since the epoch; raises UsageError."""
    if match := re.fullmatch(r"([0-9]{1,6})([dhm])", text):
        return now - int(match[1]) * _UNITS[match[2]]
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since {text} is no date; write 2026-11-01, 2026-11-01T12:00, or 7d, 12h, 30m."
        ) from None
    if moment > now:
        raise UsageError(f"--since {text} lies in the future.")
    return moment


def _place(settings: "Settings", output: Path | None) -> str | None:
    """Where to, if not to the outputs of the watches; raises UsageError for a place that would cost money."""
    if output is None:
        return None if settings.watch else os.path.abspath(_ALONE)
    whole = output.expanduser().absolute()
    real = Path(os.path.realpath(whole))
    if real.exists() and not real.is_dir():
        raise UsageError(f"{output} is no folder; name another for --output.")
    outputs = [Path(os.path.realpath(watch.output)) for watch in settings.watch]
    for watch in settings.watch:
        inside = real.is_relative_to(os.path.realpath(watch.path))
        if inside and not any(real.is_relative_to(one) for one in outputs):
            raise UsageError(
                f"--output {output} lies in the watched folder {watch.path}: pictures there would be taken for new ones and paid "
                "for; name a folder elsewhere."
            )
    return str(whole)


def _have_it_done(
    invocation: Invocation, settings: "Settings", since: float | None, place: str | None, *, given: bool
) -> float:
    """By the daemon if one runs, else here; when it was asked for."""
    from astria_sync.control import ask

    arguments: dict[str, Any] = {"since": since, "output": place if given or not settings.watch else None}
    if answer := ask(settings.state, "pull", arguments):
        if "error" in answer:
            raise UsageError(str(answer["error"]))
        say("The daemon does it; to stop waiting here stops nothing.")
        with closing_progress() as told:
            _follow(settings, float(answer["asked_at"]), told)
        return float(answer["asked_at"])

    from astria_sync import pullreport
    from astria_sync.cli import logs
    from astria_sync.rescue import Rescue

    logs.set_up(
        verbose=invocation.verbose, quiet=True, wanted=invocation.log_format, environ=invocation.environ
    )
    if place is not None:
        say(f"What the account has goes to {place}/_account")
    began = time.time()
    with closing_progress() as told:
        Rescue(
            settings,
            arguments,
            environ=invocation.environ,
            home=invocation.home,
            on_progress=lambda: told(progress(pullreport.so_far(settings.state, began))),
        ).pull()
    return began


@contextmanager
def closing_progress() -> Iterator["Progress"]:
    """Progress that is over at the end of the block, however that ends."""
    told = Progress()
    try:
        yield told
    finally:
        told.over()


def _follow(settings: "Settings", asked_at: float, told: "Progress") -> None:
    """Until the daemon has done it, or is gone; raises NotAuthorised if it is not let in."""
    from astria_sync import pullreport
    from astria_sync.lock import holder

    looks = 0
    while True:
        goes_on, refused = pullreport.under_way(settings.state)
        if refused:
            raise NotAuthorised(refused)
        if not goes_on:
            return
        if holder(settings.state) is None:
            say("The daemon has ended; the next one goes on with it, and so does: astria-sync pull")
            return
        looks += 1
        if looks % _EVERY == 0:
            told(progress(pullreport.so_far(settings.state, asked_at)))
        time.sleep(_LOOK)


class Progress:
    """How far it is: one line that changes on a terminal, elsewhere a line whenever something has changed."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, text: str) -> None:
        """Say it, unless that is what was said last."""
        if text == self._last:
            return
        self._last = text
        if colour(sys.stderr):
            with suppress(OSError):  # back at its beginning, so that whatever comes next is written over it
                click.echo(f"\r\x1b[K{text}\r", nl=False, err=True, color=True)
        else:
            tell(text)

    def over(self) -> None:
        """Leave nothing of it on a terminal."""
        if self._last and colour(sys.stderr):
            with suppress(OSError):
                click.echo("\r\x1b[K", nl=False, err=True, color=True)


def progress(found: Mapping[str, Any]) -> str:
    """How far it is, on one line."""
    listed = count(found["generations"]["listed"], "generation")
    of = found["pictures"] + found["waiting"]
    return f"{listed} listed, {found['pictures']:,} of {count(of, 'picture')} here ({size(found['bytes'])})"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """What it came to, for a person."""
    generations = found["generations"]
    yield f"{count(generations['new'], 'new generation')}, {count(found['pictures'], 'picture')} ({size(found['bytes'])})"
    for folder in found["folders"]:
        yield f"  in {visible(folder)}"
    told = {
        "known": "were here already, or are of your files",
        "failed": "Astria could not make",
        "gone": "have no pictures any more, or never had",
        "left": "may be the answer to an order of yours and are left to it",
    }
    for key, words in told.items():
        if generations[key]:
            yield f"  {generations[key]:,} {words}"
        if key == "known":
            yield from (f"    in {visible(place)}, where they stay" for place in found["known_in"])
    if found["not_had"]:
        yield f"Not to be had now, of {count(len(found['not_had']), 'generation')}; the next pull tries again what is still there:"
    for one in found["not_had"][:_SHOWN]:
        yield f"  {visible(one['path'])}: {visible(one['why'])}"
    if len(found["not_had"]) > _SHOWN:
        yield f"  … and {len(found['not_had']) - _SHOWN:,} more; see: astria-sync pull --json"
    for problem in found["problems"]:
        yield visible(problem)
    if not found["finished"]:
        yield "It was stopped; it goes on with: astria-sync pull"
