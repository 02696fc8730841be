"""What Astria has: lists that tell the state of work under way.

One page of a list shows 120 objects, so work is followed by pages, never one by one (astria-api.md "Prompts").
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.binding import Binding
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Tune, kind_of
from astria_sync.core.packrow import Pack
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, message, the_object
from astria_sync.core.wire import RemoteTune, form, read_prompt, read_tune
from astria_sync.crowds import Crowd
from astria_sync.doors import Doors
from astria_sync.fetching import Fetching
from astria_sync.prompting import Prompting
from astria_sync.tuning import Tuning
from astria_sync.vanishing import Vanishing

# Times in a row that an object is not shown where it should be: a list that lags once is no loss.
_GONE_AFTER: Final = 4
_EXPIRY_EVERY: Final = 60.0  # seconds between looks for tunes whose 30 days are over
RUNNING: Final = {
    "tune": "state = 'training'",
    "prompt": "(state = 'generating' OR (state = 'downloading' AND complete = 0))",
}
# The same of those that are due, by indexes alone: it is asked at every step.
_DUE: Final = {
    "tune": "SELECT {what} FROM tunes WHERE state = 'training' AND next_at <= ?1",
    "prompt": "SELECT {what} FROM prompts WHERE state = 'generating' AND next_at <= ?1 UNION ALL "
    "SELECT {what} FROM prompts INDEXED BY prompts_incomplete WHERE state = 'downloading' AND complete = 0 AND next_at <= ?1",
}


@dataclass(kw_only=True)
class Following:
    """Asks for what is under way, and hears the answers."""

    ctx: Context
    tuning: Tuning
    prompting: Prompting
    fetching: Fetching
    doors: Doors
    _expiry_at: float = field(default=0.0, init=False)
    _began: dict[tuple[str, str], float] = field(
        default_factory=dict, init=False
    )  # lists that are being read
    _denied: Counter[tuple[str, int]] = field(default_factory=Counter, init=False)
    binding: Binding = field(init=False)
    crowd: Crowd = field(init=False)
    vanishing: Vanishing = field(init=False)

    def __post_init__(self) -> None:
        """Binding is a part of following, for whoever else finds an id; so is what may have vanished."""
        self.vanishing = Vanishing(ctx=self.ctx, prompting=self.prompting, ask=self._ask)
        self.binding = Binding(
            ctx=self.ctx, tuning=self.tuning, prompting=self.prompting, fetching=self.fetching
        )
        self.crowd = Crowd(ctx=self.ctx, binding=self.binding)

    # What to ask for

    def plan(self) -> None:
        """Ask for what is due."""
        self.vanishing.plan()
        if not self.ctx.gates.reads:
            return
        self.poll()
        self._patch()
        self._expire()

    def poll(self) -> None:
        """Ask for work under way, and for nothing else."""
        for kind in ("tune", "prompt"):
            self._poll(kind)

    def _expire(self) -> None:
        """Tunes whose 30 days are over: is Astria rid of them, or were they extended?"""
        if self.ctx.now < self._expiry_at:
            return
        self._expiry_at = self.ctx.now + _EXPIRY_EVERY
        over = "state = 'ready' AND expires_at < ? AND next_at <= ?"
        for tune in self.ctx.journal.tunes(over, [self.ctx.wall, self.ctx.now]):
            if self.ctx.free(work.Lane.REQUESTS):
                self.ctx.journal.change("tunes", tune.id, next_at=self.ctx.now + 60 * _EXPIRY_EVERY)
                self._ask(tune)

    def _poll(self, kind: str) -> None:
        now, poll = self.ctx.now, self.ctx.settings.timing.poll_seconds
        # With thousands under way the question below takes milliseconds.
        due = _DUE[kind].format(what="1") + " LIMIT 1"
        if self._asking(kind) or self.ctx.journal.value(due, [now]) is None:
            return
        sql = _DUE[kind].format(what="workspace, remote_id, next_at")
        by_workspace: dict[str, list[tuple[float, int]]] = {}
        for row in self.ctx.journal.rows(sql, [now + poll / 2]):
            by_workspace.setdefault(row["workspace"], []).append((row["next_at"], row["remote_id"]))
        for workspace, rows in by_workspace.items():
            if min(rows)[0] <= now and self.ctx.free(work.Lane.REQUESTS):
                piece = work.Poll(
                    kind=kind, workspace=workspace, ids=tuple(remote_id for _, remote_id in rows)
                )
                if self.ctx.start(("poll", kind, workspace), piece):
                    self._began[kind, workspace] = now

    def asking(self) -> list[str]:
        """Tables of whose running rows lists are being read."""
        return [f"{kind}s" for kind in RUNNING if self._asking(kind)]

    def _asking(self, kind: str) -> bool:
        """Whether lists of all workspaces are being read; one that is none of ours any more is asked for after them."""
        spaces = {self.ctx.workspace(root) for root in self.ctx.watches}
        return bool(spaces) and all(("poll", kind, space) in self.ctx.under_way for space in spaces)

    def _patch(self) -> None:
        due = "current = 1 AND patch != '{}' AND state IN ('training', 'ready') AND next_at <= ?"
        for tune in self.ctx.journal.tunes(due, [self.ctx.now]):
            if self.ctx.free(work.Lane.REQUESTS) and tune.remote_id is not None:
                fields = tuple(form("tune", tune.patch))
                piece = work.PatchTune(
                    row_id=tune.id,
                    workspace=tune.workspace,
                    remote_id=tune.remote_id,
                    fields=fields,
                    values=tune.patch,
                )
                self.ctx.start(("patch", tune.id), piece)

    # What came back

    def polled(self, piece: work.Poll, pages: work.Pages) -> set[int]:
        """Lists of work under way; the ids of those of which nothing new is told."""
        self.seen(piece.kind, piece.workspace, pages)
        shown: dict[int, Any] = {remote.id: remote for remote in pages.objects}
        asked, covered = set(piece.ids), set(pages.covered)
        took = self.ctx.now - self._began.pop((piece.kind, piece.workspace), self.ctx.now)
        as_before = self.crowd.passed_over(piece.workspace, shown, took) if piece.kind == "prompt" else set()
        for remote_id, row in self._running(piece, {*shown, *asked, *covered} - as_before).items():
            if remote := shown.get(remote_id):
                self.binding.progress(row, remote)
            elif remote_id in covered:
                self._absent(row)
            if remote_id in asked or remote:
                self.binding.ask_again_later(row)
        if pages.failure is not None:
            self.doors.close_for(judge_read(pages.failure), pages.failure)
        return as_before

    def _running(self, piece: work.Poll, ids: Collection[int]) -> dict[int, Tune | Prompt]:
        running = RUNNING[piece.kind].replace("state", "+state")  # by their ids, not through all that run
        where = f"{running} AND workspace = ? AND remote_id IN (SELECT value FROM json_each(?))"
        values = [piece.workspace, json.dumps([*ids])]
        rows: list[Any] = (
            self.ctx.journal.tunes(where, values)
            if piece.kind == "tune"
            else self.ctx.journal.prompts(where, values)
        )
        return {row.remote_id: row for row in rows}

    def _absent(self, row: Tune | Prompt) -> int:
        """It was not where it should be: a list that lags, or it is gone. Asked for alone if that goes on."""
        times = row.absent + 1
        self.crowd.forget(row.remote_id)
        self.ctx.journal.change(f"{kind_of(row)}s", row.id, absent=times)
        if times > 1 and self.ctx.free(work.Lane.REQUESTS) and self.ctx.gates.reads:
            self._ask(row)
        return times

    def _ask(self, row: Tune | Prompt) -> None:
        kind = kind_of(row)
        if row.remote_id is not None:
            piece = work.FetchOne(kind=kind, row_id=row.id, workspace=row.workspace, remote_id=row.remote_id)
            self.ctx.start(("fetch", kind, row.id), piece)

    def seen(self, kind: str, workspace: str, pages: work.Pages) -> None:
        """Pages came: doors are open, and the watermark is at least as high as what they show."""
        if pages.failure is None:
            self.doors.seen_open()
        if pages.objects:
            self.ctx.journal.raise_mark(kind, workspace, max(remote.id for remote in pages.objects))

    def fetched(self, piece: work.FetchOne, result: Answer | NoAnswer) -> None:
        """One object was asked for by its id."""
        row = self._asked_for(piece)
        if row is None:
            return  # it was dropped, or uses another tune by now
        verdict = judge_read(result)
        if verdict is Verdict.OK and isinstance(result, Answer):
            body = the_object(result.body) or {}
            remote = read_tune(body) if piece.kind == "tune" else read_prompt(body)
            if remote is None:
                self._not_told(row, Verdict.LATER, result)
            elif isinstance(row, Tune) and isinstance(remote, RemoteTune) and row.remote_id is None:
                self.binding.bind_tune(row, remote)
            else:
                self.binding.progress(row, remote)
                if isinstance(row, Tune) and row.absent:
                    self.vanishing.is_there(row)
        elif verdict is Verdict.GONE:
            self._gone(row)
        elif row.remote_id is None and isinstance(result, Answer) and self.is_refusal(row, verdict, result):
            told = f"tune {piece.remote_id} cannot be used"
            self.binding.move(row, Event.REFUSED, reason=told, error=message(result))
        else:
            self._not_told(row, verdict, result)

    def _asked_for(self, piece: work.FetchOne) -> Tune | Prompt | None:
        """The row that this object was asked for, if it still wants it."""
        journal, values = self.ctx.journal, [piece.row_id]
        rows: Sequence[Tune] | Sequence[Prompt] = (
            journal.tunes("id = ?", values) if piece.kind == "tune" else journal.prompts("id = ?", values)
        )
        for row in rows:
            by_id = (
                isinstance(row, Tune)
                and row.state is TuneState.QUEUED
                and row.params.get("id") == piece.remote_id
            )
            if row.remote_id == piece.remote_id or by_id:
                return row
        return None

    def _not_told(self, row: Tune | Prompt, verdict: Verdict, result: Answer | NoAnswer) -> None:
        """Nothing came of it: not again at once."""
        later = self.ctx.now + self.ctx.backoff(1)
        self.ctx.journal.change(f"{kind_of(row)}s", row.id, next_at=max(row.next_at, later))
        self.doors.close_for(verdict, result)

    def is_refusal(self, row: Tune | Prompt | Pack, verdict: Verdict, answer: Answer) -> bool:
        """Whether it is this one thing that Astria refuses. A 403 may speak of the token or of the object; the second for the
        same row, after Astria has accepted the token in between, speaks of the object.
        """
        if answer.status != 403:
            return verdict is Verdict.REFUSED
        self._denied[type(row).__name__, row.id] += 1
        return self._denied[type(row).__name__, row.id] > 1

    def _gone(self, row: Tune | Prompt) -> None:
        if isinstance(row, Tune) and row.state is TuneState.QUEUED:
            reason = f"there is no tune {row.params.get('id')} in this account; correct id in tune.toml."
            self.binding.move(row, Event.REFUSED, reason=reason)
        elif isinstance(row, Tune) and row.state is TuneState.READY:
            if become := self.vanishing.is_not(row):
                self.binding.move(row, become[0], reason=become[1], absent=0)
                self.vanishing.left_behind(row)
        elif row.absent + 1 < _GONE_AFTER:
            self.ctx.journal.change(f"{kind_of(row)}s", row.id, absent=row.absent + 1)
        elif isinstance(row, Prompt) and row.state is PromptState.DOWNLOADING:
            self.fetching.gone(row)
        elif row.state in {TuneState.TRAINING, PromptState.GENERATING}:
            self.binding.move(row, Event.GONE, reason="Astria does not have it any more")

    def patched(self, piece: work.PatchTune, result: Answer | NoAnswer) -> None:
        """A tune was told its new title, name, characteristics or auto_extend; or refused to be."""
        tune = self.ctx.journal.tune(piece.row_id)
        verdict = judge_read(result)
        done = {**tune.patched, **piece.values}
        left = {key: value for key, value in tune.patch.items() if piece.values.get(key) != value}
        if isinstance(result, Answer) and 200 <= result.status < 300:
            self.ctx.journal.change(
                "tunes",
                tune.id,
                patched=done,
                patch=left,
                title=done.get("title", tune.title),
                class_noun=done.get("name", tune.class_noun),
            )
            self.ctx.event("tune", tune.id, tune.source_id, "patched", ", ".join(piece.values), level="info")
            self.prompting.folders_changed(self.ctx.journal.source(tune.source_id).name)
        elif verdict in {Verdict.REFUSED, Verdict.GONE} and isinstance(result, Answer):
            reason = f"Astria did not take the change of {', '.join(piece.values)}: {message(result)}"
            self.ctx.journal.change("tunes", tune.id, patched=done, patch=left, reason=reason)
            self.ctx.event("tune", tune.id, tune.source_id, "patch refused", reason, level="error")
        else:
            self.ctx.journal.change("tunes", tune.id, next_at=self.ctx.now + self.ctx.backoff(1))
            self.doors.close_for(verdict, result)
