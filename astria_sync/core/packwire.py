"""Astria's JSON of packs → the model: as core/wire.py for the rest, every assumption about the service's words on packs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astria_sync.core.whole import as_id, as_int
from astria_sync.core.wire import as_words


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteTemplate:
    """One prompt of a pack."""

    id: int | None
    text: str
    class_noun: str  # "": for every class
    num_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RemotePack:
    """A pack as Astria shows it. `costs`: for each class noun the price in thousandths of a cent and the number of pictures."""

    id: int | None
    slug: str
    model_type: str | None
    base_tune_id: int | None
    templates: tuple[RemoteTemplate, ...]
    costs: Mapping[str, tuple[int | None, int | None]]
    raw: Mapping[str, Any] = field(default_factory=dict)  # as much of it as makes it again


def read_pack(body: Mapping[str, Any], *, name: str) -> RemotePack | None:
    """A pack of an answer to `GET /p/:name`; None if it is none."""
    templates, costs = body.get("template_prompts"), body.get("costs")
    if not isinstance(templates, list):
        return None
    prices = costs if isinstance(costs, Mapping) else {}
    return RemotePack(
        id=as_id(body.get("id")),
        slug=as_words(body.get("slug")) or name,
        model_type=body["model_type"] if isinstance(body.get("model_type"), str) else None,
        base_tune_id=as_id(body.get("base_tune_id")),
        templates=tuple(_read_template(one) for one in templates if isinstance(one, Mapping)),
        costs={
            str(noun): (as_int(one.get("cost_mc")), as_int(one.get("num_images")))
            for noun, one in prices.items()
            if isinstance(one, Mapping)
        },
        raw={
            **{key: body.get(key) for key in ("id", "slug", "model_type", "base_tune_id", "costs")},
            "template_prompts": [_template_facts(one) for one in templates if isinstance(one, Mapping)],
        },
    )


def _template_facts(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: body[key] for key in ("id", "text", "class_name", "name", "num_images") if key in body}


def _read_template(body: Mapping[str, Any]) -> RemoteTemplate:
    return RemoteTemplate(
        id=as_id(body.get("id")),
        text=as_words(body.get("text")),
        class_noun=as_words(body.get("class_name") or body.get("name")),
        num_images=max(1, as_int(body.get("num_images")) or 1),
    )


def read_slugs(body: Any) -> tuple[str, ...]:
    """The names of the packs that a list shows."""
    rows = body if isinstance(body, list) else []
    return tuple(row["slug"] for row in rows if isinstance(row, Mapping) and isinstance(row.get("slug"), str))


def read_order(body: Any) -> tuple[int | None, tuple[int, ...]] | None:
    """What a run of a pack on existing tunes answers: the order's id and those of the prompts; None if it says neither."""
    if not isinstance(body, Mapping):
        return None
    order, ids = body.get("order"), body.get("prompt_ids")
    order_id = as_id(order.get("id")) if isinstance(order, Mapping) else None
    found = [as_id(one) for one in ids] if isinstance(ids, list) else []
    prompt_ids = tuple(one for one in found if one is not None)
    return (order_id, prompt_ids) if order_id is not None or prompt_ids else None
