"""One schedule: a world from a seed, the processes that live and die in it, and what happens to them."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from astria_sync import config
from astria_sync.context import Context, roots_of
from astria_sync.core import work
from astria_sync.core.model import Hint, Outcome, Stop, Tick
from astria_sync.download import Downloader
from astria_sync.engine import Engine
from astria_sync.journal import Journal, open_journal
from astria_sync.loop import Loop
from astria_sync.settings import Settings
from astria_sync.simulator import Options
from astria_sync.simulator.model import Astria
from astria_sync.tasks import Tasks
from tests.simulation.machine import Crash, Inbox, MachineClock, PowerDisk, Time
from tests.simulation.network import Network, PictureTransport, PlayedApi

START = 1_800_000_000.0  # seconds since the epoch
RESCAN = 300.0
CHECK = 150.0
NETWORK_WORK = (
    work.CreateTune,
    work.CreatePrompt,
    work.PatchTune,
    work.FetchOne,
    work.Poll,
    work.Survey,
    work.Probe,
    work.Download,
)
JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000")
PICTURES = "http://127.0.0.1:1"


class PlayedJournal(Journal):
    """The real journal, whose outermost commits may fail or be the last thing that the process does."""

    world: "World"

    @contextmanager
    def transaction(self) -> Iterator[None]:
        outermost = not self._conn.in_transaction
        with super().transaction():
            yield
            if outermost:
                self.world.before_commit()
        if outermost:
            self.world.after_commit()


@dataclass
class Machine:
    """What happens to the process and the disk of the state."""

    shift: float = 0.0  # by which the wall clock was set
    die_before_commit: int = -1  # commits until then; -1: not
    die_after_commit: int = -1
    die_at_submit: int = -1
    state_full: bool = False
    power: bool = False  # the next death is one of the whole machine


class Process:
    """One run of the daemon, from opening the state to its end."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.alive = True
        self._waiting: list[Any] = []  # handed to the pool, and not begun
        clock = MachineClock(world.time, lambda: world.machine.shift)
        self.journal = open_journal(world.state, now=clock.wall())
        self.journal.__class__ = PlayedJournal
        self.journal.world = world  # type: ignore[attr-defined]  # of its new class
        self.tasks = Tasks(
            api=world.api,  # type: ignore[arg-type]  # stands where the real one does
            downloader=world.downloader,
            roots=roots_of(world.settings),
            clock=clock,
            disk=world.disk,
        )
        ctx = Context(
            journal=self.journal,
            clock=clock,
            settings=world.settings,
            write_file=world.disk.write_whole,
            remove_file=world.disk.remove,
            chance=world.chance,
        )
        self.clock = clock
        self.engine = Engine(ctx, self)
        self.engine.strict = True
        self.engine.inbox = self.inbox = Inbox(world.time)  # type: ignore[assignment]  # what the loop uses of a queue
        self._step, self.engine.step = self.engine.step, self.step  # type: ignore[method-assign]
        self.loop = Loop(self.engine)

    def start(self) -> None:
        for what, every in (("rescan", RESCAN), ("check", CHECK)):
            self._tick(what, every)
        self.engine.start()

    def _tick(self, what: str, every: float) -> None:
        def tick() -> None:
            if self.alive:
                self.inbox.put(Tick(what=what))
                self._tick(what, every)

        self.world.time.after(every, tick)

    def step(self, *messages: Any) -> None:
        self._step(*messages)
        self.world.after_step()

    # The pool

    def submit(self, piece: Any) -> None:
        machine = self.world.machine
        if machine.die_at_submit == 0:
            machine.die_at_submit = -1
            raise Crash
        machine.die_at_submit -= machine.die_at_submit > 0
        self._waiting.append(piece)
        self.world.time.after(self.world.chance.uniform(0, 0.3), lambda: self._perform(piece))

    def withdraw(self) -> list[Any]:
        left = [piece for piece in self._waiting if isinstance(piece, work.Download)]
        self._waiting = [piece for piece in self._waiting if piece not in left]
        return left

    def _perform(self, piece: Any) -> None:
        if not self.alive or piece not in self._waiting:
            return
        self._waiting.remove(piece)
        try:
            outcome = Outcome(work=piece, result=self.tasks(piece))
        except Exception as error:  # noqa: BLE001 - as workers.py does
            outcome = Outcome(work=piece, failure=error)
        took = self.world.network.took if isinstance(piece, NETWORK_WORK) else 0.01
        self.world.time.after(took, lambda: self._deliver(outcome))

    def _deliver(self, outcome: Outcome) -> None:
        if self.alive:
            self.inbox.put(outcome)

    def close(self, *, wait: bool) -> None:
        """As a pool has it."""

    def end(self) -> None:
        """The process is gone: what was not committed never was."""
        self.alive = False
        conn: sqlite3.Connection = self.journal._conn
        conn.rollback()
        if self.world.machine.power:
            self._forget_unsynced(conn)
        conn.close()

    def _forget_unsynced(self, conn: sqlite3.Connection) -> None:
        """Without FULL a commit is not synced (design.md, "Measured"): the power takes the write-ahead log with it."""
        if conn.execute("PRAGMA synchronous").fetchone()[0] >= 2:
            return
        state = self.world.state
        kept = state.read_bytes()
        conn.close()
        state.write_bytes(kept)
        for more in ("-wal", "-shm"):
            state.with_name(state.name + more).unlink(missing_ok=True)


@dataclass
class World:
    """Everything that one schedule has, made from its seed."""

    seed: int
    home: Path
    options: Options
    told: Callable[[str], None] = lambda _: None
    time: Time = field(init=False)
    machine: Machine = field(default_factory=Machine)
    process: Process | None = None
    runs: int = 0
    steps: int = 0
    after_step: Callable[[], None] = lambda: None
    after_power_cut: Callable[[], None] = lambda: None
    on_published: Callable[[Path], None] = lambda _: None

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed} engine")
        self.time = Time(START)
        self.inbox, self.output = self.home / "inbox", self.home / "out"
        self.inbox.mkdir()
        self.state = self.home / "state.db"
        self.settings = settings(self.home, self.inbox, self.output, self.state)
        self.astria = Astria(self.options, clock=lambda: self.time.now, seed=self.seed, pictures_url=PICTURES)
        self.astria.pictures.bytes_of = small_picture  # type: ignore[method-assign]  # drawing takes long
        self.network = Network(self.astria, self.time, random.Random(f"{self.seed} network"))
        self.api = PlayedApi(self.network)
        self.disk = PowerDisk(
            chance=random.Random(f"{self.seed} disk"),
            published=lambda path: self.on_published(path),
            below=self.output,
        )
        self.downloader = Downloader(
            timeout=60,
            connections=8,
            plain_http=True,
            transport=PictureTransport(self.network),
            disk=self.disk,
        )

    # Living and dying

    def live(self, until: float) -> None:
        """Let time pass, with as many processes as it takes."""
        while self.time.now < until - 0.001:  # less is lost in the rounding of seconds since the epoch
            with self._dying():
                process = self._process()
                process.loop.run(deadline=process.clock.now() + until - self.time.now)
                if process.engine.ctx.stopping:
                    self.bury("it was asked to stop")

    def rest(self, longest: float) -> bool:
        """Live until nothing is left to do, at most so many seconds; whether it came to that."""
        end = self.time.now + longest
        while self.time.now < end - 0.001:
            with self._dying():
                process = self._process()
                process.loop.run(until_idle=True, deadline=process.clock.now() + end - self.time.now)
                if process.engine.ctx.stopping:
                    self.bury("it was asked to stop")
                elif process.loop.idle:
                    return True
        return False

    def _process(self) -> Process:
        if self.process is None:
            self.runs += 1
            self.process = Process(self)
            self.process.start()
        return self.process

    @contextmanager
    def _dying(self) -> Iterator[None]:
        try:
            yield
        except Crash:
            self.bury("power cut" if self.machine.power else "killed")
        except sqlite3.OperationalError as error:  # at the start; later on the loop waits
            if not self.machine.state_full:
                raise
            self.bury(f"it could not start ({error})")

    def bury(self, how: str) -> None:
        """The process is gone; the machine too, if it was the power."""
        self.told(how)
        if self.process is not None:
            self.process.end()
            self.process = None
        if self.machine.power:
            self.disk.lose_power()
            self.after_power_cut()
        self.machine.power = False
        self.machine.die_after_commit = self.machine.die_before_commit = self.machine.die_at_submit = -1
        self.disk.trouble.crash_in = -1
        self._down(self.chance.uniform(0.5, 30))

    def _down(self, seconds: float) -> None:
        """Nothing runs, and the world goes on."""
        end = self.time.now + seconds
        while due := self.time.next_before(end):
            due()

    def die(self) -> None:
        """Now, wherever it is."""
        if self.process is not None:
            raise Crash

    def stop(self) -> None:
        """SIGTERM."""
        if self.process:
            self.process.inbox.put(Stop())

    def before_commit(self) -> None:
        if self.machine.die_before_commit == 0:
            raise Crash
        self.machine.die_before_commit -= self.machine.die_before_commit > 0
        if self.machine.state_full:
            raise sqlite3.OperationalError("database or disk is full")

    def after_commit(self) -> None:
        self.steps += 1
        if self.machine.die_after_commit == 0:
            raise Crash
        self.machine.die_after_commit -= self.machine.die_after_commit > 0

    def hint(self, path: Path) -> None:
        """What a watcher would say of a change there, if the event is not lost."""
        if self.process and self.chance.random() < 0.7:
            process = self.process
            folder = path.relative_to(self.inbox).as_posix() if path != self.inbox else "."
            message = Hint(root=str(self.inbox), path=folder)
            self.time.after(self.chance.uniform(0, 2), lambda: process.inbox.put(message))

    def close(self) -> None:
        if self.process:
            self.process.end()
        with suppress(OSError):
            shutil.rmtree(self.home)


_settings: dict[str, Settings] = {}


def settings(home: Path, inbox: Path, output: Path, state: Path) -> Settings:
    """As a user would have them; read once and moved to each world's folder, since reading takes as long as a step."""
    file = home / "config.toml"
    file.write_text(
        f'state = "{state}"\n[limits]\nhold_above = 100000\n[timing]\nrescan_seconds = {RESCAN}\n'
        f'[[watch]]\npath = "{inbox}"\noutput = "{output}"\n'
    )
    environ = {"ASTRIA_BASE_URL": "http://127.0.0.1:1"}
    return config.load(file, profile=None, environ=environ, home=home)


def small_picture(url: str) -> bytes:
    """The bytes of a picture by its address: whole as far as its structure goes, different for each, quick to make."""
    name = url.partition("?")[0].rpartition("/")[2].encode()
    comment = b"\xff\xfe" + (len(name) * 20 + 2).to_bytes(2, "big") + name * 20
    scan = b"\xff\xda\x00\x02" + bytes(range(1, 200))
    return JPEG + comment + scan + b"\xff\xd9"
