"""Which source lies where, kept in memory as the journal has it, so that a look at 100,000 files asks no questions of SQLite."""

import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from astria_sync.context import Context
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import OLDER_THAN_STATE, FileSight, FolderSight, Look, Source
from astria_sync.core.settle import Settling
from astria_sync.disk import leads_out
from astria_sync.journal import Journal
from astria_sync.known import Key, Known, folder_of
from astria_sync.notes import error_file, error_place

Unit = tuple[Key, str, FolderSight | FileSight]  # what a look shows at a place, and its stamp
Units = Callable[[str, FolderSight], Iterable[Unit]]


@dataclass(kw_only=True)
class Places:
    """What is known to lie, or to have lain, at each place."""

    known: Known = field(default_factory=Known)
    missing: set[Key] = field(default_factory=set)  # known, and gone from there
    # By root: folders of which a look has told nothing that is not known here, with what the look saw. As long as that is
    # so, nothing is to be done for them.
    _at_rest: dict[str, dict[str, str]] = field(default_factory=dict)

    def reload(self, journal: Journal) -> None:
        """Read everything again."""
        self.known.clear()
        self.missing.clear()
        self._at_rest.clear()
        for row in journal.rows("SELECT id, root, path, kind, stamp, missing_since FROM sources"):
            key = (sys.intern(row["root"]), row["path"], row["kind"])
            self.know(key, row["id"], row["stamp"])
            if row["missing_since"] is not None:
                self.missing.add(key)

    def know(self, key: Key, source_id: int, stamp: str) -> None:
        """A source lies there, and was last taken up with this stamp."""
        self.known[key] = (source_id, stamp)
        self._stirred(key)

    def forget(self, key: Key) -> None:
        """Nothing is known of this place any more."""
        self.known.pop(key, None)
        self._stirred(key)

    def _stirred(self, key: Key) -> None:
        root, folder = folder_of(key)
        self._at_rest.get(root, {}).pop(folder, None)

    def within(self, look: Look) -> set[Key]:
        """What a look must have told of if it is still there."""
        if not look.recursive:
            return set(self.known.inside((look.root, look.scope)))
        unchanged = set(look.unchanged)
        return {
            key
            for root, folder in self.known.folders()
            if root == look.root and folder not in unchanged and is_below(folder, [look.scope])
            for key in self.known.inside((root, folder))
        }

    def rest(self, root: str, folder: FolderSight, units: Iterable[Unit]) -> bool:
        """Whether all that was seen in a folder is known as it is; then the next look need not tell of it.

        And nothing else: what is known of a disk that is not mounted is not to be seen beside what lies at its bare mount point.
        """
        seen = {key: stamp for key, stamp, _ in units}
        known = set(self.known.inside((root, folder.path))) - self.missing
        rests = bool(seen) and seen.keys() == known and all(self.known[key][1] == seen[key] for key in known)
        if rests:
            self._at_rest.setdefault(root, {})[folder.path] = folder.digest
        else:
            self._at_rest.get(root, {}).pop(folder.path, None)
        return rests

    def without_what_rests(self, look: Look, units: Units, settling: Settling[Key]) -> Look:
        """The same look, with folders only named of which it tells nothing new: at the first one of a run these are most.

        Nothing new: all that was seen is known as it is, and nothing else is known to lie there.
        """
        if not look.recursive:
            return look
        quiet: set[str] = set()
        for folder in look.folders:
            settled = not any(key in settling for key in self.known.inside((look.root, folder.path)))
            if settled and self.rest(look.root, folder, units(look.root, folder)):
                quiet.add(folder.path)
        told = tuple(folder for folder in look.folders if folder.path not in quiet)
        return replace(look, folders=told, unchanged=(*look.unchanged, *quiet))

    def at_rest(self, root: str) -> dict[str, str]:
        """Folders in which nothing is to be done as long as they are as they were seen."""
        return dict(self._at_rest.get(root, {}))

    def stir(self) -> None:
        """What a folder must be like depends on something else, which has changed: all are to be told of again."""
        self._at_rest.clear()

    def unchanged(self, look: Look) -> set[Key]:
        """What lies in the folders that a look only names."""
        keys = (key for folder in look.unchanged for key in self.known.inside((look.root, folder)))
        return {key for key in keys if key not in self.missing}

    def prompts_in(self, folders: Iterable[tuple[str, str]]) -> list[int]:
        """The ids of the prompt files in these folders."""
        keys = (key for folder in folders for key in self.known.inside(folder))
        return [self.known[key][0] for key in keys if key[2] == "prompt"]

    def suspicious(self, look: Look) -> bool:
        """A root that had things in it and now has none is an unmounted disk, not a thousand deletions.

        The same for a look at all of it and at a part. The scan says no `problem` of a directory that it has seen full: that
        one was emptied.
        """
        return bool(look.problem) and any(
            key[0] == look.root and key not in self.missing for key in self.known
        )


def new_source(ctx: Context, key: Key, sight: FolderSight | FileSight) -> int:
    """Rows for something new, so that `status` shows it while it settles; the source's id."""
    root, path, kind = key
    wall, journal = ctx.wall, ctx.journal
    pictured = isinstance(sight, FolderSight) and (sight.pictures > 0 or sight.has_urls)
    source_id = journal.add(
        "sources",
        kind=kind,
        root=root,
        path=path,
        inode=sight.inode,
        mtime_ns=0 if isinstance(sight, FolderSight) else sight.mtime_ns,
        is_image_folder=pictured,
        # One that was left by another life of this file (a lost state, a rename together with an edit) is ours to remove.
        note="?" if os.path.lexists(error_place(kind, Path(root, path))) else "",
        adoptable=ctx.age_of(_changed_at(key, sight)) if journal.get(f"walked:{root}") else OLDER_THAN_STATE,
        created_at=wall,
        updated_at=wall,
    )
    if kind == "prompt":
        new_prompt(ctx, source_id)
    elif pictured:
        journal.add("tunes", source_id=source_id, state=TuneState.SETTLING, created_at=wall, updated_at=wall)
    ctx.event("source", source_id, source_id, "seen", f"{kind} {path}")
    return source_id


def put_off(ctx: Context, kind: str, source_id: int) -> None:
    """Its file is being changed: what was read of it before and waits to be sent waits until it is read again."""
    until = ctx.now + 2 * ctx.settings.timing.settle_seconds + 1
    table = "tunes" if kind == "folder" else "prompts"
    waits = "state = 'queued' AND source_id = ? AND next_at < ?"
    ctx.journal.change_all(table, "next_at = ?", waits, until, source_id, until)


def remove_note(ctx: Context, source: Source) -> None:
    """The error file of a source that is not there any more goes with it, where it can be removed."""
    if not source.note or leads_out(error_file(source).parent, source.root):
        return
    try:
        ctx.remove_file(error_file(source))
    except OSError as error:
        ctx.say("warning", f"{error_file(source)} cannot be removed ({error.strerror})")


def _changed_at(key: Key, sight: FolderSight | FileSight) -> float:
    """When the file, or the list of a folder's files, was last changed: moving either keeps it."""
    if isinstance(sight, FileSight):
        return sight.mtime_ns / 1e9
    try:
        return os.stat(os.path.join(key[0], key[1])).st_mtime
    except OSError:
        return math.inf


def new_prompt(ctx: Context, source_id: int) -> int:
    """A row of `prompts` that waits for its file to settle."""
    wall = ctx.wall
    return ctx.journal.add(
        "prompts", source_id=source_id, state=PromptState.SETTLING, created_at=wall, updated_at=wall
    )


def is_below(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` is one of `folders` or lies in one."""
    return any(folder in {".", path} or path.startswith(folder + "/") for folder in folders)


def tell_root_trouble(ctx: Context, root: str, problem: str) -> None:
    """Say once that a root cannot be looked at, or ("") that it can be again."""
    if ctx.journal.get(f"root:{root}", "") != problem:
        ctx.journal.put(f"root:{root}", problem or None)
        told = problem or f"{root} is well again"
        ctx.event("daemon", None, None, "root", told, level="warning" if problem else "info")


def tell_unreadable(ctx: Context, look: Look) -> None:
    """Say once which folders and names of a root cannot be used."""
    if not (look.recursive and look.scope == "."):
        return
    found = {path: why for path, why in look.unreadable.items() if path != "."}
    if ctx.journal.get(f"unreadable:{look.root}", {}) != found:
        ctx.journal.put(f"unreadable:{look.root}", found or None)
        for path, why in found.items():
            ctx.say("warning", f"{look.root}/{path} cannot be used ({why})")
