"""A `pull` that was asked for: what is still to be read, and what was found. It lies in the state, so that a crash costs nothing."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

from astria_sync.journal import Journal
from astria_sync.settings import Settings

JOB: Final = "pull"  # in `meta`; gone once all lists are read
LAST: Final = "pulled"  # the last one that was
COUNTS: Final = ("listed", "new", "known", "failed", "gone", "left")
KINDS: Final = ("tune", "prompt")  # titles first: folders are named by them


def targets(settings: Settings, output: str | None) -> list[list[str]]:
    """Each workspace of the configuration, and the output that its generations go to: that of its first watch."""
    found: dict[str, str] = {}
    own = settings.astria.workspace_id
    for watch in settings.watch:
        found.setdefault(watch.workspace_id or own or "", str(watch.output))
    if own or not settings.watch:
        found.setdefault(own or "", next(iter(found.values()), ""))
    return [[workspace, output or place] for workspace, place in found.items()]


def ask(
    journal: Journal, arguments: Mapping[str, Any], wall: float, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Have everything read; `settings` None: the daemon, which has them, says where to.

    A pull that is under way goes on, as far back as both are asked to.
    """
    since, output = arguments.get("since"), arguments.get("output")
    under_way = journal.get(JOB) if settings is None else None
    if under_way and since is not None:
        since = None if under_way["since"] is None else min(since, under_way["since"])
    job = {
        "id": uuid4().hex,
        "asked_at": wall,
        "since": since,
        "output": output,
        "todo": [] if settings is None else todo(targets(settings, output)),
        "begun": settings is not None,
        "counts": dict.fromkeys(COUNTS, 0),
        "problems": [],
    }
    journal.put(JOB, job)
    if not arguments.get("by_itself"):  # somebody asks: what could not be had is tried again now
        journal.change_all("images", "attempt = 0, next_at = 0", "pulled = 1 AND state = 'wanted'")
    return {
        "count": 1,
        "message": "Everything in the account is fetched.",
        "job": job["id"],
        "asked_at": wall,
    }


def todo(places: list[list[str]]) -> list[dict[str, Any]]:
    """The lists to be read, one after the other."""
    return [
        {"kind": kind, "workspace": workspace, "output": output, "cursor": None}
        for workspace, output in places
        for kind in KINDS
    ]
