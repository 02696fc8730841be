"""`doctor` says what is wrong and what to do."""

import json
import os
import shutil
import time
from email.utils import formatdate

import pytest

from astria_sync import doctor as checks
from astria_sync import kernel, surroundings
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock
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


@pytest.fixture
def proc(tmp_path, monkeypatch):
    """A /proc of the test's own, with these limits."""

    def make(watches=100_000, instances=128, mounts=()):
        top = tmp_path / "proc"
        for name, value in {
            "sys/fs/inotify/max_user_watches": watches,
            "sys/fs/inotify/max_user_instances": instances,
            "self/mounts": "".join(f"{mount} rw 0 0\n" for mount in mounts),
        }.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_text(str(value))
        monkeypatch.setattr(kernel, "_PROC", top)
        return top

    return make


def test_a_share_that_tells_no_changes(tmp_path, proc):
    """On a network share changes go unseen, so it is looked at every so often; that is said, and no trouble."""
    proc(mounts=[f"server:/x {tmp_path} nfs4"])
    found = list(surroundings.root(Watch(path=tmp_path, output=tmp_path / "out")))
    assert [one.level for one in found] == ["ok", "ok"]
    assert "nfs4" in found[1].text
    assert "every 30 s" in found[1].text
    polled = Watch(path=tmp_path, output=tmp_path / "out", events="poll")
    assert [one.level for one in surroundings.root(polled)] == ["ok"]


def test_too_few_watches(desk, proc):
    """Fewer watches than folders is told with the sysctl that helps; folders on a share need none."""
    for name in ("a", "b", "c"):
        (desk.configure().inbox / name).mkdir()
    proc(watches=3)
    shown = desk("doctor", **NOWHERE).stdout
    assert "4 watches needed, 3 allowed" in shown
    assert "sudo sysctl fs.inotify.max_user_watches=524288 (" in shown
    proc(watches=3, mounts=[f"server:/x {desk.inbox} cifs"])
    assert "0 watches needed" in desk("doctor", **NOWHERE).stdout


def test_watches_that_others_have_taken(desk, proc):
    """The limit is one for all of a user's programs: what others watch is counted, by the kernel's own account."""
    top = proc(watches=5, instances=1)
    for number, process in {"10": os.getuid(), "11": os.getuid() + 1}.items():
        (top / number / "fd").mkdir(parents=True)
        (top / number / "fdinfo").mkdir()
        (top / number / "fd/7").symlink_to("anon_inode:inotify")
        (top / number / "fdinfo/7").write_text("pos:\t0\n" + "inotify wd:1 ino:1\n" * 5)
        if os.getuid() == 0:
            os.chown(top / number, process, -1)
        elif process != os.getuid():
            shutil.rmtree(top / number)
    shown = desk.configure()("doctor", **NOWHERE).stdout
    assert "1 watches needed, 5 allowed, 5 taken by others (1 instances, 1 taken)" in shown
    assert (
        "sysctl fs.inotify.max_user_watches=524288 && sudo sysctl fs.inotify.max_user_instances=1024 ("
        in shown
    )


def test_what_the_daemon_cannot_do_is_told(desk):
    """What a running daemon cannot watch or look at stands in `doctor` too."""
    lock = StateLock(desk.configure().state)
    lock.acquire()
    try:
        journal = open_journal(desk.state, now=0)
        journal.put("watch_problems", {str(desk.inbox): "the kernel watches no more folders"})
        journal.put("root:/gone", "/gone cannot be read")
        journal.close()
        shown = desk("doctor", **NOWHERE).stdout
    finally:
        lock.release()
    assert f"{desk.inbox}: the kernel watches no more folders" in shown
    assert "/gone cannot be read" in shown
    assert "watches no more" not in desk("doctor", **NOWHERE).stdout


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    """Little free space is a warning before it is a failure."""
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    assert [one.level for one in surroundings.output(Watch(path=tmp_path, output=tmp_path / "o"))] == [
        "warning"
    ]
