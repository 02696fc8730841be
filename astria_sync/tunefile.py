"""tune.toml and urls.txt: how the tune of a folder is made, and what the folders below inherit."""

import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from astria_sync import parameters
from astria_sync.errors import FileProblem
from astria_sync.validate import Either, Line, PositiveInt, Url, check, decode, found, read_toml

# What inherits: the keys of `[tune]` in the configuration too. The empty model type is a checkpoint.
INHERITED: Mapping[str, Any] = {
    # the class noun: woman, dress, shoes …; the word that follows the tune's token in a prompt
    "name": Line,
    # the empty one is a checkpoint, a model of its own; the others are references
    "model_type": Literal["faceid", "lora", "pti", ""],
    # the model that it is trained on
    "base_tune": Either((PositiveInt, Line), "a model's name or a tune id"),
    # a table of what Astria should know of it, sent as JSON; the parents' are added to
    "characteristics": dict[str, Any],
    "auto_extend": bool,  # true: Astria does not delete the tune after its 30 days
    "branch": Literal["flux1", "sd15", "sdxl1", "fast"],  # `fast` is Astria's free mock
    # of the training, for flux1
    "preset": Literal["flux-lora-focus", "flux-lora-portrait", "flux-lora-fast"],
    "steps": Annotated[int, Meta(ge=1, le=100_000)],  # of the training
    "token": Line,  # the word that stands for the subject in a prompt's text
    "face_crop": bool,  # crop the pictures to the faces before the training
    "training_face_correct": bool,  # mend the faces in the pictures before the training
}
# What belongs to one folder alone.
OWN: Mapping[str, Any] = {
    "title": Line,  # the tune's title at Astria; else the folder's name
    # pictures that Astria fetches itself, besides those in the folder
    "image_urls": Annotated[tuple[Url, ...], Meta(description="a list of http(s) URLs")],
    # a pack that is run on these pictures, once
    "pack": Either((Line, PositiveInt), "a pack's slug or id"),
    "id": PositiveInt,  # use this tune, which is there; nothing is uploaded
}
KEYS: Mapping[str, Any] = {**OWN, **INHERITED, "prompt": dict[str, Any]}
# What `[prompt]` takes besides Astria's parameters.
PROMPT_KEYS: Mapping[str, Any] = {"model": Either((PositiveInt, Line), "a model's name or a tune id")}


_PACK = re.compile(r"\w[\w.~-]*")  # it becomes a part of an address


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneFile:
    """What one tune.toml says, checked, nothing filled in."""

    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneSettings:
    title: str | None = None
    name: str | None = None
    model_type: str = "faceid"
    base_tune: str | int | None = None
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    auto_extend: bool | None = None
    branch: str | None = None
    preset: str | None = None
    steps: int | None = None
    token: str | None = None
    face_crop: bool | None = None
    training_face_correct: bool | None = None
    image_urls: tuple[str, ...] = ()
    pack: str | None = None
    id: int | None = None
    prompt: Mapping[str, Any] = field(default_factory=dict)  # parameters, media under the key as written
    prompt_model: str | None = None  # `model` in [prompt]: where prompts go that name none themselves


def parse(data: bytes, *, name: str) -> TuneFile:
    """The checked keys of a tune.toml, or a FileProblem with everything that is wrong with it."""
    table = read_toml(data, where=name)
    values, problems = check(table, KEYS, where=name)
    problems += check_characteristics(values, where=name)
    if "prompt" in values:
        values["prompt"], wrong = check_prompt(values["prompt"], where=f"{name}, [prompt]")
        problems += wrong
    if "pack" in values:
        values["pack"] = str(values["pack"])
        if not _PACK.fullmatch(values["pack"]):
            problems.append(f"{name}: pack must be a pack's slug or id, as in its address at Astria.")
    if "id" in values and "image_urls" in values:
        problems.append(
            f"{name}: id uses a tune that is there, image_urls makes a new one; keep one of them."
        )
    if problems:
        raise FileProblem(*problems)
    return TuneFile(values=values)


def check_prompt(table: Mapping[str, Any], *, where: str) -> tuple[dict[str, Any], list[str]]:
    """Defaults for prompts, as `[prompt]` in tune.toml and in the configuration gives them."""
    values, problems = parameters.check_params(table, where=where, also=PROMPT_KEYS)
    if "text" in table:
        problems.append(f"{where}: text cannot be a default; write it in the .prompt file.")
    if "model" in values:
        values["model"] = str(values["model"])
    return values, problems


def check_characteristics(values: Mapping[str, Any], *, where: str) -> Iterator[str]:
    """They are sent as JSON, which has no dates and no infinite numbers."""
    for key, value in values.get("characteristics", {}).items():
        if not _is_json(value):
            yield f"{where}: characteristics.{key} must be text, a number, true or false, or lists of them, not {found(value)}."


def merge(chain: Sequence[TuneFile | None], *, defaults: Mapping[str, Any]) -> TuneSettings:
    """What holds for a folder.

    `chain[0]` is the folder's own file, the nearest parent's follows, and so on up to the root; None where a folder has
    none. `defaults` lie under them all, in the shape of a tune.toml: `[tune]` of the configuration, with `prompt` in it.
    """
    tables = [dict(file.values) if file else {} for file in chain]
    for inherited in tables[1:]:
        for key in OWN:
            inherited.pop(key, None)
    merged = functools.reduce(_over, reversed(tables), {**defaults})
    prompt = dict(merged.pop("prompt", {}))
    known = {one.name for one in fields(TuneSettings)}
    return TuneSettings(
        **{key: value for key, value in merged.items() if key in known},
        prompt_model=prompt.pop("model", None),
        prompt=prompt,
    )


def parse_urls(data: bytes, *, name: str) -> tuple[str, ...]:
    """The URLs of a urls.txt, one a line; blank lines and `#` comments are skipped."""
    urls: list[str] = []
    problems: list[str] = []
    for number, line in enumerate(decode(data, where=name).split("\n"), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) == 1 or words[1].startswith("#"):
            try:
                urls.append(msgspec.convert(words[0], Url))
                continue
            except msgspec.ValidationError:
                pass
        problems.append(
            f"{name}, line {number}: this is no http(s) URL; write one a line, comments after a #."
        )
    if problems:
        raise FileProblem(*problems)
    return tuple(urls)


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**under, **over}
    merged["characteristics"] = {**under.get("characteristics", {}), **over.get("characteristics", {})}
    merged["prompt"] = parameters.overlay(under.get("prompt", {}), over.get("prompt", {}))
    return merged


def _is_json(value: Any) -> bool:
    match value:
        case dict():
            return all(_is_json(item) for item in value.values())
        case list():
            return all(_is_json(item) for item in value)
        case float():
            return value - value == 0  # neither infinite nor "not a number"
        case _:
            return not isinstance(value, dt.date | dt.time)
