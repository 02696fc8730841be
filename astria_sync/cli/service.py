"""`service`: the systemd user service. It is written for this machine's configuration, and leaves nothing behind when it goes."""

import shutil
import sys
from contextlib import suppress
from pathlib import Path

import click

from astria_sync.cli.common import (
    Invocation,
    group,
    json_option,
    pass_invocation,
    say,
    show,
    show_json,
    visible,
)
from astria_sync.cli.common import command as _command
from astria_sync.cli.servicestatus import LINES, facts, result, told
from astria_sync.cli.serviceunit import RUNS, Place, installed_in, place_of, wanted_unit
from astria_sync.errors import AstriaSyncError, ConfigError, StateLocked, UsageError
from astria_sync.installing import check_token, make_folders, template_for
from astria_sync.servicemanager import NO_NAMESPACE, ServiceManager
from astria_sync.unitfile import hidden, render


@group(
    "service install",
    "service status",
    "--profile work service install",
    "service uninstall",
    "service template",
    short_help="Have systemd keep it running: install, uninstall, status.",
)
def service() -> None:
    """The systemd user service: astria-sync without a terminal, from login on (or from boot on, with lingering)."""


@_command("service install", "service install --print", of=service)
@click.option("--no-start", is_flag=True, help="Write it, and start it at the next login only.")
@click.option("--print", "printed", is_flag=True, help="Show the unit; change nothing.")
@pass_invocation
def install(invocation: Invocation, *, no_start: bool, printed: bool) -> int:
    """Write the unit for this configuration, and start it now and at every login.

    Called again after the configuration has changed it writes the unit anew: a service reaches only the folders that the unit
    names. Its log: journalctl --user -u astria-sync.
    """
    from astria_sync import config

    settings = invocation.settings()
    config.require_watches(settings)
    if problems := config.check_roots(settings):
        raise ConfigError(*problems)
    if printed:
        show(render(wanted_unit(invocation, namespaces=True)).rstrip())
        return 0
    manager = ServiceManager(invocation.environ)
    place = place_of(invocation)
    if place.text and not place.ours:
        raise UsageError(
            f"{place.file} is there and was not written by astria-sync; move it away, or change it by hand."
        )
    off = manager.namespaces_off()
    unit = wanted_unit(invocation, namespaces=not off)
    check_token(settings, environ=invocation.environ, home=invocation.home)
    _refuse_second_daemon(manager, place, settings.state)
    make_folders(settings, invocation.home)
    changed = _write(manager, place, render(unit))
    if off:
        _warn_open(off)
    if no_start:
        say("It starts at the next login, or with: systemctl --user start " + place.unit)
    else:
        _start(invocation, manager, place, changed=changed, sandboxed=unit.namespaces)
    _tell_linger(manager)
    return 0


def _refuse_second_daemon(manager: ServiceManager, place: Place, state: Path) -> None:
    """A daemon in a terminal has the state: the service would end at once, and stay ended."""
    from astria_sync.lock import holder

    other = holder(state)
    if other and manager.shown(place.unit)["ActiveState"] not in RUNS:
        raise StateLocked(f"{state} is in use by {other.who}; stop that one first, then install the service.")


def _write(manager: ServiceManager, place: Place, text: str) -> bool:
    """Whether anything was changed by it."""
    from astria_sync.studio import write_private

    before = place.text
    if before != text:
        place.file.parent.mkdir(parents=True, exist_ok=True)
        write_private(place.file, text)
        manager.do("daemon-reload")
    manager.do("enable", place.unit)
    if before == text:
        say(f"{place.file} is there already, and fits the configuration.")
    else:
        say(f"{place.file} is {'brought up to date' if before else 'written'}.")
    return before != text


def _start(
    invocation: Invocation, manager: ServiceManager, place: Place, *, changed: bool, sandboxed: bool
) -> None:
    shown = manager.shown(place.unit)
    if shown["ActiveState"] == "active" and not changed:
        say("It runs.")
        return
    said = manager.start(place.unit)
    shown = manager.shown(place.unit)
    if said.code > 0 and sandboxed and shown["ExecMainStatus"] in NO_NAMESPACE:
        _write(manager, place, render(wanted_unit(invocation, namespaces=False)))
        _warn_open("this system lets no service of yours have mounts of its own")
        said = manager.start(place.unit)
        shown = manager.shown(place.unit)
    if said.code == 0:
        say("It runs, and starts by itself from now on.")
    elif shown["ActiveState"] in RUNS:
        say(
            f"It is starting ({shown['StatusText'] or 'the first look at all folders takes a while'}); see: "
            f"{invocation.itself()} service status"
        )
    else:
        lines = manager.lines(place.unit, LINES)
        raise AstriaSyncError(
            f"It does not start ({result(shown)}).", *lines, f"See: {invocation.itself()} service status"
        )


def _warn_open(why: str) -> None:
    say(
        f"Warning: {why}, so the service runs without its sandbox: it could read your whole home folder. "
        "Run `astria-sync service install` again when that has changed."
    )


def _tell_linger(manager: ServiceManager) -> None:
    lingers = manager.lingers()
    if lingers:
        say("It runs while you are logged out, too; `loginctl disable-linger` ends that.")
    elif lingers is False:
        say("It runs while you are logged in; for longer, from boot on: loginctl enable-linger")


@_command(
    "service template | sudo tee /etc/systemd/system/astria-sync@.service > /dev/null",
    of=service,
)
@pass_invocation
def template(invocation: Invocation) -> None:
    """Show the unit for the system's systemd, whose `astria-sync@NAME` runs for the user NAME; change nothing.

    For an administrator, on a server where nobody logs in. The program has to lie where everybody may read it.
    """
    for place in installed_in():
        if hidden(place, str(invocation.home)):
            raise UsageError(
                f"The program lies in {place}, where the system's service sees nothing; install it for all, in /opt or /usr/local."
            )
    show(render(template_for((sys.executable, "-P", "-m", "astria_sync", "run"))).rstrip())


@_command("service uninstall", of=service)
@pass_invocation
def uninstall(invocation: Invocation) -> int:
    """Stop the service and remove its unit, with all that systemd keeps of it.

    Configuration, token, state and pictures stay: those are yours. Work under way is taken up by the next `astria-sync run`.
    """
    place = place_of(invocation)
    dropins = place.file.with_name(f"{place.unit}.d")
    if not place.text:
        say(f"There is no {place.unit}; nothing was to be removed.")
        return 0
    if not place.ours:
        raise UsageError(f"{place.file} was not written by astria-sync; remove it by hand.")
    manager: ServiceManager | None = None
    left = ""
    try:
        manager = ServiceManager(invocation.environ)
        manager.do("disable", "--now", place.unit)
    except AstriaSyncError as error:
        say(*error.problems)
        left = f" If {place.unit} runs, it goes on until you log out or the machine starts anew."
    place.file.unlink()
    for wants in place.file.parent.glob("*.wants"):
        (wants / place.unit).unlink(missing_ok=True)
    if dropins.is_dir():
        shutil.rmtree(dropins)
    for folder in (*place.file.parent.glob("*.wants"), place.file.parent, place.file.parent.parent):
        with suppress(OSError):
            folder.rmdir()  # if it is empty: then nothing else is in it
    if manager:
        manager.systemctl("daemon-reload")
        manager.systemctl("reset-failed", place.unit)
    say(f"{place.file} is removed. Configuration, token, state and pictures are where they were.{left}")
    return 0


@_command("service status", "service status --json", of=service)
@json_option
@pass_invocation
def status(invocation: Invocation, *, as_json: bool) -> int:
    """Whether the service is installed and runs, since when, its last lines, and what to do. Ends with 1 unless it runs."""
    found = facts(invocation)
    if as_json:
        show_json(found)
    else:
        for line in told(found):
            show(visible(line))
    return int(not found["installed"] or found["active"] not in RUNS)
