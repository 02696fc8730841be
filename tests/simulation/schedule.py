"""A schedule from a seed: what the person does, how the weather is, when the machine fails; and then quiet."""

import errno
import logging
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx

from astria_sync.core.model import kind_of
from astria_sync.simulator import Options
from tests import prepared
from tests.simulation.judge import Judge
from tests.simulation.machine import Crash
from tests.simulation.person import Person
from tests.simulation.world import START, World

LONGEST_REST = 6 * 3600.0


def options(chance: random.Random, seed: int) -> Options:
    return Options(
        train_seconds=chance.choice((0.0, 20.0, 300.0)),
        generate_seconds=chance.choice((0.5, 8.0, 40.0)),
        trickle=chance.random() < 0.3,
        idempotency=chance.random() < 0.4,
        link_seconds=chance.choice((None, None, 30.0)),
        list_lag_seconds=chance.choice((0.0, 0.0, 3.0, 20.0)),
        rate_limit=chance.choice((None, None, 2.0)),
        balance_usd=chance.choice((100.0, 100.0, 1.0)),
        seed=seed,
        token="played",
    )


class Schedule:
    """One seed, played from the first drop to the quiet at the end."""

    def __init__(self, seed: int, home: Path, told: Callable[[str], None]) -> None:
        self.chance = random.Random(seed)
        self.world = World(seed, home, options(self.chance, seed), told=lambda what: self.tell(what))
        self.person = Person(self.world, random.Random(f"{seed} person"))
        self.judge = Judge(self.world, self.person)
        self._told = told

    def tell(self, what: str) -> None:
        self._told(f"{self.world.time.now - START:9.2f} {what}")

    def play(self) -> None:
        world, end = self.world, self._arrange()
        world.live(end)
        self._fair_weather()
        world.live(world.time.now + 1000)  # more than two rescans, and than retry_max_seconds
        assert world.rest(LONGEST_REST), f"it does not come to rest: {self._states()}"
        self.judge.rest()
        posts = len(world.astria.ledger.requests("POST"))
        world.bury("a last restart")
        assert world.rest(LONGEST_REST), "it does not come to rest after a restart"
        self.judge.rest()
        assert len(world.astria.ledger.requests("POST")) == posts, "a restart ordered something"

    def _states(self) -> list[str]:
        process = self.world.process
        if process is None:
            return ["no process"]
        rows = [*process.journal.tunes(), *process.journal.prompts()]
        moving = [row for row in rows if row.state not in {"done", "ready", "failed"}]
        history = process.journal.rows("SELECT * FROM events WHERE kind IN ('tune', 'prompt')")
        events = [
            f"{one['at'] - START:.2f} {one['event']} {one['detail']}"
            for row in moving
            for one in history
            if one["item_id"] == row.id and one["kind"] == kind_of(row)
        ]
        return (
            [f"{row.state} {row.reason} {row.error}" for row in moving]
            + events
            + [f"{name}: {gate.reason}" for name, gate in process.engine.ctx.gates.closed.items()]
        )

    # What is to happen

    def _arrange(self) -> float:
        """Put everything on the agenda; when it ends."""
        chance, person, world = self.chance, self.person, self.world
        length = chance.choice((300.0, 1200.0, 3600.0))
        rare = [person.drop_broken, person.drop_seeded, person.pause, person.retry, person.delete_folder]
        usual = [person.drop_folder, person.drop_prompt, person.drop_prompt, person.drop_twins, person.edit]
        more = [
            person.rename,
            person.copy,
            person.delete,
            person.rerun,
            person.touch,
            person.comment,
            person.rename_folder,
        ]
        acts = [person.drop_folder, person.drop_prompt]
        acts += [
            chance.choice(chance.choice((usual, usual, more, rare))) for _ in range(chance.randint(3, 20))
        ]
        for act in acts:
            self._later(length, act, files=True)
        for trouble, most in ((self.die, 4), (self.weather, 3), (self.disk_trouble, 2)):
            for _ in range(chance.randint(0, most)):
                self._later(length, trouble)
        for odd in (
            self.set_clock,
            self.sleep,
            self.state_full,
            self.link_loss,
            self.refuse_token,
            person.unmount,
            world.stop,
            self.power_in_a_picture,
        ):
            if chance.random() < 0.15:
                self._later(length, odd)
        self.end = world.time.now + length
        return self.end

    def _later(self, length: float, act: Callable[[], None], *, files: bool = False) -> None:
        def happen() -> None:
            if files and not self.person.is_there:
                return
            self.tell(act.__name__)
            act()

        self.world.time.after(self.chance.uniform(0, length), happen)

    def die(self) -> None:
        """One of the ways to die: now, at the next commits, when work goes out, in the middle of publishing a file."""
        chance, world = self.chance, self.world
        world.machine.power = chance.random() < 0.4
        how = chance.randint(0, 4)
        if how == 0:
            world.die()
        elif how == 1:
            world.machine.die_before_commit = chance.randint(0, 3)
        elif how == 2:
            world.machine.die_after_commit = chance.randint(0, 3)
        elif how == 3:
            world.machine.die_at_submit = chance.randint(0, 4)
        else:
            world.disk.trouble.crash_in = chance.randint(0, 12)

    def power_in_a_picture(self) -> None:
        """A download is cut; the next one, which goes on with its part, ends with the power."""

        def cut() -> None:
            raise httpx.ReadError("the connection was reset")

        def power_cut() -> None:
            self.world.machine.power = True
            raise Crash

        self.world.network.doomed = [cut, power_cut]

    def weather(self) -> None:
        weather = self.world.network.weather
        weather.rate, weather.haze = self.chance.choice((0.05, 0.2, 0.5)), self.chance.choice((0.0, 0.0, 0.6))

        def clear() -> None:
            weather.rate = weather.haze = 0.0

        self.world.time.after(self.chance.uniform(20, 600), clear)

    def link_loss(self) -> None:
        weather = self.world.network.weather
        weather.link = False
        self.world.time.after(self.chance.uniform(5, 900), lambda: setattr(weather, "link", True))

    def refuse_token(self) -> None:
        self.world.network.weather.refused_until = self.world.time.now + self.chance.uniform(5, 600)

    def disk_trouble(self) -> None:
        trouble = self.world.disk.trouble
        trouble.error = self.chance.choice((errno.ENOSPC, errno.EIO, errno.EROFS))
        self.world.time.after(self.chance.choice((0.5, 20.0, 300.0)), lambda: setattr(trouble, "error", 0))

    def state_full(self) -> None:
        machine = self.world.machine
        machine.state_full = True
        # Not beyond the end of `live`: what waits for the disk would be forgotten with the loop.
        seconds = min(self.chance.uniform(1, 300), max(0.0, self.end - self.world.time.now - 10))
        self.world.time.after(seconds, lambda: setattr(machine, "state_full", False))

    def set_clock(self) -> None:
        self.world.machine.shift += self.chance.choice((-3600.0, 3600.0, -60.0, 40 * 86400.0))

    def sleep(self) -> None:
        self.world.time.now += 8 * 3600.0

    def _fair_weather(self) -> None:
        world = self.world
        world.network.weather.rate, world.network.weather.haze, world.network.weather.link = 0.0, 0.0, True
        world.network.weather.refused_until = 0.0
        world.network.doomed = []
        world.disk.trouble.error, world.disk.trouble.crash_in = 0, -1
        world.machine.state_full = False
        world.machine.die_after_commit = world.machine.die_before_commit = world.machine.die_at_submit = -1
        self.person.mount()
        world.astria.add_balance(1000)
        world.time.after(100, self.person.resume)


def play(
    seed: int,
    told: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
    kind: type[Schedule] = Schedule,
) -> Schedule:
    """Play one seed; raises AssertionError, or whatever the engine raised, if something does not hold."""
    prepared.install()
    memory = Path("/dev/shm")
    place = folder or (memory if memory.is_dir() else None)
    home = Path(tempfile.mkdtemp(prefix="astria-sync-simulation-", dir=place))
    schedule = kind(seed, home, told)
    log = logging.getLogger("astria_sync")
    level = log.level
    log.setLevel(
        level or logging.CRITICAL
    )  # what it says of so much trouble is not worth the time, unless asked for
    try:
        schedule.play()
    finally:
        log.setLevel(level)
        schedule.world.close()
    return schedule
