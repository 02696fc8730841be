"""Deadlines that an earlier run left behind: the clock that they were set by may have been another one."""

from astria_sync.clock import AHEAD
from astria_sync.context import Context
from astria_sync.following import RUNNING
from astria_sync.late import latest


def set_right(ctx: Context) -> None:
    """Nothing waits for longer than it would if its deadline were set now."""
    now, timing, journal = ctx.now, ctx.settings.timing, ctx.journal
    longest = now + max(timing.retry_max_seconds, timing.reconcile_after_seconds)
    ahead = journal.get(AHEAD)
    journal.put(AHEAD, None)
    for table, last in (
        ("tunes", longest),
        ("prompts", longest),
        ("images", longest),
        ("rereads", latest(ctx)),
    ):
        if ahead and table in {"tunes", "prompts"}:
            journal.change_all(table, "delete_at = delete_at - ?", "delete_at > 0", ahead)
        if ahead:
            journal.change_all(table, "next_at = next_at - ?", "1", ahead)
        journal.change_all(table, "next_at = ?", "next_at > ?", last, last)
    soon = now + timing.poll_seconds  # what ran may be done by now
    for kind, running in RUNNING.items():
        journal.change_all(f"{kind}s", "next_at = ?", f"{running} AND next_at > ?", soon, soon)
