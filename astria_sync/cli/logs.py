"""The log of a running daemon, on stderr: short lines in a terminal, plain ones with the time elsewhere; never a secret."""

import logging
import sys
import time
from typing import Final, TextIO

import click

from astria_sync.cli.common import colour, visible
from astria_sync.secrets import hide

_SHADES: Final = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}


class _Lines(logging.Formatter):
    """One event, one line; what came from outside cannot steer the terminal or pass for another event."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the token masked wherever it may have come from."""
        text = hide(super().format(record))
        text = "\n    ".join(visible(line) for line in text.splitlines())
        moment = time.localtime(record.created)
        if self._terminal:
            return click.style(f"{time.strftime('%H:%M:%S', moment)} {text}", fg=_SHADES.get(record.levelno))
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S%z', moment)} {record.levelname:<7} {text}"


class _Sink(logging.StreamHandler[TextIO]):
    """A line that cannot be written, to a full disk, is lost: Python would tell of it with all that the record holds, unmasked."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """A defect in a line is still told as Python does."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def set_up(*, verbose: bool, quiet: bool = False) -> None:
    """Let the daemon's events, and the warnings of what it stands on, go to stderr; `quiet`: only what is wrong."""
    handler = _Sink(sys.stderr)
    handler.setFormatter(_Lines(terminal=colour(sys.stderr)))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("astria_sync").setLevel(
        logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    )
    logging.captureWarnings(capture=True)
