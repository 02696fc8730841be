"""What is to be done every so often, whatever happens in the folders."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from astria_sync import modelnames
from astria_sync.balance import Balance
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.gates import NETWORK
from astria_sync.core.naming import picture_name, temporary_name
from astria_sync.expiring import at_risk, sentences
from astria_sync.pruning import Pruning
from astria_sync.trouble import is_damage

_BACKED_UP: Final = "backup_at"
_FAILED: Final = "backup"  # why it could not be made, for `status`
_AGAIN: Final = 3600.0  # seconds until a copy that could not be made is tried again
_WARNED: Final = "expiring"  # prompt → the last warning given for it, in days before
_LOOK: Final = 60.0  # seconds between looks for what expires
_TIDIED: Final = "tidied_at"
_TIDY: Final = 3600.0  # seconds between removals of parts that were left behind
_NAMES_GOOD_FOR: Final = 86400.0  # seconds until Astria is asked again which models it has
_NAMES_AGAIN: Final = 600.0  # ... if it did not say
_MEANT: Final = "models"  # name → the tune id that it means
_MEANINGS: Final = 20  # of one name, that are kept
_OBSTACLES: Final = "SELECT key FROM meta WHERE key GLOB 'output:*' OR key GLOB 'gate:*'"


@dataclass(kw_only=True)
class Expiring:
    """Warns of pictures that Astria is about to delete, once for each prompt and each of the warnings."""

    ctx: Context
    _next: float = field(default=-math.inf, init=False)

    def plan(self) -> None:
        """Called on ticks."""
        if self.ctx.now < self._next:
            return
        self._next = self.ctx.now + _LOOK
        journal = self.ctx.journal
        risks = at_risk(journal.rows, self.ctx.wall)
        before: dict[str, int] = journal.get(_WARNED, {})
        warned = {str(risk.prompt_id): risk.days for risk in risks}
        news = [risk for risk in risks if before.get(str(risk.prompt_id), math.inf) > risk.days]
        if warned != before:
            journal.put(_WARNED, warned or None)
        facts = {row["key"]: journal.get(row["key"]) for row in journal.rows(_OBSTACLES)} if news else {}
        for days, text in sentences(news, facts, running=True).items():
            for risk in news:
                if risk.days == days:
                    self.ctx.event("prompt", risk.prompt_id, risk.source_id, "expiring", text)
            self.ctx.say("warning", text)


@dataclass(kw_only=True)
class ModelNames:
    """Asks Astria once a day which models it has, and takes over what another process was told."""

    ctx: Context
    on_models: Callable[[], None]  # names mean something else from now on
    _not_before: float = field(default=-math.inf, init=False)
    _stamp: tuple[int, int] | None = field(default=None, init=False)  # of the file that was read
    _at: float = field(default=-math.inf, init=False)  # when Astria said so, by the wall clock

    def plan(self) -> None:
        """Called on ticks. An answer is older than a day at once if the clock that dated it was wrong."""
        ctx, settings = self.ctx, self.ctx.settings
        self._tell()
        if not ctx.refreshes:
            return
        stamp = modelnames.stamp(settings.state)
        if stamp != self._stamp:
            self._stamp = stamp
            self._take(modelnames.load(settings.state, settings.astria.base_url))
        fresh = 0 <= ctx.wall - self._at < _NAMES_GOOD_FOR
        if not fresh and not ctx.stopping and ctx.now >= self._not_before and NETWORK not in ctx.gates.closed:
            self._not_before = ctx.now + _NAMES_AGAIN
            piece = work.AskModels(state=settings.state, base_url=settings.astria.base_url)
            ctx.start("models", piece)

    def asked(
        self, result: modelnames.Known | modelnames.Unknown | None, failure: BaseException | None
    ) -> None:
        """Astria has said something, or nothing; then what was known stays."""
        if isinstance(result, modelnames.Known):
            if result.left_out:
                left_out = (
                    f"{result.left_out} of the models that Astria lists cannot be used and are left out."
                )
                self.ctx.say("warning", left_out)
            self._take(result)
            return
        why = result.why if result else failure
        told = f"Astria's list of models could not be had ({why}); names mean what they did."
        self.ctx.say("warning" if failure or (result and result.odd) else "debug", told)

    def _take(self, known: modelnames.Known | None) -> None:
        if known is None:
            return
        self._at = known.at
        if known.catalog != self.ctx.models.catalog:
            self.ctx.models = replace(self.ctx.models, catalog=known.catalog)
            self._tell()

    def _tell(self) -> None:
        """Names mean something else than the journal knows, by Astria or by the configuration: what they meant before is
        kept for what went out with that meaning. A step that is rolled back leaves the difference, so it is told again.
        """
        journal, means = self.ctx.journal, dict(self.ctx.models.ids)
        before: dict[str, int] = journal.get(_MEANT, {})
        if before == means:
            return
        former: dict[str, list[int]] = journal.get(modelnames.FORMER, {})
        for name, tune_id in before.items():
            if means.get(name) != tune_id:
                former[name] = [*former.get(name, []), tune_id][-_MEANINGS:]
        journal.put(_MEANT, means)
        journal.put(modelnames.FORMER, former or None)
        self.on_models()


@dataclass(kw_only=True)
class Upkeep:
    """The daily copy of the state, the parts of pictures that nobody goes on with, warnings of what expires, names of models."""

    ctx: Context
    on_models: Callable[[], None] = lambda: None
    expiring: Expiring = field(init=False)
    balance: Balance = field(init=False)
    pruning: Pruning = field(init=False)
    models: ModelNames = field(init=False)
    _not_before: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        """What expires, what is left of the balance, what is kept of the history, what models are called: each is its own."""
        self.pruning = Pruning(ctx=self.ctx)
        self.expiring, self.balance = Expiring(ctx=self.ctx), Balance(ctx=self.ctx)
        self.models = ModelNames(ctx=self.ctx, on_models=self.on_models)

    def plan(self) -> None:
        """Start what is due. Called on ticks, not on every step."""
        self._back_up()
        self._tidy()
        self.expiring.plan()
        self.balance.plan()
        self.pruning.plan()
        self.models.plan()

    def _tidy(self) -> None:
        """A crash, or Astria's deleting a picture that was half here, leaves a part: it goes once its prompt has ended."""
        last = self.ctx.journal.get(_TIDIED, 0.0)
        if self.ctx.stopping or 0 <= self.ctx.wall - last < _TIDY:
            return
        rows = self.ctx.journal.rows(
            "SELECT p.output, p.folder, p.stem, p.remote_id, i.n FROM prompts p JOIN images i ON i.prompt_id = p.id "
            "WHERE p.state IN ('done', 'deleted') AND p.updated_at >= ? AND i.state != 'wanted'",
            [last],
        )
        names = [picture_name(row["stem"], row["remote_id"], row["n"], "") for row in rows]
        folders = [Path(row["output"], row["folder"]) for row in rows]
        parts = [folder / temporary_name(name) for folder, name in zip(folders, names, strict=True)]
        self.ctx.journal.put(_TIDIED, self.ctx.wall)
        if parts:
            self.ctx.start("tidy", work.Tidy(parts=tuple(parts)))

    def tidied(self, left: tuple[Path, ...] | None, failure: BaseException | None) -> None:
        """They are gone, or some could not be removed."""
        for part in left or ():
            self.ctx.say("warning", f"{part} was left behind and cannot be removed; remove it yourself.")
        if failure is not None:
            self.ctx.say("warning", f"What was left behind could not be looked for ({failure}).")

    def _back_up(self) -> None:
        """On the first tick of each day (UTC), or at the first start on one: a laptop may run for an hour a day."""
        last = self.ctx.journal.get(_BACKED_UP) or self.ctx.journal.get("created_at", 0.0)
        day = _day(self.ctx.wall)
        if self.ctx.stopping or self.ctx.now < self._not_before or _day(last) == day:
            return
        self.ctx.start("backup", work.BackUp(state=self.ctx.settings.state, day=day))

    def backed_up(self, result: Path | None, failure: BaseException | None) -> None:
        """The copy was made, or could not be: then it is tried again in an hour. Raises what says that the state is damaged."""
        problem = ""
        if failure is None:
            self.ctx.journal.put(_BACKED_UP, self.ctx.wall)
            self.ctx.say("info", f"The state was copied to {result}")
        elif isinstance(failure, Exception) and is_damage(failure):
            raise failure
        else:
            self._not_before = self.ctx.now + _AGAIN
            problem = f"The daily copy of the state cannot be made ({failure}); mend that, it is tried again every hour."
            self.ctx.say("warning", problem)
        if problem != self.ctx.journal.get(_FAILED, ""):
            self.ctx.journal.put(_FAILED, problem or None)
            self.ctx.event("daemon", None, None, "backup", problem or "the state can be copied again")


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).date().isoformat()
