"""What Astria has: lists that tell the state of work under way.

One page of a list shows 120 objects, so work is followed by pages, never one by one (astria-api.md "Prompts").
"""

import logging
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.pace import next_delay, typical
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, message, the_object
from astria_sync.core.wire import RemotePrompt, RemoteTune, form, read_prompt, read_tune
from astria_sync.doors import Doors
from astria_sync.fetching import Fetching
from astria_sync.prompting import Prompting
from astria_sync.tuning import Tuning

log = logging.getLogger("astria_sync")

_FRESH_SECONDS: Final = (
    60.0  # a watermark for tunes is no older: one made elsewhere in between would pass for ours
)
_MONTH: Final = 31 * 86400.0  # Astria deletes after 30 days; there is nothing older to adopt
_RUNNING: Final = {
    "tune": "state = 'training'",
    "prompt": "(state = 'generating' OR (state = 'downloading' AND complete = 0))",
}


@dataclass(kw_only=True)
class Following:
    """Owns tunes and prompts from bound to trained or pictured."""

    ctx: Context
    tuning: Tuning
    prompting: Prompting
    fetching: Fetching
    doors: Doors
    _usual: dict[tuple[str, Any], tuple[float, float | None]] = field(default_factory=dict, init=False)

    def move(self, row: Tune | Prompt, event: Event, **values: Any) -> Tune | Prompt:
        """Let an event happen to a tune or prompt, and tell those that wait for it."""
        log.info(
            "%s %s: %s%s", *self._name(row), event, f" ({values['reason']})" if values.get("reason") else ""
        )
        if isinstance(row, Prompt):
            return self.ctx.journal.move_prompt(row, event, self.ctx.wall, **values)
        moved = self.ctx.journal.move_tune(row, event, self.ctx.wall, **values)
        self.prompting.folders_changed(self.ctx.journal.source(row.source_id).name)
        return moved

    def _name(self, row: Tune | Prompt) -> tuple[str, str]:
        return type(row).__name__.lower(), self.ctx.journal.source(row.source_id).path

    def owner(self, kind: str, remote_id: int) -> int | None:
        """The row that has this id."""
        row: int | None = self.ctx.journal.value(f"SELECT id FROM {kind}s WHERE remote_id = ?", [remote_id])
        return row

    # What to ask for

    def plan(self) -> None:
        """Ask for what is due."""
        if not self.ctx.gates.reads:
            return
        for kind in ("tune", "prompt"):
            self._poll(kind)
        self._patch()

    def _poll(self, kind: str) -> None:
        now, poll = self.ctx.now, self.ctx.settings.timing.poll_seconds
        sql = f"SELECT workspace, remote_id, next_at FROM {kind}s WHERE {_RUNNING[kind]} AND next_at <= ?"
        by_workspace: dict[str, list[tuple[float, int]]] = {}
        for row in self.ctx.journal.rows(sql, [now + poll / 2]):
            by_workspace.setdefault(row["workspace"], []).append((row["next_at"], row["remote_id"]))
        for workspace, rows in by_workspace.items():
            if min(rows)[0] <= now and self.ctx.free(work.Lane.REQUESTS):
                piece = work.Poll(
                    kind=kind, workspace=workspace, ids=tuple(remote_id for _, remote_id in rows)
                )
                self.ctx.start(("poll", kind, workspace), piece)

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

    def polled(self, piece: work.Poll, pages: work.Pages) -> None:
        """Lists of work under way."""
        self.seen(piece.kind, piece.workspace, pages)
        rows = self._running(piece.kind, piece.workspace)
        shown = {remote.id: remote for remote in pages.objects}
        for remote_id, row in rows.items():
            if remote := shown.get(remote_id):
                self.progress(row, remote)
            elif remote_id in pages.covered:
                self._ask(row)  # not where it should be: a list that lags, or it is gone
            if remote_id in piece.ids or remote:
                self._ask_again_later(row)
        if pages.failure is not None:
            self.doors.close_for(judge_read(pages.failure), pages.failure)

    def _running(self, kind: str, workspace: str) -> dict[int, Tune | Prompt]:
        where = f"{_RUNNING[kind]} AND workspace = ?"
        rows: list[Any] = (
            self.ctx.journal.tunes(where, [workspace])
            if kind == "tune"
            else self.ctx.journal.prompts(where, [workspace])
        )
        return {row.remote_id: row for row in rows}

    def _ask(self, row: Tune | Prompt) -> None:
        kind = type(row).__name__.lower()
        if row.remote_id is not None:
            piece = work.FetchOne(kind=kind, row_id=row.id, workspace=row.workspace, remote_id=row.remote_id)
            self.ctx.start(("fetch", kind, row.id), piece)

    def _ask_again_later(self, row: Tune | Prompt) -> None:
        kind = type(row).__name__.lower()
        age = max(0.0, self.ctx.wall - (row.bound_at or self.ctx.wall))
        delay = next_delay(age, self._typical(row), self.ctx.settings.timing.poll_seconds)
        self.ctx.journal.change(f"{kind}s", row.id, next_at=self.ctx.now + delay)

    def _typical(self, row: Tune | Prompt) -> float | None:
        """How long this kind of work took lately, from the journal; asked for at most every 30 s."""
        kind, done, column = (
            ("tune", "ready_at", "model_type")
            if isinstance(row, Tune)
            else ("prompt", "pictured_at", "target")
        )
        what = getattr(row, column)
        known = self._usual.get((kind, what))
        if known is None or self.ctx.now - known[0] > 30:
            sql = (
                f"SELECT {done} - bound_at FROM {kind}s WHERE {column} = ? AND {done} > bound_at "
                "ORDER BY id DESC LIMIT 20"
            )
            durations = [row[0] for row in self.ctx.journal.rows(sql, [what])]
            known = self._usual[kind, what] = (self.ctx.now, typical(durations))
        return known[1]

    def seen(self, kind: str, workspace: str, pages: work.Pages) -> None:
        """Pages came: doors are open, and the watermark is at least as high as what they show."""
        if pages.objects:
            self.doors.seen_open()
            self.ctx.journal.raise_mark(kind, workspace, max(remote.id for remote in pages.objects))

    # Binding and progress

    def bind_tune(self, tune: Tune, remote: RemoteTune) -> None:
        """The tune's id is known."""
        journal = self.ctx.journal
        source = journal.source(tune.source_id)
        journal.raise_mark("tune", tune.workspace, remote.id)
        own = "id" in tune.params
        told = {} if own else (tune.patched or dict(self.tuning.patch_of(source)))
        moved = self.move(
            tune,
            Event.BOUND,
            reason="",
            error="",
            remote_id=remote.id,
            bound_at=self.ctx.wall,
            armed_at=tune.armed_at or self.ctx.wall,
            title=remote.title if own else tune.title,
            class_noun=remote.name or "" if own else tune.class_noun,
            model_type=remote.model_type or "" if own else tune.model_type,
            base_tune_id=remote.base_tune_id or tune.base_tune_id if own else tune.base_tune_id,
            patched=told,
            next_at=self.ctx.now + self.ctx.settings.timing.poll_seconds,
        )
        assert isinstance(moved, Tune)
        self.tuning.compare(source, moved)
        self.progress(journal.tune(tune.id), remote)

    def bind_prompt(self, prompt: Prompt, remote: RemotePrompt) -> None:
        """The prompt's id is known."""
        self.ctx.journal.raise_mark("prompt", prompt.workspace, remote.id)
        moved = self.move(
            prompt,
            Event.BOUND,
            reason="",
            error="",
            remote_id=remote.id,
            bound_at=self.ctx.wall,
            armed_at=prompt.armed_at or self.ctx.wall,
        )
        self.progress(moved, remote)
        self._ask_again_later(self.ctx.journal.prompt(prompt.id))

    def progress(self, row: Tune | Prompt, remote: RemoteTune | RemotePrompt) -> None:
        """Astria shows it: note what is new."""
        if isinstance(row, Tune) and isinstance(remote, RemoteTune):
            self._tune_progress(row, remote)
        elif isinstance(row, Prompt) and isinstance(remote, RemotePrompt):
            self._prompt_progress(row, remote)

    def _tune_progress(self, tune: Tune, remote: RemoteTune) -> None:
        self.ctx.journal.change(
            "tunes",
            tune.id,
            cost_mc=remote.cost_mc or tune.cost_mc,
            url=remote.url,
            expires_at=remote.expires_at,
        )
        if tune.state is not TuneState.TRAINING:
            return
        if remote.trained:
            self.move(tune, Event.TRAINED, ready_at=self.ctx.wall)
        elif remote.user_error:
            self.move(tune, Event.USER_ERROR, reason="Astria could not make it", error=remote.user_error)

    def _prompt_progress(self, prompt: Prompt, remote: RemotePrompt) -> None:
        self.ctx.journal.change(
            "prompts", prompt.id, cost_mc=remote.cost_mc or prompt.cost_mc, url=remote.url, answer=remote.raw
        )
        if remote.images:
            self.fetching.pictured(prompt, remote)
        elif remote.user_error and prompt.state is PromptState.GENERATING:
            self.move(prompt, Event.USER_ERROR, reason="Astria could not make it", error=remote.user_error)

    def fetched(self, piece: work.FetchOne, result: Answer | NoAnswer) -> None:
        """One object was asked for by its id."""
        row: Tune | Prompt = (
            self.ctx.journal.tune(piece.row_id)
            if piece.kind == "tune"
            else self.ctx.journal.prompt(piece.row_id)
        )
        verdict = judge_read(result)
        if verdict is Verdict.OK and isinstance(result, Answer):
            body = the_object(result.body) or {}
            remote = read_tune(body) if piece.kind == "tune" else read_prompt(body)
            if (
                remote is not None
                and isinstance(row, Tune)
                and isinstance(remote, RemoteTune)
                and row.remote_id is None
            ):
                self.bind_tune(row, remote)
            elif remote is not None:
                self.progress(row, remote)
        elif verdict is Verdict.GONE:
            self._gone(row)
        elif verdict is Verdict.REFUSED and isinstance(result, Answer) and row.remote_id is None:
            self.move(
                row, Event.REFUSED, reason=f"tune {piece.remote_id} cannot be used", error=message(result)
            )
        else:
            self.doors.close_for(verdict, result)

    def _gone(self, row: Tune | Prompt) -> None:
        if isinstance(row, Tune) and row.state is TuneState.QUEUED:
            reason = f"there is no tune {row.params.get('id')} in this account; correct id in tune.toml."
            self.move(row, Event.REFUSED, reason=reason)
        elif isinstance(row, Prompt) and row.state is PromptState.DOWNLOADING:
            self.fetching.gone(row)
        elif row.state in {TuneState.TRAINING, PromptState.GENERATING}:
            self.move(row, Event.GONE, reason="Astria does not have it any more")

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
            self.ctx.event("tune", tune.id, tune.source_id, "patched", ", ".join(piece.values))
            self.prompting.folders_changed(self.ctx.journal.source(tune.source_id).name)
        elif verdict in {Verdict.REFUSED, Verdict.GONE} and isinstance(result, Answer):
            reason = f"Astria did not take the change of {', '.join(piece.values)}: {message(result)}"
            self.ctx.journal.change("tunes", tune.id, patched=done, patch=left, reason=reason)
            self.ctx.event("tune", tune.id, tune.source_id, "patch refused", reason)
        else:
            self.ctx.journal.change("tunes", tune.id, next_at=self.ctx.now + self.ctx.backoff(1))
            self.doors.close_for(verdict, result)
