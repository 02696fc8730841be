"""Disks that are mounted at or below a root: what lay on one that is not there now is not gone, whatever lies at its mount point."""

from dataclasses import dataclass, field

from astria_sync.context import Context
from astria_sync.core.model import Look
from astria_sync.known import Key
from astria_sync.places import Places, is_below


@dataclass(frozen=True, kw_only=True)
class Unmounted:
    """Disks that were seen and are not there: mount point, relative to the root → the newest source that may lie on it."""

    root: str
    newest: dict[str, int] = field(default_factory=dict)

    def hides(self, key: Key, source_id: int) -> bool:
        """Whether a source that is not to be seen may lie on one of them."""
        return any(_may_lie_on(point, newest, key, source_id) for point, newest in self.newest.items())

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


def _may_lie_on(point: str, newest: int, key: Key, source_id: int) -> bool:
    return source_id <= newest and is_below(key[1], [point])


def away(ctx: Context, look: Look) -> Unmounted:
    """Which disks that were seen are not there."""
    known: dict[str, int] = ctx.journal.get(f"mounts:{look.root}", {})
    return Unmounted(
        root=look.root, newest={point: newest for point, newest in known.items() if point not in look.mounts}
    )


def compare(ctx: Context, places: Places, look: Look, seen: set[Key]) -> Unmounted:
    """Which disks are missing.

    Once a look at everything shows all that is known of a disk although it is not mounted, a plain folder has replaced it. Less is no
    proof: what was saved or moved to the bare mount point may have been known before, elsewhere or beneath the disk.
    """
    gone = away(ctx, look).newest
    if not gone or not (look.recursive and look.scope == "."):
        return Unmounted(root=look.root, newest=gone)
    there = seen | places.unchanged(look)
    known = {
        key: source_id
        for key, (source_id, _) in places.known.items()
        if key[0] == look.root and key not in places.missing
    }
    missing = {}
    for point, newest in gone.items():
        its = {key for key, source_id in known.items() if _may_lie_on(point, newest, key, source_id)}
        if not its or its - there:
            missing[point] = newest
    return Unmounted(root=look.root, newest=missing)


def remember(ctx: Context, look: Look, unmounted: Unmounted) -> None:
    """Which disks are there, with the newest source of all that are known by now: this very look may have shown it first, and
    the disk may be gone before there is another.
    """
    journal, name = ctx.journal, f"mounts:{look.root}"
    latest = journal.value("SELECT max(id) FROM sources") or 0 if look.mounts else 0
    now = {**unmounted.newest, **dict.fromkeys(look.mounts, latest)}
    if now != journal.get(name, {}):
        journal.put(name, now or None)
