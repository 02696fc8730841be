"""What `plan` shows: one request that would be sent or would not; here those of folders, for tunes and packs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from astria_sync import scan
from astria_sync.context import roots_of
from astria_sync.core.lifecycle import PackState, TuneState
from astria_sync.core.model import Source, Tune
from astria_sync.core.money import USD
from astria_sync.core.packrow import Pack
from astria_sync.core.prices import Kind, Leave, tune_kind
from astria_sync.core.wire import form
from astria_sync.engine import Engine
from astria_sync.packing import facts, goes_along
from astria_sync.spending import kind_of_row
from astria_sync.stale import SAID_OF_TUNE
from astria_sync.wording import things

_STATES: Final = {PackState.WAITING: "waiting", PackState.HELD: "held", PackState.FAILED: "failed"}
_TRAINING: Final = "what its tune costs comes on top and is not known yet"
_UNKNOWN: Final = "what the pack holds is not known: Astria could not be asked"


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One request that would be sent, or would not, and why; "recorded": it was sent long ago, as a sidecar tells."""

    kind: str  # "tune", "pack" or "prompt"
    path: str
    root: str
    state: str  # new, waiting, held, failed, recorded; used: a tune that is there, nothing is sent
    method_path: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    reason: str
    estimate_usd: float | None  # None: not known
    variant: Mapping[str, str] = field(
        default_factory=dict
    )  # which of its file's requests: folder, values of the matrix


def planned_packs(engine: Engine) -> list[Planned]:
    """Packs that would be run, or not, each with how much comes of it and the price that Astria tells."""
    journal = engine.ctx.journal
    mine = "current = 1 AND bound_at IS NULL AND state IN ('settling', 'waiting', 'held', 'queued', 'failed')"
    here = "source_id IN (SELECT id FROM sources WHERE missing_since IS NULL)"
    said = f"id IN (SELECT o.id FROM packs o WHERE {SAID_OF_TUNE})"
    runs = journal.packs(f"{mine} AND {here} AND NOT ({said}) ORDER BY id")
    return [_planned(engine, run) for run in runs]


def goes_with(engine: Engine, tune: Tune) -> bool:
    """Whether the tune would be made by a pack that is run on the folder's pictures, in the pack's request."""
    mine = "source_id = ? AND current = 1 AND bound_at IS NULL AND state IN ('settling', 'waiting', 'held', 'queued')"
    return goes_along(tune) and bool(engine.ctx.journal.packs(mine, [tune.source_id]))


def planned_tune(engine: Engine, tune: Tune, source: Source) -> Planned:
    """A tune that would be made, or one that is used as it is, or what is wrong with a folder."""
    own = tune.params.get("id")
    new = tune.state is not TuneState.FAILED
    estimate, held = priced(engine, kind_of_row(tune), going=new and own is None, approved=tune.past_limit)
    state = "failed" if not new else "used" if own is not None else "held" if held else "new"
    return Planned(
        kind="tune",
        path=source.path,
        root=source.root,
        state=state,
        method_path="POST /tunes" if own is None else f"GET /tunes/{own}",
        fields=list(form("tune", tune.params)) if own is None else [],
        uploads=_uploads(engine, source) if new and own is None else [],
        reason=(f"tune {own}: nothing is uploaded" if state == "used" else held)
        or ("" if tune.needs_mc is not None else reason_of(tune.reason, tune.error))
        or _looked_for(engine, source),
        estimate_usd=estimate if own is None else 0.0,
    )


def faulty_folders(engine: Engine) -> list[Planned]:
    """Folders that are none to make a tune of because something in them is wrong."""
    wrong = (
        "kind = 'folder' AND problem != '' AND missing_since IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM tunes WHERE source_id = sources.id AND current = 1) ORDER BY id"
    )
    return [
        Planned(
            kind="tune",
            path=source.path,
            root=source.root,
            state="failed",
            method_path="POST /tunes",
            reason=source.problem,
            estimate_usd=None,
        )
        for source in engine.ctx.journal.sources(wrong)
    ]


def _uploads(engine: Engine, source: Source) -> list[str]:
    contents = scan.contents(roots_of(engine.ctx.settings)[source.root], source.path)
    return [*contents.pictures, *contents.captions]


def _looked_for(engine: Engine, source: Source) -> str:
    former = engine.adopting.before.tune_of(source) if source.adoptable else None
    return (
        f"only if Astria does not know tune {former.id}, which its pictures were made with" if former else ""
    )


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
    uploads: list[str] = []
    where, price = "on the folder's tune", run.price_mc
    if tune is not None and goes_along(tune):
        where, uploads = "with the folder's pictures", _uploads(engine, source)
        fields = list(form("tune", engine.sending.packs.values(run, tune)))
        training = _training(engine, run, tune)
        price = None if price is None else price + (training or 0)
        if training is None and state != "failed":
            reason = f"{reason}; {_TRAINING}" if reason else _TRAINING
    elif tune is not None and tune.remote_id:
        fields = list(form("tune", {"tune_ids": [tune.remote_id]}))
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
        uploads=uploads,
        reason=reason,
        estimate_usd=_usd(price),
    )


def _training(engine: Engine, run: Pack, tune: Tune) -> int | None:
    """What the tune costs that a pack makes, beside the pack's own price; None if that is not known."""
    kind = facts(run)
    model = tune.model_type if kind.model_type is None else kind.model_type
    base = tune.base_tune_id if kind.base_tune_id is None else kind.base_tune_id
    return engine.spending.price(tune_kind(model, base, tune.params))


def reason_of(reason: str, error: str) -> str:
    """Why it stands where it does, in Astria's words where it has any."""
    return f"{reason}: {error}" if reason and error else reason or error


def priced(engine: Engine, kind: Kind, *, going: bool, approved: bool) -> tuple[float | None, str]:
    """What it would cost as far as that is known; and why the day's limit would hold it back, if it would."""
    spending = engine.spending
    if not going:
        price = spending.price(kind)
        return _usd(price), ""
    left = spending.day.left
    leave, _ = spending.ask(kind, approved=approved)
    price = spending.price(kind)  # which nobody asks for where there is no limit
    # The price of the first that nobody knows is known by the time that the next one goes.
    goes = leave is Leave.NOW or (price is None and left is not None and left > 0)
    return _usd(price), "" if goes else spending.reason(price)


def _usd(price: int | None) -> float | None:
    return None if price is None else price / USD
