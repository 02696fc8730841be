"""Schedules in which Astria's lists lag longer than a lost request is looked for: what is bought twice is all told."""

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
