"""What a notice tells of, from the journal: what failed or was held back since, what is finished, what is wrong for longer."""

import hashlib
import json
import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from astria_sync.core.money import dollars
from astria_sync.core.news import LISTED, Item, first_sentence, made, without_signatures
from astria_sync.core.plain import visible
from astria_sync.journal import Journal
from astria_sync.stale import FAILED_PACKS, FAILED_PROMPTS, FAILED_TUNES, STALE_TUNE
from astria_sync.wording import Circumstances, problems, why_and_then

_FAILING: Final = ("invalid", "refused", "user_error", "gone")
_TROUBLES: Final = {
    *((kind, event) for kind in ("tune", "prompt", "pack") for event in _FAILING),
    *((kind, "held") for kind in ("prompt", "pack")),
    *((kind, "duplicate") for kind in ("tune", "prompt")),
    ("prompt", "expiring"),
    ("tune", "patch refused"),
    ("source", "problem"),
}
_FINISHED: Final = {("prompt", "saved"), ("tune", "trained")}
_HAPPENED: Final = "SELECT DISTINCT kind, event FROM events WHERE id > ? AND id <= ?"
_EVENTS: Final = "SELECT id, kind, item_id, source_id, event, detail FROM events WHERE id > ? AND id <= ? AND event IN ({}) ORDER BY id"
_BEFORE: Final = "SELECT item_id, event, detail, max(id) FROM events WHERE source_id = ? AND kind = ? AND id <= ? GROUP BY item_id"
_DELETED_TUNES: Final = (
    "SELECT o.id FROM tunes o JOIN sources s ON s.id = o.source_id "
    f"WHERE o.state = 'deleted' AND NOT ({STALE_TUNE})"
)
_NOW_FAILED: Final = {
    "tune": f"{FAILED_TUNES} UNION ALL {_DELETED_TUNES}",
    "prompt": FAILED_PROMPTS,
    "pack": FAILED_PACKS,
}
# What the day's limit holds back is told once for all of it.
_NOW_HELD: Final = {
    "prompt": "SELECT id FROM prompts WHERE state = 'held' AND needs_mc IS NULL",
    "pack": "SELECT id FROM packs WHERE state = 'held' AND needs_mc IS NULL AND current = 1",
}
_PACK: Final = {
    "tune": "NULL",
    "prompt": "(SELECT coalesce(nullif(slug, ''), name) FROM packs WHERE id = o.pack_run)",
    "pack": "coalesce(nullif(o.slug, ''), o.name)",
}
_ROW: Final = """
    SELECT '{kind}' AS kind, o.id AS row, o.{id} AS id, s.path, s.root, s.problem, o.state, o.reason, o.error, o.next_at, 0 AS stale,
        0 AS pulled, NULL AS delete_at, 0 AS changed, 0 AS saved, 0 AS wanted, {pack} AS pack
    FROM {kind}s o JOIN sources s ON s.id = o.source_id WHERE o.id IN ({ids}) ORDER BY s.root, s.path, o.id"""
_DONE: Final = """
    SELECT p.id, p.source_id, s.root, s.path, p.folder, p.cost_mc,
        (SELECT count(*) FROM images WHERE prompt_id = p.id AND state = 'saved') AS pictures
    FROM prompts p JOIN sources s ON s.id = p.source_id WHERE p.pulled = 0 AND p.attempt > 0 AND p.state = 'done'
        AND p.id IN (SELECT item_id FROM events WHERE id > ? AND id <= ? AND kind = 'prompt' AND event = 'saved')"""
_SAVED_BEFORE: Final = "SELECT DISTINCT item_id FROM events WHERE source_id = ? AND kind = 'prompt' AND event = 'saved' AND id <= ?"
_READY: Final = """
    SELECT s.root, s.path, t.remote_id, t.cost_mc FROM tunes t JOIN sources s ON s.id = t.source_id
    WHERE t.attempt > 0 AND t.state = 'ready' AND t.id IN
        (SELECT item_id FROM events WHERE id > ? AND id <= ? AND kind = 'tune' AND event = 'trained')"""
_RUNNING: Final = (
    "SELECT 1 FROM tunes WHERE state IN ('queued', 'uploading', 'unsure', 'training') UNION ALL "
    "SELECT 1 FROM prompts WHERE pulled = 0 AND state IN ('queued', 'submitting', 'unsure', 'generating', 'downloading') "
    "UNION ALL SELECT 1 FROM packs WHERE current = 1 AND state IN ('queued', 'submitting', 'unsure', 'generating') LIMIT 1"
)
_LASTING: Final = (
    "SELECT key, value FROM meta WHERE key IN ('gate:auth', 'gate:balance', 'low_balance', 'day_limit', 'backup', "
    "'watch_problems', 'alarms') OR key GLOB 'root:*' OR key GLOB 'output:*' OR key GLOB 'records:*' "
    "OR key GLOB 'unreadable:*' OR key GLOB 'deleting*'"
)
_ABOUT: Final = {
    "gate": "token",
    "low_balance": "balance",
    "day_limit": "limit",
    "backup": "state",
    "alarms": "problem",
    "deleting": "problem",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Some of the things, and how many there are of each sort."""

    items: Sequence[Item]
    counts: Mapping[str, int]


def happened(journal: Journal, after: int, until: int) -> tuple[bool, bool, bool]:
    """Of these events: may there be trouble, is something finished, and did something change for more than one file?"""
    seen = {(row["kind"], row["event"]) for row in journal.rows(_HAPPENED, [after, until])}
    return bool(seen & _TROUBLES), bool(seen & _FINISHED), any(kind == "daemon" for kind, _ in seen)


def is_running(journal: Journal) -> bool:
    """Whether more pictures are to be expected."""
    return journal.value(_RUNNING) is not None


# Trouble with one file


def troubles(journal: Journal, after: int, until: int, around: Circumstances) -> Found:
    """What went wrong, or was held back, in these events, and is so still."""
    names = sorted({event for _, event in _TROUBLES})
    rows = journal.rows(_EVENTS.format(",".join("?" * len(names))), [after, until, *names])
    events = [row for row in rows if (row["kind"], row["event"]) in _TROUBLES]
    items: list[Item] = []
    counts: Counter[str] = Counter()
    failed_sources: set[int] = set()
    for about, table, wanted in (("failed", _NOW_FAILED, _FAILING), ("held", _NOW_HELD, ("held",))):
        for kind, sql in table.items():
            came = {row["item_id"]: row for row in events if row["kind"] == kind and row["event"] in wanted}
            still = {row[0] for row in journal.rows(sql)} if came else set()
            ids = sorted(_news(journal, [row for key, row in came.items() if key in still], after))
            counts[about] += len(ids)
            failed_sources |= {came[one]["source_id"] for one in ids if about == "failed"}
            items += [
                _of_row(row, about, around) for row in _orders(journal, kind, ids[: LISTED - len(items)])
            ]
    said = [*_said(journal, events), *_files(journal, events, failed_sources)]
    counts.update(item.about for item in said)
    return Found(items=[*items, *said], counts=+counts)


def _news(journal: Journal, events: Sequence[Any], after: int) -> Iterator[int]:
    """Rows that were not in the same trouble before: what is looked at again and fails again is no news."""
    by_source: dict[tuple[int, str], list[Any]] = {}
    for event in events:
        by_source.setdefault((event["source_id"], event["kind"]), []).append(event)
    for (source, kind), those in by_source.items():
        before = {row["item_id"]: row for row in journal.rows(_BEFORE, [source, kind, after])}
        for event in those:
            old = before.get(event["item_id"])
            if (
                old is None
                or event["event"] == "held"
                or old["event"] not in _FAILING
                or old["detail"] != event["detail"]
            ):
                yield event["item_id"]


def _orders(journal: Journal, kind: str, ids: Sequence[int]) -> Iterable[Any]:
    remote = "order_id" if kind == "pack" else "remote_id"
    sql = _ROW.format(kind=kind, id=remote, pack=_PACK[kind], ids=",".join("?" * len(ids)))
    return journal.rows(sql, ids) if ids else ()


def _of_row(row: Any, about: str, around: Circumstances) -> Item:
    why, then = why_and_then(row, around)
    return Item(
        about=about,
        kind=row["kind"],
        path=row["path"],
        root=row["root"],
        state=row["state"],
        reason=first_sentence(why),
        then=visible(then),
        id=row["id"],
    )


def _said(journal: Journal, events: Sequence[Any]) -> Iterator[Item]:
    """What an event says in a whole sentence, which tells what to do too."""
    about = {"expiring": "expiring", "duplicate": "duplicate", "patch refused": "problem"}
    for text, event in {row["detail"]: row for row in events if row["event"] in about}.items():
        (source,) = journal.sources("id = ?", [event["source_id"]]) or (None,)
        yield Item(
            about=about[event["event"]],
            kind=event["kind"],
            reason=visible(" ".join(without_signatures(text).split())),
            root=source.root if source else "",
        )


def _files(journal: Journal, events: Sequence[Any], failed: set[int]) -> Iterator[Item]:
    """A file that cannot be used, in a folder whose order does not tell it already."""
    for source_id in {row["source_id"] for row in events if row["event"] == "problem"} - failed:
        for source in journal.sources("id = ? AND problem != '' AND missing_since IS NULL", [source_id]):
            yield Item(
                about="failed",
                kind="file",
                path=source.path,
                root=source.root,
                state="failed",
                reason=first_sentence(source.problem),
                then="mend the file",
            )


# What is finished


def finished(journal: Journal, after: int, until: int) -> Found:
    """Pictures that are here, by the folder that they are of, and tunes that can be used. What is fetched once more, was found
    in records or was pulled is nothing new.
    """
    rows = journal.rows(_DONE, [after, until])
    earlier: set[int] = set()
    for source in {row["source_id"] for row in rows}:
        earlier |= {row[0] for row in journal.rows(_SAVED_BEFORE, [source, after])}
    folders: dict[tuple[str, str], Item] = {}
    for row in rows:
        if row["id"] not in earlier:
            path = posixpath.dirname(row["folder"]) or row["path"]
            before = folders.get(
                (row["root"], path),
                Item(about="finished", kind="folder", reason="", path=path, root=row["root"]),
            )
            folders[row["root"], path] = replace(
                before,
                pictures=before.pictures + row["pictures"],
                prompts=before.prompts + 1,
                cost_mc=before.cost_mc + row["cost_mc"],
            )
    items = [
        replace(one, state="done", reason=made(one.pictures, one.prompts, one.cost_mc))
        for one in folders.values()
    ]
    for row in journal.rows(_READY, [after, until]):
        if (row["root"], row["path"]) not in folders:
            reason = "its tune is ready" + (
                f", {dollars(row['cost_mc'] / 100_000)}" if row["cost_mc"] else ""
            )
            items.append(
                Item(
                    about="finished", kind="tune", path=row["path"], root=row["root"], state="ready", reason=reason,
                    id=row["remote_id"], cost_mc=row["cost_mc"],
                )
            )  # fmt: skip
    return Found(items=items, counts={"finished": len(items)} if items else {})


# What lasts


def lasting(journal: Journal, around: Circumstances) -> dict[str, Item]:
    """What is wrong for more than one file, as long as it is; by a key that stays the same as long as it is the same."""
    found: dict[str, Item] = {}
    for row in journal.rows(_LASTING):
        key, value = row["key"], json.loads(row["value"])
        if not value:
            continue
        if key == "alarms":
            for text in value:
                found[
                    f"alarm:{hashlib.blake2b(text.encode(errors='replace'), digest_size=8).hexdigest()}"
                ] = _lasts(key, text)
        else:
            found[key] = _lasts(key, _sentence(key, value, around))
    return found


def _sentence(key: str, value: Any, around: Circumstances) -> str:
    if key.startswith("gate:"):
        return str(value)
    if key == "day_limit":
        return (
            f"The day's limit of {dollars(value)} is reached: what would pass it is held back until the next day, or until "
            "`astria-sync approve`."
        )
    return " ".join(problem["text"] for problem in problems({key: value}, around)[:3])


def _lasts(key: str, text: str) -> Item:
    what = key.partition(":")[0]
    about = "balance" if key == "gate:balance" else _ABOUT.get(what, "folder")
    return Item(about=about, kind="problem", reason=visible(" ".join(without_signatures(text).split())))
