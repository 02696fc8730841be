"""What was ordered before this state was, or by a later one that is lost: taken up from the records beside the pictures.

Before an old order goes out, its output is walked for sidecars. One that has a record is done, whether its tune is ready,
gone or unknown; one that has none is looked for in Astria's lists (reconciling.py), and only then bought.
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from astria_sync import sidecars
from astria_sync.before import OLD_UNSENT, Before
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import PromptState
from astria_sync.core.records import Shelf
from astria_sync.intake import Intake
from astria_sync.matching import UNDECIDED, UNREAD, WAITING, Match, Matching
from astria_sync.recorded import Recorded

_EXAMINED: Final = 1000  # rows in one step
_AT_ONCE: Final = 64  # records that are read whole at a time
_FRESH: Final = 5.0  # seconds that an output is taken for the one that was read
_LONGEST: Final = 60.0  # seconds between looks whether an output can be read again
_DECIDED: Final = (  # those whose folder is read, gone, or none of ours
    "SELECT p.id FROM prompts p INDEXED BY prompts_unread JOIN sources s ON s.id = p.source_id "
    "LEFT JOIN sources f ON f.root = s.root AND f.kind = 'folder' AND f.path = "
    "coalesce(nullif(rtrim(rtrim(s.path, replace(s.path, '/', '')), '/'), ''), '.') "
    "WHERE p.unread > 0 AND p.unread = ? AND (f.id IS NULL OR f.stamp != '' OR f.missing_since IS NOT NULL)"
)
_REST: Final = (
    "{problem}; what was paid for before may be recorded there, so nothing is sent for {roots}; "
    "make it readable, or move it out of there."
)


@dataclass(kw_only=True)
class _Output:
    """One output folder, and how far it is searched."""

    path: str
    roots: list[str]
    tried: bool = False  # in this run
    been: bool = False  # all of it was read in this run
    place: tuple[int, int] | None = None  # what was read, None: nothing was there
    check_at: float = 0.0
    failures: int = 0
    again_at: float = 0.0
    found: Matching | None = None
    matches: deque[Match] = field(default_factory=deque)
    reading: list[Match] = field(default_factory=list)

    def forget(self) -> None:
        """What was found is to be found again; what is being read now is not waited for."""
        self.found = None
        self.matches.clear()
        self.reading = []


@dataclass(kw_only=True)
class Adopting:
    """Owns `prompts.unread`, and what lies recorded in the outputs."""

    ctx: Context
    intake: Intake
    before: Before = field(init=False)
    restless: bool = field(default=False, init=False)  # the next plan has more to examine
    _outputs: dict[str, _Output] = field(default_factory=dict, init=False)
    _recorded: Recorded = field(init=False)

    def __post_init__(self) -> None:
        """Roots may share an output."""
        self.before, self._recorded = Before(ctx=self.ctx), Recorded(ctx=self.ctx)
        for root, watch in self.ctx.watches.items():
            path = str(watch.output)
            self._outputs.setdefault(path, _Output(path=path, roots=[])).roots.append(root)

    def start(self) -> None:
        """Once a run."""
        for output in self._outputs.values():
            self._tell(output, "")
        self.before.start()

    def forget(self) -> None:
        """A step was rolled back: what was handed out in it is to be found again."""
        for output in self._outputs.values():
            output.forget()

    # What may be sent

    def open(self, roots: Iterable[str]) -> list[str]:
        """Those of these roots of which something may be sent: with something old in them, only after a look at the output.

        After it, a single order may still have to wait (`unread`).
        """
        outputs = {root: output for output in self._outputs.values() for root in output.roots}
        return [root for root in roots if root in outputs and not self._closed(outputs[root], root)]

    def _closed(self, output: _Output, root: str) -> bool:
        return not output.been and self._has_old(root)

    def settled(self, root: str) -> bool:
        """Whether everything that records tell of this root is taken up."""
        for output in self._outputs.values():
            if root in output.roots:
                open_ones = output.found is not None or output.matches or output.reading
                return output.been and not open_ones
        return False

    def resting(self) -> set[str]:
        """Roots of which nothing is sent at present since their output cannot be read."""
        return {
            root for output in self._outputs.values() if self.problem(output.path) for root in output.roots
        }

    def problem(self, output: str) -> str:
        """Why an output cannot be read, while that keeps something from going out."""
        return str(self.ctx.journal.get(f"records:{output}", ""))

    def next_due(self) -> float | None:
        """When an output that could not be read is looked at again."""
        failed = [output.again_at for output in self._outputs.values() if self.problem(output.path)]
        return min(failed, default=None)

    # What to look at

    def plan(self) -> None:
        """Walk outputs that somebody asks for, say which record is whose, and read those whole."""
        self.restless = False
        self._decide()
        for output in self._outputs.values():
            if output.been and self._is_another(output):
                self._read_anew(output)
            # Also what was forgotten may still be under way: the next of its kind would not be started.
            if any((what, output.path) in self.ctx.under_way for what in ("sidecars", "records")):
                continue
            if output.found is not None and not output.matches:
                self._match(output, output.found)
            if output.found is None and not output.matches and self._wants(output):
                self._find(output)
            if output.matches:
                self._read(output)
        if not self.ctx.under_way and self.intake.idle:
            self.before.rest()

    def _decide(self) -> None:
        """Orders that waited for their folder to be read."""
        for row in self.ctx.journal.rows(_DECIDED, [UNDECIDED]):
            self.ctx.journal.change("prompts", row["id"], unread=UNREAD)

    def _wants(self, output: _Output) -> bool:
        """Whether a walk is due. One a run is made in any case: a state that was restored lacks what `rerun` made since."""
        seen = (
            root in self.ctx.walked or self.ctx.journal.get(f"root:{root}") is not None
            for root in output.roots
        )
        if self.ctx.stopping or not all(seen):
            return False
        if any(self._has_old(root, tunes=not output.been) for root in output.roots):
            return self.ctx.now >= output.again_at
        self._tell(output, "")
        return not output.tried and self.intake.idle

    def _is_another(self, output: _Output) -> bool:
        """Whether something else lies there than what was read: its disk was mounted, or taken out, or it was made since."""
        if output.place is not None and self.ctx.now < output.check_at:
            return False
        output.check_at = self.ctx.now + _FRESH
        return sidecars.place_of(output.path) != output.place

    def _read_anew(self, output: _Output) -> None:
        """What was not found before may be recorded there."""
        output.forget()
        output.been = output.tried = False
        unsent = (
            "remote_id IS NULL AND fingerprint != '' AND state IN ('waiting', 'held', 'queued', 'unsure')"
        )
        old = "source_id IN (SELECT id FROM sources WHERE adoptable > 0 AND root IN (SELECT value FROM json_each(?)))"
        for row in self.ctx.journal.rows(
            f"SELECT id FROM prompts WHERE {unsent} AND {old}", [json.dumps(output.roots)]
        ):
            self.ctx.journal.change("prompts", row["id"], unread=UNREAD)

    def _has_old(self, root: str, *, tunes: bool = True) -> bool:
        """Whether there are orders of a root that may be sent and that records may be of."""
        journal = self.ctx.journal
        mine = f"{WAITING} AND s.root = ? AND p.state != ? LIMIT 1"
        if journal.value(mine, [UNREAD, root, PromptState.FAILED]) is not None:
            return True
        return tunes and journal.value(OLD_UNSENT, [root]) is not None

    def _find(self, output: _Output) -> None:
        if not self.ctx.free(work.Lane.DISK):
            return
        runs = "(state IN ('generating', 'downloading', 'deleted') AND done_at IS NULL)"
        known = self.ctx.journal.rows(
            f"SELECT remote_id FROM prompts WHERE remote_id IS NOT NULL AND NOT {runs}"
        )
        piece = work.FindSidecars(
            output=output.path,
            known=frozenset(row["remote_id"] for row in known),
            others=tuple(one.path for one in self._outputs.values() if one is not output),
        )
        self.ctx.start(("sidecars", output.path), piece)

    # What was found

    def found(
        self, piece: work.FindSidecars, result: work.Sidecars | None, failure: BaseException | None
    ) -> None:
        """An output was walked."""
        output = self._outputs[piece.output]
        output.forget()
        output.tried = True
        if result is None or result.problem:
            self._failed(output, result.problem if result else f"{output.path} cannot be read ({failure})")
            return
        output.been, output.place, output.failures, output.again_at = True, result.place, 0, 0.0
        self._tell(output, "")
        self.before.learn(result.tunes, output.roots)
        self.before.learn_packs(result.packs, output.roots)
        output.found = Matching(
            ctx=self.ctx,
            before=self.before,
            output=output.path,
            roots=output.roots,
            shelf=Shelf(result.records),
        )
        output.matches.extend(output.found.running())

    def _failed(self, output: _Output, problem: str) -> None:
        if any(self._has_old(root, tunes=not output.been) for root in output.roots):
            output.failures += 1
            output.again_at = self.ctx.now + min(_LONGEST, self.ctx.backoff(output.failures))
            self._tell(output, _REST.format(problem=problem, roots=", ".join(output.roots)))
        else:
            self.ctx.say("info", f"{problem}; nothing was looked for there")

    def _tell(self, output: _Output, problem: str) -> None:
        if self.problem(output.path) != problem:
            self.ctx.journal.put(f"records:{output.path}", problem or None)
            told = problem or f"{output.path} can be read again"
            self.ctx.event("daemon", None, None, "output", told, level="warning" if problem else "info")

    # Whose is it?

    def _match(self, output: _Output, found: Matching) -> None:
        """Find the records of orders, until there are enough to read; after the last, what else belongs to the files here."""
        mine = f"{WAITING} AND s.root IN (SELECT value FROM json_each(?)) LIMIT ?"
        rows = self.ctx.journal.rows(mine, [UNREAD, json.dumps(output.roots), _EXAMINED])
        for row in rows:
            if match := found.examine(self.ctx.journal.prompt(row["id"])):
                output.matches.append(match)
            if len(output.matches) >= _AT_ONCE:
                return
        if rows:
            self.restless = True  # there may be more of them, or folders may still be read
        elif self.intake.idle and not found.undecided:
            output.matches.extend(found.others())
            output.found = None

    # Taking up

    def _read(self, output: _Output) -> None:
        if self.ctx.free(work.Lane.DISK):
            output.reading = [output.matches.popleft() for _ in range(min(_AT_ONCE, len(output.matches)))]
            records = tuple(match.record for match in output.reading)
            self.ctx.start(("records", output.path), work.ReadSidecars(output=output.path, records=records))

    def read(
        self, piece: work.ReadSidecars, result: work.SidecarsRead | None, failure: BaseException | None
    ) -> None:
        """Records were read whole."""
        output = self._outputs[piece.output]
        matches, output.reading = output.reading, []
        if tuple(match.record for match in matches) != piece.records:
            return  # forgotten meanwhile
        if result is None or result.problem:
            output.forget()
            output.been = False
            self._failed(output, result.problem if result else f"{output.path} cannot be read ({failure})")
            return
        for match, found in zip(matches, result.found, strict=True):
            if found is not None:
                self._recorded.take(match, *found)
            elif match.row is not None:
                output.forget()  # it was moved or changed since: it is to be found again
