"""Is it ours? A request whose fate is unknown, or a file without a record, against Astria's lists."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.prices import FREE_BRANCH
from astria_sync.core.wire import RemotePrompt, RemoteTune, as_time

Remote = RemoteTune | RemotePrompt
Row = Tune | Prompt

# Clean looks that must not find an unsure request before it is sent again. Astria gives up on a request after 30 s, and
# its lists may lag; the first look comes reconcile_after_seconds (60) after the loss, the second as long after the first,
# so a commit would have to be later than two minutes, four times the server's own limit, to be missed.
CLEAN_LOOKS: Final = 2

# A tune has no seed, so time must tell a second one of ours from one that a person made under the same title: seconds by
# which it may be younger than the one that is bound. Whatever repeats a request on its way does so within the 30 s that
# Astria gives it: four times that. A lost request may have lain in a queue: an hour is 120 times that limit.
_REPEATED: Final = 120.0
_LATE: Final = 3600.0
_UNDER_WAY: Final = frozenset({TuneState.UPLOADING, PromptState.SUBMITTING})
# Which of several orders that wait for an object takes it: the one that is looked for first, the one given up last.
_TURN: Final[Mapping[str, int]] = {"unsure": 0, "queued": 1, "waiting": 1, "settling": 1, "failed": 2}


def look_counts(*, head: int, mark: int, complete: bool, mark_gone: bool = False) -> bool:
    """A look counts only if every page down to the watermark was read and its head is not older than what had been seen
    when it was asked for. `mark_gone`: the newest that had been seen was deleted since, so that no list shows it.
    """
    return complete and (head >= mark or mark_gone)


def same_tune(
    remote: RemoteTune,
    *,
    title: str,
    class_noun: str,
    model_type: str | None,
    counts: Collection[int] | None,
    watermark: int,
    free: bool = False,
) -> bool:
    """Whether a listed tune can be the one that a folder asked for (contract §1: title, class noun, number of images).

    `counts` are the numbers of images that would fit: with captions, or without. None where the watermark says enough:
    a tune of our title that appeared since is not to be paid again because a picture of it was dropped. `model_type`: None
    where a pack had a say in it.
    """
    return (
        remote.id > watermark
        and remote.title == title
        and (remote.name or "") == class_noun
        and (None in {remote.model_type, model_type} or remote.model_type == model_type)
        and (remote.branch is None or (remote.branch == FREE_BRANCH) is free)
        and (counts is None or remote.pictures is None or remote.pictures in counts)
    )


def same_prompt(
    remote: RemotePrompt,
    *,
    text: str,
    target: int | None,
    seed: int | None,
    params: Mapping[str, Any],
    watermark: int,
) -> bool:
    """Whether a listed prompt can be the one that was asked for: words, target, seed if known, and what Astria shows of
    the parameters.
    """
    if remote.id <= watermark or squeeze(remote.text) != squeeze(text):
        return False
    if target is not None and remote.tune_id is not None and remote.tune_id != target:
        return False
    if seed is not None and remote.seed != seed:
        return False
    asked = {key: value for key, value in params.items() if key not in {"seed", "text"}}
    # A seed of ours recognises a request whatever else is shown. Without one, a parameter that was asked for and is shown as
    # not set makes it another.
    if seed is None and any(
        key in remote.raw and remote.raw[key] is None and value for key, value in asked.items()
    ):
        return False
    return all(_agrees(remote.raw.get(key), value) for key, value in asked.items())


def squeeze(text: str) -> str:
    """Text with line endings and outer blanks taken away, as a form may change them."""
    return "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").strip().split("\n"))


def _agrees(shown: Any, sent: Any) -> bool:
    """Astria does not show every parameter, and shows numbers as text or text as numbers; only a contradiction counts."""
    if shown is None or shown == sent or isinstance(sent, (list, dict)):
        return True
    if isinstance(shown, bool) or isinstance(sent, bool):
        return str(shown).lower() == str(sent).lower()
    try:
        return float(shown) == float(sent)
    except (TypeError, ValueError):
        return str(shown) == str(sent)


class Claim(StrEnum):
    """Whose a listed object is that no row has."""

    LATER = "later"  # an answer that may name it is under way
    OURS = "ours"  # an order waits for it, or was given up too early
    GIVEN_UP = "given up"  # an order whose row was dropped or made anew
    SPARE = "spare"  # it was made besides the one that the order has


def claim(remote: Remote, rows: Sequence[Row], given_up: Sequence[Row]) -> tuple[Claim, Row] | None:
    """Whose an object is that no row has: of `rows` (same seed or title), or of what was given up. None: it is not ours."""
    fits = [row for row in rows if row.spare_of is None and is_it(row, remote)]
    if sending := [row for row in fits if row.state in _UNDER_WAY]:
        return Claim.LATER, sending[0]
    if waiting := [row for row in fits if _may_take(row, remote)]:
        return Claim.OURS, min(waiting, key=lambda row: (_TURN[row.state], row.id))
    if gone := [row for row in given_up if is_it(row, remote) and _is_late(row, remote)]:
        return Claim.GIVEN_UP, gone[0]
    if has_one := [row for row in fits if row.remote_id is not None and _may_be_spare(row, remote)]:
        return Claim.SPARE, max(has_one, key=lambda row: (row.watermark or 0, row.id))  # the one sent last
    return None


def key_of(thing: Remote | Row) -> str | None:
    """What a row and the objects that it may have become have in common, for looking them up: seed and words, or the title.

    Blanks are left out, so that it is the same whatever a form does to them; schema.py has the same in SQL, for an index.
    """
    if isinstance(thing, Prompt | RemotePrompt):
        words = thing.text.translate(dict.fromkeys(map(ord, " \t\n\r")))
        return None if thing.seed is None else f"{thing.seed} {words}"
    return thing.title if isinstance(thing, RemoteTune) else thing.params.get("title")


def is_it(row: Row, remote: Remote) -> bool:
    """Whether a listed object can be what this row asked for; never one that was there before it was armed.

    A tune's title and class noun are those that were sent: the row's own may have been changed by a PATCH since.
    """
    if row.watermark is None:
        return False
    if isinstance(row, Tune) and isinstance(remote, RemoteTune):
        return same_tune(
            remote,
            title=row.params.get("title", ""),
            class_noun=row.params.get("name") or "",
            model_type=None if row.pack_run is not None else row.model_type,
            counts=None,
            watermark=row.watermark,
            free=row.params.get("branch") == FREE_BRANCH,
        )
    if isinstance(row, Prompt) and isinstance(remote, RemotePrompt):
        return row.seed is not None and same_prompt(
            remote,
            text=row.text,
            target=row.target,
            seed=row.seed,
            params=row.params,
            watermark=row.watermark,
        )
    return False


def _may_take(row: Row, remote: Remote) -> bool:
    """Whether it waits for an object. A refused tune takes none but what a lost attempt may have left: the next of its title is
    the person's own.
    """
    if row.state is TuneState.FAILED:
        return row.remote_id is None and row.lost and _is_late(row, remote)
    return row.state in _TURN and (row.state is not PromptState.FAILED or row.remote_id is None)


def _is_late(row: Row, remote: Remote) -> bool:
    """Whether it may come of an attempt that nobody waits for any more: a seed says so, of a title only the time can."""
    return isinstance(remote, RemotePrompt) or _in_time(row.armed_at, _LATE, remote)


def _may_be_spare(row: Row, remote: Remote) -> bool:
    """Whether it is of an age, and of a kind, that a second fruit of this row's request can have."""
    if isinstance(row, Tune) and isinstance(remote, RemoteTune):
        made = row.made_at or row.bound_at
        mine = remote.pictures is None or remote.pictures <= row.pictures + row.captions
        mine = mine and _in_time(made, _LATE if row.lost else _REPEATED, remote)
    else:
        # A copy that a person asked for on the web page has the seed of its original, and names it.
        copied = isinstance(remote, RemotePrompt) and remote.raw.get("orig_prompt_id") is not None
        made = as_time(row.answer.get("created_at")) if isinstance(row, Prompt) else None
        mine = not copied or "orig_prompt_id" in row.params
    # The watermark may be older than the request: what others made in between is told by its age. A lost attempt may be as old.
    earlier = made is not None and remote.created_at is not None and remote.created_at < made - _REPEATED
    return mine and (row.lost or not earlier)


def _in_time(since: float | None, late: float, remote: Remote) -> bool:
    return since is None or remote.created_at is None or remote.created_at <= since + late


def unclaimed(ids: Iterable[int], bound: Iterable[int]) -> Sequence[int]:
    """Those that no row has yet, oldest first."""
    taken = set(bound)
    return sorted(remote_id for remote_id in ids if remote_id not in taken)


def has_our_seed(row: Tune | Prompt, body: Mapping[str, Any]) -> bool:
    """Whether the answer carries a seed that we drew for this row: then it is ours, however low its id is."""
    if isinstance(row, Tune) or row.request.get("params", {}).get("seed") is not None:
        return False
    return row.seed is not None and body.get("seed") == row.seed
