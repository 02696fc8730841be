"""From `pack` in a folder's tune.toml to the run of that pack: what the pack is, and whether it can be run on this folder.

Astria is asked what a pack holds and costs (`GET /p/:slug`, free) before anything is paid. One folder and one pack is one run, ever.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync import mocks
from astria_sync.context import BURST_SECONDS, Context
from astria_sync.core import packwork, work
from astria_sync.core.lifecycle import UNSENT_PACKS, Event, PackState, TuneState
from astria_sync.core.model import Source, Tune
from astria_sync.core.packrow import Pack
from astria_sync.core.packs import problem, size_for
from astria_sync.core.packwire import RemotePack, read_pack
from astria_sync.core.retry import Answer, NoAnswer, Verdict, judge_read, message, the_object
from astria_sync.costs import HELD_BACK
from astria_sync.following import Following
from astria_sync.room import Room
from astria_sync.spending import Spending
from astria_sync.validate import nearest

_FRESH: Final = 60.0  # seconds that what Astria said of a pack holds for other folders
_READ_ELSEWHERE: Final = (
    "urls",
    "captions",
    "read",
    "doubt",
)  # of a folder's settings: no words of tune.toml
_HELD: Final = (
    "its {prompts} prompts are more than {limit} new ones at one go; `astria-sync approve` lets them go"
)
# The tune is as it must be: finished and as Astria knows it, or still to be made together with the pack's prompts.
_CAN_GO: Final = (
    "((t.state = 'ready' AND t.patch = '{}') OR "
    "(t.state = 'queued' AND t.remote_id IS NULL AND json_extract(t.params, '$.id') IS NULL))"
)
_BY_TUNE: Final = (
    "SELECT k.id FROM packs k JOIN sources s ON s.id = k.source_id "
    "JOIN tunes t ON t.source_id = k.source_id AND t.current = 1 AND t.spare_of IS NULL "
    "WHERE k.current = 1 AND s.missing_since IS NULL AND "
)


@dataclass(kw_only=True)
class Packing:
    """Owns the rows of `packs` until they are sent."""

    ctx: Context
    following: Following
    room: Room
    spending: Spending
    _known: dict[tuple[str, str], tuple[float, RemotePack]] = field(default_factory=dict, init=False)
    _burst: bool = field(default=True, init=False)  # something was queued since it was last counted

    # What a folder asks for

    def want(self, source: Source) -> None:
        """A folder was taken up: it has a run for the pack that its tune.toml names; none other of its runs goes out any more."""
        written = source.settings.get("pack") if source.is_image_folder else None
        name = "" if written is None else str(written)
        if name and self.ctx.watches[source.root].rehearse:
            self.ctx.alarm(mocks.NO_PACK.format(path=source.path, name=name))
            name = ""
        journal = self.ctx.journal
        rows = journal.packs("source_id = ? ORDER BY id", [source.id])
        mine = [row for row in rows if name and name in {row.name, row.slug, str(row.pack_id)}]
        for row in rows:
            if row not in mine[:1]:
                self._not_wanted(row)
        if mine:
            self._wanted(mine[0], source, name)
        elif name:
            row_id = journal.add(
                "packs",
                source_id=source.id,
                name=name,
                state=PackState.SETTLING,
                workspace=self.ctx.workspace(source.root),
                output=str(self.ctx.watches[source.root].output),
                asked=_asked(source),
                created_at=self.ctx.wall,
                updated_at=self.ctx.wall,
            )
            self.ctx.event("pack", row_id, source.id, "seen", name)

    def _not_wanted(self, row: Pack) -> None:
        """What was never sent goes; what was, stays on record, and is followed."""
        unsent = row.state in UNSENT_PACKS or row.state is PackState.FAILED
        made = self.ctx.journal.value("SELECT 1 FROM prompts WHERE pack_run = ? LIMIT 1", [row.id])
        if unsent and row.armed_at is None and not row.lost and not made:
            self.ctx.journal.drop("packs", row.id)
            self.ctx.event("pack", row.id, row.source_id, "dropped", "tune.toml does not name it any more")
        elif row.current:
            self.ctx.journal.change("packs", row.id, current=False)

    def _wanted(self, row: Pack, source: Source, name: str) -> None:
        """It is looked at again if the folder says something else now; a refusal of Astria's stands until it does."""
        journal, asked = self.ctx.journal, _asked(source)
        tune = journal.current_tune(source.id)
        unmade = tune is not None and tune.remote_id is None and tune.state is not TuneState.FAILED
        changed = row.asked != asked
        journal.change("packs", row.id, current=True, name=name, asked=asked)
        if row.state is PackState.FAILED and row.bound_at is None and (changed or unmade):
            anew = {} if row.lost else {"armed_at": None, "watermark": None}
            journal.move_pack(row, Event.CHANGED, self.ctx.wall, reason="", error="", next_at=0, **anew)
        elif changed and row.armed_at is None and row.state in {PackState.HELD, PackState.QUEUED}:
            journal.move_pack(row, Event.CHANGED, self.ctx.wall, reason="", needs_mc=None, next_at=0)

    # What a pack is

    def plan(self) -> None:
        """Ask what packs are; judge those that are known; hold back what is too much."""
        journal = self.ctx.journal
        here = "current = 1 AND source_id IN (SELECT id FROM sources WHERE missing_since IS NULL)"
        for row in journal.packs(f"state = 'settling' AND next_at <= ? AND {here}", [self.ctx.now]):
            self._ask(row)
        for row in self._of(f"k.state = 'waiting' AND {_CAN_GO}"):
            self._judge(row, facts(row))
        for row in self._of(f"k.state = 'queued' AND NOT {_CAN_GO}"):
            self._wait(row, journal.current_tune(row.source_id))
        self._wake()
        if self._burst:
            self._burst = False
            self._hold()

    def _of(self, condition: str) -> list[Pack]:
        return [self.ctx.journal.pack(row["id"]) for row in self.ctx.journal.rows(_BY_TUNE + condition)]

    def _ask(self, row: Pack) -> None:
        known = self._known.get((row.workspace, row.name))
        if known and self.ctx.now - known[0] < _FRESH:
            self._judge(row, known[1])
        elif self.ctx.gates.reads and not self.ctx.stopping and self.ctx.free(work.Lane.REQUESTS):
            piece = packwork.FindPack(workspace=row.workspace, pack=row.name)
            self.ctx.start(("pack", row.workspace, row.name), piece)

    def found(self, piece: packwork.FindPack, found: packwork.PackFound | NoAnswer) -> None:
        """Astria was asked what a pack is."""
        result: Any = found.result if isinstance(found, packwork.PackFound) else found
        verdict = judge_read(result)
        same = "state = 'settling' AND name = ? AND workspace = ? ORDER BY id"
        rows = self.ctx.journal.packs(same, [piece.pack, piece.workspace])
        pack = read_pack(the_object(result.body) or {}, name=piece.pack) if verdict is Verdict.OK else None
        if pack is not None:
            self.following.doors.seen_open()
            self._known[piece.workspace, piece.pack] = (self.ctx.now, pack)
            for row in rows:
                self._judge(row, pack)
        elif verdict is Verdict.GONE and isinstance(found, packwork.PackFound):
            for row in rows:
                self._refuse(row, _unknown(piece.pack, found.others))
        elif rows and isinstance(result, Answer) and self.following.is_refusal(rows[0], verdict, result):
            for row in rows:
                self._refuse(row, f"Astria does not show the pack {piece.pack}", error=message(result))
        else:
            for row in rows:
                self.ctx.journal.change("packs", row.id, next_at=self.ctx.now + self.ctx.backoff(1))
            self.following.doors.close_for(verdict, result)

    # Can it go?

    def _judge(self, row: Pack, pack: RemotePack) -> None:
        """Decide where a run that is not sent stands now."""
        journal = self.ctx.journal
        tune = journal.current_tune(row.source_id)
        if self._is_another(row, pack):
            return
        root = journal.source(row.source_id).root
        place = {"workspace": self.ctx.workspace(root)} if row.armed_at is None else {}
        output = str(self.ctx.watches[root].output) if root in self.ctx.watches else row.output
        journal.change(
            "packs", row.id, facts=pack.raw, slug=pack.slug, pack_id=pack.id, output=output, **place
        )
        if row.armed_at is not None and row.state is PackState.WAITING:  # it goes out as it was
            journal.move_pack(row, Event.SETTLED, self.ctx.wall, reason="")
            return
        unmade = tune is not None and goes_along(tune)
        if tune is None or not (unmade or (tune.state is TuneState.READY and not tune.patch)):
            self._wait(row, tune)
            return
        settings = journal.source(row.source_id).settings
        noun = (settings.get("name") or "") if unmade else tune.class_noun
        if wrong := problem(pack, noun, tune=tune.remote_id if "id" in tune.params else None):
            self._refuse(row, wrong[0].upper() + wrong[1:])
            return
        size = size_for(pack, noun)
        values = {"expected": size.prompts, "num_images": size.pictures, "price_mc": size.price_mc}
        journal.move_pack(row, Event.SETTLED, self.ctx.wall, reason="", error="", needs_mc=None, **values)
        self._burst = True
        self.room.look_again()

    def _is_another(self, row: Pack, pack: RemotePack) -> bool:
        """Whether tune.toml names a pack by its id that the folder has by its slug, or the other way round: that is one run."""
        same = "source_id = ? AND pack_id = ? AND id != ? ORDER BY id LIMIT 1"
        for other in self.ctx.journal.packs(same, [row.source_id, pack.id, row.id]):
            self.ctx.journal.change("packs", other.id, current=True, name=row.name)
            self.ctx.journal.drop("packs", row.id)
            return True
        return False

    def _wait(self, row: Pack, tune: Tune | None) -> None:
        stands = f", which is {tune.state}" if tune else ""
        reason = f"waits for the tune of its folder{stands}"
        if row.state is not PackState.WAITING or row.reason != reason:
            self.ctx.journal.move_pack(row, Event.WAITS, self.ctx.wall, reason=reason)

    def _refuse(self, row: Pack, reason: str, *, error: str = "") -> None:
        """It cannot be run: then nothing is sent of the folder, so neither are its pictures."""
        journal, wall = self.ctx.journal, self.ctx.wall
        journal.move_pack(row, Event.INVALID, wall, reason=reason, error=error)
        tune = journal.current_tune(row.source_id)
        if tune is not None and goes_along(tune):
            journal.move_tune(tune, Event.INVALID, wall, reason=reason, error=error)

    # What is held back

    def _hold(self) -> None:
        """`hold_above`: a pack of more prompts than that waits for a person, and so do many packs at one go."""
        limit, since = self.ctx.settings.limits.hold_above, [self.ctx.since(BURST_SECONDS)]
        new = "approved = 0 AND current = 1 AND armed_at IS NULL AND created_at > ?"
        sums = f"SELECT sum(expected) FROM packs WHERE {new} AND state IN ('queued', 'held', 'waiting')"
        if (self.ctx.journal.value(sums, since) or 0) > limit:
            self._hold_these(self.ctx.journal.packs(f"{new} AND state = 'queued'", since), limit)
        large = "approved = 0 AND current = 1 AND armed_at IS NULL AND state = 'queued' AND expected > ?"
        self._hold_these(self.ctx.journal.packs(large, [limit]), limit)

    def _hold_these(self, rows: Sequence[Pack], limit: int) -> None:
        for row in rows:
            reason = _HELD.format(prompts=row.expected, limit=limit)
            self.ctx.journal.move_pack(row, Event.HELD, self.ctx.wall, reason=reason)

    def _wake(self) -> None:
        """Packs that the day's limit held back and the day has room for now."""
        left = self.spending.day.left
        fits = f"{HELD_BACK['packs']} AND (? IS NULL OR needs_mc <= ?) ORDER BY id"
        for row in self.ctx.journal.packs(fits, [left, left]):
            self.ctx.journal.move_pack(row, Event.SETTLED, self.ctx.wall, reason="", needs_mc=None)


def goes_along(tune: Tune) -> bool:
    """Whether a tune is still to be made, so that a pack is run on the pictures themselves."""
    unsent = tune.state in {TuneState.SETTLING, TuneState.QUEUED}
    return unsent and tune.remote_id is None and "id" not in tune.params


def facts(row: Pack) -> RemotePack:
    """What Astria said of the pack when the run was judged."""
    pack = read_pack(row.facts, name=row.name)
    return pack or RemotePack(
        id=row.pack_id, slug=row.called, model_type=None, base_tune_id=None, templates=(), costs={}
    )


def _asked(source: Source) -> str:
    """A hash of what the folder asks for."""
    said = {key: value for key, value in source.settings.items() if key not in _READ_ELSEWHERE}
    words = json.dumps([said, source.content], sort_keys=True)
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()


def _unknown(name: str, others: Sequence[str]) -> str:
    near = nearest(name, others)
    meant = f"did you mean {near}?" if near else "see: astria-sync packs list"
    return f"Astria has no pack {name}, or none that this account may use; {meant}"
