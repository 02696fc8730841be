"""Every recorded picture against its record: is it there, and is it what was saved?"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astria_sync.core.pseudoroots import place_of
from astria_sync.reading import reading

OK: Final = "ok"
MISSING: Final = "missing"
DAMAGED: Final = "damaged"
UNREADABLE: Final = "unreadable"

_SAVED: Final = """
    SELECT i.id, i.file, i.size, i.sha256, p.output, p.folder, s.root, s.path, p.remote_id
    FROM images i JOIN prompts p ON p.id = i.prompt_id JOIN sources s ON s.id = p.source_id
    WHERE i.state = 'saved' ORDER BY i.id"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One picture."""

    image_id: int
    file: Path
    state: str  # OK, MISSING, DAMAGED, UNREADABLE
    why: str  # "" if it is ok
    prompt: str  # path of the prompt's file, relative to its root
    root: str
    prompt_id: int  # Astria's


def verify(state: Path) -> Iterator[Finding]:
    """Read every picture again, in the order they were saved. Raises StateError if the state cannot be read."""
    with reading(state) as connection:
        rows = [] if connection is None else connection.execute(_SAVED).fetchall()
    for row in rows:
        file = Path(row["output"], row["folder"], row["file"])
        found, why = _compare(file, row["size"], row["sha256"])
        yield Finding(
            image_id=row["id"],
            file=file,
            state=found,
            why=why,
            prompt=row["path"],
            root=place_of(row["root"]),
            prompt_id=row["remote_id"],
        )


def _compare(file: Path, size: int, sha256: str) -> tuple[str, str]:
    try:
        # Not waiting, should a pipe lie there.
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
            length = opened.tell()
    except (FileNotFoundError, NotADirectoryError):
        return MISSING, "it was deleted or moved away"
    except OSError as error:
        return UNREADABLE, f"it cannot be read ({error.strerror})"
    if digest == sha256:
        return OK, ""
    return (
        DAMAGED,
        f"it has {length:,} bytes instead of {size:,}" if length != size else "its content has changed",
    )
