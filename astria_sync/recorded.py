"""Rows from records: an order that is done, as its sidecar has it."""

from dataclasses import dataclass
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core.expiry import KEPT
from astria_sync.core.lifecycle import UNSENT_PROMPTS, Event, PackState, PromptState
from astria_sync.core.model import Prompt
from astria_sync.each import of_folder, wish_of
from astria_sync.matching import Match
from astria_sync.pulled import release
from astria_sync.recordfile import RecordedPack, Sidecar

_OPEN: Final = UNSENT_PROMPTS | {PromptState.FAILED, PromptState.UNSURE}
_RUNNING: Final = {PromptState.GENERATING, PromptState.DOWNLOADING, PromptState.DELETED}
_MOST: Final = 1000  # pictures of one prompt


@dataclass(kw_only=True)
class Recorded:
    """Takes records up. What one says of its pictures stands: a picture that is not there was deleted by the person."""

    ctx: Context

    def take(self, match: Match, found: Sidecar, there: int) -> None:
        """Make the claimed row done, or add one; not if either has got on by itself meanwhile. `there`: pictures on disk."""
        journal, wall = self.ctx.journal, self.ctx.wall
        owner = journal.value("SELECT id FROM prompts WHERE remote_id = ? AND pulled = 0", [found.id])
        if owner not in {None, match.row}:
            return
        row = self._added(match, found) if match.row is None else self._asked(match.row, found)
        if row is None or (row.state in _RUNNING and there < len(found.images)):
            return  # what is missing of one that runs can still be fetched
        values = _done(found, latest=wall)
        if row.state in _OPEN:
            values |= _order(found, latest=wall)
            values |= {} if row.spare_of else {"run": self._run(row, found.source.run)}
        if row.state in _OPEN | {PromptState.DELETED}:
            release(self.ctx, found.id, row)
            row = journal.move_prompt(row, Event.BOUND, wall, remote_id=found.id)
        if row.state is PromptState.GENERATING:
            row = journal.move_prompt(row, Event.PICTURED, wall)
        stem = match.record.name[: -len(f"-{found.id}.json")]
        place = {"output": match.output, "folder": match.record.folder, "stem": stem}
        journal.move_prompt(row, Event.SAVED, wall, reason="", error="", unread=0, **values, **place)
        journal.set_waits(row.id, ())
        self._images(row.id, found, deadline=values["pictured_at"] + KEPT, saved_at=values["done_at"])
        where = f"{match.record.folder}/{match.record.name}"
        detail = f"as in {where}; {there} of {len(found.images)} pictures are there"
        self.ctx.event("prompt", row.id, row.source_id, "adopted", detail, level="info", remote_id=found.id)

    def _asked(self, row_id: int, found: Sidecar) -> Prompt | None:
        rows = self.ctx.journal.prompts("id = ?", [row_id])
        open_ones = [
            row
            for row in rows
            if wish_of(row) == found.source.fingerprint
            and (row.state in _OPEN or (row.state in _RUNNING and row.remote_id == found.id))
        ]
        return next(iter(open_ones), None)

    def _added(self, match: Match, found: Sidecar) -> Prompt | None:
        """A row for what the source asked for once, or once more."""
        journal, source = self.ctx.journal, found.source
        if not journal.sources("id = ?", [match.source]):
            return None
        wished = source.fingerprint if match.subject is None else of_folder(source.fingerprint, match.subject)
        same = journal.prompts("source_id = ? AND fingerprint = ? ORDER BY id", [match.source, wished])
        wish: dict[str, Any] = {"current": False, "script": source.sha256, "variant": source.variant}
        if found.pack is not None:
            wish |= {"current": not found.duplicate_of, "template": found.pack.template}
            wish["pack_run"] = self._pack_run(
                match.source, found.pack, found.workspace_id or "", match.output
            )
        elif same:  # of the same script, or `rerun` would not know them for one
            wish = {name: getattr(same[0], name) for name in ("current", "script", "variant", "request")}
            if main := [row for row in same if found.duplicate_of and row.remote_id == found.duplicate_of]:
                wish |= {"current": False, "spare_of": main[0].id, "run": main[0].run}
        elif (text := found.script) is not None:
            journal.keep_text(source.sha256, text)
        row_id = journal.add(
            "prompts",
            source_id=match.source,
            state=PromptState.SETTLING,
            fingerprint=wished,
            subject_id=match.subject,
            approved=True,
            created_at=self.ctx.wall,
            updated_at=self.ctx.wall,
            **wish,
        )
        return journal.prompt(row_id)

    def _pack_run(self, source_id: int, pack: RecordedPack, workspace: str, output: str) -> int:
        """The run that a pack's prompt is of: it was made, whatever this state knows of it."""
        journal, wall = self.ctx.journal, self.ctx.wall
        for run in journal.packs(
            "source_id = ? AND (pack_id = ? OR slug = ?)", [source_id, pack.id, pack.slug]
        ):
            return run.id  # if it is not sent yet, packsending.py binds it for its prompts
        return journal.add(
            "packs",
            source_id=source_id,
            name=pack.slug,
            slug=pack.slug,
            pack_id=pack.id,
            order_id=pack.order_id,
            state=PackState.SETTLING,
            current=False,
            workspace=workspace,
            output=output,
            created_at=wall,
            updated_at=wall,
        )

    def _run(self, row: Prompt, recorded: int) -> int:
        """The number of this generation of the same wish: the recorded one, unless another has it."""
        others = "SELECT run FROM prompts WHERE source_id = ? AND fingerprint = ? AND id != ?"
        taken = {
            one["run"] for one in self.ctx.journal.rows(others, [row.source_id, row.fingerprint, row.id])
        }
        return recorded if recorded not in taken else max(taken) + 1

    def _images(self, prompt_id: int, found: Sidecar, *, deadline: float, saved_at: float) -> None:
        journal = self.ctx.journal
        known = {image.n: image.id for image in journal.images("prompt_id = ?", [prompt_id])}
        for one in found.images:
            values = {"state": "saved", "file": one.file, "size": one.size, "sha256": one.sha256}
            values |= {"etag": "", "reason": "", "saved_at": saved_at}
            if one.n in known:
                journal.change("images", known[one.n], **values)
            else:
                # No address from a record is ever asked for: `verify --repair` gets new ones from Astria.
                journal.add(
                    "images",
                    prompt_id=prompt_id,
                    n=one.n,
                    url="",
                    identity=one.url,
                    deadline=deadline,
                    **values,
                )


def _order(found: Sidecar, *, latest: float) -> dict[str, Any]:
    """What was ordered, as columns. Its own times: what was ordered today counts for today."""
    accepted, sent = found.time("accepted_at", latest=latest), found.time("sent_at", latest=latest)
    asked = found.parameters.get("num_images")
    return {
        "workspace": found.workspace_id or "",
        "target": found.tune_id,
        "model": found.model or "",
        "text": found.text,
        "params": found.parameters,
        "files": [[one.parameter, one.path] for one in found.files],
        "seed": found.seed,
        "num_images": asked if type(asked) is int and 1 <= asked <= _MOST else len(found.images),
        "cost_mc": found.cost_mc,
        "url": found.page or "",
        "answer": found.answer,
        "attempt": 1 if sent else 0,  # 0: found in the account then; who knows when it was paid
        "armed_at": sent or accepted or latest,
        "bound_at": accepted or sent or latest,
        "watermark": 0,  # lists are compared with it, for what was made besides (auditing.py)
        "needs_mc": None,
    }


def _done(found: Sidecar, *, latest: float) -> dict[str, Any]:
    """How it ended, as columns."""
    saved = found.time("saved_at", latest=latest) or latest
    return {
        "complete": True,
        "pictured_at": found.time("finished_at", latest=latest) or saved,
        "done_at": saved,
    }
