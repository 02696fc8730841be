"""Rows of the journal ↔ the model: what is JSON, a truth value or a state in a column."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from astria_sync.core.lifecycle import PackState, PromptState, TuneState
from astria_sync.core.model import Image, Prompt, Source, Tune
from astria_sync.core.packrow import Pack

_JSON: Final = frozenset(
    {"settings", "params", "patch", "patched", "variant", "request", "files", "answer", "facts", "prompt_ids"}
)
_BOOL: Final = frozenset(
    {
        "current",
        "changed",
        "is_image_folder",
        "approved",
        "complete",
        "crowd",
        "lost",
        "sought",
        "past_limit",
        "on_pictures",
        "pulled",
    }
)
Row = TypeVar("Row", Source, Tune, Prompt, Pack, Image)
_STATES: Final[Mapping[type, type]] = {Tune: TuneState, Prompt: PromptState, Pack: PackState}


def _special(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of a table that are JSON, and those that are truth values."""
    names = [one.name for one in dataclasses.fields(kind)]
    return tuple(filter(_JSON.__contains__, names)), tuple(filter(_BOOL.__contains__, names))


_SPECIAL: Final = {kind: _special(kind) for kind in (Source, Tune, Prompt, Pack, Image)}


def read(kind: type[Row], row: Mapping[str, Any]) -> Row:
    """A row as the model has it."""
    values = dict(row)
    texts, truths = _SPECIAL[kind]
    for key in texts:
        values[key] = json.loads(values[key])
    for key in truths:
        values[key] = bool(values[key])
    if state := _STATES.get(kind):
        values["state"] = state(values["state"])
    return kind(**values)


def write(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as the table has them."""
    values = dict(changes)
    for key in values.keys() & _JSON:
        values[key] = json.dumps(values[key], ensure_ascii=False, sort_keys=True)
    return values
