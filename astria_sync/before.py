"""What this state knew when the run began, and what records tell of the time before: where the search for what is paid ends.

A state may be a copy from earlier. What Astria made since has higher ids than any that the copy has seen, so the highest one
known at the start is kept until everything older was looked for; a crash in the middle must not move it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from astria_sync.context import Context
from astria_sync.core.model import OLDER_THAN_RUN, OLDER_THAN_STATE, Source
from astria_sync.core.packrow import Pack
from astria_sync.core.records import FormerPack, FormerTune

_UNSENT: Final = "state IN ('settling', 'waiting', 'held', 'queued', 'unsure') AND remote_id IS NULL"
_UNREAD: Final = f"{_UNSENT} OR (state = 'failed' AND remote_id IS NULL)"
_UNSOUGHT: Final = (
    "SELECT 1 FROM prompts JOIN sources ON sources.id = source_id WHERE adoptable > 0 AND missing_since IS NULL "
    "AND armed_at IS NULL AND sought = 0 AND state IN ('settling', 'waiting', 'held', 'queued') UNION ALL "
    "SELECT 1 FROM tunes JOIN sources ON sources.id = source_id WHERE adoptable > 0 AND missing_since IS NULL "
    "AND armed_at IS NULL AND state IN ('settling', 'queued') UNION ALL "
    "SELECT 1 FROM packs JOIN sources ON sources.id = source_id WHERE adoptable > 0 AND missing_since IS NULL AND current = 1 "
    "AND armed_at IS NULL AND sought = 0 AND state IN ('settling', 'waiting', 'held', 'queued') LIMIT 1"
)
OLD_UNSENT: Final = (  # tunes and packs of a root
    "SELECT 1 FROM tunes JOIN sources ON sources.id = source_id WHERE state IN ('settling', 'queued') "
    "AND armed_at IS NULL AND adoptable > 0 AND missing_since IS NULL AND root = ?1 UNION ALL "
    "SELECT 1 FROM packs JOIN sources ON sources.id = source_id WHERE state IN ('settling', 'waiting', 'held', 'queued') "
    "AND current = 1 AND armed_at IS NULL AND adoptable > 0 AND missing_since IS NULL AND root = ?1 LIMIT 1"
)


@dataclass(kw_only=True)
class Before:
    """The marks of the start, and the tunes that image folders had."""

    ctx: Context
    _marks: dict[tuple[str, str], int] = field(default_factory=dict, init=False)
    _pinned: bool = field(default=True, init=False)  # the journal keeps the marks for a run after a crash

    def start(self) -> None:
        """Once a run: whatever is unsent may have been sent by a later state, of which this one is a copy from before."""
        journal = self.ctx.journal
        for kind in ("tune", "prompt"):
            for workspace in {self.ctx.workspace(root) for root in self.ctx.watches}:
                key = f"known:{kind}:{workspace}"
                if journal.get(key) is None:
                    journal.put(key, journal.mark(kind, workspace))
                self._marks[kind, workspace] = journal.get(key)
        unmade = "state IN ('settling', 'queued')"
        packs = "state IN ('settling', 'waiting', 'held', 'queued') AND current = 1"
        for table, unsent in (("prompts", _UNSENT), ("tunes", unmade), ("packs", packs)):
            old = f"adoptable = 0 AND id IN (SELECT source_id FROM {table} WHERE {unsent})"
            for row in journal.rows(f"SELECT id FROM sources WHERE {old}"):
                journal.change("sources", row["id"], adoptable=OLDER_THAN_RUN)
        for row in journal.rows(f"SELECT id FROM prompts WHERE ({_UNREAD}) AND fingerprint != ''"):
            journal.change("prompts", row["id"], unread=1, sought=False)

    def known(self, kind: str, workspace: str) -> int:
        """The highest id that this state had seen when the run began."""
        return self._marks.get((kind, workspace), 0)

    def above(self, kind: str, source: Source) -> int:
        """Ids up to this one say nothing of a source: what the state had seen before it was copied, it has not forgotten."""
        old = source.adoptable == OLDER_THAN_STATE
        return 0 if old else self.known(kind, self.ctx.workspace(source.root))

    def rest(self) -> None:
        """Nothing is under way: if everything old was looked for, the next run begins with what is known then."""
        journal = self.ctx.journal
        if not self._pinned or not self.ctx.walked >= set(self.ctx.watches) or journal.value(_UNSOUGHT):
            return
        if journal.value("SELECT 1 FROM prompts WHERE unread > 0 AND state != 'failed' LIMIT 1") is None:
            for row in journal.rows("SELECT key FROM meta WHERE key GLOB 'known:*'"):
                journal.put(row["key"], None)
            self._pinned = False

    # Tunes

    def learn(self, tunes: Iterable[FormerTune], roots: Sequence[str]) -> None:
        """Records tell which tunes image folders had; a root that is not watched is one of `roots`, moved or renamed."""
        found: dict[str, dict[str, tuple[int, str]]] = {}
        for tune in tunes:
            for root in [tune.root] if tune.root in self.ctx.watches else roots:
                known = found.setdefault(root, self.ctx.journal.get(f"former:{root}", {}))
                if tune.id > known.get(tune.folder, (0, ""))[0]:
                    known[tune.folder] = (tune.id, tune.content)
        for root, folders in found.items():
            self.ctx.journal.put(f"former:{root}", folders)

    def tune_of(self, source: Source) -> FormerTune | None:
        """The tune that this old folder had when its prompts were last made: by its place, else by its pictures."""
        if not source.adoptable:
            return None
        folders = self.ctx.journal.get(f"former:{source.root}", {})
        same = [place for place, (_, content) in folders.items() if content and content == source.content]
        for place in [source.path, *same]:
            remote_id, content = folders.get(place, (0, ""))
            moved_here = place == source.path or not self._is_there(source.root, place)
            if moved_here and remote_id > self.above("tune", source):
                return FormerTune(id=remote_id, root=source.root, folder=place, content=content)
        return None

    # Packs

    def learn_packs(self, packs: Iterable[FormerPack], roots: Sequence[str]) -> None:
        """Records tell which packs were run on image folders, and on which tunes."""
        found: dict[str, set[str]] = {}
        for pack in packs:
            keys = {_at(pack.folder, pack.pack_id), *(_on(tune, pack.pack_id) for tune in pack.tunes)}
            for root in [pack.root] if pack.root in self.ctx.watches else roots:
                found.setdefault(root, set(self.ctx.journal.get(f"former-packs:{root}", []))).update(keys)
        for root, keys in found.items():
            self.ctx.journal.put(f"former-packs:{root}", sorted(keys))

    def was_run(self, source: Source, run: Pack, tune: int | None) -> bool:
        """Whether records tell that this pack was run on this old folder, or on the tune that it has."""
        known = self.ctx.journal.get(f"former-packs:{source.root}", [])
        return bool({_at(source.path, run.pack_id), _on(tune, run.pack_id)} & set(known))

    def _is_there(self, root: str, folder: str) -> bool:
        found = self.ctx.journal.source_at(root, folder, "folder")
        return found is not None and found.missing_since is None


def _at(folder: str, pack: int | None) -> str:
    return f"{pack} at {folder}"


def _on(tune: int | None, pack: int | None) -> str:
    return f"{pack} on {tune}"
