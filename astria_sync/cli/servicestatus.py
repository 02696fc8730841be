"""What `service status` tells of a unit, and what to do about it."""

from collections.abc import Iterator
from typing import Any, Final

from astria_sync.cli.common import Invocation
from astria_sync.cli.serviceunit import RUNS, Place, place_of, wanted_unit
from astria_sync.errors import AstriaSyncError
from astria_sync.installing import out_of_reach
from astria_sync.servicemanager import NO_NAMESPACE, ServiceManager
from astria_sync.unitfile import render

LINES: Final = 5  # of the log


def facts(invocation: Invocation) -> dict[str, Any]:
    """Everything that `service status` tells."""
    place = place_of(invocation)
    manager = ServiceManager(invocation.environ)
    shown = manager.shown(place.unit)
    return {
        "unit": place.unit,
        "file": str(place.file) if place.text else None,
        "installed": bool(place.text),
        "enabled": shown["UnitFileState"] == "enabled",
        "active": shown["ActiveState"],
        "result": "" if shown["ActiveState"] in RUNS else result(shown),
        "exit": int(shown["ExecMainStatus"] or 0),
        "since": shown["ActiveEnterTimestamp"] or None,
        "pid": int(shown["MainPID"] or 0) or None,
        "restarts": int(shown["NRestarts"] or 0),
        "says": shown["StatusText"],
        "linger": manager.lingers(),
        "sandbox": place.sandboxed,
        "lines": manager.lines(place.unit, LINES),
        "do": list(_advice(invocation, manager, place, shown)) if place.text else [_not_there(invocation)],
    }


def _not_there(invocation: Invocation) -> str:
    return f"It is not installed; to install it: {invocation.itself()} service install"


def told(found: dict[str, Any]) -> Iterator[str]:
    if found["installed"]:
        since = f" since {found['since']}" if found["since"] and found["active"] in RUNS else ""
        state = (
            f"{found['active']}{since}"
            if found["active"] in RUNS
            else f"{found['active']} ({found['result']})"
        )
        again = f", started anew {found['restarts']} times" if found["restarts"] else ""
        yield f"{found['unit']}: {state}{again}"
        if found["says"]:
            yield f"  {found['says']}"
        yield f"  starts by itself: {'yes' if found['enabled'] else 'no'}" + (
            ""
            if found["linger"] is None
            else f"; runs while you are logged out: {'yes' if found['linger'] else 'no'}"
        )
    if found["lines"]:
        yield "Last lines of its log:"
        yield from (f"  {line}" for line in found["lines"])
    yield from (f"→ {one}" for one in found["do"])


def result(shown: dict[str, str]) -> str:
    """What became of it, in a few words."""
    words = {
        "exit-code": f"it ended with {shown['ExecMainStatus']}",
        "watchdog": "its watchdog found that nothing moved",
        "timeout": "it did not become ready in time",
        "start-limit-hit": "it ended too often, too quickly",
        "signal": f"it was ended by signal {shown['ExecMainStatus']}",
        "core-dump": f"it was ended by signal {shown['ExecMainStatus']}",
        "oom-kill": "there was no memory left",
        "success": "it was stopped",
    }
    return words.get(shown["Result"], shown["Result"] or "nothing is known of it")


def _advice(
    invocation: Invocation, manager: ServiceManager, place: Place, shown: dict[str, str]
) -> Iterator[str]:
    """What to do, one sentence each."""
    itself = invocation.itself()
    if shown["ActiveState"] not in RUNS:
        by_code = {
            "2": f"The configuration cannot be used; see: {itself} doctor",
            "3": f"Another daemon has the state or a folder; see: {itself} status",
            "4": f"There is no token, or Astria refuses it; see: {itself} doctor",
        }
        code = shown["ExecMainStatus"]
        if code in NO_NAMESPACE:
            why = manager.namespaces_off() or "the sandbox cannot be made on this system"
            yield f"{why[0].upper()}{why[1:]}; write a unit without it: {itself} service install"
        else:
            yield by_code.get(code, f"Start it: systemctl --user restart {place.unit}")
    if not place.ours:
        return
    try:
        wanted = wanted_unit(invocation, namespaces=place.sandboxed)
    except AstriaSyncError as error:
        yield from error.problems
        return
    if closed := out_of_reach(wanted, place.text):
        yield (
            f"The unit does not reach {', '.join(closed)} since the configuration has changed; run: {itself} service install"
        )
    elif _but_for_the_environment(render(wanted)) != _but_for_the_environment(place.text):
        yield f"The unit is of an earlier configuration or version; run: {itself} service install"
    if not wanted.namespaces and not manager.namespaces_off():
        yield f"It runs without its sandbox, which works here by now; run: {itself} service install"


def _but_for_the_environment(text: str) -> list[str]:
    """A terminal's variables differ from one to the next."""
    return [line for line in text.splitlines() if not line.startswith("Environment=")]
