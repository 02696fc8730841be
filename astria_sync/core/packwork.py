"""Pieces of work that are about packs, as core/work.py has the others."""

from dataclasses import dataclass
from typing import Any

from astria_sync.core.work import Lane


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPack:
    """The paid `POST /p/:pack/tunes` of one armed row, on a tune that is there."""

    row_id: int
    workspace: str
    pack: str
    fields: tuple[tuple[str, str], ...]
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class FindPack:
    """`GET /p/:pack`, which is free. Comes back as PackFound."""

    workspace: str
    pack: str
    lane = Lane.REQUESTS


@dataclass(frozen=True, kw_only=True, slots=True)
class PackFound:
    """What Astria said of a pack; if there is none of that name, `others` are names of some that there are."""

    result: Any  # Answer or NoAnswer
    others: tuple[str, ...] = ()
