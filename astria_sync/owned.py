"""Whose file or folder is this object of Astria's, as far as the state knows. Reads it, and nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astria_sync.reading import reading

_TUNE: Final = """
    SELECT s.root, s.path, 0 AS saved, 0 AS wanted FROM tunes o JOIN sources s ON s.id = o.source_id
    WHERE o.remote_id = ? ORDER BY o.id DESC LIMIT 1"""
_PROMPT: Final = """
    SELECT s.root, s.path,
        (SELECT count(*) FROM images WHERE prompt_id = o.id AND state = 'saved') AS saved, o.num_images AS wanted
    FROM prompts o JOIN sources s ON s.id = o.source_id
    WHERE o.remote_id = ? ORDER BY o.id DESC LIMIT 1"""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The file or folder here that it was made for."""

    path: Path
    saved: int = 0  # pictures of a prompt that are on disk
    wanted: int = 0


def owner(state: Path, kind: str, remote_id: int) -> Owner | None:
    """Who owns a "tune" or "prompt"; None if nobody here does. Raises StateError."""
    with reading(state) as connection:
        if connection is None:
            return None
        has = "SELECT 1 FROM sqlite_master WHERE name = 'sources'"
        if connection.execute(has).fetchone() is None:
            return None
        row = connection.execute(_TUNE if kind == "tune" else _PROMPT, [remote_id]).fetchone()
        if row is None:
            return None
        return Owner(path=Path(row["root"], row["path"]), saved=row["saved"], wanted=row["wanted"] or 0)
