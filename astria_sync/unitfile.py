"""A unit's text, for this machine's configuration or to be put down by hand. Pure: what lies where is told, nothing is looked up.

Homes are hidden from the service, so what it needs of one is bound into its place; elsewhere everything can be read, and what it
writes to is named. A name in front of which stands "-" may be missing at the start.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from astria_sync.hardening import HARDENING, RUNNING, SYSTEM, USER, Option

MARK: Final = "# Written by `astria-sync service install`; it writes it anew, so changes belong into a drop-in (systemctl --user edit)."
_HIDDEN: Final = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - what ProtectHome and PrivateTmp put away
_NEVER: Final = ("/proc", "/sys", "/dev")
_SECRETS: Final = (".ssh", ".gnupg")


class Verbatim(str):
    """A word that is in the language of units already, specifiers (%h) and all."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What differs from one machine to another. Paths are absolute, and as they are called in the configuration."""

    description: str
    command: Sequence[str]
    home: str
    writes: Sequence[str]  # roots, outputs, the state's folder
    reads: Sequence[str] = ()  # configuration, token, the program itself; those in a home
    environment: Sequence[tuple[str, str]] = ()
    sockets: Sequence[str] = (Verbatim("%t/systemd/notify"),)  # in /run/user, which is hidden
    kind: str = USER
    namespaces: bool = True
    user: str = ""  # in the system's unit: whose files they are
    head: Sequence[str] = (MARK,)


def unreachable(path: str, home: str) -> str:
    """Why a service cannot have this folder as its own, as the end of a sentence; "" if it can."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "has a name that is no UTF-8, which no unit can hold; rename it"
    if re.search(r"[\x00-\x1f\x7f]", path):
        return "has a control character in its name, which no unit can hold; rename it"
    for top in _NEVER:
        if _below(path, top):
            return f"lies in {top}, which no service may change; take another folder"
    for name in _SECRETS:
        if _below(path, f"{home}/{name}"):
            return f"lies in ~/{name}, which is shut to the service; take another folder"
    if _below(home, path):
        return (
            "is, or contains, your whole home folder, which the sandbox is there to keep; take a folder in it"
        )
    return ""


def render(unit: Unit) -> str:
    """The unit's text."""
    return "\n".join([*_lines(unit), ""])


def _lines(unit: Unit) -> Iterator[str]:
    yield from unit.head
    yield "[Unit]"
    yield f"Description={escaped(unit.description)}"
    if unit.kind == SYSTEM:
        yield "# Only for the order at the start: without a network it works too, and sends things when there is one."
        yield "After=network-online.target"
        yield "Wants=network-online.target"
    yield "# What ends five times in ten minutes wants a person."
    yield "StartLimitIntervalSec=600"
    yield "StartLimitBurst=5"
    yield ""
    yield "[Service]"
    if unit.kind == SYSTEM:
        yield f"User={unit.user}"
    for name, value in unit.environment:
        yield f"Environment={quoted(f'{name}={value}')}"
    yield f"ExecStart={' '.join(word(one) for one in unit.command)}"
    yield "# Reads the configuration again; a broken one is told, and the old one goes on. The shell's own kill is always there."
    yield "ExecReload=/bin/sh -c 'kill -HUP ${MAINPID}'"
    for option in running(unit.kind):
        yield from _option(option)
    yield ""
    for option in hardening(unit.kind, namespaces=unit.namespaces):
        yield from _option(option)
    if unit.namespaces:
        yield ""
        yield from _places(unit)
    yield ""
    yield "[Install]"
    yield f"WantedBy={'default' if unit.kind == USER else 'multi-user'}.target"


def running(kind: str) -> list[Option]:
    """What this kind of unit says of how it runs."""
    return [option for option in RUNNING if option.only in {"", kind}]


def hardening(kind: str, *, namespaces: bool = True) -> list[Option]:
    """What this kind of unit has of it."""
    return [
        option for option in HARDENING if option.only in {"", kind} and (namespaces or not option.namespaces)
    ]


def _option(option: Option) -> Iterator[str]:
    yield f"# {option.why[0].upper()}{option.why[1:]}."
    yield f"{option.name}={option.value}"


def _places(unit: Unit) -> Iterator[str]:
    if not isinstance(unit.home, Verbatim) and not any(_below(unit.home, top) for top in _HIDDEN):
        yield f"TemporaryFileSystem={quoted(f'{unit.home}:ro')}"
    yield "# What it writes: watched roots (error files), outputs, the state."
    for path in dict.fromkeys(unit.writes):
        yield f"{'BindPaths' if hidden(path, unit.home) else 'ReadWritePaths'}=-{quoted(path)}"
    reads = [
        path for path in dict.fromkeys(unit.reads) if hidden(path, unit.home) and path not in unit.writes
    ]
    if reads:
        yield "# What it reads: configuration, token, and the program where it lies in a home."
    for path in reads:
        yield f"BindReadOnlyPaths=-{quoted(path)}"
    if unit.kind == USER:
        yield "# The way to systemd, and to the desktop where there is one."
        for path in unit.sockets:
            yield f"BindPaths=-{quoted(path)}"
    yield "# Never, whatever is bound above."
    for name in _SECRETS:
        yield f"InaccessiblePaths=-{quoted(_inside(unit.home, name))}"


def _inside(home: str, name: str) -> str:
    return type(home)(f"{home}/{name}")


def places(unit: Unit) -> list[str]:
    """The lines of a unit that open the sandbox, to tell whether one that is installed still fits."""
    return [
        line
        for line in render(unit).splitlines()
        if line.startswith(("BindPaths=", "ReadWritePaths=", "BindReadOnlyPaths="))
    ]


def hidden(path: str, home: str) -> bool:
    """Whether a place is put away by the sandbox."""
    if isinstance(path, Verbatim):
        return path.startswith(("%h", "%t", "/home/"))
    return any(_below(path, top) for top in (*_HIDDEN, home))


def _below(path: str, top: str) -> bool:
    return PurePosixPath(path).is_relative_to(PurePosixPath(top))


# The language of units: systemd.syntax(7), systemd.unit(5) on specifiers, systemd.service(5) on command lines


def escaped(text: str) -> str:
    """A text in which % is no specifier."""
    return text if isinstance(text, Verbatim) else text.replace("%", "%%")


def quoted(text: str) -> str:
    """One word of a list, whatever is in it: blanks, quotes, backslashes, colons, percent signs."""
    if isinstance(text, Verbatim):
        return text
    inner = escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"' if re.search(r"[^\w./@+,%~=-]", inner) else inner


def word(text: str) -> str:
    """One word of a command line: there a dollar sign stands for a variable too."""
    if isinstance(text, Verbatim):
        return text
    inner = quoted(text.replace("$", "$$"))
    return f'"{inner}"' if inner in {"", ";"} else inner
