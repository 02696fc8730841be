"""The real command line in a home of its own, against servers that mean harm."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from astria_sync.cli import cli
from tests.security.hostile import TOKEN, Astria, Listening, listening


class Home:
    """A home with a configuration, a watched folder and an output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.output = folder / "inbox", folder / "out"
        self.state = folder / "state" / "s.db"
        self.config = folder / "config.toml"
        self.inbox.mkdir(parents=True)
        self.config.write_text(
            'state = "state/s.db"\n[timing]\nsettle_seconds = 0.05\npoll_seconds = 0.05\nretry_base_seconds = 0.1\n'
            'retry_max_seconds = 0.2\nreconcile_after_seconds = 0.2\n[[watch]]\npath = "inbox"\noutput = "out"\n'
        )

    def environ(self, base_url: str, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"),
            "ASTRIA_BASE_URL": base_url,
            "ASTRIA_AUTH_TOKEN": TOKEN,
            **more,
        }

    def start(self, base_url: str, *words: str, umask: int = -1, **more: str) -> "subprocess.Popen[str]":
        """A process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "astria_sync", "--config", str(self.config), *words],
            env=self.environ(base_url, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
            umask=umask,
        )

    def call(self, base_url: str, *words: str, **more: str) -> Any:
        """In this process."""
        blank = dict.fromkeys(set(os.environ))
        result = CliRunner().invoke(
            cli, ["--config", str(self.config), *words], env={**blank, **self.environ(base_url, **more)}
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def files(self) -> Iterator[Path]:
        """Everything that was written."""
        return (path for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Start a hostile server for the time of the test."""
    with ExitStack() as stack:
        yield lambda server: stack.enter_context(listening(server))


@pytest.fixture
def astria(serve: Callable[..., Any]) -> Astria:
    """Somebody who plays Astria."""
    found: Astria = serve(Astria())
    return found


@pytest.fixture
def other(serve: Callable[..., Any]) -> Listening:
    """Another host, which must get no token."""
    found: Listening = serve(Listening())
    return found
