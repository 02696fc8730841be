"""How a client is told what to make, and how it is asked for it: one command, that a person would type again if it fails."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from PIL import Image

from tests.rivals.cases import Thing

TEXT: Final = "a lighthouse in the rain"
TOP: Final = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is wanted, and where everything lies."""

    makes: Thing
    base_url: str
    token: str
    home: Path

    @property
    def output(self) -> Path:
        """Where pictures are to end."""
        return self.home / "out"

    @property
    def photo(self) -> Path:
        """What a tune is made of."""
        return self.home / "photos" / "jane.jpg"

    def prepare(self) -> None:
        """Put there what every client finds."""
        self.output.mkdir(parents=True)
        self.photo.parent.mkdir()
        Image.new("RGB", (64, 64), "red").save(self.photo)


class Client(Protocol):
    """Somebody who can be asked for one generation, or for one tune."""

    name: str

    def makes(self, thing: Thing) -> bool:
        """Whether it can be asked for that."""

    def prepare(self, order: Order) -> None:
        """Write what the command needs. Called once, before the first run."""

    def command(self, order: Order) -> Sequence[str]:
        """The command line; the same each time."""

    def environment(self, order: Order) -> dict[str, str]:
        """What it finds in its environment besides PATH and HOME."""


class AstriaSync:
    """This project: files are saved into a folder, and `run --once` does what is there to do."""

    def __init__(self, program: Sequence[str] = ()) -> None:
        self.program = list(program) or [sys.executable, "-m", "astria_sync"]
        self.name = said_version(self.program)

    def makes(self, thing: Thing) -> bool:
        return bool(thing)

    def prepare(self, order: Order) -> None:
        inbox = order.home / "inbox"
        inbox.mkdir()
        (order.home / "config.toml").write_text(
            'state = "state/state.db"\n[astria]\ntimeout_seconds = 1\n[timing]\nsettle_seconds = 0.05\npoll_seconds = 0.1\n'
            "retry_base_seconds = 0.1\nretry_max_seconds = 0.3\nreconcile_after_seconds = 0.2\n"
            '[[watch]]\npath = "inbox"\noutput = "out"\n'
        )
        if order.makes == "tune":
            (inbox / "jane").mkdir()
            (inbox / "jane" / "jane.jpg").write_bytes(order.photo.read_bytes())
        else:
            (inbox / "lighthouse.prompt").write_text(TEXT)

    def command(self, order: Order) -> Sequence[str]:
        return [
            *self.program,
            "--config",
            str(order.home / "config.toml"),
            "run",
            "--once",
            "--timeout",
            "30",
        ]

    def environment(self, order: Order) -> dict[str, str]:
        return {
            "ASTRIA_BASE_URL": order.base_url,
            "ASTRIA_AUTH_TOKEN": order.token,
            "XDG_RUNTIME_DIR": str(order.home / "runtime"),
            "PYTHONPATH": str(TOP),
        }


class Official:
    """Astria's own client: `generate --wait` and then `download` of what that printed, as its documentation shows."""

    _GENERATE: Final = """
set -eu
made=$("$@" generate --text "$TEXT" --num-images 1 --wait)
id=$(printf %s "$made" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["id"])')
exec "$@" download "$id" --out "$OUTPUT"
"""

    def __init__(self, program: Sequence[str]) -> None:
        self.program = list(program)
        self.name = said_version(self.program)

    def makes(self, thing: Thing) -> bool:
        return bool(thing)

    def prepare(self, order: Order) -> None:
        """It needs nothing but its environment."""

    def command(self, order: Order) -> Sequence[str]:
        if order.makes == "tune":
            photo = str(order.photo)
            return [*self.program, "tunes", "create", "--title", "jane", "--name", "woman", "--image", photo]
        return ["sh", "-c", self._GENERATE, "sh", *self.program]

    def environment(self, order: Order) -> dict[str, str]:
        return {
            "ASTRIA_BASE_URL": order.base_url,
            "ASTRIA_API_KEY": order.token,
            "ASTRIA_CONFIG_DIR": str(order.home / "config"),
            "ASTRIA_CACHE_DIR": str(order.home / "cache"),
            "ASTRIA_NO_AUTO_UPGRADE": "1",
            "TEXT": TEXT,
            "OUTPUT": str(order.output),
            "PYTHON": sys.executable,
        }


class Template:
    """Any other: a command line with {text}, {output}, {base_url}, {token}; one for tunes with {photo}, if it can make any."""

    def __init__(self, line: str, tune_line: str = "") -> None:
        self.name = line
        self._lines: dict[Thing, str] = {"prompt": line, "tune": tune_line}

    def makes(self, thing: Thing) -> bool:
        return bool(self._lines[thing])

    def prepare(self, order: Order) -> None:
        """Nothing is known of what it needs."""

    def command(self, order: Order) -> Sequence[str]:
        values = {
            "text": TEXT,
            "output": str(order.output),
            "base_url": order.base_url,
            "token": order.token,
            "photo": str(order.photo),
            "home": str(order.home),
        }
        return [word.format(**values) for word in shlex.split(self._lines[order.makes])]

    def environment(self, order: Order) -> dict[str, str]:
        return {"ASTRIA_BASE_URL": order.base_url, "ASTRIA_AUTH_TOKEN": order.token}


def said_version(program: Sequence[str]) -> str:
    """What a program says that it is; its name if it says nothing."""
    try:
        done = subprocess.run(
            [*program, "--version"],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=TOP,
            check=False,
        )
    except OSError:
        return shlex.join(program)
    return done.stdout.strip() or shlex.join(program)


def client_for(line: str, *, tune_line: str = "") -> Client:
    """Whoever the command line is of: a template has {…}, the others are known by what `--version` says."""
    if "{" in line:
        return Template(line, tune_line)
    program = shlex.split(line)
    if len(program) == 1 and Path(program[0]).is_file() and not os.access(program[0], os.X_OK):
        program.insert(0, sys.executable)  # a copy of the official client, as it was fetched
    if not program or said_version(program).startswith("astria-sync"):
        return AstriaSync(program)
    return Official(program)
