"""Files that went: what goes with them, and which new file is one that went, moved."""

from collections.abc import Sequence

from astria_sync.core.lifecycle import UNSENT_PROMPTS, UNSENT_TUNES, PromptState, TuneState
from astria_sync.core.model import Source
from astria_sync.journal import Journal


def has_orders(journal: Journal, source: Source) -> bool:
    """Whether Astria has, or may have, heard of this source."""
    table = "tunes" if source.kind == "folder" else "prompts"
    return journal.value(f"SELECT 1 FROM {table} WHERE source_id = ?", [source.id]) is not None


def drop_unsent(journal: Journal, source: Source) -> None:
    """Orders of which Astria never heard go with their file."""
    for tune in journal.tunes("source_id = ? AND armed_at IS NULL", [source.id]):
        if tune.state in UNSENT_TUNES or tune.state is TuneState.FAILED:
            journal.drop("tunes", tune.id)
    for prompt in journal.prompts("source_id = ? AND armed_at IS NULL", [source.id]):
        if prompt.state in UNSENT_PROMPTS or prompt.state is PromptState.FAILED:
            journal.drop("prompts", prompt.id)


def lost_sources(journal: Journal, kind: str, content: str, *, watched: Sequence[str]) -> list[Source]:
    """Sources with this content that are gone, or lie in a root that is no longer watched."""
    if not content:
        return []
    marks = ",".join("?" * len(watched))
    where = f"kind = ? AND content = ? AND (missing_since IS NOT NULL OR root NOT IN ({marks}))"
    return journal.sources(where, [kind, content, *watched])


def is_move(old: Source, *, recent: float, inode: int, mtime_ns: int) -> bool:
    """Whether the same content seen elsewhere is the old file, moved, rather than written anew.

    Gone and seen in about the same look is a move, whatever tool did it. After that a move still shows by its inode (within
    a file system) or its time of modification (mv, rsync -a and file managers keep it), which a file written anew has not.
    """
    together = old.missing_since is None or old.missing_since >= recent
    return together or old.inode == inode or (mtime_ns != 0 and old.mtime_ns == mtime_ns)
