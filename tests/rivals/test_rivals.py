"""astria-sync under the faults that any client can be put to, and the harness with another client."""

import os
import sys

import pytest

from tests.rivals.cases import CASES
from tests.rivals.clients import Any, AstriaSync, Official
from tests.rivals.play import play

# What differs for a whole process; each fault by itself is shown much faster by tests/e2e.
_SHOWN = {"504 after the work was done", "killed when the request is there", "the picture is cut short"}


@pytest.mark.parametrize("case", [case for case in CASES if case.name in _SHOWN], ids=lambda case: case.name)
def test_astria_sync(case):
    """One is paid, one picture is whole, nothing is half, and the token is nowhere."""
    result = play(AstriaSync(), case)
    assert result.perfect, result


def test_another_client(tmp_path):
    """The harness sees what a careless client does: pays for nothing, leaves half a picture, shows the token."""
    careless = tmp_path / "careless.py"
    careless.write_text(
        "import sys, time\nopen(sys.argv[1] + '/a.jpg', 'wb').write(b'half')\ntime.sleep(0.3)\nsys.exit(3)\n"
    )
    result = play(Any(f"{sys.executable} {careless} {{output}} {{token}}"), CASES[0])
    assert (result.paid, result.whole, result.half, result.exits) == (0, 0, 1, (3, 3, 3))
    assert result.token_seen == ("the process list",)


@pytest.mark.skipif(
    "ASTRIA_CLIENT" not in os.environ, reason="ASTRIA_CLIENT does not name a copy of Astria's client"
)
def test_the_official_client():
    """Where nothing goes wrong it pays once and its picture is whole: the harness knows how to use it."""
    result = play(Official(os.environ["ASTRIA_CLIENT"]), CASES[0])
    assert (result.paid, result.whole, result.half, result.exits) == (1, 1, 0, (0,))
