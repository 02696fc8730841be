"""What a person can ask for besides saving files: `retry`, `rerun`, `retrain`, `approve`, `pause`, `resume`.

A running daemon does it in its own thread; without one, this process takes its lock and does the same.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from astria_sync.cli.common import Invocation, command, json_option, pass_invocation, say, show_json
from astria_sync.cli.completion import KnownPath
from astria_sync.errors import StateLocked

if TYPE_CHECKING:
    from astria_sync.settings import Settings

_PATIENCE: Final = 5.0  # seconds that a daemon has to begin, or to end
_NAP: Final = 0.1
_NO_DAEMON = "No daemon runs; it is taken up by the next: astria-sync run"


@command("retry ~/Astria/inbox/jane/hiking.prompt", "retry ~/Astria/inbox/jane", "retry --all")
@click.argument("paths", nargs=-1, metavar="[PATH]…", type=KnownPath("failed"))
@click.option("--all", "everything", is_flag=True, help="Everything that failed.")
@json_option
@pass_invocation
def retry(invocation: Invocation, paths: tuple[str, ...], *, everything: bool, as_json: bool) -> int:
    """Try again what failed at or below PATHs, with the files as they are now.

    What Astria could not make is ordered anew, and costs again if it succeeds. A balance that was exhausted is tried again too.
    """
    return _order(invocation, "retry", _these_or_all("retry", paths, everything=everything), as_json=as_json)


@command("rerun ~/Astria/inbox/jane/hiking.prompt")
@click.argument("path", type=KnownPath("prompts"))
@json_option
@pass_invocation
def rerun(invocation: Invocation, path: str, *, as_json: bool) -> int:
    """One more generation of the prompt file PATH, or of each in a folder: new pictures, paid for again."""
    return _order(invocation, "rerun", [path], as_json=as_json)


@command("retrain ~/Astria/inbox/jane")
@click.argument("folder", type=KnownPath("folders"))
@json_option
@pass_invocation
def retrain(invocation: Invocation, folder: str, *, as_json: bool) -> int:
    """A new tune of the image folder FOLDER as it is now, paid for again; later prompts use it."""
    return _order(invocation, "retrain", [folder], as_json=as_json)


@command("approve ~/Astria/inbox/archive", "approve --all")
@click.argument("paths", nargs=-1, metavar="[PATH]…", type=KnownPath("held"))
@click.option("--all", "everything", is_flag=True, help="Everything that is held back.")
@json_option
@pass_invocation
def approve(invocation: Invocation, paths: tuple[str, ...], *, everything: bool, as_json: bool) -> int:
    """Let go what `hold_above`, or the day's limit, holds back at or below PATHs."""
    return _order(
        invocation, "approve", _these_or_all("approve", paths, everything=everything), as_json=as_json
    )


@command("pause")
@json_option
@pass_invocation
def pause(invocation: Invocation, *, as_json: bool) -> int:
    """Start nothing new until `resume`; what Astria works on goes on, and so do downloads."""
    return _order(invocation, "pause", [], as_json=as_json)


@command("resume")
@json_option
@pass_invocation
def resume(invocation: Invocation, *, as_json: bool) -> int:
    """Go on starting new work after `pause`."""
    return _order(invocation, "resume", [], as_json=as_json)


def _these_or_all(name: str, paths: Sequence[str], *, everything: bool) -> list[str]:
    if paths and everything:
        raise click.UsageError("Give PATHs or --all, not both.")
    if not paths and not everything:
        raise click.UsageError(f"Say which: astria-sync {name} PATH…, or --all for everything.")
    return list(paths)


def _order(invocation: Invocation, name: str, paths: Sequence[str], *, as_json: bool) -> int:
    arguments = {"paths": [str(Path(path).expanduser().absolute()) for path in paths]}
    return give(invocation, name, arguments, as_json=as_json)


def give(
    invocation: Invocation, name: str, arguments: Mapping[str, Any], *, as_json: bool, quiet: bool = False
) -> int:
    """Have an order carried out, by the daemon if one runs; the exit code. `quiet`: only failures are told."""
    from astria_sync.control import ask

    settings = invocation.settings()
    answer: dict[str, Any] | None = ask(settings.state, name, arguments)
    alone = answer is None
    if answer is None:
        answer, alone = _without_daemon(settings, name, arguments)
    if as_json:
        show_json(answer)
    if "error" in answer:
        say(str(answer["error"]))
        return int(answer.get("exit", 1))
    if not as_json and not quiet:
        say(str(answer.get("message", "Done.")))
        if alone and answer.get("count") and name != "pause":
            say(_NO_DAEMON)
    return 0


def _without_daemon(
    settings: "Settings", name: str, arguments: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Nobody listens: done here, and true; or by a daemon that has just begun, or is ending, and has the state for a moment."""
    from astria_sync.control import ask
    from astria_sync.service import command_without_daemon

    for _ in range(int(_PATIENCE / _NAP)):
        with suppress(StateLocked):
            return command_without_daemon(settings, name, arguments), True
        time.sleep(_NAP)
        if answer := ask(settings.state, name, arguments):
            return answer, False
    try:
        return command_without_daemon(settings, name, arguments), True
    except StateLocked as error:
        raise StateLocked(
            *error.problems,
            f"It takes no orders yet, or none any more; if it is a daemon that starts, say `{name}` again.",
        ) from None
