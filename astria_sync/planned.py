"""What `plan` shows: one request that would be sent or would not; here those of packs."""

from dataclasses import dataclass
from typing import Final

from astria_sync.core.lifecycle import PackState
from astria_sync.core.packrow import Pack
from astria_sync.core.prices import USD, Leave
from astria_sync.core.wire import form
from astria_sync.engine import Engine
from astria_sync.packing import goes_along
from astria_sync.wording import things

_STATES: Final = {PackState.WAITING: "waiting", PackState.HELD: "held", PackState.FAILED: "failed"}
_UNKNOWN: Final = "what the pack holds is not known: Astria could not be asked"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One request that would be sent, or would not, and why; "recorded": it was sent long ago, as a sidecar tells."""

    kind: str  # "tune", "pack" or "prompt"
    path: str
    root: str
    state: str  # new, waiting, held, failed, recorded
    method_path: str
    fields: list[tuple[str, str]]
    uploads: list[str]
    reason: str
    estimate_usd: float | None  # None: not known


def planned_packs(engine: Engine) -> list[Planned]:
    """Packs that would be run, or not, each with how much comes of it and the price that Astria tells."""
    journal = engine.ctx.journal
    mine = "current = 1 AND bound_at IS NULL AND state IN ('settling', 'waiting', 'held', 'queued', 'failed')"
    here = "source_id IN (SELECT id FROM sources WHERE missing_since IS NULL)"
    return [_planned(engine, run) for run in journal.packs(f"{mine} AND {here} ORDER BY id")]


def goes_with(engine: Engine, source_id: int) -> str:
    """The pack that is run together with the tune that would be made of this folder; "" if there is none."""
    mine = "source_id = ? AND current = 1 AND bound_at IS NULL AND state IN ('settling', 'waiting', 'held', 'queued')"
    runs = engine.ctx.journal.packs(mine, [source_id])
    return runs[0].name if runs else ""


def _planned(engine: Engine, run: Pack) -> Planned:
    journal = engine.ctx.journal
    source, tune = journal.source(run.source_id), journal.current_tune(run.source_id)
    state, reason = _STATES.get(run.state, "new"), f"{run.reason}: {run.error}" if run.error else run.reason
    if run.state is PackState.SETTLING:
        reason = _UNKNOWN
    elif state == "new":
        leave = engine.spending.leave(run.price_mc, approved=run.past_limit)
        if leave is Leave.NOT_TODAY:
            state, reason = "held", engine.spending.reason(run.price_mc)
    fields: list[tuple[str, str]] = []
    where = "with the folder's pictures"
    if tune is not None and not goes_along(tune):
        where = "on the folder's tune"
        fields = list(form("tune", {"tune_ids": [tune.remote_id]})) if tune.remote_id else []
    if run.expected:
        size = f"{things(run.expected, 'prompt')} and {things(run.num_images, 'picture')}"
        reason = f"pack {run.called}, {where}: {size}{f'; {reason}' if reason else ''}"
    return Planned(
        kind="pack",
        path=source.path,
        root=source.root,
        state=state,
        method_path=f"POST /p/{run.name}/tunes",
        fields=fields,
        uploads=[],
        reason=reason,
        estimate_usd=None if run.price_mc is None else run.price_mc / USD,
    )
