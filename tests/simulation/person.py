"""What a person does with a watched folder, and what was wished for by it: the measure of what may be paid."""

import io
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from astria_sync.core.model import Command
from tests.simulation.world import World

WORD = re.compile(r"\bw\d+\b")
NEEDS = re.compile(r"<(f\d+)>")
FAILS = "FAIL_USER_ERROR"
PHOTOS: list[bytes] = []


def photo(n: int) -> bytes:
    """A small real picture; a few are enough, since a folder is told by its title."""
    while len(PHOTOS) <= n:
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (len(PHOTOS) * 40 % 256, 90, 120)).save(
            out, "JPEG", comment=b"%d" % len(PHOTOS)
        )
        PHOTOS.append(out.getvalue())
    return PHOTOS[n]


class Reply:
    """Where a command's answer goes."""

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self.put = heard


@dataclass
class Wishes:
    """How often each word, and each folder's title, may be paid at most."""

    words: Counter[str] = field(default_factory=Counter)
    titles: Counter[str] = field(default_factory=Counter)


@dataclass
class Person:
    """Drops, edits, renames and deletes; asks for one more; pulls plugs."""

    world: World
    chance: random.Random
    wishes: Wishes = field(default_factory=Wishes)
    _named: int = 0
    _away: Path | None = None

    # Files

    def _new(self, letter: str) -> str:
        self._named += 1
        return f"{letter}{self._named}"

    def folders(self) -> list[Path]:
        return sorted(path.parent for path in self.world.inbox.rglob("1.jpg"))

    def prompts(self) -> list[Path]:
        return sorted(self.world.inbox.rglob("*.prompt"))

    def _write(self, path: Path, data: bytes) -> None:
        if not self.is_there:
            self.world.time.after(60, lambda: self._write(path, data))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self._date(path)

    def _date(self, path: Path) -> None:
        wall = self.world.time.now + self.world.machine.shift
        for one in (path, path.parent):
            os.utime(one, (wall, wall))
        self.world.hint(path.parent)

    def _text(self, front: str = "") -> str:
        """New words, wished for once."""
        word = self._new("w")
        self.wishes.words[word] += 1
        known = self.folders()
        mention = f"<{self.chance.choice(known).name}> " if known and self.chance.random() < 0.4 else ""
        fails = f"{FAILS} " if self.chance.random() < 0.06 else ""
        number = self.chance.choice((1, 1, 1, 2, 3))
        return f"---\nnum_images: {number}\n{front}---\n{mention}in a {fails}park {word}\n"

    def _place(self) -> Path:
        known = [self.world.inbox, *self.folders()]
        return self.chance.choice(known)

    def drop_folder(self) -> None:
        name = self._new("f")
        self.wishes.titles[name] += 1
        folder = self._place() / name if self.chance.random() < 0.2 else self.world.inbox / name
        count = self.chance.randint(1, 3)
        for n in range(count):
            self.world.time.after(self.chance.uniform(0, 3) * n, lambda n=n: self._picture(folder, n))  # type: ignore[misc]
        if self.chance.random() < 0.5:
            self._write(folder / "tune.toml", b'name = "woman"\n')
        if self.chance.random() < 0.6:
            self._write(folder / f"{self._new('p')}.prompt", self._text().encode())

    def _picture(self, folder: Path, n: int) -> None:
        if n == 0 or folder.exists():  # it may have been renamed meanwhile
            self._write(folder / f"{n + 1}.jpg", photo(n))

    def drop_prompt(self) -> None:
        data = self._text().encode()
        path = self._place() / f"{self._new('p')}.prompt"
        if self.chance.random() < 0.3:  # slowly, in two goes
            self._write(path, data[:20])
            self.world.time.after(self.chance.uniform(0.5, 3), lambda: self._rewrite(path, data))
        else:
            self._write(path, data)

    def _rewrite(self, path: Path, data: bytes) -> None:
        if path.exists():
            self._write(path, data)

    def drop_twins(self) -> None:
        """The same words twice, wanted as two."""
        text, place = self._text(), self._place()
        if found := WORD.search(text):
            self.wishes.words[found[0]] += 1
        for _ in range(2):
            self._write(place / f"{self._new('p')}.prompt", text.encode())

    def drop_seeded(self) -> None:
        """A seed of the person's own; its copy is what an account with idempotency on makes no second one of."""
        path = self._place() / f"{self._new('p')}.prompt"
        self._write(path, self._text(f"seed: {self.chance.randint(0, 9)}\n").encode())
        if self.chance.random() < 0.5:
            self.world.time.after(self.chance.uniform(0, 300), lambda: self._copy(path))

    def drop_broken(self) -> None:
        self._write(self._place() / f"{self._new('p')}.prompt", b"---\nnum_image: 3\n---\nwords\n")

    def edit(self) -> None:
        if known := self.prompts():
            self._write(self.chance.choice(known), self._text().encode())

    def comment(self) -> None:
        """An edit that asks for nothing else."""
        if known := [path for path in self.prompts() if b"seed" not in path.read_bytes()]:
            path = self.chance.choice(known)
            self._write(path, path.read_bytes().replace(b"---\n", b"---\n# once more\n", 1))

    def touch(self) -> None:
        if known := self.prompts():
            self._date(self.chance.choice(known))

    def rename(self) -> None:
        if known := self.prompts():
            path = self.chance.choice(known)
            to = self._place() / f"{self._new('p')}.prompt"
            # What is mentioned in front depends on the folder: within one the words stay what they were.
            to = (
                path.with_name(to.name)
                if path.parent != self.world.inbox or to.parent != self.world.inbox
                else to
            )
            path.rename(to)
            self.world.hint(path.parent)
            self.world.hint(to.parent)

    def rename_folder(self) -> None:
        if known := [folder for folder in self.folders() if folder.parent == self.world.inbox]:
            folder = self.chance.choice(known)
            name = self._new("f")
            self.wishes.titles[name] = self.wishes.titles[folder.name]
            self.group(folder.name, name)
            folder.rename(folder.with_name(name))
            self.world.hint(self.world.inbox)

    def copy(self) -> None:
        if known := self.prompts():
            self._copy(self.chance.choice(known))

    def _copy(self, path: Path) -> None:
        if not path.exists():
            return
        if found := WORD.search(path.read_text()):
            self.wishes.words[found[0]] += 1
        self._write(path.with_name(f"{self._new('p')}.prompt"), path.read_bytes())

    def delete(self) -> None:
        if known := self.prompts():
            path = self.chance.choice(known)
            path.unlink()
            self.world.hint(path.parent)

    def delete_folder(self) -> None:
        if (known := self.folders()) and self.chance.random() < 0.3:
            folder = self.chance.choice(known)
            shutil.rmtree(folder)
            self.world.hint(folder.parent)

    # Titles that one folder had are one wish

    groups: dict[str, str] = field(default_factory=dict)

    def group(self, old: str, new: str) -> None:
        self.groups[new] = self.groups.get(old, old)

    def title(self, name: str) -> str:
        """The first title of the folder that has, or had, this one."""
        return self.groups.get(name, name)

    # Commands

    def _command(self, name: str, path: Path, heard: Callable[[dict[str, Any]], None]) -> None:
        if self.world.process:
            arguments = {"paths": [str(path)]}
            self.world.process.inbox.put(Command(name=name, arguments=arguments, reply=Reply(heard)))

    def rerun(self) -> None:
        if known := self.prompts():
            path = self.chance.choice(known)
            if found := WORD.search(path.read_text()):
                word = found[0]
                # Before the answer: what was committed may be sent although nobody heard of it.
                self.wishes.words[word] += 1
                self._command("rerun", path, lambda _: None)

    def retry(self) -> None:
        if known := [path for path in self.prompts() if FAILS in path.read_text()]:
            path = self.chance.choice(known)
            if found := WORD.search(path.read_text()):
                self.wishes.words[found[0]] += 4  # each of its copies and reruns that had failed
                self._command("retry", path, lambda _: None)

    def pause(self) -> None:
        self._command("pause", self.world.inbox, lambda _: None)
        self.world.time.after(self.chance.uniform(10, 600), self.resume)

    def resume(self) -> None:
        self._command("resume", self.world.inbox, lambda _: None)

    # The surroundings

    def unmount(self) -> None:
        """The watched folder's disk goes away: an empty mount point is there instead, or nothing."""
        if self._away is None:
            self._away = self.world.home / "away"
            self.world.inbox.rename(self._away)
            if self.chance.random() < 0.7:
                self.world.inbox.mkdir()
            self.world.time.after(self.chance.uniform(30, 900), self.mount)

    def mount(self) -> None:
        if self._away is not None:
            if self.world.inbox.exists():
                left = [path.name for path in self.world.inbox.iterdir()]
                assert not left, f"{left} was written where the disk is away"
                self.world.inbox.rmdir()
            self._away.rename(self.world.inbox)
            self._away = None
            self.world.hint(self.world.inbox)

    @property
    def is_there(self) -> bool:
        """Whether there is a folder to work in."""
        return self._away is None
