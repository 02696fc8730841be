"""What can be configured: frozen dataclasses, which are the table of keys too.

What a field's annotation says is what a person may write for it; `config` turns files and the environment into these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from msgspec import Meta

from astria_sync.core.catalog import Catalog
from astria_sync.validate import Either, Id, Line, nearest

BUILTIN_MODELS: Mapping[str, int] = {
    "gemini": 3618064,
    "seedream": 3691308,
    "gpt-image-2": 4665564,
    "flux": 1504944,
}
DEFAULT_TUNE: Mapping[str, Any] = {"model_type": "faceid"}
# One picture unless more are asked for: what Astria makes by itself is the account's setting, and costs.
DEFAULT_PROMPT: Mapping[str, Any] = {"num_images": 1}

_Seconds = Annotated[float, Meta(gt=0, le=1e9)]
_SecondsOrNone = Annotated[float, Meta(ge=0, le=1e9)]
_Count = Annotated[int, Meta(ge=1, le=1000)]
WORKSPACE = Either((*Id.types, Literal["all"]), 'the number of a workspace, or "all"')
MODEL_ID = Either(Id.types, "a tune id")


@dataclass(frozen=True, kw_only=True)
class Astria:
    base_url: str = "https://api.astria.ai"
    token_file: Path
    workspace_id: str | None = None
    timeout_seconds: _Seconds = 60.0


@dataclass(frozen=True, kw_only=True)
class Models:
    """Names for tune ids: those of the configuration and the environment, under them what Astria says, then those built in."""

    default: str = "gemini"
    own: Mapping[str, int] = field(default_factory=dict)
    catalog: Catalog = field(default_factory=Catalog)

    @cached_property
    def ids(self) -> Mapping[str, int]:
        """Every name and what it means."""
        return {**BUILTIN_MODELS, **self.catalog.ids, **self.own}

    def id_of(self, model: str | int) -> int | None:
        """The tune id of a model's name, or of a tune id written as text; None if it is neither."""
        text = str(model)
        return self.ids.get(text, int(text) if re.fullmatch(r"[1-9][0-9]{0,14}", text) else None)

    def name_of(self, tune_id: int) -> str | None:
        return next((name for name, one in self.ids.items() if one == tune_id), None)

    def is_base(self, tune_id: int) -> bool:
        """Whether it is one of Astria's own models: those have no subject, so that `<1>` means nothing there."""
        theirs = BUILTIN_MODELS.keys() | self.catalog.ids.keys()
        return any(one == tune_id and name in theirs for name, one in self.ids.items())

    def only_astrias(self, name: str) -> bool:
        """Whether nobody here has given it a meaning: Astria may come up with any name at any time."""
        return name in self.catalog.ids and name not in self.own and name not in BUILTIN_MODELS

    def meant(self, wanted: str | int, *also: str) -> str:
        """The end of a sentence about a name that is none: what was probably meant, else what there is."""
        names = sorted({*self.ids, *also})
        near = nearest(str(wanted), names)
        return f'did you mean "{near}"?' if near else f"known are {', '.join(names[:12])}."


@dataclass(frozen=True, kw_only=True)
class Timing:
    settle_seconds: _SecondsOrNone = 5.0
    poll_seconds: _Seconds = 5.0
    rescan_seconds: _Seconds = 300.0
    retry_base_seconds: _Seconds = 30.0
    retry_max_seconds: _Seconds = 900.0
    reconcile_after_seconds: _SecondsOrNone = 60.0
    delete_grace_seconds: _SecondsOrNone = 86400.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    uploads: _Count = 2
    requests: _Count = 8
    downloads: _Count = 8
    spend_per_day_usd: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    hold_above: Annotated[int, Meta(ge=0, le=10**9)] = 100


@dataclass(frozen=True, kw_only=True)
class Pull:
    enabled: bool = False
    every_seconds: _Seconds = 3600.0


@dataclass(frozen=True, kw_only=True)
class Watch:
    path: Path
    output: Path
    ignore: tuple[str, ...] = ()
    on_delete: Literal["keep", "delete"] = "keep"
    events: Literal["auto", "poll"] = "auto"
    workspace_id: str | None = None  # if not Astria's
    rehearse: bool = False


@dataclass(frozen=True, kw_only=True)
class Notify:
    desktop: bool = False
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class Settings:
    file: Path | None
    state: Path
    astria: Astria
    itself: str = "astria-sync"  # as a person calls the program for this profile
    models: Models = field(default_factory=Models)
    timing: Timing = field(default_factory=Timing)
    limits: Limits = field(default_factory=Limits)
    tune: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_TUNE))
    prompt: Mapping[str, Any] = field(default_factory=lambda: dict(DEFAULT_PROMPT))
    pull: Pull = field(default_factory=Pull)
    watch: tuple[Watch, ...] = ()
    notify: Notify = field(default_factory=Notify)

    @property
    def tune_defaults(self) -> dict[str, Any]:
        """`[tune]` and `[prompt]` in the shape of a tune.toml, as `tunefile.merge` wants its defaults."""
        return {**self.tune, "prompt": self.prompt}


def _keys(part: type) -> dict[str, Any]:
    paths = {"path": Line, "output": Line, "token_file": Line, "base_url": Line, "workspace_id": WORKSPACE}
    return {key: paths.get(key, kind) for key, kind in get_type_hints(part, include_extras=True).items()}


# But for `[tune]` and `[prompt]`, whose keys stand in tunefile.py and parameters.py.
TABLES: Mapping[str, Mapping[str, Any]] = {
    "astria": _keys(Astria),
    "timing": _keys(Timing),
    "limits": _keys(Limits),
    "pull": _keys(Pull),
    "notify": _keys(Notify),
}
WATCH = _keys(Watch)
TOP: Mapping[str, Any] = {
    "state": Line,
    **dict.fromkeys((*TABLES, "models", "tune", "prompt"), dict[str, Any]),
    "watch": Annotated[list[dict[str, Any]], Meta(description="tables, each under a line [[watch]]")],
}
