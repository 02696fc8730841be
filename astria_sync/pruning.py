"""The history does not grow without end: what is kept of it, and for how long.

Of a file that the state knows everything that was ordered, paid, made, saved, refused or moved stays as long as the file's own row.
What goes is what nobody asks for after a season: the steps between, what happened to the daemon, and files of which nothing
was ever sent and that are gone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from astria_sync.context import Context
from astria_sync.core.lifecycle import Event

KEPT: Final = 90 * 86400.0  # seconds
DAEMON: Final = 10_000  # of the daemon's, the newest
STEPS: Final = 500  # of one file's, the newest
_EVERY: Final = 86400.0
_AT_ONCE: Final = 5000  # so that no step of the engine is long
_AGAIN: Final = 60.0  # seconds until the next so many
_PRUNED: Final = "pruned_at"
# Steps between: they come again and again while something is tried, and say nothing of what came of it.
_TRIED: Final = (
    Event.SETTLED,
    Event.WAITS,
    Event.HELD,
    Event.ARMED,
    Event.NOT_SENT,
    Event.LOST,
    Event.ABSENT,
)
_ORDERS: Final = (*_TRIED, Event.CHANGED, "unchanged", "dropped")
_FILES: Final = ("gone", "back", "read", "problem", "mended")


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"'{one}'" for one in names)


_STEPS: Final = f"((kind = 'source' AND event IN ({_named(_FILES)})) OR (kind != 'source' AND event IN ({_named(_ORDERS)})))"
# The newest row stays in any case: notes.py knows by its id whether anything has happened.
_OLD: Final = f"""
    DELETE FROM events WHERE id IN (SELECT id FROM events
    WHERE at < ?1 AND (kind = 'daemon' OR source_id IS NULL OR source_id NOT IN (SELECT id FROM sources) OR {_STEPS})
    AND id < (SELECT max(id) FROM events) LIMIT ?2)"""
_MANY: Final = """
    DELETE FROM events WHERE id IN (SELECT id FROM events WHERE kind = 'daemon' AND id <
    (SELECT id FROM events WHERE kind = 'daemon' ORDER BY id DESC LIMIT 1 OFFSET ?1) LIMIT ?2)"""
_RESTLESS: Final = (
    f"SELECT source_id, count(*) AS steps FROM events WHERE {_STEPS} AND source_id IS NOT NULL "
    "GROUP BY source_id HAVING count(*) > ?"
)
_OF_ONE: Final = f"""
    DELETE FROM events WHERE id IN (SELECT id FROM events WHERE source_id = ?1 AND {_STEPS} ORDER BY id LIMIT ?2)
    AND id < (SELECT max(id) FROM events)"""


@dataclass(kw_only=True)
class Pruning:
    """Once a day, a piece at a time."""

    ctx: Context

    def plan(self) -> None:
        """Called on ticks."""
        last, wall = self.ctx.journal.get(_PRUNED, 0.0), self.ctx.wall
        if self.ctx.stopping or 0 <= wall - last < _EVERY:
            return
        more = self._prune(wall - KEPT)
        self.ctx.journal.put(_PRUNED, wall - _EVERY + _AGAIN if more else wall)

    def _prune(self, before: float) -> bool:
        """Whether there is more of it."""
        journal = self.ctx.journal
        deleted = journal.erase(_OLD, [before, _AT_ONCE])
        deleted += journal.erase(_MANY, [DAEMON - 1, _AT_ONCE])
        for row in journal.rows(_RESTLESS, [STEPS]):
            deleted += journal.erase(_OF_ONE, [row["source_id"], min(row["steps"] - STEPS, _AT_ONCE)])
            if deleted >= _AT_ONCE:
                break
        return deleted >= _AT_ONCE
