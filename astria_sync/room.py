"""Never buy what cannot be saved: an output that takes no pictures lets no prompt of its roots go out."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from astria_sync.context import Context

log = logging.getLogger("astria_sync")

_RESERVE: Final = 128 * 1024 * 1024  # bytes that stay free whatever comes
_PICTURE: Final = (
    16 * 1024 * 1024
)  # bytes; a 4K picture as PNG, until this account has shown what its pictures weigh
_FRESH: Final = 5.0  # seconds that an answer holds; asking takes a system call or two


@dataclass(kw_only=True)
class Room:
    """Looks at outputs before money is spent on pictures for them."""

    ctx: Context
    _known: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)

    def takes(self, output: str, images: int) -> bool:
        """Whether this output can be written and has room for what is under way and `images` more."""
        known = self._known.get(output)
        if known is None or self.ctx.now - known[0] > _FRESH:
            known = self._known[output] = (self.ctx.now, self._problem(output, images))
            self._tell(output, known[1])
        return not known[1]

    def roots(self, images: int) -> list[str]:
        """Roots that were looked at and whose output takes so many more; asked only when something is to be sent."""
        queued = "SELECT 1 FROM prompts WHERE state = 'queued' AND next_at <= ? LIMIT 1"
        if self.ctx.journal.value(queued, [self.ctx.now]) is None:
            return []
        outputs = {
            root: str(watch.output) for root, watch in self.ctx.watches.items() if root in self.ctx.walked
        }
        return [root for root, output in outputs.items() if self.takes(output, images)]

    @property
    def lacking(self) -> bool:
        """Whether an output takes no pictures at present."""
        return self.ctx.journal.value("SELECT 1 FROM meta WHERE key GLOB 'output:*' LIMIT 1") is not None

    def _problem(self, output: str, images: int) -> str:
        place = Path(output)
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        try:
            if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
                return f"{place} cannot be written; prompts for {output} rest until it can."
            disk = os.statvfs(place)
        except OSError as error:
            return f"{place} cannot be used ({error.strerror}); prompts for {output} rest until it can."
        needed = _RESERVE + (images + self._under_way()) * self._weight()
        free = disk.f_bavail * disk.f_frsize
        if disk.f_flag & os.ST_RDONLY:
            return f"{output} lies on a disk that is read-only; prompts for it rest until it can be written."
        if free < needed:
            return f"{output} has {free / 1e6:,.0f} MB free and needs {needed / 1e6:,.0f} MB; make room, prompts for it rest."
        return ""

    def _under_way(self) -> int:
        """Pictures that are paid for and not here yet."""
        sql = "SELECT coalesce(sum(num_images), 0) FROM prompts WHERE state IN ('submitting', 'unsure', 'generating')"
        wanted = self.ctx.journal.value("SELECT count(*) FROM images WHERE state = 'wanted'")
        return int(self.ctx.journal.value(sql) + wanted)

    def _weight(self) -> int:
        """Bytes that a picture may have: twice the heaviest of the last ones, or a cautious guess."""
        latest = (
            "SELECT max(size) FROM (SELECT size FROM images WHERE state = 'saved' ORDER BY id DESC LIMIT 100)"
        )
        return 2 * (self.ctx.journal.value(latest) or _PICTURE // 2)

    def _tell(self, output: str, problem: str) -> None:
        """Where `status` finds it. The numbers change all the time; the kind of trouble is news."""
        before = self.ctx.journal.get(f"output:{output}", "")
        if problem != before:
            self.ctx.journal.put(f"output:{output}", problem or None)
        if bool(problem) != bool(before):
            self.ctx.event("daemon", None, None, "output", problem or f"{output} can be written again")
            (log.warning if problem else log.info)("%s", problem or f"{output} can be written again")
