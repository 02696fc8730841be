"""Packs, Astria's collections of prompts: can this one be run for that class, how much comes of it, and which prompts are its?"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from astria_sync.core.expiry import tunes_of
from astria_sync.core.model import Prompt
from astria_sync.core.packrow import Pack
from astria_sync.core.packwire import RemotePack, RemoteTemplate
from astria_sync.core.wire import RemotePrompt

_FILLED_IN: Final = re.compile(r"<1>|\{\{[^}]*\}\}")
_NAMED: Final = 12  # classes that a sentence names


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """What a pack makes for one class."""

    prompts: int
    pictures: int
    price_mc: int | None  # None: Astria does not say


def classes(pack: RemotePack) -> list[str]:
    """The class nouns that a pack has prompts for; none: it makes no difference."""
    named = [*pack.costs, *(template.class_noun for template in pack.templates)]
    return sorted({name for name in named if name})


def problem(pack: RemotePack, class_noun: str, *, tune: int | None) -> str:
    """Why a pack cannot be run for this class, as a sentence; "" if it can. `tune`: the existing one that it would run on."""
    known = classes(pack)
    if not pack.templates:
        return f"the pack {pack.slug} has no prompts; name another in tune.toml."
    if not known or class_noun in known:
        return ""
    has = _listed(known)
    if tune is not None:
        what = f"is of the class {class_noun}" if class_noun else "has no class noun (name)"
        return f"the pack {pack.slug} is for {has}, and tune {tune} {what}; name another pack in tune.toml."
    if not class_noun:
        return f"the pack {pack.slug} needs a class noun: write name = one of {has} into tune.toml."
    return f"the pack {pack.slug} has no prompts for {class_noun}, only for {has}; correct name or pack in tune.toml."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def templates_for(pack: RemotePack, class_noun: str) -> tuple[RemoteTemplate, ...]:
    """The prompts of a pack that are run for a class."""
    if not any(template.class_noun for template in pack.templates):
        return pack.templates
    return tuple(template for template in pack.templates if template.class_noun in {"", class_noun})


def size_for(pack: RemotePack, class_noun: str) -> Size:
    """How many prompts and pictures a run for a class makes, and what it costs: what Astria says, times nothing."""
    fitting = templates_for(pack, class_noun)
    price_mc, pictures = pack.costs.get(class_noun, (None, None))
    counted = sum(template.num_images for template in fitting)
    return Size(prompts=len(fitting), pictures=counted if pictures is None else pictures, price_mc=price_mc)


def fingerprint(pack_id: int | None, template: int | None, remote_id: int) -> str:
    """What stands for the wish behind a pack's prompt, as the hash of a file's words does for that of a file."""
    of = f"template {template}" if template is not None else f"prompt {remote_id}"
    return hashlib.sha256(f"pack {pack_id}, {of}".encode()).hexdigest()


class Kin(StrEnum):
    """Whether a listed prompt is of a run."""

    OURS = "ours"
    OTHER = "other"  # of this pack and on this tune, but of another order
    NONE = "none"


def kin(run: Pack, pack: RemotePack | None, remote: RemotePrompt, tune_ids: Collection[int]) -> Kin:
    """Whether a listed prompt came of this run, which was done on the tunes of these ids.

    Astria shows of a pack's prompt from which pack and order it is. Where it shows neither, the words tell.
    """
    if remote.id in run.prompt_ids:
        return Kin.OURS
    if remote.id <= (run.watermark or 0) or not set(tunes_of(remote.text, remote.tune_id)) & set(tune_ids):
        return Kin.NONE
    if run.pack_id not in {None, *remote.pack_ids} and remote.pack_ids:
        return Kin.NONE
    if run.order_id is not None and remote.order_id is not None:
        return Kin.OURS if remote.order_id == run.order_id else Kin.OTHER
    if remote.pack_ids:
        return Kin.OURS
    return Kin.OURS if not remote.tells_pack and pack is not None and _worded(pack, remote) else Kin.NONE


def _worded(pack: RemotePack, remote: RemotePrompt) -> bool:
    """Whether it has the words of one of the pack's prompts, but for the subject and what is put into it."""
    return any(_says(template.text, remote.text) for template in pack.templates)


def _says(template: str, text: str) -> bool:
    """Whether the words of a template stand in a text, in their order."""
    at = 0
    for part in (" ".join(part.split()) for part in _FILLED_IN.split(template)):
        found = " ".join(text.split()).find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def is_second(run: Pack, relation: Kin, known: Sequence[Prompt], template: int | None) -> bool:
    """Whether a prompt of this run was made besides what it has already: a lost attempt was carried out after all."""
    if relation is Kin.OTHER:
        return True
    return template is not None and any(one.template == template for one in known) and run.attempt > 1
