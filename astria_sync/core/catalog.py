"""Which models Astria has, by `GET /cli/models`: names, tune ids, resolutions. Read with suspicion: a name here decides where money goes."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.core.whole import as_id

MOST: Final = 1000  # names; a few dozen are usual
_LARGEST_ID: Final = 10**15  # as for the ids that a person may write
# A name must not pass for a tune id, steer a terminal, or look like another one.
_NAME: Final = re.compile(r"(?=.*[A-Za-z_-])[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
_RESOLUTION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,15}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """What Astria says of its models."""

    ids: Mapping[str, int] = field(default_factory=dict)
    resolutions: Mapping[int, tuple[str, ...]] = field(
        default_factory=dict
    )  # by tune id, where they are known
    default: str = ""
    videos: tuple[str, ...] = ()


def read_catalog(body: Any) -> tuple[Catalog | None, int]:
    """The catalog, None if the answer has none; and how many entries of it cannot be used and are left out."""
    models = body.get("models") if isinstance(body, dict) else None
    if not isinstance(models, dict) or len(models) > MOST:
        return None, 0
    found = dict(_entries(models))
    if not found:
        return None, len(models)
    resolutions = {one: known for one, known in found.values() if known}
    default = body.get("default")
    catalog = Catalog(
        ids={name: one for name, (one, _) in found.items()},
        resolutions=resolutions,
        default=default if isinstance(default, str) and default in found else "",
        videos=_videos(body.get("video_models")),
    )
    return catalog, len(models) - len(found)


def _entries(models: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, tuple[str, ...]]]]:
    for name, entry in models.items():
        tune_id = as_id(entry.get("tune_id")) if isinstance(entry, dict) else None
        if _NAME.fullmatch(name) and tune_id is not None and tune_id < _LARGEST_ID:
            yield name, (tune_id, _resolutions(entry.get("resolutions")))


def _resolutions(value: Any) -> tuple[str, ...]:
    """As they are told; nothing if anything about them is odd, so that no request is refused for it."""
    whole = isinstance(value, list) and 0 < len(value) <= MOST
    good = whole and all(isinstance(one, str) and _RESOLUTION.fullmatch(one) for one in value)
    return tuple(value) if good else ()


def _videos(value: Any) -> tuple[str, ...]:
    names = value if isinstance(value, dict | list) and len(value) <= MOST else ()
    return tuple(name for name in names if isinstance(name, str) and _NAME.fullmatch(name))
