"""What models are called: by the configuration, and by Astria, whose list lies beside the state, so that names mean the same
offline and in every command.

The file has what Astria said, word for word, and is read with as much suspicion as an answer.
"""

import json
import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from astria_sync.core.catalog import Catalog, read_catalog
from astria_sync.settings import MODEL_ID, Models
from astria_sync.validate import check

if TYPE_CHECKING:
    from astria_sync.core.retry import Answer, NoAnswer

PATH: Final = "/cli/models"
FORMER: Final = "former_models"  # in the journal: name → the tune ids that it meant before
_ENVIRONMENT: Final = {"GEMINI_TUNE_ID": "gemini", "SEEDREAM_TUNE_ID": "seedream"}
_VERSION: Final = 1
_LARGEST: Final = 1 << 20  # bytes of the file


@dataclass(frozen=True, kw_only=True)
class Known:
    """What Astria said last, and when."""

    catalog: Catalog
    answer: Any
    at: float  # wall clock
    left_out: int = 0  # entries that cannot be used


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """It could not be asked, or said nothing that can be used."""

    why: str
    odd: bool = False  # it did answer


def configured(
    table: Mapping[str, Any],
    environ: Mapping[str, str],
    known: Known | None,
    *,
    where: str,
    any_model: bool = False,
) -> tuple[Models, list[str]]:
    """`[models]` and the environment, which come before what Astria said; and a sentence for all that is wrong.

    `any_model`: the default may be a name that is not known (yet).
    """
    given = {key: value for key, value in table.items() if key != "default"}
    default = table.get("default", Models.default)
    ids, wrong = check(given, dict.fromkeys(given, MODEL_ID), where=where)
    wrong += [
        f"{where}: {name} is a number, which cannot be a model's name." for name in given if name.isdecimal()
    ]
    for variable, name in _ENVIRONMENT.items():
        if value := environ.get(variable, "").strip():
            good, bad = check({name: value}, {name: MODEL_ID}, where=f"${variable}")
            ids |= good
            wrong += bad
    own = {name: int(one) for name, one in ids.items()}
    models = Models(default=str(default), own=own, catalog=known.catalog if known else Catalog())
    if isinstance(default, bool) or not isinstance(default, str | int):
        wrong.append(f"{where}: default must be the name of a model or a tune id.")
    elif models.id_of(default) is None and not any_model:
        wrong.append(
            f"{where}: default must be the name of a model or a tune id, and {json.dumps(str(default))} is neither; "
            f"{models.meant(default)} `astria-sync models` asks Astria which there are."
        )
    return models, wrong


def place(state: Path) -> Path:
    """Beside the state: each configuration may speak with another Astria."""
    return state.with_name(state.name + ".models.json")


def load(state: Path, base_url: str) -> Known | None:
    """What was said last by whoever answers at `base_url`; None if that is not known, whatever lies there."""
    try:
        found = json.loads(_read(place(state)))
        if found["version"] != _VERSION or found["base_url"] != base_url:
            return None
        catalog, left_out = read_catalog(found["answer"])
        at = float(found["asked_at"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    return Known(catalog=catalog, answer=found["answer"], at=at, left_out=left_out) if catalog else None


def ask(
    get: "Callable[..., Answer | NoAnswer]", state: Path, base_url: str, *, wall: float
) -> Known | Unknown:
    """Ask Astria (`get` is Api's), without the token, and keep what it says. A disk that takes no file changes nothing of the answer."""
    from astria_sync.core.retry import Answer, Verdict, judge_read, message

    answer = get(PATH, anonymous=True)
    if not isinstance(answer, Answer):
        return Unknown(why=answer.why)
    if judge_read(answer) is not Verdict.OK:
        return Unknown(why=f"HTTP {answer.status}: {' '.join(message(answer).split())[:200]}")
    catalog, left_out = read_catalog(answer.body)
    if catalog is None:
        return Unknown(why="the answer is no list of models", odd=True)
    kept = {"version": _VERSION, "base_url": base_url, "asked_at": wall, "answer": answer.body}
    data = json.dumps(kept, ensure_ascii=True).encode()
    if len(data) > _LARGEST:
        return Unknown(why="the answer is larger than any list of models", odd=True)
    with suppress(OSError):
        _write(place(state), data)
    return Known(catalog=catalog, answer=answer.body, at=wall, left_out=left_out)


def stamp(state: Path) -> tuple[int, int]:
    """Changes when somebody has asked."""
    try:
        info = place(state).stat()
    except OSError:
        return 0, 0
    return info.st_ino, info.st_mtime_ns


def _read(path: Path) -> bytes:
    # Not waiting, should a pipe lie in its place.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("no file")
        return file.read(_LARGEST + 1)


def _write(path: Path, data: bytes) -> None:
    """Put in place whole, readable by its owner alone; what a crash left behind goes with the next."""
    from astria_sync.core.naming import temporary_name
    from astria_sync.disk import create_private_file, make_private_folder

    make_private_folder(path.parent)
    part = path.with_name(temporary_name(path.name))
    part.unlink(missing_ok=True)
    try:
        create_private_file(part)
        with part.open("r+b") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
