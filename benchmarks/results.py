"""What a benchmark measured: rounds, of ours and of others, as they were; and what follows from them. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

HOLDS: Final = "holds"
FAILS: Final = "does not hold"
UNKNOWN: Final = "not measured"


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """At most so much: of the figure itself, or of its ratio to a peer. Less is always better."""

    most: float
    of: str = ""
    words: str = ""  # the goal as the project states it, if that is shorter than "at most 3 × find"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One row: our rounds, and those of what was measured in turn with them. `ours` is empty if it could not be measured."""

    what: str
    unit: str
    ours: Sequence[float]
    beside: Mapping[str, Sequence[float]] = field(default_factory=dict)
    goals: Sequence[Goal] = ()
    name: str = "astria-sync"  # whose the rounds in `ours` are

    def ratios(self, peer: str) -> list[float]:
        """Ours by theirs, round by round: a machine that is slow for a minute is slow for both."""
        return [a / b for a, b in zip(self.ours, self.beside.get(peer, ()), strict=False) if b]

    def verdict(self, goal: Goal) -> str:
        """Whether a goal holds; a peer that was not there is never counted as beaten."""
        rounds = self.ratios(goal.of) if goal.of else list(self.ours)
        if not rounds:
            return UNKNOWN
        return HOLDS if median(rounds) <= goal.most else FAILS


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One benchmark's figures."""

    figures: Sequence[Figure]
    said: Sequence[str] = ()  # about this run: counts that were checked, how something was done here
    skipped: Sequence[str] = ()  # peers that were not there, and how to get them
    peers: Mapping[str, str] = field(default_factory=dict)  # → their versions
    series: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)  # lines over time
    axes: tuple[str, str] = ("", "")
    size: str = ""  # of what it was measured with
    taken: str = ""  # the day
    machine: str = ""


def middle(rounds: Sequence[float]) -> float:
    return median(rounds) if rounds else math.nan


def quantile(rounds: Sequence[float], share: float) -> float:
    """The smallest round that so large a share of all rounds is not above."""
    ordered = sorted(rounds)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def as_json(result: Result) -> dict[str, Any]:
    return asdict(result)


def from_json(kept: Mapping[str, Any]) -> Result:
    """What `as_json` made, also after a trip through a file."""
    figures = [Figure(**{**one, "goals": [Goal(**goal) for goal in one["goals"]]}) for one in kept["figures"]]
    series = {name: [(x, y) for x, y in points] for name, points in kept["series"].items()}
    return Result(**{**kept, "figures": figures, "series": series, "axes": tuple(kept["axes"])})


def short(value: float) -> str:
    """Three digits that count: 0.0123, 1.23, 12.3, 1,230."""
    if math.isnan(value):
        return "–"
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(0, digits)}f}"


def spread(rounds: Sequence[float], unit: str = "") -> str:
    """The median, and from where to where the rounds lie."""
    if not rounds:
        return "–"
    told = f"{short(median(rounds))}{unit}"
    if len(rounds) > 1 and short(min(rounds)) != short(max(rounds)):
        told += f" ({short(min(rounds))}–{short(max(rounds))})"
    return told
