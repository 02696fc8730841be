"""Is it ours? A request whose fate is unknown, or a file without a record, against Astria's lists."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from astria_sync.core.wire import RemotePrompt, RemoteTune

# Clean looks that must not find an unsure request before it is sent again. Astria gives up on a request after 30 s, and
# its lists may lag; the first look comes reconcile_after_seconds (60) after the loss, the second as long after the first,
# so a commit would have to be later than two minutes, four times the server's own limit, to be missed.
CLEAN_LOOKS: Final = 2


def look_counts(*, head: int, mark: int, complete: bool) -> bool:
    """A look counts only if every page down to the watermark was read and its head is not older than what was seen."""
    return complete and head >= mark


def same_tune(
    remote: RemoteTune,
    *,
    title: str,
    class_noun: str,
    model_type: str,
    counts: Collection[int] | None,
    watermark: int,
) -> bool:
    """Whether a listed tune can be the one that a folder asked for (contract §1: title, class noun, number of images).

    `counts` are the numbers of images that would fit: with captions, or without. None where the watermark says enough:
    a tune of our title that appeared since is not to be paid again because a picture of it was dropped.
    """
    return (
        remote.id > watermark
        and remote.title == title
        and (remote.name or "") == class_noun
        and (remote.model_type is None or remote.model_type == model_type)
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


def unclaimed(ids: Iterable[int], bound: Iterable[int]) -> Sequence[int]:
    """Those that no row has yet, oldest first."""
    taken = set(bound)
    return sorted(remote_id for remote_id in ids if remote_id not in taken)
