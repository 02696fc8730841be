"""Builds everything, and starts and stops it in order: lock, state, watcher, schedule, engine; signals."""

import logging
import os
import queue
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from astria_sync import config, hook
from astria_sync.addresses import is_this_machine
from astria_sync.api import Api
from astria_sync.bulletin import Bulletin
from astria_sync.clock import SystemClock
from astria_sync.commands import Commands
from astria_sync.context import Context, roots_of
from astria_sync.core import gates
from astria_sync.core.model import Tick
from astria_sync.disk import Disk
from astria_sync.download import Downloader
from astria_sync.engine import Engine
from astria_sync.errors import AstriaSyncError, ConfigError, NotAuthorised, StateDamaged
from astria_sync.heartbeat import Heartbeat
from astria_sync.keeping import Keeper, sole_owner
from astria_sync.logbook import Logbook
from astria_sync.loop import Loop
from astria_sync.messenger import Messenger
from astria_sync.pulse import Pulse
from astria_sync.reloading import Reloading
from astria_sync.rootlocks import RootLocks
from astria_sync.schedule import Schedule
from astria_sync.secrets import find_token
from astria_sync.settings import Settings
from astria_sync.signals import handled, hold_back
from astria_sync.stale import FAILED_PACKS, FAILED_PROMPTS, FAILED_TUNES
from astria_sync.systemd import Notifier
from astria_sync.tasks import Tasks
from astria_sync.watch import Watched, Watcher
from astria_sync.workers import Pools

log = logging.getLogger("astria_sync")

_OPENING: Final = 600.0  # seconds that a large state may take to be checked and brought up to date
_WAITING: Final = 60.0  # ... and between two attempts to open one that cannot be used


def command_without_daemon(settings: Settings, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Change the journal directly, as no daemon runs that could."""
    clock = SystemClock()
    with sole_owner(settings.state, clock, name) as keeper:
        roots = [str(watch.path) for watch in settings.watch]
        return Commands(journal=keeper.journal, roots=roots, wall=clock.wall())(name, arguments)


class Service:
    """One daemon, from the settings to the end of its loop."""

    command = "run"  # what holds the lock, for whoever meets it

    def __init__(
        self,
        settings: Settings,
        *,
        environ: Mapping[str, str],
        home: Path,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        """Nothing is started yet. `reread` reads the configuration again; without it, SIGHUP ends as the other signals do."""
        self.settings = settings
        self.again = False  # after `run`: all is to begin anew, with the configuration as it is now
        self._reread = reread
        self._notifier = Notifier(environ)
        self._beat: Heartbeat | None = None
        self._environ = environ
        self._home = home
        self._clock = SystemClock()
        self._pulse: Pulse | None = None
        self._engine: Engine | None = None
        self._keeper: Keeper | None = None
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()  # signals come before there is an engine

    def run(
        self,
        *,
        once: bool = False,
        timeout: float | None = None,
        on_ready: Callable[[Engine], None] = lambda _: None,
    ) -> int:
        """Run until a signal comes, or with `once` until nothing is left to do; the exit code of §6."""
        self._check()
        with ExitStack() as stack:
            stack.enter_context(
                handled(
                    self._inbox.put,
                    heard=lambda: self._engine is not None,
                    reloads=self._reread is not None,
                )
            )
            stack.callback(self._until_begun_anew)
            # Before the locks: a command may take its time when all else is over, and nobody waits for it.
            messenger = Messenger(lambda: self.settings, environ=self._environ, home=self._home)
            stack.callback(messenger.close)
            engine = self._build(stack, patient=not once)
            if self.command == "run":
                messenger.check()
                engine.news.post = messenger.post
            deadline = None if timeout is None else self._clock.now() + timeout
            loop = self._loop(stack, engine)
            loop.announce = messenger.also(loop.announce)
            try:
                loop.start(deadline=deadline)
                on_ready(engine)
                loop.run(until_idle=once, deadline=deadline)
                self.again = loop.ends_to_reload
                if once and not engine.ctx.stopping:
                    engine.news.finish()
                    messenger.patience = hook.PATIENCE
            except StateDamaged as error:
                messenger.alert(str(error))
                raise
            finally:
                self._stop(engine)
            return 0 if self.again else self._exit_code(engine, once=once)

    def _loop(self, stack: ExitStack, engine: Engine) -> Loop:
        note = Bulletin(self.settings.state, self._environ, self._home)
        note.open()
        stack.callback(note.close)
        reload = Reloading(
            self._reread,
            ctx=engine.ctx,
            notifier=self._notifier,
            environ=self._environ,
            home=self._home,
            agreed=self._begins_anew,
        )
        loop = Loop(
            engine,
            mend=self._keeper.mend if self._keeper else None,
            announce=lambda text: self._announce(note, text),
            reload=reload,
        )
        self._beat = loop.beat = Heartbeat(
            self._notifier, ctx=engine.ctx, progress=engine.telling.progress, looked=loop.looked_everywhere
        )
        reload.note("")
        return loop

    def _begins_anew(self) -> None:
        if self._beat:
            self._beat.reloads = True

    def _until_begun_anew(self) -> None:
        """Signals are minded until here; one more SIGHUP is no reason to die of it."""
        if self.again:
            hold_back()

    def _announce(self, note: Bulletin, text: str) -> None:
        note.say(text)
        if self._beat:
            self._beat.trouble = text

    def _check(self) -> None:
        config.require_watches(self.settings)
        if problems := config.check_roots(self.settings):
            raise ConfigError(*problems)

    def _build(self, stack: ExitStack, *, patient: bool) -> Engine:
        settings, clock = self.settings, self._clock
        self._notifier.patience(_OPENING)
        keeper = stack.enter_context(
            sole_owner(settings.state, clock, self.command, patient=patient, waiting=self._waits)
        )
        root_locks = RootLocks(
            [watch.path for watch in settings.watch],
            state=settings.state,
            environ=self._environ,
            home=self._home,
            command=self.command,
        )
        root_locks.acquire()
        stack.callback(root_locks.release)
        api = Api(settings.astria.base_url, self._token, timeout=settings.astria.timeout_seconds)
        stack.callback(api.close)
        if api.token is None:
            raise NotAuthorised(
                "There is no token; put it into "
                f"{settings.astria.token_file} (chmod 600) or into ASTRIA_AUTH_TOKEN, or run: astria-sync init"
            )
        limits = settings.limits
        downloader = Downloader(
            timeout=settings.astria.timeout_seconds,
            connections=limits.downloads,
            plain_http=is_this_machine(settings.astria.base_url),
        )
        stack.callback(downloader.close)
        disk = Disk()
        tasks = Tasks(api=api, downloader=downloader, roots=roots_of(settings), clock=clock, disk=disk)
        threads = limits.uploads + limits.requests
        api.alive = tasks.progress.sign
        pool = Pools(tasks, lambda one: engine.inbox.put(one), threads=threads, downloads=limits.downloads)
        stack.callback(pool.close, wait=False)
        ctx = Context(
            journal=keeper.journal,
            clock=clock,
            settings=settings,
            write_file=disk.write_whole,
            remove_file=disk.remove,
            refreshes=True,
        )
        ctx.journal.on_commit = Logbook(ctx.journal, roots=len(settings.watch))
        engine = self._engine = self._engine_of(ctx, pool)
        engine.inbox = self._inbox
        engine.telling.progress = tasks.progress
        self._keeper = keeper
        self._edges(stack, engine)
        return engine

    def _engine_of(self, ctx: Context, pool: Pools) -> Engine:
        return Engine(ctx, pool, on_tick=self._on_tick)

    def _edges(self, stack: ExitStack, engine: Engine) -> None:
        """Watcher, schedule and control socket: all they do is post messages."""
        settings = self.settings
        watched = [
            Watched(path=str(watch.path), output=str(watch.output), poll=watch.events == "poll")
            for watch in settings.watch
        ]
        watcher = Watcher(watched, engine.inbox.put, now=self._clock.now)
        stack.callback(watcher.stop)
        watcher.start()
        schedule = Schedule(
            engine.inbox.put, rescan_seconds=settings.timing.rescan_seconds, clock=self._clock
        )
        stack.callback(schedule.stop)
        schedule.start()
        self._pulse = Pulse(
            watcher=watcher,
            schedule=schedule,
            clock=self._clock,
            journal=engine.ctx.journal,
            post=engine.inbox.put,
            folders=[folder for one in watched for folder in (one.path, one.output)],
        )
        if self._keeper:
            self._keeper.listen(engine.inbox.put)

    def _token(self) -> Any:
        try:
            return find_token(self.settings.astria, environ=self._environ, home=self._home)
        except AstriaSyncError:
            if self._engine is None:
                raise  # at the start the person is there to read it
            log.warning("The token cannot be read; see: astria-sync doctor")
            return None

    def _on_tick(self, tick: Tick) -> None:
        """In the engine's thread: is the state where it was, and does all that wakes the engine still do so?"""
        if tick.what == "check" and self._keeper:
            self._keeper.check()
        if self._pulse:
            self._pulse(tick)

    def _waits(self, why: str) -> None:
        """It cannot start yet, and that is no reason to end it."""
        self._notifier.patience(_WAITING)
        self._notifier.alive()
        self._notifier.status(why)

    def _stop(self, engine: Engine) -> None:
        self._engine = None
        if self._beat and not self.again:
            self._beat.end()
        if left := len(engine.ctx.under_way):
            what = "1 piece of work is" if left == 1 else f"{left} pieces of work are"
            log.info("Stopping; %s under way and taken up at the next start.", what)

    @staticmethod
    def _exit_code(engine: Engine, *, once: bool) -> int:
        closed = engine.ctx.gates.closed
        if gates.AUTH in closed:
            raise NotAuthorised(closed[gates.AUTH].reason)
        if not once:
            return 0
        journal = engine.ctx.journal
        failed = any(journal.rows(sql) for sql in (FAILED_TUNES, FAILED_PROMPTS, FAILED_PACKS))
        resting = engine.sending.room.lacking or engine.adopting.resting() or gates.BALANCE in closed
        return 1 if failed or resting or not Loop(engine).idle else 0


def environment() -> tuple[Mapping[str, str], Path]:
    """The process's environment and home, read once, by the command line alone."""
    return dict(os.environ), Path.home()
