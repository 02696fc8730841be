"""Calls about tunes: references and fine-tuned models."""

import json
from typing import Any

from astria_sync.simulator import catalog
from astria_sync.simulator.forms import Upload
from astria_sync.simulator.messages import RefusedError, Response
from astria_sync.simulator.records import DAY, Tune, iso
from astria_sync.simulator.world import NOT_FOUND, Call, World, many, number, page, truth

MODEL_TYPES = (None, "faceid", "lora", "pti")
BRANCHES = (None, "flux1", "sd15", "sdxl1", "fast")
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"II*\x00", b"MM\x00*", b"BM")
PLAIN = ("token", "steps", "face_crop", "training_face_correct", "callback", "preset")


def view(world: World, tune: Tune, now: float) -> dict[str, Any]:
    """Show a tune as JSON, as it is at that time."""
    ready = tune.ready_at <= now
    return {
        "id": tune.id,
        "title": tune.title,
        "name": tune.name,
        "token": tune.params.get("token") or "ohwx",
        "branch": tune.branch,
        "model_type": tune.model_type,
        "is_api": not tune.public,
        "steps": tune.params.get("steps"),
        "face_crop": tune.params.get("face_crop"),
        "training_face_correct": tune.params.get("training_face_correct"),
        "preset": tune.params.get("preset"),
        "callback": tune.params.get("callback"),
        "characteristics": tune.params.get("characteristics"),
        "auto_extend": tune.auto_extend,
        "base_tune_id": tune.base_tune_id,
        "workspace_id": tune.workspace_id,
        "eta": iso(tune.ready_at),
        "started_training_at": iso(tune.created_at),
        "trained_at": iso(tune.ready_at) if ready else None,
        "created_at": iso(tune.created_at),
        "updated_at": iso(tune.updated_at),
        "expires_at": iso(tune.expires_at) if ready else None,
        "cost_mc": tune.cost_mc,
        "url": f"{world.api_url}/tunes/{tune.id}.json",
        "orig_images": [world.links.url(path, now) for path in tune.images],
    }


def find(world: World, call: Call, key: str | int) -> Tune:
    """Find a tune that this call may see: its own scope's, or a public one."""
    tune = world.tunes.get(number(key))
    if tune is None or not tune.alive(call.now) or not (tune.public or call.sees(tune)):
        raise RefusedError(404, NOT_FOUND)
    return tune


def index(world: World, call: Call) -> Response:
    return _list(world, call, gallery=False)


def gallery(world: World, call: Call) -> Response:
    return _list(world, call, gallery=True)


def _list(world: World, call: Call, *, gallery: bool) -> Response:
    at = call.listed_at
    names = call.query_all("name")
    title = (call.query("title") or "").lower()
    exact = {key: value for key in ("model_type", "branch") if (value := call.query(key)) is not None}

    def keep(tune: Tune) -> bool:
        mine = tune.public if gallery else not tune.public and call.sees(tune)
        return (
            mine
            and tune.alive(at)
            and title in tune.title.lower()
            and (not names or tune.name in names)
            and all(getattr(tune, key) == value for key, value in exact.items())
        )

    found = page(call, world.tunes, keep, deepest=200, what="tunes")
    return Response.of([view(world, tune, at) for tune in found])


def show(world: World, call: Call, key: str) -> Response:
    return Response.of(view(world, find(world, call, key), call.now))


def same_title(world: World, call: Call, given: dict[str, Any]) -> Tune | None:
    """Find the tune that idempotency answers with in place of a new one."""
    if not world.options.idempotency:
        return None
    same = (tune for tune in world.tunes.newest() if tune.title == given.get("title") and not tune.public)
    return next((tune for tune in same if tune.alive(call.now) and call.sees(tune)), None)


def make(world: World, call: Call, given: dict[str, Any], **forced: Any) -> Tune:
    """Create one, or refuse with a message for each field that is wrong."""
    given = {**given, **{key: value for key, value in forced.items() if value is not None}}
    files, urls = _pictures(given)
    base = _base(world, call, given)
    model_type = given.get("model_type") or None
    wrong = _wrong(given, files, urls, model_type)
    if given.get("base_tune_id") and base is None:
        wrong["base_tune"] = ["must exist"]
    if wrong:
        raise RefusedError(422, wrong)
    branch = given.get("branch") or (base.branch if base else "sd15")
    cost = catalog.training_cost(model_type, branch)
    world.charge(cost)
    ready_at = call.now + (0.0 if model_type == "faceid" else world.options.train_seconds)
    images = [world.keep(file, call.now) for file in files if not file.filename.lower().endswith(".txt")]
    tune = Tune(
        id=world.new_id("tune"),
        workspace_id=call.home,
        created_at=call.now,
        updated_at=call.now,
        title=str(given["title"]),
        name=given.get("name") or None,
        model_type=model_type,
        branch=branch,
        base_tune_id=base.id if base else None,
        ready_at=ready_at,
        expires_at=ready_at + world.options.expire_days * DAY,
        auto_extend=truth(given.get("auto_extend")),
        cost_mc=cost,
        images=(*images, *urls),
        params={key: given.get(key) or None for key in PLAIN} | {"characteristics": _characteristics(given)},
    )
    facts = {"title": tune.title, "name": tune.name, "model_type": model_type, "cost_mc": cost}
    world.ledger.note_created(
        "tune", tune.id, call.now, facts | {"images": len(tune.images), "workspace_id": tune.workspace_id}
    )
    return world.tunes.add(tune)


def _pictures(given: dict[str, Any]) -> tuple[list[Upload], list[str]]:
    files = [file for file in many(given, "images") if isinstance(file, Upload)]
    return files, [str(url) for url in many(given, "image_urls") if url]


def _base(world: World, call: Call, given: dict[str, Any]) -> Tune | None:
    try:
        return find(world, call, given["base_tune_id"]) if given.get("base_tune_id") else None
    except RefusedError:
        return None


def _wrong(
    given: dict[str, Any], files: list[Upload], urls: list[str], model_type: str | None
) -> dict[str, list[str]]:
    wrong: dict[str, list[str]] = {}
    if not str(given.get("title") or "").strip():
        wrong["title"] = ["can't be blank"]
    pictures = [file for file in files if not file.filename.lower().endswith(".txt")]
    bad = [file.filename for file in pictures if not bytes(file.data[:8]).startswith(MAGIC)]
    if not pictures and not urls:
        wrong["images"] = ["can't be blank"]
    elif bad:
        wrong["images"] = [f"{name} is empty or not an image" for name in bad]
    if model_type not in MODEL_TYPES:
        wrong["model_type"] = ["is not included in the list"]
    if (given.get("branch") or None) not in BRANCHES:
        wrong["branch"] = ["is not included in the list"]
    try:
        _characteristics(given)
    except ValueError:
        wrong["characteristics"] = ["is not a JSON object"]
    return wrong


def _characteristics(given: dict[str, Any]) -> dict[str, Any] | None:
    value = given.get("characteristics") or None
    if isinstance(value, str):
        value = json.loads(value)
    if value is not None and not isinstance(value, dict):
        raise ValueError(value)
    return value


def _own(world: World, call: Call, key: str) -> Tune:
    tune = find(world, call, key)
    if tune.public:
        raise RefusedError(403, {"error": "You are not authorized to change this tune"})
    return tune


def update(world: World, call: Call, key: str) -> Response:
    tune, given = _own(world, call, key), call.group("tune")
    if "title" in given and not str(given["title"] or "").strip():
        raise RefusedError(422, {"title": ["can't be blank"]})
    try:
        if "characteristics" in given:
            tune.params["characteristics"] = _characteristics(given)
    except ValueError:
        raise RefusedError(422, {"characteristics": ["is not a JSON object"]}) from None
    tune.title = str(given.get("title", tune.title))
    tune.name = given.get("name", tune.name) or None
    tune.auto_extend = truth(given["auto_extend"]) if "auto_extend" in given else tune.auto_extend
    tune.updated_at = call.now
    return Response.of(view(world, tune, call.now))


def delete(world: World, call: Call, key: str) -> Response:
    tune = _own(world, call, key)
    tune.deleted_at = call.now
    if not tune.is_reference:
        for prompt in world.prompts.newest():
            if prompt.tune is tune:
                prompt.deleted_at = min(prompt.deleted_at, call.now)
    return Response.of({"message": "Tune successfully deleted"})
