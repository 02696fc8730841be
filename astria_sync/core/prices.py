"""What a request will cost, from what its like cost before; and whether the day's limit has room for it.

Money is in thousandths of a US cent, as Astria tells it (`cost_mc`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import Any, Final

# What can make one picture dearer than another of the same model. Shape, seed and inputs do not.
_DEARER: Final = (
    "resolution",
    "super_resolution",
    "hires_fix",
    "face_swap",
    "video_model",
    "video_duration",
    "video_audio",
    "video_upscale_model",
    "video_upscale_target_resolution",
)
ANYTHING: Final = 1
FREE_BRANCH: Final = "fast"  # mock tunes, which cost nothing (astria-api.md)


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """Requests of one kind cost the same, as far as is known; those of one family about the same for each picture."""

    family: tuple[Any, ...]
    exact: tuple[Any, ...]
    images: int = 1
    free: bool = False


def prompt_kind(target: int | None, params: Mapping[str, Any], images: int, *, free: bool = False) -> Kind:
    """The kind of a prompt: where it goes, what makes its pictures dear, and how many there are."""
    dear = tuple(str(params.get(name, "")) for name in _DEARER)
    return Kind(
        family=("prompt", target, bool(params.get("video_model"))),
        exact=(images, *dear),
        images=max(1, images),
        free=free,
    )


def tune_kind(model_type: str, base_tune_id: int | None, params: Mapping[str, Any]) -> Kind:
    """The kind of a tune: what is made of which model, and how thoroughly."""
    branch = params.get("branch")
    return Kind(
        family=("tune", model_type, base_tune_id, branch),
        exact=(params.get("preset"), params.get("steps")),
        free=branch == FREE_BRANCH,
    )


def estimate(kind: Kind, bought: Iterable[tuple[Kind, int]]) -> int | None:
    """What it will cost: as much as the last of its kind; else, for each picture, as the dearest of its family; else None.

    `bought` are others and what they cost, the latest first.
    """
    if kind.free:
        return 0
    dearest: float | None = None
    for other, cost in bought:
        if other.family == kind.family:
            if other.exact == kind.exact:
                return cost
            dearest = max(dearest or 0.0, cost / other.images)
    return None if dearest is None else ceil(dearest * kind.images)


class Leave(Enum):
    """What the day's limit says to a request."""

    NOW = "now"
    LATER = "later"  # what is under way may cost less than it seems
    NOT_TODAY = "not today"


@dataclass(frozen=True, kw_only=True, slots=True)
class Day:
    """The money of one day. With `expected`, requests under way are counted before it is known what they cost."""

    limit: int | None  # None: there is none
    paid: int = 0
    expected: int = 0
    unpriced: int = 0  # requests under way of which nobody knows what they cost

    @property
    def left(self) -> int | None:
        """What may still be ordered today; None: whatever one likes."""
        return None if self.limit is None else self.limit - self.paid - self.expected

    def leave(self, price: int | None) -> Leave:
        """Whether a request that costs `price` (None: nobody knows) may go.

        Of those that nobody knows one goes at a time and tells the price, so that the day costs more than its limit by
        one such request at most.
        """
        if self.limit is None or price == 0:
            return Leave.NOW
        least = 1 if price is None else price
        if self.paid + least > self.limit:
            return Leave.NOT_TODAY
        if self.paid + self.expected + least > self.limit or (price is None and self.unpriced):
            return Leave.LATER
        return Leave.NOW

    def plus(self, price: int | None) -> "Day":
        """The day with one more request under way."""
        if price is None:
            return replace(self, unpriced=self.unpriced + 1)
        return replace(self, expected=self.expected + price)


def room_for(price: int | None) -> int:
    """What the day must have left for a request: anything at all for one whose price nobody knows."""
    return ANYTHING if price is None else max(ANYTHING + 1, price)
