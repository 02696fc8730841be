"""`on_delete = "delete"`: what a file was the reason for is deleted at Astria too, a while after the file.

Only what this state ordered itself; only what is finished, its pictures saved; and never because a watched folder is missing,
unreadable or suddenly empty: that is a disk which is not mounted, until something is there again.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event
from astria_sync.core.model import Prompt, Tune, kind_of
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, message
from astria_sync.core.whole import as_id
from astria_sync.doors import Doors

_EVERY: Final = 60.0  # seconds between looks for what is to be deleted
_REFUSED: Final = -1.0  # in `delete_at`: Astria does not delete it
_WITNESSES: Final = 50  # files of a root, one of which must be there
_AFTER_START: Final = 300.0  # seconds: a clock that was set while nothing ran shortens no more than the rest
_FINISHED: Final = {
    "tune": "state IN ('ready', 'failed') AND json_extract(params, '$.id') IS NULL",  # an `id` of tune.toml is not ours
    "prompt": "state IN ('done', 'failed')",
}
_NEEDED: Final = (  # prompts under way that a tune still makes, or is mentioned in; those to be deleted before it
    "SELECT 1 FROM prompts WHERE (state IN ('submitting', 'unsure', 'generating', 'downloading') "
    "OR (delete_at > 0 AND state != 'deleted')) AND (target = ?1 OR text LIKE '%:' || ?1 || ':%') "
    "UNION ALL SELECT 1 FROM tunes o JOIN sources s ON s.id = o.source_id "
    "WHERE o.remote_id = ?1 AND o.current = 1 AND s.missing_since IS NULL LIMIT 1"
)
EMPTY: Final = "Nothing is left in {root}; in case its disk is only not mounted, nothing is deleted at Astria before something is there again."
GONE: Final = "deleted at Astria, since its file was deleted"


@dataclass(kw_only=True)
class Deleting:
    """Owns `delete_at`: when Astria's object is deleted, on the engine's clock; NULL if it is not to be."""

    ctx: Context
    doors: Doors
    _look_at: float = field(default=0.0, init=False)
    _left: bool = field(default=True, init=False)  # something may be pending

    def start(self) -> None:
        """Deadlines of an earlier run, whose clock may have been another: none is further away than the grace."""
        latest = self.ctx.now + self.ctx.settings.timing.delete_grace_seconds
        for table in ("tunes", "prompts"):
            self.ctx.journal.change_all(table, "delete_at = ?", "delete_at > ?", latest, latest)

    def look_again(self) -> None:
        """Something went, or is back."""
        self._look_at, self._left = 0.0, True

    def next_due(self) -> float | None:
        """When there may be something to delete."""
        return self._look_at if self._left or self._roots() else None

    def _pending(self) -> bool:
        known = "SELECT 1 FROM {} WHERE delete_at > 0 AND state != 'deleted' LIMIT 1"
        return any(self.ctx.journal.value(known.format(table)) for table in ("tunes", "prompts"))

    def plan(self) -> None:
        """Note what is to be deleted, forget it where the file is back, and delete what is due."""
        if self.ctx.now < self._look_at:
            return
        grace = self.ctx.settings.timing.delete_grace_seconds
        self._look_at = self.ctx.now + min(_EVERY, max(0.05, grace / 4))
        roots, self._left = self._roots(), self._pending()
        if not roots and not self._left:
            return
        for kind in ("prompt", "tune"):
            gone = self._gone(roots)
            self._undo(kind, gone)
            if gone:
                self._schedule(kind, gone, self.ctx.now + grace)
        if (
            self.ctx.journal.get("paused")
            or not self.ctx.gates.reads
            or self.ctx.now < self.ctx.began + min(_AFTER_START, grace)
        ):
            return
        for root in roots:
            if root in self.ctx.walked and not self._in_doubt(root):
                self._delete(root)

    def _roots(self) -> list[str]:
        return [root for root, watch in self.ctx.watches.items() if watch.on_delete == "delete"]

    def _gone(self, roots: Sequence[str]) -> str:
        """The ids of files and folders that are gone, as JSON; "" if none is."""
        marks = ",".join("?" * len(roots))
        sql = f"SELECT id FROM sources WHERE missing_since IS NOT NULL AND root IN ({marks})"
        found = [row["id"] for row in self.ctx.journal.rows(sql, roots)] if roots else []
        return json.dumps(found) if found else ""

    @staticmethod
    def _of(kind: str) -> str:
        """Rows of those: a local pack's prompt goes with its file and with the folder that it was for."""
        those = "(SELECT value FROM json_each(?1))"
        return (
            f"source_id IN {those}" if kind == "tune" else f"(source_id IN {those} OR subject_id IN {those})"
        )

    def _schedule(self, kind: str, gone: str, at: float) -> None:
        what = f"{self._of(kind)} AND remote_id IS NOT NULL AND delete_at IS NULL AND {_FINISHED[kind]}"
        for row in self._rows(kind, what, [gone]):
            self.ctx.journal.change(f"{kind}s", row.id, delete_at=at)
            self.ctx.event(
                kind,
                row.id,
                row.source_id,
                "to be deleted",
                f"{kind} {row.remote_id}",
                level="info",
            )

    def _undo(self, kind: str, gone: str) -> None:
        """The file is back, or the configuration says `keep` by now."""
        what = f"delete_at IS NOT NULL AND state != 'deleted' AND NOT {self._of(kind)}"
        for row in self._rows(kind, what, [gone or "[]"]):
            self.ctx.journal.change(f"{kind}s", row.id, delete_at=None)
            self.ctx.event(kind, row.id, row.source_id, "kept", f"{kind} {row.remote_id}", level="info")

    def _rows(self, kind: str, where: str, values: Sequence[Any]) -> Sequence[Tune] | Sequence[Prompt]:
        journal = self.ctx.journal
        return journal.tunes(where, values) if kind == "tune" else journal.prompts(where, values)

    def _in_doubt(self, root: str) -> bool:
        """Whether the whole root is in trouble, or shows nothing any more: what the journal knows may be gone since."""
        journal = self.ctx.journal
        present = journal.sources(
            "root = ? AND missing_since IS NULL AND path != '.' LIMIT ?", [root, _WITNESSES]
        )
        empty = not any(os.path.lexists(one.location) for one in present)
        due = "SELECT 1 FROM sources WHERE root = ? AND id IN (SELECT source_id FROM {} WHERE delete_at > 0 AND state != 'deleted')"
        waits = empty and any(journal.value(due.format(table), [root]) for table in ("tunes", "prompts"))
        told = EMPTY.format(root=root) if waits else None
        if journal.get(f"deleting:{root}") != told:
            journal.put(f"deleting:{root}", told)
            if told:
                self.ctx.say("warning", told)
        return empty or journal.get(f"root:{root}") is not None

    def _delete(self, root: str) -> None:
        """Prompts before tunes: those of a checkpoint go with it."""
        mine = "(SELECT root FROM sources WHERE id = source_id) = ?2"
        for kind in ("prompt", "tune"):
            due = f"delete_at BETWEEN 0 AND ?1 AND next_at <= ?1 AND {mine} AND {_FINISHED[kind]} ORDER BY delete_at LIMIT 100"
            for row in self._rows(kind, due, [self.ctx.now, root]):
                if self.ctx.free(work.Lane.REQUESTS) > 1 and self._may_go(row):
                    self._send(row)

    def _may_go(self, row: Tune | Prompt) -> bool:
        reasons = [row.source_id, getattr(row, "subject_id", None)]
        gone = self.ctx.journal.sources("id IN (?, ?) AND missing_since IS NOT NULL", reasons)
        if not gone or any(os.path.lexists(one.location) for one in gone):
            return False  # it is back, and the next look will see it
        if isinstance(row, Tune):
            return self.ctx.journal.value(_NEEDED, [row.remote_id]) is None
        return (
            self.ctx.journal.value("SELECT 1 FROM images WHERE prompt_id = ? AND state = 'wanted'", [row.id])
            is None
        )

    def _send(self, row: Tune | Prompt) -> None:
        assert row.remote_id is not None
        target = None
        if isinstance(row, Prompt):
            target = row.target or as_id(row.answer.get("tune_id"))
            if target is None:
                self._refused(row, "nobody knows of which tune it was")
                return
        piece = work.Delete(
            kind=kind_of(row), row_id=row.id, workspace=row.workspace, remote_id=row.remote_id, target=target
        )
        self.ctx.start(("delete", kind_of(row), row.id), piece)

    def deleted(self, piece: work.Delete, result: Answer | NoAnswer) -> None:
        """Astria was asked to delete it; a second time does no harm."""
        rows = self._rows(
            piece.kind, "id = ? AND delete_at IS NOT NULL AND state != 'deleted'", [piece.row_id]
        )
        verdict = judge_read(result)
        done = verdict is Verdict.GONE or (isinstance(result, Answer) and 200 <= result.status < 300)
        for row in rows:
            if done and isinstance(row, Tune):
                self.ctx.journal.move_tune(row, Event.REMOVED, self.ctx.wall, reason=GONE, patch={})
            elif done and isinstance(row, Prompt):
                self.ctx.journal.move_prompt(row, Event.REMOVED, self.ctx.wall, reason=GONE)
            elif verdict is Verdict.REFUSED and isinstance(result, Answer):
                self._refused(row, message(result))
            else:
                self.ctx.journal.change(f"{piece.kind}s", row.id, next_at=self.ctx.now + self.ctx.backoff(1))
        if not done and verdict is not Verdict.REFUSED:
            self.doors.close_for(verdict, result)

    def _refused(self, row: Tune | Prompt, why: str) -> None:
        """Said once, and not tried again before its file came and went again."""
        kind = kind_of(row)
        self.ctx.journal.change(f"{kind}s", row.id, delete_at=_REFUSED)
        path = self.ctx.journal.source(row.source_id).path
        self.ctx.alarm(
            f"{kind} {row.remote_id} of {path} could not be deleted at Astria ({why}); delete it there."
        )
