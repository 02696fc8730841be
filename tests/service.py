"""The units in systemd/ and the parts of docs/service.md that are facts of the code: `python -m tests.service docs/service.md` writes
them anew. The exposure figures are systemd's own; where there is no systemd-analyze they stay as they are.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from astria_sync.hardening import SYSTEM, USER
from astria_sync.installing import template_for
from astria_sync.unitfile import Unit, Verbatim, hardening, render, running

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "service.md"
UNITS = TOP / "systemd"
MOST = {"astria-sync.service": 2.0, "astria-sync@.service": 1.5}  # the exposure that is allowed
_KINDS = {USER: "your own", SYSTEM: "the system's"}


def units() -> dict[str, str]:
    """The units to be put down by hand, as the code has them."""

    def home(*paths: str) -> list[str]:
        return [Verbatim(path) for path in paths]

    user = Unit(
        description="astria-sync: folders of photos and prompts to Astria, pictures back",
        command=home("%h/.local/bin/astria-sync", "run"),
        home=Verbatim("%h"),
        writes=home("%h/Astria", "%h/.local/state/astria-sync"),
        reads=home(
            "%h/.config/astria-sync",
            "%h/.astria",
            "%h/.local/bin",
            "%h/.local/lib",
            "%h/.local/pipx",
            "%h/.local/share/pipx",
            "%h/.local/share/uv",
        ),
        head=(
            "# For your own systemd, by hand: copy it to ~/.config/systemd/user/, then: systemctl --user enable --now astria-sync",
            "# `astria-sync service install` does better: it names the folders of your configuration. This one takes those of",
            "# `astria-sync init`; others are to be named below, and folders have to be there before it starts.",
        ),
    )
    return {
        "astria-sync.service": render(user),
        "astria-sync@.service": render(template_for((Verbatim("/usr/local/bin/astria-sync"), "run"))),
    }


def exposure(text: str, name: str) -> float | None:
    """What `systemd-analyze security` makes of a unit; None where there is none."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, name)
        file.write_text(text)
        told = subprocess.run(
            [analyze, "security", "--offline=true", "--no-pager", str(file)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told)
    return float(found[1]) if found else None


def options(_: str) -> str:
    """Each option, in which units, and why."""
    rows: list[str] = []
    both = [*running(USER), *hardening(USER)]
    for option in [*both, *(one for one in [*running(SYSTEM), *hardening(SYSTEM)] if one not in both)]:
        whose = _KINDS[option.only] if option.only else "both"
        mark = " ¹" if option.namespaces else ""
        rows.append(f"| `{option.name}={option.value}`{mark} | {whose} | {option.why} |")
    return "\n".join(["| option | unit | why |", "| --- | --- | --- |", *rows])


def figures(page: str) -> str:
    """The exposure of the two units, and of the one without user namespaces."""
    from dataclasses import replace

    bare = Unit(description="x", command=("/bin/true",), home="/home/x", writes=(), namespaces=False)
    texts = {**units(), "without user namespaces": render(replace(bare, kind=USER))}
    rows = []
    for name, text in texts.items():
        found = exposure(text, name if "." in name else "bare.service")
        before = re.search(rf"^\| {re.escape(_shown(name))} \| ([0-9.]+) \|", page, re.MULTILINE)
        figure = found if found is not None else before[1] if before else "?"
        rows.append(f"| {_shown(name)} | {figure} | {MOST.get(name, '')} |")
    return "\n".join(["| unit | exposure | at most |", "| --- | --- | --- |", *rows])


def _shown(name: str) -> str:
    return f"`{name}`" if "." in name else f"your own, {name}"


def rewritten(page: str) -> str:
    """The page with these parts as they are now."""
    for name, text in (("options", options(page)), ("figures", figures(page))):
        start, end = f"<!-- {name}: python -m tests.service docs/service.md -->\n", "<!-- end -->"
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{text}\n\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    for name, text in units().items():
        (UNITS / name).write_text(text)
    place = Path(sys.argv[1])
    place.write_text(rewritten(place.read_text()))
