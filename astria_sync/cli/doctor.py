"""`doctor`: is everything there that the daemon needs?"""

import shutil
import sys
import textwrap
from dataclasses import asdict

import click

from astria_sync.cli.common import (
    Invocation,
    advised,
    colour,
    command,
    json_option,
    pass_invocation,
    show,
    show_json,
    visible,
)
from astria_sync.errors import ConfigError

_INDENT = 24
_MARKS = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow"), "error": ("error  ", "red")}


@command("doctor", "--profile work doctor", "doctor --json | jq '.checks[] | select(.level != \"ok\")'")
@json_option
@pass_invocation
def doctor(invocation: Invocation, *, as_json: bool) -> int:
    """Check configuration, token, network, folders, watch limits, disk, state, service, notifications and clock; say what to do.

    Asks Astria whose the token is; works without a network too. Ends with 0 if there are no errors (warnings are fine), 1
    if there are, 2 if the configuration cannot be used, 4 if the token is missing or refused. Changes nothing.
    """
    from astria_sync.doctor import examine, versions, worst
    from astria_sync.surroundings import Check

    checks: list[Check] = []
    try:
        settings, profile = invocation.settings(), invocation.profile
        found = examine(settings, environ=invocation.environ, home=invocation.home, profile=profile)
        for check in found:
            checks.append(check)
            if not as_json:
                _show(check.about, check.level, check.text, check.do)
    except ConfigError as error:
        checks = list(versions())
        checks += [
            Check(about="configuration", level="error", text=problem, exit_code=error.exit_code)
            for problem in error.problems
        ]
        if not as_json:
            for check in checks:
                _show(check.about, check.level, check.text, check.do)
    if as_json:
        listed = [{key: value for key, value in asdict(one).items() if key != "exit_code"} for one in checks]
        show_json({"version": 1, "checks": listed, "exit": worst(checks)})
    return worst(checks)


def _show(about: str, level: str, text: str, do: str) -> None:
    mark, shade = _MARKS[level]
    head = f"{click.style(mark, fg=shade)}  {about:<13}  "
    for number, line in enumerate(_wrapped(text)):
        show((" " * _INDENT if number else head) + line)
    for number, line in enumerate(_wrapped(do)):
        show(" " * _INDENT + ("  " if number else "→ ") + line)


def _wrapped(text: str) -> list[str]:
    """In lines that fit a terminal; what is piped stays whole, for grep."""
    width = shutil.get_terminal_size().columns - _INDENT - 2 if colour(sys.stdout) else 10_000
    plain = advised(visible(" ".join(text.split())))
    return textwrap.wrap(plain, max(width, 30), break_long_words=False, break_on_hyphens=False)
