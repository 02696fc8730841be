"""The engine: the only owner of the journal, in one thread. `step` is an ordinary function of messages; loop.py turns it.

A step is one transaction; the work it decided on goes to the pool after the commit, never before.
"""

import logging
import queue
from collections.abc import Callable, Mapping
from typing import Any

from astria_sync import mocks
from astria_sync.adopting import Adopting
from astria_sync.commands import Commands
from astria_sync.context import Context
from astria_sync.core import gates, work
from astria_sync.core.model import Command, Hint, Outcome, Stop, Tick, described
from astria_sync.deadlines import set_right
from astria_sync.deleting import Deleting
from astria_sync.doors import Doors
from astria_sync.errors import AstriaSyncError
from astria_sync.fetching import Fetching
from astria_sync.folders import TuneFiles
from astria_sync.following import Following
from astria_sync.intake import Intake
from astria_sync.judging import Judge
from astria_sync.news import News
from astria_sync.notes import Notes
from astria_sync.progress import Telling
from astria_sync.prompting import Prompting
from astria_sync.pulling import Pulling
from astria_sync.reconciling import Reconciling
from astria_sync.room import Room
from astria_sync.sending import Sending
from astria_sync.spending import Spending
from astria_sync.subjects import Subjects
from astria_sync.trouble import concerns_the_state
from astria_sync.tuning import Tuning
from astria_sync.upkeep import Upkeep
from astria_sync.workers import Pool, result_of

log = logging.getLogger("astria_sync")


class Engine:
    """Puts the parts together and lets messages through, one at a time."""

    strict = False  # true: a defect ends the step, so that tests see it; false: it costs one message

    def __init__(self, ctx: Context, pool: Pool, *, on_tick: Callable[[Tick], None] = lambda _: None) -> None:
        """`on_tick` checks what only the service knows: watcher, clock."""
        self.ctx = ctx
        self.pool = pool
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._on_tick = on_tick
        self.planned_at = 0.0
        self._replies: list[tuple[Any, Mapping[str, Any]]] = []  # to commands, told when they are committed
        files = TuneFiles(ctx.settings)
        self.intake = Intake(
            ctx=ctx,
            files=files,
            take_prompt=lambda source, sight: self.prompting.take_prompt(source, sight),
            take_folder=lambda source, sight: self.tuning.take_folder(source, sight),
            on_folders=self._came_or_went,
        )
        self.adopting = Adopting(ctx=ctx, intake=self.intake)
        self.tuning = Tuning(ctx=ctx, files=files, intake=self.intake)
        subjects = Subjects(ctx=ctx)
        self.judge = Judge(ctx=ctx, files=files, subjects=subjects)
        self.prompting = Prompting(ctx=ctx, intake=self.intake, subjects=subjects, judge=self.judge)
        room = Room(ctx=ctx)
        self.fetching = Fetching(ctx=ctx, room=room)
        self.doors = Doors(ctx=ctx)
        self.following = Following(
            ctx=ctx, tuning=self.tuning, prompting=self.prompting, fetching=self.fetching, doors=self.doors
        )
        self.spending = Spending(ctx=ctx)
        self.reconciling = Reconciling(
            ctx=ctx, doors=self.doors, following=self.following, before=self.adopting.before
        )
        self.auditing = self.reconciling.auditing
        self.sending = Sending(
            ctx=ctx,
            tuning=self.tuning,
            prompting=self.prompting,
            following=self.following,
            reconciling=self.reconciling,
            adopting=self.adopting,
            doors=self.doors,
            room=room,
            spending=self.spending,
        )
        self.deleting = Deleting(ctx=ctx, doors=self.doors)
        self.telling = Telling(ctx=ctx)
        self.pulling = Pulling(ctx=ctx, reconciling=self.reconciling)
        self.notes = Notes(ctx=ctx)
        self.news = News(ctx=ctx)
        self.upkeep = Upkeep(ctx=ctx, on_models=self.tuning.names_changed)
        self._outcomes = self._takers()

    def _takers(self) -> Mapping[type, Callable[[Outcome], None]]:
        """Work → who takes what came of it."""
        return {
            work.Walk: self._walked,
            work.ReadFolder: self._folder_read,
            work.CreateTune: lambda one: self.sending.answered(one.work, result_of(one)),
            work.CreatePrompt: lambda one: self.sending.answered(one.work, result_of(one)),
            work.PatchTune: lambda one: self.following.patched(one.work, result_of(one)),
            work.Delete: lambda one: self.deleting.deleted(one.work, result_of(one)),
            work.FetchOne: lambda one: self.following.fetched(one.work, result_of(one)),
            **self.sending.packs.takers(result_of),
            work.Probe: lambda one: self.doors.probed(result_of(one)),
            work.AskModels: lambda one: self.upkeep.models.asked(one.result, one.failure),
            work.Download: lambda one: self.fetching.downloaded(one.work, result_of(one)),
            work.FindSidecars: lambda one: self.adopting.found(one.work, one.result, one.failure),
            work.ReadSidecars: lambda one: self.adopting.read(one.work, one.result, one.failure),
            **self.pulling.takers(),
            work.BackUp: lambda one: self.upkeep.backed_up(one.result, one.failure),
            work.Tidy: lambda one: self.upkeep.tidied(one.result, one.failure),
            work.WriteSidecar: lambda one: self.fetching.recorded(one.work, one.failure),
        }

    def _came_or_went(self, *names: str) -> None:
        self.prompting.folders_changed(*names)
        self.deleting.look_again()

    # One step

    def start(self) -> None:
        """What a crash left behind, and the first look at everything."""
        with self.ctx.journal.transaction():
            set_right(self.ctx)
            for name in (gates.NETWORK, gates.AUTH, gates.SLOW):
                self.ctx.open_gate(name)
            if reason := self.ctx.journal.get("gate:balance"):
                self.ctx.close_gate(gates.BALANCE, reason, 0)
            self.sending.after_crash()
            mocks.switch(self.ctx)
            self.intake.reload()
            self.adopting.start()
            self.deleting.start()
            self.telling.start()
            self.intake.rescan()
        self.step(Tick(what="start"))

    def step(self, *messages: Any) -> None:
        """Take in messages, mostly one, and decide what follows. One transaction, so one fsync, however many they are."""
        try:
            with self.ctx.journal.transaction():
                clocks = self.ctx.look_at_clock()
                for message in messages:
                    self._take_apart(message)
                self._plan()
        except BaseException:
            self._forget_step()
            raise
        self.ctx.seen = clocks
        self.news.send()
        replies, self._replies = self._replies, []
        for reply, answer in replies:
            reply.put(answer)
        outbox, self.ctx.outbox = self.ctx.outbox, []
        for piece in outbox:
            self.pool.submit(piece)

    def _forget_step(self) -> None:
        """The transaction was rolled back: so must be what was noted in memory."""
        for piece in self.ctx.outbox:
            self.ctx.finish(piece)
        self.ctx.outbox, self._replies = [], []
        self.news.forget()

    def recover(self) -> None:
        """A step was rolled back: what it had taken for done in memory is still to be done."""
        self.intake.reload()
        self.intake.settling.ask_again()
        self.intake.rescan()
        self.prompting.folders_changed()
        self.prompting.look_again(waiting=True)
        self.fetching.look_again()
        self.adopting.forget()
        self.pulling.forget()
        self.notes.forget()

    def _take_apart(self, message: Any) -> None:
        """Take one message so that a defect in what is done with it costs this message alone, not the process."""
        replies, pieces = len(self._replies), len(self.ctx.outbox)
        try:
            with self.ctx.journal.transaction():
                self._take(message)
        except Exception as error:
            if self.strict or concerns_the_state(error):
                raise
            del self._replies[replies:]
            for piece in self.ctx.outbox[pieces:]:
                self.ctx.finish(piece)
            del self.ctx.outbox[pieces:]
            self._defect(message, error)

    def _defect(self, message: Any, error: Exception) -> None:
        """What was done with a message was rolled back: tell of it, and let nobody wait for what will not come."""
        what = described(message)
        log.error("a defect: %s could not be handled", what, exc_info=error)
        self.ctx.alarm(
            f"{what} could not be handled, by a defect of astria-sync; it goes on, and its log has the details."
        )
        self.intake.reload()
        self.prompting.folders_changed()
        self.adopting.forget()
        if isinstance(message, Command):
            self._replies.append((message.reply, {"error": f"A defect of astria-sync: {error!r}", "exit": 1}))
        # As if the work had ended unexpectedly: an order is looked for, and all else is tried again after a while; what was
        # seen on the disk waits for the next rescan.
        looks = (work.Walk, work.ReadFolder)
        if isinstance(message, Outcome) and message.failure is None and not isinstance(message.work, looks):
            self._take_apart(Outcome(work=message.work, failure=error))

    def _take(self, message: Any) -> None:
        if isinstance(message, Outcome):
            key = self.ctx.finish(message.work)
            if log.isEnabledFor(logging.DEBUG):
                self.ctx.say("debug", f"came back: {type(message.work).__name__} {key}")
            if message.failure is not None:
                log.debug("%s failed", type(message.work).__name__, exc_info=message.failure)
            self._outcomes[type(message.work)](message)
        elif isinstance(message, Hint):
            if message.path is None:
                self.intake.rescan(message.root)
            else:
                self.intake.hint(message.root, message.path, recursive=message.recursive, heard=message.heard)
        elif isinstance(message, Tick):
            self._tick(message)
        elif isinstance(message, Command):
            self._command(message)
        elif isinstance(message, Stop):
            self.ctx.stopping = True

    def _tick(self, tick: Tick) -> None:
        self._on_tick(tick)
        self.fetching.unrecorded()
        self.upkeep.plan()
        self.notes.again()
        if tick.what == "rescan":
            self.intake.rescan()

    def _plan(self) -> None:
        """Everything that is due, in the order that data flows."""
        self.planned_at = self.ctx.now
        self.ctx.pass_time()
        self.spending.begin()
        self.sending.paused = bool(self.ctx.journal.get("paused", False))
        self.intake.plan()
        self.prompting.plan()
        self.adopting.plan()
        self.auditing.settle()
        self.pulling.plan()
        self.fetching.plan()
        self.sending.packs.plan()
        if not self.ctx.stopping:
            self.doors.plan()
            self.following.plan()
            self.reconciling.plan()
            self.auditing.plan()
            self.sending.plan()
            self.deleting.plan()
        self.telling.plan()
        self.notes.plan()
        self.news.plan()

    def _walked(self, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self.intake.walk_failed(outcome.work, outcome.failure)
            return
        for look in outcome.result:
            self.intake.looked(look)
            self.tuning.looked(look)
            if look.recursive and look.scope == ".":
                self.prompting.look_again()

    def _folder_read(self, outcome: Outcome) -> None:
        self.tuning.read(outcome.work, outcome.result, outcome.failure)
        source = self.ctx.journal.sources("id = ?", [outcome.work.source_id])
        self.prompting.folders_changed(*(one.name for one in source), outcome.work.path)

    def _command(self, command: Command) -> None:
        commands = Commands(journal=self.ctx.journal, roots=list(self.ctx.watches), wall=self.ctx.wall)
        try:
            answer = commands(command.name, command.arguments)
        except AstriaSyncError as error:
            answer = {"error": str(error), "exit": error.exit_code}
        else:
            self.after_commands()
        self._replies.append((command.reply, answer))

    def after_commands(self) -> None:
        """Take up again what a command asked for, and look at what waits."""
        for source in self.ctx.journal.sources("stamp = '' AND missing_since IS NULL"):
            self.intake.again(source)
        if self.ctx.journal.get("gate:balance") is None:
            self.ctx.gates.open(gates.BALANCE)
        self.prompting.look_again(waiting=True)
