"""The records beside the pictures (provenance.py), read: whoever loses the state still has them.

They lie where anybody may write: what is not exactly ours is left alone, and nothing in one leads anywhere. Folders are those
of the walk, never those that a record names; of the pictures only plain names beside it are believed.
"""

import errno
import json
import logging
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from astria_sync.core.naming import FILE_NAME_BYTES, safe_component, sidecar_name
from astria_sync.core.records import FormerPack, FormerTune, Record
from astria_sync.core.work import FindSidecars, ReadSidecars, Sidecars, SidecarsRead
from astria_sync.mocks import MARK
from astria_sync.recordfile import Picture, Sidecar
from astria_sync.sights import is_utf8

log = logging.getLogger("astria_sync")

_LARGEST: Final = 8 << 20  # bytes; a prompt file has at most 1 MiB, and its text stands thrice in its record
_NAME: Final = re.compile(r"(?s)(.+)-([1-9][0-9]{0,15})\.json")
# What systems keep in a folder of pictures; what was thrown away is no record of anything.
_NOT_OURS: Final = frozenset(
    {"lost+found", "$recycle.bin", "system volume information", "#recycle", "@eadir", "__macosx"}
)
_WENT: Final = {errno.ENOENT, errno.ENOTDIR}
_NO_FILE: Final = _WENT | {errno.ELOOP, errno.ENXIO}  # a link, a socket

_DECODER: Final = msgspec.json.Decoder(Sidecar)


class _UnusableError(ValueError):
    """It is no record of ours, or none any more."""


def find(piece: FindSidecars) -> Sidecars:
    """Walk an output; every record that can be used and whose prompt is not known."""
    records: list[Record] = []
    tunes: dict[tuple[str, str], FormerTune] = {}
    packs: dict[tuple[str, str, int], set[int]] = {}
    strange, top, place = 0, os.path.realpath(piece.output), place_of(piece.output)
    skipped = {os.path.realpath(other) for other in piece.others}
    try:
        for folder, name in _names(top, skipped, piece.known):
            try:
                found = _read(os.path.join(top, folder, name))
            except (_UnusableError, FileNotFoundError) as error:
                log.debug("%s in %s is no record (%s)", name, os.path.join(top, folder), error)
                strange += 1
                continue
            records.append(_record(found, folder, name))
            for tune in () if MARK in found.source.variant else found.tunes or ():
                at = (found.source.root, tune.folder)
                if at not in tunes or tunes[at].id < tune.id:
                    tunes[at] = FormerTune(id=tune.id, root=at[0], folder=at[1], content=tune.content)
            if found.pack is not None:
                run = packs.setdefault((found.source.root, found.source.path, found.pack.id), set())
                run.update(tune.id for tune in found.tunes or ())
    except OSError as error:
        if error.filename == top and error.errno == errno.ENOENT:
            return Sidecars()  # nothing was ever saved there
        return Sidecars(problem=f"{error.filename or top} cannot be read ({error.strerror})")
    if strange:
        log.info("%d files in %s are named like records and are none; they are left alone.", strange, top)
    runs = (
        FormerPack(pack_id=pack, root=root, folder=folder, tunes=frozenset(made_with))
        for (root, folder, pack), made_with in packs.items()
    )
    return Sidecars(records=tuple(records), tunes=tuple(tunes.values()), packs=tuple(runs), place=place)


def place_of(output: str) -> tuple[int, int] | None:
    """What lies there: another disk, or a folder made anew, is another."""
    try:
        info = os.stat(output)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def read(piece: ReadSidecars) -> SidecarsRead:
    """The whole of some records, each with how many of its pictures lie beside it as they were saved; None for one that
    has changed or gone since it was found.
    """
    found: list[tuple[Sidecar, int] | None] = []
    top = os.path.realpath(piece.output)
    for record in piece.records:
        folder = os.path.join(top, record.folder)
        try:
            whole = _read(os.path.join(folder, record.name))
        except (_UnusableError, FileNotFoundError):
            found.append(None)
            continue
        except OSError as error:
            return SidecarsRead(problem=f"{error.filename or folder} cannot be read ({error.strerror})")
        same = _record(whole, record.folder, record.name) == record
        found.append((whole, sum(_lies(folder, one) for one in whole.images)) if same else None)
    return SidecarsRead(found=tuple(found))


def _names(top: str, skipped: set[str], known: frozenset[int]) -> Iterator[tuple[str, str]]:
    """Folder and name of everything that is called like a record; links are not followed, hidden things are left alone."""
    todo = [""]
    while todo:
        folder = todo.pop()
        directory = os.path.join(top, folder) if folder else top
        try:
            with os.scandir(directory) as entries:
                there = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder and error.errno in _WENT:
                continue
            raise
        for entry in there:
            if entry.name.startswith(".") or entry.name.casefold() in _NOT_OURS or not is_utf8(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in skipped:
                    todo.append(f"{folder}/{entry.name}" if folder else entry.name)
            elif (match := _NAME.fullmatch(entry.name)) and int(match[2]) not in known:
                yield folder, entry.name


def _read(path: str) -> Sidecar:
    """One record, checked. Raises _UnusableError, FileNotFoundError, or an OSError of the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise FileNotFoundError(error.errno, error.strerror, path) from None
        raise
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            raise _UnusableError("it is too large, or no file")
        data = file.read(_LARGEST + 1)
    try:
        found = _DECODER.decode(data)
        _check(found, path)
        json.dumps([found.parameters, found.answer], ensure_ascii=False).encode()
    except (ValueError, RecursionError, OverflowError) as error:
        raise _UnusableError(str(error)) from None
    return found


def _check(found: Sidecar, path: str) -> None:
    """What types cannot say; raises _UnusableError."""
    match = _NAME.fullmatch(os.path.basename(path))
    names = [one.file for one in found.images]
    tunes = found.tunes or ()
    good = (
        match is not None
        and int(match[2]) == found.id
        and sidecar_name(match[1], found.id)
        == unicodedata.normalize("NFC", match[0])  # its stem is a safe one
        and os.path.isabs(found.source.root)
        and all(
            _is_below(place)
            for place in (found.source.path, found.source.each or ".", *(tune.folder for tune in tunes))
        )
        and (found.source.path != "." or found.pack is not None)
        and all(map(_is_plain, names))
        and len({one.n for one in found.images}) == len(names) == len(set(names))
        and re.fullmatch(r"[\w-]{0,64}", found.workspace_id or "", re.ASCII)
    )
    if not good:
        raise _UnusableError("it says what no record says")


def _is_below(path: str) -> bool:
    """A path relative to a root that leads nowhere else."""
    return path == "." or all(part not in {"", ".", ".."} and "\x00" not in part for part in path.split("/"))


def _is_plain(name: str) -> bool:
    """The name of a picture beside its record."""
    return (
        not name.startswith(".")
        and len(name.encode()) <= FILE_NAME_BYTES
        and safe_component(os.path.splitext(name)[0]) == os.path.splitext(name)[0] != ""
        and re.fullmatch(r"\.[0-9A-Za-z]{1,8}", os.path.splitext(name)[1]) is not None
    )


def _record(found: Sidecar, folder: str, name: str) -> Record:
    source = found.source
    return Record(
        id=found.id,
        fingerprint=source.fingerprint,
        seed=found.seed,
        run=source.run,
        root=source.root,
        path=source.path,
        subject=_subject(found),
        each=found.source.each,
        folder=folder or ".",
        name=name,
        duplicate_of=found.duplicate_of,
        pack=found.pack.slug if found.pack else "",
    )


def _subject(found: Sidecar) -> str | None:
    """What the folder of its prompt file had to show, None if that was no image folder; "" if the record does not tell."""
    if found.tunes is None:
        return ""
    own = found.source.path if found.pack else found.source.each or os.path.dirname(found.source.path) or "."
    return max(((tune.id, tune.content) for tune in found.tunes if tune.folder == own), default=(0, None))[1]


def _lies(folder: str, picture: Picture) -> bool:
    """Whether a picture is there with the size it was saved with."""
    with suppress(OSError):
        info = os.lstat(os.path.join(folder, picture.file))
        return stat.S_ISREG(info.st_mode) and info.st_size == picture.size
    return False
