"""Requests whose fate is unknown, and orders from before this state was, against Astria's lists."""

from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import Event
from astria_sync.core.model import OLDER_THAN_RUN, OLDER_THAN_STATE, Prompt, Source, Tune
from astria_sync.core.reconcile import CLEAN_LOOKS, look_counts, same_prompt, same_tune, unclaimed
from astria_sync.core.retry import judge_read
from astria_sync.doors import Doors
from astria_sync.following import Following

_FRESH_SECONDS: Final = (
    60.0  # a watermark for tunes is no older: one made elsewhere in between would pass for ours
)
_MONTH: Final = 31 * 86400.0  # Astria deletes after 30 days; there is nothing older to adopt


@dataclass(kw_only=True)
class Reconciling:
    """Owns unsure rows, the watermarks and what the account had before."""

    ctx: Context
    doors: Doors
    following: Following
    _listed: dict[tuple[str, str], float] = field(default_factory=dict, init=False)
    _account: dict[tuple[str, str], list[Any]] = field(default_factory=dict, init=False)  # to adopt from
    _searched: dict[tuple[str, str], int] = field(default_factory=dict, init=False)  # how far back it reaches
    _marks: dict[tuple[str, str], int] = field(
        default_factory=dict, init=False
    )  # highest id known before this run
    _to_adopt: dict[str, int] = field(default_factory=dict, init=False)  # as of this step

    def know_server(self) -> None:
        """Ids seen at another server say nothing of this one's."""
        base_url = self.ctx.settings.astria.base_url
        if self.ctx.journal.get("base_url") != base_url:
            for row in self.ctx.journal.rows("SELECT key FROM meta WHERE key GLOB 'mark:*'"):
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
                piece = work.Survey(
                    kind=kind, workspace=row["workspace"], down_to=row["mark"] or 0, purpose="unsure"
                )
                self.ctx.start(("unsure", kind, row["workspace"]), piece)

    def surveyed(self, kind: str, workspace: str) -> bool:
        """Whether the watermark is known well enough to arm a request; if not, a list is asked for."""
        key = (kind, workspace)
        far = self._adoptable(kind)
        adopts = far > self._searched.get(key, 0)
        listed = self._listed.get(key)
        fresh = listed is not None and (kind == "prompt" or self.ctx.now - listed < _FRESH_SECONDS)
        if fresh and not adopts:
            return True
        if self.ctx.free(work.Lane.REQUESTS):
            since = self.ctx.wall - _MONTH if kind == "prompt" else 0.0
            known = self._marks.setdefault(key, self.ctx.journal.mark(kind, workspace))
            piece = work.Survey(
                kind=kind,
                workspace=workspace,
                down_to=known if far == OLDER_THAN_RUN else 0,
                since=since,
                purpose="adopt" if adopts else "mark",
            )
            self.ctx.start(("survey", kind, workspace), piece)
        return False

    def _adoptable(self, kind: str) -> int:
        """How far back something unsent is to be looked for (contract §1: a new state beside old folders)."""
        if kind in self._to_adopt:
            return self._to_adopt[kind]
        sql = (
            f"SELECT max(adoptable) FROM {kind}s JOIN sources ON sources.id = source_id "
            "WHERE armed_at IS NULL AND bound_at IS NULL AND state = 'queued'"
        )
        self._to_adopt[kind] = self.ctx.journal.value(sql) or 0
        return self._to_adopt[kind]

    def surveyed_now(self, piece: work.Survey, pages: work.Pages) -> None:
        """A list from its head."""
        mark = self.ctx.journal.mark(piece.kind, piece.workspace)
        self.following.seen(piece.kind, piece.workspace, pages)
        if pages.failure is not None:
            self.doors.close_for(judge_read(pages.failure), pages.failure)
            return
        key = (piece.kind, piece.workspace)
        self.ctx.journal.raise_mark(piece.kind, piece.workspace, pages.head)
        self._listed[key] = self.ctx.now
        if piece.purpose == "adopt":
            self._account[key] = list(pages.objects)
            self._searched[key] = OLDER_THAN_RUN if piece.down_to else OLDER_THAN_STATE
        elif piece.purpose == "unsure":
            counts = look_counts(head=pages.head, mark=mark, complete=True)
            self._reconcile(piece, pages, counts=counts)

    def _reconcile(self, piece: work.Survey, pages: work.Pages, *, counts: bool) -> None:
        """Unsure requests against a list that reaches down to their watermark."""
        journal, now = self.ctx.journal, self.ctx.now
        due = (
            "state = 'unsure' AND workspace = ? AND next_at <= ? AND coalesce(watermark, 0) >= ? ORDER BY id"
        )
        values = [piece.workspace, now, piece.down_to]
        rows: list[Any] = journal.tunes(due, values) if piece.kind == "tune" else journal.prompts(due, values)
        for row in rows:
            ids = unclaimed((one.id for one in pages.objects if _is_it(row, one)), self._bound(piece.kind))
            if ids:
                self._found(row, ids, {one.id: one for one in pages.objects})
            elif counts and row.looks + 1 >= CLEAN_LOOKS:
                self.following.binding.move(
                    row, Event.ABSENT, reason="Astria never had it; it is sent again", next_at=now, looks=0
                )
            else:
                wait = self.ctx.settings.timing.reconcile_after_seconds
                journal.change(f"{piece.kind}s", row.id, looks=row.looks + counts, next_at=now + wait)

    def _found(self, row: Tune | Prompt, ids: Any, shown: dict[int, Any]) -> None:
        if len(ids) > 1:
            spare = ", ".join(str(one) for one in ids[1:])
            self.ctx.alarm(
                f"{self.ctx.journal.source(row.source_id).path} was made more than once by Astria: {spare} besides {ids[0]}."
            )
        remote = shown[ids[0]]
        if isinstance(row, Tune):
            self.following.binding.bind_tune(row, remote)
        else:
            self.following.binding.bind_prompt(row, remote)

    def _bound(self, kind: str) -> set[int]:
        sql = f"SELECT remote_id FROM {kind}s WHERE remote_id IS NOT NULL"
        return {row[0] for row in self.ctx.journal.rows(sql)}

    # Adopting what was ordered before this state was

    def _candidates(self, key: tuple[str, str], source: Source) -> list[Any]:
        """What the account had before this run that this source may have been the reason for."""
        account = self._account.get(key, [])
        if source.adoptable == OLDER_THAN_STATE:
            return account
        known = self._marks.get(key, 0)
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
                model_type=tune.model_type,
                counts={tune.pictures, tune.pictures + tune.captions},
                watermark=0,
            )
        ]
        ids = unclaimed(fits, self._bound("tune"))
        if ids:
            self.following.binding.bind_tune(tune, next(one for one in account if one.id == ids[-1]))
        return bool(ids)

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
        ids = unclaimed((one.id for one in fits), self._bound("prompt"))
        if not ids:
            return False
        remote = next(one for one in fits if one.id == ids[0])
        self.ctx.journal.change("prompts", prompt.id, **{**fixed, "seed": remote.seed})
        self.following.binding.bind_prompt(self.ctx.journal.prompt(prompt.id), remote)
        return True


def _is_it(row: Tune | Prompt, remote: Any) -> bool:
    watermark = row.watermark or 0
    if isinstance(row, Tune):
        return same_tune(
            remote,
            title=row.title,
            class_noun=row.class_noun,
            model_type=row.model_type,
            counts=None,
            watermark=watermark,
        )
    return same_prompt(
        remote, text=row.text, target=row.target, seed=row.seed, params=row.params, watermark=watermark
    )
