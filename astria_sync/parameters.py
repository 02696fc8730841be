"""The parameters of Astria's create-prompt call: the one table of their names, types and ranges.

Used wherever they can be written: a .prompt's block, `[prompt]` in tune.toml and in the configuration. New ones appear
at Astria almost weekly; until they are in this table they go through `extra:`.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from astria_sync.validate import Either, Id, Line, NonEmpty, Url, check

ASPECT_RATIOS = ("1:1", "16:9", "9:16", "21:9", "9:21", "3:2", "2:3", "5:4", "4:5", "4:3", "3:4")

Kind = Literal["plain", "text", "file", "files"]

_Eighths = Annotated[int, Meta(gt=0, multiple_of=8)]
_Strength = Annotated[float, Meta(ge=-10, le=10)]
# What the documentation does not pin down is passed on as it is written.
_Scalar = Either(
    (bool, Annotated[int, Meta(ge=-(10**15), le=10**15)], Annotated[float, Meta(ge=-1e15, le=1e15)], Line),
    "text, a number, or true or false",
)
_Media = Annotated[
    str,
    Meta(
        pattern=r"^(?:(?i:https?)://[^\s/?#]+[^\s\x00-\x1f]*|(?![A-Za-z][\w+.-]+://|(?i:data|file|https?|ftp):)[^\x00-\x1f]*[^\x00-\x20][^\x00-\x1f]*)\Z",
        description="the path of a file or an http(s) URL",
    ),
]


@dataclass(frozen=True, slots=True)
class Parameter:
    type: Any
    kind: Kind = "plain"
    url_key: str = ""  # for a file: the parameter that takes a URL instead


def _one_or_more(kind: Any, words: str) -> Either:
    return Either((kind, Annotated[tuple[kind, ...], Meta(min_length=1)]), f"a list of {words}")


def _text(type_: Any = Line) -> Parameter:
    return Parameter(type_, "text")


def _file(name: str) -> Parameter:
    return Parameter(_Media, "file", f"{name}_url")


PARAMETERS: Mapping[str, Parameter] = {
    "text": _text(NonEmpty),  # the words; else what stands below the block
    "num_images": Parameter(Annotated[int, Meta(ge=1, le=8)]),  # how many pictures; Seedream makes 1 to 4
    # where chance begins; one is drawn and written down if none is given
    "seed": Parameter(Annotated[int, Meta(ge=0, le=2**32)]),
    # of the pictures
    "aspect_ratio": _text(
        Annotated[Literal[ASPECT_RATIOS], Meta(description="one of " + ", ".join(ASPECT_RATIOS))]
    ),
    "resolution": _text(),  # `1K`, `2K`, `4K`, where the model has it (`astria-sync models`)
    "negative_prompt": _text(NonEmpty),  # what is not to be seen
    "super_resolution": Parameter(bool),  # enlarge the picture
    "inpaint_faces": Parameter(bool),  # paint small faces anew
    "hires_fix": Parameter(bool),  # more detail in a picture that is enlarged
    "face_correct": Parameter(bool),  # mend faces
    "face_swap": Parameter(bool),  # put the subject's face into the picture
    "cfg_scale": Parameter(Annotated[float, Meta(ge=0, le=15)]),  # how closely the text is followed
    "steps": Parameter(Annotated[int, Meta(ge=0, le=50)]),  # of the generation
    "use_lpw": Parameter(bool),  # words may have weights, `(red:1.3)`
    "w": Parameter(_Eighths),  # width in pixels
    "h": Parameter(_Eighths),  # height in pixels
    "scheduler": _text(),  # the sampler
    "backend_version": Parameter(_Scalar),  # passed on as it is written
    "style": _text(),  # one of Astria's styles
    "prompt_expansion": Parameter(_Scalar),  # passed on as it is written
    "theme": _text(NonEmpty),  # words that Astria writes the text from
    "color_grading": _text(),  # one of Astria's gradings
    "film_grain": Parameter(bool),  # add grain
    "community": Parameter(_Scalar),  # passed on as it is written
    "workspace_id": _text(Id),  # the workspace it is put into
    "ar": _text(),  # the old name of `aspect_ratio`
    "controlnet": _text(),  # what of `input_image` steers the picture: `pose`, `depth`, `canny` …
    "denoising_strength": Parameter(_Strength),  # how far it may leave `input_image`
    "controlnet_conditioning_scale": Parameter(_Strength),  # how much `controlnet` counts
    "controlnet_txt2img": Parameter(bool),  # from text to picture, steered by `controlnet`
    "lora_scale": Parameter(_Strength),  # how much the LoRAs count
    "input_image": _file("input_image"),  # the picture to start from
    "mask_image": _file("mask_image"),  # where `input_image` is to be painted anew
    "pack_id": _text(Id),  # the pack that it belongs to
    "base_pack_id": _text(Id),  # the pack that that one was made from
    "video_model": _text(),  # make a video with this model; it wants a `video_prompt`
    "video_prompt": _text(NonEmpty),  # what happens in the video
    "video_duration": Parameter(_Scalar),  # how long it is
    "video_audio": Parameter(_Scalar),  # whether it has sound
    "video_upscale_model": _text(),  # enlarge the video with this model
    "video_upscale_target_resolution": _text(),  # to this size
    "video_fps_model": Parameter(_Scalar),  # more pictures a second with this model
    # pictures to go by, in this order; files or URLs, not both
    "image_references": Parameter(
        _one_or_more(_Media, "paths of files or http(s) URLs"), "files", "image_reference_urls"
    ),
    "video_first_frame": _file("video_first_frame"),  # the picture that the video starts with
    "video_last_frame": _file("video_last_frame"),  # the one that it ends with
    "source_image_url": _text(Url),  # the picture to make a video of
    "input_video": _file("input_video"),  # the video to start from
    "audio_reference": _file("audio_reference"),  # a sound to go by
    "callback": _text(Url),  # an address that Astria calls when it is done; astria-sync needs none
}

MEDIA: Mapping[str, Parameter] = {name: one for name, one in PARAMETERS.items() if one.url_key}
# Every legal key with its type, the `_url` twins of the files among them.
TYPES: Mapping[str, Any] = {name: one.type for name, one in PARAMETERS.items()} | {
    one.url_key: Url if one.kind == "file" else _one_or_more(Url, "http(s) URLs") for one in MEDIA.values()
}

# A generation that starts from one of these may do without text.
_STARTS = ("video_first_frame", "video_first_frame_url", "source_image_url")
SUBJECT = re.compile(r"(?<!\\)<1>")


def is_text(name: str) -> bool:
    """Whether `90`, written bare in YAML, is text for this key and not a number."""
    return name not in PARAMETERS or PARAMETERS[name].kind != "plain"


def is_url(value: str) -> bool:
    return value.lower().startswith(("http://", "https://"))


def check_params(
    table: Mapping[str, Any], *, where: str, also: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The parameters that fit, and a sentence for each that does not; `also` are further keys legal in this place.

    Media stay under the key they were written with; lists of them are tuples, also where one alone was written.
    """
    good, problems = check(table, {**TYPES, **(also or {})}, where=where)
    for name, one in MEDIA.items():
        for key in (name, one.url_key):
            if one.kind == "files" and isinstance(good.get(key), str):
                good[key] = (good[key],)
        if one.kind == "files" and len({is_url(value) for value in good.get(name, ())}) > 1:
            problems.append(
                f"{where}: {name} mixes files and URLs; Astria takes the one or the other, so upload or link them all."
            )
    return good, problems + clashes(table, where=where)


def clashes(names: Collection[str], *, where: str) -> list[str]:
    """Media given twice, as a file and as a URL."""
    return [
        f"{where}: {name} and {one.url_key} are both given; keep one of them."
        for name, one in MEDIA.items()
        if name in names and one.url_key in names
    ]


def split_files(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """Checked parameters, apart: what is sent as a field, URLs under their `_url` name, and local paths as written."""
    fields: dict[str, Any] = {}
    files: dict[str, tuple[str, ...]] = {}
    for name, value in params.items():
        if name not in MEDIA:
            fields[name] = value
            continue
        paths = (value,) if isinstance(value, str) else tuple(value)
        if is_url(paths[0]):
            fields[MEDIA[name].url_key] = value
        else:
            files[name] = paths
    return fields, files


def overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults, and what comes before them; a file there displaces the URL here that stands for the same thing."""
    hidden = {one.url_key for name, one in MEDIA.items() if name in over}
    hidden |= {name for name, one in MEDIA.items() if one.url_key in over}
    return {key: value for key, value in under.items() if key not in hidden} | dict(over)


def limits(
    params: Mapping[str, Any], text: str, *, model_name: str | None, resolutions: Collection[str] = ()
) -> list[str]:
    """What Astria would refuse, as far as it is known beforehand; sentences without a file's name.

    `params` is everything that would be sent, files under their own names; `text` as it would be sent, so that a `<1>`
    in it is one that nothing local stands for; `model_name` is the model's name, if it has one; `resolutions` those that
    the model is known to have.
    """
    _, problems = check_params(
        {name: _alone(name, value) for name, value in params.items() if name in TYPES}, where="This request"
    )
    if not text.strip() and not any(name in params for name in _STARTS):
        problems.append(
            "There is no text: write the prompt below the block, or on its own if there is no block."
        )
    if "video_model" in params and "video_prompt" not in params:
        problems.append("video_model makes a video and wants a video_prompt that says what happens in it.")
    wanted = params.get("resolution")
    if resolutions and wanted is not None and wanted not in resolutions:
        problems.append(
            f"resolution: {wanted} is none that {model_name or 'the model'} has; it has {', '.join(resolutions)} "
            "(`astria-sync models` asks Astria anew)."
        )
    if model_name and model_name.lower().startswith("seedream"):
        problems += _seedream(params, text)
    return problems


def _alone(name: str, value: Any) -> Any:
    single = (
        name in MEDIA and MEDIA[name].kind == "file" and isinstance(value, tuple | list) and len(value) == 1
    )
    return value[0] if single else value


def _seedream(params: Mapping[str, Any], text: str) -> list[str]:
    problems = []
    number = params.get("num_images", 1)
    if isinstance(number, int) and 4 < number <= 8:
        problems.append(f"Seedream makes 1 to 4 images at a time, not {number}; lower num_images.")
    if SUBJECT.search(text):
        problems.append("Seedream does not know <1>; mention the subject by the name of its folder.")
    return problems
