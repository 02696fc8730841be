"""`doctor` says what is wrong and what to do."""

import json
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from astria_sync import doctor as checks
from astria_sync import surroundings
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.settings import Watch

NOWHERE = {"ASTRIA_BASE_URL": "http://127.0.0.1:9", "ASTRIA_AUTH_TOKEN": "not-a-real-key"}


def levels(result):
    return {one["about"]: one["level"] for one in json.loads(result.stdout)["checks"]}


def test_all_is_well(desk, account):
    """With the stand-in everything is ok, whose token it is and the balance included."""
    result = desk.configure()("doctor", **account)
    assert result.exit_code == 0, result.output
    assert "$100.00" in result.stdout
    assert "$ASTRIA_AUTH_TOKEN, of " in result.stdout
    assert account["ASTRIA_AUTH_TOKEN"] not in result.output
    found = levels(desk("doctor", "--json", **account))
    assert set(found) == {
        "versions", "configuration", "watched", "output", "inotify", "state", "network", "token", "balance", "clock"
    }  # fmt: skip
    assert set(found.values()) <= {"ok", "warning"}
    assert not desk.state.exists()


def test_a_refused_token_ends_with_4(desk, account):
    """Astria says no: which token it was, and 4."""
    result = desk.configure()("doctor", **account | {"ASTRIA_AUTH_TOKEN": "another-key"})
    assert result.exit_code == 4
    assert "does not accept the token from $ASTRIA_AUTH_TOKEN" in result.stdout


def test_no_token_ends_with_4(desk):
    """Without a token nothing can be asked."""
    result = desk.configure()("doctor")
    assert result.exit_code == 4
    assert "There is no token" in result.stdout


def test_without_a_network_the_rest_is_checked(desk):
    """No connection is a warning that says so."""
    result = desk.configure()("doctor", **NOWHERE)
    assert result.exit_code == 0
    assert "cannot be reached" in result.stdout


def test_errors_end_with_1(desk):
    """A root that is not there is an error with what to do."""
    desk.configure()
    desk.inbox.rmdir()
    result = desk("doctor", **NOWHERE)
    assert result.exit_code == 1
    assert "does not exist" in result.stdout
    assert "→ " in result.stdout


def test_a_broken_configuration_is_told_line_by_line(desk):
    """What cannot be loaded is told in full, ending with 2."""
    desk.configure("[limits]\nuplods = 1\nrequest = 2")
    result = desk("doctor", "--json")
    assert result.exit_code == 2
    found = json.loads(result.stdout)["checks"]
    assert [one["level"] for one in found] == ["ok", "error", "error"]


def test_a_configuration_that_watches_nothing(desk):
    """Nothing to watch is an error of the configuration."""
    desk.config.write_text("")
    result = desk("doctor", **NOWHERE)
    assert result.exit_code == 2
    assert "[[watch]]" in result.stdout


def test_a_token_that_others_can_read_is_an_error(desk):
    """The token file's mode is told with the command that mends it."""
    desk.configure()
    token = desk.home / ".config/astria-sync/token"
    token.parent.mkdir(parents=True)
    token.write_text("not-a-real-key")
    token.chmod(0o644)
    result = desk("doctor")
    assert result.exit_code == 2
    assert f"chmod 600 {token}" in result.stdout


def test_a_damaged_state_is_an_error(desk):
    """A state that is none ends with 2."""
    desk.configure()
    desk.state.write_bytes(b"x" * 5000)
    result = desk("doctor", **NOWHERE)
    assert result.exit_code == 2
    assert "damaged" in result.stdout


@pytest.mark.parametrize(
    ("answer", "about", "level"),
    [
        (Answer(status=200, body={"email": "a@b.c", "usd_balance_mc": 0}), "balance", "warning"),
        (Answer(status=500, body=None, text="oops"), "network", "warning"),
        (Answer(status=404, body=None, text="<html>"), "network", "error"),
        (Answer(status=403, body={"error": "no"}), "token", "error"),
        (NoAnswer(sent=False, why="no connection"), "network", "warning"),
    ],
)
def test_what_astria_answers(answer, about, level):
    """Each answer to `GET /users` is judged."""
    found = list(checks.judge("http://x", "a file", (answer, 0.0)))
    assert (about, level) in {(one.about, one.level) for one in found}


@pytest.mark.parametrize(("skew", "level"), [(0, "ok"), (30, "ok"), (120, "warning"), (-7200, "warning")])
def test_the_clock_is_compared_with_the_servers(skew, level):
    """A clock that is wrong by more than a minute is told."""
    now = time.time()
    answer = Answer(status=200, body={"id": 1}, date=formatdate(now, usegmt=True))
    found = {one.about: one for one in checks.judge("http://x", "a file", (answer, now + skew))}
    assert found["clock"].level == level


def test_a_share_that_tells_no_changes(tmp_path, monkeypatch):
    """On a network share without events = "poll" changes go unseen."""
    monkeypatch.setattr(surroundings, "_file_system", lambda _: "nfs4")
    watch = Watch(path=tmp_path, output=tmp_path / "out")
    assert [one.level for one in surroundings.root(watch)] == ["ok", "warning"]
    polled = Watch(path=tmp_path, output=tmp_path / "out", events="poll")
    assert [one.level for one in surroundings.root(polled)] == ["ok"]


def test_the_file_system_is_the_innermost_mount(tmp_path):
    """The longest mount point around the path says what it is on."""
    mounts = tmp_path / "mounts"
    mounts.write_text("a / ext4 rw 0 0\nb /mnt/my\\040share nfs4 rw 0 0\nc /mnt/my tmpfs rw 0 0\n")
    assert surroundings._file_system(Path("/mnt/my share/x"), mounts) == "nfs4"
    assert surroundings._file_system(Path("/home"), mounts) == "ext4"
    assert surroundings._file_system(Path("/home"), tmp_path / "none") == ""


def test_too_few_watches(desk, monkeypatch, tmp_path):
    """Fewer watches than folders is told with the sysctl that helps."""
    limits = tmp_path / "limits"
    limits.mkdir()
    (limits / "max_user_watches").write_text("3")
    (limits / "max_user_instances").write_text("128")
    monkeypatch.setattr(surroundings, "_INOTIFY", limits)
    for name in ("a", "b", "c"):
        (desk.configure().inbox / name).mkdir()
    shown = desk("doctor", **NOWHERE).stdout
    assert "4 watches needed, 3 allowed" in shown
    assert "sysctl fs.inotify.max_user_watches=" in shown


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    """Little free space is a warning before it is a failure."""
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    assert [one.level for one in surroundings.output(Watch(path=tmp_path, output=tmp_path / "o"))] == [
        "warning"
    ]
