"""The rows of what was pulled: of a list's objects, and of records that an earlier state left in `_account`."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core.account import (
    FOLDER,
    FindRecords,
    ReadRecords,
    fingerprint,
    folded,
    folder_names,
    stem_of,
)
from astria_sync.core.expiry import KEPT
from astria_sync.core.lifecycle import Event, PromptState
from astria_sync.core.model import Prompt
from astria_sync.core.pseudoroots import root_of
from astria_sync.core.records import Record
from astria_sync.core.wire import RemotePrompt
from astria_sync.following import Following
from astria_sync.parameters import PARAMETERS
from astria_sync.recordfile import Sidecar

_AT_ONCE: Final = 64  # records that are read whole at a time
_SOURCE: Final = {"stamp": "-", "is_image_folder": False}  # no look ever takes it up
_FACTS: Final = {
    "workspace_id",
    "num_images",
    "callback",
}  # they have columns of their own, or are nobody's business


@dataclass(kw_only=True)
class PulledRows:
    """Owns `account_tunes`, and rows of `prompts` that are `pulled` until they are bound."""

    ctx: Context
    following: Following
    _here: dict[str, set[int]] = field(default_factory=dict, init=False)  # output → ids of records there
    _unread: dict[str, deque[Record]] = field(default_factory=dict, init=False)

    def forget(self) -> None:
        """What was found on disk is to be found again."""
        self._here.clear()
        self._unread.clear()

    # What lies on disk already

    def ready(self, output: str) -> bool:
        """Whether it is known what lies in an output; if not, it is looked at."""
        if self._unread.get(output):
            records = tuple(islice(self._unread[output], _AT_ONCE))
            self.ctx.start(("pull-records", output), ReadRecords(output=output, records=records))
            return False
        if output not in self._here:
            ids = self.ctx.journal.rows("SELECT remote_id FROM prompts WHERE remote_id IS NOT NULL")
            known = frozenset(row["remote_id"] for row in ids)
            self.ctx.start(("pull-records", output), FindRecords(output=output, known=known))
            return False
        return True

    def found(self, output: str, records: Sequence[Record]) -> None:
        """An output was walked. What is of a file of ours that this state does not know is that file's."""
        self._here[output] = {one.id for one in records}
        self._unread[output] = deque(one for one in records if one.fingerprint == fingerprint(one.id))

    def read(self, piece: ReadRecords, found: Iterable[tuple[Sidecar, int] | None]) -> None:
        """Make rows of records, each done: a picture that is not there was deleted by the person."""
        if piece.output not in self._unread:
            return  # forgotten meanwhile
        for record, whole in zip(piece.records, found, strict=True):
            self._unread[piece.output].remove(record)
            if whole is None:
                self._here[piece.output].discard(record.id)  # it has gone since: it is pulled like any
            else:
                self._adopt(piece.output, record, whole[0])

    def _adopt(self, output: str, record: Record, found: Sidecar) -> None:
        journal, wall = self.ctx.journal, self.ctx.wall
        if journal.value("SELECT 1 FROM prompts WHERE remote_id = ?", [found.id]) is not None:
            return
        folder = record.folder
        if found.tune_id is not None and folder.startswith(f"{FOLDER}/"):
            self._take_folder(found.tune_id, folder.removeprefix(f"{FOLDER}/"))
        made = found.time("accepted_at", latest=wall) or wall
        saved = found.time("saved_at", latest=wall) or wall
        row = self._new(
            output,
            remote_id=found.id,
            workspace=found.workspace_id or "",
            target=found.tune_id,
            model=found.model or "",
            text=found.text,
            params=found.parameters,
            seed=found.seed,
            num_images=len(found.images),
            folder=folder,
            stem=record.name[: -len(f"-{found.id}.json")],
            cost_mc=found.cost_mc,
            url=found.page or "",
            answer=found.answer,
            complete=True,
        )
        row = journal.move_prompt(row, Event.PICTURED, wall, pictured_at=saved)
        journal.move_prompt(row, Event.SAVED, wall, done_at=saved)
        for one in found.images:
            kept = {"file": one.file, "size": one.size, "sha256": one.sha256, "saved_at": saved}
            # No address from a record is ever asked for: `verify --repair` gets new ones from Astria.
            address = {"url": "", "identity": one.url, "deadline": made + KEPT, "pulled": True}
            journal.add("images", prompt_id=row.id, n=one.n, state="saved", **kept, **address)

    # What a list shows

    def has(self, remote: RemotePrompt, output: str) -> bool:
        """Whether it is here already, or a file of ours has it; what is still running of it hears what is new."""
        row = next(iter(self.ctx.journal.prompts("remote_id = ?", [remote.id])), None)
        running = {PromptState.GENERATING, PromptState.DOWNLOADING}
        if row is not None and row.pulled and row.state in running:
            self.following.binding.progress(row, remote)
        return row is not None or remote.id in self._here.get(output, ())

    def open_seeds(self) -> dict[int, int]:
        """Seeds of orders of ours that Astria may have, and that have no id yet → the ids that are surely none of theirs."""
        rows = self.ctx.journal.rows(
            "SELECT seed, min(coalesce(watermark, 0)) AS mark FROM prompts WHERE remote_id IS NULL AND armed_at IS NOT NULL "
            "AND state IN ('queued', 'submitting', 'unsure') AND seed IS NOT NULL GROUP BY seed"
        )
        return {row["seed"]: row["mark"] for row in rows}

    def take(self, remote: RemotePrompt, *, workspace: str, output: str) -> None:
        """A generation that was made elsewhere: from here on it is followed and fetched like any."""
        params = {
            name: value
            for name, one in PARAMETERS.items()
            if one.kind == "plain"
            and name not in _FACTS
            and (value := remote.raw.get(name)) not in (None, "", False)
        }
        row = self._new(
            output,
            remote_id=remote.id,
            workspace=workspace,
            target=remote.tune_id,
            model=self.ctx.settings.models.name_of(remote.tune_id or 0) or "",
            text=remote.text,
            params=params,
            seed=remote.seed,
            num_images=remote.num_images,
            folder=f"{FOLDER}/{self._folder(remote.tune_id)}",
            stem=stem_of(remote.text),
            next_at=self.ctx.now + self.ctx.settings.timing.poll_seconds,
        )
        self.following.binding.progress(row, remote)

    def _new(self, output: str, *, remote_id: int, **values: Any) -> Prompt:
        journal, wall = self.ctx.journal, self.ctx.wall
        row = journal.add(
            "prompts",
            source_id=self._source(output),
            state=PromptState.SETTLING,
            pulled=True,
            approved=True,
            output=output,
            created_at=wall,
            updated_at=wall,
            **values,
        )
        return journal.move_prompt(journal.prompt(row), Event.BOUND, wall, remote_id=remote_id)

    def _source(self, output: str) -> int:
        known = self.ctx.journal.source_at(root_of(output), FOLDER, "prompt")
        if known is not None:
            return known.id
        at = {"created_at": self.ctx.wall, "updated_at": self.ctx.wall}
        return self.ctx.journal.add(
            "sources", kind="prompt", root=root_of(output), path=FOLDER, **_SOURCE, **at
        )

    # Folders

    def known_tunes(self) -> frozenset[int]:
        """Those that are not to be asked for by their id."""
        rows = self.ctx.journal.rows("SELECT remote_id FROM account_tunes")
        return frozenset(row["remote_id"] for row in rows) | frozenset(self.ctx.settings.models.ids.values())

    def know_tunes(self, tunes: Iterable[tuple[int, str, float | None]]) -> None:
        """What tunes are called now. A folder that has pictures keeps its name."""
        for tune_id, title, expires_at in tunes:
            self._row(tune_id)
            self.ctx.journal.change_all(
                "account_tunes", "title = ?, expires_at = ?", "remote_id = ?", title, expires_at, tune_id
            )

    def _row(self, tune_id: int) -> None:
        if self.ctx.journal.value("SELECT 1 FROM account_tunes WHERE remote_id = ?", [tune_id]) is None:
            self.ctx.journal.add("account_tunes", remote_id=tune_id, title="")

    def _folder(self, tune_id: int | None) -> str:
        """The folder below `_account` of what was made with this tune."""
        if tune_id is None:
            return "unknown"
        self._row(tune_id)
        journal = self.ctx.journal
        known = journal.value("SELECT folder FROM account_tunes WHERE remote_id = ?", [tune_id])
        if known:
            return str(known)
        title = journal.value("SELECT title FROM account_tunes WHERE remote_id = ?", [tune_id])
        title = self.ctx.settings.models.name_of(tune_id) or title
        return next(name for name in folder_names(title, tune_id) if self._take_folder(tune_id, name))

    def _take_folder(self, tune_id: int, name: str) -> bool:
        """Let a tune have a folder, unless it has one or another tune has this; whether it has it now."""
        self._row(tune_id)
        taken = "SELECT 1 FROM account_tunes WHERE folded = ? OR (remote_id = ? AND folder != '')"
        if self.ctx.journal.value(taken, [folded(name), tune_id]) is not None:
            return False
        values = (name, folded(name), tune_id)
        self.ctx.journal.change_all("account_tunes", "folder = ?, folded = ?", "remote_id = ?", *values)
        return True
