"""Runs of packs, from queued to made: along with a folder's pictures, or on the tune that the folder has.

The journal rule holds here as in sending.py. What goes out with the pictures shares the fate of the tune that it makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.adopting import Adopting
from astria_sync.context import Context
from astria_sync.core import packwork, work
from astria_sync.core.lifecycle import Event, PackState, TuneState
from astria_sync.core.model import OLDER_THAN_STATE, Outcome, Source, Tune
from astria_sync.core.packrow import Pack
from astria_sync.core.packs import size_for
from astria_sync.core.packwire import read_order
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_create, message
from astria_sync.core.wire import form
from astria_sync.doors import why
from astria_sync.following import Following
from astria_sync.late import expect_now
from astria_sync.packing import Packing, facts
from astria_sync.packtracking import PackTracking
from astria_sync.reconciling import Reconciling
from astria_sync.room import Room
from astria_sync.spending import Spending

_LOOK_AGAIN: Final = 5.0  # seconds until an order is asked about again whose output takes no pictures
_OLD: Final = (
    "SELECT k.id AS pack, t.id AS tune, EXISTS (SELECT 1 FROM prompts WHERE pack_run = k.id) AS known "
    "FROM packs k JOIN sources s ON s.id = k.source_id JOIN tunes t ON t.source_id = k.source_id AND t.current = 1 "
    "WHERE k.state IN ('waiting', 'held', 'queued') AND k.current = 1 AND k.armed_at IS NULL AND k.pack_id IS NOT NULL "
    "AND (k.state = 'queued' OR t.state IN ('ready', 'failed', 'expired', 'deleted')) "
    "AND (known OR (s.adoptable > 0 AND k.sought = 0 AND t.remote_id IS NOT NULL))"
)
# A tune that is made together with a pack goes when that may go.
NO_PACK: Final = (
    " AND (json_extract(params, '$.id') IS NOT NULL OR NOT EXISTS (SELECT 1 FROM packs k "
    "WHERE k.source_id = tunes.source_id AND k.current = 1 AND k.state IN ('settling', 'waiting', 'held')))"
)
COLLAPSED: Final = (
    "Astria answered the pack {name} with prompts that were there before (idempotency is on), {ids}; nothing new was made; "
    "`astria-sync pull` fetches them."
)
_ON_A_TUNE: Final = (
    "SELECT k.id FROM packs k JOIN sources s ON s.id = k.source_id "
    "JOIN tunes t ON t.source_id = k.source_id AND t.current = 1 AND t.state = 'ready' "
    "WHERE k.state = 'queued' AND k.current = 1 AND k.next_at <= ? AND s.missing_since IS NULL ORDER BY k.next_at, k.id"
)


@dataclass(kw_only=True)
class PackSending:
    """Owns `packs` from queued to made, refused or unsure."""

    ctx: Context
    reconciling: Reconciling
    adopting: Adopting
    spending: Spending
    following: Following = field(init=False)
    room: Room = field(init=False)
    packing: Packing = field(init=False)
    tracking: PackTracking = field(init=False)
    _any: bool = field(default=True, init=False)  # packs were ever named here

    def __post_init__(self) -> None:
        """What a pack is, and which prompts are of a run, are questions of their own."""
        self.following, self.room = self.reconciling.following, self.reconciling.following.fetching.room
        self.packing = Packing(ctx=self.ctx, following=self.following, room=self.room, spending=self.spending)
        binding = self.following.binding
        self.tracking = PackTracking(
            ctx=self.ctx, binding=binding, reconciling=self.reconciling, adopting=self.adopting
        )

    def takers(self, result: Callable[[Outcome], Any]) -> Mapping[type, Callable[[Outcome], None]]:
        """Work → who takes what came of it; lists tell of packs too."""
        return {
            packwork.RunPack: lambda one: self.answered(one.work, result(one)),
            packwork.FindPack: lambda one: self.packing.found(one.work, result(one)),
            work.Poll: lambda one: self.tracking.polled(one.work, result(one)),
            work.Survey: lambda one: self.tracking.surveyed(one.work, result(one)),
        }

    def plan(self) -> None:
        """What happened to the tunes that packs went out with; then what is due."""
        self._any = self.ctx.journal.value("SELECT 1 FROM packs LIMIT 1") is not None
        if not self._any:
            return
        self._follow_tunes()
        self.packing.plan()
        self._adopt_recorded()
        if not self.ctx.stopping:
            self.tracking.plan()

    def _adopt_recorded(self) -> None:
        """Records beside pictures tell that a pack was run on an old folder, or on its tune: it is not run again, not even if that
        tune is gone.
        """
        for row in self.ctx.journal.rows(_OLD):
            run, tune = self.ctx.journal.pack(row["pack"]), self.ctx.journal.tune(row["tune"])
            source = self.ctx.journal.source(run.source_id)
            known = row["known"] or self.adopting.before.was_run(source, run, tune.remote_id)
            if known and self.adopting.settled(source.root):
                noun = tune.class_noun or source.settings.get("name") or ""
                expected = run.expected or size_for(facts(run), noun).prompts
                self.ctx.event(
                    "pack", run.id, source.id, "adopted", "as records beside its pictures tell", level="info"
                )
                self.ctx.journal.change("packs", run.id, tune_id=tune.id, watermark=0, expected=expected)
                self.tracking.bind(self.ctx.journal.pack(run.id))

    # Along with the pictures

    def beside(self, tune: Tune) -> Pack | None:
        """The run that goes out with the pictures of this tune, which is not made yet."""
        mine = "source_id = ? AND current = 1 AND state = 'queued' AND bound_at IS NULL"
        return next(iter(self.ctx.journal.packs(mine, [tune.source_id])), None)

    def lets(self, run: Pack, source: Source) -> bool:
        """Whether it may go now; if not, its tune is looked at again in a while."""
        watch = self.ctx.watches[source.root]
        if not self.room.takes(str(watch.output)):
            later = self.ctx.now + _LOOK_AGAIN
            self.ctx.journal.change_all(
                "tunes", "next_at = ?", "source_id = ? AND state = 'queued'", later, source.id
            )
            return False
        fresh = self.reconciling.surveyed("prompt", run.workspace, lately=True)
        return fresh and self.spending.lets_pack(run)

    def arm(self, run: Pack | None, tune: Tune) -> dict[str, Any]:
        """Arm a run with the tune that it makes; what that changes of the tune. The pack says what kind of tune it takes."""
        if run is None:
            return {"pack_run": None}
        self._arm(run, tune, on_pictures=True)
        return {"pack_run": run.id, **_kind(run)}

    def values(self, run: Pack | None, tune: Tune) -> dict[str, Any]:
        """What is sent of a tune."""
        return {**tune.params, **(_kind(run) if run else {})}

    def _arm(self, run: Pack, tune: Tune, *, on_pictures: bool) -> None:
        mark = self.ctx.journal.mark("prompt", run.workspace)
        self.ctx.journal.move_pack(
            run,
            Event.ARMED,
            self.ctx.wall,
            reason="",
            error="",
            tune_id=tune.id,
            on_pictures=on_pictures,
            armed_at=self.ctx.wall,
            attempt=run.attempt + 1,
            watermark=run.watermark if run.lost else mark,
        )

    def _follow_tunes(self) -> None:
        """A run that went out with pictures is made, lost or refused as the tune is."""
        journal = self.ctx.journal
        open_ones = "state IN ('submitting', 'unsure') OR (lost = 1 AND state IN ('waiting', 'held', 'queued', 'failed'))"
        for run in journal.packs(f"on_pictures = 1 AND bound_at IS NULL AND ({open_ones})"):
            tunes = journal.tunes("id = ?", [run.tune_id])
            tune = tunes[0] if tunes else None
            if tune is not None and tune.remote_id is not None and tune.pack_run == run.id:
                self.tracking.bind(run)  # also one that turned up after it was given up for lost
            elif run.state not in {PackState.SUBMITTING, PackState.UNSURE}:
                continue
            elif tune is not None and tune.state is TuneState.UNSURE:
                if run.state is PackState.SUBMITTING:
                    self._move(run, Event.LOST, reason=tune.reason, lost=True)
            elif tune is None or tune.state is not TuneState.UPLOADING:
                self._not_made(run, tune)

    def _not_made(self, run: Pack, tune: Tune | None) -> None:
        refused = tune is not None and tune.state is TuneState.FAILED
        if refused and run.state is PackState.SUBMITTING and tune is not None:
            self._move(run, Event.REFUSED, reason=tune.reason, error=tune.error)
            return
        unheard: dict[str, Any] = {} if run.lost else {"armed_at": None, "watermark": None}
        event = Event.ABSENT if run.state is PackState.UNSURE else Event.NOT_SENT
        self._move(run, event, reason="" if tune is None else tune.reason, **unheard)

    # On the tune that a folder has

    def send(self) -> None:
        """Arm what may go, as far as there are places."""
        if not self._any:
            return
        roots = set(self.adopting.open(self.ctx.walked))
        for row in self.ctx.journal.rows(_ON_A_TUNE, [self.ctx.now]):
            run = self.ctx.journal.pack(row["id"])
            source = self.ctx.journal.source(run.source_id)
            if self.ctx.free(work.Lane.REQUESTS) <= (self.ctx.settings.limits.requests > 1):
                return
            if source.root in roots and self.room.takes(str(self.ctx.watches[source.root].output)):
                self._send(run, source)

    def _send(self, run: Pack, source: Source) -> None:
        tune = self.ctx.journal.current_tune(source.id)
        if run.armed_at is not None and run.tune_id is not None:
            tune = self.ctx.journal.tune(run.tune_id)  # it goes out as it was
        if tune is None or tune.remote_id is None:
            return
        if (
            not self.reconciling.surveyed("prompt", run.workspace, lately=True)
            or not self._sought(run, source, tune)
            or not self.spending.lets_pack(run)
        ):
            return
        self._arm(run, tune, on_pictures=False)
        fields = tuple(form("tune", {"tune_ids": [tune.remote_id]}))
        piece = packwork.RunPack(row_id=run.id, workspace=run.workspace, pack=run.name, fields=fields)
        self.ctx.start(("run", run.id), piece)

    def _sought(self, run: Pack, source: Source, tune: Tune) -> bool:
        """Whether an old folder's pack was looked for in Astria's lists: it may have been run by an earlier state."""
        if not source.adoptable or run.sought or run.armed_at is not None:
            return True
        old = source.adoptable == OLDER_THAN_STATE
        mark = 0 if old else self.adopting.before.known("prompt", run.workspace)
        self.ctx.journal.change("packs", run.id, tune_id=tune.id, watermark=mark)
        self.tracking.look("packs of old", run.workspace, mark)
        return False

    # What came back

    def answered(self, piece: packwork.RunPack, result: Answer | NoAnswer) -> None:
        """A run on a tune was asked for."""
        run = self.ctx.journal.pack(piece.row_id)
        told = read_order(result.body) if isinstance(result, Answer) else None
        verdict = judge_create(result, made=told is not None)
        doors = self.following.doors
        if verdict is Verdict.OK and told is not None:
            doors.seen_open()
            self._made(run, *told)
        elif verdict is Verdict.UNSURE:
            self.lost(run, why(result))
            if isinstance(result, Answer):
                doors.close_for(verdict, result)
        elif isinstance(result, Answer) and self.following.is_refusal(run, verdict, result):
            self._move(
                run, Event.REFUSED, reason=f"Astria refused the pack {run.called}", error=message(result)
            )
        else:
            unheard = {} if run.lost else {"armed_at": None, "watermark": None}
            self._move(run, Event.NOT_SENT, reason=why(result), next_at=self.ctx.now, **unheard)
            doors.close_for(verdict, result)

    def _made(self, run: Pack, order_id: int | None, prompt_ids: tuple[int, ...]) -> None:
        """Prompts that were there before are Astria's idempotency at work: they are told, and never taken for ours."""
        owner = self.following.binding.owner
        old = [one for one in prompt_ids if one <= (run.watermark or 0) or owner("prompt", one) is not None]
        new = [one for one in prompt_ids if one not in old]
        if old:
            text = COLLAPSED.format(name=run.called, ids=", ".join(map(str, old[:12])))
            if not new:
                self._move(run, Event.REFUSED, reason=text)
                return
            self.ctx.alarm(f"{self.ctx.journal.source(run.source_id).path}: {text}")
        expected = len(new) if prompt_ids else run.expected
        self.tracking.bind(run, order_id=order_id, prompt_ids=new, expected=expected)

    def lost(self, run: Pack, why: str) -> None:
        """Astria may have acted: its prompts are looked for before anything is sent again."""
        timing = self.ctx.settings.timing
        wait = max(timing.reconcile_after_seconds, self.ctx.backoff(run.attempt) if run.attempt > 1 else 0.0)
        reason = f"unsure whether Astria has run it ({why}); it is looked for, not sent again"
        self._move(run, Event.LOST, reason=reason, next_at=self.ctx.now + wait, looks=0, lost=True)

    def after_crash(self) -> None:
        """What was armed when the last run ended may have gone out; what went out with pictures follows its tune."""
        for run in self.ctx.journal.packs("state = 'submitting' AND on_pictures = 0"):
            self.lost(run, "astria-sync ended while it was being sent")

    def _move(self, run: Pack, event: Event, **values: Any) -> None:
        moved = self.ctx.journal.move_pack(run, event, self.ctx.wall, **values)
        if event is Event.BOUND:
            expect_now(self.ctx, moved)


def _kind(run: Pack) -> dict[str, Any]:
    """The kind of tune that a pack takes, as far as Astria tells."""
    pack = facts(run)
    kind = {"model_type": pack.model_type, "base_tune_id": pack.base_tune_id}
    return {key: value for key, value in kind.items() if value is not None}
