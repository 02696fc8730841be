"""What must hold: at any time, directly after a crash, and when all has come to rest. Each function raises Broken.

The judge believes the stand-in and the disk; the state is asked only where it is the state that is judged.
"""

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from astria_sync import report
from tests.crashes.scene import Scene

_PICTURE = re.compile(r"-(\d+)-(\d+)\.\w+$")
_SIDECAR = re.compile(r"-(\d+)\.json$")
_NUMBER = re.compile(r"\d+")
_STATE_FILES = re.compile(r"s\.db(-wal|-shm|\.lock|\.backups|\.models\.json)?")
NOT_RUNNING = {"running": False, "pid": None, "since": None}


class Broken(AssertionError):
    """A promise is broken."""


def _must(holds: object, what: object) -> None:
    if not holds:
        raise Broken(what)


def at_any_time(scene: Scene) -> None:
    """Nothing half under a final name."""
    pictures = scene.pictures()
    for path in scene.published():
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            continue
        if found := _PICTURE.search(path.name):
            whole = pictures.get(int(found[1]), [])
            _must(data in whole, f"half a picture under its final name: {path.name}, {len(data)} bytes")
        elif found := _SIDECAR.search(path.name):
            _must(_read(data).get("id") == int(found[1]), f"half a sidecar: {path.name}, {len(data)} bytes")
        else:
            raise Broken(f"what is {path}?")


def after_a_crash(scene: Scene) -> None:
    """What a person finds who looks at the disk before anything is started again."""
    at_any_time(scene)
    _state_is_whole(scene)
    paid_once(scene, all_of_it=False)


def _state_is_whole(scene: Scene) -> None:
    """On a copy: to open it mends it."""
    with tempfile.TemporaryDirectory(dir=scene.home) as folder:
        for file in scene.state.parent.glob("s.db*"):
            if file.is_file() and not file.name.endswith((".lock", ".pid", "-shm")):
                shutil.copy(file, folder)
        copy = Path(folder, "s.db")
        if copy.exists():
            with closing(sqlite3.connect(copy)) as connection:
                try:
                    said = connection.execute("PRAGMA integrity_check").fetchone()[0]
                except sqlite3.DatabaseError as error:
                    said = str(error)
            _must(said == "ok", f"the state is damaged: {said}")


def paid_once(scene: Scene, *, all_of_it: bool) -> None:
    """Each wanted thing was made at most once; or, `all_of_it`, exactly once."""
    made = scene.made()
    nobodys = made.keys() - scene.wanted - scene.maybe
    _must(not nobodys, f"made although nobody wants it: {nobodys}")
    twice = {what: ids for what, ids in made.items() if len(ids) > 1}
    _must(not twice or scene.lists_lie, f"paid twice: {twice}")
    _must(not all_of_it or made.keys() >= scene.wanted, f"not made: {scene.wanted - made.keys()}")


def at_rest(scene: Scene, code: int) -> None:
    """After a run that nothing disturbed: everything is there, once, and nothing else."""
    told = scene.log.read_text() if scene.log.exists() else ""
    _must(code == 0, f"it ended with {code}: {told[-2000:]}")
    _must("Traceback" not in told, f"a traceback: {told}")
    paid_once(scene, all_of_it=True)
    at_any_time(scene)
    everything_is_here(scene)
    nothing_is_left_over(scene)
    status_is_true(scene)


def everything_is_here(scene: Scene) -> None:
    """Every picture that Astria has lies in the output once, and the sidecars say the same."""
    there = Counter(path.read_bytes() for path in scene.published() if _PICTURE.search(path.name))
    wanted = Counter(data for pictures in scene.pictures().values() for data in pictures)
    _must(there == wanted, f"{sum(wanted.values())} pictures are to be there: {_names(scene)}")
    sidecars = {int(found[1]): path for path in scene.published() if (found := _SIDECAR.search(path.name))}
    _must(sidecars.keys() == scene.pictures().keys(), f"sidecars: {_names(scene)}")
    for number, path in sidecars.items():
        noted = sorted(image["sha256"] for image in _read(path.read_bytes())["images"])
        whole = sorted(hashlib.sha256(data).hexdigest() for data in scene.pictures()[number])
        _must(noted == whole, f"{path.name} does not know its pictures")


def nothing_is_left_over(scene: Scene) -> None:
    """No hidden file, no error file, no trace of the process that died."""
    hidden = list(scene.output.rglob(".*"))
    _must(not hidden, f"left over: {hidden}")
    lying = {str(path.relative_to(scene.inbox)) for path in scene.inbox.rglob("*") if path.is_file()}
    _must(lying == scene.given(), f"in the inbox: {lying ^ scene.given()}")
    others = [path.name for path in scene.state.parent.iterdir() if not _STATE_FILES.fullmatch(path.name)]
    _must(not others, f"left over beside the state: {others}")
    locks = [path.name for path in (scene.home / "runtime" / "astria-sync").iterdir()]
    _must(all(name.endswith(".lock") for name in locks), f"left over among the locks: {locks}")


def status_is_true(scene: Scene) -> None:
    """`status` has nothing to complain of but what was made twice, all of which it tells; it knows what was spent."""
    found = report.snapshot(scene.state, now=time.time(), daemon=NOT_RUNNING)
    objects = {str(number) for ids in scene.made().values() for number in ids}
    told = {number for one in found["problems"] for number in objects & {*_NUMBER.findall(one["text"])}}
    others = [
        one
        for one in found["problems"]
        if not (scene.lists_lie and objects & {*_NUMBER.findall(one["text"])})
    ]
    _must(not found["failed"] and not others and not found["items"], f"status: {found}")
    for what, ids in scene.made().items():
        untold = [number for number in ids if str(number) not in told]
        _must(len(untold) <= 1, f"{what} was made twice, {ids}, but told: {found['problems']}")
    spent = scene.sim.ledger.spent_mc() / 100_000
    _must(abs(found["spent"]["total_usd"] - spent) < 1e-6, f"spent {spent}, told {found['spent']}")
    _must(not scene.unfinished(), f"not finished: {scene.unfinished()}")


def _names(scene: Scene) -> list[str]:
    return sorted(path.name for path in scene.published())


def _read(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
