"""The tune.toml files above and in every folder, read when they settle, and what they mean together."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from astria_sync import tunefile
from astria_sync.errors import FileProblem
from astria_sync.settings import Settings
from astria_sync.sights import TUNE_FILE
from astria_sync.tunefile import TuneFile, TuneSettings


def above(path: str) -> Iterator[str]:
    """The folder itself, then each one above it, up to the root "."."""
    parts = [] if path == "." else path.split("/")
    for length in range(len(parts), 0, -1):
        yield "/".join(parts[:length])
    yield "."


def parent(path: str) -> str:
    """The folder that a file or folder lies in."""
    return path.rpartition("/")[0] or "."


@dataclass(slots=True)
class TuneFiles:
    """Which folders have a tune.toml, by the stamp the scan saw, and what was read from it."""

    settings: Settings
    _stamps: dict[tuple[str, str], str] = field(default_factory=dict)
    _read: dict[tuple[str, str], tuple[str, TuneFile | FileProblem]] = field(default_factory=dict)

    def saw(self, root: str, path: str, stamp: str) -> bool:
        """Note what the scan saw; true if that is news for the folders below."""
        key = (root, path)
        if self._stamps.get(key, "") == stamp:
            return False
        if stamp:
            self._stamps[key] = stamp
        else:
            del self._stamps[key]
        return True

    def stamp(self, root: str, path: str) -> str:
        """What changes when a tune.toml that this folder inherits from does."""
        chain = [self._stamps.get((root, folder), "") for folder in above(path)]
        return hashlib.blake2b("/".join(chain).encode(), digest_size=8).hexdigest() if any(chain) else ""

    def merged(self, root: str, path: str) -> TuneSettings:
        """What holds in this folder; raises FileProblem with what is wrong in any of the files."""
        chain: list[TuneFile | None] = []
        problems: list[str] = []
        for folder in above(path):
            found = self._file(root, folder)
            if isinstance(found, FileProblem):
                problems += found.problems
                found = None
            chain.append(found)
        if problems:
            raise FileProblem(*problems)
        return tunefile.merge(chain, defaults=self.settings.tune_defaults)

    def _file(self, root: str, folder: str) -> TuneFile | FileProblem | None:
        stamp = self._stamps.get((root, folder))
        if not stamp:
            self._read.pop((root, folder), None)
            return None
        known = self._read.get((root, folder))
        if known is None or known[0] != stamp:
            known = self._read[root, folder] = (stamp, _parse(Path(root, folder, TUNE_FILE), folder))
        return known[1]


def _parse(path: Path, folder: str) -> TuneFile | FileProblem:
    name = TUNE_FILE if folder == "." else f"{folder}/{TUNE_FILE}"
    try:
        with path.open("rb") as file:
            return tunefile.parse(file.read(1 << 20), name=name)
    except FileProblem as problem:
        return problem
    except OSError as error:
        return FileProblem(f"{name} cannot be read ({error.strerror}); make it readable.")
