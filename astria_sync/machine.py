"""What `doctor` looks at beside folders: packages, systemd and its unit, notifications. Nothing is changed, and nothing waited for long."""

import os
import pwd
import queue
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Final

from astria_sync import desktop, hook, kernel
from astria_sync.settings import Settings
from astria_sync.surroundings import ERROR, OK, WARNING, Check

_PATIENCE: Final = 5.0  # seconds for systemctl: its manager may hang
_ASKED: Final = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "ExecMainStatus",
    "NRestarts",
)
_LINGER: Final = Path("/var/lib/systemd/linger")


def patiently(
    look: Callable[[], Iterable[Check]], *, seconds: float, late: Iterable[Check]
) -> Iterator[Check]:
    """What a look finds, or `late` if it does not come back in time: a share whose server is gone keeps whoever asks it, for ever."""
    came: queue.SimpleQueue[list[Check] | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            came.put(list(look()))
        except BaseException as error:  # noqa: BLE001 - told where it is waited for
            came.put(error)

    threading.Thread(target=work, name="doctor", daemon=True).start()
    try:
        found = came.get(timeout=seconds)
    except queue.Empty:
        yield from late
        return
    if isinstance(found, BaseException):
        raise found
    yield from found


def on_disk(look: Callable[[], Iterable[Check]], about: str, what: object, seconds: float) -> Iterator[Check]:
    """The same for what lies on a disk."""
    do = "if it is on a share, see whether its server is there; else its disk may be failing (dmesg)"
    text = f"{what} has not answered within {seconds:g} s."
    return patiently(look, seconds=seconds, late=[Check(about=about, level=ERROR, text=text, do=do)])


def packages() -> Iterator[Check]:
    """What astria-sync is built on, and whether all of it is there."""
    try:
        needed = metadata.requires("astria-sync") or ()
    except metadata.PackageNotFoundError:  # run from a checkout
        return
    found, missing = [], []
    for requirement in needed:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if "extra ==" in requirement:
            continue
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        do = "install astria-sync again"
        yield Check(about="packages", level=ERROR, text=f"{', '.join(missing)} is missing.", do=do)
    yield Check(about="packages", level=OK, text=", ".join(found))


# systemd


def unit(profile: str | None, environ: Mapping[str, str]) -> Iterator[Check]:
    """The service of this user that runs astria-sync, and whether its sandbox can be had."""
    name = f"astria-sync@{profile}.service" if profile else "astria-sync.service"
    program = shutil.which("systemctl", path=environ.get("PATH", os.defpath))
    if program is None:
        yield Check(
            about="service",
            level=OK,
            text="There is no systemd here; `astria-sync run` is started by other means.",
        )
        return
    told, wrong = _asked([program, "--user", "show", name, f"--property={','.join(_ASKED)}"], environ)
    facts = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    if wrong or "LoadState" not in facts:
        text = f"systemd's user manager cannot be asked whether {name} runs ({wrong or 'no answer'})."
        do = "nothing, if you start `astria-sync run` yourself; else log in as this user, not by su or sudo"
        yield Check(about="service", level=OK, text=text, do=do)
        return
    yield judge_unit(name, facts, lingers=_lingers())
    if facts["LoadState"] == "loaded":
        yield from sandbox()


def _asked(words: list[str], environ: Mapping[str, str]) -> tuple[str, str]:
    """What a program says, and what went wrong."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of the system's, with words of ours
            words,
            env=hook.environment(environ) | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {_PATIENCE:g} s"
    except OSError as error:
        return "", str(error.strerror)
    wrong = " ".join(done.stderr.split())[:200] or f"it ended with {done.returncode}"
    return done.stdout, wrong if done.returncode else ""


def judge_unit(name: str, facts: Mapping[str, str], *, lingers: bool) -> Check:
    """One line on a unit, from what `systemctl show` tells."""
    state, result = facts.get("ActiveState", ""), facts.get("Result", "")
    loaded, enabled = facts["LoadState"], facts.get("UnitFileState", "")
    if loaded == "not-found":
        return Check(
            about="service",
            level=OK,
            text=f"{name} is not installed.",
            do="to have it: astria-sync service install",
        )
    journal = f"journalctl --user -u {name} -n 30"
    if loaded != "loaded":
        text = f"{name} cannot be used by systemd ({loaded})."
        return Check(about="service", level=ERROR, text=text, do=f"systemctl --user status {name}")
    if state == "failed":
        text = f"{name} has failed ({result}, exit status {facts.get('ExecMainStatus', '?')})."
        return Check(
            about="service", level=ERROR, text=text, do=f"{journal}; then systemctl --user restart {name}"
        )
    if facts.get("SubState") == "auto-restart":
        text = f"{name} is started again and again ({facts.get('NRestarts', '?')} times by now)."
        return Check(about="service", level=WARNING, text=text, do=journal)
    if state not in {"active", "activating", "reloading"}:
        text = f"{name} is installed and does not run."
        return Check(about="service", level=WARNING, text=text, do=f"systemctl --user start {name}")
    if enabled == "disabled":
        text = f"{name} runs, and is not started at the next login."
        return Check(about="service", level=WARNING, text=text, do=f"systemctl --user enable {name}")
    if not lingers:
        text = f"{name} runs, until you log out."
        return Check(
            about="service", level=OK, text=text, do="to have it run without you: loginctl enable-linger"
        )
    return Check(about="service", level=OK, text=f"{name} runs, also while you are logged out.")


def _lingers() -> bool:
    with suppress(KeyError, OSError):
        return (_LINGER / pwd.getpwuid(os.getuid()).pw_name).exists()
    return False


def sandbox() -> Iterator[Check]:
    """A user's service can only be shut in where users may make namespaces."""
    if setting := kernel.no_user_namespaces():
        now, then = setting
        text = f"This system keeps users from making namespaces ({now}): the service runs without parts of its sandbox."
        do = f"nothing, if that is meant to be so; else a file in /etc/sysctl.d/ with {then}"
        yield Check(about="sandbox", level=WARNING, text=text, do=do)
    else:
        yield Check(about="sandbox", level=OK, text="user namespaces can be had")


# Notifications


def notifications(settings: Settings, environ: Mapping[str, str], home: Path) -> Iterator[Check]:
    """Whether what is to be told can be."""
    notify = settings.notify
    if not notify.desktop and not notify.command:
        yield Check(about="notify", level=OK, text="off")
    if notify.desktop:
        wrong = desktop.obstacle(environ)
        do = "mend that, or write desktop = false into [notify]" if wrong else ""
        text = f"The desktop cannot be told: {wrong}." if wrong else "on the desktop, by notify-send"
        yield Check(about="notify", level=WARNING if wrong else OK, text=text, do=do)
    if notify.command:
        folder = settings.file.parent if settings.file else None
        words = hook.command_line(notify.command, home=home, folder=folder)
        wrong = hook.obstacle(words[0], environ)
        do = f"chmod +x {words[0]}, or correct command in [notify]" if wrong else ""
        text = f"The command cannot be run: {wrong}." if wrong else f"by {words[0]}"
        yield Check(about="notify", level=ERROR if wrong else OK, text=text, do=do)
