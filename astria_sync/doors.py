"""What closes and opens the doors (core/gates.py): results that speak of the network, the token, the balance, the pace."""

import math
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.balance import note
from astria_sync.context import Context
from astria_sync.core import gates, work
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, message, the_object

_BREATH: Final = 1.0  # seconds at least, also where Retry-After says 0 or a time that is past on our clock

_JUST: Final = 30.0  # seconds after a 402 in which nobody tops up
_BALANCE_THEN: Final = "balance_at_402"


@dataclass(kw_only=True)
class Doors:
    """Closes doors for what results tell of, and knocks until they open."""

    ctx: Context
    _refused_at: float = field(default=-math.inf, init=False)  # when Astria last said 402

    def plan(self) -> None:
        """Knock where it is time to."""
        if self.ctx.gates.probe_due(self.ctx.now):
            self.ctx.start("probe", work.Probe())

    def next_due(self) -> float | None:
        """When a door opens by itself, or is to be knocked at; None while somebody is knocking."""
        closed = self.ctx.gates.closed
        if gates.SLOW in closed:
            return closed[gates.SLOW].until
        return None if "probe" in self.ctx.under_way else self.ctx.gates.next_at()

    def seen_open(self) -> None:
        """Astria answered as it should: the network is there, the token good, and the pace right unless it was told to wait."""
        pace = [] if gates.SLOW in self.ctx.gates.closed else [gates.SLOW]
        self.ctx.open_gate(gates.NETWORK, gates.AUTH, *pace)

    def close_for(self, verdict: Verdict, result: Answer | NoAnswer) -> None:
        """Close the door that a result tells of."""
        if verdict is Verdict.OFFLINE:
            self.ctx.close_gate(
                gates.NETWORK, f"No connection to Astria ({why(result)}); work goes on when it is back."
            )
        elif verdict is Verdict.UNAUTHORISED and isinstance(result, Answer):
            self.ctx.close_gate(
                gates.AUTH,
                f"Astria does not accept the token ({message(result)}); put a valid one in its place.",
            )
        elif verdict is Verdict.NO_BALANCE and isinstance(result, Answer):
            if gates.BALANCE not in self.ctx.gates.closed:
                self._refused_at = self.ctx.now
                self.ctx.journal.put(_BALANCE_THEN, None)
            self.ctx.close_gate(
                gates.BALANCE,
                f"Astria: {message(result)} - top up the balance; prompts rest until it is there, or until "
                "`astria-sync retry`.",
                # The first look at the balance comes at once: it tells from what it has to rise.
                None if gates.BALANCE in self.ctx.gates.closed else 0.0,
            )
        elif verdict is not Verdict.OK and isinstance(result, Answer):
            asked = "asks to slow down" if result.status == 429 else f"has trouble ({why(result)})"
            told = None if result.retry_after is None else max(_BREATH, result.retry_after)
            self.ctx.close_gate(gates.SLOW, f"Astria {asked}; work goes on in a while.", told)

    def probed(self, result: Answer | NoAnswer) -> None:
        """`GET /users` was asked: which doors does it open?"""
        verdict = judge_read(result)
        if isinstance(result, NoAnswer) or verdict in {Verdict.UNAUTHORISED, Verdict.LATER}:
            self.close_for(verdict, result)
            for name in self.ctx.gates.due(self.ctx.now):  # one knock was for all doors
                self.ctx.close_gate(name, self.ctx.gates.closed[name].reason)
            return
        self.ctx.open_gate(gates.NETWORK, gates.AUTH)
        balance = (the_object(result.body) or {}).get("usd_balance_mc")
        if gates.BALANCE in self.ctx.gates.closed:
            self._balance_told(balance)
        if isinstance(balance, int):
            note(self.ctx, balance)

    def _balance_told(self, balance: Any) -> None:
        """Has it risen since the 402? If it was not asked for just after that (an outage, a crash), somebody may have topped it
        up in between: then one request tries, which costs nothing if it is refused again.
        """
        before = self.ctx.journal.get(_BALANCE_THEN)
        if before is None and self.ctx.now - self._refused_at > _JUST:
            before = 0
        if isinstance(balance, int) and before is not None and balance > max(before, 0):
            self.ctx.open_gate(gates.BALANCE)
            return
        self.ctx.journal.put(_BALANCE_THEN, balance if before is None else before)
        self.ctx.close_gate(gates.BALANCE, self.ctx.gates.closed[gates.BALANCE].reason)


def why(result: Answer | NoAnswer) -> str:
    """A clause for a person on a result that was no success."""
    if isinstance(result, NoAnswer):
        return result.why
    return (
        f"HTTP {result.status}: {message(result)}"
        if not 200 <= result.status < 300
        else "an answer that cannot be read"
    )
