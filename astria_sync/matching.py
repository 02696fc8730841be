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
from astria_sync.core.model import Prompt, Source
from astria_sync.core.records import Record, Shelf, Wanted
from astria_sync.folders import parent

READ: Final = 0  # `prompts.unread`: it was looked for
UNREAD: Final = 1
UNDECIDED: Final = 2  # its folder is not read yet, so it cannot be told whether both have moved
_RUNS: Final = "state IN ('generating', 'downloading', 'deleted') AND done_at IS NULL AND remote_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """A record, and the row that it is of; None: one more order of this source (`rerun`, an earlier version of it)."""

    record: Record
    output: str
    source: int
    row: int | None


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
            yield self._match(self.shelf.take_id(row.remote_id or 0), row.source_id, row.id)

    def examine(self, row: Prompt) -> Match | None:
        """Whether this order has a record; if it has none, that is noted."""
        source = self.ctx.journal.source(row.source_id)
        subject, decided = self._subject(source)
        sent = row.armed_at is not None and row.state is not PromptState.FAILED
        wanted = Wanted(
            fingerprint=row.fingerprint,
            root=source.root,
            path=source.path,
            run=row.run,
            subject=subject,
            above=(row.watermark or 0) if sent else self.before.above("prompt", source),
            seed=row.seed if sent else None,
        )
        record = self.shelf.take(wanted, roots=self.ctx.watches.keys(), vacant=self._is_vacant)
        if record is not None:
            return self._match(record, source.id, row.id)
        waits = not decided and self.shelf.has(row.fingerprint)
        self.ctx.journal.change("prompts", row.id, unread=UNDECIDED if waits else READ)
        return None

    def others(self) -> Iterator[Match]:
        """For what else belongs to files that are here: what `rerun` made, what they asked for earlier."""
        for record, (root, path) in self.shelf.left():
            for here in [root] if root in self.ctx.watches else self.roots:
                source = self.ctx.journal.source_at(here, path, "prompt")
                if source and source.content and record.id > self.before.above("prompt", source):
                    yield self._match(record, source.id, None)
                    break

    def _match(self, record: Record, source_id: int, row_id: int | None) -> Match:
        return Match(record=record, output=self.output, source=source_id, row=row_id)

    def _subject(self, source: Source) -> tuple[str | None, bool]:
        """What the folder of a prompt file has to show, as in Record; and whether that can be told yet."""
        folder = self.ctx.journal.source_at(source.root, parent(source.path), "folder")
        if (
            folder is None
            or folder.missing_since is not None
            or (folder.stamp and not folder.is_image_folder)
        ):
            return None, True
        return folder.content, bool(folder.stamp)

    def _is_vacant(self, record: Record) -> bool:
        """Whether the record's file is surely not where it was."""
        place = (record.root, record.path)
        if place not in self._vacant:
            roots = [record.root] if record.root in self.ctx.watches else self.roots
            gone = (root in self.ctx.walked and _is_gone(os.path.join(root, record.path)) for root in roots)
            self._vacant[place] = all(gone)
        return self._vacant[place]


def _is_gone(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in {errno.ENOENT, errno.ENOTDIR}
    return False
