"""Play everything: `python -m tests.container [--release NAME] [--keep] [--write]`.

Ends with 0 if all was as it must be, and where it cannot be tried at all, with 1 if something was not. docs/service.md must tell
the same of the probes; `--write` has it do so.
"""

import argparse
import platform
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from tests.container import machine, probing, systemwide, wheels
from tests.container.astria import URL, Astria, stand_in
from tests.container.box import Box, booted
from tests.container.person import Person, Served
from tests.container.scenarios import SCENARIOS, uninstalled
from tests.container.stage import Stage
from tests.container.telling import on_the_desktop
from tests.container.tree import RELEASES, made, store

PAGE: Final = wheels.CHECKOUT / "docs" / "service.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.container", description=__doc__)
    parser.add_argument("--release", choices=sorted(RELEASES), default="bookworm", help="the Debian to boot")
    parser.add_argument("--keep", action="store_true", help="after a failure leave it running until Enter")
    parser.add_argument("--write", action="store_true", help="write the table of probes into docs/service.md")
    asked = parser.parse_args()
    # An orderly end for those who only send a signal: everything is taken down on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return _played(asked)
    except machine.Obstacle as reason:
        print(
            f"The service was not tried on a real systemd: {reason}. Only the static checks ran (make test).",
            flush=True,
        )
        return 0


def _played(asked: argparse.Namespace) -> int:
    began, kept = time.monotonic(), store()
    here = machine.facts(kept)
    if reason := machine.obstacle(here):
        raise machine.Obstacle(reason)
    machine.provide(here)
    release = RELEASES[asked.release]
    tree = made(kept, release)
    with wheels.gathered(kept, release, platform.machine()) as folder, booted(tree, folder) as box:
        print(_greeting(box, time.monotonic() - began), flush=True)
        with stand_in(box) as astria:
            failed = _play_all(box, astria, asked)
    print(f"{'Not all' if failed else 'All'} as it must be, after {time.monotonic() - began:.0f} s.")
    return bool(failed)


def _greeting(box: Box, took: float) -> str:
    version = box.root("systemctl", "--version").stdout.split("(")[0].strip()
    name = box.root("sh", "-c", '. /etc/os-release; echo "$PRETTY_NAME"').stdout.strip()
    return f"{name} with {version}, booted after {took:.0f} s."


def _play_all(box: Box, astria: Astria, asked: argparse.Namespace) -> list[str]:
    """A person's own service, then the system's for another; the scenarios that were not as they must be."""
    conf = box.path("/etc/environment.d/50-astria.conf")  # for her services, as for her shell
    conf.parent.mkdir(exist_ok=True)
    conf.write_text(f"ASTRIA_BASE_URL={URL}\n")
    jane, joe, nora = Person(box, "jane", lingers=True), Person(box, "joe"), Served(box, "nora")
    failed = _play(
        Stage(box, astria, jane, joe), (*SCENARIOS, on_the_desktop, _probes(asked), uninstalled), asked
    )
    return failed + _play(Stage(box, astria, nora, joe), systemwide.SCENARIOS, asked)


def _probes(asked: argparse.Namespace) -> Callable[[Stage], str]:

    def probes(stage: Stage) -> str:
        """The sandbox is real: what the unit keeps the process from, tried from within; and that it can do its work."""
        told = probing.probe(stage)
        print(probing.table(told))
        if asked.write:
            PAGE.write_text(probing.redrawn(PAGE.read_text(), probing.table(told)))
        assert not (found := probing.wrong(told)), "; ".join(found)
        found = probing.differing(PAGE.read_text(), told)
        assert not found, f"docs/service.md tells otherwise: {found}; --write mends it"
        return f"{len(told)} probes"

    return probes


def _play(stage: Stage, played: Sequence[Callable[[Stage], str]], asked: argparse.Namespace) -> list[str]:
    """One after the other; without the first there is nothing to be broken."""
    failed = []
    for scenario in played:
        if not _well(scenario, stage):
            failed.append(scenario.__name__)
            if asked.keep:
                print("Enter it with: " + " ".join([*stage.box.enter(), "bash"]))
                input("Enter ends it. ")
            if scenario is played[0]:
                break
            stage.mend()
    return failed


def _well(scenario: Callable[[Stage], str], stage: Stage) -> bool:
    began, since = time.monotonic(), stage.now()
    stage.owner.systemctl("reset-failed", check=False)  # so many starts in a row are the test's own
    try:
        told = scenario(stage)
    except (AssertionError, OSError, ValueError) as error:
        print(f"FAILED {scenario.__name__}: {scenario.__doc__}\n  {error}", flush=True)
        print(stage.owner.systemctl("status", "--lines=0", stage.owner.service, check=False).stdout)
        print(stage.owner.log("--lines=40", f"--after-cursor={since}"), flush=True)
        return False
    print(
        f"ok  {scenario.__name__} ({time.monotonic() - began:.0f} s): {scenario.__doc__}\n    {told}",
        flush=True,
    )
    return True


if __name__ == "__main__":
    sys.exit(main())
