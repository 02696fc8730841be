"""The journal rule: an intent is durable before a byte goes out, and an unknown fate is looked for, never repeated.

`plan` arms what may go and asks for what runs; `answered` takes what came back. The states are lifecycle.py's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.adopting import Adopting
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event, PromptState, TuneState
from astria_sync.core.model import Prompt, Source, Tune, kind_of
from astria_sync.core.reconcile import has_our_seed
from astria_sync.core.retry import Answer, NoAnswer, Verdict, created_id, judge_create, message, the_object
from astria_sync.core.wire import form, read_prompt, read_tune
from astria_sync.doors import Doors, why
from astria_sync.following import Following
from astria_sync.judging import Ready
from astria_sync.late import forget
from astria_sync.packsending import NO_PACK, PackSending
from astria_sync.prompting import Prompting
from astria_sync.reconciling import Reconciling
from astria_sync.room import Room
from astria_sync.spending import Spending
from astria_sync.tuning import Tuning
from astria_sync.vanishing import REFUSED
from astria_sync.wording import COLLAPSED_PROMPT, COLLAPSED_TUNE

_SOUGHT_AT_ONCE: Final = 250
_NO_TWIN: Final = (
    " AND NOT EXISTS (SELECT 1 FROM tunes other WHERE other.state IN ('uploading', 'unsure') "
    "AND other.title = tunes.title AND other.workspace = tunes.workspace)"
)
SEEDS: Final = 2**32


@dataclass(kw_only=True)
class Sending:
    """Owns tunes and prompts from queued to bound, refused or unsure."""

    ctx: Context
    tuning: Tuning
    prompting: Prompting
    following: Following
    reconciling: Reconciling
    adopting: Adopting
    doors: Doors
    room: Room
    spending: Spending
    packs: PackSending = field(init=False)
    paused: bool = field(default=False)

    def __post_init__(self) -> None:
        """Packs go out with tunes, or by themselves."""
        self.packs = PackSending(
            ctx=self.ctx, reconciling=self.reconciling, adopting=self.adopting, spending=self.spending
        )
        self.tuning.on_pack = self.packs.packing.want

    # Sending

    def plan(self) -> None:
        """Arm what may go, as far as there are places."""
        if self.paused or self.ctx.stopping or not self.ctx.gates.creates:
            return
        self._tunes()
        if self.spending.limit is None or self.reconciling.tunes_sought():
            self.packs.send()
            self._prompts()
        self.spending.tell()

    def _tunes(self) -> None:
        free = self.ctx.free(work.Lane.UPLOADS)
        queued, values = self._queued(
            self.adopting.open(self.ctx.walked), f"{_NO_TWIN}{NO_PACK} AND {self.spending.fitting}"
        )
        # More than there are places: some may have to wait for a survey or for one of the same title.
        for tune in self.ctx.journal.tunes(queued, [*values, free + 16]) if free else ():
            source = self.ctx.journal.source(tune.source_id)
            if source.missing_since is not None:
                forget(self.ctx, tune)
            elif "id" in tune.params:
                self.tuning.use(tune)
            elif self.ctx.free(work.Lane.UPLOADS) and self.reconciling.surveyed("tune", tune.workspace):
                self._arm_tune(tune, source)

    def _queued(self, roots: Sequence[str], also: str = "") -> tuple[str, list[Any]]:
        """Rows of these roots that may go now, the longest waiting first; what cannot go must not stand in their way."""
        here = f"(SELECT root FROM sources WHERE id = source_id) IN ({','.join('?' * len(roots))})"
        order = f"state = 'queued' AND next_at <= ? AND {here}{also} ORDER BY next_at, id LIMIT ?"
        return order, [self.ctx.now, *roots]

    def _arm_tune(self, tune: Tune, source: Source) -> None:
        journal = self.ctx.journal
        # A tune has no seed to be recognised by: two of one title are never under way at a time.
        twin = "state IN ('uploading', 'unsure') AND title = ? AND workspace = ?"
        if journal.tunes(twin, [tune.title, tune.workspace]):
            return
        if self.reconciling.adopt_tune(tune, source):
            return
        run = self.packs.beside(tune)
        if not (self.packs.lets(run, source) if run else self.spending.lets_tune(tune)):
            return
        kind = self.packs.arm(run, tune)
        tune = journal.move_tune(
            tune,
            Event.ARMED,
            self.ctx.wall,
            reason="",
            error="",
            armed_at=self.ctx.wall,
            attempt=tune.attempt + 1,
            watermark=journal.mark("tune", tune.workspace) if tune.watermark is None else tune.watermark,
            patched=dict(self.tuning.patch_of(source)),
            patch={},
            **kind,
        )
        piece = work.CreateTune(
            row_id=tune.id,
            workspace=tune.workspace,
            root=source.root,
            path=source.path,
            stamp=source.stamp.partition("|")[0],
            fields=tuple(form("tune", self.packs.values(run, tune))),
            pack=run.name if run else "",
        )
        self.ctx.start(("create", "tune", tune.id), piece)

    def _prompts(self) -> None:
        # One place is kept for lists, so that finished pictures are noticed while thousands wait to be sent.
        limit = self.ctx.settings.limits.requests
        free = self.ctx.free(work.Lane.REQUESTS) - (limit > 1)
        if free <= 0:
            return
        self.spending.wake(free)
        if not self._sought():
            return
        queued, values = self._queued(self.adopting.open(self.room.roots()), " AND NOT unread")
        for prompt in self.ctx.journal.prompts(queued, [*values, free + self.spending.spare]):
            if self.ctx.free(work.Lane.REQUESTS) <= (limit > 1):
                return
            source = self.ctx.journal.source(prompt.source_id)
            if source.missing_since is not None or not prompt.current:
                forget(self.ctx, prompt)
                continue
            workspace = self.ctx.workspace(source.root)
            if (
                self.reconciling.surveyed("prompt", workspace)
                and (ready := self.prompting.evaluate(prompt))
                and self.room.takes(str(self.ctx.watches[source.root].output))
                and self.spending.lets_prompt(prompt, ready)
            ):
                self._arm_prompt(prompt, ready, workspace)

    def _sought(self) -> bool:
        """Look in the account for what may be there already, before anything is sent, so that what is new after all is
        counted for `hold_above` together; true when all was looked for.
        """
        roots = self.adopting.open(self.ctx.walked)
        unsought = "old > 0 AND state = 'queued' AND sought = 0 AND armed_at IS NULL"  # as the index has it
        here = f"(SELECT root FROM sources WHERE id = source_id) IN ({','.join('?' * len(roots))})"
        rows = self.ctx.journal.prompts(
            f"{unsought} AND NOT unread AND {here} LIMIT ?", [*roots, _SOUGHT_AT_ONCE]
        )
        for prompt in rows:
            source = self.ctx.journal.source(prompt.source_id)
            workspace = self.ctx.workspace(source.root)
            if not self.reconciling.surveyed("prompt", workspace):
                return False
            ready = self.prompting.evaluate(prompt)
            if ready is None:
                continue
            fixed = self._fixed(prompt, ready, workspace)
            own_seed = ready.params.get("seed") is not None
            if not self.reconciling.adopt_prompt(prompt, source, fixed, own_seed=own_seed):
                self.ctx.journal.change("prompts", prompt.id, sought=True)
        if rows:
            self.prompting.queued_anew()
        return not rows

    def _fixed(self, prompt: Prompt, ready: Ready, workspace: str) -> dict[str, Any]:
        """The columns of a request as it will be sent, whatever happens to it."""
        seed, mark = ready.params.get("seed"), self.ctx.journal.mark("prompt", workspace)
        if seed is None and prompt.seed is not None and prompt.watermark is not None:  # Astria has put it off
            return ready.columns(workspace, seed=prompt.seed, watermark=prompt.watermark)
        drawn = self.ctx.chance.randrange(SEEDS) if seed is None else seed
        return ready.columns(workspace, seed=drawn, watermark=mark)

    def _arm_prompt(self, prompt: Prompt, ready: Ready, workspace: str) -> None:
        """A request that was sent before goes out as it was, seed and all; a new one is fixed here."""
        journal = self.ctx.journal
        fixed = self._fixed(prompt, ready, workspace) if prompt.armed_at is None else {}
        prompt = journal.move_prompt(
            prompt,
            Event.ARMED,
            self.ctx.wall,
            reason="",
            error="",
            armed_at=self.ctx.wall,
            attempt=prompt.attempt + 1,
            **fixed,
        )
        roots = tuple(self.ctx.watches)
        piece = work.CreatePrompt(
            row_id=prompt.id,
            workspace=prompt.workspace,
            target=prompt.target or 0,
            fields=(("prompt[text]", prompt.text), *form("prompt", prompt.params)),
            uploads=tuple(work.prompt_upload(name, path, roots) for name, path in prompt.files),
        )
        self.ctx.start(("create", "prompt", prompt.id), piece)

    # What came back

    def answered(self, piece: work.CreateTune | work.CreatePrompt, result: Answer | NoAnswer) -> None:
        """A creating call ended."""
        row: Tune | Prompt
        if isinstance(piece, work.CreateTune):
            row = self.ctx.journal.tune(piece.row_id)
        else:
            row = self.ctx.journal.prompt(piece.row_id)
        verdict = judge_create(result)
        if verdict is Verdict.OK and isinstance(result, Answer):
            self._created(row, result)
        elif verdict is Verdict.UNSURE:
            self.lost(row, why(result))
            if isinstance(result, Answer):
                self.doors.close_for(verdict, result)  # a server in trouble is not given the next one at once
        elif isinstance(result, Answer) and self.following.is_refusal(row, verdict, result):
            reason = self.following.vanishing.refused(row, result) if isinstance(row, Prompt) else REFUSED
            self.following.binding.move(row, Event.REFUSED, reason=reason, error=message(result))
        else:
            self._not_now(row, verdict, result)

    def _created(self, row: Tune | Prompt, answer: Answer) -> None:
        self.doors.seen_open()
        remote_id = created_id(answer.body) or 0
        kind = kind_of(row)
        body = the_object(answer.body) or {}
        known = self.following.binding.owner(kind, remote_id) is not None
        if known or (remote_id <= (row.watermark or 0) and not has_our_seed(row, body)):
            text = COLLAPSED_TUNE if isinstance(row, Tune) else COLLAPSED_PROMPT
            title = row.title if isinstance(row, Tune) else ""
            self.following.binding.move(
                row, Event.REFUSED, reason=text.format(id=remote_id, title=title), error=""
            )
            return
        if isinstance(row, Tune):
            remote = read_tune(body)
            assert remote is not None  # it has an id
            self.following.binding.bind_tune(row, remote)
        else:
            remote_prompt = read_prompt(body)
            assert remote_prompt is not None
            self.following.binding.bind_prompt(row, remote_prompt)

    def lost(self, row: Tune | Prompt, why: str) -> None:
        """Astria may have acted: look for it before anything is sent again."""
        timing = self.ctx.settings.timing
        # Errors of the server (5xx) back off as well, so that a server in trouble is not asked ever faster.
        wait = max(timing.reconcile_after_seconds, self.ctx.backoff(row.attempt) if row.attempt > 1 else 0.0)
        reason = f"unsure whether Astria has it ({why}); it is looked for, not sent again"
        self.following.binding.move(
            row, Event.LOST, reason=reason, next_at=self.ctx.now + wait, looks=0, lost=True
        )

    def _not_now(self, row: Tune | Prompt, verdict: Verdict, result: Answer | NoAnswer) -> None:
        """Nothing was made: back to the queue, free to be changed or dropped unless an earlier attempt got lost. A prompt that
        Astria itself has put off keeps seed and watermark: was it made all the same, it is known when a list shows it.
        """
        heard = isinstance(row, Prompt) and isinstance(result, Answer)
        unheard = {} if row.lost else {"armed_at": None} if heard else {"armed_at": None, "watermark": None}
        self.following.binding.move(row, Event.NOT_SENT, reason=why(result), next_at=self.ctx.now, **unheard)
        if isinstance(result, NoAnswer) and result.changed:
            self._files_changed(row)
        else:
            self.doors.close_for(verdict, result)

    def _files_changed(self, row: Tune | Prompt) -> None:
        source = self.ctx.journal.source(row.source_id)
        if source.missing_since is not None:
            return  # it changed by going; nobody wants it any more
        if isinstance(row, Tune):
            self.ctx.journal.move_tune(self.ctx.journal.tune(row.id), Event.CHANGED, self.ctx.wall)
            self.tuning.intake.again(source)
            return
        self.ctx.journal.change("prompts", row.id, next_at=self.ctx.now + self.ctx.backoff(row.attempt))
        if not row.lost:
            self.prompting.evaluate(self.ctx.journal.prompt(row.id))

    def after_crash(self) -> None:
        """What was armed when the last run ended may have gone out."""
        self.reconciling.know_server()
        self.packs.after_crash()
        for tune in self.ctx.journal.tunes("state = ?", [TuneState.UPLOADING]):
            self.lost(tune, "astria-sync ended while it was being sent")
        for prompt in self.ctx.journal.prompts("state = ?", [PromptState.SUBMITTING]):
            self.lost(prompt, "astria-sync ended while it was being sent")
