"""From prompt files to orders for pictures: which requests a file asks for, and where each one stands until it is sent."""

import errno
import hashlib
import itertools
import json
import math
import os
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync import each, mocks, promptfile, sights
from astria_sync.context import BURST_SECONDS, Context
from astria_sync.core.lifecycle import Event, PromptState
from astria_sync.core.model import OLDER_THAN_RUN, FileSight, Prompt, Source
from astria_sync.errors import FileProblem
from astria_sync.intake import Intake
from astria_sync.judging import Judge, Ready
from astria_sync.ordering import Ordering
from astria_sync.subjects import Subjects

_AT_ONCE: Final = 250  # rows judged in one step: a large matrix must not keep everything else waiting
# By number, not by state: thousands may wait while one is judged.
_OPEN: Final = "+state IN ('settling', 'waiting') OR (+state = 'failed' AND armed_at IS NULL)"
_WENT: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ESTALE}
_HERE = "EXISTS (SELECT 1 FROM sources WHERE id = prompts.source_id AND missing_since IS NULL)"  # not all are read for one
# New ones, of which nobody said that they may go. What may be in the account already is looked for there first; that costs nothing.
_MINE: Final = "approved = 0 AND armed_at IS NULL AND run = 1 AND pulled = 0 AND fingerprint != '' AND (sought = 1 OR old = 0)"
_BURST: Final = (
    f"{_MINE} AND (created_at > ? OR (sought = 1 AND state = 'queued')) "
    "AND state IN ('settling', 'waiting', 'queued', 'held', 'failed')"
)
# Each name once, from one to the next by the index: thousands may wait for one.
_NEEDED: Final = """
    WITH RECURSIVE names (needs) AS (SELECT min(needs) FROM waits UNION ALL
        SELECT (SELECT min(needs) FROM waits WHERE needs > names.needs) FROM names WHERE names.needs IS NOT NULL)
    SELECT needs FROM names WHERE needs IS NOT NULL"""
_COUNTED: Final = 60.0  # seconds between counts of those where there is no reason for one
HELD = "more than {limit} new prompts at one go; `astria-sync approve --all` lets them go"


@dataclass(kw_only=True)
class Prompting:
    """Owns the rows of `prompts` until they are sent."""

    ctx: Context
    intake: Intake
    subjects: Subjects
    judge: Judge
    # What is to be judged: rows, found by what happened since the last plan. A plan judges so many of them, the next goes on.
    _todo: dict[int, None] = field(default_factory=dict, init=False)
    _changed: set[str] = field(default_factory=set, init=False)  # folded names whose folder or tune changed
    _again: bool = field(default=False, init=False)  # everything that failed on our side
    _waiting: bool = field(default=True, init=False)  # everything that waits (at the start, after commands)
    _burst: bool = field(default=True, init=False)  # something was queued since it was last counted
    # So many more may come before they can be too many, as of when they were counted.
    _below: int = field(default=0, init=False)
    _counted_at: float = field(default=-math.inf, init=False)
    _folders: bool = field(default=True, init=False)  # image folders may have come or gone
    # Files of local packs → the image folders that each was last run for; None: to be read from the journal.
    _packs: dict[int, frozenset[tuple[int, str]]] | None = field(default=None, init=False)
    _ordering: Ordering = field(init=False)

    def __post_init__(self) -> None:
        """Ordering is a part of prompting."""
        self._ordering = Ordering(ctx=self.ctx)

    # Taking up a file

    def take_prompt(self, source: Source, sight: FileSight) -> bool:
        """A prompt file stands still: read it and bring its orders in line. False if it changed under our hands."""
        try:
            read = _read_still(source, sight)
        except FileProblem as error:
            self.intake.settled(source, sight.stamp)  # a change of its rights changes the stamp too
            self._ordering.refuse(source, error.problems)
            return True
        if read is None:
            return False
        content = hashlib.sha256(read).hexdigest()
        source = self.intake.who_is_here(source, sight, content)
        if not source.content and (
            old := self.intake.moved_from(source, content, inode=sight.inode, mtime_ns=sight.mtime_ns)
        ):
            source = old
        edited = source.content not in {"", content}  # what it asks for now was never asked for before
        read_as = {"content": content, "inode": sight.inode, "mtime_ns": sight.mtime_ns, "problem": ""}
        # Edited since: made by this state or by a later one that is lost, so no further back than this run.
        adoptable = min(OLDER_THAN_RUN, self.ctx.age_of(sight.mtime_ns / 1e9)) if edited else source.adoptable
        if adoptable != source.adoptable:
            read_as["adoptable"] = adoptable
            self._counted_at = -math.inf  # rows that it has already may be new ones from now on
        self.ctx.journal.change("sources", source.id, **read_as)
        self.intake.settled(source, sight.stamp)
        try:
            parsed = promptfile.parse(read, name=source.name)
        except FileProblem as error:
            self._ordering.refuse(source, error.problems)
        else:
            source = self.ctx.journal.source(source.id)
            self._add_new(self._ordering.order(source, parsed, read, content))
            if each.is_each(source.path) and self._packs is not None:
                self._packs.setdefault(source.id, frozenset())
        return True

    def _add_new(self, rows: Iterable[int]) -> None:
        new = dict.fromkeys(rows)
        self._todo.update(new)
        self._below -= len(new)

    def _fan_out(self) -> None:
        """Image folders came or went: what local packs ask for follows them."""
        if self._packs is None:
            self._packs = {source.id: frozenset() for source in self.ctx.journal.sources(each.FILES)}
        known = "id IN (SELECT value FROM json_each(?)) AND missing_since IS NULL"
        for source in self.ctx.journal.sources(known, [json.dumps([*self._packs])]) if self._packs else ():
            here = frozenset((folder.id, folder.path) for folder in each.folders(self.ctx.journal, source))
            if self._packs[source.id] != here:
                self._packs[source.id] = here
                self._add_new(self._ordering.again(source))

    # Can it go?

    def evaluate(self, prompt: Prompt) -> Ready | None:
        """Decide where a row that is not sent stands now: queued, waiting with a reason, or failed with one."""
        journal, wall = self.ctx.journal, self.ctx.wall
        found = self.judge(prompt)
        if isinstance(found, Ready):
            if prompt.state is not PromptState.QUEUED:  # else it waits for nothing already
                journal.set_waits(prompt.id, ())
                self._burst = True
                # One that was armed goes out as it was.
                as_it_is = {"num_images": found.num_images, "target": found.target, "model": found.model}
                shown = as_it_is if prompt.armed_at is None else {}
                journal.move_prompt(prompt, Event.SETTLED, wall, reason="", error="", **shown)
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
        self._again = self._folders = True
        if not names:  # a step was rolled back, with it what local packs ordered
            self._packs = None
            self._counted_at = -math.inf
        self._changed.update(_fold_last(name) for name in (*names, mocks.ANY_TUNE))

    def plan(self) -> None:
        """Look again at what may go now, so many at a time, and hold back what is too much at one go."""
        if self._folders:
            self._folders = False
            self._fan_out()
        self._find()
        batch = list(itertools.islice(self._todo, _AT_ONCE))
        open_ones = f"id IN (SELECT value FROM json_each(?)) AND ({_OPEN}) AND fingerprint != '' AND {_HERE}"
        for prompt in self.ctx.journal.prompts(open_ones, [json.dumps(batch)]) if batch else ():
            self.evaluate(prompt)
        for row in batch:
            del self._todo[row]
        if self._burst or batch:
            self._burst = False
            self._hold()

    @property
    def restless(self) -> bool:
        """Whether the next plan has something to look at."""
        return self._again or self._folders or bool(self._changed) or bool(self._todo)

    def queued_anew(self) -> None:
        """One that was thought to be there already is new after all: count again what is new at one go."""
        self._burst = self._again = True
        self._counted_at = -math.inf

    def look_again(self, *, waiting: bool = False) -> None:
        """A full look: what could not go for a reason on our side may go now (a file that was missing is there)."""
        self._again = True
        self._waiting = self._waiting or waiting
        if waiting:
            self._counted_at = -math.inf

    def _find(self) -> None:
        """Which rows are to be judged for what happened."""
        failed = "state = 'failed' AND armed_at IS NULL AND fingerprint != ''"
        # A file that one of them takes along may be there now.
        if looked_at := self.intake.prompts_beside_a_look():
            self._add(f"source_id IN (SELECT value FROM json_each(?)) AND {failed}", looked_at)
        if self._again:
            self._again = False
            self._add(failed)
            self._changed.update(self._overheard())
        if self._waiting and self.ctx.walked >= set(self.ctx.watches):
            self._waiting = False
            self._add(
                "state = 'waiting' OR (state = 'settling' AND fingerprint != '')"
            )  # a crash can leave the latter
        if self._changed:
            changed, self._changed = list(self._changed), set()
            named = "SELECT prompt_id FROM waits WHERE needs IN (SELECT value FROM json_each(?))"
            self._add(f"state = 'waiting' AND id IN ({named})", changed)

    def _add(self, where: str, *values: list[Any]) -> None:
        rows = self.ctx.journal.rows(
            f"SELECT id FROM prompts WHERE ({where}) AND {_HERE}", [json.dumps(value) for value in values]
        )
        self._todo.update((row["id"], None) for row in rows)

    def _overheard(self) -> list[str]:
        """Names that something waits for although their folder is ready: should a change ever pass unheard."""
        names = [row["needs"] for row in self.ctx.journal.rows(_NEEDED)]
        find = self.subjects.index().find if names else None
        return [name for name in names if find and any(one.ready for one in find(name))]

    def _hold(self) -> None:
        """`hold_above`: an unpacked archive waits for a person. What is still waiting for something else is one of the crowd for
        good, or an hour of training would let it go.
        """
        journal, limit = self.ctx.journal, self.ctx.settings.limits.hold_above
        since = [self.ctx.since(BURST_SECONDS)]
        if self._may_be_too_many(limit, since):
            journal.change_all("prompts", "crowd = 1", f"crowd = 0 AND {_BURST}", *since)
        crowd = journal.prompts(f"{_MINE} AND crowd = 1 AND state = 'queued'")
        if crowd:
            told = (
                f"More than {limit} new prompts came at one go; they are held back until: astria-sync approve"
            )
            self.ctx.say("warning", told)
        for prompt in crowd:
            journal.move_prompt(prompt, Event.HELD, self.ctx.wall, reason=HELD.format(limit=limit))

    def _may_be_too_many(self, limit: int, since: list[float]) -> bool:
        """Whether more than so many are new. They are counted when those that came since may be too many together with the ones
        that were there, and once a minute: to count thousands takes milliseconds, and each file that is dropped comes here.
        """
        coming = each.coming(self.ctx.journal, self._packs or ())
        if coming <= self._below and self.ctx.now - self._counted_at < _COUNTED:
            return False
        # No further than to the first that is too many: a large matrix comes here for each few of its rows.
        some = f"SELECT count(*) FROM (SELECT 1 FROM prompts WHERE {_BURST} LIMIT ?)"
        count = self.ctx.journal.value(some, [*since, limit + 1])
        # Those that are being sent are not counted, and may come back.
        self._below = limit - count - self.ctx.settings.limits.requests
        self._counted_at = self.ctx.now
        return bool(count + coming > limit)


def _fold_last(name: str) -> str:
    """What a wait is found by: the last part of a name or path, folded as in `references` (a Mac's zip has é in two parts)."""
    last = unicodedata.normalize("NFC", name.rstrip("/").rpartition("/")[2])
    return unicodedata.normalize("NFC", last.casefold())


def _read_still(source: Source, sight: FileSight) -> bytes | None:
    """The file's bytes if it is what the scan saw, before and after reading; None if it went or changed.

    Raises FileProblem if it is there and cannot be read.
    """
    path = source.location
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode) or sights.stamp_of([(path.name, before)]) != sight.stamp:
                return None
            data = file.read(promptfile.MAX_BYTES + 1)
            return data if sights.stamp_of([(path.name, os.fstat(descriptor))]) == sight.stamp else None
    except OSError as error:
        if error.errno in _WENT:
            return None
        raise FileProblem(f"{source.path} cannot be read ({error.strerror}); make it readable.") from None
