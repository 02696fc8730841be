"""Requests whose fate is unknown, and orders from before this state was, against Astria's lists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.auditing import Auditing
from astria_sync.before import Before
from astria_sync.binding import packed
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event
from astria_sync.core.model import OLDER_THAN_RUN, OLDER_THAN_STATE, Prompt, Source, Tune
from astria_sync.core.reconcile import CLEAN_LOOKS, Row, look_counts, same_prompt, same_tune, unclaimed
from astria_sync.core.retry import judge_read
from astria_sync.doors import Doors
from astria_sync.following import Following
from astria_sync.late import expect
from astria_sync.mocks import is_mock

# A watermark for tunes is no older: one made elsewhere in between would pass for ours.
_FRESH_SECONDS: Final = 60.0
# How far back something unsent is to be looked for. Of prompts there may be thousands: those that it is said of have an index.
_UNSOUGHT: Final = {
    "tune": "SELECT max(adoptable) FROM tunes JOIN sources ON sources.id = source_id "
    "WHERE armed_at IS NULL AND bound_at IS NULL AND state = 'queued'",
    "prompt": "SELECT max(old) FROM prompts WHERE old > 0 AND state = 'queued' AND sought = 0 AND armed_at IS NULL "
    "AND bound_at IS NULL",
}
_SPACES: Final = (
    "SELECT DISTINCT workspace FROM tunes WHERE armed_at IS NULL AND bound_at IS NULL AND state = 'queued'"
)
_MONTH: Final = 31 * 86400.0  # Astria deletes after 30 days; there is nothing older to adopt


@dataclass(kw_only=True)
class Reconciling:
    """Owns unsure rows, the watermarks and what the account had before."""

    ctx: Context
    doors: Doors
    following: Following
    before: Before
    auditing: Auditing = field(init=False)
    _listed: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _account: dict[tuple[str, str], list[Any]] = field(default_factory=dict, init=False)  # to adopt from
    _searched: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # how far back it reaches
    _to_adopt: dict[str, int] = field(default_factory=dict, init=False)  # as of this step

    def __post_init__(self) -> None:
        """Auditing is a part of reconciling, for whoever else has a list."""
        self.auditing = Auditing(ctx=self.ctx, binding=self.following.binding)

    def know_server(self) -> None:
        """Ids seen at another server say nothing of this one's."""
        base_url = self.ctx.settings.astria.base_url
        if self.ctx.journal.get("base_url") != base_url:
            for row in self.ctx.journal.rows(
                "SELECT key FROM meta WHERE key GLOB 'mark:*' OR key GLOB 'known:*' OR key GLOB 'former*:*' "
                "OR key GLOB 'looked:*'"
            ):
                self.ctx.journal.put(row["key"], None)
            self.ctx.journal.put("base_url", base_url)

    def plan(self) -> None:
        """Look for unsure requests whose time has come."""
        self._to_adopt.clear()
        if self.ctx.gates.reads:
            for kind in ("tune", "prompt"):
                self._look_for_unsure(kind)

    def _look_for_unsure(self, kind: str) -> None:
        sql = f"SELECT workspace, min(watermark) AS mark FROM {kind}s WHERE state = 'unsure' AND next_at <= ? GROUP BY 1"
        for row in self.ctx.journal.rows(sql, [self.ctx.now]):
            if self.ctx.free(work.Lane.REQUESTS):
                workspace = row["workspace"]
                piece = work.Survey(
                    kind=kind,
                    workspace=workspace,
                    down_to=row["mark"] or 0,
                    purpose="unsure",
                    asked=self.ctx.now,
                    mark=self.ctx.journal.mark(kind, workspace),
                )
                self.ctx.start(("unsure", kind, workspace), piece)

    def surveyed(self, kind: str, workspace: str, *, lately: bool = False) -> bool:
        """Whether the watermark is known well enough to arm a request; if not, a list is asked for.

        `lately`: also for prompts, which else are recognised by their seed, it must be of the last minute.
        """
        key = (kind, workspace)
        far = self._adoptable(kind)
        adopts = far > self._searched.get(key, 0)
        listed = self._listed.get(key)
        old = kind == "prompt" and not lately
        fresh = listed is not None and (old or self.ctx.now - listed < _FRESH_SECONDS)
        if fresh and not adopts:
            return True
        if self.ctx.free(work.Lane.REQUESTS):
            piece = work.Survey(
                kind=kind,
                workspace=workspace,
                down_to=self.before.known(kind, workspace) if far == OLDER_THAN_RUN else 0,
                back=_MONTH if kind == "prompt" else math.inf,
                purpose="adopt" if adopts else "mark",
            )
            self.ctx.start(("survey", kind, workspace), piece)
        return False

    def tunes_sought(self) -> bool:
        """Whether the account was looked through for queued tunes that may be there: what one cost may be this day's money."""
        far = self._adoptable("tune")
        spaces = [row["workspace"] for row in self.ctx.journal.rows(_SPACES)] if far else []
        return all(
            far <= self._searched.get(("tune", one), 0) or self.surveyed("tune", one) for one in spaces
        )

    def _adoptable(self, kind: str) -> int:
        """How far back something unsent is to be looked for (contract §1: a new state beside old folders)."""
        if kind in self._to_adopt:
            return self._to_adopt[kind]
        self._to_adopt[kind] = self.ctx.journal.value(_UNSOUGHT[kind]) or 0
        return self._to_adopt[kind]

    def polled(self, piece: work.Poll, pages: work.Pages) -> None:
        """Lists of work under way: what they show besides is looked at as well."""
        as_before = self.following.polled(piece, pages)
        others = [one for one in pages.objects if one.id not in as_before]
        self.auditing.listed(piece.kind, piece.workspace, others)

    def surveyed_now(self, piece: work.Survey, pages: work.Pages) -> None:
        """A list from its head."""
        self.following.seen(piece.kind, piece.workspace, pages)
        self.auditing.listed(piece.kind, piece.workspace, pages.objects)
        failed = pages.failure is not None
        counts = not failed and look_counts(
            head=pages.head, mark=piece.mark, complete=pages.whole, mark_gone=pages.mark_gone
        )
        if piece.purpose == "audit":
            self.auditing.reread(piece, counts=counts, failed=failed)
        if failed:
            self.doors.close_for(judge_read(pages.failure), pages.failure)
            return
        key = (piece.kind, piece.workspace)
        self.ctx.journal.raise_mark(piece.kind, piece.workspace, pages.head)
        if piece.purpose == "unsure":
            self._not_found(piece, counts=counts)
        # Last: what is noted in memory stays although what was done before it is rolled back.
        self._listed[key] = self.ctx.now
        if piece.purpose == "adopt":
            self._account[key] = list(pages.objects)
            self._searched[key] = OLDER_THAN_RUN if piece.down_to else OLDER_THAN_STATE

    def _not_found(self, piece: work.Survey, *, counts: bool) -> None:
        """Requests that are still unsure although a list was read that reaches down to their watermark.

        Those alone that were due when it was asked for: a look that comes too early proves nothing.
        """
        journal, wait = self.ctx.journal, self.ctx.settings.timing.reconcile_after_seconds
        due = (
            "state = 'unsure' AND workspace = ? AND next_at <= ? AND coalesce(watermark, 0) >= ? ORDER BY id"
        )
        values = [piece.workspace, piece.asked, piece.down_to]
        rows: Sequence[Row] = (
            journal.tunes(due, values) if piece.kind == "tune" else journal.prompts(due, values)
        )
        for row in rows:
            clean = counts and not self.auditing.possible(row)
            if clean and row.looks + 1 >= CLEAN_LOOKS:
                reason = "Astria never had it; it is sent again"
                moved = self.following.binding.move(
                    row, Event.ABSENT, reason=reason, next_at=self.ctx.now, looks=0
                )
                expect(self.ctx, moved)
            else:
                journal.change(f"{piece.kind}s", row.id, looks=row.looks + clean, next_at=self.ctx.now + wait)

    def _bound(self, kind: str) -> set[int]:
        ordered = " AND pulled = 0" if kind == "prompt" else ""
        sql = f"SELECT remote_id FROM {kind}s WHERE remote_id IS NOT NULL{ordered}"
        return {row[0] for row in self.ctx.journal.rows(sql)}

    # Adopting what was ordered before this state was

    def _candidates(self, key: tuple[str, str], source: Source) -> list[Any]:
        """What the account had before this run that this source may have been the reason for."""
        account = self._account.get(key, [])
        if source.adoptable == OLDER_THAN_STATE:
            return account
        known = self.before.known(*key)
        return [one for one in account if one.id > known] if source.adoptable else []

    def adopt_tune(self, tune: Tune, source: Source) -> bool:
        """Bind a tune that the account has already for this folder; false if there is none."""
        account = self._candidates(("tune", tune.workspace), source)
        fits = [
            one.id
            for one in account
            if same_tune(
                one,
                title=tune.title,
                class_noun=tune.class_noun,
                model_type=None if packed(source, tune) else tune.model_type,
                counts={tune.pictures, tune.pictures + tune.captions},
                watermark=0,
                free=is_mock(tune.params),
            )
        ]
        ids = unclaimed(fits, self._bound("tune"))
        if ids:
            self.following.binding.bind_tune(tune, next(one for one in account if one.id == ids[-1]))
        return bool(ids) or self._had_tune(tune, source, account)

    def _had_tune(self, tune: Tune, source: Source, account: list[Any]) -> bool:
        """Records beside pictures tell which tune the folder had. It is that one, whatever it is called now; also if Astria does
        not list it any more, which is then told like that of any tune that is gone: a new one is made on `retrain`.
        """
        former, binding = self.before.tune_of(source), self.following.binding
        if former is None or binding.owner("tune", former.id) is not None:
            return False
        journal, wall = self.ctx.journal, self.ctx.wall
        if remote := next((one for one in account if one.id == former.id), None):
            patched = {**self.following.tuning.patch_of(source), "title": remote.title}
            kind = tune.model_type if remote.model_type is None else remote.model_type
            journal.change("tunes", tune.id, content=former.content, patched=patched, model_type=kind)
            binding.bind_tune(journal.tune(tune.id), remote)
        else:
            binding.move(
                tune, Event.BOUND, remote_id=former.id, bound_at=wall, armed_at=wall, content=former.content
            )
        return True

    def adopt_prompt(self, prompt: Prompt, source: Source, fixed: dict[str, Any], *, own_seed: bool) -> bool:
        """Bind a prompt that the account has already for this file; false if there is none."""
        first = prompt.run == 1  # one more was asked for: it is not one that is there
        account = self._candidates(("prompt", fixed["workspace"]), source) if first else []
        seed = fixed["seed"] if own_seed else None
        fits = [
            one
            for one in account
            if same_prompt(
                one,
                text=fixed["text"],
                target=fixed["target"],
                seed=seed,
                params=fixed["params"],
                watermark=0,
            )
        ]
        # Who is bound is asked for only then: to read all of them for each of thousands takes hours.
        ids = unclaimed((one.id for one in fits), self._bound("prompt")) if fits else []
        if not ids:
            return False
        remote = next(one for one in fits if one.id == ids[0])
        self.ctx.journal.change("prompts", prompt.id, **{**fixed, "seed": remote.seed})
        self.following.binding.bind_prompt(self.ctx.journal.prompt(prompt.id), remote)
        # A random seed that two of them share is one order that was carried out twice, for an earlier state of ours.
        twice = [one for one in fits if one.id in ids[1:] and one.seed == remote.seed]
        for one in twice if seed is None is not remote.seed else ():
            self.auditing.keep(self.ctx.journal.prompt(prompt.id), one)
        return True
