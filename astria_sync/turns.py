"""Which pictures are fetched next: what Astria deletes first goes first, and what cannot be had stands in nobody's way."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core.model import Image

# By deadline alone, a hundred pictures of a host that hangs would take every place again and again until they are deleted, and
# all later ones with them. By turns alone, what is urgent would wait behind what is not. So each has half of the places.
_URGENT: Final = "urgent"
_FAIR: Final = "fair"

_WANTED: Final = "state = 'wanted' AND next_at <= ?"


@dataclass(kw_only=True)
class Turns:
    """Half of the places go by deadline; the other half to first attempts, of what was ordered here before what was pulled, then
    to what has waited longest.
    """

    ctx: Context
    ordered_only: bool = False  # what was pulled waits until it is known which of it goes first
    _half_of: dict[int, str] = field(default_factory=dict, init=False)  # of the pictures that were handed out
    _latest: str = field(default=_FAIR, init=False)
    _crowded: bool = field(default=False, init=False)  # whether there were more than places, the last time

    def next(self, free: int) -> list[Image]:
        """So many pictures at most that are due and not under way, those to be started first in front."""
        busy = [key[1] for key in self.ctx.under_way if isinstance(key, tuple) and key[0] == "download"]
        self._half_of = {image_id: half for image_id, half in self._half_of.items() if image_id in busy}
        waiting = {_URGENT: self._by_deadline(busy, free)}
        self._crowded = len(waiting[_URGENT]) >= free  # else there is a place for each
        waiting[_FAIR] = self._by_turns(busy, free) if self._crowded else []
        chosen: dict[int, Image] = {}
        while len(chosen) < free and (half := self._whose_turn(waiting)):
            image = waiting[half].pop(0)
            if image.id not in chosen:
                chosen[image.id] = image
                self._half_of[image.id] = self._latest = half
        return list(chosen.values())

    def half(self, image_id: int) -> str:
        """Whose place a picture has that was just handed out; "" if there was one for each."""
        return self._half_of[image_id] if self._crowded else ""

    def _whose_turn(self, waiting: dict[str, list[Image]]) -> str | None:
        """The half that has fewer places, and something to do with one more; with one place in all, in turn."""
        places = Counter(self._half_of.values())
        halves = [half for half in (_URGENT, _FAIR) if waiting[half]]
        return min(halves, key=lambda half: (places[half], half == self._latest), default=None)

    def _by_deadline(self, busy: Sequence[int], count: int) -> list[Image]:
        return self._images("images_wanted", "1", "deadline", busy, count)

    def _by_turns(self, busy: Sequence[int], count: int) -> list[Image]:
        first = self._images("images_fair", "attempt = 0", "pulled, deadline", busy, count)
        if len(first) < count:
            first += self._images("images_next", "attempt > 0", "next_at", busy, count - len(first))
        return first

    def _images(self, index: str, which: str, order: str, busy: Sequence[int], count: int) -> list[Image]:
        marks = ",".join("?" * len(busy))
        which = f"{which} AND pulled = 0" if self.ordered_only else which
        return self.ctx.journal.first_images(
            f"{_WANTED} AND {which} AND id NOT IN ({marks})",
            [self.ctx.now, *busy, count],
            index=index,
            order=order,
        )
