"""Calls about packs: collections of template prompts, and running them."""

import re
from dataclasses import replace
from typing import Any

from astria_sync.simulator import catalog, prompts, tunes
from astria_sync.simulator.messages import RefusedError, Response
from astria_sync.simulator.records import Pack, Prompt, Template, Tune, iso
from astria_sync.simulator.world import NOT_FOUND, Call, World, many, number, page, truth


def view(pack: Pack) -> dict[str, Any]:
    return {
        "id": pack.id,
        "slug": pack.slug,
        "title": pack.title,
        "subtitle": pack.subtitle,
        "base_tune_id": pack.base_tune_id,
        "model_type": pack.model_type,
        "main_class_name": pack.templates[0].name if pack.templates else None,
        "multiplier": 1,
        "multiplier_api": 1,
        "workspace_id": pack.workspace_id,
        "public_at": iso(pack.created_at) if pack.public else None,
        "unlisted_at": None if pack.listed else iso(pack.updated_at),
        "created_at": iso(pack.created_at),
        "updated_at": iso(pack.updated_at),
        "costs": _costs(pack),
    }


def _costs(pack: Pack) -> dict[str, Any]:
    costs: dict[str, Any] = {}
    for template in pack.templates:
        entry = costs.setdefault(template.name, {"cost_mc": 0, "num_images": 0})
        entry["num_images"] += template.num_images
        entry["cost_mc"] += _template_cost(pack, template)
    return costs


def _template_cost(pack: Pack, template: Template) -> int:
    params = {"resolution": catalog.DEFAULT_RESOLUTION.get(pack.base_tune_id)} | template.params
    return catalog.picture_cost(pack.base_tune_id, False, params) * template.num_images


def _template_view(pack: Pack, template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "text": template.text,
        "class_name": template.name,
        "num_images": template.num_images,
        "tune_id": pack.base_tune_id,
        "cost_mc": _template_cost(pack, template),
        **template.params,
    }


def find(world: World, call: Call, key: str) -> Pack:
    for pack in world.packs.newest():
        visible = pack.exists(call.now) and (pack.public or call.sees(pack))
        if visible and key in {pack.slug, str(pack.id)}:
            return pack
    raise RefusedError(404, NOT_FOUND)


def index(world: World, call: Call) -> Response:
    public, listed = truth(call.query("public")), truth(call.query("listed"))

    def keep(pack: Pack) -> bool:
        mine = pack.public if public else call.sees(pack)
        return mine and pack.exists(call.listed_at) and (pack.listed or not listed)

    found = page(call, world.packs, keep, deepest=10_000, what="packs")
    return Response.of([view(pack) for pack in found])


def gallery(world: World, call: Call) -> Response:
    found = page(call, world.packs, lambda pack: pack.public, deepest=10_000, what="packs")
    return Response.of([view(pack) for pack in found])


def show(world: World, call: Call, key: str) -> Response:
    pack = find(world, call, key)
    templates = [_template_view(pack, template) for template in pack.templates]
    return Response.of(view(pack) | {"template_prompts": templates})


def create(world: World, call: Call) -> Response:
    given = call.group("pack")
    title = str(given.get("title") or "").strip()
    if not title:
        raise RefusedError(422, {"message": "Title can't be blank"})
    base = tunes.find(world, call, given.get("base_tune_id") or catalog.GEMINI)
    pack = Pack(
        id=world.new_id("pack"),
        workspace_id=call.home,
        created_at=call.now,
        updated_at=call.now,
        slug=re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"),
        title=title,
        subtitle=given.get("subtitle"),
        base_tune_id=base.id,
        model_type=given.get("model_type") or None,
    )
    world.packs.add(pack)
    world.ledger.note_created("pack", pack.id, call.now, {"title": title})
    return Response.of(view(pack), status=201)


def run(world: World, call: Call, key: str) -> Response:
    """Run a pack on existing tunes, or make a tune of new pictures and run it on that."""
    pack, given = find(world, call, key), call.group("tune")
    chosen = _chosen(pack, given)
    order = world.new_id("order")
    if given.get("tune_ids"):
        subjects = [tunes.find(world, call, tune_id) for tune_id in many(given, "tune_ids")]
        made = _order(world, call, pack, chosen, subjects, given, order)
        answer = {"order": {"id": order, "tune_ids": [tune.id for tune in subjects]}}
        return Response.of(answer | {"prompt_ids": [prompt.id for prompt in made]}, status=201)
    existing = tunes.same_title(world, call, given)
    if existing is not None:
        return Response.of(tunes.view(world, existing, call.now), status=201)
    classes = {template.name for template in pack.templates}
    if given.get("name") not in classes:
        raise RefusedError(422, {"name": [f"is not supported by this pack ({', '.join(sorted(classes))})"]})
    tune = tunes.make(world, call, given, base_tune_id=pack.base_tune_id, model_type=pack.model_type)
    _order(world, call, pack, chosen, [tune], given, order)
    return Response.of(tunes.view(world, tune, call.now), status=201)


def _chosen(pack: Pack, given: dict[str, Any]) -> list[Template]:
    wanted = {number(prompt_id) for prompt_id in many(given, "prompt_ids")}
    unknown = wanted - {template.id for template in pack.templates}
    if unknown:
        raise RefusedError(422, {"prompt_ids": [f"are not of this pack: {sorted(unknown)}"]})
    return [template for template in pack.templates if not wanted or template.id in wanted]


def _order(
    world: World,
    call: Call,
    pack: Pack,
    chosen: list[Template],
    subjects: list[Tune],
    given: dict[str, Any],
    order: int,
) -> list[Prompt]:
    """Make the prompts of one run: for each subject the templates of its class, or all if none fits."""
    made: list[Prompt] = []
    for subject in subjects:
        fitting = [template for template in chosen if template.name == subject.name] or chosen
        target = tunes.find(world, call, pack.base_tune_id) if subject.is_reference else subject
        for template in fitting:
            attributes = {
                "num_images": template.num_images,
                **template.params,
                **(given.get("prompt_attributes") or {}),
                "text": _text(template, subject, given.get("brief")),
            }
            origin = {"order_id": order, "orig_prompt_id": template.id, "base_pack_id": pack.id}
            later = replace(call, now=call.now + len(made) * world.options.pack_seconds)
            made.append(prompts.make(world, later, target, attributes, **origin))
    return made


def _text(template: Template, subject: Tune, brief: object) -> str:
    """Put subject, characteristics and brief into a template."""
    name = subject.name or ""
    token = subject.params.get("token") or "ohwx"
    mention = f"<{subject.model_type}:{subject.id}:1> {name}" if subject.is_reference else f"{token} {name}"
    text = template.text.replace("<1>", mention.strip())
    for key, value in (subject.params.get("characteristics") or {}).items():
        text = text.replace("{{" + str(key) + "}}", str(value))
    text = re.sub(r"\{\{[^}]*\}\}\s*", "", text)
    return f"{text}, {brief}" if brief else text
