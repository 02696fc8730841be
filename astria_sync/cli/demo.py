"""`demo`: a studio, the stand-in for Astria, the real daemon, and pictures at the end. Nothing leaves this machine."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import click

from astria_sync import report
from astria_sync.cli.common import command, count, quoted, say, show, size, visible
from astria_sync.core.money import dollars
from astria_sync.errors import UsageError

_PATIENCE: Final = 60.0  # seconds until something must be wrong
_GRACE: Final = 10.0  # for its own end
_LOOK: Final = 0.1
_WIDE: Final = 60  # letters of a reason
_RUNNING: Final = {"running": True, "pid": None, "since": None}
_CALM: Final = {"settle": 1.0, "train": 3.0, "generate": 2.0}  # seconds, so that one can follow
_FAST: Final = {"settle": 0.2, "train": 0.5, "generate": 0.3}


@command("demo", "demo --keep ~/astria-demo       leave the studio behind, to look at and play with")
@click.option("--keep", metavar="DIR", help="Make the studio in DIR, and leave it there.")
@click.option("--fast", is_flag=True, help="Without time to watch.")
def demo(*, keep: str | None, fast: bool) -> int:
    """The whole job, against a built-in stand-in for Astria: nothing leaves this machine, nothing costs.

    Makes a studio of folders with photos and prompts, starts the stand-in and the real daemon, and shows what happens. Ends
    with 0 if every picture arrived.
    """
    started = time.monotonic()
    # Whoever ends this ends the daemon and the studio with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _studio(keep) as folder:
        arrived = _perform(folder, _FAST if fast else _CALM, keep=keep is not None)
        say(f"The demo took {time.monotonic() - started:.0f} s.")
    return 0 if arrived else 1


@contextmanager
def _studio(keep: str | None) -> Iterator[Path]:
    """A folder of its own: one that goes at the end, or DIR, which must be empty."""
    if keep is not None:
        yield _kept(Path(keep).expanduser().absolute())
        return
    with tempfile.TemporaryDirectory(prefix="astria-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(os.path.realpath(folder))


def _kept(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty; name a new folder, the demo does not touch what is yours.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _perform(folder: Path, pace: Mapping[str, float], *, keep: bool) -> bool:
    from astria_sync import studio
    from astria_sync.simulator import Options, Simulator

    config = studio.demo_studio(folder, settle=pace["settle"])
    show(click.style(f"A studio: {folder}", bold=True))
    for line in _tree(folder / "inbox"):
        show(line)
    options = Options(train_seconds=pace["train"], generate_seconds=pace["generate"])
    with Simulator(options) as stand_in:
        show()
        show(click.style(f"A stand-in for Astria at {stand_in.base_url}, and the daemon:", bold=True))
        show("  astria-sync --config config.toml run --once")
        show()
        state = folder / "state" / "state.db"
        code = _run_daemon(config, state, stand_in.base_url, stand_in.token)
        wanted = sum(int(entry.facts.get("num_images", 1)) for entry in stand_in.ledger.created_prompts())
    return _ending(folder, state, code, wanted, keep=keep)


def _tree(inbox: Path) -> Iterator[str]:
    """The studio as a person would draw it, the words of each prompt beside it."""
    for path in sorted(inbox.rglob("*")):
        indent = "  " * len(path.relative_to(inbox.parent).parts)
        if path.is_dir():
            photos = sorted(one.name for one in path.glob("*.jpg"))
            yield f"{indent}{path.name}/{f'  {chr(32).join(photos)}' if photos else ''}"
        elif path.suffix != ".jpg":
            yield f"{indent}{path.name:<18}  {_in_a_line(path.read_text('utf-8'))}"


def _in_a_line(text: str) -> str:
    """What a file says: its parameters in brackets, its words, no comments."""
    front, _, body = text.removeprefix("---\n").rpartition("---\n")
    lines = [line for line in body.splitlines() if not line.startswith("# ")]
    return (f"[{', '.join(front.splitlines())}] " if front else "") + " ".join(lines)


# The daemon, and what it does


def _run_daemon(config: Path, state: Path, base_url: str, token: str) -> int:
    """The real daemon, as a process of its own; one line for each thing that changes."""
    environ = {key: value for key, value in os.environ.items() if key not in _IN_THE_WAY}
    # The folders in which programs keep what is theirs: the person's own token must not be found here.
    environ |= {"ASTRIA_BASE_URL": base_url, "ASTRIA_AUTH_TOKEN": token, "HOME": str(config.parent / "state")}
    environ |= {"XDG_RUNTIME_DIR": str(config.parent / "state"), "PYTHONUNBUFFERED": "1"}
    (config.parent / "state").mkdir(exist_ok=True)
    log = config.parent / "state" / "daemon.log"
    run = [
        sys.executable,
        "-m",
        "astria_sync",
        "--config",
        str(config),
        "run",
        "--once",
        "--timeout",
        f"{_PATIENCE:.0f}",
    ]
    with log.open("wb") as written:
        daemon = subprocess.Popen(run, env=environ, stderr=written, cwd=config.parent)  # noqa: S603 - ourselves
        with _ended(daemon):
            _follow(daemon, state)
    if daemon.returncode not in {0, 1}:
        say(
            "The daemon ended unexpectedly; its last words:",
            *log.read_text("utf-8", "replace").splitlines()[-5:],
        )
    return daemon.returncode


_IN_THE_WAY: Final = {
    "ASTRIA_API_KEY",
    "ASTRIA_PROFILE",
    "ASTRIA_SYNC_CONFIG",
    "CREDENTIALS_DIRECTORY",
    "GEMINI_TUNE_ID",
    "NOTIFY_SOCKET",
    "SEEDREAM_TUNE_ID",
    "WATCHDOG_USEC",
    "WORKSPACE_ID",
}


@contextmanager
def _ended(daemon: "subprocess.Popen[bytes]") -> Iterator["subprocess.Popen[bytes]"]:
    """Whatever happens here, the daemon does not outlive it."""
    try:
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(5)
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def _follow(daemon: "subprocess.Popen[bytes]", state: Path) -> None:
    """Tell every change of a state, read as `status` reads it, until the daemon ends."""
    started = time.monotonic()
    known: dict[tuple[str, str], tuple[str, str]] = {}
    while True:
        ended = daemon.poll() is not None
        for item in _items(state):
            key = (item["kind"], item["path"])
            told = (item["state"], item["why"] if item["state"] == "waiting" else "")
            if known.get(key) != told:
                known[key] = told
                show(_change(item, time.monotonic() - started))
        if ended:
            return
        if time.monotonic() - started > _PATIENCE + _GRACE:
            say("The daemon does not end; it is stopped.")
            return
        time.sleep(_LOOK)


def _items(state: Path) -> list[dict[str, Any]]:
    return list(report.snapshot(state, now=time.time(), daemon=_RUNNING, everything=True)["items"][::-1])


def _change(item: Mapping[str, Any], elapsed: float) -> str:
    shades = {"done": "green", "ready": "green", "failed": "red"}
    state = click.style(f"{item['state']:<12}", fg=shades.get(item["state"], "cyan"))
    path = f"{item['path']}{'/' if item['kind'] == 'tune' else ''}"
    words = f"tune {item['id']}" if item["state"] == "ready" else item["why"]
    words = words if len(words) <= _WIDE else words[: _WIDE - 1] + "…"
    return f"  {elapsed:4.1f} s  {visible(path):<22}  {state}  {visible(words)}".rstrip()


# The end


def _ending(folder: Path, state: Path, code: int, wanted: int, *, keep: bool) -> bool:
    from astria_sync import studio

    pictures = report.saved_pictures(state)
    found = report.snapshot(state, now=time.time(), daemon=_RUNNING)
    here = [
        one
        for one in pictures
        if one["location"].is_file() and one["location"].stat().st_size == one["size"] > 0
    ]
    arrived = code == 0 and bool(wanted) and len(here) == wanted and not found["items"]
    show()
    show(click.style(f"{len(here)} of {count(wanted, 'picture')} arrived:", bold=True))
    here.sort(key=lambda one: (one["path"], one["id"], one["n"]))
    for one in here:
        where = one["location"].relative_to(folder)
        show(
            f"  {visible(one['path']):<22}  → {visible(where)}  ({_edges(one['location'])}, {size(one['size'])})"
        )
    show(
        f"Each has a .json beside it, which tells how to make it again. At Astria: {dollars(found['spent']['total_usd'])}."
    )
    show()
    if keep and here:
        sheet = folder / "contact-sheet.jpg"
        studio.contact_sheet([(one["location"], one["path"]) for one in here], sheet)
        show(f"All of them on one sheet: {sheet}")
    _how_to_go_on(folder, keep=keep)
    for problem in found["problems"]:  # a full disk, above all
        say(problem["text"])
    for item in found["items"]:
        say(f"{item['path']}: {item['reason']}")
    return arrived


def _edges(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as picture:
        return f"{picture.width}×{picture.height}"


def _how_to_go_on(folder: Path, *, keep: bool) -> None:
    if keep:
        shutil.rmtree(folder / "state" / "astria-sync", ignore_errors=True)
        show(
            f"The studio stays at {folder}. It belongs to the stand-in; for pictures of your own make another:"
        )
    else:
        example = quoted(Path.home() / "astria-demo")
        show(
            f"The studio is removed now. To keep it and look at the pictures: astria-sync demo --keep {example}"
        )
    show("With an account at Astria:")
    show("  astria-sync init     asks for a folder and the API key (astria.ai/users/edit#api)")
    show("  astria-sync run      and drop photos and prompts into that folder")
