"""The log of a running daemon, on stderr: for people in a terminal, for systemd's journal, or as JSON; never a secret."""

import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import click

from astria_sync.cli.common import advised, colour, visible
from astria_sync.core.plain import visible_json
from astria_sync.secrets import hide
from astria_sync.sink import Sink

_SHADES: Final = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "red"}
_PRIORITIES: Final = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}
_SIGNED: Final = re.compile(r"(https?://[^\s?#\"'<>]*)\?[^\s\"'<>]*")  # whoever has it can take the picture
_LONGEST: Final = 20_000  # characters of a line


def clean(text: str) -> str:
    """Without the token, and without what is signed, wherever they may have come from."""
    return _SIGNED.sub(r"\1?…", hide(text))[:_LONGEST]


class _Words(logging.Formatter):
    """One event, one line; what came from outside cannot steer the terminal or pass for another event."""

    def format(self, record: logging.LogRecord) -> str:
        """The words, and what they hang on, if anything."""
        text = advised(clean(super().format(record)))
        if number := getattr(record, "repeats", 0):
            text = f"{text} ({number} more time{'' if number == 1 else 's'})"
        return "\n    ".join(visible(line) for line in text.splitlines())


class Plain(_Words):
    """For people: with the time of day and colours in a terminal, with the whole time elsewhere."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        text, moment = super().format(record), time.localtime(record.created)
        if self._terminal:
            return click.style(f"{time.strftime('%H:%M:%S', moment)} {text}", fg=_SHADES.get(record.levelno))
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S%z', moment)} {record.levelname:<7} {text}"


class Journald(_Words):
    """For systemd's journal, which knows the time and the unit: each line with its priority (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or the lines."""
        first = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(first + line for line in super().format(record).split("\n"))


class Json(logging.Formatter):
    """For programs: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The keys of logbook.facts, and what every line has."""
        moment = datetime.fromtimestamp(record.created, UTC)
        found: dict[str, Any] = {
            "ts": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **getattr(record, "facts", {}),
            "text": record.getMessage(),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        if number := getattr(record, "repeats", 0):
            found["repeats"] = number
        return visible_json(_cleaned(found), indent=None)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return value


def _formatter(wanted: str, environ: Mapping[str, str]) -> logging.Formatter:
    if wanted == "json":
        return Json()
    if wanted == "journald" or (wanted == "auto" and is_journal(environ)):
        return Journald()
    return Plain(terminal=colour(sys.stderr))


def is_journal(environ: Mapping[str, str]) -> bool:
    """Whether stderr goes to systemd's journal (systemd.exec(5))."""
    try:
        info = os.fstat(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{info.st_dev}:{info.st_ino}"


def set_up(
    *, verbose: bool, quiet: bool = False, wanted: str = "auto", environ: Mapping[str, str] | None = None
) -> None:
    """Let the daemon's events, and the warnings of what it stands on, go to stderr; `quiet`: only what is wrong."""
    handler = Sink()
    handler.setFormatter(_formatter(wanted, environ or {}))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("astria_sync").setLevel(
        logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    )
    logging.captureWarnings(capture=True)


def flush() -> None:
    """What was logged stands before what is said next."""
    for handler in logging.getLogger().handlers:
        handler.flush()
