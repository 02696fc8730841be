"""`doctor` says what is wrong and what to do."""

import json
import os
import shutil
import threading
import time
from email.utils import formatdate

import pytest

from astria_sync import doctor as checks
from astria_sync import kernel, machine, surroundings
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock
from astria_sync.settings import Watch
from astria_sync.wording import COLLAPSED_PROMPT

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
        "versions", "configuration", "watched", "output", "inotify", "state", "network", "token", "balance", "clock",
        "packages", "service", "notify", "idempotency",
    }  # fmt: skip
    assert set(found.values()) <= {"ok", "warning"}
    assert not desk.state.exists()


def test_a_refused_token_ends_with_4(desk, account):
    """Astria says no: which token it was, and 4."""
    result = desk.configure()("doctor", **account | {"ASTRIA_AUTH_TOKEN": "another-key"})
    assert result.exit_code == 4
    assert "does not accept the token from $ASTRIA_AUTH_TOKEN" in result.stdout
    assert ".." not in result.stdout


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


def test_the_disk_of_the_state_is_told(desk, monkeypatch):
    """It stops everything when it is full; and whether the pictures can fill it."""
    open_journal(desk.configure().state, now=0).close()
    assert "beside the state, on the disk of the pictures" in desk("doctor", **NOWHERE).stdout
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    assert "nothing is sent while the state cannot be written" in desk("doctor", **NOWHERE).stdout


def test_what_does_not_answer_is_given_up(monkeypatch):
    """A share whose server is gone costs its seconds and one line."""
    held = threading.Event()
    (found,) = machine.on_disk(lambda: [held.wait()], "watched", "/mnt/share", 0.01)
    held.set()
    assert (found.about, found.level) == ("watched", "error")
    assert "/mnt/share has not answered within 0.01 s" in found.text
    with pytest.raises(ZeroDivisionError):
        list(machine.on_disk(lambda: [1 / 0], "watched", "/", 5.0))


def test_a_kind_of_disk_that_nobody_knows(tmp_path, proc):
    """It may tell of changes or not: what to write if it does not."""
    proc(mounts=[f"x {tmp_path} newfs"])
    found = list(surroundings.root(Watch(path=tmp_path, output=tmp_path / "out")))
    assert [one.level for one in found] == ["ok", "ok"]
    assert 'events = "poll"' in found[1].do


def test_a_disk_that_does_not_tell_capitals(tmp_path, monkeypatch):
    """Seen by what lies there; nothing is written."""
    (tmp_path / "jane").mkdir()
    watch = Watch(path=tmp_path, output=tmp_path / "out")
    assert "capitals" not in next(surroundings.root(watch)).text
    (tmp_path / "JANE").symlink_to("jane")  # what such a disk shows of it
    assert "does not tell capitals from small letters" in next(surroundings.root(watch)).text


@pytest.mark.parametrize(
    ("facts", "lingers", "level", "words"),
    [
        ({"LoadState": "not-found"}, False, "ok", "is not installed"),
        ({"LoadState": "bad-setting"}, False, "error", "cannot be used by systemd (bad-setting)"),
        ({"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}, True, "ok", "also while you are logged out"),
        ({"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}, False, "ok", "until you log out"),
        ({"ActiveState": "active", "SubState": "running", "UnitFileState": "disabled"}, True, "warning", "not started at the next"),
        ({"ActiveState": "inactive", "SubState": "dead"}, True, "warning", "does not run"),
        ({"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "4"}, True, "error", "has failed (exit-code, exit status 4)"),
        ({"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "3"}, True, "warning", "(3 times by now)"),
    ],
)  # fmt: skip
def test_the_state_of_the_unit(facts, lingers, level, words):
    """Each as systemd tells it, with the command that helps."""
    found = machine.judge_unit("astria-sync.service", {"LoadState": "loaded"} | facts, lingers=lingers)
    assert (found.about, found.level) == ("service", level)
    assert words in found.text
    assert found.do or (level, lingers) == ("ok", True)


def systemctl(desk, body):
    program = desk.home / "bin/systemctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


def test_systemd_is_asked_for_the_profiles_unit(desk, proc):
    """With what a user's service needs for its sandbox; the token is not in what is started."""
    path = systemctl(
        desk,
        'echo "$3 $ASTRIA_AUTH_TOKEN" >&2; printf "LoadState=loaded\\nActiveState=failed\\nResult=watchdog\\n"',
    )
    proc().joinpath("sys/user").mkdir()
    proc().joinpath("sys/user/max_user_namespaces").write_text("0")
    desk.configure()
    found = list(machine.unit("work", desk.environ(**path)))
    assert [(one.about, one.level) for one in found] == [("service", "error"), ("sandbox", "warning")]
    assert "astria-sync@work.service has failed (watchdog" in found[0].text
    assert "user.max_user_namespaces = 0" in found[1].text
    proc().joinpath("sys/user/max_user_namespaces").write_text("100")
    assert list(machine.unit(None, desk.environ(**path)))[1].level == "ok"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 'Failed to connect to bus' >&2; exit 1", "cannot be asked whether astria-sync.service runs (Failed to connect"),
        ("exec sleep 60", "(no answer within 0.2 s)"),
        ("exit 0", "(no answer)"),
    ],
)  # fmt: skip
def test_a_systemd_that_cannot_be_asked_is_no_trouble(desk, monkeypatch, body, words):
    """In a container, by su, or when it hangs."""
    monkeypatch.setattr(machine, "_PATIENCE", 0.2 if "sleep" in body else 5.0)
    (found,) = machine.unit(None, desk.environ(**systemctl(desk, body)))
    assert found.level == "ok"
    assert words in found.text


def test_no_systemd_at_all(desk):
    """Said, and no trouble."""
    (found,) = machine.unit(None, {"PATH": str(desk.home)})
    assert (found.level, found.do) == ("ok", "")
    assert "There is no systemd here" in found.text


def test_notifications_that_cannot_be_made(desk):
    """A desktop that is not there is a warning, a command that is not there an error."""
    desk.configure('[notify]\ndesktop = true\ncommand = "~/bin/tell --now"')
    result = desk("doctor", **NOWHERE)
    assert result.exit_code == 1
    assert "The desktop cannot be told" in result.stdout
    assert f"{desk.home}/bin/tell does not exist" in result.stdout
    program = desk.home / "bin/tell"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    assert f"chmod +x {program}" in desk("doctor", **NOWHERE).stdout
    program.chmod(0o755)
    result = desk("doctor", **NOWHERE)
    assert result.exit_code == 0
    assert f"by {program}" in result.stdout


def test_the_proxy_on_the_way_is_named_without_its_password():
    """For https alone, since no other request takes one."""
    environ = {"HTTPS_PROXY": "http://me:word@proxy.example:3128/"}
    assert checks.proxy_for("https://api.astria.ai", environ) == "proxy.example:3128 (HTTPS_PROXY)"
    assert checks.proxy_for("http://127.0.0.1:1", environ) == ""
    (found,) = checks.judge(
        "https://x", "a file", (NoAnswer(sent=False, why="no connection"), 0.0), "p:1 (HTTPS_PROXY)"
    )
    assert "see whether the proxy p:1 (HTTPS_PROXY) is there" in found.do


def test_a_certificate_that_is_refused_does_not_mend_itself():
    """A clock that is off, or a proxy that reads along: the network is there."""
    why = "no connection ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate is not yet valid)"
    (found,) = checks.judge("https://x", "a file", (NoAnswer(sent=False, why=why), 0.0))
    assert "SSL_CERT_FILE" in found.do
    assert "when the network is back" not in found.do


def test_idempotency_is_told_as_far_as_answers_have_shown_it(desk, account):
    """Nothing is paid to find out."""
    desk.configure()
    assert "so nobody asks" in desk("doctor", **account).stdout
    journal = open_journal(desk.state, now=0)
    source = journal.add("sources", kind="prompt", root="/r", path="p", created_at=0, updated_at=0)
    journal.add(
        "prompts",
        source_id=source,
        state="failed",
        reason=COLLAPSED_PROMPT.format(id=7),
        created_at=0,
        updated_at=0,
    )
    journal.close()
    assert "on: Astria has answered with something that was there before" in desk("doctor", **account).stdout


def test_nothing_is_changed(desk):
    """Not a file comes, goes or is written, with a state and without; but for what SQLite keeps beside one that is open."""

    def there():
        files = [
            path for path in desk.home.rglob("*") if path.is_file() and not path.name.startswith("state.db-")
        ]
        return {path: path.stat().st_mtime_ns for path in files}

    desk.configure().picture("jane/1.jpg")
    for _ in range(2):
        before = there()
        desk("doctor", **NOWHERE)
        assert there() == before
        open_journal(desk.state, now=0).close()
