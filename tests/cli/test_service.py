"""`service`, with a systemd that only writes down what it is told."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from astria_sync import kernel
from astria_sync.lock import StateLock
from astria_sync.machine import sandbox
from astria_sync.servicemanager import ServiceManager
from astria_sync.unitfile import MARK
from tests.service import units

FAKE = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> "{folder}/calls"
case "$name $*" in
  *" show "*) cat "{folder}/shown" ;;
  *show-environment*) [ ! -e "{folder}/down" ] || {{ echo "Failed to connect to bus: No medium found" >&2; exit 1; }} ;;
  *restart*) [ ! -e "{folder}/fails" ] || {{ cp "{folder}/fails" "{folder}/shown"; rm "{folder}/fails"; exit 1; }}
     cp "{folder}/running" "{folder}/shown" ;;
  "loginctl "*) cat "{folder}/linger" ;;
  "journalctl "*) echo "the last line" ;;
  "unshare "*) [ ! -e "{folder}/no-namespaces" ] || {{ echo "unshare: unshare failed: Operation not permitted" >&2; exit 1; }} ;;
esac
"""
RUNNING = "ActiveState=active\nUnitFileState=enabled\nMainPID=7\nStatusText=3 training, $4.20 today\nActiveEnterTimestamp=Sun 2026-11-22\nExecMainStatus=0\nNRestarts=2\n"
STOPPED = "ActiveState=inactive\nResult=success\nUnitFileState=disabled\n"


def failed(code, result="exit-code"):
    return f"ActiveState=failed\nResult={result}\nExecMainStatus={code}\nUnitFileState=enabled\n"


@pytest.fixture
def tmp_path():
    """Not where conftest.py puts the tests' folders: no service may use what lies below /dev."""
    with tempfile.TemporaryDirectory(prefix="astria-sync-service-") as folder:
        yield Path(folder)


class Machine:
    """A desk with such a systemd, and a configuration with a token."""

    def __init__(self, desk, monkeypatch):
        self.desk = desk.configure(f'[astria]\ntoken_file = "{desk.home}/token"')
        desk.config.write_text(desk.config.read_text().replace('"state.db"', '"state/s.db"'))
        self.state = desk.home / "state" / "s.db"
        self.folder = desk.home / "fake"
        self.folder.mkdir()
        for name in ("systemctl", "loginctl", "journalctl", "unshare"):
            (self.folder / name).write_text(FAKE.format(folder=self.folder))
            (self.folder / name).chmod(0o755)
        self.says(shown=STOPPED, running=RUNNING, linger="no\n")
        (desk.home / "token").write_text("sd_0123456789abcdef")
        (desk.home / "token").chmod(0o600)
        monkeypatch.setattr("astria_sync.kernel._NAMESPACES", {})
        monkeypatch.setattr("astria_sync.servicemanager.os.geteuid", lambda: 1000)
        self.unit = desk.home / ".config/systemd/user/astria-sync.service"

    def says(self, **texts):
        for name, text in texts.items():
            (self.folder / name).write_text(text)

    def __call__(self, *words, **how):
        path = f"{self.folder}:{os.environ['PATH']}"
        return self.desk("service", *words, PATH=path, **how)

    @property
    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    def told(self):
        """The calls of systemctl that change something."""
        verbs = ("enable", "disable", "restart", "daemon-reload")
        return [verb for call in self.calls for verb in verbs if f" {verb}" in call]


@pytest.fixture
def settings():
    """The settings of a kernel that are looked at; a machine of these tests has none of them."""
    return kernel._NAMESPACES


@pytest.fixture
def machine(desk, monkeypatch):
    return Machine(desk, monkeypatch)


def test_install_writes_starts_and_says_what_to_know(machine):
    """The unit has this configuration's folders; it is enabled and started; lingering is told, and how to have it."""
    done = machine("install")
    assert done.exit_code == 0, done.output
    text = machine.unit.read_text()
    home = machine.desk.home
    assert text.startswith(MARK)
    for path in ("inbox", "out", "state", ".local/state/astria-sync"):
        assert f"\nBindPaths=-{home}/{path}\n" in text
    assert f"-m astria_sync --config {machine.desk.config} run\n" in text
    assert (home / "out").is_dir()  # what is not there when it starts is not let in
    assert machine.told() == ["daemon-reload", "enable", "restart"]
    assert "It runs, and starts by itself from now on." in done.stderr
    assert "loginctl enable-linger" in done.stderr
    assert "sd_0123456789abcdef" not in text


def test_install_twice(machine):
    """The second time it says that all is there, and leaves the running service alone; after a change it is brought up to date."""
    machine("install")
    again = machine("install")
    assert again.exit_code == 0
    assert "is there already, and fits the configuration" in again.stderr
    assert machine.told().count("restart") == 1
    (machine.desk.home / "more").mkdir()
    with machine.desk.config.open("a") as file:
        file.write('[[watch]]\npath = "more"\n')
    told = machine("status")
    assert f"The unit does not reach {machine.desk.home}/more, {machine.desk.home}/more-output" in told.stdout
    machine.says(linger="yes\n")
    third = machine("install")
    assert "is brought up to date" in third.stderr
    assert "It runs while you are logged out, too" in third.stderr
    assert machine.told().count("restart") == 2
    assert "does not reach" not in machine("status").stdout


def test_print_changes_nothing(machine):
    """The unit on stdout, nothing on the disk, and no systemd needed."""
    shown = machine.desk("service", "install", "--print", PATH="/nowhere")
    assert shown.exit_code == 0
    assert "\nType=notify\n" in shown.stdout
    assert not machine.unit.exists()


def test_the_template_for_the_systems_systemd(desk, monkeypatch):
    """As in systemd/, with the program where it is installed; it needs no configuration, and changes nothing."""
    monkeypatch.setattr("astria_sync.cli.service.installed_in", lambda: ["/opt/pipx/venvs/astria-sync"])
    monkeypatch.setattr("sys.executable", "/opt/pipx/venvs/astria-sync/bin/python")
    shown = desk("service", "template", PATH="/nowhere")
    assert shown.exit_code == 0
    begins = "ExecStart=/opt/pipx/venvs/astria-sync/bin/python -P -m astria_sync run"
    by_hand = units()["astria-sync@.service"]
    assert shown.stdout == by_hand.replace("ExecStart=/usr/local/bin/astria-sync run", begins)
    assert begins in shown.stdout


def test_no_template_of_a_program_in_a_home(desk, monkeypatch):
    """Homes are hidden from the system's service: it could not be started."""
    monkeypatch.setattr("astria_sync.cli.service.installed_in", lambda: ["/home/jane/.local/venv"])
    refused = desk("service", "template")
    assert refused.exit_code == 2
    assert refused.stdout == ""
    assert "The program lies in /home/jane/.local/venv, where" in refused.stderr


def test_no_start(machine):
    """Enabled, and not started."""
    assert machine("install", "--no-start").exit_code == 0
    assert machine.told() == ["daemon-reload", "enable"]


def test_a_profile_has_a_unit_of_its_own(machine):
    """`astria-sync@NAME`, with the profile on its command line and the state of its own."""
    place = machine.desk.home / ".config/astria-sync/work.toml"
    place.parent.mkdir(parents=True)
    place.write_text(
        f'[astria]\ntoken_file = "{machine.desk.home}/token"\n[[watch]]\npath = "{machine.desk.inbox}"\n'
    )
    path = f"{machine.folder}:{os.environ['PATH']}"
    done = machine.desk("--profile", "work", "service", "install", config=False, PATH=path)
    assert done.exit_code == 0, done.output
    unit = machine.unit.with_name("astria-sync@work.service")
    assert "-m astria_sync --profile work run\n" in unit.read_text()
    assert not machine.unit.exists()
    assert machine.desk("--profile", "work", "service", "uninstall", config=False, PATH=path).exit_code == 0
    assert not unit.exists()


def test_uninstall_leaves_nothing(machine):
    """Unit, links, drop-ins and empty folders go; what is the person's stays."""
    machine("install")
    links = machine.unit.parent / "default.target.wants"
    links.mkdir()
    (links / machine.unit.name).symlink_to(machine.unit)
    dropins = machine.unit.with_name(f"{machine.unit.name}.d")
    dropins.mkdir()
    (dropins / "override.conf").write_text("[Service]\n")
    done = machine("uninstall")
    assert done.exit_code == 0, done.output
    assert "goes on" not in done.stderr
    assert any(
        call == "systemctl --user --no-pager disable --now astria-sync.service" for call in machine.calls
    )
    assert not (machine.desk.home / ".config/systemd").exists()
    assert (machine.desk.home / "token").exists()
    assert machine.desk.config.exists()


def test_uninstall_what_is_not_there(machine):
    """One sentence, and nothing is wrong."""
    done = machine("uninstall")
    assert (done.exit_code, done.stderr) == (
        0,
        "astria-sync: There is no astria-sync.service; nothing was to be removed.\n",
    )


def test_what_somebody_else_wrote_is_left_alone(machine):
    """A unit that was put down by hand is neither replaced nor removed."""
    machine.unit.parent.mkdir(parents=True)
    machine.unit.write_text("[Service]\nExecStart=/bin/true\n")
    for words in (["install"], ["uninstall"]):
        done = machine(*words)
        assert done.exit_code == 2
        assert "not written by astria-sync" in done.stderr
    assert machine.unit.read_text().endswith("/bin/true\n")


@pytest.mark.parametrize("words", [["install"], ["status"]])
def test_no_systemd_at_all(machine, words):
    """One sentence each, with another way."""
    none = machine.desk("service", *words, PATH=str(machine.desk.home))
    assert (none.exit_code, none.stderr.count("\n")) == (1, 1)
    assert "There is no systemd on this machine" in none.stderr
    machine.says(down="")
    unreachable = machine(*words)
    assert (unreachable.exit_code, unreachable.stderr.count("\n")) == (1, 1)
    assert "cannot be reached (Failed to connect to bus: No medium found)" in unreachable.stderr
    assert not machine.unit.exists()


def test_uninstall_where_systemd_does_not_answer(machine):
    """The files go all the same, and it is said what could not be told to whom, and what goes on for that."""
    machine("install")
    machine.says(down="")
    done = machine("uninstall")
    assert done.exit_code == 0
    assert "cannot be reached" in done.stderr
    assert "If astria-sync.service runs, it goes on until you log out" in done.stderr
    assert not machine.unit.exists()


def test_a_token_that_only_the_terminal_has(machine):
    """A service does not see a terminal's variables: it would end at once."""
    (machine.desk.home / "token").unlink()
    done = machine("install", ASTRIA_AUTH_TOKEN="sd_0123456789abcdef")
    assert done.exit_code == 4
    assert "stands only in $ASTRIA_AUTH_TOKEN" in done.stderr
    none = machine("install")
    assert none.exit_code == 4
    assert "There is no token" in none.stderr
    assert not machine.unit.exists()


def test_what_a_terminal_says_of_where_is_kept(machine):
    """An address or a proxy that holds here holds for the service."""
    machine("install", ASTRIA_BASE_URL="http://127.0.0.1:8765", HTTPS_PROXY="http://proxy:3128/50%")
    text = machine.unit.read_text()
    assert '\nEnvironment="ASTRIA_BASE_URL=http://127.0.0.1:8765"\n' in text
    assert '\nEnvironment="HTTPS_PROXY=http://proxy:3128/50%%"\n' in text
    assert "earlier configuration" not in machine("status").stdout  # another terminal says nothing of a proxy


@pytest.mark.parametrize("where", ["/proc", "."])
def test_a_root_that_no_sandbox_reaches(machine, where):
    """One sentence, and nothing is written."""
    if where == "/proc":
        machine.desk.config.write_text(
            'state = "s/state.db"\n[[watch]]\npath = "/proc"\noutput = "/proc-out"\n'
        )
    else:
        machine.desk.config.write_text('state = "s/state.db"\n[[watch]]\npath = "."\noutput = "../out"\n')
    done = machine("install")
    assert done.exit_code == 2
    assert ("/proc lies in /proc" if where == "/proc" else "your whole home folder") in done.stderr
    assert not machine.unit.exists()


def test_a_state_in_the_home_itself(machine):
    """SQLite needs the folder, and that would be the whole home."""
    machine.desk.config.write_text('state = "s.db"\n[[watch]]\npath = "inbox"\n')
    done = machine("install")
    assert done.exit_code == 2
    assert "give `state` a folder of its own" in done.stderr


def test_a_root_that_is_not_there(machine):
    """As `run` says it."""
    machine.desk.inbox.rmdir()
    done = machine("install")
    assert done.exit_code == 2
    assert "does not exist" in done.stderr


def test_a_daemon_in_a_terminal_has_the_state(machine):
    """The service would end at once with 3, and stay ended; nothing is written."""
    machine.state.parent.mkdir()
    lock = StateLock(machine.state, command="run")
    lock.acquire()
    try:
        done = machine("install")
    finally:
        lock.release()
    assert done.exit_code == 3
    assert "stop that one first" in done.stderr
    assert not machine.unit.exists()


def test_where_user_namespaces_are_off(machine):
    """A unit without a sandbox, and a warning; when they work, `status` says that it could be better."""
    machine.says(**{"no-namespaces": ""})
    done = machine("install")
    assert done.exit_code == 0
    assert "Warning: user namespaces do not work here (unshare: unshare failed" in done.stderr
    assert "PrivateUsers" not in machine.unit.read_text()
    assert "NoNewPrivileges=yes" in machine.unit.read_text()
    assert "works here by now" not in machine("status").stdout
    (machine.folder / "no-namespaces").unlink()
    assert "It runs without its sandbox, which works here by now" in machine("status").stdout
    machine("install")
    assert "\nPrivateUsers=yes\n" in machine.unit.read_text()


def test_where_only_the_start_shows_that_they_are_off(machine):
    """systemd says 226: the unit is written anew without a sandbox, and started."""
    machine.says(fails=failed(226))
    done = machine("install")
    assert done.exit_code == 0, done.output
    assert "Warning: this system lets no service of yours have mounts" in done.stderr
    assert "PrivateUsers" not in machine.unit.read_text()
    assert machine.told().count("restart") == 2


@pytest.mark.parametrize(
    ("setting", "off", "on"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("user/max_mnt_namespaces", "0", "user.max_mnt_namespaces=15000"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    ],
)  # fmt: skip
def test_a_kernel_that_says_so(settings, machine, tmp_path, monkeypatch, setting, off, on):
    """A setting that turns them off is named with what turns them on, by `service install` and by `doctor` alike."""
    monkeypatch.setattr(kernel, "_NAMESPACES", settings)
    monkeypatch.setattr(kernel, "_PROC", tmp_path / "proc")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file = tmp_path / "proc/sys" / setting
    file.parent.mkdir(parents=True)
    file.write_text(f"{1 - int(off)}\n")
    manager = ServiceManager({"PATH": f"{machine.folder}:{os.environ['PATH']}"})
    assert "sudo sysctl" not in manager.namespaces_off()
    assert next(sandbox()).level == "ok"
    file.write_text(f"{off}\n")
    assert f"(sudo sysctl {on} turns them on)" in manager.namespaces_off()
    (check,) = sandbox()
    assert f"({on.partition('=')[0]} = {off})" in check.text
    assert f"/etc/sysctl.d/ with {on}" in check.do


def test_a_start_that_fails_is_told_with_its_last_lines(machine):
    """What became of it, the end of its log, and where to read on."""
    machine.says(fails=failed(4))
    done = machine("install")
    assert done.exit_code == 1
    assert "It does not start (it ended with 4)" in done.stderr
    assert "the last line" in done.stderr


@pytest.mark.parametrize(
    ("shown", "state", "then"),
    [
        (failed(2), "failed (it ended with 2)", "The configuration cannot be used"),
        (failed(3), "failed (it ended with 3)", "Another daemon has the state"),
        (failed(4), "failed (it ended with 4)", "There is no token"),
        (failed(226), "failed (it ended with 226)", "write a unit without it"),
        (failed(6, "watchdog"), "failed (its watchdog found that nothing moved)", "systemctl --user restart"),
        (STOPPED, "inactive (it was stopped)", "systemctl --user restart"),
    ],
)
def test_status_of_one_that_does_not_run(machine, shown, state, then):
    """What became of it, and what to do; ends with 1."""
    machine("install")
    machine.says(shown=shown)
    told = machine("status")
    assert told.exit_code == 1
    assert f"astria-sync.service: {state}" in told.stdout
    assert then in told.stdout


def test_status_for_programs(machine):
    """The same as JSON; before it is installed, how to do that."""
    before = machine("status", "--json")
    assert before.exit_code == 1
    assert json.loads(before.stdout)["installed"] is False
    assert "service install" in json.loads(before.stdout)["do"][0]
    machine("install")
    after = machine("status", "--json")
    found = json.loads(after.stdout)
    assert after.exit_code == 0
    facts = {
        key: found[key]
        for key in ("installed", "enabled", "active", "pid", "restarts", "says", "linger", "sandbox", "do")
    }
    assert facts == {
        "installed": True,
        "enabled": True,
        "active": "active",
        "pid": 7,
        "restarts": 2,
        "says": "3 training, $4.20 today",
        "linger": False,
        "sandbox": True,
        "do": [],
    }
    assert found["lines"] == ["the last line"]


def test_status_with_a_broken_configuration(machine):
    """What runs is told all the same, and what is wrong with the configuration too."""
    machine("install")
    machine.desk.config.write_text("xx = 1\n")
    told = machine("status")
    assert told.exit_code == 0
    assert "active since" in told.stdout
    assert "xx" in told.stdout


def test_uninstall_with_a_broken_configuration(machine):
    """To get rid of it, nothing else needs to be right."""
    machine("install")
    machine.desk.config.write_text("xx = 1\n")
    assert machine("uninstall").exit_code == 0
    assert not machine.unit.exists()


def test_the_unit_of_a_program_in_a_home(machine, monkeypatch, tmp_path):
    """A virtual environment in the home is let in to be read; where the command was typed plays no part."""
    venv = machine.desk.home / "venv"
    venv.mkdir()
    monkeypatch.setattr("sys.prefix", str(venv))
    machine("install")
    assert f"\nBindReadOnlyPaths=-{venv}\n" in machine.unit.read_text()
    monkeypatch.chdir(Path("/"))
    assert "earlier configuration" not in machine("status").stdout
