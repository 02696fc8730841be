"""The loop: one thread, the only owner of the journal. `step` is an ordinary function of one message.

A step is one transaction; the work it decided on goes to the pool after the commit, never before.
"""

import logging
import queue
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from astria_sync.commands import Commands
from astria_sync.context import Context
from astria_sync.core import gates, work
from astria_sync.core.lifecycle import FINAL_PROMPTS, FINAL_TUNES
from astria_sync.core.model import Command, Hint, Look, Outcome, Stop, Tick
from astria_sync.doors import Doors
from astria_sync.errors import AstriaSyncError
from astria_sync.fetching import Fetching
from astria_sync.folders import TuneFiles
from astria_sync.following import Following
from astria_sync.intake import Intake
from astria_sync.judging import Judge
from astria_sync.notes import Notes
from astria_sync.prompting import Prompting
from astria_sync.reconciling import Reconciling
from astria_sync.room import Room
from astria_sync.sending import Sending
from astria_sync.subjects import Subjects
from astria_sync.tuning import Tuning
from astria_sync.upkeep import Upkeep
from astria_sync.workers import Pool

log = logging.getLogger("astria_sync")

_LONGEST_WAIT: Final = 60.0  # seconds; something always wakes the loop within it
_SOON: Final = 0.002
_DRAIN: Final = (
    8.0  # seconds that requests under way are waited for at the end; what is not answered by then is unsure
)
_AT_ONCE: Final = 64  # messages in a step
_STATE_TROUBLE: Final = 2.0  # seconds between attempts to write to a state that cannot be written


class Engine:
    """Puts the parts together and lets messages through, one at a time."""

    def __init__(self, ctx: Context, pool: Pool, *, on_tick: Callable[[Tick], None] = lambda _: None) -> None:
        """`on_tick` checks what only the service knows: watcher, clock."""
        self.ctx = ctx
        self.pool = pool
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._on_tick = on_tick
        self._planned_at = 0.0
        self._replies: list[tuple[Any, Mapping[str, Any]]] = []  # to commands, told when they are committed
        files = TuneFiles(ctx.settings)
        self.intake = Intake(
            ctx=ctx,
            files=files,
            take_prompt=lambda source, sight: self.prompting.take_prompt(source, sight),
            take_folder=lambda source, sight: self.tuning.take_folder(source, sight),
            on_folders=lambda *names: self.prompting.folders_changed(*names),
        )
        self.tuning = Tuning(ctx=ctx, files=files, intake=self.intake)
        subjects = Subjects(ctx=ctx)
        self.judge = Judge(ctx=ctx, files=files, subjects=subjects)
        self.prompting = Prompting(ctx=ctx, intake=self.intake, subjects=subjects, judge=self.judge)
        self.fetching = Fetching(ctx=ctx)
        self.doors = Doors(ctx=ctx)
        self.following = Following(
            ctx=ctx, tuning=self.tuning, prompting=self.prompting, fetching=self.fetching, doors=self.doors
        )
        self.reconciling = Reconciling(ctx=ctx, doors=self.doors, following=self.following)
        self.sending = Sending(
            ctx=ctx,
            tuning=self.tuning,
            prompting=self.prompting,
            following=self.following,
            reconciling=self.reconciling,
            doors=self.doors,
            room=Room(ctx=ctx),
        )
        self.notes = Notes(ctx=ctx)
        self.upkeep = Upkeep(ctx=ctx)
        self._outcomes: Mapping[type, Callable[[Outcome], None]] = {
            work.Walk: self._walked,
            work.ReadFolder: self._folder_read,
            work.CreateTune: lambda one: self.sending.answered(one.work, self._result(one)),
            work.CreatePrompt: lambda one: self.sending.answered(one.work, self._result(one)),
            work.PatchTune: lambda one: self.following.patched(one.work, self._result(one)),
            work.FetchOne: lambda one: self.following.fetched(one.work, self._result(one)),
            work.Poll: lambda one: self.following.polled(one.work, self._result(one)),
            work.Survey: lambda one: self.reconciling.surveyed_now(one.work, self._result(one)),
            work.Probe: lambda one: self.doors.probed(self._result(one)),
            work.Download: lambda one: self.fetching.downloaded(one.work, self._result(one)),
            work.BackUp: lambda one: self.upkeep.backed_up(one.result, one.failure),
            work.WriteSidecar: lambda one: self.fetching.recorded(one.work, one.failure),
        }

    # One step

    def start(self) -> None:
        """What a crash left behind, and the first look at everything."""
        with self.ctx.journal.transaction():
            now = self.ctx.now
            longest = max(
                self.ctx.settings.timing.retry_max_seconds, self.ctx.settings.timing.reconcile_after_seconds
            )
            for table in (
                "tunes",
                "prompts",
                "images",
            ):  # the clock may have been set back since they were written
                self.ctx.journal.clip_deadlines(table, now + longest)
            for name in (gates.NETWORK, gates.AUTH, gates.SLOW):
                self.ctx.open_gate(name)
            if reason := self.ctx.journal.get("gate:balance"):
                self.ctx.close_gate(gates.BALANCE, reason, 0)
            self.sending.after_crash()
            self.intake.rescan()
        self.step(Tick(what="start"))

    def step(self, *messages: Any) -> None:
        """Take in messages, mostly one, and decide what follows. One transaction, so one fsync, however many they are."""
        try:
            with self.ctx.journal.transaction():
                for message in messages:
                    self._take(message)
                self._plan()
        except BaseException:
            self._forget_step()
            raise
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
        self.ctx.outbox = []
        self._replies = []

    def _take(self, message: Any) -> None:
        if isinstance(message, Outcome):
            self.ctx.finish(message.work)
            if message.failure is not None:
                log.debug("%s failed", type(message.work).__name__, exc_info=message.failure)
            self._outcomes[type(message.work)](message)
        elif isinstance(message, Hint):
            if message.path is None:
                self.intake.rescan(message.root)
            else:
                self.intake.hint(message.root, message.path, recursive=message.recursive)
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
        if tick.what == "rescan":
            self.intake.rescan()
        elif tick.what == "rescan-polled":
            for path, watch in self.ctx.watches.items():
                if watch.events == "poll":
                    self.intake.rescan(path)

    def _plan(self) -> None:
        """Everything that is due, in the order that data flows."""
        self._planned_at = self.ctx.now
        self.ctx.pass_time()
        self.sending.paused = bool(self.ctx.journal.get("paused", False))
        self.intake.plan()
        self.prompting.plan()
        self.fetching.plan()
        if not self.ctx.stopping:
            self.doors.plan()
            self.following.plan()
            self.reconciling.plan()
            self.sending.plan()
        self.notes.plan()

    def _result(self, outcome: Outcome) -> Any:
        """What the work gave; a piece that ended unexpectedly counts as one whose fate is unknown."""
        if outcome.failure is None:
            return outcome.result
        why = f"{type(outcome.failure).__name__}: {outcome.failure}"
        log.error("unexpected: %s", why)
        if isinstance(outcome.work, work.Download):
            return work.NotSaved(why=why, local=True)
        unknown = work.unknown(why)
        return work.Pages(failure=unknown) if isinstance(outcome.work, work.Poll | work.Survey) else unknown

    def _walked(self, outcome: Outcome) -> None:
        if outcome.failure is not None:
            log.error("%s could not be looked at (%s)", outcome.work.root, outcome.failure)
            self.intake.walk_failed(outcome.work)
            return
        looks: tuple[Look, ...] = outcome.result
        for look in looks:
            self.intake.looked(look)
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

    # The loop

    def run(self, *, until_idle: bool = False, deadline: float | None = None) -> None:
        """Let messages through until Stop has come and work under way has ended; or, `until_idle`, until nothing is left."""
        while not (self.ctx.stopping and not self.ctx.under_way):
            if (until_idle and self.idle) or (deadline is not None and self.ctx.now >= deadline):
                return
            messages = self._messages(self._patience(deadline))
            for stop in (message for message in messages if isinstance(message, Stop)):
                if stop.now or self.ctx.stopping:
                    return
                self.ctx.stopping = True
                deadline = self.ctx.now + _DRAIN
            self._step_until_written(messages)

    def _messages(self, patience: float) -> list[Any]:
        """What has come, at least a tick; no more at once than keeps a step short."""
        messages: list[Any] = []
        try:
            messages.append(self.inbox.get(timeout=patience))
            while len(messages) < _AT_ONCE:
                messages.append(self.inbox.get_nowait())
        except queue.Empty:
            pass
        return messages or [Tick(what="due")]

    def _step_until_written(self, messages: list[Any]) -> None:
        """A state that cannot be written (a full disk) stops everything but loses nothing: the step is done again."""
        trouble = False
        while True:
            try:
                self.step(*messages)
            except sqlite3.OperationalError as error:
                if not trouble:
                    log.error("The state cannot be written (%s); nothing is sent until it can.", error)  # noqa: TRY400
                trouble = True
                self.intake.reload()
                try:
                    following = self.inbox.get(timeout=_STATE_TROUBLE)
                except queue.Empty:
                    continue
                if isinstance(following, Stop):
                    self.ctx.stopping = True
                    return
                self.inbox.put(following)
            else:
                if trouble:
                    log.warning("The state can be written again.")
                return

    def _patience(self, deadline: float | None) -> float:
        """Seconds until the next thing is due."""
        now = self.ctx.now
        if (
            self.prompting.restless
        ):  # a folder's tune was adopted after its prompts were looked at: no answer will wake the loop
            return _SOON
        known = [
            self.intake.next_due(),
            self.doors.next_due(),
            deadline,
            # As of the last plan: what has become due since then was seen by nobody yet.
            self.ctx.journal.next_deadline(self._planned_at),
        ]
        nearest = min((moment for moment in known if moment is not None), default=now + _LONGEST_WAIT)
        return min(_LONGEST_WAIT, max(_SOON, nearest - now))

    @property
    def idle(self) -> bool:
        """Whether nothing is left that could move by itself (`run --once`)."""
        if self.ctx.under_way or not self.intake.idle or not self.inbox.empty() or self.prompting.restless:
            return False
        if not self._looked_everywhere():
            return False
        stuck = (
            self.sending.paused
            or self.ctx.gates.closed.keys() & {gates.AUTH, gates.BALANCE}
            or self.sending.room.lacking
        )
        rest = {*FINAL_TUNES, *FINAL_PROMPTS, "waiting", "held"}
        if stuck:
            rest |= {"queued"}
        if gates.AUTH in self.ctx.gates.closed:
            rest |= {"generating", "training", "unsure"}
        marks = ",".join("?" * len(rest))
        here = ",".join("?" * len(self.ctx.walked))  # of a root that is not there nothing is sent
        still = f"state NOT IN ({marks}) AND NOT (state = 'queued' AND source_id IN (SELECT id FROM sources WHERE root NOT IN ({here})))"
        moving = f"SELECT 1 FROM tunes WHERE {still} UNION ALL SELECT 1 FROM prompts WHERE {still}"
        untold = "current = 1 AND patch != '{}' AND state IN ('training', 'ready')"
        if gates.AUTH not in self.ctx.gates.closed and self.ctx.journal.tunes(untold):
            return False
        return self.ctx.journal.value(moving, [*rest, *self.ctx.walked] * 2) is None

    def _looked_everywhere(self) -> bool:
        broken = {root for root in self.ctx.watches if self.ctx.journal.get(f"root:{root}")}
        return self.ctx.walked | broken >= set(self.ctx.watches)
