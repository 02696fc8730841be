"""What a person and a machine do to the service, one after the other; each leaves it running for the next.

Each returns what is worth telling of it, and raises AssertionError if it was not as its docstring says.
"""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.container.box import until
from tests.container.person import UNIT
from tests.container.stage import CONFIG, OUTPUT, SOON, Stage

COMMANDS: Final = (
    "pipx install astria-sync",
    "astria-sync init --yes --token-stdin < key.txt",
    "astria-sync service install",
)
AT_MOST: Final = 180.0  # seconds from the first command to the first picture
HANG: Final = "/usr/local/lib/hang.py"


def three_commands(stage: Stage) -> str:
    """From `pipx install` to the first picture: three commands as a normal user, less than three minutes."""
    jane = stage.owner
    jane.saves("key.txt", stage.astria.token + "\n", mode=0o600)
    began = time.monotonic()
    for line in COMMANDS:
        jane.types(line)
    stage.folder(stage.owner.name)
    stage.delivered(stage.prompt(stage.owner.name))
    took = time.monotonic() - began
    assert took < AT_MOST, f"it took {took:.0f} s"
    told = jane.unit("ActiveState", "UnitFileState", "StatusText", "Type")
    assert told["ActiveState"] == "active", told
    assert told["UnitFileState"] == "enabled", told
    assert "today" in told["StatusText"], told
    stage.hurry()
    return f"{took:.0f} s; systemctl shows: {told['StatusText']}"


def installed_twice(stage: Stage) -> str:
    """Installing what is installed changes nothing that runs, and is one clear answer."""
    before = stage.pid()
    said = stage.owner.types(COMMANDS[-1], check=False)
    assert "Traceback" not in said.stderr, said.stderr
    assert stage.pid() == before, "it was started anew"
    return _last_line(said)


def analysed(stage: Stage) -> str:
    """To systemd the unit that was written is without a fault, and its exposure is at most 2.0."""
    file = f"{stage.owner.home}/.config/systemd/user/{UNIT}"
    said = stage.owner.types(f"systemd-analyze --user verify {file}")
    assert not said.stdout + said.stderr, said.stdout + said.stderr
    told = stage.owner.types(f"systemd-analyze --user security --offline=true --no-pager {file}").stdout
    return exposed(told, 2.0)


def exposed(told: str, most: float) -> str:
    """The last line of `systemd-analyze security`, if it has no more than that."""
    line = told.strip().splitlines()[-1]
    found = re.search(r"exposure level for \S+: ([\d.]+)", line)
    assert found, told
    assert float(found[1]) <= most, line
    return line[line.index("Overall") :]


def beside_another(stage: Stage) -> str:
    """A second profile has a unit of its own; both run, each fetches its own, and the second goes without a trace."""
    jane, work = stage.owner, "astria-sync@work.service"
    before = stage.pid()
    shares = "--token-file ~/.config/astria-sync/token"  # a profile's own token would be another account's
    jane.types(f"astria-sync --profile work init --yes --inbox ~/Work/in --output ~/Work/out {shares}")
    jane.types("astria-sync --profile work service install")
    stage.delivered(stage.prompt(), stage.prompt(inbox="Work/in", output="Work/out"))
    states = [jane.unit("ActiveState", unit=unit)["ActiveState"] for unit in (UNIT, work)]
    assert states == ["active", "active"], states
    jane.types("astria-sync --profile work service uninstall")
    assert jane.unit("ActiveState", unit=work)["ActiveState"] == "inactive"
    assert stage.pid() == before
    return f"{UNIT} and {work}"


def reloaded(stage: Stage) -> str:
    """A changed configuration counts after `systemctl reload`, without a second process, and where there is no /bin/kill."""
    assert not stage.box.root("sh", "-c", "ls /bin/kill /usr/bin/kill", check=False).stdout
    before = stage.pid(), stage.restarts()
    since = stage.now()
    stage.configure(("num_images = 1", "num_images = 2"))
    until(lambda: stage.state() == "active", "the service is active again", SOON)
    stage.delivered(stage.prompt(stage.owner.name), each=2)
    assert (stage.pid(), stage.restarts()) == before, "another process"
    return stage.says("onfiguration", since=since)


def broken_configuration(stage: Stage) -> str:
    """A configuration that cannot be used is refused by name, and work goes on by the old one; mended, it counts."""
    before, since = (stage.pid(), stage.restarts()), stage.now()
    good = stage.owner.path(CONFIG).read_text()
    stage.owner.saves(CONFIG, good.replace("num_images = 2", "num_images = 'many'"), mode=0o600)
    stage.owner.systemctl("reload", stage.owner.service, check=False)
    told = stage.says("num_images", since=since)
    assert stage.state() == "active"
    stage.delivered(stage.prompt(), each=2)
    assert (stage.pid(), stage.restarts()) == before
    stage.owner.saves(CONFIG, good.replace("num_images = 2", "num_images = 1"), mode=0o600)
    stage.owner.systemctl("reload", stage.owner.service)
    stage.delivered(stage.prompt())
    return told


def killed(stage: Stage) -> str:
    """`kill -9` while pictures are generated: systemd starts it anew, the pictures come, nothing is paid twice."""
    before, began = stage.restarts(), time.monotonic()
    place = stage.prompt(stage.owner.name)
    stage.sent()
    stage.kill()
    stage.back(before)
    stage.delivered(place)
    return f"back and delivered after {time.monotonic() - began:.0f} s"


def killed_while_ordering(stage: Stage) -> str:
    """`kill -9` while a request is out that costs and was not answered: it is found in Astria's list, not sent again."""
    stage.configure(("reconcile_after_seconds = 60", "reconcile_after_seconds = 2"))
    before, posts = stage.restarts(), stage.astria.posts()
    stage.astria.breaks(kind="hang", method="POST", path="/prompts$", when="after")
    place = stage.prompt()
    stage.sent()
    with stage.drop_in("quick", "RestartSec=1"):
        stage.kill()
        stage.back(before)
    stage.delivered(place)
    asked = stage.astria.posts() - posts
    assert asked <= 1, f"{asked} requests that cost"
    return "one request, one payment"


def hung(stage: Stage) -> str:
    """The engine's loop hangs while pictures are generated, its other threads live: the watchdog ends it, nothing is paid twice."""
    stage.box.path(HANG).write_bytes(_beside("hang.py"))
    usual = stage.owner.unit("WatchdogUSec")["WatchdogUSec"]
    assert usual not in {"0", "infinity"}, "the unit has no watchdog"
    with stage.drop_in("quick", "WatchdogSec=5\nRestartSec=1"):
        stage.owner.systemctl("restart", stage.owner.service)
        before, since = stage.restarts(), stage.now()
        place = stage.prompt(stage.owner.name)
        stage.sent()
        stopped = stage.pid()
        line = [*stage.box.enter(), "/usr/bin/python3", "-I", HANG, str(stopped)]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as debugger:
            assert debugger.stdout is not None
            assert debugger.stdout.readline() == "stopped\n"
            began = time.monotonic()
            try:
                told = stage.says("atchdog", since=since)
                stage.back(before)
            finally:
                debugger.kill()
        after = time.monotonic() - began
        stage.delivered(place)
    stage.owner.systemctl("restart", stage.owner.service)
    return f"{told} After {after:.0f} s it was back (WatchdogSec=5 for the test; the unit's own is {usual})."


def stopped(stage: Stage) -> str:
    """`systemctl stop` while a request is out waits for its answer, and what is begun is ended by the next start."""
    since = stage.now()
    stage.astria.breaks(kind="delay", method="POST", path="/prompts$", seconds=4.0, when="after")
    place = stage.prompt(stage.owner.name)
    stage.sent()
    began = time.monotonic()
    stage.owner.systemctl("stop", stage.owner.service)
    told = stage.owner.unit("ActiveState", "Result", "ExecMainStatus")
    took = time.monotonic() - began
    assert told["ActiveState"] == "inactive", told
    assert told["Result"] == "success", told
    assert "SIGKILL" not in stage.owner.log(f"--after-cursor={since}")
    stage.owner.systemctl("start", stage.owner.service)
    stage.delivered(place)
    return f"it took {took:.0f} s, for an answer that took 4"


def offline(stage: Stage) -> str:
    """Started without any network it is ready all the same, and does its work when the network is there."""
    stage.owner.systemctl("stop", stage.owner.service)
    stage.astria.cable(plugged=False)
    try:
        place, began = stage.prompt(), time.monotonic()
        stage.owner.systemctl("start", stage.owner.service)
        took, before = time.monotonic() - began, stage.restarts()
        assert stage.state() == "active"
        told = until(lambda: stage.owner.unit("StatusText")["StatusText"], "a line of status")
    finally:
        stage.astria.cable(plugged=True)
    stage.delivered(place)
    assert stage.restarts() == before
    return f"ready after {took:.1f} s without a network: {told}"


def a_persons_error(stage: Stage) -> str:
    """Started with a configuration that cannot be used it fails once, by name, and is not started again and again."""
    since = stage.now()
    good = stage.owner.path(CONFIG).read_text()
    stage.owner.saves(CONFIG, good.replace("num_images = 1", "num_images = 'many'"), mode=0o600)
    stage.owner.systemctl("restart", stage.owner.service, check=False)
    until(lambda: stage.state() == "failed", "the service has failed", SOON)
    told = stage.says("num_images", since=since)
    assert stage.restarts() == 0
    stage.owner.saves(CONFIG, good, mode=0o600)
    place = stage.prompt()
    stage.owner.systemctl("start", stage.owner.service)
    stage.delivered(place)
    return told


def without_user_namespaces(stage: Stage) -> str:
    """Where user namespaces are off, `service install` warns that there is no sandbox, and the unit starts and works."""
    jane = stage.owner
    folder = stage.box.path("/etc/systemd/system/user@.service.d")
    folder.mkdir()
    (folder / "none.conf").write_text("[Service]\nRestrictNamespaces=~user\n")
    manager = f"user@{jane.id}.service"
    try:
        _anew(stage, manager)
        said = jane.types(COMMANDS[-1])
        assert "without its sandbox" in said.stderr, said.stderr
        until(lambda: stage.state() == "active", "the service is active", SOON)
        stage.delivered(stage.prompt(stage.owner.name))
    finally:
        (folder / "none.conf").unlink()
        folder.rmdir()
        _anew(stage, manager)
        jane.types(COMMANDS[-1])  # in its sandbox again
    until(lambda: stage.state() == "active", "the service is active", SOON)
    return next(line for line in said.stderr.splitlines() if "without its sandbox" in line)


def _anew(stage: Stage, manager: str) -> None:
    stage.box.root("systemctl", "daemon-reload")
    stage.box.root("systemctl", "restart", manager)
    until(lambda: stage.owner.systemctl("is-system-running", check=False).stdout, "a user manager")


def uninstalled(stage: Stage) -> str:
    """`service uninstall` leaves no unit, no link, no process; folders, pictures, configuration and state stay."""
    jane, pid = stage.owner, stage.pid()
    pictures = jane.pictures(OUTPUT)
    jane.types("astria-sync service uninstall")
    left = [str(file) for file in jane.path(".config").rglob("*astria-sync*") if "systemd" in str(file)]
    assert not left, left
    assert jane.unit("LoadState")["LoadState"] == "not-found"
    assert not stage.box.path(f"/proc/{pid}").exists()
    assert jane.pictures(OUTPUT) == pictures > 0
    assert jane.path(CONFIG).exists()
    again = jane.types("astria-sync service uninstall", check=False)
    assert "Traceback" not in again.stderr, again.stderr
    return f"again: {_last_line(again)}"


def _last_line(said: "subprocess.CompletedProcess[str]") -> str:
    lines = (said.stdout + said.stderr).strip().splitlines()
    assert lines, "it said nothing"
    return lines[-1]


def _beside(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()


SCENARIOS: Final[tuple[Callable[[Stage], str], ...]] = (
    three_commands,
    installed_twice,
    analysed,
    reloaded,
    broken_configuration,
    killed,
    killed_while_ordering,
    hung,
    stopped,
    offline,
    beside_another,
    a_persons_error,
    without_user_namespaces,
)
