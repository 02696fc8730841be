"""What is to be done every so often, whatever happens in the folders."""

import logging
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from astria_sync.balance import Balance
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.naming import picture_name, temporary_name
from astria_sync.expiring import at_risk, sentences
from astria_sync.trouble import is_damage

log = logging.getLogger("astria_sync")

_BACKED_UP: Final = "backup_at"
_FAILED: Final = "backup"  # why it could not be made, for `status`
_AGAIN: Final = 3600.0  # seconds until a copy that could not be made is tried again
_WARNED: Final = "expiring"  # prompt → the last warning given for it, in days before
_LOOK: Final = 60.0  # seconds between looks for what expires
_TIDIED: Final = "tidied_at"
_TIDY: Final = 3600.0  # seconds between removals of parts that were left behind
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
            log.warning("%s", text)
            for risk in news:
                if risk.days == days:
                    self.ctx.event("prompt", risk.prompt_id, risk.source_id, "expiring", text)


@dataclass(kw_only=True)
class Upkeep:
    """The daily copy of the state, the parts of pictures that nobody goes on with, and warnings of what expires."""

    ctx: Context
    expiring: Expiring = field(init=False)
    balance: Balance = field(init=False)
    _not_before: float = field(default=-math.inf, init=False)

    def __post_init__(self) -> None:
        """What expires, and what is left of the balance, are questions of their own."""
        self.expiring, self.balance = Expiring(ctx=self.ctx), Balance(ctx=self.ctx)

    def plan(self) -> None:
        """Start what is due. Called on ticks, not on every step."""
        self._back_up()
        self._tidy()
        self.expiring.plan()
        self.balance.plan()

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
            log.warning("%s was left behind and cannot be removed; remove it yourself.", part)
        if failure is not None:
            log.warning("What was left behind could not be looked for (%s).", failure)

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
            log.info("The state was copied to %s", result)
        elif isinstance(failure, Exception) and is_damage(failure):
            raise failure
        else:
            self._not_before = self.ctx.now + _AGAIN
            problem = f"The daily copy of the state cannot be made ({failure}); mend that, it is tried again every hour."
            log.warning("%s", problem)
        if problem != self.ctx.journal.get(_FAILED, ""):
            self.ctx.journal.put(_FAILED, problem or None)
            self.ctx.event("daemon", None, None, "backup", problem or "the state can be copied again")


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).date().isoformat()
