"""What is to be done every so often, whatever happens in the folders."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from astria_sync.backup import EVERY
from astria_sync.context import Context
from astria_sync.core import work

log = logging.getLogger("astria_sync")

_KEY: Final = "backup_at"


@dataclass(kw_only=True)
class Upkeep:
    """The daily copy of the state."""

    ctx: Context

    def plan(self) -> None:
        """Start what is due. Called on ticks, not on every step."""
        last = self.ctx.journal.get(_KEY) or self.ctx.journal.get("created_at", 0.0)
        # A clock set back far would put the next copy off for as long.
        if self.ctx.stopping or 0 <= self.ctx.wall - last < EVERY:
            return
        day = datetime.fromtimestamp(self.ctx.wall, UTC).date().isoformat()
        self.ctx.start("backup", work.BackUp(state=self.ctx.settings.state, day=day))

    def backed_up(self, result: Path | None, failure: BaseException | None) -> None:
        """The copy was made, or could not be: then it is tried again in an hour."""
        if failure is None:
            self.ctx.journal.put(_KEY, self.ctx.wall)
            log.info("The state was copied to %s", result)
            return
        log.warning("The daily copy of the state could not be made (%s).", failure)
        self.ctx.journal.put(_KEY, self.ctx.wall - EVERY + 3600)
