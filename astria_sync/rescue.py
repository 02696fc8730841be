"""`pull` while no daemon runs: the same engine without everything that looks at folders or sends."""

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from astria_sync import pulljob
from astria_sync.context import Context
from astria_sync.core import gates
from astria_sync.core.model import Tick
from astria_sync.deadlines import set_right
from astria_sync.engine import Engine
from astria_sync.errors import NotAuthorised
from astria_sync.loop import Loop
from astria_sync.service import Service
from astria_sync.settings import Pull, Settings
from astria_sync.workers import Pool, Pools

_EVERY: Final = 2.0  # seconds between words on how far it is


class Reader(Engine):
    """Asks for lists and fetches pictures; it has no step in which anything else could go out."""

    def __init__(
        self, ctx: Context, pool: Pool, *, job: Callable[[Context], None], on_progress: Callable[[], None]
    ) -> None:
        """`job` notes what is to be pulled; `on_progress` is called every now and then."""
        super().__init__(ctx, pool)
        self._job, self._on_progress = job, on_progress
        self._told = ctx.now

    def start(self) -> None:
        """What a crash left behind stays for a daemon, but for what says whether an order may be at Astria."""
        with self.ctx.journal.transaction():
            set_right(self.ctx)
            for name in (gates.NETWORK, gates.AUTH, gates.SLOW):
                self.ctx.open_gate(name)
            self.sending.after_crash()
            self._job(self.ctx)
        self.step(Tick(what="start"))

    def step(self, *messages: Any) -> None:
        """As ever; and say how far it is."""
        super().step(*messages)
        if self.ctx.now - self._told >= _EVERY:
            self._told = self.ctx.now
            self._on_progress()

    def recover(self) -> None:
        """A step was rolled back."""
        self.fetching.look_again()
        self.pulling.forget()

    def _tick(self, tick: Tick) -> None:
        del tick
        self.fetching.unrecorded()

    def _plan(self) -> None:
        self.planned_at = self.ctx.now
        self.ctx.pass_time()
        self.auditing.settle()
        self.pulling.plan()
        self.fetching.plan()
        if not self.ctx.stopping:
            self.doors.plan()
            if self.ctx.gates.reads:
                self.following.poll()


class _PullLoop(Loop):
    @property
    def idle(self) -> bool:
        """Whether all is here that can be had; a refused token is told at once."""
        engine = self._engine
        if engine.ctx.under_way or not engine.inbox.empty():
            return False
        return gates.AUTH in engine.ctx.gates.closed or not engine.pulling.restless


class Rescue(Service):
    """One pull, from the lists to the last picture."""

    command = "pull"

    def __init__(
        self,
        settings: Settings,
        arguments: Mapping[str, Any],
        *,
        environ: Mapping[str, str],
        home: Path,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """No watched folder is looked at, so none is needed."""
        super().__init__(dataclasses.replace(settings, watch=(), pull=Pull()), environ=environ, home=home)
        self._whole, self._arguments, self._on_progress = settings, arguments, on_progress

    def pull(self) -> None:
        """Do it. Raises NotAuthorised, StateError."""
        self.run(once=True)

    def _check(self) -> None:
        """Nothing but the token is needed, which is looked for later."""

    def _engine_of(self, ctx: Context, pool: Pools) -> Engine:
        return Reader(ctx, pool, job=self._job, on_progress=self._on_progress)

    def _job(self, ctx: Context) -> None:
        pulljob.ask(ctx.journal, self._arguments, ctx.wall, settings=self._whole)

    def _edges(self, stack: ExitStack, engine: Engine) -> None:
        """No watcher, no schedule; commands find the lock, and who holds it."""

    def _loop(self, stack: ExitStack, engine: Engine) -> Loop:
        del stack
        return _PullLoop(engine, mend=self._keeper.mend if self._keeper else None)

    @staticmethod
    def _exit_code(engine: Engine, *, once: bool) -> int:
        del once
        closed = engine.ctx.gates.closed
        if gates.AUTH in closed:
            raise NotAuthorised(closed[gates.AUTH].reason)
        return 0
