"""From looks to sources: what is new, what settled, what moved, what is gone. Orders nothing; `on_prompt` and `on_folder`
say what was taken up.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import FileSight, FolderSight, Look, Source
from astria_sync.core.settle import Settling
from astria_sync.folders import TuneFiles, parent
from astria_sync.moves import (
    drop_unsent,
    has_orders,
    is_move,
    lost_sources,
    other_at_this_place,
    renamed_here,
)
from astria_sync.notes import error_file

log = logging.getLogger("astria_sync")

Key = tuple[str, str, str]  # root, path, kind
_MANY_HINTS = 200  # more folders than this to look at: one walk of the whole root is cheaper
_SAME_MOVE = 60.0  # seconds, besides two rescans: gone and seen elsewhere within them is a move


@dataclass(kw_only=True)
class Intake:
    """Owns what is known of the disk; the rows are in the journal."""

    ctx: Context
    files: TuneFiles
    take_prompt: Callable[[Source, FileSight], bool]  # false: it changed while it was read
    take_folder: Callable[[Source, FolderSight], None]
    on_folders: Callable[..., None]  # names of folders that appeared or went
    settling: Settling[Key] = field(init=False)
    known: dict[Key, tuple[int, str]] = field(default_factory=dict)
    by_folder: dict[tuple[str, str], set[Key]] = field(default_factory=dict)
    missing: set[Key] = field(default_factory=set)
    dirty: dict[str, dict[str, bool]] = field(default_factory=dict)  # root → folder → with all below

    def __post_init__(self) -> None:
        """Load what the journal knows."""
        self.settling = Settling(self.ctx.settings.timing.settle_seconds)
        self.reload()

    def reload(self) -> None:
        """Read what is known from the journal again (at the start, and after a transaction failed)."""
        self.known.clear()
        self.by_folder.clear()
        self.missing.clear()
        for row in self.ctx.journal.rows("SELECT id, root, path, kind, stamp, missing_since FROM sources"):
            key = (row["root"], row["path"], row["kind"])
            self._know(key, row["id"], row["stamp"])
            if row["missing_since"] is not None:
                self.missing.add(key)

    # What to look at

    def hint(self, root: str, folder: str, *, recursive: bool) -> None:
        """Something may have changed there."""
        if root not in self.ctx.watches:
            return
        folders = self.dirty.setdefault(root, {})
        if len(folders) > _MANY_HINTS:
            self.rescan(root)
        elif not folders.get("."):
            folders[folder] = recursive or folders.get(folder, False)

    def rescan(self, root: str | None = None) -> None:
        """Look at everything, or at one root."""
        for one in [root] if root else list(self.ctx.watches):
            self.dirty[one] = {".": True}

    def plan(self) -> None:
        """Start the looks that are due."""
        for key in self.settling.due(self.ctx.now):
            root, path, kind = key
            self.hint(root, path if kind == "folder" else parent(path), recursive=False)
        for root, folders in list(self.dirty.items()):
            if not self.ctx.free(work.Lane.DISK):
                return
            if self.ctx.start(("walk", root), work.Walk(root=root, scopes=tuple(folders.items()))):
                del self.dirty[root]

    def walk_failed(self, piece: work.Walk) -> None:
        """Nothing was seen: look again, at the next rescan at the latest."""
        self.settling.ask_again()
        self.ctx.event("daemon", None, None, "look failed", piece.root)

    def next_due(self) -> float | None:
        """When the next thing may have settled."""
        return self.settling.next_due()

    @property
    def idle(self) -> bool:
        """Whether nothing is to be looked at or settling."""
        return not self.dirty and not len(self.settling)

    # What was seen

    def looked(self, look: Look) -> None:
        """Take in what a walk saw."""
        if not look.complete or self._suspicious(look):
            self._root_trouble(
                look.root, look.problem or f"{look.root} shows none of what was in it; is it mounted?"
            )
            return
        self._root_trouble(look.root, "")
        for folder in look.folders:
            if self.files.saw(look.root, folder.path, folder.tune_stamp) and look.root in self.ctx.walked:
                self.hint(look.root, folder.path, recursive=True)
        units = [unit for folder in look.folders for unit in self._units(look.root, folder)]
        self._follow_renames(units)
        # What is gone first: something new may be what is gone, moved.
        seen = {key for key, _, _ in units}
        for key in self._in_scope(look) - seen:
            if not _below(key[1], look.unreadable):
                self._gone(key)
        for key, stamp, sight in units:  # all that is new first: one of them may be what another was before
            if key not in self.known:
                self._first_sight(key, sight)
                self.settling.see(key, stamp, look.began, since=look.ended)
        for key, stamp, sight in units:
            self._saw(key, stamp, sight, look)
        self._note_unreadable(look)
        if look.recursive and look.scope == ".":
            self.ctx.walked.add(look.root)
            self.ctx.journal.put(f"walked:{look.root}", True)

    def _follow_renames(self, units: Iterable[tuple[Key, str, FolderSight | FileSight]]) -> None:
        """Before anything at a place is taken for an edit, or for new: the sources go to where their files are now."""
        for key, stamp, sight in units:
            if key in self.known and self.known[key][1] == stamp:
                continue
            if moved := renamed_here(self.ctx.journal, key, sight):
                if key in self.known:
                    self._exchange(self.ctx.journal.source(self.known[key][0]), moved)
                else:
                    drop_unsent(self.ctx.journal, moved)
                    self._join(moved, self._first_sight(key, sight))

    def _units(self, root: str, folder: FolderSight) -> Iterable[tuple[Key, str, FolderSight | FileSight]]:
        if folder.stamp or folder.tune_stamp:
            yield (
                (root, folder.path, "folder"),
                f"{folder.stamp}|{self.files.stamp(root, folder.path)}",
                folder,
            )
        for prompt in folder.prompts:
            yield (root, prompt.path, "prompt"), prompt.stamp, prompt

    def _saw(self, key: Key, stamp: str, sight: FolderSight | FileSight, look: Look) -> None:
        known = self.known[key]
        if known[1] == stamp:
            self.settling.forget(key)
            if key in self.missing:
                self._back(key, known[0])
            return
        if not self.settling.see(key, stamp, look.began, since=look.ended):
            return
        self.settling.forget(key)
        source = self.ctx.journal.source(known[0])
        if key in self.missing:
            self._back(key, source.id)
        if isinstance(sight, FolderSight):
            self.take_folder(source, sight)
        elif not self.take_prompt(source, sight):
            self.settling.see(key, "", self.ctx.now)

    def _first_sight(self, key: Key, sight: FolderSight | FileSight) -> Source:
        """A row for something new, so that `status` shows it while it settles."""
        root, path, kind = key
        wall, journal = self.ctx.wall, self.ctx.journal
        is_folder = isinstance(sight, FolderSight)
        source_id = journal.add(
            "sources",
            kind=kind,
            root=root,
            path=path,
            inode=sight.inode,
            mtime_ns=0 if isinstance(sight, FolderSight) else sight.mtime_ns,
            is_image_folder=isinstance(sight, FolderSight) and (sight.pictures > 0 or sight.has_urls),
            adoptable=not journal.get(f"walked:{root}", False),
            created_at=wall,
            updated_at=wall,
        )
        if not isinstance(sight, FolderSight):
            self.add_prompt_row(source_id)
        elif sight.pictures or sight.has_urls:
            journal.add(
                "tunes", source_id=source_id, state=TuneState.SETTLING, created_at=wall, updated_at=wall
            )
        journal.record(
            wall, "source", source_id, source_id, "seen", f"{'folder' if is_folder else 'prompt'} {path}"
        )
        self._know(key, source_id, "")
        if is_folder:
            self.on_folders(journal.source(source_id).name)
        return journal.source(source_id)

    def add_prompt_row(self, source_id: int) -> int:
        """A row that waits for its file to settle."""
        wall = self.ctx.wall
        return self.ctx.journal.add(
            "prompts", source_id=source_id, state=PromptState.SETTLING, created_at=wall, updated_at=wall
        )

    def settled(self, source: Source, stamp: str) -> None:
        """It was read as it stood at `stamp`: not again before it changes."""
        self.ctx.journal.change("sources", source.id, stamp=stamp, updated_at=self.ctx.wall)
        self._know((source.root, source.path, source.kind), source.id, stamp)

    def again(self, source: Source) -> None:
        """Take it up once more although it has not changed (`retry`)."""
        self._know((source.root, source.path, source.kind), source.id, "")
        folder = source.path if source.kind == "folder" else parent(source.path)
        self.hint(source.root, folder, recursive=False)

    # What is gone or moved

    def _in_scope(self, look: Look) -> set[Key]:
        if not look.recursive:
            return set(self.by_folder.get((look.root, look.scope), ()))
        return {
            key
            for (root, folder), keys in self.by_folder.items()
            if root == look.root and _below(folder, [look.scope])
            for key in keys
        }

    def _gone(self, key: Key) -> None:
        self.settling.forget(key)
        if key in self.missing:
            return
        source = self.ctx.journal.source(self.known[key][0])
        drop_unsent(self.ctx.journal, source)
        if has_orders(self.ctx.journal, source):
            self.missing.add(key)
            self.ctx.journal.change(
                "sources", source.id, missing_since=self.ctx.wall, problem="", updated_at=self.ctx.wall
            )
            self.ctx.event("source", source.id, source.id, "gone", source.path)
        else:
            if source.note:
                self.ctx.remove_file(error_file(source))
            self.ctx.journal.drop("sources", source.id)
            self._forget(key)
        self.on_folders(source.name)

    def _back(self, key: Key, source_id: int) -> None:
        self.missing.discard(key)
        self.ctx.journal.change("sources", source_id, missing_since=None, updated_at=self.ctx.wall)
        self.ctx.event("source", source_id, source_id, "back", key[1])

    def moved_from(self, source: Source, content: str, *, inode: int, mtime_ns: int) -> Source | None:
        """If `source`, new here, is one that is gone from elsewhere: join them, and return the old one at its new place."""
        recent = self.ctx.wall - max(_SAME_MOVE, 2 * self.ctx.settings.timing.rescan_seconds)
        # A root that shows nothing any more may be unmounted, so nothing in it is gone; but it may have been emptied by a move.
        sound = [root for root in self.ctx.watches if not self.ctx.journal.get(f"root:{root}")]
        for old in lost_sources(self.ctx.journal, source.kind, content, watched=sound):
            if is_move(old, recent=recent, inode=inode, mtime_ns=mtime_ns):
                return self._join(old, source)
        return None

    def _join(self, old: Source, new: Source) -> Source:
        journal = self.ctx.journal
        journal.drop("sources", new.id)
        self._forget((old.root, old.path, old.kind))
        self._forget((new.root, new.path, new.kind))
        self.missing.discard((old.root, old.path, old.kind))
        journal.change(
            "sources",
            old.id,
            root=new.root,
            path=new.path,
            inode=new.inode,
            mtime_ns=new.mtime_ns,
            stamp=_elsewhere(old),
            missing_since=None,
            note="?",  # the error file may have moved along with its folder: look again
            updated_at=self.ctx.wall,
        )
        self._know((new.root, new.path, new.kind), old.id, "")
        if old.note:
            self.ctx.remove_file(error_file(old))
        self.ctx.event("source", old.id, old.id, "moved", f"{old.path} -> {new.path}")
        self.on_folders(old.name, new.name)
        log.info("%s is now %s", old.location, new.location)
        return journal.source(old.id)

    def who_is_here(self, source: Source, sight: FileSight | FolderSight, content: str = "") -> Source:
        """The source that this sight is of: `source`, or another that was renamed to its place, or a new one after `source`
        was renamed away. The two have changed places then.
        """
        other = other_at_this_place(
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
        journal.change(
            "sources", source.id, path=f"//{source.id}"
        )  # the place must be free for the other one
        empty = {key for _, key in places if key in self.missing}
        for one, key in reversed(places):
            drop_unsent(journal, one)
            journal.change(
                "sources",
                one.id,
                root=key[0],
                path=key[1],
                stamp=_elsewhere(one),
                missing_since=None,
                note="?",
            )
            self._know(key, one.id, "")
            self.settling.forget(key)
            self.missing.discard(key)
            self.ctx.event("source", one.id, one.id, "moved", f"{one.path} -> {key[1]}")
            log.info("%s is now %s", one.location, Path(key[0], key[1]))
        for key in empty:
            self._gone(key)
        for root, path, kind in (key for _, key in places):
            self.hint(root, path if kind == "folder" else parent(path), recursive=False)
        self.on_folders(source.name, other.name)

    # Bookkeeping

    def _know(self, key: Key, source_id: int, stamp: str) -> None:
        self.known[key] = (source_id, stamp)
        folder = key[1] if key[2] == "folder" else parent(key[1])
        self.by_folder.setdefault((key[0], folder), set()).add(key)

    def _forget(self, key: Key) -> None:
        self.known.pop(key, None)
        self.settling.forget(key)
        folder = (key[0], key[1] if key[2] == "folder" else parent(key[1]))
        keys = self.by_folder.get(folder, set())
        keys.discard(key)
        if not keys:
            self.by_folder.pop(folder, None)

    def _suspicious(self, look: Look) -> bool:
        """A whole root that had things in it and now has none is an unmounted disk, not a thousand deletions."""
        whole = look.recursive and look.scope == "."
        empty = not any(folder.stamp or folder.tune_stamp or folder.prompts for folder in look.folders)
        return whole and empty and any(key[0] == look.root and key not in self.missing for key in self.known)

    def _root_trouble(self, root: str, problem: str) -> None:
        if self.ctx.journal.get(f"root:{root}", "") != problem:
            self.ctx.journal.put(f"root:{root}", problem or None)
            self.ctx.event("daemon", None, None, "root", problem or f"{root} is well again")
            (log.warning if problem else log.info)("%s", problem or f"{root} is well again")

    def _note_unreadable(self, look: Look) -> None:
        if look.recursive and look.scope == ".":
            found = {path: why for path, why in look.unreadable.items() if path != "."}
            if self.ctx.journal.get(f"unreadable:{look.root}", {}) != found:
                self.ctx.journal.put(f"unreadable:{look.root}", found or None)
                for path, why in found.items():
                    log.warning("%s/%s cannot be used (%s)", look.root, path, why)


def _elsewhere(source: Source) -> str:
    """The stamp of a source that has moved: to be taken up again, but its pictures are those that were read before."""
    return source.stamp.partition("|")[0] + "|moved" if source.kind == "folder" else ""


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(folder in {".", path} or path.startswith(folder + "/") for folder in folders)
