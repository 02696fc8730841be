"""Files that went: what goes with them, and which new file is one that went, moved."""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from astria_sync import promptfile
from astria_sync.core.lifecycle import (
    UNSENT_PACKS,
    UNSENT_PROMPTS,
    UNSENT_TUNES,
    PackState,
    PromptState,
    TuneState,
)
from astria_sync.core.model import FileSight, FolderSight, Source
from astria_sync.errors import FileProblem
from astria_sync.journal import Journal

_GIVEN_UP: Final = "SELECT 1 FROM given_up WHERE source_id = ?"


def has_orders(journal: Journal, source: Source) -> bool:
    """Whether Astria has, or may have, heard of this source."""
    table = "tunes" if source.kind == "folder" else "prompts"
    # Of a local pack's prompts the folder is the subject: they are lost without it.
    sql = f"SELECT 1 FROM {table} WHERE source_id = ? UNION ALL SELECT 1 FROM prompts WHERE subject_id = ? UNION ALL {_GIVEN_UP}"
    return journal.value(sql, [source.id] * 3) is not None


def is_heard_of(journal: Journal, source: Source) -> bool:
    """Whether it has orders of its own that Astria knows, or may know."""
    table = "tunes" if source.kind == "folder" else "prompts"
    sql = (
        f"SELECT 1 FROM {table} WHERE source_id = ? AND (armed_at IS NOT NULL OR bound_at IS NOT NULL) "
        f"UNION ALL {_GIVEN_UP}"
    )
    return journal.value(sql, [source.id] * 2) is not None


def elsewhere(source: Source) -> str:
    """The stamp of a source to be taken up again although it is the same; a folder's pictures are those that were read."""
    return source.stamp.partition("|")[0] + "|moved" if source.kind == "folder" else ""


def drop_unsent(journal: Journal, source: Source) -> bool:
    """Orders of which Astria never heard go with their file; whether there were any."""
    dropped = False
    # A tune that settles was never sent, or Astria never had it.
    for tune in journal.tunes("source_id = ? AND (armed_at IS NULL OR state = 'settling')", [source.id]):
        if tune.state in UNSENT_TUNES or tune.state is TuneState.FAILED:
            journal.drop("tunes", tune.id)
            dropped = True
    for prompt in journal.prompts("(source_id = ?1 OR subject_id = ?1) AND armed_at IS NULL", [source.id]):
        if prompt.state in UNSENT_PROMPTS or prompt.state is PromptState.FAILED:
            journal.drop("prompts", prompt.id)
            dropped = True
    for pack in journal.packs(
        "source_id = ? AND armed_at IS NULL AND lost = 0 AND id NOT IN (SELECT pack_run FROM prompts WHERE pack_run > 0)",
        [source.id],
    ):
        if pack.state in UNSENT_PACKS or pack.state is PackState.FAILED:
            journal.drop("packs", pack.id)
            dropped = True
    return dropped


def lost_sources(journal: Journal, kind: str, content: str, *, watched: Sequence[str]) -> list[Source]:
    """Sources with this content that are gone, or lie in a root that is not (soundly) `watched`, and are not there now."""
    if not content:
        return []
    marks = ",".join("?" * len(watched))
    where = f"kind = ? AND content = ? AND (missing_since IS NOT NULL OR root NOT IN ({marks}))"
    found = journal.sources(where, [kind, content, *watched])
    return [one for one in found if not os.path.lexists(one.location)]


def is_move(old: Source, *, recent: float, inode: int, mtime_ns: int) -> bool:
    """Whether the same content seen elsewhere is the old file, moved, rather than written anew.

    Gone and seen in about the same look is a move, whatever tool did it. After that a move still shows by its inode (within
    a file system) or its time of modification (mv, rsync -a and file managers keep it), which a file written anew has not.
    """
    together = old.missing_since is None or old.missing_since >= recent
    return together or old.inode == inode or (mtime_ns != 0 and old.mtime_ns == mtime_ns)


def renamed_here(
    journal: Journal, key: tuple[str, str, str], sight: FileSight | FolderSight
) -> Source | None:
    """The source from elsewhere that a rename has brought to this place; None if there is none.

    A rename keeps the inode. Inodes are used again, so what was in it must agree as well: the stamp of what is in a folder; a
    file's time of modification, or a content that this source has or had, or a request that it has. Where it lay, the inode must not be any more: a
    second hard link is a copy.
    """
    root, path, kind = key
    where = "kind = ? AND inode = ? AND content != '' AND NOT (root = ? AND path = ?)"
    for other in journal.sources(where, [kind, sight.inode, root, path]):
        if _agrees(journal, other, Path(root, path), sight) and _inode(other) != sight.inode:
            return other
    return None


def _agrees(journal: Journal, other: Source, place: Path, sight: FileSight | FolderSight) -> bool:
    if isinstance(sight, FolderSight):
        return other.stamp.partition("|")[0] == sight.stamp != ""
    if other.mtime_ns == sight.mtime_ns:
        return True
    try:
        with place.open("rb") as file:
            data = file.read(promptfile.MAX_BYTES + 1)
    except OSError:
        return False
    content = hashlib.sha256(data).hexdigest()
    versions = "SELECT 1 FROM prompts WHERE source_id = ? AND script = ?"
    if content == other.content or journal.value(versions, [other.id, content]) is not None:
        return True
    try:  # a comment was added as well: it asks for what it asked for before
        asked = promptfile.parse(data, name=place.name).requests
    except FileProblem:
        return False
    had = "SELECT 1 FROM prompts WHERE source_id = ? AND fingerprint = ?"
    return any(journal.value(had, [other.id, one.fingerprint]) is not None for one in asked)


def other_at_this_place(
    journal: Journal,
    source: Source,
    sight: FileSight | FolderSight,
    content: str,
    seen: Callable[[Source], str],
) -> Source | None:
    """The source that has changed places with `source`, which is new or shows another inode than before; None if none has.

    A rename keeps the inode, a file's time of modification, and the stamp of what is in a folder: all must agree, since
    inodes are used again. `seen` is the stamp that a source shows while it settles.
    """
    if source.content and sight.inode == source.inode:
        return None
    ours = source.stamp.partition("|")[0]
    where = "kind = ? AND id != ? AND inode = ? AND mtime_ns = ?"
    mtime_ns = sight.mtime_ns if isinstance(sight, FileSight) else 0
    for other in journal.sources(where, [source.kind, source.id, sight.inode, mtime_ns]):
        same = (
            other.content == content
            if isinstance(sight, FileSight)
            else other.stamp.partition("|")[0] == sight.stamp != ""
        )
        if not source.content and other.missing_since is not None:
            continue  # one that is only gone is joined with what is new here
        # The same inode there: a second hard link.
        if other.content and same and _inode(other) != sight.inode:
            return other
    if not source.content:
        return None
    for other in journal.sources(where, [source.kind, source.id, source.inode, source.mtime_ns]):
        same = isinstance(sight, FileSight) or seen(other).partition("|")[0] == ours != ""
        if not other.content and same and _inode(other) == source.inode:
            return other
    return None


def _inode(source: Source) -> int:
    try:
        return os.stat(source.location).st_ino
    except OSError:
        return 0
