"""Every list that is read anyway, against our rows: what Astria made twice, or late, or although it said no.

It is paid for, so it is bound, followed and fetched like anything; and what was made besides is told.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.binding import Binding
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import Prompt, Tune, kind_of
from astria_sync.core.reconcile import Claim, Remote, Row, claim, is_it, key_of
from astria_sync.core.wire import RemotePrompt, RemoteTune
from astria_sync.late import given_up
from astria_sync.wording import made_besides

_KEPT: Final = 30 * 86400.0  # seconds that Astria keeps pictures
# What a second row for one order has of the first: everything but what Astria says of its own object.
_SAME: Final = (
    "source_id",
    "workspace",
    "params",
    "watermark",
    "attempt",
    "lost",
    "armed_at",
)
_SAME_TUNE: Final = (
    "title",
    "class_noun",
    "model_type",
    "base_tune_id",
    "content",
    "pictures",
    "captions",
    "patched",
)
_SAME_PROMPT: Final = (
    "subject_id",
    "fingerprint",
    "variant",
    "run",
    "request",
    "script",
    "target",
    "model",
    "text",
    "files",
    "seed",
    "num_images",
    "sought",
    "folder",
    "output",
    "stem",
    "approved",
)
# Rows that have these objects, or have asked for their like: a few steps in an index for each object, and nothing else.
_KNOWN: Final = """
    SELECT remote_id, state, NULL AS key FROM {table} WHERE remote_id IN (SELECT value FROM json_each(?1))
    UNION ALL SELECT NULL, NULL, value FROM json_each(?2) WHERE EXISTS (SELECT 1 FROM {table} WHERE {asked} = value)
    OR EXISTS (SELECT 1 FROM given_up WHERE key = value AND kind = ?3)"""
_BLANKS: Final = "replace(replace(replace(replace(text, ' ', ''), char(9), ''), char(10), ''), char(13), '')"
_ASKED: Final = {  # core/reconcile.py's key_of, as schema.py has an index of it
    "tune": "watermark IS NOT NULL AND json_extract(params, '$.title')",
    "prompt": f"watermark IS NOT NULL AND seed || ' ' || {_BLANKS}",
}


@dataclass(kw_only=True)
class Auditing:
    """Compares lists with rows, and reads them again where something may turn up late."""

    ctx: Context
    binding: Binding
    # Objects whose order's answer is under way, and those bound in this step, which may yet be rolled back.
    _open: dict[tuple[str, str], dict[int, Remote]] = field(default_factory=dict, init=False)

    # Reading again

    def plan(self) -> None:
        """Read the lists that are due."""
        if not self.ctx.gates.reads:
            return
        due = "SELECT kind, workspace, min(down_to) AS down_to FROM rereads WHERE next_at <= ? GROUP BY 1, 2"
        for row in self.ctx.journal.rows(due, [self.ctx.now]):
            kind, workspace = row["kind"], row["workspace"]
            if workspace in self._workspaces() and self.ctx.free(work.Lane.REQUESTS):
                piece = work.Survey(
                    kind=kind,
                    workspace=workspace,
                    down_to=row["down_to"],
                    purpose="audit",
                    asked=self.ctx.now,
                    mark=self.ctx.journal.mark(kind, workspace),
                )
                self.ctx.start(("audit", kind, workspace), piece)

    def reread(self, piece: work.Survey, *, counts: bool, failed: bool) -> None:
        """A list was read down to where something may have turned up; if it does not count, again in a while."""
        later = self.ctx.now + self.ctx.settings.timing.reconcile_after_seconds
        where = "kind = ? AND workspace = ? AND next_at <= ? AND down_to >= ?"
        values = [piece.kind, piece.workspace, piece.asked, piece.down_to]
        for row in self.ctx.journal.rows(f"SELECT id, urgent FROM rereads WHERE {where}", values):
            if counts:
                self.ctx.journal.drop("rereads", row["id"])
            else:
                urgent = row["urgent"] if failed else max(0, row["urgent"] - 1)
                self.ctx.journal.change("rereads", row["id"], next_at=later, urgent=urgent)

    @property
    def urgent(self) -> bool:
        """Whether a list is still to be read before all is done."""
        rows = self.ctx.journal.rows("SELECT DISTINCT workspace FROM rereads WHERE urgent > 0")
        return any(row["workspace"] in self._workspaces() for row in rows)

    def _workspaces(self) -> set[str]:
        """Those in use; another may be closed to us by now, and that must not close any door."""
        return {self.ctx.workspace(root) for root in self.ctx.watches}

    # Comparing

    def settle(self) -> None:
        """Look again at objects whose order's answer was under way: in the step that brings it, it is known whose they are."""
        waiting, self._open = self._open, {}
        for (kind, workspace), objects in waiting.items():
            self.listed(kind, workspace, objects.values())

    def possible(self, row: Row) -> bool:
        """Whether an object is known that may be this row's, once the answer to another is there."""
        waiting = self._open.get((kind_of(row), row.workspace), {})
        owner = self.binding.owner
        return any(is_it(row, one) and owner(kind_of(row), one.id) is None for one in waiting.values())

    def listed(self, kind: str, workspace: str, objects: Iterable[Remote]) -> None:
        """A list showed these."""
        shown = {remote.id: remote for remote in objects}
        if not shown:
            return
        owners, keys = self._known(kind, shown.values())
        for remote_id, remote in sorted(shown.items()):
            if owners.get(remote_id) == TuneState.DELETED:
                self._is_back(kind, remote)
            elif remote_id not in owners and key_of(remote) in keys:
                self._claim(kind, workspace, remote)

    def _known(self, kind: str, objects: Iterable[Remote]) -> tuple[dict[int, str], set[Any]]:
        """Which of these objects have a row, in which state it is, and the likes of which were asked for."""
        keys = {key_of(remote) for remote in objects} - {None}
        ids = [remote.id for remote in objects]
        sql = _KNOWN.format(table=f"{kind}s", asked=_ASKED[kind])
        found = self.ctx.journal.rows(sql, [json.dumps(ids), json.dumps(list(keys)), kind])
        owners = {row["remote_id"]: row["state"] for row in found if row["remote_id"] is not None}
        return owners, {row["key"] for row in found if row["remote_id"] is None}

    def _claim(self, kind: str, workspace: str, remote: Remote) -> None:
        """Nobody has it, and somebody asked for its like."""
        key = key_of(remote)
        assert key is not None
        where = f"{_ASKED[kind]} = ? AND workspace = ?"
        journal = self.ctx.journal
        rows: Sequence[Row] = (
            journal.tunes(where, [key, workspace])
            if kind == "tune"
            else journal.prompts(where, [key, workspace])
        )
        old = list(given_up(journal, kind, workspace, key))
        found = claim(remote, rows, [row for _, row in old])
        if found is None:
            return
        self._open.setdefault((kind, workspace), {})[remote.id] = remote
        what, row = found
        if what is Claim.OURS:
            self._take(row, remote)
        elif what is Claim.SPARE:
            self.keep(row, remote)
        elif what is Claim.GIVEN_UP:
            journal.drop("given_up", next(record for record, one in old if one is row))
            self._keep_late(row, remote)

    def _take(self, row: Row, remote: Remote) -> None:
        """An order that waits for it, or was refused, has it after all: nothing is sent for it any more."""
        if row.state in {TuneState.FAILED, PromptState.FAILED}:
            self._tell(row, remote, besides=None, lasting=False)
        self._bind(row, remote)

    def keep(self, row: Row, remote: Remote) -> None:
        """It was made besides the one that the order has: it gets a row of its own, and is told."""
        self._tell(row, remote, besides=row.remote_id, lasting=True)
        self._bind(self._second(row, spare_of=row.id), remote)

    def _keep_late(self, row: Row, remote: Remote) -> None:
        """It comes of an order whose row was dropped or made anew since."""
        journal = self.ctx.journal
        if isinstance(row, Tune):
            main = journal.current_tune(row.source_id)
            spare_of = main.id if main else None
        else:
            same = "source_id = ? AND fingerprint = ? AND run = ? AND spare_of IS NULL"
            versions = journal.prompts(same, [row.source_id, row.fingerprint, row.run])
            spare_of = max((one.id for one in versions), default=None)
        self._tell(row, remote, besides=None, lasting=spare_of is not None)
        self._bind(self._second(row, spare_of=spare_of), remote)

    def _second(self, row: Row, *, spare_of: int | None) -> Row:
        names = (*_SAME, *(_SAME_TUNE if isinstance(row, Tune) else _SAME_PROMPT))
        new = self.ctx.journal.add(
            f"{kind_of(row)}s",
            spare_of=spare_of,
            current=False,
            state="queued",
            created_at=row.created_at,
            updated_at=self.ctx.wall,
            **{name: getattr(row, name) for name in names},
        )
        return self.ctx.journal.tune(new) if isinstance(row, Tune) else self.ctx.journal.prompt(new)

    def _is_back(self, kind: str, remote: Remote) -> None:
        """Astria had lost it before its pictures were here, and shows it again."""
        journal = self.ctx.journal
        fresh = remote.created_at is None or self.ctx.wall < remote.created_at + _KEPT
        if isinstance(remote, RemoteTune):
            for tune in journal.tunes(
                "remote_id = ? AND state = 'deleted' AND delete_at IS NULL", [remote.id]
            ):
                self._bind(tune, remote)
        elif remote.images and fresh:
            lost = "remote_id = ? AND state = 'deleted' AND done_at IS NULL AND delete_at IS NULL"
            for prompt in journal.prompts(lost, [remote.id]):
                for image in journal.images("prompt_id = ? AND state = 'gone'", [prompt.id]):
                    again = {"state": "wanted", "attempt": 0, "next_at": self.ctx.now, "reason": ""}
                    journal.change("images", image.id, **again)
                journal.change(f"{kind}s", prompt.id, complete=False)
                self._bind(journal.prompt(prompt.id), remote)

    def _bind(self, row: Row, remote: Remote) -> None:
        if isinstance(row, Tune) and isinstance(remote, RemoteTune):
            self.binding.bind_tune(row, remote)
        elif isinstance(row, Prompt) and isinstance(remote, RemotePrompt):
            self.binding.bind_prompt(row, remote)

    def _tell(self, row: Row, remote: Remote, *, besides: int | None, lasting: bool) -> None:
        """`lasting`: a row says it as long as it is there (`spare_of`); else it is an alarm like any."""
        path = self.ctx.journal.source(row.source_id).path
        text = made_besides(kind_of(row), path, remote.id, besides, remote.url)
        self.ctx.event(
            *(kind_of(row), row.id, row.source_id, "duplicate", text), level="error" if lasting else "debug"
        )
        if not lasting:
            self.ctx.alarm(text)
