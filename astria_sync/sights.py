"""What the files of one folder come to: which concern us, and the stamps that change when one of them does."""

import hashlib
import operator
import os
from collections.abc import Sequence
from typing import Final

from astria_sync.core.model import FileSight, FolderSight
from astria_sync.transient import EACH

PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
PROMPT: Final = ".prompt"
TUNE_FILE: Final = "tune.toml"
URLS_FILE: Final = "urls.txt"
_OURS: Final = PICTURES | {PROMPT, ".txt"}
_AS_WRITTEN: Final = frozenset({*_OURS, *map(str.upper, _OURS)})
NAME: Final = operator.itemgetter(0)


def stamp_of(entries: Sequence[tuple[str, os.stat_result]]) -> str:
    """A short hash that changes when any of the files does. The device is left out: its number changes with a reboot."""
    if not entries:
        return ""
    told = "".join(
        [
            f"{name}\0{info.st_ino}\0{info.st_size}\0{info.st_mtime_ns}\0{info.st_ctime_ns}\n"
            for name, info in sorted(entries, key=NAME)
        ]
    )
    return hashlib.blake2b(told.encode(errors="surrogateescape"), digest_size=12).hexdigest()


def concerns_us(name: str) -> bool:
    """Whether a file of this name is one that is looked at, by its suffix."""
    return suffix_of(name) in _OURS or name == TUNE_FILE


def is_plain(name: str) -> bool:
    """Whether it is one that `concerns_us` and is not left alone: nearly all are, and this tells in a third of the time.

    False says nothing. Of what is left alone nothing but what begins with "." or "~" has one of these suffixes (transient.py).
    """
    return name[name.rfind(".") :] in _AS_WRITTEN and name[0] not in ".~" and name.isascii()


def is_utf8(name: str) -> bool:
    """Whether a name can be written down; Linux has others too."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def sight_of(path: str, info: os.stat_result, files: Sequence[tuple[str, os.stat_result]]) -> FolderSight:
    """A folder, by the files in it that concern us."""
    if path.rpartition("/")[2] == EACH:  # pictures there go along with its prompts: it is no image folder
        files = [entry for entry in files if suffix_of(entry[0]) == PROMPT]
    by_name = dict(files)
    pictures = [name for name in by_name if suffix_of(name) in PICTURES]
    wanted = {*pictures, *captions_of(list(by_name), pictures), URLS_FILE}
    return FolderSight(
        path=path,
        inode=info.st_ino,
        stamp=stamp_of([entry for entry in files if entry[0] in wanted]),
        pictures=len(pictures),
        has_urls=URLS_FILE in by_name,
        tune_stamp=stamp_of([entry for entry in files if entry[0] == TUNE_FILE]),
        prompts=tuple(_prompt_sight(path, name, i) for name, i in files if suffix_of(name) == PROMPT),
    )


def _prompt_sight(path: str, name: str, info: os.stat_result) -> FileSight:
    return FileSight(
        path=name if path == "." else f"{path}/{name}",
        stamp=stamp_of([(name, info)]),
        inode=info.st_ino,
        mtime_ns=info.st_mtime_ns,
    )


def suffix_of(name: str) -> str:
    """As os.path.splitext has it for what is not hidden, in a quarter of its time: it is asked several times for each file."""
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def captions_of(names: Sequence[str], pictures: Sequence[str]) -> list[str]:
    """Text files with the stem of a picture; `urls.txt` is never one."""
    texts = [name for name in names if name[-4:].lower() == ".txt" and name != URLS_FILE]
    stems = {name[: name.rfind(".")] for name in pictures} if texts else set()
    return [name for name in texts if name[:-4] in stems]
