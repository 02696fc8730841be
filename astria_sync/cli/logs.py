"""The log of a running daemon, on stderr: short lines in a terminal, plain ones with the time elsewhere; never a secret."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click

from astria_sync.cli.common import colour, visible

_SHADES: Final = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class _Lines(logging.Formatter):
    """One event, one line; what came from outside cannot steer the terminal or pass for another event."""

    def __init__(self, *, terminal: bool, secret: Callable[[], str]) -> None:
        super().__init__()
        self._terminal = terminal
        self._secret = secret

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the token masked wherever it may have come from."""
        text = super().format(record)
        secret = self._secret()
        if secret:
            text = text.replace(secret, "***")
        text = "\n    ".join(visible(line) for line in text.splitlines())
        moment = time.localtime(record.created)
        if self._terminal:
            return click.style(f"{time.strftime('%H:%M:%S', moment)} {text}", fg=_SHADES.get(record.levelno))
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S%z', moment)} {record.levelname:<7} {text}"


def set_up(*, verbose: bool, secret: Callable[[], str] = lambda: "") -> None:
    """Let the daemon's events, and the warnings of what it stands on, go to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(terminal=colour(sys.stderr), secret=secret))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("astria_sync").setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.captureWarnings(capture=True)


def token_of(invocation: Any, settings: Any) -> Callable[[], str]:
    """The token that this run starts with, for masking, should anything ever repeat it."""
    from astria_sync.errors import AstriaSyncError
    from astria_sync.secrets import find_token

    try:
        token = find_token(settings.astria, environ=invocation.environ, home=invocation.home)
    except AstriaSyncError:
        token = None
    known = token.reveal() if token else ""
    return lambda: known
