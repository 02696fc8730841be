"""`plan`: the real engine over a copy of the state in memory, with nothing that reaches the network.

What it would arm is what it would send; nothing is written, neither to the state nor beside the files.
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from astria_sync import scan, sidecars
from astria_sync.context import Context, roots_of
from astria_sync.core import packwork, work
from astria_sync.core.lifecycle import UNSENT_TUNES, Event, PromptState, TuneState
from astria_sync.core.model import Outcome, Prompt, Source
from astria_sync.core.naming import sidecar_name
from astria_sync.core.prices import prompt_kind
from astria_sync.core.wire import form
from astria_sync.engine import Engine
from astria_sync.journal import Journal, open_journal
from astria_sync.judging import Blocked, Ready
from astria_sync.planned import (
    Planned,
    faulty_folders,
    goes_with,
    planned_packs,
    planned_tune,
    priced,
    reason_of,
)
from astria_sync.prompting import HELD
from astria_sync.settings import Settings
from astria_sync.spending import kind_of_row
from astria_sync.stale import FAILED_PROMPTS
from astria_sync.statefile import adopt
from astria_sync.tasks import read_folder, walk

Ask = Callable[
    [packwork.FindPack], packwork.PackFound
]  # the one thing that is asked of Astria, which costs nothing

_STAND_IN = 9_000_000_000  # ids of tunes that would be made, to show prompts that will use them
_TO_COME = "<id of the new tune>"


class _Clock:
    """Stands still, so that what settles does so at once and no deadline passes."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def now(self) -> float:
        return self._wall

    def wall(self) -> float:
        return self._wall


class _DiskOnly:
    """A pool that looks at the disk at once, and drops whatever would go out; what a pack is may be asked."""

    def __init__(self, roots: dict[str, scan.Root], clock: _Clock, ask: Ask | None) -> None:
        self._roots = roots
        self._ask = ask
        self._clock = clock
        self.done: list[Outcome] = []

    def submit(self, piece: Any) -> None:
        root = self._roots.get(getattr(piece, "root", ""))
        if isinstance(piece, work.Walk) and root:
            self.done.append(Outcome(work=piece, result=walk(root, piece, self._clock)))
        elif isinstance(piece, work.ReadFolder) and root:
            try:
                self.done.append(Outcome(work=piece, result=read_folder(root, piece.path, piece.inputs)))
            except OSError as error:
                self.done.append(Outcome(work=piece, failure=error))
        elif isinstance(piece, packwork.FindPack) and self._ask:
            self.done.append(Outcome(work=piece, result=self._ask(piece)))
        elif isinstance(piece, work.FindSidecars):
            self.done.append(Outcome(work=piece, result=sidecars.find(piece)))
        elif isinstance(piece, work.ReadSidecars):
            self.done.append(Outcome(work=piece, result=sidecars.read(piece)))

    def withdraw(self) -> Sequence[Any]:
        return ()

    def close(self, *, wait: bool) -> None:
        del wait


def rehearse(settings: Settings, *, wall: float, ask: Ask | None = None) -> list[Planned]:
    """What the daemon would do now, in the order of its journal; `ask` tells what packs hold and cost. Raises OSError or StateError as opening the state does."""
    journal = _copy(settings.state, wall)
    try:
        engine = _look(settings, journal, wall, ask)
        _count_the_crowd(engine)
        packs = planned_packs(engine)
        return [*_tunes(engine), *faulty_folders(engine), *packs, *_prompts(engine), *_recorded(engine)]
    finally:
        journal.close()


def _copy(state: Path, wall: float) -> Journal:
    if not state.exists():
        return open_journal(None, now=wall)
    memory = sqlite3.connect(":memory:", isolation_level=None)
    disk = sqlite3.connect(f"{state.absolute().as_uri()}?mode=ro", uri=True)
    try:
        disk.backup(memory)
    finally:
        disk.close()
    # Off in every new connection; without it what a rename drops leaves rows behind that belong to nothing.
    memory.execute("PRAGMA foreign_keys = ON")
    return Journal(adopt(memory, state))


def _look(settings: Settings, journal: Journal, wall: float, ask: Ask | None) -> Engine:
    clock = _Clock(wall)
    pool = _DiskOnly(roots_of(settings), clock, ask)
    ctx = Context(
        journal=journal,
        clock=clock,
        settings=settings,
        write_file=lambda _path, _data: None,
        remove_file=lambda _path: None,
    )
    engine = Engine(ctx, pool)
    engine.intake.settling.seconds = 0.0
    # What would be sent is read off the journal, so nothing is armed.
    with journal.transaction():
        journal.put("paused", True)
    engine.start()
    while pool.done:
        engine.step(pool.done.pop(0))
    return engine


def _count_the_crowd(engine: Engine) -> None:
    """What a new state finds is looked for in the account before it counts as new. Here it counts as if nothing were found."""
    journal = engine.ctx.journal
    with journal.transaction():
        journal.change_all("prompts", "sought = 1", "armed_at IS NULL AND unread = 0")
    engine.prompting.queued_anew()
    while engine.prompting.restless:
        engine.step()


def _tunes(engine: Engine) -> list[Planned]:
    """Tunes that would be made, or not; those get an id to stand in for the one they will have, for the prompts."""
    planned: list[Planned] = []
    journal = engine.ctx.journal
    rows = journal.tunes("current = 1 AND state IN ('settling', 'queued', 'failed') ORDER BY id")
    for tune in rows:
        source = journal.source(tune.source_id)
        if source.missing_since is not None:
            continue
        if not goes_with(engine, tune):  # else it is shown with the pack
            planned.append(planned_tune(engine, tune, source))
        if tune.state in UNSENT_TUNES and tune.state is TuneState.QUEUED:
            with journal.transaction():
                bound = journal.move_tune(
                    tune, Event.BOUND, engine.ctx.wall, remote_id=_STAND_IN + tune.id, bound_at=0.0
                )
                journal.move_tune(bound, Event.TRAINED, engine.ctx.wall)
    engine.prompting.folders_changed()
    return planned


def _recorded(engine: Engine) -> list[Planned]:
    """What was found done beside its pictures: nothing else can become done in a rehearsal."""
    journal = engine.ctx.journal
    found: list[Planned] = []
    for prompt in journal.prompts("state = 'done' AND updated_at = ? ORDER BY id", [engine.ctx.wall]):
        source = journal.source(prompt.source_id)
        record = Path(prompt.output, prompt.folder, sidecar_name(prompt.stem, prompt.remote_id or 0))
        found.append(
            Planned(
                kind="prompt",
                path=source.path,
                root=source.root,
                state="recorded",
                method_path="",
                reason=f"prompt {prompt.remote_id}: {record}",
                estimate_usd=0.0,
                variant=prompt.variant,
            )
        )
    return found


def _prompts(engine: Engine) -> list[Planned]:
    journal = engine.ctx.journal
    wanted = f"state IN ('settling', 'waiting', 'held', 'queued') OR id IN ({FAILED_PROMPTS}) ORDER BY id"
    planned: list[Planned] = []
    for prompt in journal.prompts(wanted):
        source = journal.source(prompt.source_id)
        if source.missing_since is None:
            planned.append(_planned_prompt(engine, prompt, source))
    return planned


def _planned_prompt(engine: Engine, prompt: Prompt, source: Source) -> Planned:
    sent_before = prompt.armed_at is not None
    unread = engine.adopting.problem(prompt.output) if prompt.unread else ""
    found = engine.judge(prompt) if prompt.fingerprint and not sent_before and not unread else None
    shown: Sequence[tuple[str, str]] = ()
    uploads: list[str] = []
    state, reason, target, estimate = (
        "waiting" if unread else _state(prompt),
        unread or reason_of(prompt.reason, prompt.error),
        str(prompt.target or "…"),
        None,
    )
    if isinstance(found, Ready):
        # What the day's limit holds back is asked about anew; one of a crowd waits for its tune first, and is held then.
        crowd = prompt.crowd and not prompt.approved
        held_for_good = prompt.state is PromptState.HELD and prompt.needs_mc is None
        state = "held" if held_for_good or crowd else "new"
        reason = _crowd(engine, source) if crowd else prompt.reason if state == "held" else ""
        shown = [
            ("prompt[text]", found.text),
            *form("prompt", {**found.params, "seed": found.params.get("seed", "random")}),
        ]
        uploads = [f"prompt[{name}]={path}" for name, path in found.files]
        target = str(found.target)
        kind = prompt_kind(found.target, found.params, found.num_images, free=found.free)
        estimate, held = priced(engine, kind, going=state == "new", approved=prompt.past_limit)
        state, reason = ("held", held) if held else (state, reason)
    elif isinstance(found, Blocked):
        # The engine may not have come so far: it judges a crowd in several turns.
        state, reason = ("failed", found.problem) if found.problem else ("waiting", found.reason)
    elif sent_before and state != "failed":
        estimate, _ = priced(engine, kind_of_row(prompt), going=False, approved=prompt.past_limit)
    return Planned(
        kind="prompt",
        path=source.path,
        root=source.root,
        state=state,
        method_path=f"POST /tunes/{_shown(target)}/prompts",
        fields=[(name, _shown(value)) for name, value in shown],
        uploads=uploads,
        reason=reason,
        estimate_usd=estimate,
        variant=prompt.variant,
    )


def _crowd(engine: Engine, source: Source) -> str:
    """Why one of too many is held; what is older than the state may be in the account, and is not held then."""
    found = (
        "; what is in the account already is found there, and neither held nor paid"
        if source.adoptable
        else ""
    )
    return HELD.format(limit=engine.ctx.settings.limits.hold_above) + found


def _state(prompt: Prompt) -> str:
    return {
        PromptState.FAILED: "failed",
        PromptState.DELETED: "failed",
        PromptState.HELD: "held",
        PromptState.WAITING: "waiting",
    }.get(prompt.state, "new")


def _shown(text: str) -> str:
    """Stand-in ids, as what they are."""
    start = str(_STAND_IN)[:4]
    words = text.split(start)
    if len(words) == 1:
        return text
    return words[0] + "".join(
        _TO_COME + word.lstrip("0123456789") if word[:6].isdigit() else start + word for word in words[1:]
    )
