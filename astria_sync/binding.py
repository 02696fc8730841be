"""Rows and the objects that Astria has for them: from the moment an id is known to trained, or to the first picture."""

from dataclasses import dataclass, field
from typing import Any

from astria_sync.context import Context
from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Source, Tune, kind_of
from astria_sync.core.pace import next_delay, typical
from astria_sync.core.wire import RemotePrompt, RemoteTune
from astria_sync.fetching import Fetching
from astria_sync.late import expect_now
from astria_sync.mocks import check_cost
from astria_sync.prompting import Prompting
from astria_sync.pulled import release
from astria_sync.tuning import Tuning


def packed(source: Source, tune: Tune) -> bool:
    """Whether a pack has a say in what kind of tune it is."""
    return tune.pack_run is not None or source.settings.get("pack") is not None


@dataclass(kw_only=True)
class Binding:
    """Owns tunes and prompts from bound to trained or pictured."""

    ctx: Context
    tuning: Tuning
    prompting: Prompting
    fetching: Fetching
    _usual: dict[tuple[str, Any], tuple[float, float | None]] = field(default_factory=dict, init=False)

    def move(self, row: Tune | Prompt, event: Event, **values: Any) -> Tune | Prompt:
        """Let an event happen to a tune or prompt, and tell those that wait for it."""
        if isinstance(row, Prompt):
            return self.ctx.journal.move_prompt(row, event, self.ctx.wall, **values)
        moved = self.ctx.journal.move_tune(row, event, self.ctx.wall, **values)
        self.prompting.folders_changed(self.ctx.journal.source(row.source_id).name)
        return moved

    def owner(self, kind: str, remote_id: int) -> int | None:
        """The row that has this id."""
        ordered = " AND pulled = 0" if kind == "prompt" else ""  # what was pulled is given up for an order
        sql = f"SELECT id FROM {kind}s WHERE remote_id = ?{ordered}"
        row: int | None = self.ctx.journal.value(sql, [remote_id])
        return row

    def bind_tune(self, tune: Tune, remote: RemoteTune) -> None:
        """The tune's id is known."""
        journal = self.ctx.journal
        source = journal.source(tune.source_id)
        own = "id" in tune.params
        other = own or packed(source, tune)  # Astria says of what kind it is
        if not own:  # what tune.toml names may be anybody's, and in no list of ours
            journal.raise_mark("tune", tune.workspace, remote.id)
        told = {} if own else (tune.patched or dict(self.tuning.patch_of(source)))
        moved = self.move(
            tune,
            Event.BOUND,
            reason="",
            error="",
            remote_id=remote.id,
            bound_at=tune.bound_at or self._made(tune, remote),
            armed_at=tune.armed_at or self._made(tune, remote),
            title=remote.title if own else tune.title,
            class_noun=remote.name or "" if own else tune.class_noun,
            model_type=remote.model_type or "" if other else tune.model_type,
            base_tune_id=remote.base_tune_id or tune.base_tune_id if other else tune.base_tune_id,
            patched=told,
            next_at=self.ctx.now + self.ctx.settings.timing.poll_seconds,
        )
        assert isinstance(moved, Tune)
        if moved.current:
            self.tuning.compare(source, moved)
        self.progress(journal.tune(tune.id), remote)
        expect_now(self.ctx, moved)

    def bind_prompt(self, prompt: Prompt, remote: RemotePrompt) -> None:
        """The prompt's id is known."""
        self.ctx.journal.raise_mark("prompt", prompt.workspace, remote.id)
        release(self.ctx, remote.id, prompt)
        bound_at = prompt.bound_at or self._made(prompt, remote)
        moved = self.move(
            prompt,
            Event.BOUND,
            reason="",
            error="",
            remote_id=remote.id,
            bound_at=bound_at,
            armed_at=prompt.armed_at or self._made(prompt, remote),
            next_at=self.later("prompt", prompt.target, bound_at),
            **_told(prompt, remote),
        )
        self.progress(moved, remote)
        expect_now(self.ctx, moved)

    def _made(self, row: Tune | Prompt, remote: RemoteTune | RemotePrompt) -> float:
        """When it was made and paid for: by an attempt of ours, now; what was found in the account, when Astria says."""
        adopted = row.attempt == 0 and remote.created_at is not None
        return min(remote.created_at or 0.0, self.ctx.wall) if adopted else self.ctx.wall

    def progress(self, row: Tune | Prompt, remote: RemoteTune | RemotePrompt) -> None:
        """Astria shows it: note what is new."""
        if row.absent:
            self.ctx.journal.change(f"{kind_of(row)}s", row.id, absent=0)
        check_cost(self.ctx, row, remote)
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
            made_at=remote.created_at or tune.made_at,
            # Also of one that a record named, of which no more was known.
            bound_at=self._made(tune, remote) if tune.attempt == 0 and remote.created_at else tune.bound_at,
        )
        if tune.state is not TuneState.TRAINING:
            return
        if remote.trained:
            self.move(tune, Event.TRAINED, ready_at=self.ctx.wall)
        elif remote.user_error:
            self.move(tune, Event.USER_ERROR, reason="Astria could not make it", error=remote.user_error)

    def _prompt_progress(self, prompt: Prompt, remote: RemotePrompt) -> None:
        told = _told(prompt, remote)
        if any(getattr(prompt, name) != value for name, value in told.items()):
            self.ctx.journal.change("prompts", prompt.id, **told)
        if remote.images:
            self.fetching.pictured(prompt, remote)
        elif remote.user_error and prompt.state is PromptState.GENERATING:
            self.move(prompt, Event.USER_ERROR, reason="Astria could not make it", error=remote.user_error)

    def ask_again_later(self, row: Tune | Prompt) -> None:
        """Set when a row under way is asked for next."""
        what = row.model_type if isinstance(row, Tune) else row.target
        self.ctx.journal.change(
            f"{kind_of(row)}s", row.id, next_at=self.later(kind_of(row), what, row.bound_at)
        )

    def later(self, kind: str, what: Any, bound_at: float | None) -> float:
        """When it is asked for next: rarely while it cannot be done yet (core/pace.py). `what`: of what family it is."""
        return self.when(kind, what, max(0.0, self.ctx.wall - (bound_at or self.ctx.wall)))

    def when(self, kind: str, what: Any, age: float) -> float:
        """The same of what is that old, in seconds."""
        usual, poll = self._typical(kind, what), self.ctx.settings.timing.poll_seconds
        # Its age is by a clock that may have been set while nobody was there to notice: that of this run is not.
        delay = min(next_delay(one, usual, poll) for one in (age, self.ctx.now - self.ctx.began))
        return self.ctx.now + delay

    def _typical(self, kind: str, what: Any) -> float | None:
        """How long this kind of work took lately, from the journal; asked for at most every 30 s."""
        done, column = ("ready_at", "model_type") if kind == "tune" else ("pictured_at", "target")
        known = self._usual.get((kind, what))
        if known is None or self.ctx.now - known[0] > 30:
            sql = (
                f"SELECT {done} - bound_at FROM {kind}s WHERE {column} = ? AND {done} > bound_at AND attempt > 0 "
                "ORDER BY id DESC LIMIT 20"
            )
            durations = [row[0] for row in self.ctx.journal.rows(sql, [what])]
            known = self._usual[kind, what] = (self.ctx.now, typical(durations))
        return known[1]


def _told(prompt: Prompt, remote: RemotePrompt) -> dict[str, Any]:
    """What Astria says of a prompt, in columns."""
    return {"cost_mc": remote.cost_mc or prompt.cost_mc, "url": remote.url, "answer": remote.raw}
