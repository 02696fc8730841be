"""The stand-in for Astria within the container's network, run by this machine's Python; its ledger tells what was paid."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.container.box import Box, ran, until
from tests.container.wheels import CHECKOUT

PORT: Final = 8765
URL: Final = f"http://127.0.0.1:{PORT}"
_NET: Final = str(Path(__file__).with_name("net.py"))
_QUICK: Final = ("--train-seconds=2", "--generate-seconds=1.5", "--picture-px=64")
_PAID: Final = r"^(/tunes|/tunes/\d+/prompts|/p/\d+/tunes)$"


class Astria:
    """What it was asked and what it made."""

    def __init__(self, box: Box, token: str) -> None:
        self._inside = [*box.enter("net"), sys.executable]
        self.token = token

    def _ask(self, method: str, path: str, given: Any = None) -> Any:
        line = [*self._inside, _NET, "ask", method, f"{URL}/_simulator{path}"]
        return json.loads(ran([*line, *([json.dumps(given)] if given is not None else [])]).stdout)

    def made(self) -> tuple[int, int]:
        """Tunes and prompts that came into being, and were paid."""
        kinds = [one["kind"] for one in self._ask("GET", "/ledger")["created"]]
        return kinds.count("tune"), kinds.count("prompt")

    def posts(self) -> int:
        """Requests that cost, answered or not."""
        asked = self._ask("GET", "/ledger")["requests"]
        return sum(one["method"] == "POST" and one["host"] == "api" for one in asked)

    def seen(self) -> int:
        """Requests of any kind."""
        return len(self._ask("GET", "/ledger")["requests"])

    def breaks(self, **fault: Any) -> None:
        """The next request that matches meets this."""
        self._ask("POST", "/faults", fault)

    def mends(self) -> None:
        self._ask("DELETE", "/faults")

    def cable(self, *, plugged: bool) -> None:
        """Cut the network, or mend it."""
        ran([*self._inside, _NET, "up" if plugged else "down"])


@contextmanager
def stand_in(box: Box) -> Iterator[Astria]:
    """Run it until the end of the block."""
    within = ["setpriv", "--pdeathsig", "KILL", *box.enter("net"), sys.executable, "-m", "astria_sync"]
    line = [*within, "simulator", f"--port={PORT}", "--json", *_QUICK]
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        line, cwd=CHECKOUT, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield Astria(box, _token(process.stdout))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _token(output: Any) -> str:
    said = ""
    while True:
        line = output.readline()
        assert line, f"the stand-in did not start: {said}"
        said += line
        try:
            return str(json.loads(said)["token"])
        except ValueError:
            continue


__all__ = ["PORT", "URL", "Astria", "stand_in", "until"]
