"""Everything together: seeded schedules of drops, edits, renames, copies, deletes, crashes and faults.

A seed that fails is run again alone by `SCHEDULES=SEED pytest tests/e2e/test_all_at_once.py`; more of them by
`SCHEDULES=100:400`. What is done depends on the seed alone; when the threads do it does not.
"""

import os
import random
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from astria_sync.simulator import Fault

STEPS = 10
POST_FAULTS = [
    {"kind": "status", "status": 504, "when": "after"},
    {"kind": "status", "status": 504, "when": "before"},
    {"kind": "status", "status": 500, "when": "after"},
    {"kind": "garbage", "when": "after"},
    {"kind": "cut", "cut_at": 20},
    {"kind": "refuse"},
]
OTHER_FAULTS = [
    {"kind": "status", "status": 503, "method": "GET", "host": "api"},
    {"kind": "garbage", "method": "GET", "host": "api"},
    {"kind": "refuse", "host": "api"},
    {"kind": "cut", "cut_at": 60, "host": "api"},
    {"kind": "cut", "cut_at": 400, "host": "pictures"},
    {"kind": "status", "status": 403, "host": "pictures"},
    {"kind": "status", "status": 500, "method": "PATCH"},
]


def _seeds() -> list[int]:
    first, _, last = os.environ.get("SCHEDULES", "0:6").partition(":")
    return list(range(int(first), int(last or int(first) + 1)))


class Person:
    """Somebody who cannot leave the files alone, and knows what may have been paid for each wish."""

    def __init__(self, studio, dice: random.Random) -> None:
        self.studio, self.dice = studio, dice
        self.wishes = 0
        self.allowed: Counter[str] = Counter()  # wish → how often it may be paid for at most
        self.versions: dict[Path, list[str]] = {}
        self.done: list[str] = []
        for name in ("one", "two"):
            self.new_folder(name)

    def act(self) -> None:
        """One thing or another."""
        acts = [self.drop, self.drop, self.edit, self.rename, self.copy, self.delete, self.swap, self.replace]
        acts += [self.edit_back, self.touch, self.rename_folder, self.new_folder, self.fault, self.fault]
        act = self.dice.choice(acts)
        self.done.append(act.__name__)
        act()

    def wish(self) -> str:
        self.wishes += 1
        self.allowed[f"wish {self.wishes:04d}"] += 1
        return f"wish {self.wishes:04d}"

    def folders(self) -> list[Path]:
        return sorted(path for path in self.studio.inbox.iterdir() if path.is_dir())

    def place(self) -> Path:
        folder = self.dice.choice([self.studio.inbox, *self.folders()])
        return folder / f"p{self.dice.randrange(10**6)}.prompt"

    def file(self) -> Path | None:
        files = sorted(self.studio.inbox.rglob("*.prompt"))
        return self.dice.choice(files) if files else None

    def drop(self) -> None:
        path, text = self.place(), self.wish()
        path.write_text(text)
        self.versions[path] = [text]

    def edit(self) -> None:
        if path := self.file():
            text = self.wish()
            path.write_text(text)
            self.versions[path].append(text)

    def edit_back(self) -> None:
        if path := self.file():
            path.write_text(self.dice.choice(self.versions[path]))

    def touch(self) -> None:
        if path := self.file():
            os.utime(path)

    def rename(self) -> None:
        if path := self.file():
            self._move(path, self.place())

    def _move(self, path: Path, to: Path) -> None:
        path.rename(to)
        self.versions[to] = self.versions.pop(path)

    def replace(self) -> None:
        """mv a b, over b."""
        path, other = self.file(), self.file()
        if path and other and path != other:
            self._move(path, other)

    def swap(self) -> None:
        path, other = self.file(), self.file()
        if path and other and path != other:
            spare = self.studio.home / "spare"
            path.rename(spare)
            other.rename(path)
            spare.rename(other)
            self.versions[path], self.versions[other] = self.versions[other], self.versions[path]

    def copy(self) -> None:
        if path := self.file():
            to = self.place()
            shutil.copy2(path, to)
            self.versions[to] = [to.read_text()]
            self.allowed[to.read_text()] += 1

    def delete(self) -> None:
        if path := self.file():
            path.unlink()
            del self.versions[path]

    def new_folder(self, name: str = "") -> None:
        self.studio.folder(name or f"f{self.dice.randrange(10**6)}", pictures=2, toml='name = "dress"\n')

    def rename_folder(self) -> None:
        if folders := self.folders():
            old = self.dice.choice(folders)
            new = self.studio.inbox / f"g{self.dice.randrange(10**6)}"
            old.rename(new)
            for path in [path for path in self.versions if path.parent == old]:
                self.versions[new / path.name] = self.versions.pop(path)

    def fault(self) -> None:
        paid = self.dice.random() < 0.6
        how = dict(self.dice.choice(POST_FAULTS if paid else OTHER_FAULTS))
        if paid:
            how |= {"method": "POST", "path": self.dice.choice([r"^/tunes$", r"/prompts$"])}
        self.studio.sim.faults.add(Fault(**how, times=self.dice.randint(1, 2)))


@pytest.mark.parametrize("seed", _seeds())
def test_whatever_happens_each_wish_is_paid_for_once(make_studio, seed):
    """Paid objects are the distinct wanted ones, every picture is whole on disk, and a further run sends nothing."""
    dice = random.Random(f"schedule {seed}")
    studio = make_studio(
        idempotency=dice.random() < 0.3,
        trickle=dice.random() < 0.3,
        generate_seconds=dice.choice([0.02, 0.2]),
    )
    studio.timeout = 3.0
    person = Person(studio, dice)
    for _ in range(dice.randint(2, 4)):  # lives of the daemon; each but the last ends in a crash
        with studio.daemon() as daemon:
            for _ in range(STEPS):
                for _ in range(dice.randint(0, 3)):
                    person.act()
                daemon.look()
                for _ in range(dice.randint(1, 15)):
                    daemon.turn(0.01)
        for _ in range(dice.randint(0, 2)):
            person.act()
    studio.sim.faults.clear()
    told = f"seed {seed}: {' '.join(person.done)}"
    studio.run_once(timeout=20)
    _check(studio, person, told)
    posts = len(studio.posts())
    studio.run_once()
    assert len(studio.posts()) == posts, told


def _check(studio, person, told) -> None:
    paid = Counter(
        re.search(r"wish \d+", entry.facts["text"])[0] for entry in studio.sim.ledger.created_prompts()
    )
    wanted = Counter(path.read_text() for path in studio.inbox.rglob("*.prompt"))
    too_often = {wish: count for wish, count in paid.items() if count > person.allowed[wish]}
    assert not too_often, told
    assert not {wish for wish in wanted if not paid[wish]}, told
    requests = {entry.number: entry for entry in studio.sim.ledger.requests("POST", r"^/tunes$")}
    tunes = Counter(
        frozenset(file.sha256 for file in requests[entry.request].files)
        for entry in studio.sim.ledger.created_tunes()
    )
    assert set(tunes.values()) == {1}, told
    assert len(tunes) == len(person.folders()), told
    assert set(studio.states().values()) <= {"ready", *("+".join(["done"] * n) for n in range(1, 20))}, told
    studio.check_pictures()
