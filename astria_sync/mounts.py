"""Disks that are mounted at or below a root: what lay on one that is not there now is not gone, whatever lies at its mount point."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astria_sync.context import Context
from astria_sync.core.model import Look
from astria_sync.known import Key, folder_of
from astria_sync.places import Places, is_below


@dataclass(frozen=True, kw_only=True)
class Unmounted:
    """Disks that were seen and are not there: mount point, relative to the root → the newest source that may lie on it."""

    root: str
    newest: dict[str, int] = field(default_factory=dict)

    def hides(self, key: Key, source_id: int) -> bool:
        """Whether a source that is not to be seen may lie on one of them."""
        return any(source_id <= newest and is_below(key[1], [point]) for point, newest in self.newest.items())

    @property
    def problem(self) -> str:
        """For the person who may mount it; "" if all are there."""
        points = [self.root if point == "." else f"{self.root}/{point}" for point in sorted(self.newest)]
        verb = "is" if len(points) == 1 else "are"
        return (
            f"{', '.join(points)} {verb} not mounted; what is known of it is kept as it was."
            if points
            else ""
        )


def away(ctx: Context, look: Look) -> Unmounted:
    """Which disks that were seen are not there."""
    known: dict[str, int] = ctx.journal.get(f"mounts:{look.root}", {})
    return Unmounted(
        root=look.root, newest={point: newest for point, newest in known.items() if point not in look.mounts}
    )


def compare(ctx: Context, places: Places, look: Look, seen: set[Key]) -> Unmounted:
    """Which disks are missing.

    A disk that is not mounted, but of which something lies at its place all the same, was replaced by a plain folder.
    """
    gone = away(ctx, look).newest
    beneath = _beneath(ctx, look) if gone else {}
    there = _ids(places, look, seen) if gone else {}
    missing = {
        point: newest
        for point, newest in gone.items()
        if not any(source <= newest for source in _below(there, point) - beneath.get(point, set()))
    }
    return Unmounted(root=look.root, newest=missing)


def remember(ctx: Context, places: Places, look: Look, seen: set[Key], unmounted: Unmounted) -> None:
    """Which disks are there, with the newest source of all that are known by now: this very look may have shown it first, and
    the disk may be gone before there is another. And what is known below their mount points that is nothing of theirs: what was
    there before, or was saved there while the disk was away, and was never seen on it.
    """
    known, beneath = ctx.journal.get(f"mounts:{look.root}", {}), _beneath(ctx, look)
    latest = ctx.journal.value("SELECT max(id) FROM sources") or 0 if look.mounts else 0
    now = {**unmounted.newest, **dict.fromkeys(look.mounts, latest)}
    _put(ctx, f"mounts:{look.root}", now)
    if not now or (now.keys() == known.keys() and not unmounted.newest and not beneath):
        return  # nearly always
    there = _ids(places, look, seen) if unmounted.newest else {}
    for point in now:
        if point in look.mounts:
            before = beneath.get(point, set()) if point in known else _below(_all(places, look.root), point)
            beneath[point] = before - _shown(ctx, places, look, seen, before)
        else:
            beneath[point] = beneath.get(point, set()) | _below(there, point)
    _put(ctx, f"beneath:{look.root}", {point: sorted(beneath[point]) for point in now if beneath[point]})


def _beneath(ctx: Context, look: Look) -> dict[str, set[int]]:
    found: dict[str, list[int]] = ctx.journal.get(f"beneath:{look.root}", {})
    return {point: set(ids) for point, ids in found.items()}


def _ids(places: Places, look: Look, seen: set[Key]) -> dict[str, int]:
    """Where a look has shown sources, and which: those that it told of, and those in folders that it only named."""
    keys = (key for key in seen | places.unchanged(look) if key in places.known and key not in places.missing)
    return {key[1]: places.known[key][0] for key in keys}


def _shown(ctx: Context, places: Places, look: Look, seen: set[Key], ids: set[int]) -> set[int]:
    """Those of these few sources that a look has shown: it may have named a thousand folders."""
    sql = "SELECT id, root, path, kind FROM sources WHERE id IN (SELECT value FROM json_each(?))"
    keys = {
        (row["root"], row["path"], row["kind"]): row["id"]
        for row in ctx.journal.rows(sql, [json.dumps([*ids])])
    }
    unchanged = {(look.root, folder) for folder in look.unchanged}
    shown = (
        key for key in keys if key in seen or (folder_of(key) in unchanged and key not in places.missing)
    )
    return {keys[key] for key in shown}


def _all(places: Places, root: str) -> dict[str, int]:
    return {path: known[0] for (of, path, _), known in places.known.items() if of == root}


def _below(there: Mapping[str, int], point: str) -> set[int]:
    return {source for path, source in there.items() if is_below(path, [point])}


def _put(ctx: Context, name: str, value: Mapping[str, Any]) -> None:
    if value != ctx.journal.get(name, {}):
        ctx.journal.put(name, value or None)
