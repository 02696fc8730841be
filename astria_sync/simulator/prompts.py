"""Calls about prompts: generations and their pictures."""

from collections.abc import Callable
from typing import Any

from astria_sync.simulator import catalog, rules, tunes
from astria_sync.simulator.forms import Upload
from astria_sync.simulator.messages import RefusedError, Response
from astria_sync.simulator.records import DAY, Prompt, Tune, iso
from astria_sync.simulator.world import NOT_FOUND, Call, World, many, number, page, truth

USER_ERROR = "The prompt was flagged by the model's safety filter. Change it and try again."
COUNTED = ("pack_id", "base_pack_id", "order_id", "orig_prompt_id")
ALWAYS = (
    "text",
    "negative_prompt",
    "cfg_scale",
    "steps",
    "seed",
    "callback",
    "aspect_ratio",
    "resolution",
    *COUNTED,
)


def view(world: World, prompt: Prompt, now: float) -> dict[str, Any]:
    """Show a prompt as JSON, as it is at that time."""
    params = dict.fromkeys(ALWAYS) | prompt.params
    if not world.options.tells_packs:
        params = {key: value for key, value in params.items() if key not in COUNTED}
    shown = {key: _address(world, value, now) for key, value in params.items()}
    return {"id": prompt.id, "tune_id": prompt.tune.id} | shown | _facts(world, prompt, now)


def _facts(world: World, prompt: Prompt, now: float) -> dict[str, Any]:
    """Show what the service says, whatever a parameter of that name said."""
    done = prompt.done_at <= now
    return {
        "id": prompt.id,
        "tune_id": prompt.tune.id,
        "num_images": prompt.num_images,
        "started_training_at": iso(prompt.starts_at) if prompt.starts_at <= now else None,
        "trained_at": iso(prompt.done_at) if done else None,
        "created_at": iso(prompt.created_at),
        "updated_at": iso(max(prompt.updated_at, prompt.done_at) if done else prompt.updated_at),
        "images": [world.links.url(path, now) for path in prompt.shown(now)],
        "cost_mc": prompt.cost_mc,
        "user_error": prompt.error if done else None,
        "liked": prompt.liked,
        "workspace_id": prompt.workspace_id,
        "url": f"{world.api_url}/tunes/{prompt.tune.id}/prompts/{prompt.id}.json",
    }


def _address(world: World, value: Any, now: float) -> Any:
    """Turn a stored file's path into an address; other values stay."""
    if isinstance(value, str) and value in world.uploads:
        return world.links.url(value, now)
    return [_address(world, item, now) for item in value] if isinstance(value, list) else value


def find(world: World, call: Call, key: str, tune_id: str | None = None) -> Prompt:
    prompt = world.prompts.get(number(key))
    if prompt is None or not prompt.alive(call.now) or not call.sees(prompt):
        raise RefusedError(404, NOT_FOUND)
    if tune_id is not None and prompt.tune.id != number(tune_id):
        raise RefusedError(404, NOT_FOUND)
    return prompt


def index(world: World, call: Call, tune_id: str | None = None) -> Response:
    at, filters = call.listed_at, _filters(call)
    of_tune = tunes.find(world, call, tune_id) if tune_id is not None else None

    def keep(prompt: Prompt) -> bool:
        return (
            call.sees(prompt)
            and prompt.alive(at)
            and (of_tune is None or prompt.tune is of_tune)
            and all(fits(prompt) for fits in filters)
        )

    found = page(call, world.prompts, keep, deepest=10_000, what="prompts")
    return Response.of([view(world, prompt, at) for prompt in found])


def _filters(call: Call) -> list[Callable[[Prompt], bool]]:
    filters: list[Callable[[Prompt], bool]] = []
    if text := (call.query("text") or "").lower():
        filters.append(lambda prompt: text in str(prompt.params.get("text") or "").lower())
    if (tune_id := call.query("tune_id")) is not None:
        filters.append(lambda prompt: str(prompt.tune.id) == tune_id)
    filters += [_equal(key, wanted) for key in COUNTED if (wanted := call.query(key)) is not None]
    if (user_id := call.query("user_id")) is not None:
        filters.append(lambda _: user_id == "1")
    facts: dict[str, Callable[[Prompt], bool]] = {
        "liked": lambda prompt: prompt.liked,
        "is_video": lambda prompt: bool(prompt.params.get("video_model")),
        "is_api": lambda _: True,
        "today": lambda prompt: prompt.created_at // DAY == call.now // DAY,
    }
    filters += [_is(fact, wanted) for key, fact in facts.items() if (wanted := call.query(key)) is not None]
    return filters


def _is(fact: Callable[[Prompt], bool], wanted: str) -> Callable[[Prompt], bool]:
    return lambda prompt: fact(prompt) is truth(wanted)


def _equal(key: str, wanted: str) -> Callable[[Prompt], bool]:
    return lambda prompt: str(prompt.params.get(key)) == wanted


def show(world: World, call: Call, *ids: str) -> Response:
    return Response.of(view(world, find(world, call, *reversed(ids)), call.now))


def create_tune(world: World, call: Call) -> Response:
    """Create a tune and the prompts that may come with it, or give back the one of that title."""
    given = call.group("tune")
    tune = tunes.same_title(world, call, given)
    if tune is None:
        tune = tunes.make(world, call, given)
        for attributes in many(given, "prompts_attributes"):
            make(world, call, tune, attributes)
    return Response.of(tunes.view(world, tune, call.now), status=201)


def create(world: World, call: Call, tune_id: str) -> Response:
    tune = tunes.find(world, call, tune_id)
    prompt = make(world, call, tune, call.group("prompt"))
    return Response.of(view(world, prompt, call.now), status=201)


def make(world: World, call: Call, tune: Tune, given: dict[str, Any], **origin: int | None) -> Prompt:
    """Create one, or give back its twin where idempotency is on, or refuse."""
    params, wrong = rules.coerce({**given, **origin})
    root = world.root_of(tune)
    wrong += [] if wrong else rules.problems(params, tune, root, lambda other: _visible(world, call, other))
    if wrong:
        raise RefusedError(422, {"error": "Validation failed: " + ", ".join(wrong)})
    home = _home(world, call, params)
    twin = _twin(world, call, tune, params) if world.options.idempotency else None
    if twin is not None:
        return twin
    if params.get("resolution") is None and (default := catalog.DEFAULT_RESOLUTION.get(root)):
        params["resolution"] = default
    count = params.get("num_images") or 1
    cost = catalog.picture_cost(root, tune.free, params) * count
    world.charge(cost)
    params = {key: _kept(world, value, call.now) for key, value in params.items() if key != "workspace_id"}
    return _add(world, call, tune, params, home, cost)


def _add(world: World, call: Call, tune: Tune, params: dict[str, Any], home: int | None, cost: int) -> Prompt:
    id_, count = world.new_id("prompt"), params.get("num_images") or 1
    needed = [found for tune_id in rules.mentioned(params) if (found := world.tunes.get(tune_id))]
    starts_at = max(call.now, tune.ready_at, *(found.ready_at for found in needed), 0.0)
    done_at = starts_at + world.options.generate_seconds
    fails = world.options.user_error_word in f"{params.get('text')} {params.get('video_prompt')}"
    extension = _extension(world, id_, params)
    prompt = Prompt(
        id=id_,
        workspace_id=home,
        created_at=call.now,
        updated_at=call.now,
        tune=tune,
        starts_at=starts_at,
        done_at=done_at,
        expires_at=done_at + world.options.expire_days * DAY,
        num_images=count,
        trickle=world.options.trickle,
        pictures=tuple(world.picture_path("picture", id_, n) + extension for n in range(count)),
        cost_mc=cost,
        error=USER_ERROR if fails else None,
        params=params,
    )
    world.pictures.update({path: (prompt, n) for n, path in enumerate(prompt.pictures)})
    facts = {"tune_id": tune.id, "cost_mc": cost, "workspace_id": home, "num_images": count}
    world.ledger.note_created("prompt", id_, call.now, {"seed": None, **params, **facts})
    return world.prompts.add(prompt)


def _extension(world: World, key: int, params: dict[str, Any]) -> str:
    if params.get("video_model"):
        return ".mp4"
    chosen = world.options.picture_format
    if chosen == "mixed":
        chosen = ("jpeg", "png", "webp")[key % 3]
    return ".jpg" if chosen == "jpeg" else f".{chosen}"


def _visible(world: World, call: Call, key: int) -> bool:
    try:
        return bool(tunes.find(world, call, key))
    except RefusedError:
        return False


def _home(world: World, call: Call, params: dict[str, Any]) -> int | None:
    wanted = params.get("workspace_id")
    if wanted is not None and wanted not in world.workspaces:
        raise RefusedError(403, {"error": "You have no access to this workspace"})
    return wanted if wanted is not None else call.home


def _twin(world: World, call: Call, tune: Tune, params: dict[str, Any]) -> Prompt | None:
    wanted = rules.fingerprint(params, tune.id)
    return next(
        (
            prompt
            for prompt in world.prompts.newest()
            if prompt.tune is tune
            and prompt.alive(call.now)
            and call.sees(prompt)
            and rules.fingerprint(prompt.params, tune.id) == wanted
        ),
        None,
    )


def _kept(world: World, value: Any, now: float) -> Any:
    if isinstance(value, Upload):
        return world.keep(value, now)
    return [_kept(world, item, now) for item in value] if isinstance(value, list) else value


def update(world: World, call: Call, tune_id: str, key: str) -> Response:
    """Move a prompt to a pack or a workspace; nothing else of it can change."""
    prompt = find(world, call, key, tune_id)
    params, wrong = rules.coerce(call.group("prompt"))
    if wrong:
        raise RefusedError(422, {"error": "Validation failed: " + ", ".join(wrong)})
    prompt.params |= {key: params[key] for key in ("pack_id", "base_pack_id") if key in params}
    prompt.workspace_id = _home(world, call, params) if "workspace_id" in params else prompt.workspace_id
    prompt.updated_at = call.now
    return Response.of(view(world, prompt, call.now))


def delete(world: World, call: Call, *ids: str) -> Response:
    find(world, call, *reversed(ids)).deleted_at = call.now
    return Response.of({"message": "Prompt successfully deleted"})


def duplicate(world: World, call: Call, key: str) -> Response:
    """Make the same prompt again, with what the call changes."""
    original = find(world, call, key)
    given = {**original.params, **call.group("prompt")}
    prompt = make(world, call, original.tune, given, orig_prompt_id=original.id)
    return Response.of(view(world, prompt, call.now), status=201)


def like(world: World, call: Call, key: str) -> Response:
    find(world, call, key).liked = True
    return Response(status=201)


def unlike(world: World, call: Call, key: str) -> Response:
    find(world, call, key).liked = False
    return Response(status=200)
