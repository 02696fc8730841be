"""Rows of the journal ↔ the model: what is JSON, a truth value or a state in a column."""

import dataclasses
import functools
import json
import sqlite3
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

from astria_sync.core.happening import Happening
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
# Rows with a deadline; one question a state, since each is a single step in the index.
_WITH_DEADLINE: Final = (
    *(("tunes", f"state = '{one}'") for one in ("queued", "unsure", "training")),
    *(("prompts", f"state = '{one}'") for one in ("queued", "unsure", "generating", "downloading")),
    *(("packs", f"state = '{one}'") for one in ("settling", "queued", "unsure", "generating")),
    ("images", "state = 'wanted'"),
    ("tunes", "state = 'ready' AND patch != '{}'"),
    ("rereads", "1"),
)
_RUNNING: Final = {"state = 'training'", "state = 'generating'"}
EVENT_COLUMNS: Final = (
    *(
        "at",
        "kind",
        "event",
        "item_id",
        "source_id",
        "detail",
        "was",
        "state",
        "remote_id",
        "seconds",
        "cost_mc",
    ),
    *("root", "path"),
)
NEW_EVENT: Final = (
    f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"
)
Row = TypeVar("Row", Source, Tune, Prompt, Pack, Image)
_STATES: Final[Mapping[type, Mapping[str, StrEnum]]] = {
    kind: {str(one): one for one in states}
    for kind, states in ((Tune, TuneState), (Prompt, PromptState), (Pack, PackState))
}
_decoded: Final = json.JSONDecoder().decode


@functools.cache
def next_deadline(asked: frozenset[str]) -> str:
    """The question for the first deadline to come. `asked`: tables of whose running rows lists are being read; what becomes due
    of them meanwhile is asked for after that.
    """
    rows = [(table, where) for table, where in _WITH_DEADLINE if not (table in asked and where in _RUNNING)]
    firsts = (
        f"SELECT min(next_at) AS at FROM {table} WHERE {where} AND next_at > ?1" for table, where in rows
    )
    return f"SELECT min(at) FROM ({' UNION ALL '.join(firsts)})"


def _special(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of a table that are JSON, and those that are truth values."""
    names = [one.name for one in dataclasses.fields(kind)]
    return tuple(filter(_JSON.__contains__, names)), tuple(filter(_BOOL.__contains__, names))


_SPECIAL: Final = {kind: _special(kind) for kind in (Source, Tune, Prompt, Pack, Image)}


def read(kind: type[Row], row: sqlite3.Row) -> Row:
    """A row as the model has it. Each step reads some ten of them: a Row asked by name looks through its fifty names each time."""
    values: dict[str, Any] = dict(zip(row.keys(), row, strict=True))
    texts, truths = _SPECIAL[kind]
    for key in texts:  # most are empty, and a prompt has six of them
        text = values[key]
        values[key] = {} if text == "{}" else [] if text == "[]" else _decoded(text)
    for key in truths:
        values[key] = values[key] != 0
    if state := _STATES.get(kind):
        values["state"] = state[values["state"]]
    return kind(**values)


def write(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as the table has them."""
    values = dict(changes)
    for key in values.keys() & _JSON:
        values[key] = json.dumps(values[key], ensure_ascii=False, sort_keys=True)
    return values


def event_row(one: Happening) -> list[Any]:
    """A line of the history, in the order of EVENT_COLUMNS."""
    return [getattr(one, name) for name in EVENT_COLUMNS]


def happening(row: Mapping[str, Any]) -> Happening:
    """A line of the history as it was noted, but for what the log alone is told."""
    return Happening(**{name: row[name] for name in EVENT_COLUMNS})
