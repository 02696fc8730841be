"""`log PATH`: what happened to one file, at a terminal and for programs."""

import json
import re

import pytest


def test_for_people(told):
    """How the order stands, with its money, pictures and page; then what happened, the newest last, in local time."""
    result = told("log", str(told.inbox / "sky.prompt"), TZ="UTC")
    assert result.exit_code == 0
    head, _, events = result.stdout.partition("\n\n")
    assert re.search(r"prompt \d+: done, \$0\.14", head)
    assert f"pictures in {told.home}/out/sky" in head
    assert "http" in head
    lines = events.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", line) for line in lines)
    assert lines[0].endswith("was seen: prompt sky.prompt")
    assert re.search(
        r"prompt \d+ is done, its pictures are saved \(\d.* after it was sent; \$0\.14\)$", lines[-1]
    )


def test_for_programs(told):
    """`--json`: the same, with times that programs read."""
    found = json.loads(told("log", str(told.inbox / "sky.prompt"), "--json").stdout)
    assert set(found) == {"version", "path", "notes", "items", "earlier", "events"}
    (item,) = found["items"]
    assert (item["state"], item["cost_usd"], item["path"]) == ("done", 0.14, "sky.prompt")
    last = found["events"][-1]
    assert (last["kind"], last["from"], last["to"], last["id"]) == (
        "prompt",
        "downloading",
        "done",
        item["id"],
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", last["at"])


def test_a_limit(told):
    """The newest are shown, and it is said that there are more."""
    result = told("log", "--limit", "1", str(told.inbox / "sky.prompt"))
    assert len(result.stdout.partition("\n\n")[2].splitlines()) == 1
    assert re.search(r"\d earlier events left out; see them with: --limit 0", result.stderr)
    assert told("log", "--limit", "0", str(told.inbox / "sky.prompt")).stderr == ""


def test_a_name_steers_no_terminal(told):
    """Whatever a file is called: it is shown as what it is."""
    result = told("log", str(told.inbox / "bad\x1b[2J.prompt"))
    assert "\x1b" not in result.stdout
    assert "bad\\x1b[2J.prompt" in result.stdout
    assert "prompt: failed" in result.stdout


def test_an_output_as_a_whole(told):
    """It is nobody's: what is known is said to lie in it."""
    result = told("log", f"{told.home}/out")
    assert result.exit_code == 2
    assert result.stderr == (
        f"astria-sync: {told.home}/out is where pictures are saved; say which folder, picture or record in it, "
        f"or see: {told.itself} status --all\n"
    )


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("sny.prompt",), "did you mean"),
        (("/nowhere",), "Nothing is known of /nowhere; see: astria-sync status --all"),
        ((), "Missing argument 'PATH'"),
        (("x", "--limit", "-1"), "--limit"),
    ],
)
def test_wrong_input(told, args, words):
    """One sentence, with the nearest that is known, and 2."""
    result = told("log", *args)
    assert result.exit_code == 2
    assert words in result.stderr.replace(told.itself, "astria-sync")
    assert len(result.stderr.strip().splitlines()) == 1
    assert result.stdout == ""


def test_before_anything_ran(desk):
    """There is no state yet: that is said, and none is made."""
    desk.configure()
    result = desk("log", "x")
    assert result.exit_code == 2
    assert "Nothing is known yet of x" in result.stderr
    assert not desk.state.exists()
