"""`pull`: the account's other generations, from Astria's lists to rows, a page and a transaction at a time.

From there on they are prompts like any: fetching.py fetches their pictures, in the order in which Astria deletes them. What a
file of ours has, or may have asked for just now, is left to it. Nothing here sends anything but GET.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.account import (
    FindRecords,
    Pulled,
    PullPage,
    ReadRecords,
    covered,
    older,
    unknown_below,
    without_pictures,
)
from astria_sync.core.lifecycle import Event, PromptState
from astria_sync.core.model import Outcome
from astria_sync.core.retry import Answer, Verdict, judge_read
from astria_sync.core.wire import RemotePrompt, as_time
from astria_sync.doors import why
from astria_sync.following import Following
from astria_sync.pulled import LONGEST, unfinished
from astria_sync.pulledrows import PulledRows
from astria_sync.pulljob import JOB, LAST, ask, targets, todo
from astria_sync.reconciling import Reconciling

_LAGS: Final = 120.0  # seconds: what is younger may come into a list behind what it shows already
_TEND: Final = 600.0  # seconds between looks for what is not waited for any more
_REFUSED: Final = {Verdict.REFUSED, Verdict.GONE}


@dataclass(kw_only=True)
class Pulling:
    """Owns the job and what of the lists was looked at."""

    ctx: Context
    reconciling: Reconciling
    following: Following = field(init=False)
    rows: PulledRows = field(init=False)
    _denied: Counter[str] = field(default_factory=Counter, init=False)
    _tend_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """The rows are a question of their own."""
        self.following = self.reconciling.following
        self.rows = PulledRows(ctx=self.ctx, following=self.following)

    def takers(self) -> Mapping[type, Callable[[Outcome], None]]:
        """Work → who takes what came of it."""
        return {
            PullPage: lambda one: self.listed(one.work, one.result),
            FindRecords: lambda one: self.found(one.work, one.result, one.failure),
            ReadRecords: lambda one: self.read(one.work, one.result, one.failure),
        }

    # What to ask for

    @property
    def reading(self) -> bool:
        """Whether lists are still to be read."""
        return self.ctx.journal.get(JOB) is not None

    @property
    def restless(self) -> bool:
        """Whether something is still to be read or worth waiting for (`run --once`)."""
        due = self.next_due()
        rows, full = (
            self.ctx.journal.rows,
            self.ctx.journal.rows("SELECT key FROM meta WHERE key GLOB 'output:*'"),
        )
        outputs = [row["key"].removeprefix("output:") for row in full]
        return self.reading or (due is not None and due <= self.ctx.now) or bool(unfinished(rows, outputs))

    def wakes(self) -> float | None:
        """When the loop is to wake for it; what is due already waits for an outcome."""
        due = self.next_due()
        return due if due is not None and due > self.ctx.now else None

    def next_due(self) -> float | None:
        """When the next pull begins, on the engine's clock."""
        pull = self.ctx.settings.pull
        if not pull.enabled or self.reading:
            return None
        ended = float(self.ctx.journal.get(LAST, {}).get("ended_at", 0.0))
        left = min(ended + pull.every_seconds - self.ctx.wall, pull.every_seconds)
        return self.ctx.now + max(0.0, left)

    def forget(self) -> None:
        """A step was rolled back: what was noted of records is to be noted again."""
        self.rows.forget()

    def plan(self) -> None:
        """Ask for the next page, one at a time."""
        if self.ctx.stopping:
            return
        self._tend()
        job = self.ctx.journal.get(JOB) or self._begun_by_itself()
        turns = self.following.fetching.turns
        # What Astria deletes first is known once all is listed; if that cannot be read, what is known is fetched.
        turns.ordered_only = job is not None and self.ctx.gates.reads
        if job is None:
            return
        if not job["begun"]:
            job |= {"begun": True, "todo": todo(targets(self.ctx.settings, job["output"]))}
            self.ctx.journal.put(JOB, job)
        if not job["todo"]:
            self._ended(job)
            return
        step = job["todo"][0]
        if self.rows.ready(step["output"]) and self.ctx.gates.reads and self.ctx.free(work.Lane.REQUESTS):
            known = self.rows.known_tunes() if step["kind"] == "prompt" else frozenset()
            piece = PullPage(
                job=job["id"],
                kind=step["kind"],
                workspace=step["workspace"],
                before_id=step["cursor"],
                known=known,
            )
            self.ctx.start(("pull",), piece)

    def _begun_by_itself(self) -> dict[str, Any] | None:
        """`[pull] enabled`: every so often, once it is known what the files here own."""
        due = self.next_due()
        if due is None or due > self.ctx.now or not self._settled():
            return None
        ask(self.ctx.journal, {"by_itself": True}, self.ctx.wall)
        return dict(self.ctx.journal.get(JOB))

    def _settled(self) -> bool:
        journal = self.ctx.journal
        seen = (root in self.ctx.walked or journal.get(f"root:{root}") for root in self.ctx.watches)
        busy = any(isinstance(key, tuple) and key[0] in {"sidecars", "records"} for key in self.ctx.under_way)
        return all(seen) and not busy

    def _ended(self, job: dict[str, Any]) -> None:
        """All lists are read; what they showed is being fetched."""
        kept = {key: job[key] for key in ("id", "asked_at", "since", "counts", "problems")}
        self.ctx.journal.put(LAST, {**kept, "ended_at": self.ctx.wall})
        self.ctx.journal.put(JOB, None)
        self.following.fetching.turns.ordered_only = False
        new = job["counts"]["new"]
        told = f"pull: all lists are read, {new} new generations"
        self.ctx.event("daemon", None, None, "pulled", told, level="info")

    # What came back

    def found(self, piece: FindRecords, result: work.Sidecars | None, failure: BaseException | None) -> None:
        """An output was walked for records."""
        problem = result.problem if result else f"{piece.output} cannot be read ({failure})"
        if problem or result is None:
            self._skip(
                piece.output, f"{problem}; what lies there already is not known, so nothing is pulled to it."
            )
        else:
            self.rows.found(piece.output, result.records)

    def read(
        self, piece: ReadRecords, result: work.SidecarsRead | None, failure: BaseException | None
    ) -> None:
        """Records of what was pulled for an earlier state were read."""
        problem = result.problem if result else f"{piece.output} cannot be read ({failure})"
        if problem or result is None:
            self._skip(piece.output, f"{problem}; nothing is pulled to it.")
        else:
            self.rows.read(piece, result.found)

    def _skip(self, output: str, problem: str) -> None:
        self.rows.forget()
        self._leave_out(lambda step: bool(step["output"] == output), problem)

    def _leave_out(self, which: Any, problem: str) -> None:
        job = self.ctx.journal.get(JOB)
        if job is None:
            return
        self.ctx.say("warning", f"pull: {problem}")
        job["todo"] = [step for step in job["todo"] if not which(step)]
        job["problems"].append(problem)
        self.ctx.journal.put(JOB, job)

    def listed(self, piece: PullPage, result: Pulled | None) -> None:
        """A page came: rows of what is new, and where to go on, in this one step."""
        job = self.ctx.journal.get(JOB)
        if job is None or job["id"] != piece.job:
            return  # it was asked for anew meanwhile
        self.rows.know_tunes(result.tunes if result else ())
        if result is None or result.failure is not None:
            self._failed(piece, result.failure if result else work.unknown("the list could not be read"))
            return
        self._denied.pop(piece.workspace, None)
        self.following.seen(piece.kind, piece.workspace, work.Pages(objects=result.objects))
        self.reconciling.auditing.listed(piece.kind, piece.workspace, result.objects)
        step = job["todo"][0]
        unsettled: set[int] = set()
        if piece.kind == "prompt":
            unsettled = self._prompts(job, step, result.objects)
        step["cursor"] = self._next(job, piece, result, unsettled)
        if step["cursor"] is None:
            job["todo"].pop(0)
        self.ctx.journal.put(JOB, job)

    def _prompts(
        self, job: dict[str, Any], step: dict[str, Any], objects: tuple[RemotePrompt, ...]
    ) -> set[int]:
        """Take what is to be taken; the ids of those that a later list must show again."""
        past, left = set(older(objects, job["since"])), set()
        asked = self.rows.open_seeds()
        for remote in objects:
            if remote.id in past:
                continue
            what = self._one(step, remote, asked)
            job["counts"]["listed"] += 1
            job["counts"][what] += 1
            if what == "left" or self._is_young(remote):
                left.add(remote.id)
        return left

    def _one(self, step: dict[str, Any], remote: RemotePrompt, asked: dict[int, int]) -> str:
        """What is done with one generation, as one of the job's counts."""
        if self.rows.has(remote, step["output"]):
            return "known"
        if remote.seed is not None and asked.get(remote.seed, remote.id) < remote.id:
            return "left"  # it may be the answer to an order of ours
        if remote.user_error and not remote.images:
            return "failed"
        if without_pictures(remote, now=self.ctx.wall, patience=LONGEST):
            return "gone"
        self.rows.take(remote, workspace=step["workspace"], output=step["output"])
        return "new"

    def _is_young(self, remote: RemotePrompt) -> bool:
        return remote.created_at is not None and self.ctx.wall - remote.created_at < _LAGS

    def _next(self, job: dict[str, Any], piece: PullPage, result: Pulled, unsettled: set[int]) -> int | None:
        """Note what of the list was looked at, and say where to go on; None at the end.

        An empty page ends it, and is asked for again the next time: it may have been a slip.
        """
        objects, key = result.objects, f"looked:{piece.kind}:{piece.workspace}"
        if result.unread is not None:
            job["problems"].append(
                f"A part of Astria's list of {piece.kind}s cannot be read; see the next pull."
            )
        if not objects:
            return None
        first, last = objects[0].id, objects[-1].id
        if piece.before_id is not None and first >= piece.before_id:
            job["problems"].append("Astria's list goes round in a circle; not all of it was seen.")
            return None
        top = first if piece.before_id is None else piece.before_id - 1
        past = older(objects, job["since"]) if piece.kind == "prompt" else []
        low = max([last, *(one + 1 for one in past)])
        if result.unread is not None:
            low = max(low, int(min(result.unread, first + 1)))
        spans = covered(self.ctx.journal.get(key, []), low, min([top, *(one - 1 for one in unsettled)]))
        self.ctx.journal.put(key, spans)
        return None if len(past) == len(objects) else unknown_below(spans, last)

    def _failed(self, piece: PullPage, result: Any) -> None:
        """Not now; or never, and then it is told."""
        verdict = judge_read(result)
        denied = isinstance(result, Answer) and result.status == 403
        self._denied[piece.workspace] += denied
        if verdict in _REFUSED or self._denied[piece.workspace] > 1:
            space = f"workspace {piece.workspace}" if piece.workspace else "the account"
            told = f"Astria does not list the {piece.kind}s of {space} ({why(result)})."
            self._leave_out(lambda step: bool(step["workspace"] == piece.workspace), told)
        else:
            self.reconciling.doors.close_for(verdict, result)

    def _tend(self) -> None:
        """A generation that has not come within a day is not asked for any more; a list that shows pictures of it brings it back."""
        if self.ctx.now < self._tend_at:
            return
        self._tend_at = self.ctx.now + _TEND
        for row in self.ctx.journal.prompts("pulled = 1 AND state = ?", [PromptState.GENERATING]):
            made = as_time(row.answer.get("created_at")) or row.created_at
            if self.ctx.wall - made > LONGEST:
                reason = "Astria has made no pictures of it within a day"
                self.ctx.journal.move_prompt(row, Event.GONE, self.ctx.wall, reason=reason)
