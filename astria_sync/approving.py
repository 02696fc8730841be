"""`approve`: what `hold_above` or the day's limit holds back goes. To pass one is not to pass the other. And `retry` for packs."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from astria_sync.core.lifecycle import Event
from astria_sync.core.model import Prompt, Source
from astria_sync.costs import HELD_BACK
from astria_sync.journal import Journal
from astria_sync.stale import FAILED_PROMPTS
from astria_sync.wording import things

_FILES: Final = "source_id = ?"
_FOLDERS: Final = "(source_id = ? OR subject_id = ?)"
_PAST_LIMIT: Final = {"needs_mc": None, "past_limit": True}


def let_go(journal: Journal, sources: Iterable[Source], wall: float) -> dict[str, Any]:
    """Let go what is held back of these sources; the answer of a command."""
    count = {"tune": 0, "pack": 0, "prompt": 0}
    for source in sources:
        # Of a folder also what local packs ask for: those prompts are there as if they lay in it.
        mine, of_it = (_FOLDERS, [source.id] * 2) if source.kind == "folder" else (_FILES, [source.id])
        for prompt in journal.prompts(f"{mine} AND state = 'held'", of_it):
            past = {} if prompt.needs_mc is None else _PAST_LIMIT
            journal.move_prompt(prompt, Event.APPROVED, wall, reason="approved", approved=True, **past)
            count["prompt"] += 1
        # Those of a crowd that still wait for something else are not to be held when that is there.
        crowd = journal.prompts(f"{mine} AND crowd = 1 AND approved = 0 AND armed_at IS NULL", of_it)
        for prompt in crowd:
            journal.change("prompts", prompt.id, approved=True)
            journal.record(wall, "prompt", prompt.id, source.id, "approved")
            count["prompt"] += 1
        for pack in journal.packs("source_id = ? AND state = 'held'", [source.id]):
            past = {} if pack.needs_mc is None else _PAST_LIMIT
            journal.move_pack(pack, Event.APPROVED, wall, reason="approved", approved=True, **past)
            count["pack"] += 1
        for tune in journal.tunes(f"source_id = ? AND {HELD_BACK['tunes']}", [source.id]):
            journal.change("tunes", tune.id, reason="approved", **_PAST_LIMIT)
            journal.record(wall, "tune", tune.id, source.id, "approved")
            count["tune"] += 1
    parts = [things(number, what) for what, number in count.items() if number]
    message = f"{' and '.join(parts)} let go." if parts else "Nothing is held back there."
    return {"count": sum(count.values()), "message": message}


def orders_of(journal: Journal, source: Source) -> Iterator[tuple[Prompt, Source]]:
    """Prompts of a file, or of a folder with what local packs ask for it; each with its own file."""
    mine, of_it = (_FOLDERS, [source.id] * 2) if source.kind == "folder" else (_FILES, [source.id])
    for prompt in journal.prompts(mine, of_it):
        yield prompt, source if prompt.source_id == source.id else journal.source(prompt.source_id)


def retry_packs(journal: Journal, source: Source, wall: float) -> int:
    """Packs of a folder that could not be run are asked about anew; how many there are."""
    failed = journal.packs(
        "source_id = ? AND state = 'failed' AND current = 1 AND bound_at IS NULL", [source.id]
    )
    for pack in failed:
        anew = {} if pack.lost else {"armed_at": None, "watermark": None}
        journal.move_pack(
            pack, Event.RETRY, wall, reason="to be tried again", error="", next_at=0, attempt=0, **anew
        )
    return len(failed)


def nothing_failed(journal: Journal, sources: Iterable[Source]) -> str:
    """Why `retry` does nothing."""
    of_packs = f"id IN ({FAILED_PROMPTS} AND o.pack_run IS NOT NULL)"
    if any(journal.prompts(f"source_id = ? AND {of_packs}", [source.id]) for source in sources):
        return "A pack is run once; to make one of its prompts again, write its words into a .prompt file."
    return "Nothing there has failed."
