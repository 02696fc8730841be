"""The prober is run within the unit, and once without it: what is refused only there, the sandbox refuses."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.container.astria import PORT
from tests.container.box import until
from tests.container.prober import FACTS, OPEN, PROBES, READING, WRITING
from tests.container.stage import CONFIG, INBOX, OUTPUT, SOON, Stage

PROBER: Final = FACTS.with_name("prober.py")
STATE: Final = ".local/state/astria-sync"
SETUID: Final = "/usr/local/bin/whoami-really"
Told = Mapping[str, tuple[str, str]]  # probe → refused or possible, and why


@dataclass(frozen=True)
class Row:
    """One probe and what came of it."""

    group: str
    name: str
    must: str
    within: str
    why: str
    without: str  # the same user, no sandbox

    @property
    def right(self) -> bool:
        """As it must be; what is no file there for anybody is no proof that it is kept from this one."""
        there = self.without == "possible" or self.group not in {WRITING, READING}
        return self.within == self.must and there


def probe(stage: Stage) -> list[Row]:
    """Set out what there is to be had, and try to get it: from within the unit, and as any process of hers."""
    sibling = _set_out(stage)
    line = f"{_python(stage)} -I {PROBER}"
    stage.owner.systemctl("stop", stage.owner.service)
    since = stage.now()
    with stage.drop_in("probe", f"ExecStart=\nExecStart={line}"):
        stage.owner.systemctl("start", stage.owner.service)
        until(lambda: stage.state() in {"inactive", "failed"}, "the probes are over", SOON)
    within = _answer(stage.owner.log(f"--after-cursor={since}"))
    without = _answer(stage.owner.systemd_run("--wait", "--pipe", *line.split()))
    stage.owner.systemctl("stop", sibling)
    stage.owner.systemctl("start", stage.owner.service)
    return rows(within, without)


def _answer(said: str) -> dict[str, Any]:
    line = next((line for line in said.splitlines() if line.startswith("{")), None)
    assert line is not None, f"the prober told nothing:\n{said}"
    found: dict[str, Any] = json.loads(line)
    return found


def _python(stage: Stage) -> str:
    """The interpreter that the service's own program runs with."""
    words = stage.box.path(f"/proc/{stage.pid()}/cmdline").read_bytes().split(b"\0")
    return words[0].decode()


def _program(stage: Stage) -> Path:
    """The folder in which the program is called astria-sync."""
    own = stage.owner.home / ".local/bin"
    return own if stage.owner.path(own / "astria-sync").is_symlink() else Path("/usr/local/bin")


def _set_out(stage: Stage) -> str:
    """Things that anybody, or she herself, could get at if there were no sandbox; the name of a process of hers."""
    box, jane, joe = stage.box, stage.owner, stage.other
    for folder in OPEN:
        box.path(folder).mkdir(exist_ok=True)
        box.path(folder).chmod(0o1777)
    for name in (".ssh/id_ed25519", ".ssh/authorized_keys", ".gnupg/secret", "Documents/letter.txt"):
        jane.saves(name, "of hers alone\n", mode=0o600)
    jane.saves("Pictures/holiday.txt", "no root\n")
    joe.saves("open/note.txt", "anybody may read this\n")
    joe.path("open").chmod(0o1777)
    joe.path("").chmod(0o755)
    jane.types("mkdir -p .config/systemd/user .local/bin")
    box.path("/tmp/note.txt").write_text("anybody may read this\n")
    box.root("loginctl", "enable-linger", jane.name)  # so that there is a systemd and a bus of hers
    until(box.path(f"/run/user/{jane.id}/bus").exists, "a bus of hers", SOON)
    box.root("install", "-m", "4755", "/usr/bin/id", SETUID)
    box.path(str(PROBER.parent)).mkdir(exist_ok=True)
    box.path(str(PROBER)).write_bytes(Path(__file__).with_name("prober.py").read_bytes())
    sibling = "sibling.service"
    jane.systemd_run(f"--unit={sibling}", "sleep", "infinity")
    pid = jane.unit("MainPID", unit=sibling)["MainPID"]
    status = box.path(f"/proc/{pid}/status").read_text()
    facts = {
        "home": str(jane.home),
        "program": str(_program(stage)),
        "other": str(joe.home),
        "inbox": str(jane.home / INBOX),
        "output": str(jane.home / OUTPUT),
        "state": str(jane.home / STATE),
        "config": str(jane.home / CONFIG),
        "uid": jane.id,
        "port": PORT,
        "setuid_id": SETUID,
        "sibling": int(pid),
        "filters": int(status.partition("Seccomp_filters:")[2].split()[0]),
    }
    box.path(str(FACTS)).write_text(json.dumps(facts))
    return sibling


def rows(within: Told, without: Told) -> list[Row]:
    """Every probe with both its results; one that told nothing is none that was passed."""
    nothing = ("nothing", "")
    return [
        Row(one.group, one.name, one.must, *within.get(one.name, nothing), without.get(one.name, nothing)[0])
        for one in PROBES
    ]


def wrong(told: Iterable[Row], nobody: Collection[str] = ()) -> list[str]:
    """Sentences about those that are not as they must be; `nobody`: what this user may not do anyway."""
    return [
        f"{row.group}: {row.name}: {row.within} (without the sandbox: {row.without}), and must be {row.must}"
        for row in told
        if not (row.right or (row.name in nobody and row.within == row.must))
    ]


HEAD: Final = ("| tried from within the unit | result | the same user without it |", "| --- | --- | --- |")
_SECTION: Final = re.compile(r"(<!-- probes[^>]*-->).*?(<!-- end -->)", re.DOTALL)


def table(told: Iterable[Row]) -> str:
    """As Markdown."""
    lines = [
        f"| {row.group}: {row.name} | {row.within}{f' ({row.why})' if row.why else ''} | {row.without} |"
        for row in told
    ]
    return "\n".join([*HEAD, *lines])


def redrawn(page: str, drawn: str) -> str:
    """The page with its table of probes replaced."""
    assert _SECTION.search(page), "the page has no place for the probes"
    return _SECTION.sub(lambda found: f"{found[1]}\n{drawn}\n{found[2]}", page)


def told_by(page: str) -> list[tuple[str, str]]:
    """Probes and results that a page has: "group: name", "refused" or "possible"."""
    section = _SECTION.search(page)
    assert section, "the page has no table of probes"
    body = section[0].splitlines()[1 + len(HEAD) : -1]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body]
    return [(cell[0], cell[1].split()[0]) for cell in cells]


def differing(page: str, told: Iterable[Row]) -> list[str]:
    """Probes of which a page tells something else, or nothing, or that are no more."""
    found = {f"{row.group}: {row.name}": row.within for row in told}
    written = dict(told_by(page))
    return sorted(
        name for name in {*found, *written} if found.get(name, "nothing") != written.get(name, "nothing")
    )
