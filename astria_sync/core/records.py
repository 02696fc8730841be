"""Which record beside the pictures (a sidecar) is of which prompt file: what was ordered before this state knew of it."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from astria_sync.core.naming import output_folder, sidecar_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What is kept of a sidecar until it is known whose it is. It says where its prompt file lay; where it lies itself, the
    walk has seen.
    """

    id: int  # Astria's, of the prompt
    fingerprint: str
    seed: int | None
    run: int
    root: str  # of the prompt file, when it was written
    path: str  # relative to that root
    subject: (
        str | None
    )  # hash of the pictures of the folder that the file lay in; "" not told, None: no image folder
    folder: str  # relative to the output
    name: str
    each: str = ""  # the folder, relative to the root, that a local pack's prompt was made for
    duplicate_of: int | None = None  # the prompt that the order has, if Astria made this one besides
    pack: str = ""  # the slug of the pack that it is of; its path is then that of an image folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """An order that may have a record."""

    fingerprint: str
    root: str
    path: str
    run: int = 1
    subject: str | None = ""  # as in Record, of the folder that the file lies in now
    each: str = ""  # as in Record, where the folder lies now
    above: int = 0  # ids up to this one were known before: they are nothing that this state has forgotten
    seed: int | None = None  # of a request that may have gone out


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerTune:
    """A tune that records tell of: the image folder it was made of, and the hash of that folder's pictures."""

    id: int
    root: str
    folder: str  # relative to the root
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FormerPack:
    """A pack that records tell of: the image folder that it was run on, and the tunes that its prompts were made with."""

    pack_id: int
    root: str
    folder: str
    tunes: frozenset[int]


_Key = tuple[str, ...]


class Shelf:
    """The records of one output. Each is taken once."""

    def __init__(self, records: Iterable[Record]) -> None:
        """Of several for one id (somebody has copied a folder), the one at home counts."""
        self._by_id: dict[int, Record] = {}
        for record in sorted(records, key=lambda one: (not _at_home(one), one.folder, one.name)):
            self._by_id.setdefault(record.id, record)
        self._keyed: dict[_Key, list[Record]] = {}
        for record in sorted(self._by_id.values(), key=lambda one: (bool(one.duplicate_of), one.run, one.id)):
            for key in _keys(record.fingerprint, record.path, record.each, record.subject):
                self._keyed.setdefault(key, []).append(record)
        self._wishes = Counter(record.fingerprint for record in self._by_id.values())
        self._moved: dict[tuple[str, str], tuple[str, str]] = {}

    @property
    def ids(self) -> Collection[int]:
        """Of records that nobody has taken."""
        return self._by_id.keys()

    @property
    def of_packs(self) -> bool:
        """Whether some that are left are of local packs."""
        return any(record.each for record in self._by_id.values())

    def has(self, fingerprint: str) -> bool:
        """Whether a record of this wish is left, wherever its file lies."""
        return self._wishes[fingerprint] > 0

    def take_id(self, remote_id: int) -> Record:
        """The record of this id; KeyError if there is none."""
        record = self._by_id.pop(remote_id)
        self._wishes[record.fingerprint] -= 1
        return record

    def take(
        self, wanted: Wanted, *, roots: Collection[str], vacant: Callable[[Record], bool]
    ) -> Record | None:
        """The record of this order: of its own place, else of a file that is not at the record's place any more.

        `roots` are those watched now: a record of another one is of a root that was moved or renamed.
        """
        here, beside, *same_subject = _keys(wanted.fingerprint, wanted.path, wanted.each, wanted.subject)
        own = [one for one in self._there(here) if _fits(one, wanted)]
        for record in sorted(own, key=lambda one: one.root != wanted.root):
            if record.root == wanted.root or record.root not in roots:
                return self.take_id(record.id)
        near = [one for one in self._there(beside) if one.root == wanted.root or one.root not in roots]
        far = [one for key in same_subject for one in self._there(key)]
        moved = [one for one in (*near, *far) if _fits(one, wanted)]
        for record in sorted(moved, key=lambda one: _name(one.path) != _name(wanted.path)):
            if vacant(record):
                self._moved[record.root, record.path] = (wanted.root, wanted.path)
                return self.take_id(record.id)
        return None

    def left(self) -> Iterator[tuple[Record, tuple[str, str]]]:
        """What nobody has taken, each with the root and path where its file is now, as far as is known; oldest first."""
        for _, record in sorted(self._by_id.items()):
            yield record, self._moved.get((record.root, record.path), (record.root, record.path))

    def _there(self, key: _Key) -> list[Record]:
        """Those of this key that nobody has taken."""
        found = [one for one in self._keyed.get(key, ()) if one.id in self._by_id]
        if found:
            self._keyed[key] = found
        else:
            self._keyed.pop(key, None)
        return found


def _keys(fingerprint: str, path: str, each: str, subject: str | None) -> list[_Key]:
    """What a record of this wish is found by: its file's place, and the folder that it is for if that is another; the folder of
    that; and the subject that the folder gives it, by which the words mean the same elsewhere.
    """
    place, folder = unicodedata.normalize("NFC", path), unicodedata.normalize("NFC", each)
    keys: list[_Key] = [(fingerprint, "at", place, folder), (fingerprint, "in", _parent(place), folder)]
    return keys if subject == "" else [*keys, (fingerprint, "of", subject or "")]


def _fits(record: Record, wanted: Wanted) -> bool:
    """One more generation (`rerun`) is none that was there, unless the state is a copy of before it."""
    return (
        record.id > wanted.above
        and (wanted.seed is None or record.seed == wanted.seed)
        and wanted.run in {1, record.run}
    )


def _at_home(record: Record) -> bool:
    """Whether it lies where it was put when its file lay where it says."""
    stem = record.pack or PurePosixPath(record.path).stem
    home = output_folder(record.path if record.pack else record.each or _parent(record.path), stem)
    return record.folder == str(home) and record.name == sidecar_name(stem, record.id)


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _name(path: str) -> str:
    """A Mac writes é in two parts."""
    return unicodedata.normalize("NFC", PurePosixPath(path).name)
