"""The product's engine on a played clock: the real loop, journal, tasks and downloader, a month in minutes.

Astria is the simulator's model in a process of its own, so that what it remembers is not counted as ours. The clock and the network
are those of tests/simulation, without faults.
"""

import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Final

from astria_sync import config
from astria_sync.context import Context, roots_of
from astria_sync.core.model import Hint, Outcome, Tick
from astria_sync.disk import Disk
from astria_sync.download import Downloader
from astria_sync.engine import Engine
from astria_sync.journal import open_journal
from astria_sync.loop import Loop
from astria_sync.simulator import Options
from astria_sync.simulator.messages import Request, Response
from astria_sync.simulator.model import Astria
from astria_sync.tasks import Tasks
from benchmarks.process import Home
from tests.simulation.machine import Inbox, MachineClock, Time
from tests.simulation.network import Network, PictureTransport, PlayedApi
from tests.simulation.world import CHECK, NETWORK_WORK, PICTURES, RESCAN, START, small_picture

TOOK: Final = 0.2  # seconds that a request takes
MODEL_TOKEN: Final = "sd_played"  # noqa: S105 - of nothing


def _astria(pipe: Connection, options: Options) -> None:
    """Answer until the other side is gone. A text asks for a count of requests to the API, and has the log forgotten."""
    now = START
    astria = Astria(options, clock=lambda: now, pictures_url=PICTURES)
    astria.pictures.bytes_of = small_picture  # type: ignore[method-assign]  # drawing takes long
    with contextlib.suppress(EOFError):
        while True:
            asked = pipe.recv()
            if isinstance(asked, str):
                pipe.send([(one.method, one.path) for one in astria.ledger.requests(host="api")])
                astria.world.ledger.__init__()  # type: ignore[misc]  # it is a log, and grows
                continue
            now, request = asked
            pipe.send(astria.handle(request))


class Remote:
    """Astria, as far as a network needs it, in another process."""

    def __init__(self, options: Options, time: Time) -> None:
        self.token = MODEL_TOKEN
        self._time = time
        method = multiprocessing.get_context("spawn")
        self._pipe, theirs = method.Pipe()
        self._process = method.Process(target=_astria, args=(theirs, options), daemon=True)
        self._process.start()
        theirs.close()

    def handle(self, request: Request, fault: Any = None) -> Response:
        assert fault is None
        self._pipe.send((self._time.now, request))
        answer: Response = self._pipe.recv()
        return answer

    def requests(self) -> list[tuple[str, str]]:
        """Those to the API since this was last asked."""
        self._pipe.send("requests")
        told: list[tuple[str, str]] = self._pipe.recv()
        return told

    def close(self) -> None:
        self._pipe.close()
        self._process.join(10)


def _dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same at each run


class Calm(Network):
    """Nothing goes wrong, and everything takes the same time."""

    carried = 0

    def carry(self, request: Request) -> Response:
        self.took = TOOK
        self.carried += 1
        return self.astria.handle(request)


_ROOMY: Final = 2**40  # blocks, of 4 KiB and more


class NoSync(Disk):
    """Does not wait for the disk: what is measured is memory and CPU, and no power is lost. Its room does not end: pictures of
    10,000 prompts are small here, but what they could weigh must be free before they are ordered.
    """

    def told_of(self, folder: Path) -> os.statvfs_result:
        told = [*os.statvfs(folder)]
        told[2:5] = [_ROOMY] * 3  # f_blocks, f_bfree, f_bavail
        return os.statvfs_result(told)

    def sync(self, file: IO[bytes]) -> None:
        file.flush()

    def sync_folder(self, folder: Path) -> None:
        """As if it were done."""


class _Inbox(Inbox):
    """What happens while the engine waits is the world's, and not counted as the engine's CPU."""

    outside = 0.0

    def get(self, timeout: float) -> Any:
        began = time.thread_time()
        try:
            return super().get(timeout)
        finally:
            self.outside += time.thread_time() - began


class Played:
    """One daemon's engine, and its world."""

    def __init__(self, home: Home, options: Options, *, seed: int = 0, **tables: Any) -> None:
        home.write("http://127.0.0.1:1", **tables)
        self.home = home
        self.time = Time(START)
        self.astria = Remote(options, self.time)
        network = Calm(self.astria, self.time, _dice(seed))  # type: ignore[arg-type]  # stands where the model does
        settings = config.load(home.config, profile=None, environ={}, home=home.top)
        clock = MachineClock(self.time, lambda: 0.0)
        disk = NoSync()
        self.journal = open_journal(settings.state, now=clock.wall())
        downloader = Downloader(
            timeout=60, connections=8, plain_http=True, transport=PictureTransport(network), disk=disk
        )
        self._tasks = Tasks(
            api=PlayedApi(network),  # type: ignore[arg-type]  # stands where the real one does
            downloader=downloader,
            roots=roots_of(settings),
            clock=clock,
            disk=disk,
        )
        ctx = Context(
            journal=self.journal,
            clock=clock,
            settings=settings,
            write_file=disk.write_whole,
            remove_file=disk.remove,
            chance=_dice(seed),
        )
        self._network = network
        self.engine = Engine(ctx, self)
        self.engine.sending.room.disk = disk
        self.engine.strict = True
        self.inbox = _Inbox(self.time)
        self.engine.inbox = self.inbox  # type: ignore[assignment]  # what the loop uses of a queue
        self.loop = Loop(self.engine)
        self.cpu = 0.0  # seconds, of the engine's thread alone

    def start(self) -> None:
        for what, every in (("rescan", RESCAN), ("check", CHECK)):
            self._tick(what, every)
        self.engine.start()

    def _tick(self, what: str, every: float) -> None:
        def tick() -> None:
            self.inbox.put(Tick(what=what))
            self._tick(what, every)

        self.time.after(every, tick)

    def write(self, file: Path, text: str) -> None:
        """Save a file now, as the played clock has it: one from before the state would be looked for in the account first."""
        file.write_text(text)
        os.utime(file, (self.time.now, self.time.now))

    def look(self, path: str | None = None) -> None:
        """What a watcher would say of a change."""
        self.inbox.put(Hint(root=str(self.home.inbox), path=path))

    def live(self, seconds: float) -> None:
        """Let so much time pass."""
        before, outside = time.thread_time(), self.inbox.outside
        self.loop.run(deadline=self.engine.ctx.now + seconds)
        self.cpu += time.thread_time() - before - (self.inbox.outside - outside)

    def until(self, holds: Callable[[], bool], *, step: float = 1.0, longest: float = 1e6) -> None:
        """Let time pass until something is so."""
        end = self.time.now + longest
        while not holds():
            if self.time.now > end:
                raise TimeoutError("it did not come to pass in played time")
            self.live(step)

    def count(self, table: str, where: str) -> int:
        return int(self.journal.value(f"SELECT count(*) FROM {table} WHERE {where}", []))

    # The pool

    def submit(self, piece: Any) -> None:
        self.time.after(0.01, lambda: self._perform(piece))

    def _perform(self, piece: Any) -> None:
        before = self._network.carried
        try:
            outcome = Outcome(work=piece, result=self._tasks(piece))
        except Exception as error:  # noqa: BLE001 - as workers.py does
            outcome = Outcome(work=piece, failure=error)
        pages = max(1, self._network.carried - before)  # of a list; each is a request
        took = TOOK * pages if isinstance(piece, NETWORK_WORK) else 0.01
        self.time.after(took, lambda: self.inbox.put(outcome))

    def withdraw(self) -> tuple[Any, ...]:
        return ()

    def close(self, *, wait: bool = True) -> None:  # noqa: ARG002 - of a pool
        """The end of all."""
        self.journal.close()
        self.astria.close()


@contextlib.contextmanager
def played(home: Home, options: Options, *, seed: int = 0, **tables: Any) -> Iterator[Played]:
    """A played daemon that has looked at its folders, until the end of the block."""
    home.inbox.mkdir(parents=True, exist_ok=True)
    one = Played(home, options, seed=seed, **tables)
    try:
        one.start()
        one.live(2)
        yield one
    finally:
        one.close()
