"""A whole daemon with a command of the person's: it is run, and whatever it does, the work goes on and ends when it should."""

import json
import os
import shlex
import sys

import pytest

from astria_sync import messenger
from astria_sync.core import news
from astria_sync.service import Service
from tests.service_harness import running


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(news, "COLLECT", 0.02)
    monkeypatch.setattr(messenger, "PROMPTLY", 0.05)


def hook(studio, code):
    """A command that runs this with `out` as a name for a file of the test."""
    out = studio.home / "told"
    program = f"import json, sys, time\nout = {str(out)!r}\n{code}"
    studio.tables["notify"] = {"command": shlex.join([sys.executable, "-c", "exec(" + repr(program) + ")"])}
    return out


def test_a_daemon_tells_and_ends_although_the_command_hangs(studio):
    """The pictures come while it hangs, and a Stop is not held up."""
    out = hook(studio, "open(out, 'w').write(sys.stdin.read())\ntime.sleep(600)")
    os.mkfifo(out)
    with running(studio) as daemon:
        studio.prompt("bad.prompt", "words", "unknown_key: 1")
        body = json.loads(out.read_text())  # it runs, and hangs
        studio.prompt("good.prompt", "words")
        daemon.done("good.prompt")
    assert not daemon.thread.is_alive()
    assert [item["path"] for item in body["items"]] == ["bad.prompt"]
    assert studio.check_pictures() == 1


def test_a_run_that_ends_by_itself_has_told(studio, monkeypatch):
    """`run --once` tells of what it made before it ends, and the next one does not again."""
    monkeypatch.setattr(news, "COLLECT", 60.0)
    out = hook(studio, "open(out, 'a').write(sys.stdin.read())")
    environ = {
        "ASTRIA_BASE_URL": studio.base_url,
        "ASTRIA_AUTH_TOKEN": studio.token,
        "PATH": os.environ["PATH"],
    }
    environ["XDG_RUNTIME_DIR"] = str(studio.home / "run")
    studio.folder("jane", toml='name = "woman"')
    studio.prompt("jane/p.prompt", "words")
    studio.prompt("bad.prompt", "words", "unknown_key: 1")
    for _ in range(2):
        assert Service(studio.settings(), environ=environ, home=studio.home).run(once=True, timeout=30) == 1
    (line,) = out.read_text().splitlines()
    body = json.loads(line)
    assert (body["counts"], body["pictures"]) == ({"failed": 1, "finished": 1}, 1)
    assert "jane: 1 picture of 1 prompt" in body["text"]
