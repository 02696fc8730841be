"""Which prompts came of a pack's run: found in Astria's lists, they become rows of `prompts` like any, and go their own way.

Each list that is read for whatever reason is compared (`listed`). While prompts are missing, or it is unsure whether a pack was
run, or an earlier state may have run it, lists are read for it (`plan`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from astria_sync.adopting import Adopting
from astria_sync.binding import Binding
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.expiry import tunes_of
from astria_sync.core.lifecycle import Event, PackState, PromptState
from astria_sync.core.model import Prompt
from astria_sync.core.naming import output_folder, safe_component
from astria_sync.core.pace import next_delay
from astria_sync.core.packrow import Pack
from astria_sync.core.packs import Kin, fingerprint, is_second, kin
from astria_sync.core.reconcile import CLEAN_LOOKS, look_counts
from astria_sync.core.wire import RemotePrompt, RemoteTune
from astria_sync.late import expect, expect_now
from astria_sync.packing import facts
from astria_sync.parameters import TYPES
from astria_sync.reconciling import Reconciling
from astria_sync.wording import made_besides

_MONTH: Final = 31 * 86400.0  # Astria deletes after 30 days
_CLEAN: Final = 3  # looks that show no prompt more
# Times reconcile_after_seconds without a new prompt, before those that are missing are given up.
_PATIENCE: Final = 10
_ASKED_FOR: Final = "((state = 'unsure' AND on_pictures = 0) OR state = 'generating') AND next_at <= ? AND watermark IS NOT NULL"
_RUNS_ON: Final = (  # runs on these tunes, and on what Astria made besides one of them
    "SELECT k.id AS run, t.remote_id AS tune, t.id != k.tune_id AS spare FROM tunes t "
    "JOIN packs k ON k.tune_id IN (t.id, t.spare_of) WHERE t.remote_id IN (SELECT value FROM json_each(?)) "
    "AND k.state != 'submitting' AND k.watermark IS NOT NULL ORDER BY k.id"
)


@dataclass(kw_only=True)
class PackTracking:
    """Owns `packs` from made to done, and makes the rows of their prompts."""

    ctx: Context
    binding: Binding
    reconciling: Reconciling
    adopting: Adopting

    # Which lists to read

    def plan(self) -> None:
        """Read the lists that are due."""
        if not self.ctx.gates.reads:
            return
        sql = f"SELECT workspace, min(watermark) AS mark FROM packs WHERE {_ASKED_FOR} GROUP BY 1"
        for row in self.ctx.journal.rows(sql, [self.ctx.now]):
            self.look("packs", row["workspace"], row["mark"])

    def look(self, why: str, workspace: str, down_to: int) -> None:
        """Read the list of prompts, down to there."""
        if self.ctx.free(work.Lane.REQUESTS):
            piece = work.Survey(
                kind="prompt",
                workspace=workspace,
                down_to=down_to,
                back=_MONTH,
                purpose="pack",
                asked=self.ctx.now,
                mark=self.ctx.journal.mark("prompt", workspace),
            )
            self.ctx.start((why, workspace), piece)

    # What lists show

    def polled(self, piece: work.Poll, pages: work.Pages) -> None:
        """Lists of work under way."""
        self.reconciling.polled(piece, pages)
        self.listed(piece.workspace, pages.objects)

    def surveyed(self, piece: work.Survey, pages: work.Pages) -> None:
        """A list from its head."""
        self.reconciling.surveyed_now(piece, pages)
        self.listed(piece.workspace, pages.objects)
        if piece.purpose == "pack" and pages.failure is None:
            counts = look_counts(
                head=pages.head, mark=piece.mark, complete=pages.whole, mark_gone=pages.mark_gone
            )
            self._looked(piece, counts=counts)

    def listed(self, workspace: str, objects: Iterable[RemotePrompt | RemoteTune]) -> None:
        """A list showed these: those that came of a run get their rows."""
        prompts = {one.id: one for one in objects if isinstance(one, RemotePrompt)}
        if not prompts or self.ctx.journal.value("SELECT 1 FROM packs LIMIT 1") is None:
            return
        known = (
            "SELECT remote_id FROM prompts WHERE remote_id IN (SELECT value FROM json_each(?)) AND pulled = 0"
        )
        for row in self.ctx.journal.rows(known, [json.dumps(list(prompts))]):
            del prompts[row["remote_id"]]
        made_with = {tune for one in prompts.values() for tune in tunes_of(one.text, one.tune_id)}
        runs: dict[int, dict[int, bool]] = {}
        for row in self.ctx.journal.rows(_RUNS_ON, [json.dumps(list(made_with))]):
            runs.setdefault(row["run"], {})[row["tune"]] = bool(row["spare"])
        for row_id, tunes in runs.items():
            run = self.ctx.journal.pack(row_id)
            if run.workspace == workspace and self._may_take(run):
                for remote in sorted(prompts.values(), key=lambda one: one.id):
                    self._compare(row_id, remote, tunes)

    def _may_take(self, run: Pack) -> bool:
        """What an earlier state ordered is taken up from the records beside the pictures first."""
        root = self.ctx.journal.source(run.source_id).root
        return run.attempt > 0 or run.state is PackState.QUEUED or self.adopting.settled(root)

    def _compare(self, row_id: int, remote: RemotePrompt, tunes: dict[int, bool]) -> None:
        """Whether this prompt is of this run, on tunes of which some (true) were made besides the one that was asked for."""
        journal = self.ctx.journal
        run = journal.pack(row_id)
        relation = kin(run, facts(run), remote, tunes)
        if relation is Kin.NONE or self.binding.owner("prompt", remote.id) is not None:
            return
        known = journal.prompts("pack_run = ? AND spare_of IS NULL ORDER BY id", [run.id])
        beside = any(tunes.get(tune) for tune in tunes_of(remote.text, remote.tune_id))
        second = bool(known) and (beside or is_second(run, relation, known, remote.template))
        if relation is Kin.OTHER and not beside and run.attempt < 2:
            return  # the person's own run of the same pack
        if run.state is PackState.FAILED:
            self.ctx.alarm(
                made_besides("prompt", journal.source(run.source_id).path, remote.id, None, remote.url)
            )
        if run.state is not PackState.DONE and run.state is not PackState.GENERATING:
            run = self.bind(run)
        if run.order_id is None and remote.order_id is not None and not second:
            journal.change("packs", run.id, order_id=remote.order_id)
        self._add(run, remote, known if second else ())

    def _add(self, run: Pack, remote: RemotePrompt, besides: Sequence[Prompt]) -> None:
        """A row for a prompt of a run; `besides`: those that the run has, if it was made twice."""
        journal, source = self.ctx.journal, self.ctx.journal.source(run.source_id)
        first = next((one for one in besides if one.template == remote.template), next(iter(besides), None))
        new = journal.add(
            "prompts",
            source_id=source.id,
            state=PromptState.QUEUED,
            created_at=self.ctx.wall,
            updated_at=self.ctx.wall,
            spare_of=None if first is None else first.id,
            current=first is None,
            fingerprint=fingerprint(run.pack_id, remote.template, remote.id),
            workspace=run.workspace,
            target=remote.tune_id,
            model=self.ctx.settings.models.name_of(remote.tune_id or 0) or "",
            text=remote.text,
            params=shown_params(remote),
            seed=remote.seed,
            num_images=remote.num_images,
            attempt=int(run.attempt > 0),
            armed_at=run.armed_at,
            folder=str(output_folder(source.path, run.called)),
            output=run.output,
            stem=safe_component(run.called),
            approved=True,
            pack_run=run.id,
            template=remote.template,
        )
        if first is not None:
            text = made_besides("prompt", source.path, remote.id, first.remote_id, remote.url)
            self.ctx.event("prompt", new, source.id, "duplicate", text, level="error")
        self.binding.bind_prompt(journal.prompt(new), remote)
        journal.change("packs", run.id, heard_at=self.ctx.now, looks=0)
        self._complete(journal.pack(run.id))

    def bind(self, run: Pack, **values: Any) -> Pack:
        """The run was made: from now on its prompts are looked for."""
        now = {"next_at": self.ctx.now, "heard_at": self.ctx.now, "looks": 0, "needs_mc": None}
        bound = self.ctx.journal.move_pack(
            run, Event.BOUND, self.ctx.wall, reason="", error="", bound_at=self.ctx.wall, **now, **values
        )
        expect_now(self.ctx, bound)
        return bound

    # What a look proves

    def _looked(self, piece: work.Survey, *, counts: bool) -> None:
        """A list was read that reaches down to there: who was not found in it, and was due when it was asked for."""
        journal = self.ctx.journal
        mine = "workspace = ? AND watermark >= ?"
        values = [piece.workspace, piece.down_to]
        sought = f"{mine} AND state = 'queued' AND armed_at IS NULL AND sought = 0"
        for run in journal.packs(sought, values):
            journal.change("packs", run.id, sought=True)
        for run in journal.packs(f"{mine} AND {_ASKED_FOR} ORDER BY id", [*values, piece.asked]):
            if run.state is PackState.UNSURE:
                self._not_found(run, counts=counts)
            else:
                self._missing(run, counts=counts)

    def _not_found(self, run: Pack, *, counts: bool) -> None:
        if counts and run.looks + 1 >= CLEAN_LOOKS:
            reason = "Astria never ran it; it is sent again"
            moved = self.ctx.journal.move_pack(
                run, Event.ABSENT, self.ctx.wall, reason=reason, next_at=self.ctx.now, looks=0
            )
            expect(self.ctx, moved)
            return
        later = self.ctx.now + self.ctx.settings.timing.reconcile_after_seconds
        self.ctx.journal.change("packs", run.id, looks=run.looks + counts, next_at=later)

    def _missing(self, run: Pack, *, counts: bool) -> None:
        """Some of its prompts have not shown up: asked for on and on, until none has come for long enough."""
        if self._complete(run) or not self._may_take(run):
            return
        timing = self.ctx.settings.timing
        quiet = self.ctx.now - run.heard_at
        looks = run.looks + counts
        if looks < _CLEAN or quiet < _PATIENCE * timing.reconcile_after_seconds:
            delay = next_delay(quiet, None, timing.poll_seconds)
            self.ctx.journal.change("packs", run.id, looks=looks, next_at=self.ctx.now + delay)
            return
        self._give_up(run)

    def _complete(self, run: Pack) -> bool:
        """Whether every prompt of it has its row; then the run is done."""
        known = run.expected > 0 and self._count(run) >= run.expected
        if run.state is not PackState.GENERATING or not known:
            return False
        self.ctx.journal.move_pack(run, Event.COMPLETE, self.ctx.wall, reason="")
        return True

    def _count(self, run: Pack) -> int:
        mine = "SELECT count(*) FROM prompts WHERE pack_run = ? AND spare_of IS NULL"
        return int(self.ctx.journal.value(mine, [run.id]))

    def _give_up(self, run: Pack) -> None:
        """Those that the answer named are followed by their ids all the same; what appears later is still found."""
        journal = self.ctx.journal
        for remote_id in run.prompt_ids:
            if self.binding.owner("prompt", remote_id) is None:
                bare = RemotePrompt(
                    id=remote_id, tune_id=None, text="", seed=None, num_images=1, images=(), user_error="",
                    trained=False, cost_mc=0, url="", created_at=None,
                )  # fmt: skip
                self._add(journal.pack(run.id), bare, ())
        run = journal.pack(run.id)
        if run.state is not PackState.GENERATING:
            return
        count, path = self._count(run), journal.source(run.source_id).path
        text = f"{path}: Astria made {count} of the {run.expected} prompts of the pack {run.called}."
        if run.attempt:
            self.ctx.alarm(text)  # of what an earlier state ordered, Astria may have deleted some
        journal.move_pack(run, Event.COMPLETE, self.ctx.wall, reason="")


def shown_params(remote: RemotePrompt) -> dict[str, Any]:
    """The parameters of a prompt that was not sent from here, as Astria shows them."""
    hidden = {"callback", "pack_id", "base_pack_id", "workspace_id"}
    return {
        key: value
        for key, value in remote.raw.items()
        if key in TYPES and key not in hidden and value is not None
    }
