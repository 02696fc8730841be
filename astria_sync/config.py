"""The configuration: a TOML file, the environment and the official client's file, as frozen settings.

Precedence: environment, file, the official client's file, defaults. Everything that is wrong is told at once.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from astria_sync import modelnames
from astria_sync.contradictions import base_url, contradictions, patterns
from astria_sync.errors import ConfigError, FileProblem, UsageError
from astria_sync.settings import (
    DEFAULT_PROMPT,
    DEFAULT_TUNE,
    TABLES,
    TOP,
    WATCH,
    WORKSPACE,
    Astria,
    Limits,
    Models,
    Notify,
    Pull,
    Settings,
    Timing,
    Watch,
)
from astria_sync.validate import check, read_toml

__all__ = ["Astria", "Limits", "Models", "Notify", "Pull", "Settings", "Timing", "Watch"]
__all__ += ["check_roots", "find", "load", "official_client", "require_watches"]

STATE_FOLDER = ".local/state/astria-sync"
TOKEN_FILE = ".config/astria-sync/token"  # noqa: S105 - where it is, not what it is


def find(path: Path | None, *, profile: str | None, environ: Mapping[str, str], home: Path) -> Path:
    """Where the configuration is looked for, whether or not it is there."""
    if path is not None and profile is not None:
        raise UsageError("--config and --profile cannot be given together; a profile is a file of its own.")
    if path is not None:
        return _expand(str(path), home).absolute()
    if profile is not None:
        if not re.fullmatch(r"[\w-][\w.-]*", profile):
            raise UsageError(f"--profile takes a plain name, such as work, and not {profile!r}.")
        return _config_folder(environ, home) / f"{profile}.toml"
    if named := environ.get("ASTRIA_SYNC_CONFIG"):
        return _expand(named, home).absolute()
    return _config_folder(environ, home) / "config.toml"


def load(
    path: Path | None,
    *,
    profile: str | None,
    environ: Mapping[str, str],
    home: Path,
    any_model: bool = False,
) -> Settings:
    """The settings, or a ConfigError with everything that is wrong; without any file, the defaults.

    `any_model`: the default model may be one that is not known, as for whoever is about to ask Astria which there are.
    """
    file = find(path, profile=profile, environ=environ, home=home)
    try:
        table = read_toml(file.read_bytes(), where=str(file))
    except FileNotFoundError:
        if path is not None or profile is not None or environ.get("ASTRIA_SYNC_CONFIG"):
            raise ConfigError(
                f"There is no configuration at {file}; make one with `astria-sync init`, or name another."
            ) from None
        return _Loader(None, {}, environ, home).settings(
            home / STATE_FOLDER / "state.db", any_model=any_model
        )
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from None
    except FileProblem as error:
        raise ConfigError(*error.problems) from None
    usual = home / STATE_FOLDER / f"{profile or 'state'}.db"
    found = _Loader(file, table, environ, home).settings(usual, any_model=any_model)
    return dataclasses.replace(found, itself=f"astria-sync --profile {profile}") if profile else found


def official_client(environ: Mapping[str, str], home: Path) -> tuple[Path, dict[str, str]]:
    """The file of Astria's own command-line client, and what it holds of `api_key`, `base_url`, `workspace_id`."""
    profile = environ.get("ASTRIA_PROFILE")
    file = home / ".astria" / (f"config.{profile}.json" if profile else "config.json")
    try:
        table = msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except OSError:  # not there, or hidden from a service: it is one of several places to look
        return file, {}
    except (msgspec.DecodeError, ValueError):
        raise ConfigError(
            f"{file}, of the official client, is not a JSON object; mend it or move it away."
        ) from None
    keys = ("api_key", "base_url", "workspace_id")
    return file, {
        key: str(table[key]) for key in keys if isinstance(table.get(key), str | int) and table[key]
    }


def require_watches(settings: Settings) -> None:
    if not settings.watch:
        where = settings.file or "The configuration"
        raise ConfigError(
            f"{where} has no [[watch]]; add one with a path, or make a first one with `astria-sync init`."
        )


def check_roots(settings: Settings) -> list[str]:
    """A sentence for each watched root that is not there, which may just be a disk that is not mounted."""
    return [
        f"{watch.path} is to be watched, but {'is no folder' if watch.path.exists() else 'does not exist'}; "
        "make the folder, mount its disk, or change the path in the configuration."
        for watch in settings.watch
        if not watch.path.is_dir()
    ]


def _config_folder(environ: Mapping[str, str], home: Path) -> Path:
    base = Path(environ.get("XDG_CONFIG_HOME") or ".")
    return (base if base.is_absolute() else home / ".config") / "astria-sync"


def _expand(text: str, home: Path) -> Path:
    return home / text[2:] if text == "~" or text.startswith("~/") else Path(text)


class _Loader:
    """One pass over one configuration, collecting problems."""

    def __init__(
        self, file: Path | None, table: Mapping[str, Any], environ: Mapping[str, str], home: Path
    ) -> None:
        self.file, self.environ, self.home = file, environ, home
        self.top, self.problems = check(table, TOP, where=str(file))

    def settings(self, usual: Path, *, any_model: bool) -> Settings:
        tables = {key: self.table(key) for key in TABLES}
        tune, prompt = self.defaults()
        state = self.path(self.top["state"]) if "state" in self.top else usual
        astria = self.astria(tables["astria"])
        settings = Settings(
            file=self.file,
            state=state,
            astria=astria,
            models=self.models(state, astria.base_url, any_model=any_model),
            timing=Timing(**tables["timing"]),
            limits=Limits(**tables["limits"]),
            tune={**DEFAULT_TUNE, **tune},
            prompt={**DEFAULT_PROMPT, **prompt},
            pull=Pull(**tables["pull"]),
            watch=tuple(self.watches()),
            notify=Notify(**tables["notify"]),
        )
        self.problems += contradictions(settings, self.where)
        if self.problems:
            raise ConfigError(*dict.fromkeys(self.problems))
        return settings

    def where(self, section: str) -> str:
        return f"{self.file}, [{section}]"

    def table(self, key: str) -> dict[str, Any]:
        values, wrong = check(self.top.get(key, {}), TABLES[key], where=self.where(key))
        self.problems += wrong
        return values

    def defaults(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What `[tune]` and `[prompt]` say."""
        if not (self.top.get("tune") or self.top.get("prompt")):
            return {}, {}
        # Here, since all that can be said of tunes and prompts is no light thing.
        from astria_sync import tunefile

        where = self.where("tune")
        tune, wrong = check(self.top.get("tune", {}), tunefile.INHERITED, where=where)
        self.problems += [*wrong, *tunefile.check_characteristics(tune, where=where)]
        prompt, wrong = tunefile.check_prompt(self.top.get("prompt", {}), where=self.where("prompt"))
        self.problems += wrong
        return tune, prompt

    def path(self, text: str) -> Path:
        return (self.file.parent if self.file else self.home) / _expand(text, self.home)

    def astria(self, values: dict[str, Any]) -> Astria:
        source, url = self.first("base_url", "ASTRIA_BASE_URL", values)
        if url is not None:
            values["base_url"] = url.rstrip("/")
            self.problems += base_url(url, source)
        source, workspace = self.first("workspace_id", "WORKSPACE_ID", values)
        if workspace is not None:
            values["workspace_id"] = workspace
            self.problems += check({"workspace_id": workspace}, {"workspace_id": WORKSPACE}, where=source)[1]
        values["token_file"] = (
            self.path(values["token_file"]) if "token_file" in values else self.home / TOKEN_FILE
        )
        return Astria(**values)

    def first(self, key: str, variable: str, values: Mapping[str, Any]) -> tuple[str, str | None]:
        """The value that comes first, and where it came from, for the person who must mend it there."""
        if self.environ.get(variable):
            return f"${variable}", self.environ[variable].strip()
        if key in values:
            return self.where("astria"), str(values[key])
        try:
            client_file, client = official_client(self.environ, self.home)
        except ConfigError as error:
            self.problems += error.problems
            return "", None
        return str(client_file), client.get(key)

    def models(self, state: Path, base_url: str, *, any_model: bool) -> Models:
        known = modelnames.load(state, base_url)
        models, wrong = modelnames.configured(
            self.top.get("models", {}), self.environ, known, where=self.where("models"), any_model=any_model
        )
        self.problems += wrong
        return models

    def watches(self) -> Iterator[Watch]:
        for number, table in enumerate(self.top.get("watch", ()), start=1):
            where = f"{self.file}, [[watch]] number {number}"
            values, wrong = check(table, WATCH, where=where)
            self.problems += wrong
            self.problems += patterns(values.get("ignore", ()), where=where)
            if "path" not in table:
                self.problems.append(f"{where}: path is missing; name the folder to watch.")
            if "path" not in values:
                continue
            path = self.path(values.pop("path"))
            output = values.pop("output", None)
            if "workspace_id" in values:
                values["workspace_id"] = str(values["workspace_id"])
            beside = Path(f"{path.resolve() if path.name == '..' else path}-output")
            yield Watch(path=path, output=self.path(output) if output else beside, **values)
