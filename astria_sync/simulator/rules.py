"""What a prompt's parameters may be, and what the service says when they are something else."""

import re
from collections.abc import Callable
from typing import Any

from astria_sync.simulator import catalog
from astria_sync.simulator.records import Tune
from astria_sync.simulator.world import truth

RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "3:2", "2:3", "5:4", "4:5", "4:3", "3:4")
ANY_RESOLUTION = ("1K", "2K", "4K")
INTEGERS = (
    "num_images",
    "seed",
    "steps",
    "w",
    "h",
    "video_duration",
    "pack_id",
    "base_pack_id",
    "workspace_id",
)
FLOATS = ("cfg_scale", "denoising_strength", "controlnet_conditioning_scale", "lora_scale")
BOOLEANS = (
    "super_resolution",
    "inpaint_faces",
    "hires_fix",
    "face_correct",
    "face_swap",
    "use_lpw",
    "prompt_expansion",
    "film_grain",
    "community",
    "controlnet_txt2img",
    "video_audio",
)
RANGES: dict[str, tuple[float, float]] = {
    "num_images": (1, 8),
    "seed": (0, 2**32),
    "steps": (0, 50),
    "cfg_scale": (0, 15),
    "denoising_strength": (0, 1),
    "controlnet_conditioning_scale": (0, 1),
}
MENTION = re.compile(r"<(faceid|lora):(\d+):([0-9.]+)>")

# Documented word for word; what is not in it does not make two prompts different.
IDEMPOTENT = (
    "text",
    "tune_id",
    "cfg_scale",
    "steps",
    "seed",
    "callback",
    "negative_prompt",
    "super_resolution",
    "face_correct",
    "ar",
    "num_images",
    "controlnet",
    "denoising_strength",
    "use_lpw",
    "controlnet_conditioning_scale",
    "w",
    "h",
    "hires_fix",
    "scheduler",
    "controlnet_txt2img",
    "inpaint_faces",
)


def coerce(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Make numbers and booleans of what forms carry as text; also what could not be made so."""
    params: dict[str, Any] = {}
    wrong: list[str] = []
    kinds: list[tuple[tuple[str, ...], Callable[[Any], Any]]] = [
        (INTEGERS, lambda value: int(str(value))),
        (FLOATS, lambda value: float(str(value))),
        (BOOLEANS, truth),
    ]
    convert = {name: make for names, make in kinds for name in names}
    for name, value in given.items():
        try:
            params[name] = None if value in ("", None) else convert.get(name, _same)(value)
        except ValueError:
            wrong.append(f"{_human(name)} is not a number")
    return params, wrong


def _same(value: Any) -> Any:
    return value


def _human(name: str) -> str:
    return name.replace("_", " ").capitalize()


def problems(params: dict[str, Any], tune: Tune, root: int, visible: Callable[[int], bool]) -> list[str]:
    """List everything that is wrong, in the service's words."""
    wrong = [
        f"{_human(name)} must be between {low:g} and {high:.0f}"
        for name, (low, high) in RANGES.items()
        if params.get(name) is not None and not low <= params[name] <= high
    ]
    wrong += _text(params, root, visible)
    wrong += _size(params, ANY_RESOLUTION if tune.free else catalog.RESOLUTIONS.get(root, ()))
    wrong += _inputs(params)
    if tune.is_reference and not tune.free:
        wrong.append(
            f"Tune is a {tune.model_type}: send the prompt to its base model and mention it in the text"
        )
    if root == catalog.SEEDREAM and (params.get("num_images") or 1) > 4:
        wrong.append("Num images must be between 1 and 4 for Seedream")
    return wrong


def _text(params: dict[str, Any], root: int, visible: Callable[[int], bool]) -> list[str]:
    text = str(params.get("text") or "")
    mentions = text + " " + str(params.get("video_prompt") or "")
    wrong = []
    if not text.strip() and not params.get("video_model"):
        wrong.append("Text can't be blank")
    if root == catalog.SEEDREAM and "<1>" in text:
        wrong.append("Text must not contain <1> for Seedream")
    for kind, tune_id, _ in MENTION.findall(mentions):
        if not visible(int(tune_id)):
            wrong.append(f"Text mentions {kind} {tune_id}, which does not exist")
    return wrong


def _size(params: dict[str, Any], allowed: tuple[str, ...]) -> list[str]:
    wrong = []
    if params.get("aspect_ratio") is not None and params["aspect_ratio"] not in RATIOS:
        wrong.append("Aspect ratio is not included in the list")
    if params.get("resolution") is not None and params["resolution"] not in allowed:
        wrong.append(f"Resolution is not supported by this model ({', '.join(allowed) or 'none is'})")
    wrong += [
        f"{name.upper()} must be a multiple of 8"
        for name in ("w", "h")
        if params.get(name) and params[name] % 8
    ]
    return wrong


def _inputs(params: dict[str, Any]) -> list[str]:
    wrong = []
    if params.get("controlnet") and not (params.get("input_image") or params.get("input_image_url")):
        wrong.append("Input image can't be blank when controlnet is set")
    if params.get("image_references") and params.get("image_reference_urls"):
        wrong.append("Image references and image reference urls cannot be mixed")
    if params.get("video_model") and not params.get("video_prompt"):
        wrong.append("Video prompt can't be blank")
    return wrong


def fingerprint(params: dict[str, Any], tune_id: int) -> tuple[Any, ...]:
    """Give what the documented attribute list says about two prompts being the same."""
    known = {**params, "tune_id": tune_id}
    return tuple(known.get(name) or None for name in IDEMPOTENT)


def mentioned(params: dict[str, Any]) -> list[int]:
    text = f"{params.get('text') or ''} {params.get('video_prompt') or ''}"
    return [int(tune_id) for _, tune_id, _ in MENTION.findall(text)]
