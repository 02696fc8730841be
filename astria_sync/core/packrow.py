"""A row of `packs`, as core/model.py has those of the other tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from astria_sync.core.lifecycle import PackState


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """The run of one pack on one image folder. There is one, ever; its prompts are rows of their own (`pack_run`)."""

    id: int
    source_id: int
    tune_id: int | None
    name: str
    slug: str
    pack_id: int | None
    current: bool
    state: PackState
    reason: str
    error: str
    workspace: str
    output: str
    on_pictures: bool
    facts: Mapping[str, Any]
    asked: str
    expected: int
    num_images: int
    price_mc: int | None
    order_id: int | None
    prompt_ids: list[int]
    watermark: int | None
    attempt: int
    looks: int
    lost: bool
    sought: bool
    next_at: float
    approved: bool
    needs_mc: int | None
    past_limit: bool
    armed_at: float | None
    bound_at: float | None
    heard_at: float
    created_at: float
    updated_at: float

    @property
    def called(self) -> str:
        """What it is called where its pictures go, and in sentences."""
        return self.slug or self.name
