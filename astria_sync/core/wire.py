"""Astria's JSON and form fields ↔ the model. Sends nothing. Every assumption about the service's words stands here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from astria_sync.core.retry import MAX_WORDS
from astria_sync.core.whole import MAX_ID, as_id, as_int

Field = tuple[str, str]

# `tune.toml` → `tune[…]`, as they are (astria-api.md "Tunes").
_TUNE_PLAIN: Final = (
    "branch",
    "preset",
    "steps",
    "token",
    "face_crop",
    "training_face_correct",
    "auto_extend",
)
PATCHABLE: Final = ("title", "name", "auto_extend", "characteristics")


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteTune:
    """A tune as Astria shows it; None where it did not say."""

    id: int
    title: str
    name: str | None
    model_type: str | None
    base_tune_id: int | None
    trained: bool
    expires_at: float | None
    created_at: float | None
    cost_mc: int
    url: str
    pictures: int | None
    user_error: str
    branch: str | None = None
    auto_extend: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RemotePrompt:
    """A prompt as Astria shows it. `raw` has everything but the pictures' addresses, which may carry signatures."""

    id: int
    tune_id: int | None
    text: str
    seed: int | None
    num_images: int
    images: tuple[str, ...]
    user_error: str
    trained: bool
    cost_mc: int
    url: str
    created_at: float | None
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pack_ids(self) -> tuple[int, ...]:
        """The packs that Astria says it is of."""
        found = (as_id(self.raw.get(key)) for key in ("pack_id", "base_pack_id"))
        return tuple(one for one in found if one is not None)

    @property
    def order_id(self) -> int | None:
        """The run of a pack that it is of."""
        return as_id(self.raw.get("order_id"))

    @property
    def template(self) -> int | None:
        """The prompt of a pack that it was made after."""
        return as_id(self.raw.get("orig_prompt_id")) if self.pack_ids or self.order_id else None

    @property
    def tells_pack(self) -> bool:
        """Whether Astria shows at all of what pack a prompt is, if only that it is of none."""
        return bool({"pack_id", "base_pack_id", "order_id"} & self.raw.keys())


def _cost(body: Mapping[str, Any]) -> int:
    """What it cost; 0 if that is not said, or nothing that can be added up."""
    return min(max(as_int(body.get("cost_mc")) or 0, 0), MAX_ID // 10**6)


def as_time(value: Any) -> float | None:
    """Seconds since the epoch of an ISO 8601 time; None if it is none."""
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def as_words(value: Any) -> str:
    """Text as it is, anything else as JSON, nothing as ""."""
    if value is None or value is False:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_tune(body: Mapping[str, Any]) -> RemoteTune | None:
    """A tune of an answer; None if it has no id."""
    remote_id = as_id(body.get("id"))
    if remote_id is None:
        return None
    images = body.get("orig_images")
    name = body.get("name")
    return RemoteTune(
        id=remote_id,
        title=as_words(body.get("title")),
        name=name if isinstance(name, str) else None,
        model_type=as_words(body["model_type"]) if "model_type" in body else None,
        base_tune_id=as_int(body.get("base_tune_id")),
        trained=bool(body.get("trained_at")),
        expires_at=as_time(body.get("expires_at")),
        created_at=as_time(body.get("created_at")),
        cost_mc=_cost(body),
        url=as_words(body.get("url"))[:MAX_WORDS],
        pictures=len(images) if isinstance(images, list) else None,
        user_error=as_words(body.get("user_error"))[:MAX_WORDS],
        branch=as_words(body["branch"]) if "branch" in body else None,
        auto_extend=bool(body.get("auto_extend")),
    )


def read_prompt(body: Mapping[str, Any]) -> RemotePrompt | None:
    """A prompt of an answer; None if it has no id."""
    remote_id = as_id(body.get("id"))
    if remote_id is None:
        return None
    images = body.get("images")
    return RemotePrompt(
        id=remote_id,
        tune_id=as_int(body.get("tune_id")),
        text=as_words(body.get("text")),
        seed=as_int(body.get("seed")),
        num_images=as_int(body.get("num_images")) or 1,
        images=tuple(u for u in images if isinstance(u, str) and u) if isinstance(images, list) else (),
        user_error=as_words(body.get("user_error"))[:MAX_WORDS],
        trained=bool(body.get("trained_at")),
        cost_mc=_cost(body),
        url=as_words(body.get("url"))[:MAX_WORDS],
        created_at=as_time(body.get("created_at")),
        raw={key: value for key, value in body.items() if key not in {"images", "callback"}},
    )


def form_value(value: Any) -> str:
    """A scalar as a form field says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def form(prefix: str, values: Mapping[str, Any]) -> Iterator[Field]:
    """Rails-style fields: lists repeat `[]`, tables nest; None is left out."""
    for key, value in values.items():
        name = f"{prefix}[{key}]"
        if isinstance(value, Mapping):
            yield from form(name, value)
        elif isinstance(value, list | tuple):
            for part in value:
                yield f"{name}[]", form_value(part)
        elif value is not None:
            yield name, form_value(value)


def tune_values(settings: Mapping[str, Any], *, title: str, base_tune_id: int | None) -> dict[str, Any]:
    """What `POST /tunes` is told of a folder, without its files; `settings` as merged from tune.toml."""
    values: dict[str, Any] = {"title": title}
    if settings.get("name"):
        values["name"] = settings["name"]
    if base_tune_id is not None:
        values["base_tune_id"] = base_tune_id
    values["model_type"] = settings.get("model_type", "")
    for key in _TUNE_PLAIN:
        if settings.get(key) is not None:
            values[key] = settings[key]
    if settings.get("characteristics"):
        values["characteristics"] = json.dumps(settings["characteristics"], ensure_ascii=False)
    return values


def patch_values(settings: Mapping[str, Any], *, title: str) -> dict[str, Any]:
    """The part of a folder's settings that can be changed at Astria later (PATCH)."""
    return {
        "title": title,
        "name": settings.get("name") or "",
        "auto_extend": bool(settings.get("auto_extend")),
        "characteristics": json.dumps(
            settings.get("characteristics") or {}, ensure_ascii=False, sort_keys=True
        ),
    }


def identity(url: str) -> str:
    """A picture's address without query and fragment: signatures change, the picture does not."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no address at all; whoever fetches it will say so
        return url
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
