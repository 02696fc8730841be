"""A .prompt file: plain text, optionally under a block of YAML, as the requests that it asks for.

One file is one request, or one for each combination of its `matrix:`. A request carries a fingerprint of everything
that the file itself asks for in it: two spellings of the same wish have the same one, so that touching, re-saving or
commenting a file never pays again, and a value added to a matrix leaves the other requests alone.
"""

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from astria_sync import frontmatter, parameters
from astria_sync.errors import FileProblem
from astria_sync.frontmatter import Scalar, Value
from astria_sync.transient import EACH
from astria_sync.validate import Line, decode

MAX_REQUESTS = 10_000
MAX_BYTES = 1 << 20
MAX_CHARACTERS = 50_000_000  # of all the requests of a file together: a long text times a large matrix

# What is counted on here: how a request is recognised, and what it costs.
_NEVER_EXTRA = frozenset({"text", "seed", "num_images"})
_OWN_KEYS: Mapping[str, Any] = {
    "model": Annotated[Line, Meta(description="a model's name, a tune id or the name of an image folder")],
    "extra": dict[str, Any],
    "matrix": dict[str, Any],
}
_Axis = list[tuple[str, Any]]  # each value as it stands in the text, and as a parameter


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptRequest:
    variant: Mapping[str, str]  # the matrix values of this combination, as they are written
    model: str | None
    text: str  # stripped; `\\<` and `{{…}}` as written
    params: Mapping[str, Any]  # without `text`; media given as URLs under their `_url` name
    files: Mapping[str, tuple[str, ...]]  # media given as paths, as written, in their order
    extra: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptFile:
    requests: tuple[PromptRequest, ...]
    front_lines: int  # lines before the text, both `---` included


def parse(data: bytes, *, name: str) -> PromptFile:
    """The requests of a file, or a FileProblem with everything that is wrong with it.

    What depends on the model or on defaults from elsewhere, a missing text too, is for `parameters.limits` to tell.
    """
    if len(data) > MAX_BYTES:
        raise FileProblem(f"{name} is larger than 1 MiB, which no prompt is; is it another kind of file?")
    block, body, front_lines = _split(decode(data, where=name), name)
    front = frontmatter.read(block, name=name, first_line=2)
    table = {key: frontmatter.plain(value, text=_is_text(key)) for key, value in front.items()}
    common, problems = parameters.check_params(table, where=name, also=_OWN_KEYS)
    extra, matrix = common.pop("extra", {}), common.pop("matrix", {})
    wording = body if body.strip() else common.get("text", "")
    axes, axis_problems = _axes(front.get("matrix") if matrix else None, wording, where=f"{name}, matrix")
    problems += axis_problems
    problems += _contradictions(table, axes, extra, body, where=name)
    if problems:
        raise FileProblem(*dict.fromkeys(problems))
    requests: list[PromptRequest] = []
    room = MAX_CHARACTERS
    for request in _requests(common, axes, extra, wording):
        requests.append(request)
        room -= len(request.text)
        if room < 0:
            raise FileProblem(f"{name}: the text is too long for a matrix of this size; split the file.")
    return PromptFile(requests=tuple(requests), front_lines=front_lines)


def _split(text: str, name: str) -> tuple[str, str, int]:
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    if lines[first].rstrip() != "---":
        return "", text, 0
    for number, line in enumerate(lines[first + 1 :], start=first + 1):
        if line.rstrip() == "---":
            # The blank lines above stay, so that what is wrong is told with the line of the file.
            return (
                "\n" * first + "\n".join(lines[first + 1 : number]),
                "\n".join(lines[number + 1 :]),
                number + 1,
            )
    raise FileProblem(
        f'{name}, line {first + 1}: the block that begins here is never closed; end it with a line "---".'
    )


def _is_text(key: str) -> bool:
    return key not in {"extra", "matrix"} and parameters.is_text(key)


def _axes(matrix: Value | None, wording: str, *, where: str) -> tuple[dict[str, _Axis], list[str]]:
    axes: dict[str, _Axis] = {}
    problems: list[str] = []
    for key, values in matrix.items() if isinstance(matrix, dict) else ():
        if not isinstance(values, list) or not values:
            problems.append(
                f"{where}: {key} must be a list with at least one value, such as {key}: [one, two]."
            )
        elif key not in parameters.TYPES and key != "model" and not _is_used(key, wording):
            problems.append(f"{where}: {key} is no parameter, and {{{key}}} stands nowhere in the text.")
        elif key in {"extra", "matrix", EACH}:
            problems.append(f"{where}: {key} cannot stand here.")
        else:
            axes[key], wrong = _axis(key, values, where=where)
            problems += wrong
    count = math.prod(len(axis) for axis in axes.values())
    if count > MAX_REQUESTS:
        problems.append(
            f"{where}: this makes {count:,} requests; the most that one file may ask for is {MAX_REQUESTS:,}."
        )
    return axes, problems


def _axis(key: str, values: list[Value], *, where: str) -> tuple[_Axis, list[str]]:
    axis: dict[str, tuple[str, Any]] = {}
    problems: list[str] = []
    for value in values:
        if key in parameters.TYPES or key == "model":
            good, wrong = parameters.check_params(
                {key: frontmatter.plain(value, text=_is_text(key))}, where=where, also=_OWN_KEYS
            )
            problems += wrong
            if not wrong:
                axis.setdefault(_canonical(good[key]), (_shown(value), good[key]))
        elif isinstance(value, Scalar) and value.value is not None:
            axis.setdefault(value.source, (value.source, None))
        else:
            problems.append(f"{where}: each value of {key} must be text or a number.")
    return list(axis.values()), problems


def _shown(value: Value) -> str:
    if isinstance(value, Scalar):
        return value.source
    return ", ".join(_shown(item) for item in value) if isinstance(value, list) else ""


def _contradictions(
    table: Mapping[str, Any], axes: Mapping[str, _Axis], extra: Mapping[str, Any], body: str, *, where: str
) -> Iterator[str]:
    """What is said twice in one file: which of the two was meant, only the person knows."""
    for key in axes:
        if key in table:
            yield f"{where}: {key} is given both alone and under matrix; keep one of them."
    names = [key for key in (*table, *axes) if key not in _OWN_KEYS]
    yield from parameters.clashes(names, where=where)
    if body.strip() and ("text" in table or ("text" in axes and not _is_used("text", body))):
        yield f"{where}: there is a text below the block and one in it; keep one of them."
    for key, value in extra.items():
        if not _can_be_sent(value):
            yield (
                f"{where}: {key} under extra is, or holds, something that no form can say (nothing, an empty list or table, "
                "a list or table within a list); fill it in, or take it out."
            )
        if key in names or key in _NEVER_EXTRA:
            yield f"{where}: {key} under extra is a parameter of its own; write it once, outside of extra."


def _can_be_sent(value: Any) -> bool:
    """Whether a form has words for it: scalars, lists of scalars, and tables of these."""
    if isinstance(value, dict):
        return bool(value) and all(_can_be_sent(entry) for entry in value.values())
    if isinstance(value, list):
        return bool(value) and all(not isinstance(entry, dict | list | None) for entry in value)
    return value is not None


def _requests(
    common: Mapping[str, Any], axes: Mapping[str, _Axis], extra: Mapping[str, Any], wording: str
) -> Iterator[PromptRequest]:
    seen: set[str] = set()
    for values in itertools.product(*axes.values()):
        chosen = dict(zip(axes, values, strict=True))
        variant = {key: shown for key, (shown, _) in chosen.items()}
        params = {**common, **{key: value for key, (_, value) in chosen.items() if value is not None}}
        request = _request(params, variant, extra, wording)
        # Two ways to fill in the blanks can give the same words: that is one request, not two to pay for.
        if request.fingerprint not in seen:
            seen.add(request.fingerprint)
            yield request


def _request(
    params: dict[str, Any], variant: Mapping[str, str], extra: Mapping[str, Any], wording: str
) -> PromptRequest:
    model = params.pop("model", None)
    alone = params.pop("text", "")
    text = _fill(wording or alone, variant).strip()
    fields, files = parameters.split_files(params)
    wish = {"text": text, "model": model, "params": fields, "files": files, "extra": extra}
    return PromptRequest(
        variant=variant,
        model=model,
        text=text,
        params=fields,
        files=files,
        extra=extra,
        fingerprint=fingerprint(wish),
    )


def fingerprint(wish: Mapping[str, Any]) -> str:
    """What a request asks for (`text`, `model`, `params`, `files`, `extra`), as 64 hexadecimal digits."""
    return hashlib.sha256(_canonical(wish).encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _blanks(names: tuple[str, ...]) -> re.Pattern[str]:
    """`{{…}}` is Astria's and passed over as a whole; then `{name}` for the names of the matrix."""
    return re.compile(
        r"\{\{(?:(?!\{\{|\}\}).)*\}\}|\{(" + "|".join(re.escape(name) for name in names) + r")\}", re.DOTALL
    )


def _is_used(name: str, body: str) -> bool:
    return any(match[1] for match in _blanks((name,)).finditer(body))


def _fill(body: str, variant: Mapping[str, str]) -> str:
    if not variant:
        return body
    return _blanks(tuple(variant)).sub(lambda match: variant[match[1]] if match[1] else match[0], body)
