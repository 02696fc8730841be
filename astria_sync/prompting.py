"""From prompt files to orders for pictures: which requests a file asks for, and where each one stands until it is sent."""

import hashlib
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

from astria_sync import promptfile, scan
from astria_sync.context import Context
from astria_sync.core.lifecycle import UNSENT_PROMPTS, Event, PromptState
from astria_sync.core.model import FileSight, Prompt, Source
from astria_sync.core.naming import output_folder, safe_component
from astria_sync.errors import FileProblem
from astria_sync.folders import parent
from astria_sync.intake import Intake
from astria_sync.judging import Judge, Ready
from astria_sync.places import new_prompt
from astria_sync.promptfile import PromptFile, PromptRequest
from astria_sync.subjects import Subjects

# Rows of one burst: a file dropped with hundreds of others must not slip out before the others are seen.
BURST_SECONDS = 600.0
_HERE = "source_id IN (SELECT id FROM sources WHERE missing_since IS NULL)"
HELD = "more than {limit} new prompts at one go; `astria-sync approve --all` lets them go"


@dataclass(kw_only=True)
class Prompting:
    """Owns the rows of `prompts` until they are sent."""

    ctx: Context
    intake: Intake
    subjects: Subjects
    judge: Judge
    _changed: set[str] = field(default_factory=set, init=False)  # folded names whose folder or tune changed

    _again: bool = field(default=False, init=False)
    _burst: bool = field(default=True, init=False)  # something was queued since it was last counted
    _waiting: bool = field(
        default=True, init=False
    )  # look at everything that waits, once (at the start, after commands)

    # Taking up a file

    def take_prompt(self, source: Source, sight: FileSight) -> bool:
        """A prompt file stands still: read it and bring its orders in line. False if it changed under our hands."""
        read = _read_still(source.location, sight)
        if read is None:
            return False
        content = hashlib.sha256(read).hexdigest()
        source = self.intake.who_is_here(source, sight, content)
        if not source.content and (
            old := self.intake.moved_from(source, content, inode=sight.inode, mtime_ns=sight.mtime_ns)
        ):
            source = old
        edited = source.content not in {"", content}  # what it asks for now was never asked for before
        self.ctx.journal.change(
            "sources",
            source.id,
            content=content,
            inode=sight.inode,
            mtime_ns=sight.mtime_ns,
            problem="",
            adoptable=source.adoptable and not edited,
        )
        self.intake.settled(source, sight.stamp)
        try:
            parsed = promptfile.parse(read, name=source.name)
        except FileProblem as error:
            self._refuse(source, error.problems)
        else:
            self._order(self.ctx.journal.source(source.id), parsed, read, content)
        return True

    def _refuse(self, source: Source, problems: tuple[str, ...]) -> None:
        """The file says nothing that could be sent; one failed row shows it."""
        journal, wall = self.ctx.journal, self.ctx.wall
        journal.change("sources", source.id, problem="\n".join(problems), updated_at=wall)
        unsent = self._unsent(source)
        for extra in unsent[1:]:
            journal.drop("prompts", extra.id)
        for older in journal.prompts("source_id = ? AND current = 1", [source.id]):
            journal.change("prompts", older.id, current=False)
        row = unsent[0] if unsent else journal.prompt(new_prompt(self.ctx, source.id))
        journal.set_waits(row.id, ())
        journal.change("prompts", row.id, fingerprint="", current=True)
        journal.move_prompt(row, Event.INVALID, wall, reason=problems[0], error="")

    def _unsent(self, source: Source) -> list[Prompt]:
        rows = self.ctx.journal.prompts("source_id = ? AND armed_at IS NULL ORDER BY id", [source.id])
        return [row for row in rows if row.state in UNSENT_PROMPTS or row.state is PromptState.FAILED]

    def _order(self, source: Source, parsed: PromptFile, data: bytes, script: str) -> None:
        """One row for each request that the file asks for and has none; rows of older versions, if unsent, go."""
        journal = self.ctx.journal
        wanted = {request.fingerprint: request for request in parsed.requests}
        for row in self._unsent(source):
            if row.fingerprint not in wanted:
                journal.drop("prompts", row.id)
                self.ctx.event("prompt", row.id, source.id, "dropped", "the file asks for something else now")
        have: set[str] = set()
        for row in journal.prompts("source_id = ?", [source.id]):
            have.add(row.fingerprint)
            if row.current is not (row.fingerprint in wanted):
                journal.change("prompts", row.id, current=row.fingerprint in wanted)
        missing = [request for fingerprint, request in wanted.items() if fingerprint not in have]
        if missing:
            journal.keep_text(script, data.decode("utf-8-sig"))
        for request in missing:
            row_id = new_prompt(self.ctx, source.id)
            self._fill(row_id, source, request, script)
            self.evaluate(journal.prompt(row_id))

    def _fill(self, row: int, source: Source, request: PromptRequest, script: str) -> None:
        folder = parent(source.path)
        stem = Path(source.path).stem
        self.ctx.journal.change(
            "prompts",
            row,
            fingerprint=request.fingerprint,
            variant=dict(request.variant),
            request={
                key: value for key, value in asdict(request).items() if key not in {"fingerprint", "variant"}
            },
            script=script,
            folder=str(output_folder(folder, stem)),
            output=str(self.ctx.watches[source.root].output),
            stem=safe_component(stem),
        )

    # Can it go?

    def evaluate(self, prompt: Prompt) -> Ready | None:
        """Decide where a row that is not sent stands now: queued, waiting with a reason, or failed with one."""
        journal, wall = self.ctx.journal, self.ctx.wall
        found = self.judge(prompt)
        if isinstance(found, Ready):
            journal.set_waits(prompt.id, ())
            self._burst = True
            if prompt.state is not PromptState.QUEUED:
                journal.move_prompt(
                    prompt,
                    Event.SETTLED,
                    wall,
                    reason="",
                    error="",
                    num_images=found.num_images,
                    target=found.target,
                    model=found.model,
                )
            return found
        if found.problem:
            journal.set_waits(prompt.id, ())
            if prompt.state is not PromptState.FAILED or prompt.reason != found.problem:
                journal.move_prompt(prompt, Event.INVALID, wall, reason=found.problem, error="")
            return None
        journal.set_waits(prompt.id, {_fold_last(need) for need in found.needs})
        if prompt.state is not PromptState.WAITING or prompt.reason != found.reason:
            journal.move_prompt(prompt, Event.WAITS, wall, reason=found.reason)
        return None

    def folders_changed(self, *names: str) -> None:
        """A folder appeared, went, or its tune moved on: prompts that wait for it are looked at again."""
        self.subjects.forget()
        self._again = True
        self._changed.update(_fold_last(name) for name in names)

    def plan(self) -> None:
        """Look again at what waits for folders that changed, and hold back what is too much at one go."""
        if self._again:
            self._again = False
            self._failed_here()
        if self._waiting and self.ctx.walked >= set(self.ctx.watches):
            self._waiting = False
            for prompt in self.ctx.journal.prompts(f"state = 'waiting' AND {_HERE}"):
                self.evaluate(prompt)
        if self._changed:
            marks = ",".join("?" * len(self._changed))
            changed, self._changed = list(self._changed), set()
            for prompt in self.ctx.journal.prompts(
                f"state = 'waiting' AND id IN (SELECT prompt_id FROM waits WHERE needs IN ({marks}))",
                changed,
            ):
                self.evaluate(prompt)
        if self._burst:
            self._burst = False
            self._hold()

    @property
    def restless(self) -> bool:
        """Whether the next plan has something to look at."""
        return self._again or bool(self._changed)

    def queued_anew(self) -> None:
        """One that was thought to be there already is new after all: count again what is new at one go."""
        self._burst = self._again = True

    def look_again(self, *, waiting: bool = False) -> None:
        """A full look: what could not go for a reason on our side may go now (a file that was missing is there)."""
        self._again = True
        self._waiting = self._waiting or waiting

    def _failed_here(self) -> None:
        for prompt in self.ctx.journal.prompts(
            f"armed_at IS NULL AND state = 'failed' AND fingerprint != '' AND {_HERE}"
        ):
            self.evaluate(prompt)

    def _hold(self) -> None:
        """`hold_above`: an unpacked archive waits for a person."""
        limit = self.ctx.settings.limits.hold_above
        # What may be in the account already is looked for there first; that costs nothing.
        new = "(sought = 1 OR (SELECT adoptable FROM sources WHERE id = source_id) = 0)"
        where = f"approved = 0 AND armed_at IS NULL AND run = 1 AND created_at > ? AND {new} AND state IN ({{states}})"
        since = [self.ctx.wall - BURST_SECONDS]
        burst = where.format(states="'settling', 'waiting', 'queued', 'held'")
        count = self.ctx.journal.value(f"SELECT count(*) FROM prompts WHERE {burst}", since)
        if count <= limit:
            return
        for prompt in self.ctx.journal.prompts(where.format(states="'queued'"), since):
            self.ctx.journal.move_prompt(prompt, Event.HELD, self.ctx.wall, reason=HELD.format(limit=limit))


def _fold_last(name: str) -> str:
    """What a wait is found by: the last part of a name or path, folded."""
    return name.rstrip("/").rpartition("/")[2].casefold()


def _read_still(path: Path, sight: FileSight) -> bytes | None:
    """The file's bytes if it is what the scan saw, before and after reading; None if it changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode) or scan.stamp_of([(path.name, before)]) != sight.stamp:
            return None
        data = file.read(promptfile.MAX_BYTES + 1)
        return data if scan.stamp_of([(path.name, os.fstat(descriptor))]) == sight.stamp else None
