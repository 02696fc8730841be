"""The walk: what lies in a watched root right now, as sightings. Reads directories and stats files, opens none of them."""

import dataclasses
import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import pathspec

from astria_sync import kernel
from astria_sync.core.model import FolderSight, Look
from astria_sync.listings import File, Listings, Recall, lasts, opened
from astria_sync.sights import (
    NAME,
    PICTURES,
    PROMPT,
    URLS_FILE,
    captions_of,
    concerns_us,
    is_plain,
    is_utf8,
    sight_of,
    stamp_of,
    suffix_of,
)
from astria_sync.transient import is_half, is_left_alone

ERROR_SUFFIX: Final = ".prompt.error.txt"
TUNE_ERROR: Final = "tune.error.txt"
EMPTY: Final = "{root} shows none of what was in it; is it mounted?"


@dataclass(frozen=True, slots=True)
class Root:
    """One watched root. `outputs` are those of every watch: one that lies inside this root is left alone."""

    path: str
    outputs: Sequence[str]
    ignore: Sequence[str] = ()
    spec: pathspec.GitIgnoreSpec = field(init=False, repr=False, compare=False)
    # Device and inode of the directory that last showed something: if that one is empty, it was emptied, not unmounted.
    full: list[tuple[int, int]] = field(default_factory=list, init=False, repr=False, compare=False)
    listings: Listings = field(default_factory=Listings, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the patterns once."""
        object.__setattr__(self, "spec", pathspec.GitIgnoreSpec.from_lines(self.ignore))

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether the watch's own patterns, or the output inside the root, leave `path` alone."""
        if self.ignore and self.spec.match_file(path + "/" if folder else path):
            return True
        return folder and os.path.join(self.path, path) in self.outputs


def look(
    root: Root, scope: str = ".", *, recursive: bool = True, at_rest: Mapping[str, str] | None = None
) -> Look:
    """Walk `scope` (relative to the root). Never raises for what a disk can do; the Look says what could not be read.

    Folders that are still as `at_rest` has them are only named.
    """
    whole = recursive and scope == "."
    walk = _Walk(root, at_rest or {}, root.listings.recalled() if whole else None)
    mounts = _mounts(walk.real)
    top = root.path if scope == "." else os.path.join(root.path, scope)
    try:
        base = os.stat(root.path)
        if not stat.S_ISDIR(base.st_mode):
            return _nothing(root, scope, recursive, f"{root.path} is not a folder")
        folders = tuple(walk.folders(top, scope, recursive=recursive)) if walk.enters(scope) else ()
    except OSError as error:
        return _nothing(root, scope, recursive, f"{root.path} cannot be read ({error.strerror})")
    if scope == "." and "." in walk.unreadable:
        return _nothing(root, scope, recursive, f"{root.path} cannot be read ({walk.unreadable['.']})")
    try:
        empty = not (walk.unchanged or any(map(_shows, folders)) if whole else _has_anything(root))
    except OSError as error:
        return _nothing(root, scope, recursive, f"{root.path} cannot be read ({error.strerror})")
    if _mounts(walk.real) != mounts:
        # What was seen may have lain on a disk that went or came meanwhile. Taken for what lies there without it, it would be missed
        # once the disk is away.
        return look(root, scope, recursive=recursive, at_rest=at_rest)
    if walk.recall:
        walk.recall.end()
    if not empty:
        root.full[:] = [(base.st_dev, base.st_ino)]
    return Look(
        root=root.path,
        scope=scope,
        recursive=recursive,
        folders=folders,
        unreadable=walk.unreadable,
        unchanged=tuple(walk.unchanged),
        touched=walk.touched,
        mounts=tuple(mounts),
        # Whether that is a reason to believe nothing depends on what is known: `Places.suspicious`.
        problem=EMPTY.format(root=root.path) if empty and (base.st_dev, base.st_ino) not in root.full else "",
    )


def _mounts(real: str) -> list[str]:
    return [os.path.relpath(point, real) for point in kernel.mounts_below(real)]


def _shows(folder: FolderSight) -> bool:
    return bool(folder.stamp or folder.tune_stamp or folder.prompts)


def _has_anything(root: Root) -> bool:
    """Whether the root's own directory has anything in it; a disk's mount point has nothing while it is unmounted."""
    with os.scandir(root.path) as entries:
        return any(not (is_left_alone(e.name) or root.ignores(e.name, folder=True)) for e in entries)


def _nothing(root: Root, scope: str, recursive: bool, problem: str) -> Look:
    return Look(root=root.path, scope=scope, recursive=recursive, folders=(), complete=False, problem=problem)


class _Walk:
    """One walk: knows which directories it has been in, so that a loop of links ends."""

    def __init__(
        self, root: Root, at_rest: Mapping[str, str] = MappingProxyType({}), recall: Recall | None = None
    ) -> None:
        self.root = root
        self.recall = recall
        self.real = os.path.realpath(root.path)
        self.outputs = [os.path.realpath(output) for output in root.outputs]
        self.at_rest = at_rest
        self.unreadable: dict[str, str] = {}
        self.unchanged: list[str] = []
        self.moving: list[tuple[str, os.stat_result]] = []
        self.been: set[tuple[int, int]] = set()
        self.touched = 0.0

    def enters(self, scope: str) -> bool:
        """Whether a walk from the root would come to `scope` at all."""
        parts = [] if scope == "." else scope.split("/")
        for i, part in enumerate(parts):
            path = "/".join(parts[: i + 1])
            location = os.path.join(self.root.path, path)
            if is_left_alone(part) or self.root.ignores(path, folder=True):
                return False
            if os.path.islink(location) and not self._follows(location):
                return False
        try:
            return stat.S_ISDIR(os.stat(os.path.join(self.root.path, scope)).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def folders(self, directory: str, path: str, *, recursive: bool) -> Iterator[FolderSight]:
        """The directory and, if wanted, all below it; depth first, names in order."""
        todo = [(directory, path)]
        while todo:
            directory, path = todo.pop()
            try:
                with opened(directory) as (info, descriptor):
                    if (info.st_dev, info.st_ino) in self.been:
                        continue
                    self.been.add((info.st_dev, info.st_ino))
                    known = self.recall and self.recall.known(directory, path, info, descriptor)
                    files, below = known or self.read(directory, path, info, descriptor)
            except OSError as error:
                self.unreadable[path] = error.strerror or str(error)
                continue
            self.touched = max(self.touched, info.st_ctime)
            files.sort(key=NAME)
            moving = stamp_of(self.moving)
            digest = f"{info.st_ino} {stamp_of(files)} {moving}" if files else ""
            if digest and self.at_rest.get(path) == digest:
                self.unchanged.append(path)
            else:
                self.touched = max(self.touched, *(one.st_ctime for _, one in (*files, *self.moving)), 0.0)
                yield dataclasses.replace(sight_of(path, info, files), moving=moving, digest=digest)
            self.moving.clear()
            if recursive:
                inside = "" if path == "." else f"{path}/"
                todo += [
                    (os.path.join(self.root.path, inside + name), inside + name)
                    for name in sorted(below, reverse=True)
                ]

    def read(
        self, directory: str, path: str, info: os.stat_result, descriptor: int
    ) -> tuple[list[File], list[str]]:
        """List one directory: the files that concern us, and the names of the directories to go to."""
        files: list[File] = []
        below: list[str] = []
        plain, lasting = not self.root.ignore, True
        with os.scandir(descriptor) as entries:
            for entry in entries:
                name = entry.name
                if plain and is_plain(name) and entry.is_file(follow_symlinks=False):
                    try:  # noqa: SIM105 - nearly all files are such, and each step here is taken for every one of them
                        files.append((name, entry.stat()))
                    except FileNotFoundError:  # gone since the listing
                        pass
                else:
                    self.sort_entry(entry, path, below, files)
                    lasting = lasting and lasts(entry)
        if self.recall and lasting:
            self.recall.keep(directory, path, info, files, below)
        return files, below

    def sort_entry(self, entry: os.DirEntry[str], path: str, below: list[str], files: list[File]) -> None:
        """Put one entry among the directories below or the files that concern us, or leave it alone."""
        name = entry.name
        if is_left_alone(name):
            if is_half(name) and entry.is_file(follow_symlinks=False):
                self.moving.append((name, entry.stat(follow_symlinks=False)))
            return
        try:
            folder = False
            if not entry.is_file(follow_symlinks=False):  # nearly all are
                if entry.is_symlink() and not self._follows(os.path.join(self.root.path, path, name)):
                    return
                folder = entry.is_dir()
            if not (folder or concerns_us(name)):
                return
            full = name if path == "." else f"{path}/{name}"
            if self.root.ignores(full, folder=folder):
                return
            if not is_utf8(name):
                shown = full.encode(errors="backslashreplace").decode()
                self.unreadable[shown] = "its name is not valid UTF-8; rename it"
            elif folder:
                below.append(name)
            elif stat.S_ISREG((info := entry.stat()).st_mode):
                files.append((name, info))
        except OSError as error:
            # Gone between the listing and the look, a dangling link, or one to itself; anything else hides what is there.
            if error.errno not in {errno.ENOENT, errno.ELOOP}:
                raise

    def _follows(self, link: str) -> bool:
        """Links that lead out are not followed, nor those to a directory that this walk comes to by itself, or to an output."""
        real = os.path.realpath(link)
        if not _inside(real, self.real):
            return False
        if not os.path.isdir(real):
            return True
        if any(_inside(real, output) or _inside(output, real) for output in self.outputs):
            return False
        if _inside(os.path.realpath(os.path.dirname(link)), real):
            return False  # to itself or a folder above: a loop
        parts = os.path.relpath(real, self.real).split("/")
        below = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        walked = not any(
            is_left_alone(p.rsplit("/", 1)[-1]) or self.root.ignores(p, folder=True) for p in below
        )
        return not walked


def _inside(real: str, top: str) -> bool:
    return real == top or real.startswith(top.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder would be sent with, in order of name, and the stamp that belongs to it (as in FolderSight)."""

    stamp: str
    pictures: tuple[str, ...]
    captions: tuple[str, ...]
    prompts: tuple[str, ...]
    has_urls: bool


def contents(root: Root, path: str) -> Contents:
    """List one folder by the rules of the walk; raises OSError if it cannot be read."""
    walk = _Walk(root)
    files: list[File] = []
    directory = os.path.join(root.path, path)
    with os.scandir(directory) as entries:
        for entry in entries:
            walk.sort_entry(entry, path, [], files)
    sight = sight_of(path, os.stat(directory), files)
    names = sorted(name for name, _ in files)
    pictures = tuple(n for n in names if suffix_of(n) in PICTURES)
    return Contents(
        stamp=sight.stamp,
        pictures=pictures,
        captions=tuple(captions_of(names, pictures)),
        prompts=tuple(n for n in names if suffix_of(n) == PROMPT),
        has_urls=URLS_FILE in names,
    )
