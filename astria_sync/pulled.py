"""Generations that were pulled, and no order: what becomes of one that turns out to be an order's, and what is left of them."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from astria_sync.context import Context
from astria_sync.core.model import Prompt

Rows = Callable[[str, Sequence[Any]], Sequence[Any]]

ENOUGH: Final = 4  # attempts that `pull` waits for; a daemon goes on trying
LONGEST: Final = 86400.0  # seconds: a generation that has not come by then is not waited for

_OPEN: Final = f"""
    SELECT p.id, p.remote_id, p.url, p.folder, p.stem, p.output, p.state, p.reason, count(i.id) AS pictures,
        coalesce(sum(i.attempt < {ENOUGH}), 0) AS hopeful
    FROM prompts p LEFT JOIN images i ON i.prompt_id = p.id AND i.state = 'wanted'
    WHERE p.pulled = 1 AND p.state IN ('generating', 'downloading') GROUP BY p.id"""


def release(ctx: Context, remote_id: int, order: Prompt) -> None:
    """A file of ours owns this generation after all (a state that was lost knew it): what was pulled of it stays on disk, and
    the order has its own.
    """
    rows = ctx.journal.prompts("remote_id = ? AND pulled = 1 AND id != ?", [remote_id, order.id])
    for row in rows:
        ctx.journal.drop("prompts", row.id)
        detail = (
            f"prompt {remote_id} is of this file; what was pulled of it stays in {row.output}/{row.folder}"
        )
        ctx.event("prompt", order.id, order.source_id, "owned", detail, level="info")


def unfinished(rows: Rows, full: Sequence[str] = ()) -> list[Any]:
    """Pulled generations that are still worth waiting for; `full` are outputs that take no pictures at present."""
    found = rows(_OPEN, [])
    return [one for one in found if one["output"] not in full and (one["hopeful"] or not one["pictures"])]
