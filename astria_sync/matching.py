"""The records that a walk of an output found, and the prompt files of this state: which is whose."""

import errno
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from astria_sync.before import Before
from astria_sync.context import Context
from astria_sync.core.lifecycle import PromptState
from astria_sync.core.model import Prompt
from astria_sync.core.records import Record, Shelf, Wanted
from astria_sync.each import wish_of
from astria_sync.folders import parent

READ: Final = 0  # `prompts.unread`: it was looked for
UNREAD: Final = 1
UNDECIDED: Final = 2  # its folder is not read yet, so it cannot be told whether both have moved
WAITING: Final = (
    "SELECT p.id FROM prompts p INDEXED BY prompts_unread JOIN sources s ON s.id = p.source_id "
    "WHERE p.unread > 0 AND p.unread = ?"  # the first says which index
)
_UNREAD_FOLDER: Final = (
    "SELECT 1 FROM sources WHERE kind = 'folder' AND is_image_folder = 1 AND stamp = '' AND missing_since IS NULL "
    "AND root IN (SELECT value FROM json_each(?)) LIMIT 1"
)
_RUNS: Final = "state IN ('generating', 'downloading', 'deleted') AND done_at IS NULL AND remote_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A record, and the row that it is of; None: one more order of this source (`rerun`, an earlier version of it)."""

    record: Record
    output: str
    source: int
    row: int | None
    subject: int | None = None  # the image folder that a local pack's prompt is for


@dataclass(kw_only=True)
class Matching:
    """What one walk of one output found."""

    ctx: Context
    before: Before
    output: str
    roots: Sequence[str]  # that have this output
    shelf: Shelf
    _vacant: dict[tuple[str, str], bool] = field(default_factory=dict, init=False)

    def running(self) -> Iterator[Match]:
        """For what was under way when a copy of the state was made, and is finished by now."""
        for row in self.ctx.journal.prompts(_RUNS, [json.dumps(list(self.shelf.ids))]):
            yield self._match(self.shelf.take_id(row.remote_id or 0), row.source_id, row.id, row.subject_id)

    def examine(self, row: Prompt) -> Match | None:
        """Whether this order has a record; if it has none, that is noted."""
        source = self.ctx.journal.source(row.source_id)
        folder = self.ctx.journal.source(row.subject_id) if row.subject_id else None
        subject, decided = self._subject(source.root, folder.path if folder else parent(source.path))
        sent = row.armed_at is not None and row.state is not PromptState.FAILED
        wanted = Wanted(
            fingerprint=(wish := wish_of(row)),
            root=source.root,
            path=source.path,
            run=row.run,
            subject=subject,
            each=folder.path if folder else "",
            above=(row.watermark or 0) if sent else self.before.above("prompt", source),
            seed=row.seed if sent else None,
        )
        record = self.shelf.take(wanted, roots=self.ctx.watches.keys(), vacant=self._is_vacant)
        if record is not None:
            return self._match(record, source.id, row.id, row.subject_id)
        waits = not decided and self.shelf.has(wish)
        self.ctx.journal.change("prompts", row.id, unread=UNDECIDED if waits else READ)
        return None

    @property
    def undecided(self) -> bool:
        """Whether it cannot be told yet what is left over: some orders wait for their folder to be read, and those of a local
        pack are not there before it is.
        """
        roots, later = (
            json.dumps(list(self.roots)),
            f"{WAITING} AND s.root IN (SELECT value FROM json_each(?)) LIMIT 1",
        )
        if self.ctx.journal.value(later, [UNDECIDED, roots]) is not None:
            return True
        return self.shelf.of_packs and self.ctx.journal.value(_UNREAD_FOLDER, [roots]) is not None

    def others(self) -> Iterator[Match]:
        """For what else belongs to files that are here: what `rerun` made, what they asked for earlier."""
        for record, (root, path) in self.shelf.left():
            for here in [root] if root in self.ctx.watches else self.roots:
                source = self.ctx.journal.source_at(here, path, "folder" if record.pack else "prompt")
                known = source and (source.content or record.pack)
                if source and known and record.id > self.before.above("prompt", source):
                    folder = self.ctx.journal.source_at(here, record.each, "folder") if record.each else None
                    if folder or not record.each:
                        yield self._match(record, source.id, None, folder.id if folder else None)
                    break

    def _match(self, record: Record, source: int, row: int | None, subject: int | None) -> Match:
        return Match(record=record, output=self.output, source=source, row=row, subject=subject)

    def _subject(self, root: str, path: str) -> tuple[str | None, bool]:
        """What an order's folder has to show, as in Record; and whether that can be told yet."""
        folder = self.ctx.journal.source_at(root, path, "folder")
        if (
            folder is None
            or folder.missing_since is not None
            or (folder.stamp and not folder.is_image_folder)
        ):
            return None, True
        return folder.content, bool(folder.stamp)

    def _is_vacant(self, record: Record) -> bool:
        """Whether the record's file, or the folder that a local pack was run for, is surely not where it was."""
        places = (record.path, record.each) if record.each else (record.path,)
        return any(self._is_nowhere(record.root, place) for place in places)

    def _is_nowhere(self, of: str, place: str) -> bool:
        if (of, place) not in self._vacant:
            roots = [of] if of in self.ctx.watches else self.roots
            gone = (root in self.ctx.walked and _is_gone(os.path.join(root, place)) for root in roots)
            self._vacant[of, place] = all(gone)
        return self._vacant[of, place]


def _is_gone(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR}
    return False
