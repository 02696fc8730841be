"""Never buy what cannot be saved: an output that takes no pictures lets no prompt of its roots go out."""

import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from astria_sync.context import Context
from astria_sync.costs import coming
from astria_sync.disk import Disk

_RESERVE: Final = 128 * 1024 * 1024  # bytes that stay free whatever comes
_PICTURE: Final = (
    16 * 1024 * 1024
)  # bytes; a 4K picture as PNG, until this account has shown what its pictures weigh
_AT_MOST: Final = 8  # pictures that one prompt may make (astria-api.md)
_FRESH: Final = 5.0  # seconds between looks whether trouble is over; that there is none is asked each time
_COUNTED: Final = 5.0  # seconds between counts of what is under way
_SELDOM: Final = 60.0  # … where there is room for so many times what it may come to
_PLENTY: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What was looked at once in a step."""

    step: int
    free: int  # bytes
    largest: int  # pictures that one request may make
    weight: int  # bytes that a picture may have


@dataclass(kw_only=True)
class Room:
    """Looks at outputs before money is spent on pictures for them."""

    ctx: Context
    disk: Disk = field(default_factory=Disk)
    _known: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)
    _seen: dict[str, _Seen] = field(default_factory=dict, init=False)
    _counted: tuple[float, int] = field(
        default=(-math.inf, 0), init=False
    )  # when, and what was under way at most since

    def takes(self, output: str) -> bool:
        """Whether this output can be written and has room for what is under way and one prompt more.

        Asked before each request. What takes system calls is looked at once in each step; those that go out in the same step
        share the room that there was.
        """
        known = self._known.get(output)
        if known is None or not known[1] or self.ctx.now - known[0] > _FRESH:
            known = self._known[output] = (self.ctx.now, self._problem(output))
            self._tell(output, known[1])
        return not known[1]

    def look_again(self) -> None:
        """What is to be sent needs more, or less, than before."""
        self._known.clear()
        self._seen.clear()
        self._counted = (-math.inf, 0)

    def roots(self) -> list[str]:
        """Roots that were looked at and whose output takes pictures; asked only when something is to be sent."""
        queued = "SELECT 1 FROM prompts WHERE state = 'queued' AND next_at <= ? LIMIT 1"
        if self.ctx.journal.value(queued, [self.ctx.now]) is None:
            return []
        outputs = {
            root: str(watch.output) for root, watch in self.ctx.watches.items() if root in self.ctx.walked
        }
        return [root for root, output in outputs.items() if self.takes(output)]

    def recovered(self) -> bool:
        """Whether an output that took no pictures takes them again."""
        troubled = self.ctx.journal.rows("SELECT key FROM meta WHERE key GLOB 'output:*'")
        again = [row["key"] for row in troubled if self.takes(row["key"].removeprefix("output:"))]
        return bool(again)

    @property
    def lacking(self) -> bool:
        """Whether an output takes no pictures at present."""
        return self.ctx.journal.value("SELECT 1 FROM meta WHERE key GLOB 'output:*' LIMIT 1") is not None

    def mount(self, output: str) -> str:
        """Where the disk of an output is mounted, as far as is known."""
        known = self.ctx.journal.get(f"mount:{output}")
        if known is None:  # nothing was ever bought for it here: its pictures were found in the account
            known = self.disk.mount(Path(output))
            self.ctx.journal.put(f"mount:{output}", known)
        return str(known)

    def _taken_out(self, output: str) -> str:
        """The mount point of a disk that is not there: what is written to the output now would lie hidden below it.

        Whoever puts something there since it was missed wants the output to be there. What lay there before says nothing.
        """
        journal, beneath = self.ctx.journal, f"beneath:{output}"
        known, now = self.mount(output), self.disk.mount(Path(output))
        if known != now and not self.disk.mounted(known):
            lies, lay = self.disk.stamp(Path(output)), journal.get(beneath)
            if lay is None:
                journal.put(beneath, lies)
            if lay is None or lies == lay:
                return known
        if known != now:
            journal.put(f"mount:{output}", now)
        if journal.get(beneath) is not None:
            journal.put(beneath, None)
        return ""

    def _problem(self, output: str) -> str:
        seen = self._seen.get(output)
        if seen is None or seen.step != self.ctx.steps:
            free = self._look(output)
            if isinstance(free, str):
                return free
            seen = _Seen(step=self.ctx.steps, free=free, largest=self._largest(output), weight=self._weight())
            self._seen[output] = seen
        needed = self._at_most(seen)
        if seen.free < needed:  # by an estimate that is too high rather than too low: count
            needed = _needed(seen, self._count())
        if seen.free < needed:
            return f"{output} has {seen.free / 1e6:,.0f} MB free and needs {needed / 1e6:,.0f} MB; make room, prompts for it rest."
        return ""

    def _look(self, output: str) -> int | str:
        """Bytes that are free there, or why nothing can be written."""
        place = Path(output)
        while not os.path.lexists(place) and place != place.parent:
            place = place.parent
        try:
            if taken_out := self._taken_out(output):
                return (
                    f"The disk of {output} is not mounted at {taken_out}; mount it or, if it is gone for good, put any "
                    "file into that folder; prompts for it rest."
                )
            disk = self.disk.told_of(place)
            if disk.f_flag & os.ST_RDONLY:
                return (
                    f"{output} lies on a disk that is read-only; prompts for it rest until it can be written."
                )
            if place.stat().st_nlink == 0:  # in a sandbox it is still to be seen
                return f"{place} was removed while the service had it; make it again and restart the service; prompts for it rest."
            if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
                return f"{place} cannot be written; prompts for {output} rest until it can."
        except OSError as error:
            return f"{place} cannot be used ({error.strerror}); prompts for {output} rest until it can."
        return disk.f_bavail * disk.f_frsize

    def _count(self) -> int:
        under_way = self._under_way()
        self._counted = (self.ctx.now, under_way)
        return under_way

    def _at_most(self, seen: _Seen) -> int:
        """Bytes that are needed at most: for what was counted lately, and for each question since then one request more. To count
        takes milliseconds when thousands are under way, and it is asked for each of them.
        """
        at, under_way = self._counted
        under_way += seen.largest
        needed = _needed(seen, under_way)
        if self.ctx.now - at > (_SELDOM if seen.free > _PLENTY * needed else _COUNTED):
            return _needed(seen, self._count())
        self._counted = (at, under_way)
        return needed

    def _largest(self, output: str) -> int:
        """Pictures that one request may make: those of the largest pack that is to be run, or of a prompt."""
        roots = [root for root, watch in self.ctx.watches.items() if str(watch.output) == output]
        largest = (
            "SELECT max(num_images) FROM packs JOIN sources s ON s.id = source_id WHERE state = 'queued' AND current = 1 "
            "AND s.root IN (SELECT value FROM json_each(?))"
        )
        return max(_AT_MOST, self.ctx.journal.value(largest, [json.dumps(roots)]) or 0)

    def _under_way(self) -> int:
        """Pictures that are paid for and not here yet; of a pack's, those whose prompts have not shown up. What is pulled goes
        only where there is room beside these.
        """
        sql = "SELECT coalesce(sum(num_images), 0) FROM prompts WHERE state IN ('submitting', 'unsure', 'generating')"
        wanted = self.ctx.journal.value("SELECT count(*) FROM images WHERE state = 'wanted' AND pulled = 0")
        packs = sum(share for _, share in coming(self.ctx.journal.rows, "num_images"))
        return int(self.ctx.journal.value(sql) + wanted + packs)

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
            told = problem or f"{output} can be written again"
            self.ctx.event("daemon", None, None, "output", told, level="warning" if problem else "info")


def _needed(seen: _Seen, under_way: int) -> int:
    """Bytes for what is under way and one request more."""
    return _RESERVE + (seen.largest + under_way) * seen.weight
