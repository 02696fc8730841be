"""Desktop notifications by libnotify's own `notify-send`: is there a desktop, and how a text reaches it unharmed."""

import html
import shutil
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from astria_sync.core.news import Notice
from astria_sync.lock import sayable

PROGRAM: Final = "notify-send"
PATIENCE: Final = 10.0  # seconds that the desktop has
_TITLE, _TEXT = 120, 800  # characters


def obstacle(environ: Mapping[str, str]) -> str:
    """Why no notification can be shown; "" if one can, as far as is known."""
    if not shutil.which(PROGRAM, path=environ.get("PATH")):
        return f"{PROGRAM} is not there; install libnotify-bin (Debian, Ubuntu) or libnotify"
    if not (environ.get("DBUS_SESSION_BUS_ADDRESS") or _bus(environ)):
        return "no desktop session is to be found from here (neither DBUS_SESSION_BUS_ADDRESS nor a bus in XDG_RUNTIME_DIR)"
    return ""


def _bus(environ: Mapping[str, str]) -> bool:
    """A service of systemd has no DISPLAY, and reaches the desktop by the user's own bus."""
    folder = environ.get("XDG_RUNTIME_DIR", "")
    return bool(folder) and Path(folder, "bus").exists()


def has_display(environ: Mapping[str, str]) -> bool:
    """Whether somebody sits before a screen of this machine, and not at the other end of a line."""
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) and not environ.get(
        "SSH_CONNECTION"
    )


def words(notice: Notice) -> tuple[str, ...]:
    """How notify-send is called."""
    urgency = "critical" if notice.urgent else "normal"
    # A body may hold markup (Desktop Notifications Specification), and notify-send reads it as a C string.
    body = html.escape(_plain(notice.text, _TEXT), quote=False).replace("\\", "\\\\")
    return (
        *(PROGRAM, "--app-name=astria-sync", f"--urgency={urgency}", "--category=transfer"),
        *("--", _plain(notice.title, _TITLE).replace("\n", " "), body),
    )


def _plain(text: str, most: int) -> str:
    """Without what steers (control characters, overrides of the writing direction), and no longer than one reads."""
    kept = "".join(
        one
        for one in sayable(text)
        if one == "\n" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cs"}
    )
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"
