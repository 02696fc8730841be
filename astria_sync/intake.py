"""From looks to sources: what is new, what settled, what moved, what is gone. Orders nothing: `take_…` do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from astria_sync import moves
from astria_sync.agenda import Agenda
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.model import FileSight, FolderSight, Look, Source
from astria_sync.core.settle import Settling
from astria_sync.folders import TuneFiles
from astria_sync.known import Key, folder_of
from astria_sync.mounts import away, compare, remember
from astria_sync.places import (
    Places,
    is_below,
    new_source,
    put_off,
    remove_note,
    tell_root_trouble,
    tell_unreadable,
)


@dataclass(kw_only=True)
class Intake:
    """Owns what is known of the disk; the rows are in the journal."""

    ctx: Context
    files: TuneFiles
    take_prompt: Callable[[Source, FileSight], bool]  # false: it changed while it was read
    take_folder: Callable[[Source, FolderSight], None]
    on_folders: Callable[..., None]  # names of folders that appeared or went
    settling: Settling[Key] = field(init=False)
    places: Places = field(default_factory=Places)
    agenda: Agenda = field(init=False)
    _beside: set[tuple[str, str]] = field(default_factory=set, init=False)  # folders looked at lately

    def __post_init__(self) -> None:
        """Load what the journal knows."""
        self.agenda = Agenda(ctx=self.ctx, at_rest=self.places.at_rest)
        self.settling = Settling(self.ctx.settings.timing.settle_seconds)

    def reload(self) -> None:
        """Read what is known from the journal again (at the start, and after a transaction failed)."""
        self.places.reload(self.ctx.journal)

    # What to look at

    def hint(self, root: str, folder: str, *, recursive: bool, heard: float | None = None) -> None:
        """Something may have changed there; `heard`: when an event said so."""
        self.agenda.add(root, folder, recursive=recursive, heard=heard)

    def rescan(self, root: str | None = None) -> None:
        """Look at everything, or at one root."""
        for one in [root] if root else list(self.ctx.watches):
            self.agenda.add_all(one)

    def plan(self) -> None:
        """Start the looks that are due."""
        for key in self.settling.due(self.ctx.now):
            self.hint(*folder_of(key), recursive=False)
        self.agenda.plan()

    def walk_failed(self, piece: work.Walk, why: BaseException) -> None:
        """Nothing was seen: look again, at the next rescan at the latest."""
        self.settling.ask_again()
        self.ctx.event(
            "daemon", None, None, "look failed", f"{piece.root} could not be looked at ({why})", level="error"
        )

    def next_due(self) -> float | None:
        """When the next thing may have settled."""
        return self.settling.next_due()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be looked at or settling."""
        return not self.agenda.roots and not len(self.settling)

    # What was seen

    def looked(self, look: Look) -> None:
        """Take in what a walk saw."""
        if not look.complete or self.places.suspicious(look):
            for key in self.places.within(look):
                self.settling.forget(key)
            told = away(self.ctx, look).problem if look.complete else ""
            tell_root_trouble(self.ctx, look.root, told or look.problem)
            return
        for folder in look.folders:
            if self.files.saw(look.root, folder.path, folder.tune_stamp):
                self.places.stir()
                if look.root in self.ctx.walked:
                    self.hint(look.root, folder.path, recursive=True)
        self._beside |= {(look.root, folder.path) for folder in look.folders}
        look = self.places.without_what_rests(look, self._units, self.settling)
        units = [unit for folder in look.folders for unit in self._units(look.root, folder)]
        self._follow_renames(units)
        # What is gone first: something new may be what is gone, moved.
        seen = {key for key, _, _ in units}
        unmounted = compare(self.ctx, self.places, look, seen)
        tell_root_trouble(self.ctx, look.root, unmounted.problem)
        for key in self.places.within(look) - seen:
            self.settling.forget(key)  # nobody waits for what is not to be seen
            if not is_below(key[1], look.unreadable) and not unmounted.hides(key, self.places.known[key][0]):
                self._gone(key)
        for key, stamp, sight in units:  # all that is new first: one of them may be what another was before
            if key not in self.places.known:
                self._first_sight(key, sight)
                self.settling.see(key, stamp, look.began, since=look.still)
        for key, stamp, sight in units:
            self._saw(key, stamp, sight, look)
        remember(self.ctx, look, unmounted)
        for folder in look.folders:
            self.places.rest(look.root, folder, self._units(look.root, folder))
        tell_unreadable(self.ctx, look)
        if look.recursive and look.scope == ".":
            self.ctx.walked.add(look.root)
            self.ctx.journal.put(f"walked:{look.root}", True)
        elif look.root not in self.ctx.walked:
            self.rescan(look.root)  # the first look at everything came to nothing; it is well again

    def prompts_beside_a_look(self) -> list[int]:
        """Prompt files in folders that were looked at since this was last asked."""
        folders, self._beside = self._beside, set()
        return self.places.prompts_in(folders)

    def _follow_renames(self, units: Iterable[tuple[Key, str, FolderSight | FileSight]]) -> None:
        """Before anything at a place is taken for an edit, or for new: the sources go to where their files are now."""
        for key, stamp, sight in units:
            if key in self.places.known and self.places.known[key][1] == stamp:
                continue
            if moved := moves.renamed_here(self.ctx.journal, key, sight):
                if key in self.places.known:
                    self._exchange(self.ctx.journal.source(self.places.known[key][0]), moved)
                else:
                    moves.drop_unsent(self.ctx.journal, moved)
                    self._join(moved, self._first_sight(key, sight))

    def _units(self, root: str, folder: FolderSight) -> Iterable[tuple[Key, str, FolderSight | FileSight]]:
        if folder.stamp or folder.tune_stamp:
            yield (
                (root, folder.path, "folder"),
                folder.settled_stamp(self.files.stamp(root, folder.path)),
                folder,
            )
        for prompt in folder.prompts:
            yield (root, prompt.path, "prompt"), prompt.stamp, prompt

    def _saw(self, key: Key, stamp: str, sight: FolderSight | FileSight, look: Look) -> None:
        known = self.places.known[key]
        if known[1] == stamp:
            self.settling.forget(key)
            if key in self.places.missing:
                self._back(key, known[0])
            return
        if not self.settling.see(key, stamp, look.began, since=look.still):
            if known[1]:
                put_off(self.ctx, key[2], known[0])
            return
        self.settling.forget(key)
        source = self.ctx.journal.source(known[0])
        if key in self.places.missing:
            self._back(key, source.id)
        if isinstance(sight, FolderSight):
            self.take_folder(source, sight)
        elif not self.take_prompt(source, sight):
            self.settling.see(key, "", self.ctx.now)

    def _first_sight(self, key: Key, sight: FolderSight | FileSight) -> Source:
        source = self.ctx.journal.source(new_source(self.ctx, key, sight))
        self.places.know(key, source.id, "")
        if source.kind == "folder":
            self.on_folders(source.name)
        return source

    def settled(self, source: Source, stamp: str) -> None:
        """It was read as it stood at `stamp`: not again before it changes."""
        self.ctx.journal.change("sources", source.id, stamp=stamp, updated_at=self.ctx.wall)
        self.places.know((source.root, source.path, source.kind), source.id, stamp)

    def again(self, source: Source) -> None:
        """Take it up once more although it has not changed (`retry`): read it anew."""
        self.ctx.journal.change("sources", source.id, stamp="")
        self.places.know((source.root, source.path, source.kind), source.id, "")
        self.hint(*folder_of((source.root, source.path, source.kind)), recursive=False)

    # What is gone or moved

    def _gone(self, key: Key) -> None:
        if key in self.places.missing:
            return
        source = self.ctx.journal.source(self.places.known[key][0])
        dropped = moves.drop_unsent(self.ctx.journal, source)
        if moves.has_orders(self.ctx.journal, source):
            self.places.missing.add(key)
            stamp = (
                moves.elsewhere(source) if dropped else source.stamp
            )  # if it comes back, it is to be ordered again
            self.places.know(key, source.id, stamp)
            gone = {"missing_since": self.ctx.wall, "problem": "", "updated_at": self.ctx.wall}
            self.ctx.journal.change("sources", source.id, stamp=stamp, **gone)
            self.ctx.event("source", source.id, source.id, "gone", level="info")
        else:
            remove_note(self.ctx, source)
            self.ctx.event("source", source.id, source.id, "forgotten", level="info")
            self.ctx.journal.forget_source(source)
            self._forget(key)
        self.on_folders(source.name)

    def _back(self, key: Key, source_id: int) -> None:
        self.places.missing.discard(key)
        self.ctx.journal.change("sources", source_id, missing_since=None, updated_at=self.ctx.wall)
        self.ctx.event("source", source_id, source_id, "back", level="info")
        self.on_folders(self.ctx.journal.source(source_id).name)

    def _forget(self, key: Key) -> None:
        self.settling.forget(key)
        self.places.forget(key)

    def moved_from(self, source: Source, content: str, *, inode: int, mtime_ns: int) -> Source | None:
        """If `source`, new here, is one that is gone from elsewhere: join them, and return the old one at its new place."""
        if moves.is_heard_of(self.ctx.journal, source):  # a life of its own, which joining would forget
            return None
        recent = self.ctx.since(self.ctx.one_look)
        # A root that shows nothing any more may be unmounted, so nothing in it is gone; but it may have been emptied by a move.
        sound = [root for root in self.ctx.watches if not self.ctx.journal.get(f"root:{root}")]
        for old in moves.lost_sources(self.ctx.journal, source.kind, content, watched=sound):
            if moves.is_move(old, recent=recent, inode=inode, mtime_ns=mtime_ns):
                return self._join(old, source)
        return None

    def _join(self, old: Source, new: Source) -> Source:
        journal = self.ctx.journal
        journal.forget_source(new, heir=old.id)
        self._forget((old.root, old.path, old.kind))
        self._forget((new.root, new.path, new.kind))
        self.places.missing.discard((old.root, old.path, old.kind))
        journal.change(
            "sources",
            old.id,
            root=new.root,
            path=new.path,
            inode=new.inode,
            mtime_ns=new.mtime_ns,
            stamp=moves.elsewhere(old),
            missing_since=None,
            note="?",  # the error file may have moved along with its folder: look again
            updated_at=self.ctx.wall,
        )
        self.places.know((new.root, new.path, new.kind), old.id, "")
        remove_note(self.ctx, old)
        self._moved(old)
        self.on_folders(old.name, new.name)
        return journal.source(old.id)

    def _moved(self, old: Source) -> None:
        """Into the history, with the place where it was: `log` finds it by that too."""
        was = {"root": old.root, "path": old.path}
        self.ctx.event("source", old.id, old.id, "moved", f"from {old.location}", level="info", **was)

    def who_is_here(self, source: Source, sight: FileSight | FolderSight, content: str = "") -> Source:
        """The source that this sight is of: `source`, or another that was renamed to its place, or a new one after `source`
        was renamed away. The two have changed places then.
        """
        other = moves.other_at_this_place(
            self.ctx.journal,
            source,
            sight,
            content,
            lambda one: self.settling.seen((one.root, one.path, one.kind)),
        )
        if other is None:
            return source
        self._exchange(source, other)
        return self.ctx.journal.source(other.id)

    def _exchange(self, source: Source, other: Source) -> None:
        """Let two sources change places; both are looked at again there."""
        journal = self.ctx.journal
        places = [(one, (two.root, two.path, one.kind)) for one, two in ((source, other), (other, source))]
        journal.change("sources", source.id, path=f"//{source.id}")  # its place must be free for the other
        empty = {key for _, key in places if key in self.places.missing}
        for one, key in reversed(places):
            moves.drop_unsent(journal, one)
            there = {"root": key[0], "path": key[1], "stamp": moves.elsewhere(one)}
            journal.change("sources", one.id, **there, missing_since=None, note="?")
            self.places.know(key, one.id, "")
            self.settling.forget(key)
            self.places.missing.discard(key)
            self._moved(one)
        for key in empty:
            self._gone(key)
        for _, key in places:
            self.hint(*folder_of(key), recursive=False)
        self.on_folders(source.name, other.name)
