"""`log`: everything that happened to one file or folder, from SQLite alone, read-only."""

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from astria_sync.core.happening import Happening, is_end, sentence
from astria_sync.core.money import USD
from astria_sync.core.pseudoroots import place_of
from astria_sync.errors import UsageError
from astria_sync.reading import reading
from astria_sync.rows import happening

_OUTPUT: Final = re.compile(
    r"-(\d+)(?:-\d+\.\w+|\.json)$"
)  # a picture's name, or its record's (core/naming.py)
_NEAR: Final = 3
_PART_OF: Final = (".error.txt", "tune.error.txt", "tune.toml")


@dataclass
class _Wanted:
    """Whose history it is."""

    sources: set[int] = field(default_factory=set)
    prompts: set[int] = field(default_factory=set)  # these orders alone, of sources that may have more
    forgotten: set[tuple[str, str]] = field(default_factory=set)  # places of files that nothing was sent of
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.sources or self.prompts or self.forgotten)

    def keys(self) -> list[str]:
        """Sources and orders, as SQLite reads lists."""
        return [json.dumps(sorted(self.sources)), json.dumps(sorted(self.prompts))]


def history(state: Path, path: str, *, everything: bool = False, limit: int | None = None) -> dict[str, Any]:
    """The orders and events of what is, or was, at `path`, newest last; `everything`: of what lies below it too.

    Raises UsageError with the nearest known paths if nothing is known of it.
    """
    with reading(state) as connection:
        if connection is None or not _has_history(connection):
            raise UsageError(f"Nothing is known yet of {path}: there is no state at {state}.")
        book = _Book(connection)
        wanted = book.find(path, everything=everything)
        if not wanted:
            raise UsageError(book.unknown(path))
        events = list(book.events(wanted))
        shown = events[-limit:] if limit else events
        return {
            "version": 1,
            "path": os.path.abspath(path),
            "notes": wanted.notes,
            "items": list(book.items(wanted)),
            "earlier": len(events) - len(shown),
            "events": shown,
        }


def _has_history(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone() is not None


class _Book:
    """What the state knows of places."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._places = {
            row["id"]: (place_of(row["root"]), row["path"], row["missing_since"])
            for row in self._rows("SELECT id, root, path, missing_since FROM sources")
        }
        self._former = [
            (row["source_id"], row["root"], row["path"])
            for row in self._rows("SELECT DISTINCT source_id, root, path FROM events WHERE path != ''")
        ]

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return list(self._connection.execute(sql, values))

    # Whose?

    def find(self, path: str, *, everything: bool) -> _Wanted:
        """Whatever is or was at this place; else what it is part of, or what lies below it."""
        spelt = self._spellings(path)
        wanted = self._at(spelt)
        if not wanted:
            wanted = self._in_output(spelt)
        if not wanted:
            wanted = self._part_of(spelt)
        if everything or not wanted:
            below = self._below(spelt)
            if below and not wanted and not everything:
                wanted.notes.append("Nothing is known of this folder itself; this is what lies below it.")
            wanted.sources |= below.sources
            wanted.prompts |= below.prompts
            wanted.forgotten |= below.forgotten
        return wanted

    def _spellings(self, path: str) -> set[str]:
        """A place as it is given, and as the state has it: a root may be, or lie below, a link."""
        whole = os.path.abspath(os.path.expanduser(path))
        real = os.path.realpath(whole)
        found = {whole, real}
        for top in {root for root, _, _ in self._places.values()} | self._outputs():
            real_top = os.path.realpath(top)
            if real == real_top or real.startswith(f"{real_top}/"):
                found.add(top + real[len(real_top) :])
        return found

    def _outputs(self) -> set[str]:
        return {row[0] for row in self._rows("SELECT DISTINCT output FROM prompts WHERE output != ''")}

    def _at(self, spelt: set[str]) -> _Wanted:
        wanted = _Wanted(
            {one for one, (root, path, _) in self._places.items() if _whole(root, path) in spelt}
        )
        for source, root, path in self._former:
            if _whole(root, path) not in spelt:
                continue
            if source is None:
                wanted.forgotten.add((root, path))
            elif source in self._places and source not in wanted.sources:
                self._moved_on(wanted, source)
        for source in wanted.sources:
            root, path, missing = self._places[source]
            if missing is not None:
                wanted.notes.append(f"{_whole(root, path)} is gone since {_local(missing)}.")
        return wanted

    def _moved_on(self, wanted: _Wanted, source: int) -> None:
        now = _whole(*self._places[source][:2])
        if wanted.sources:
            wanted.notes.append(f"What was here before is now at {now}, and has its own history there.")
        else:
            wanted.sources.add(source)
            wanted.notes.append(f"It is now at {now}.")

    def _in_output(self, spelt: set[str]) -> _Wanted:
        """A picture, its record, or a folder of pictures: the orders that they are of."""
        wanted = _Wanted()
        for one in spelt:
            folder, name = os.path.split(one)
            number = _OUTPUT.search(name)
            rows = (
                self._rows("SELECT id, output, folder FROM prompts WHERE remote_id = ?", [int(number[1])])
                if number
                else []
            )
            wanted.prompts |= {
                row["id"] for row in rows if os.path.join(row["output"], row["folder"]) == folder
            }
            inside = "SELECT id FROM prompts WHERE output != '' AND output || '/' || folder = ?"
            wanted.prompts |= {row["id"] for row in self._rows(inside, [one])}
        return wanted

    def _part_of(self, spelt: set[str]) -> _Wanted:
        """An error file is of what it lies beside; a picture or tune.toml, of its folder."""
        for one in spelt:
            folder, name = os.path.split(one)
            whole = {folder} if name in _PART_OF else {one.removesuffix(".error.txt"), folder}
            for candidate in sorted(whole, reverse=True):
                if not name.endswith(".prompt") and (wanted := self._at({candidate})):
                    wanted.notes.insert(0, f"{name} is part of {candidate}.")
                    return wanted
        return _Wanted()

    def _below(self, spelt: set[str]) -> _Wanted:
        tops = tuple(f"{one.rstrip('/')}/" for one in spelt)
        wanted = _Wanted(
            {
                one
                for one, (root, path, _) in self._places.items()
                if f"{_whole(root, path)}/".startswith(tops)
            }
        )
        wanted.forgotten = {
            (root, path)
            for source, root, path in self._former
            if source is None and _whole(root, path).startswith(tops)
        }
        if wanted.sources:  # prompts of `_each/` lie elsewhere
            subjects = "SELECT id FROM prompts WHERE subject_id IN (SELECT value FROM json_each(?))"
            wanted.prompts = {row["id"] for row in self._rows(subjects, [json.dumps(sorted(wanted.sources))])}
        return wanted

    def unknown(self, path: str) -> str:
        """A sentence with the nearest that is known."""
        if self._spellings(path) & self._outputs():
            return f"{path} is where pictures are saved; say which folder, picture or record in it, or see: astria-sync status --all"
        by_name: dict[str, str] = {}
        for root, relative, _ in self._places.values():
            by_name.setdefault(os.path.basename(_whole(root, relative)), _whole(root, relative))
        near = get_close_matches(os.path.basename(os.path.abspath(path)), by_name, _NEAR, 0.5)
        meant = f"did you mean {' or '.join(by_name[name] for name in near)}?"
        return f"Nothing is known of {path}; {meant if near else 'see: astria-sync status --all'}"

    # What?

    def items(self, wanted: _Wanted) -> Iterator[dict[str, Any]]:
        """The orders as they stand, oldest first."""
        of_sources = "source_id IN (SELECT value FROM json_each(?1))"
        for kind, also in (
            ("tune", ""),
            ("pack", ""),
            ("prompt", " OR id IN (SELECT value FROM json_each(?2))"),
        ):
            for row in self._rows(
                f"SELECT * FROM {kind}s WHERE {of_sources}{also} ORDER BY id", wanted.keys()[: 1 + bool(also)]
            ):
                root, path, _ = self._places[row["source_id"]]
                yield {
                    "kind": kind,
                    "path": path,
                    "root": root,
                    "state": row["state"],
                    "id": row["order_id" if kind == "pack" else "remote_id"],
                    "variant": json.loads(row["variant"]) if kind == "prompt" else {},
                    "reason": ": ".join(one for one in (row["reason"], row["error"]) if one),
                    "cost_usd": 0.0 if kind == "pack" else row["cost_mc"] / USD,
                    "page": "" if kind == "pack" else row["url"],
                    "pictures_in": os.path.join(row["output"], row["folder"])
                    if kind == "prompt" and row["state"] in {"done", "downloading"}
                    else "",
                }

    def events(self, wanted: _Wanted) -> Iterator[dict[str, Any]]:
        """Everything that is kept of it, oldest first."""
        armed: dict[tuple[str, int | None], float] = {}
        variants = {one["id"]: json.loads(one["variant"]) for one in self._orders(wanted, "variant != '{}'")}
        packs = {one["id"] for one in self._orders(wanted, "pack_run IS NOT NULL AND attempt > 0")}
        single = len(wanted.sources) + len(wanted.forgotten) < 2
        for row in self._events(wanted):
            one = happening(dict(row))
            key = (one.kind, one.item_id)
            if one.event == "armed":
                armed[key] = one.at
            elif is_end(one.event) and key in armed and one.at >= armed[key]:
                one = replace(one, since_sent=round(one.at - armed[key], 3))
            if one.kind == "prompt" and one.item_id in variants:
                one = replace(one, variant=variants[one.item_id])
            one = replace(one, by_pack=one.kind == "prompt" and one.item_id in packs)
            root, path = self._places[one.source_id][:2] if one.source_id else (one.root, one.path)
            yield _event(one, root, path, sentence(one, "" if single else path))

    def _events(self, wanted: _Wanted) -> list[sqlite3.Row]:
        where = ["source_id IN (SELECT value FROM json_each(?))"]
        values: list[Any] = [json.dumps(sorted(wanted.sources))]
        if wanted.prompts:
            those = json.dumps(sorted(wanted.prompts))
            of_theirs = (
                "source_id IN (SELECT source_id FROM prompts WHERE id IN (SELECT value FROM json_each(?)))"
            )
            pictures = "SELECT id FROM images WHERE prompt_id IN (SELECT value FROM json_each(?))"
            theirs = f"(kind = 'prompt' AND item_id IN (SELECT value FROM json_each(?))) OR (kind = 'image' AND item_id IN ({pictures}))"
            where.append(f"({of_theirs} AND ({theirs}))")
            values += [those, those, those]
        for root, path in sorted(wanted.forgotten):
            where.append("(source_id IS NULL AND path = ? AND path != '' AND root = ?)")
            values += [path, root]
        return self._rows(f"SELECT * FROM events WHERE {' OR '.join(where)} ORDER BY id", values)

    def _orders(self, wanted: _Wanted, which: str) -> list[sqlite3.Row]:
        theirs = "source_id IN (SELECT value FROM json_each(?)) OR id IN (SELECT value FROM json_each(?))"
        return self._rows(f"SELECT * FROM prompts WHERE {which} AND ({theirs})", wanted.keys())


def _event(one: Happening, root: str, path: str, text: str) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(one.at, UTC).isoformat(timespec="milliseconds"),
        "kind": one.kind,
        "event": one.event,
        "path": path,
        "root": root,
        "from": one.was or None,
        "to": one.state or None,
        "id": one.remote_id,
        "seconds": one.seconds,
        "seconds_since_sent": one.since_sent,
        "cost_usd": None if one.cost_mc is None else one.cost_mc / USD,
        "reason": one.detail,
        "text": text,
    }


def _whole(root: str, path: str) -> str:
    return root if path == "." else os.path.join(root, path)


def _local(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")
