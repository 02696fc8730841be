"""Pictures that the prompts beside them take along: of those alone a folder is no image folder, since a pose is no subject."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from astria_sync import parameters, promptfile
from astria_sync.core.model import FolderSight, Look, Source
from astria_sync.errors import FileProblem
from astria_sync.sights import stamp_of

# Folders of a root, by their paths, of which nobody can tell whether they are image folders.
DOUBTFUL: Final = (
    "root = ? AND path IN (SELECT value FROM json_each(?)) AND kind = 'folder' "
    "AND missing_since IS NULL AND json_extract(settings, '$.doubt') IS NOT NULL"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What the prompts of a folder say of the pictures beside them."""

    only: bool = False  # every picture is an input
    doubt: str = ""  # why nobody can tell: a prompt that names the others cannot be understood
    prompts: Mapping[str, str]  # each prompt's stamp, as it was read


def look(
    folder: Path, pictures: Collection[str], prompts: Sequence[str], named: Collection[str] = ()
) -> Inputs:
    """Read the prompts of a folder for the pictures that they use; `named`: those that its settings name for all of them."""
    used = _here(named, folder)
    faulty: dict[str, bytes | None] = {}
    read_at: dict[str, str] = {}
    for name in prompts if pictures else ():
        try:
            read_at[name] = stamp_of([(name, os.stat(folder / name))])
            with open(folder / name, "rb") as file:
                read = file.read(promptfile.MAX_BYTES + 1)
        except FileNotFoundError:
            continue
        except OSError:
            faulty[name] = None
            continue
        try:
            used |= _used(promptfile.parse(read, name=name), folder)
        except FileProblem:
            faulty[name] = read
    others = set(pictures) - used
    return Inputs(only=bool(pictures) and not others, doubt=_doubt(others, faulty), prompts=read_at)


def _used(parsed: promptfile.PromptFile, folder: Path) -> set[str]:
    """Files of this folder, however their way is written: `../looks/pose.jpg` may be the one beside it."""
    return _here([part for one in parsed.requests for parts in one.files.values() for part in parts], folder)


def _here(written: Collection[str], folder: Path) -> set[str]:
    return {os.path.relpath(folder / part, folder) for part in written}


def named(prompt: Mapping[str, Any]) -> tuple[str, ...]:
    """Files that the `[prompt]` of settings has every prompt take along, also one that is dropped later."""
    files = parameters.split_files(prompt)[1]
    return tuple(sorted({part for parts in files.values() for part in parts}))


def known(source: Source, sight: FolderSight, now: tuple[str, ...]) -> bool:
    """Whether a folder's pictures are those that were read before, and were taken for a subject's; `now`: what is `named` now."""
    read = source.content and source.stamp and source.settings.get("read") == sight.stamp
    return bool(read) and source.is_image_folder and named(source.settings.get("prompt", {})) == now


def _doubt(pictures: Collection[str], faulty: Mapping[str, bytes | None]) -> str:
    """A sentence if all of these pictures may be inputs of prompts that are wrong: a tune of them may be one that nobody wants."""
    named: dict[str, str] = {}
    for picture in sorted(pictures):
        for prompt, data in faulty.items():
            if data is None or os.fsencode(picture) in data:
                named[picture] = prompt
    if not pictures or len(named) < len(pictures):
        return ""
    picture, prompt = next(iter(named.items()))
    return (
        f"{picture} may be an input of {prompt}, which is wrong: until that is mended nobody can tell whether a tune is to be made of "
        f"this folder, and none is; mend {prompt}, or move the pictures of the tune into a folder of their own."
    )


def paths(look: Look) -> str:
    """The folders that a look shows, as a question of the journal takes them."""
    return json.dumps([folder.path for folder in look.folders])


def stamps(look: Look, path: str) -> dict[str, str] | None:
    """The same of the prompts that a look shows in that folder; None if it did not look there."""
    for folder in look.folders:
        if folder.path == path:
            return {one.path.rpartition("/")[2]: one.stamp for one in folder.prompts}
    return None
