"""Calls about the account, its workspaces, the model catalog, and pictures looked at."""

import re
from io import BytesIO
from typing import Any

from PIL import Image

from astria_sync.simulator import catalog
from astria_sync.simulator.forms import Upload
from astria_sync.simulator.messages import RefusedError, Response
from astria_sync.simulator.options import Workspace
from astria_sync.simulator.pictures import UNREADABLE
from astria_sync.simulator.world import NOT_FOUND, Call, World, number


def user(world: World, _: Call) -> Response:
    return Response.of(
        {
            "id": 1,
            "name": "Sim Ulator",
            "email": "sim@example.com",
            "usd_balance_mc": world.balance_mc,
            "purchased_plugin_at": None,
        }
    )


def models(_: World, __: Call) -> Response:
    return Response.of(catalog.MODELS)


def _space_view(world: World, space: Workspace) -> dict[str, Any]:
    landing = {"landing_page_html": None, "brief": None} | world.landing.get(space.id, {})
    return {"id": space.id, "title": space.title, "slug": space.slug, **landing}


def workspaces(world: World, _: Call) -> Response:
    return Response.of([_space_view(world, space) for space in world.workspaces.values()])


def _space(world: World, key: str) -> Workspace:
    space = world.workspaces.get(number(key))
    if space is None:
        raise RefusedError(404, NOT_FOUND)
    return space


def workspace(world: World, _: Call, key: str) -> Response:
    return Response.of(_space_view(world, _space(world, key)))


def create_workspace(world: World, call: Call) -> Response:
    title = str(call.group("workspace").get("title") or "").strip()
    if not title:
        raise RefusedError(422, {"message": "Title can't be blank"})
    slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    space = Workspace(id=world.new_id("workspace"), title=title, slug=slug)
    world.workspaces[space.id] = space
    return Response.of(_space_view(world, space), status=201)


def update_workspace(world: World, call: Call, key: str) -> Response:
    space, given = _space(world, key), call.group("workspace")
    kept: dict[str, Any] = {name: given[name] for name in ("landing_page_html", "brief") if name in given}
    world.landing.setdefault(space.id, {}).update(kept)
    return Response.of(_space_view(world, space))


def inspect(_: World, call: Call) -> Response:
    """Say what is in a picture; only its size is really looked at."""
    name, file = call.params.get("name"), call.params.get("file")
    if not name or not isinstance(file, Upload):
        raise RefusedError(422, {"error": "name and file are required"})
    try:
        with Image.open(BytesIO(file.data)) as picture:
            small = min(picture.size) < 512
    except UNREADABLE:
        raise RefusedError(422, {"error": "file is not an image"}) from None
    warnings = {"blurry": False, "includes_multiple_people": False, "wearing_sunglasses": False}
    return Response.of({"name": name, "age": "30 yo", **warnings, "low_resolution": small})


def theme(_: World, call: Call) -> Response:
    if not call.group("theme"):
        raise RefusedError(422, {"error": "theme can't be blank"})
    return Response(status=201)
