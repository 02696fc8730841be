"""Scripted and random trouble: what goes wrong, for which requests, how often."""

import random
import re
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Protocol

from astria_sync.simulator.messages import Host

Kind = Literal["refuse", "delay", "hang", "cut", "status", "garbage", "stale"]
KINDS: tuple[Kind, ...] = ("refuse", "delay", "hang", "cut", "status", "garbage", "stale")
GARBAGE = '{"id": 12, "images": ["'


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One kind of trouble for the requests that match.

    refuse: the connection is reset before the body is read; delay: `seconds` pass first; hang: no answer ever comes;
    cut: the connection ends after `cut_at` bytes of the raw response, head included, the work being done;
    status: `status` and `body` are answered; garbage: 200 with `body` that is no JSON;
    stale: lists are as they were `seconds` ago.
    """

    kind: Kind
    method: str | None = None
    path: str | None = None
    """A regular expression, searched for in the path."""

    host: Host | None = None
    times: int | None = 1
    """How many matching requests it hits; None: all of them."""

    skip: int = 0
    """How many matching requests pass unharmed first."""

    when: Literal["before", "after"] = "before"
    """Whether the request's work is done (`after`) or not; a cut and a stale list always do it."""

    seconds: float = 0.0
    cut_at: int = 0
    status: int = 500
    body: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")

    def matches(self, method: str, path: str, host: Host) -> bool:
        return (
            self.method in {None, method}
            and self.host in {None, host}
            and (self.path is None or re.search(self.path, path) is not None)
        )

    @property
    def label(self) -> str:
        """How the ledger calls it."""
        detail = {
            "cut": f" at {self.cut_at}",
            "status": f" {self.status} {self.when}",
            "garbage": f" {self.when}",
            "hang": f" {self.when}",
            "delay": f" {self.seconds:g}s {self.when}",
            "stale": f" {self.seconds:g}s",
        }
        return self.kind + detail.get(self.kind, "")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Fault":
        unknown = set(value) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        headers = tuple((str(name), str(text)) for name, text in value.get("headers", ()))
        return cls(**{**value, "headers": headers})


class Source(Protocol):
    """Anything that can say what goes wrong with a request, None for nothing."""

    def take(self, method: str, path: str, host: Host) -> Fault | None: ...


class Scripted:
    """One fault with its count of hits."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0

    def take(self, method: str, path: str, host: Host) -> Fault | None:
        if not self.fault.matches(method, path, host):
            return None
        self.seen += 1
        hit = self.seen - self.fault.skip
        return self.fault if hit > 0 and (self.fault.times is None or hit <= self.fault.times) else None


class RandomFaults:
    """A schedule that depends on the seed and on the how-manieth request to an address it is, not on threads."""

    def __init__(self, seed: int, rate: float, kinds: tuple[Kind, ...]) -> None:
        self.seed, self.rate, self.kinds = seed, rate, kinds
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def take(self, method: str, path: str, host: Host) -> Fault | None:
        address = (host, method, path)
        self._counts[address] += 1
        dice = random.Random(f"{self.seed} {address} {self._counts[address]}")
        return _roll(dice, self.kinds) if dice.random() < self.rate else None


def _roll(dice: random.Random, kinds: tuple[Kind, ...]) -> Fault:
    status = dice.choice((429, 500, 502, 503, 504))
    return Fault(
        kind=dice.choice(kinds),
        when=dice.choice(("before", "after")) if status >= 500 else "before",
        seconds=round(dice.uniform(0.0, 0.2), 3),
        cut_at=int(10 ** dice.uniform(0, 4.5)) - 1,
        status=status,
        headers=(("Retry-After", "1"),) if status == 429 else (),
    )


def random_faults(
    seed: int, rate: float, kinds: tuple[Kind, ...] = ("refuse", "delay", "cut", "status", "garbage", "stale")
) -> RandomFaults:
    """Trouble for about `rate` of all requests, the same for the same seed; hangs only if asked for."""
    return RandomFaults(seed, rate, kinds)


class Faults:
    """The list that is in force; the first source that has something for a request decides."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._lock = threading.Lock()

    def add(self, *faults: Fault | Source) -> None:
        with self._lock:
            self._sources += [Scripted(fault) if isinstance(fault, Fault) else fault for fault in faults]

    def clear(self) -> None:
        with self._lock:
            self._sources.clear()

    def take(self, method: str, path: str, host: Host) -> Fault | None:
        with self._lock:
            for source in self._sources:
                fault = source.take(method, path, host)
                if fault is not None:
                    return fault
        return None

    def pending(self) -> list[Fault]:
        """The scripted faults that can still hit, with the times they have left."""
        with self._lock:
            scripted = [source for source in self._sources if isinstance(source, Scripted)]
        return [left for source in scripted if (left := _left(source)) is not None]


def _left(source: Scripted) -> Fault | None:
    fault = source.fault
    if fault.times is None:
        return fault
    left = fault.times - max(0, source.seen - fault.skip)
    return replace(fault, times=left) if left > 0 else None
