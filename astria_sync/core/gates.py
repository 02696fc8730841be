"""What closes all doors at once: no network, a refused token, an empty balance, a server that says "slower"."""

from dataclasses import dataclass, field
from typing import Final

NETWORK: Final = "network"
AUTH: Final = "auth"
BALANCE: Final = "balance"
SLOW: Final = "slow"


@dataclass(frozen=True, slots=True)
class Gate:
    """One closed door: why, and when to knock again."""

    reason: str
    until: float


@dataclass(slots=True)
class Gates:
    """The doors that are closed. `slow` opens by itself; the others by one successful probe."""

    closed: dict[str, Gate] = field(default_factory=dict)
    strikes: dict[str, int] = field(default_factory=dict)  # times it was shut since it was last seen open

    def close(self, name: str, gate: Gate) -> None:
        """Shut it, or keep it shut for longer."""
        known = self.closed.get(name)
        self.closed[name] = Gate(gate.reason, max(gate.until, known.until)) if known else gate

    def strike(self, name: str, now: float) -> int:
        """How often one knocked in vain, this time included; eight requests that fail together count once."""
        known = self.closed.get(name)
        if known is None or known.until <= now:
            self.strikes[name] = self.strikes.get(name, 0) + 1
        return self.strikes.setdefault(name, 1)

    def open(self, *names: str) -> None:
        """Open these: what they stand for was seen to work."""
        for name in names:
            self.closed.pop(name, None)
            self.strikes.pop(name, None)

    def pass_time(self, now: float) -> bool:
        """Let what opens by itself open; true if it did."""
        slow = self.closed.get(SLOW)
        if slow and slow.until <= now:
            del self.closed[SLOW]
            return True
        return False

    @property
    def reads(self) -> bool:
        """Whether lists may be asked for."""
        return not self.closed.keys() & {NETWORK, AUTH, SLOW}

    @property
    def creates(self) -> bool:
        """Whether anything that costs may be sent."""
        return not self.closed

    def probe_due(self, now: float) -> bool:
        """Whether it is time to knock."""
        doors = [gate for name, gate in self.closed.items() if name != SLOW]
        return bool(doors) and SLOW not in self.closed and min(gate.until for gate in doors) <= now

    def due(self, now: float) -> list[str]:
        """The doors that were to be tried by now."""
        return [name for name, gate in self.closed.items() if name != SLOW and gate.until <= now]

    def next_at(self) -> float | None:
        """When the next door is to be tried."""
        return min((gate.until for gate in self.closed.values()), default=None)
