"""The template for the system's systemd: an administrator sets it up for a person, as docs/service.md says, and it is broken there.

As the scenarios of a person's own service, and some of those: each leaves it running for the next.
"""

import time
from collections.abc import Callable
from typing import Final

from tests.container import probing, scenarios
from tests.container.astria import URL
from tests.container.box import until
from tests.container.prober import PROBES
from tests.container.stage import SOON, Stage

TEMPLATE: Final = "astria-sync@.service"
# Typed by the administrator, who is root already.
FOR_ALL: Final = (
    "PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install astria-sync",
    "astria-sync service template > /etc/systemd/system/astria-sync@.service",
)
FOR_ONE: Final = "systemctl enable --now astria-sync@{name}"
HERS: Final = "astria-sync init --yes --token-stdin < key.txt"  # by the person herself
TOKEN: Final = ".config/astria-sync/token"
STATE: Final = ".local/state/astria-sync"


def set_up(stage: Stage) -> str:
    """From nothing to the first picture: two commands for the machine, one of the person's, one for her service."""
    nora, box = stage.owner, stage.box
    for line in FOR_ALL:
        box.root("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/opt/wheels", "sh", "-c", line)
    nora.drops_in("where", f"[Service]\nEnvironment=ASTRIA_BASE_URL={URL}\n")  # as a proxy would be told
    nora.saves("key.txt", stage.astria.token + "\n", mode=0o600)
    nora.types(HERS)
    began = time.monotonic()
    box.root("sh", "-c", FOR_ONE.format(name=nora.name))
    stage.folder(nora.name)
    stage.delivered(stage.prompt(nora.name))
    told = nora.unit("ActiveState", "UnitFileState", "User", "StatusText")
    assert told["ActiveState"] == "active", told
    assert told["UnitFileState"] == "enabled", told
    assert told["User"] == nora.name, told
    assert box.path(f"/proc/{stage.pid()}").stat().st_uid == nora.id
    took = time.monotonic() - began
    stage.hurry()
    return f"{took:.0f} s from the last command; systemctl shows: {told['StatusText']}"


def understood(stage: Stage) -> str:
    """Systemd finds no fault with it, and reckons an exposure of at most 1.5 as it runs."""
    said = stage.box.root("systemd-analyze", "verify", stage.owner.service)
    assert "astria-sync" not in said.stdout + said.stderr, said.stdout + said.stderr
    return scenarios.exposed(
        stage.box.root("systemd-analyze", "security", "--no-pager", stage.owner.service).stdout, 1.5
    )


def used(stage: Stage) -> str:
    """The person sees it and orders by her own commands, which reach it; a second daemon of hers is refused by name."""
    nora, pid = stage.owner, stage.pid()
    place = stage.prompt(nora.name)
    stage.delivered(place)
    assert "today" in nora.types("astria-sync status").stdout
    nora.types(f"astria-sync rerun ~/{place.replace('generated', 'inbox')}.prompt")
    stage.ordered_again()
    stage.delivered(place, each=2)
    second = nora.types("astria-sync run --once", check=False)
    assert second.returncode == 3, second
    assert "in use" in second.stderr, second.stderr
    assert stage.pid() == pid
    return second.stderr.strip().splitlines()[-1]


def without_the_states_folder(stage: Stage) -> str:
    """Started without the folder of the state, which its sandbox cannot make, it says so once, ends, and is not started again."""
    nora, since = stage.owner, stage.now()
    nora.systemctl("stop", nora.service)
    nora.types(f"mv {STATE} {STATE}.away")
    nora.systemctl("start", nora.service, check=False)
    told = stage.says("state's folder", since=since)
    until(lambda: stage.state() == "failed", "the service has failed", SOON)
    assert stage.restarts() == 0
    nora.types(f"mv {STATE}.away {STATE}")
    nora.systemctl("start", nora.service)
    stage.delivered(stage.prompt())
    return told


def token_of_the_machine(stage: Stage) -> str:
    """The token of root's own file is given to the service, and to no other person; it works without the person's, and without either it ends with 4."""
    nora = stage.owner
    folder = stage.box.path("/etc/astria-sync")
    folder.mkdir()
    key = folder / f"{nora.name}.token"
    key.write_text(nora.path(TOKEN).read_text())
    key.chmod(0o600)
    nora.types(f"mv {TOKEN} kept")
    nora.systemctl("restart", nora.service)
    stage.delivered(stage.prompt())
    given = f"/run/credentials/{nora.service}/astria-token"
    assert nora.types(f"cat /etc/astria-sync/{key.name}", check=False).returncode, "she reads root's file"
    assert stage.other.types(f"cat {given}", check=False).returncode, "another person reads what it was given"
    key.unlink()
    since = stage.now()
    nora.systemctl("restart", nora.service, check=False)
    until(lambda: stage.state() == "failed", "the service has failed", SOON)
    assert nora.unit("ExecMainStatus")["ExecMainStatus"] == "4"
    assert stage.restarts() == 0
    told = stage.says("no token", since=since)
    nora.types(f"mv kept {TOKEN}")
    nora.systemctl("start", nora.service)
    stage.delivered(stage.prompt())
    return told


def probes(stage: Stage) -> str:
    """Its sandbox is real too: the same attempts, with the same results."""
    told = probing.probe(stage)
    # The program is root's here, with or without a sandbox.
    assert not (found := probing.wrong(told, {"its own program"})), "; ".join(found)
    return f"{len(PROBES)} probes"


def ended(stage: Stage) -> str:
    """`systemctl disable --now` ends it in order; pictures, configuration and state stay, and no process or credential."""
    nora, pid, since = stage.owner, stage.pid(), stage.now()
    nora.systemctl("disable", "--now", nora.service)
    told = nora.unit("ActiveState", "Result", "UnitFileState")
    assert told == {"ActiveState": "inactive", "Result": "success", "UnitFileState": "disabled"}, told
    assert "SIGKILL" not in nora.log(f"--after-cursor={since}")
    assert not stage.box.path(f"/proc/{pid}").exists()
    until(lambda: not stage.box.path(f"/run/credentials/{nora.service}").exists(), "no credential", SOON)
    assert nora.path(STATE).is_dir()
    return "inactive, success"


SCENARIOS: Final[tuple[Callable[[Stage], str], ...]] = (
    set_up,
    understood,
    used,
    scenarios.reloaded,
    scenarios.broken_configuration,
    scenarios.killed,
    scenarios.stopped,
    without_the_states_folder,
    token_of_the_machine,
    probes,
    ended,
)
