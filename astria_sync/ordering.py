"""From what a prompt file asks for to rows: one for each request, and of a local pack's file one for each image folder as well."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from astria_sync import each, mocks, promptfile
from astria_sync.context import Context
from astria_sync.core.lifecycle import UNSENT_PROMPTS, Event, PromptState
from astria_sync.core.model import Prompt, Source
from astria_sync.core.naming import output_folder, safe_component
from astria_sync.errors import FileProblem
from astria_sync.folders import parent
from astria_sync.places import new_prompt
from astria_sync.promptfile import PromptFile, PromptRequest
from astria_sync.transient import EACH

REQUEST: Final = ("model", "text", "params", "files", "extra")  # of a request, as the journal keeps it


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """A request, and the image folder that it is for if its file belongs to a local pack."""

    fingerprint: str
    request: PromptRequest
    variant: Any
    folder: Source | None = None


@dataclass(kw_only=True)
class Ordering:
    """Brings the rows of one file in line with what it asks for."""

    ctx: Context

    def refuse(self, source: Source, problems: Sequence[str]) -> None:
        """The file says nothing that could be sent; one failed row shows it."""
        journal, wall = self.ctx.journal, self.ctx.wall
        journal.change("sources", source.id, problem="\n".join(problems), updated_at=wall)
        row = self._only(source)
        journal.move_prompt(row, Event.INVALID, wall, reason=problems[0], error="")

    def _only(self, source: Source) -> Prompt:
        """One row that stands for the file itself, which asks for nothing."""
        journal = self.ctx.journal
        unsent = self._unsent(source)
        for extra in unsent[1:]:
            journal.drop("prompts", extra.id)
        for older in journal.prompts("source_id = ? AND current = 1", [source.id]):
            journal.change("prompts", older.id, current=False)
        row = unsent[0] if unsent else journal.prompt(new_prompt(self.ctx, source.id))
        journal.set_waits(row.id, ())
        journal.change("prompts", row.id, fingerprint="", variant={}, subject_id=None, current=True)
        return row

    def _unsent(self, source: Source) -> list[Prompt]:
        rows = self.ctx.journal.prompts("source_id = ? AND armed_at IS NULL ORDER BY id", [source.id])
        return [row for row in rows if row.state in UNSENT_PROMPTS or row.state is PromptState.FAILED]

    def order(self, source: Source, parsed: PromptFile, data: bytes, script: str) -> list[int]:
        """One row for each request that the file asks for and has none; rows of older versions, if unsent, go. The new ones."""
        journal = self.ctx.journal
        wanted = {wish.fingerprint: wish for wish in self._wishes(source, parsed)}
        blank: Prompt | None = None
        for row in self._unsent(source):
            if row.fingerprint not in wanted:
                if row.fingerprint:
                    told = "the file asks for something else now"
                    self.ctx.event("prompt", row.id, source.id, "dropped", told)
                else:  # it stood for the file until that was read
                    self.ctx.event("source", source.id, source.id, "read")
                if not row.fingerprint and row.state is PromptState.SETTLING and wanted and blank is None:
                    blank = row  # it may become the first of them
                else:
                    journal.drop("prompts", row.id)
        have: set[str] = set()
        for row in journal.prompts("source_id = ? AND id != ?", [source.id, blank.id if blank else 0]):
            have.add(row.fingerprint)
            self._bring_in_line(row, wanted.get(row.fingerprint))
        missing = [wish for fingerprint, wish in wanted.items() if fingerprint not in have]
        if missing or each.is_each(source.path):  # a folder that comes later is given what the file says now
            journal.keep_text(script, data.decode("utf-8-sig"))
        if not wanted:
            self._nobody(source)
        if blank and not missing:
            journal.drop("prompts", blank.id)
        rows = [blank.id] if blank else []
        return [
            self._new(source, wish, script, row)
            for wish, row in itertools.zip_longest(missing, rows[: len(missing)])
        ]

    def _wishes(self, source: Source, parsed: PromptFile) -> Iterator[Wish]:
        rehearsed = self.ctx.watches[source.root].rehearse
        folders = each.folders(self.ctx.journal, source) if each.is_each(source.path) else [None]
        for folder, request in itertools.product(folders, parsed.requests):
            fingerprint, variant = request.fingerprint, dict(request.variant)
            if rehearsed:
                fingerprint, variant = mocks.wish(fingerprint), {**variant, mocks.MARK: "free"}
            if folder:
                fingerprint, variant = each.of_folder(fingerprint, folder.id), {**variant, EACH: folder.path}
            yield Wish(fingerprint=fingerprint, request=request, variant=variant, folder=folder)

    def _bring_in_line(self, row: Prompt, wish: Wish | None) -> None:
        change: dict[str, Any] = {}
        if row.spare_of is None and row.current is not (wish is not None):
            change["current"] = wish is not None
        if wish and not row.request:  # known from a record alone
            change["request"] = {name: getattr(wish.request, name) for name in REQUEST}
        if wish and wish.folder and dict(row.variant) != wish.variant:  # the folder was renamed
            change["variant"] = wish.variant
        if change:
            self.ctx.journal.change("prompts", row.id, **change)

    def _nobody(self, source: Source) -> None:
        """A local pack's file without a folder to run it for."""
        if each.is_nested(source.path):
            self.refuse(source, [each.NESTED.format(path=source.path)])
            return
        above = each.holder(source.path)
        shown = Path(source.root).name if above == "." else above
        row = self._only(source)
        self.ctx.journal.move_prompt(
            row, Event.WAITS, self.ctx.wall, reason=each.NOBODY.format(folder=shown), error=""
        )

    def _new(self, source: Source, wish: Wish, script: str, row: int | None) -> int:
        """The order for one wish, in a row that is there already if one is given."""
        folder = wish.folder.path if wish.folder else parent(source.path)
        stem = Path(source.path).stem
        order = {
            "created_at": self.ctx.wall,
            "updated_at": self.ctx.wall,
            "fingerprint": wish.fingerprint,
            "variant": wish.variant,
            "request": {name: getattr(wish.request, name) for name in REQUEST},
            "script": script,
            "unread": int(source.adoptable > 0),
            "folder": str(output_folder(folder, stem)),
            "output": str(self.ctx.watches[source.root].output),
            "stem": safe_component(stem) + (mocks.STEM if mocks.MARK in wish.variant else ""),
        }
        if wish.folder:
            order["subject_id"] = wish.folder.id
        if row is None:
            return self.ctx.journal.add("prompts", source_id=source.id, state=PromptState.SETTLING, **order)
        self.ctx.journal.change("prompts", row, **order)
        return row

    def again(self, source: Source) -> list[int]:
        """The image folders below a local pack are others now: order for the new ones what its file said when it was read."""
        text = self.ctx.journal.value("SELECT text FROM texts WHERE hash = ?", [source.content])
        if text is None or source.problem:  # not read yet, or said to be wrong
            return []
        data = str(text).encode()
        try:
            return self.order(source, promptfile.parse(data, name=source.name), data, source.content)
        except FileProblem:  # it was good when it was read: an update of ours sees it otherwise
            return []
