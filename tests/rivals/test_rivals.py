"""The cases against astria-sync itself, which must stand them all; and against a client that stands none, so that the harness is seen to see."""

import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.rivals import __main__ as command
from tests.rivals import warm
from tests.rivals.arena import Run, play
from tests.rivals.cases import CASES
from tests.rivals.clients import AstriaSync, Official, Template, client_for

BY_NAME = {case.name: case for case in CASES}
OFFICIAL = os.environ.get("ASTRIA_CLIENT", "")

# A client as one writes it in ten minutes: it asks again whatever happened, and saves whatever comes.
NAIVE = """
import json, os, subprocess, sys, time, urllib.request

base, token, out = os.environ["ASTRIA_BASE_URL"], os.environ["ASTRIA_AUTH_TOKEN"], sys.argv[1]
subprocess.run([sys.executable, "-c", "import sys, urllib.request as u\\n"
    "u.urlopen(u.Request(sys.argv[1], headers={'Authorization': sys.argv[2]}))", base + "/users", "Bearer " + token])
print("using", token, flush=True)
for attempt in range(3):
    try:
        body = b"prompt[text]=a+lighthouse&prompt[num_images]=1"
        asked = urllib.request.Request(base + "/tunes/3618064/prompts", body, {"Authorization": "Bearer " + token})
        made = json.load(urllib.request.urlopen(asked))
        break
    except Exception as error:
        print(error, flush=True)
else:
    sys.exit(1)
while not made["images"]:
    asked = urllib.request.Request(base + "/prompts/%d" % made["id"], headers={"Authorization": "Bearer " + token})
    made = json.load(urllib.request.urlopen(asked))
answer = urllib.request.urlopen(made["images"][0])
with open(out + "/picture.jpg", "wb") as file:
    while piece := answer.read1(1000):
        file.write(piece)
"""


@pytest.fixture(scope="module")
def ourselves():
    return AstriaSync([sys.executable, "-m", "astria_sync"])


@pytest.fixture
def naive(tmp_path):
    file = tmp_path / "naive.py"
    file.write_text(NAIVE)
    return client_for(f"{sys.executable} {file} {{output}}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_astria_sync_stands_it(ourselves, case):
    """Paid once, whole, nothing half at any end of a run, told as it is, and the token stays where it belongs."""
    result = play(case, ourselves, warm.Forked)
    assert result.perfect, json.dumps(result.as_json(), indent=2)
    assert len(result.runs) == 1 + bool(case.kill)
    assert (result.runs[0].exit == -9) is bool(case.kill)


def test_a_calm_day_of_a_naive_client(naive):
    """Where nothing goes wrong it comes by its picture; that its token can be read is seen all the same."""
    result = play(BY_NAME["calm"], naive)
    assert (result.paid, result.whole, result.half, result.says_done) == (1, 1, 0, True)
    assert result.token_in_arguments
    assert result.token_in_output
    assert not result.perfect


def test_a_naive_client_pays_again(naive):
    """Each of its attempts is counted, and the pictures that it never fetched make its last word wrong."""
    result = play(BY_NAME["504 after, twice"], naive)
    assert (result.paid, result.whole, result.zero_but_missing) == (3, 1, True)


def test_a_naive_client_keeps_half_a_picture(naive):
    """What lies under a final name and is no picture of the service's is counted."""
    result = play(BY_NAME["HTML for a picture"], naive)
    assert (result.paid, result.whole, result.half, result.zero_but_missing) == (1, 0, 1, True)


def test_a_naive_client_that_is_killed(naive):
    """A person types the same again, and pays again."""
    result = play(BY_NAME["killed while ordering"], naive)
    assert [run.exit for run in result.runs] == [-9, 0]
    assert [run.paid for run in result.runs] == [1, 2]


def test_a_client_that_only_fails():
    """It is asked three times more, and then it is seen what there is."""
    result = play(BY_NAME["calm"], Template("false {text}"))
    assert [vars(run) for run in result.runs] == [vars(Run(exit=1, paid=0, whole=0, half=0))] * 4
    assert not result.says_done
    assert not result.zero_but_missing


def test_a_client_that_says_done_and_did_nothing():
    """An end with 0 is no proof."""
    result = play(BY_NAME["calm"], Template("true {text}"))
    assert len(result.runs) == 1
    assert result.zero_but_missing
    assert not result.perfect


def test_which_client_a_line_is_of(tmp_path):
    """By its placeholders, or by what it says that it is; a template is asked for tunes only if it was told how."""
    assert isinstance(client_for(""), AstriaSync)
    assert isinstance(client_for(shlex.join([sys.executable, "-m", "astria_sync"])), AstriaSync)
    other = tmp_path / "astria.py"
    other.write_text("print('astria 9.9.9')")
    assert isinstance(client_for(str(other)), Official)
    assert client_for(str(other)).name == "astria 9.9.9"
    template = client_for("mine {text}", tune_line="mine train {photo}")
    assert template.makes("tune")
    assert not client_for("mine {text}").makes("tune")


def test_the_command(capsys):
    """A table for people, JSON for programs, the list of cases, and a sentence for a name that is none."""
    line = "true {text}"
    assert command.main(["--client", line, "calm"]) == 0
    table = capsys.readouterr().out
    assert table.startswith(line)
    assert "0 of 1 cases" in table
    assert command.main(["--client", line, "--json", "calm", "429"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["case"] for one in told["cases"]] == ["calm", "429"]
    assert command.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(CASES)
    with pytest.raises(SystemExit):
        command.main(["no such case"])
    assert "no such case" in capsys.readouterr().err


@pytest.mark.skipif(not OFFICIAL, reason="ASTRIA_CLIENT does not name a copy of Astria's client")
@pytest.mark.skipif(not shutil.which("curl"), reason="the client sends by curl, which is not here")
@pytest.mark.parametrize("name", ["calm", "504 after", "picture cut short", "tune, calm"])
def test_astrias_own_client(name):
    """It can be asked, and what came of it is told, whatever that is."""
    client = client_for(shlex.join([sys.executable, str(Path(OFFICIAL).absolute())]))
    assert isinstance(client, Official)
    result = play(BY_NAME[name], client)
    assert result.paid >= 1
    assert all(run.answered for run in result.runs)


def test_what_is_written_down_are_these_cases():
    """docs/rivals.md has every case, in its own words, and none that is no more."""
    page = (Path(__file__).parent.parent.parent / "docs" / "rivals.md").read_text()
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| ") and not line.startswith(("| case", "| ---"))
    ]
    assert [row.split(" | ")[:2] for row in rows] == [[f"| {case.name}", case.says] for case in CASES]
    assert all(re.fullmatch(r"1, [1–], (-9 )?0", row.split(" | ")[2]) for row in rows)
