"""Local packs: a prompt file in a folder `_each` is asked for once for every image folder below the folder that holds it.

Its orders are rows of the one file, each with the image folder as its subject; so a folder that is renamed keeps its own.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from astria_sync import mocks, promptfile
from astria_sync.core.model import Prompt, Source
from astria_sync.folders import parent
from astria_sync.journal import Journal
from astria_sync.promptfile import fingerprint
from astria_sync.transient import EACH

NESTED: Final = "{path} lies in a folder below _each, where nothing is run; put it directly into _each."
NOBODY: Final = "waits for an image folder below {folder}"
FILES: Final = (
    f"kind = 'prompt' AND missing_since IS NULL AND (path GLOB '{EACH}/*' OR path GLOB '*/{EACH}/*')"
)


def is_each(path: str) -> bool:
    """Whether a prompt file belongs to a local pack."""
    return EACH in path.split("/")[:-1]


def is_nested(path: str) -> bool:
    """Whether it lies somewhere below `_each`, not directly in it."""
    return is_each(path) and parent(path).rpartition("/")[2] != EACH


def holder(path: str) -> str:
    """The folder that holds the `_each` of a prompt file."""
    return parent(parent(path))


def folders(journal: Journal, source: Source) -> list[Source]:
    """The image folders that a local pack's prompt is run for: those that were read and are there."""
    if not is_each(source.path) or is_nested(source.path):
        return []
    here = (
        "kind = 'folder' AND is_image_folder = 1 AND missing_since IS NULL AND (stamp != '' OR content != '')"
    )
    found = journal.sources(f"root = ? AND {here} ORDER BY path", [source.root])
    return [folder for folder in found if _is_for(source, folder)]


def _is_for(source: Source, folder: Source) -> bool:
    """Whether a folder of the same root lies below the one that holds the `_each` of this file."""
    above = holder(source.path)
    below = folder.path != "." if above == "." else folder.path.startswith(above + "/")
    return below and EACH not in folder.path.split("/")


def coming(journal: Journal, files: Collection[int]) -> int:
    """How many requests local packs will add for folders that are there and not read yet."""
    unread = (
        "kind = 'folder' AND is_image_folder = 1 AND missing_since IS NULL AND stamp = '' AND content = ''"
    )
    folders = journal.sources(unread) if files else []
    count = 0
    for source in (
        journal.sources("id IN (SELECT value FROM json_each(?))", [json.dumps([*files])]) if folders else ()
    ):
        waiting = sum(one.root == source.root and _is_for(source, one) for one in folders)
        if waiting:
            text = journal.value("SELECT text FROM texts WHERE hash = ?", [source.content])
            count += waiting * len(promptfile.parse(str(text or "").encode(), name=source.name).requests)
    return count


def of_folder(wish: str, folder_id: int) -> str:
    """The fingerprint of a row: of the same wish each folder has one of its own, whatever the folder is called."""
    return hashlib.sha256(f"{wish} {folder_id}".encode()).hexdigest()


def wish_of(prompt: Prompt) -> str:
    """The fingerprint of what the file asks for, as records have it: the number of a folder means nothing to another state."""
    told: Mapping[str, Any] = prompt.request
    if prompt.subject_id is None or not told:
        return prompt.fingerprint
    return mocks.wish(fingerprint(told)) if mocks.MARK in prompt.variant else fingerprint(told)
