"""The command line, called in this process in a home of its own, or as a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from astria_sync.cli import cli
from astria_sync.simulator import Options, Simulator

OPTIONS = Options(train_seconds=0.2, generate_seconds=0.2, picture_px=32)


@dataclass
class Desk:
    """A home with a watched folder, `inbox`; nothing of the machine's own configuration is seen from it."""

    home: Path

    @property
    def config(self) -> Path:
        return self.home / "config.toml"

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def state(self) -> Path:
        return self.home / "state.db"

    @property
    def itself(self):
        """How a command is called for this configuration."""
        return f"astria-sync --config {self.config}"

    def environ(self, **more):
        kept = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "runtime"),
        }
        return {**kept, "PYTHONWARNINGS": "error", **more}

    def configure(self, more=""):
        self.inbox.mkdir(exist_ok=True)
        self.config.write_text(
            f'state = "state.db"\n{more}\n[timing]\nsettle_seconds = 0.2\npoll_seconds = 0.2\n'
            '[[watch]]\npath = "inbox"\noutput = "out"\n'
        )
        return self

    def picture(self, path):
        whole = self.inbox / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), "red").save(whole)

    def __call__(self, *args, typed=None, config=True, **environ):
        """Call it here; the result has exit_code, stdout, stderr."""
        first = ("--config", str(self.config)) if config else ()
        blank = dict.fromkeys(set(os.environ) - {"PATH"})
        result = CliRunner().invoke(
            cli, [*first, *args], input=typed, env={**blank, **self.environ(**environ)}
        )
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    def process(self, *args, config=True, **environ):
        """Call it as a process."""
        first = ("--config", str(self.config)) if config else ()
        return subprocess.run(
            [sys.executable, "-m", "astria_sync", *first, *args],
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


@pytest.fixture
def stand_in():
    with Simulator(OPTIONS) as simulator:
        yield simulator


@pytest.fixture
def account(stand_in):
    """The environment that leads to the stand-in."""
    return leading_to(stand_in)


def leading_to(simulator):
    return {"ASTRIA_BASE_URL": simulator.base_url, "ASTRIA_AUTH_TOKEN": simulator.token}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A desk with one file that was made, and one that cannot be; for tests that only look at it."""
    desk = Desk(tmp_path_factory.mktemp("told")).configure()
    (desk.inbox / "sky.prompt").write_text("a sky")
    (desk.inbox / "bad\x1b[2J.prompt").write_text("---\nnope: 1\n---\nwords")
    with Simulator(OPTIONS) as simulator:
        done = desk.process("run", "--once", "--timeout", "30", **leading_to(simulator))
    assert done.returncode == 1
    return desk
