"""Two other kinds of schedules: lists that lag longer than a lost request is looked for, and many answers lost at one time.

In the first what is bought twice is all told; in the second nothing is, since what was seen before proves each list stale.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from astria_sync.simulator import Fault
from tests.simulation.judge import Judge
from tests.simulation.schedule import Schedule

LOST = 0.3  # of the answers to paid requests
LAGS = (150.0, 300.0, 500.0)  # seconds; the second look is two minutes after the loss


class LateJudge(Judge):
    """That a request was carried out which no list shows in time nobody can know before the next is paid; but then it is told."""

    surplus = 0

    def step(self) -> None:
        created = self.world.astria.ledger.created()
        for entry in created[self._seen :]:
            self.paid[entry.kind][self._what(entry.kind, entry.facts)] += 1
        self._seen = len(created)

    def _told_besides(self, journal: Any) -> None:
        self.surplus = 0
        for kind, may in (("prompt", self.person.wishes.words), ("tune", self.person.wishes.titles)):
            made = {
                entry.id: self._what(kind, entry.facts) for entry in self.world.astria.ledger.created(kind)
            }
            rows = journal.rows(f"SELECT remote_id, spare_of FROM {kind}s WHERE remote_id IS NOT NULL")
            assert {row["remote_id"] for row in rows} == set(made), f"not every {kind} has its row"
            told: Counter[str] = Counter(
                made[row["remote_id"]] for row in rows if row["spare_of"] is not None
            )
            for what, count in (Counter(made.values()) - told).items():
                assert count <= may[what], (
                    f"{kind} {what}: {count} made and not told, {told[what]} told, {may[what]} wished for"
                )
            for what, count in told.items():
                assert count < self.paid[kind][what], f"{kind} {what}: {count} told as made besides nothing"
            self.surplus += sum(told.values())


class LateSchedule(Schedule):
    """As any, with lists that lag far behind, and many answers that are lost."""

    def __init__(self, seed: int, home: Path, told: Callable[[str], None]) -> None:
        super().__init__(seed, home, told)
        network, chance = self.world.network, random.Random(f"{seed} late")
        self.world.astria.options = replace(self.world.options, list_lag_seconds=chance.choice(LAGS))
        self.judge = LateJudge(self.world, self.person)
        self._usual = network.fault

        def fault(method: str, host: str) -> Fault | None:
            if method == "POST" and chance.random() < LOST:
                return Fault(kind="status", status=504, when=chance.choice(("after", "after", "before")))
            return self._usual(method, host)

        network.fault = fault  # type: ignore[method-assign]  # until the weather is fair

    def _fair_weather(self) -> None:
        super()._fair_weather()
        self.world.network.fault = self._usual  # type: ignore[method-assign]


STALE = (150.0, 250.0)  # seconds that lists lie behind while orders are lost
TAKEN = 45.0  # seconds until what was dropped has settled, gone out, and was carried out if it ever is


class LostSchedule(Schedule):
    """Twins and others of which most answers are lost, carried out or not, while lists show what was minutes ago.

    A prompt that is ordered afterwards and answered makes each such list one whose head is older than what was seen.
    """

    def _arrange(self) -> float:
        self._phase = ""  # "loss": of paid answers; "stale": lists
        self._dice = random.Random(f"{self.world.seed} lost")
        self.world.network.fault = self._fault  # type: ignore[method-assign]  # no other faults
        self.world.astria.options = replace(
            self.world.options, list_lag_seconds=0.0, rate_limit=None, balance_usd=100.0
        )
        start = self.world.time.now
        for n in range(self.chance.randint(2, 4)):
            self.world.time.at(start + 900 * n + self.chance.uniform(1, 60), self._lose_some)
        self.end = start + 4 * 900
        return self.end

    def _fault(self, method: str, host: str) -> Fault | None:
        if self._phase == "loss" and method == "POST" and self._dice.random() < 0.8:
            return Fault(kind="hang", when=self._dice.choice(("after", "after", "before")))
        if self._phase == "stale" and method == "GET" and host == "api":
            return Fault(kind="stale", seconds=self._dice.uniform(*STALE))
        return None

    def _lose_some(self) -> None:
        self._phase = "loss"
        for act in (self.person.drop_twins, self.person.drop_twins, self.person.drop_prompt):
            self.tell(act.__name__)
            act()
        self.world.time.after(TAKEN, self._go_on)

    def _go_on(self) -> None:
        self._phase = ""
        self.person.drop_prompt()
        words = max(self.person.wishes.words, key=lambda word: int(word[1:]))
        self._once_answered(words)

    def _once_answered(self, words: str) -> None:
        """When the last one is known to be there, lists lie behind, until well after everything was looked for twice."""
        process = self.world.process
        if process and process.journal.prompts("remote_id IS NOT NULL AND text LIKE ?", [f"%{words}"]):
            self._phase = "stale"
            self.world.time.after(self.chance.uniform(200, 400), lambda: setattr(self, "_phase", ""))
        else:
            self.world.time.after(1, lambda: self._once_answered(words))
