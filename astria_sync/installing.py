"""Which unit this machine's configuration wants: what it must reach, and whether it can."""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astria_sync.errors import ConfigError, NotAuthorised, UsageError
from astria_sync.hardening import SYSTEM
from astria_sync.rootlocks import meeting_places
from astria_sync.secrets import VARIABLES, find_token
from astria_sync.settings import Settings
from astria_sync.unitfile import Unit, Verbatim, hidden, quoted, unreachable

# What a terminal may say that a service does not hear: none of it is a secret that the service could do without.
_HEARD: Final = (
    "ASTRIA_BASE_URL",
    "ASTRIA_PROFILE",
    "WORKSPACE_ID",
    "GEMINI_TUNE_ID",
    "SEEDREAM_TUNE_ID",
    "XDG_CONFIG_HOME",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "PYTHONPATH",
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """How this program was started, and what it is made of."""

    python: str
    places: Sequence[str]  # prefixes, folders with modules


def unit_name(profile: str | None) -> str:
    """A unit for each profile; raises UsageError for a name that no unit can have."""
    if profile is None:
        return "astria-sync.service"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", profile):
        raise UsageError(f"A unit's name takes no {profile!r}; rename the profile with letters from a to z.")
    return f"astria-sync@{profile}.service"


def unit_for(
    settings: Settings,
    *,
    profile: str | None,
    program: Program,
    environ: Mapping[str, str],
    home: Path,
    namespaces: bool,
) -> Unit:
    """The unit; raises ConfigError naming every folder that a service cannot have."""
    top = os.path.realpath(home) if not home.is_absolute() else str(home)
    writes = list(dict.fromkeys(_both(_writes(settings, home))))
    if namespaces:
        _refuse(settings, writes, top)
    which = ["--profile", profile] if profile else ["--config", str(settings.file)] if settings.file else []
    sockets: list[str] = [Verbatim("%t/systemd/notify")]
    if settings.notify.desktop:
        sockets.append(Verbatim("%t/bus"))
    return Unit(
        description=f"astria-sync{f' ({profile})' if profile else ''}: folders of photos and prompts to Astria, pictures back",
        command=(program.python, "-P", "-m", "astria_sync", *which, "run"),
        home=top,
        writes=writes,
        reads=_outermost(
            path for path in _both(_reads(settings, program, home)) if not unreachable(path, top)
        ),
        environment=[(name, environ[name]) for name in _HEARD if environ.get(name)],
        sockets=sockets,
        namespaces=namespaces,
    )


def template_for(command: Sequence[str]) -> Unit:
    """The system's unit, whose instances are users, with `command` as the program; their homes lie in /home, as `init` leaves them."""

    def home(*paths: str) -> list[str]:
        return [Verbatim(f"/home/%i{path}") for path in paths]

    return Unit(
        description=Verbatim("astria-sync for %i: folders of photos and prompts to Astria, pictures back"),
        command=command,
        home=home("")[0],
        writes=home("/Astria", "/.local/state/astria-sync"),
        reads=home("/.config/astria-sync", "/.astria"),
        kind=SYSTEM,
        user="%i",
        head=(
            "# For the system's systemd: runs as user NAME from boot on, with NAME's own configuration, token and state. Installed as",
            "# /etc/systemd/system/astria-sync@.service: sudo systemctl enable --now astria-sync@NAME",
            "# Install the program for all (/usr/local or /opt), since homes are hidden. NAME uses status, retry … as ever.",
        ),
    )


def _refuse(settings: Settings, writes: Sequence[str], home: str) -> None:
    """Raise ConfigError with each folder that no sandbox can have as its own."""
    if unreachable(folder := str(settings.state.parent), home):
        raise ConfigError(
            f"The state {settings.state} lies in {folder} itself, which would be open to the service as a whole; "
            "give `state` a folder of its own."
        )
    if wrong := [f"{path} {why}." for path in writes if (why := unreachable(path, home))]:
        raise ConfigError(*wrong)


def make_folders(settings: Settings, home: Path) -> None:
    """Before the service starts: what is not there then is not let in."""
    from astria_sync.disk import make_private_folder

    make_private_folder(settings.state.parent)
    make_private_folder(home / ".local" / "state" / "astria-sync")
    for watch in settings.watch:
        try:
            watch.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"The output {watch.output} cannot be made ({error.strerror}); make it."
            ) from None


def check_token(settings: Settings, *, environ: Mapping[str, str], home: Path) -> None:
    """Raise NotAuthorised unless a service finds the token: it has none of a terminal's variables."""
    without = {name: value for name, value in environ.items() if name not in VARIABLES}
    if find_token(settings.astria, environ=without, home=home):
        return
    said = next((name for name in VARIABLES if environ.get(name, "").strip()), None)
    file = settings.astria.token_file
    if said:
        raise NotAuthorised(
            f"The token stands only in ${said}, which a service does not see; put it into {file} (chmod 600), "
            "or run: astria-sync init --token-stdin"
        )
    raise NotAuthorised(
        f"There is no token; put Astria's API key into {file} (chmod 600), or run: astria-sync init"
    )


def _writes(settings: Settings, home: Path) -> Iterator[str]:
    for watch in settings.watch:
        yield str(watch.path)
        yield str(watch.output)
    yield str(settings.state.parent)
    yield str(meeting_places({}, home)[0].parent)


def _reads(settings: Settings, program: Program, home: Path) -> Iterator[str]:
    if settings.file:
        folder = settings.file.parent
        # As a folder, so that an editor's new file in the old one's place is seen.
        yield str(settings.file if home.is_relative_to(folder) else folder)
    yield str(settings.astria.token_file)
    if (home / ".astria").is_dir():
        yield str(home / ".astria")
    yield from program.places
    yield from _hook(settings.notify.command, home)


def _hook(command: str, home: Path) -> Iterator[str]:
    """Files that the hook names; what else it wants a drop-in can give it."""
    try:
        words = shlex.split(command)
    except ValueError:
        return
    for one in words:
        path = home / one[2:] if one.startswith("~/") else Path(one)
        if path.is_absolute() and path.is_file():
            yield str(path)


def _both(paths: Iterable[str]) -> Iterator[str]:
    """Each as it is called, and where that leads by links: both names are to lead to it."""
    for path in paths:
        plain = os.path.normpath(path)
        yield plain
        if (real := os.path.realpath(plain)) != plain:
            yield real


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without those that lie in another."""
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(Path(path).is_relative_to(one) for one in kept):
            kept.append(path)
    return kept


def out_of_reach(wanted: Unit, text: str) -> list[str]:
    """Folders that the configuration names and an installed unit does not let its service into."""
    if "PrivateUsers=yes" not in text:
        return []  # a unit without a sandbox
    lines = set(text.splitlines())

    def lets_in(path: str, *keys: str) -> bool:
        above = [path, *map(str, Path(path).parents)]
        return any(f"{key}=-{quoted(one)}" in lines for one in above for key in keys)

    closed = [path for path in wanted.writes if not lets_in(path, "BindPaths", "ReadWritePaths")]
    reads = (path for path in wanted.reads if hidden(path, wanted.home))
    return closed + [path for path in reads if not lets_in(path, "BindPaths", "BindReadOnlyPaths")]
