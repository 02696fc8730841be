"""A studio in which everything is done: many folders with pictures and finished prompts, and the state that knows of them.

The rows are the product's own: a real engine takes one folder through the whole job, and its rows are then multiplied, with the
places, stamps and numbers of the other folders. That everything counts as done is checked by whoever uses it.
"""

import contextlib
import io
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from PIL import Image

from astria_sync import config
from astria_sync.folders import TuneFiles
from astria_sync.scan import Root, look
from benchmarks.process import Home, stand_in, until
from benchmarks.process import daemon as running

MODEL: Final = "00000"  # the folder that the product itself works through
TIMING: Final = {"settle_seconds": 0.5}
_AT_ASTRIA: Final = 40_000_000  # ids of what never was there


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """So many folders, with so many pictures and prompts in each."""

    folders: int
    pictures: int
    prompts: int

    def __str__(self) -> str:
        """For the page."""
        files = self.folders * (self.pictures + self.prompts)
        return (
            f"{files:,} files in {self.folders:,} folders, {self.folders * self.prompts:,} finished prompts"
        )


FULL: Final = Size(folders=1000, pictures=90, prompts=10)
SMALL: Final = Size(folders=20, pictures=9, prompts=2)


def make(top: Path, size: Size) -> Home:
    """The whole studio."""
    home = Home(top)
    with stand_in("--train-seconds", "0", "--generate-seconds", "0", "--picture-px", "32") as astria:
        home.write(astria.base_url, timing=TIMING | {"poll_seconds": 0.5})
        folder(home.inbox / MODEL, 0, size)
        with running(home, astria.token) as daemon:
            until(lambda: _done(home) == size.prompts)
            daemon.at_rest()
    for n in range(1, size.folders):
        folder(home.inbox / f"{n:05}", n, size)
        _output(home.output, f"{n:05}")
    with contextlib.closing(sqlite3.connect(home.state, isolation_level=None)) as conn:
        conn.row_factory = sqlite3.Row
        conn.execute("BEGIN")
        _multiply(conn, home)
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home


def _done(home: Home) -> int:
    """How many prompts the state has as done, each with its sidecar."""
    if not home.state.exists():
        return 0
    try:
        (found,) = ask(home.state, "SELECT count(*) FROM prompts WHERE state = 'done'")[0]
    except sqlite3.OperationalError:  # it is only just being made
        return 0
    return found if len(list(home.output.rglob("*.json"))) == found else 0


def ask(state: Path, sql: str) -> list[Any]:
    """What a state says, read only."""
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as conn:
        return conn.execute(sql).fetchall()


def folder(place: Path, n: int, size: Size) -> None:
    """Pictures that are tiny and whole, and the prompts beside them; none was ever read, as their times of access tell."""
    place.mkdir(parents=True)
    head = _picture()
    for one in range(size.pictures):
        file = place / f"{one:03}.jpg"
        file.write_bytes(head + f"{n} {one}".encode())
        os.utime(file, ns=(0, time.time_ns()))
    for one in range(size.prompts):
        (place / f"{one:03}.prompt").write_text(f"<1> in front of wall {one}, folder {n}")


def _picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 120, 150)).save(out, "JPEG")
    return out.getvalue()


def pictures_read(home: Home) -> int | None:
    """How many of the pictures were read since they were made; None if this disk does not tell."""
    probe = home.inbox.parent / "probe"
    probe.write_bytes(b"x")
    os.utime(probe, ns=(0, time.time_ns()))
    probe.read_bytes()
    if not probe.stat().st_atime_ns:
        return None
    return sum(
        entry.stat().st_atime_ns > 0
        for place in os.scandir(home.inbox)
        if place.name != MODEL
        for entry in os.scandir(place.path)
        if entry.name.endswith(".jpg")
    )


def _output(output: Path, name: str) -> None:
    """Where the pictures of a folder's prompts would be: as many files, those of the first folder once more."""
    for prompt in sorted((output / MODEL).iterdir()):
        place = output / name / prompt.name
        place.mkdir(parents=True)
        for file in prompt.iterdir():
            shutil.copyfile(file, place / file.name)


def _multiply(conn: sqlite3.Connection, home: Home) -> None:
    """The rows of the first folder, once for each of the others."""
    settings = config.load(home.config, profile=None, environ={}, home=home.top)
    files = TuneFiles(settings)
    root = str(home.inbox)
    seen = look(Root(root, [str(home.output)]))
    models = {
        table: [dict(row) for row in conn.execute(f"SELECT * FROM {table}")]
        for table in ("sources", "tunes", "prompts", "images")
    }
    stamps: dict[str, tuple[str, int, int]] = {}
    for sight in seen.folders:
        files.saw(root, sight.path, sight.tune_stamp)
        stamps[sight.path] = (sight.settled_stamp(files.stamp(root, sight.path)), sight.inode, 0)
        stamps |= {one.path: (one.stamp, one.inode, one.mtime_ns) for one in sight.prompts}
    names = sorted(sight.path for sight in seen.folders if sight.path not in {".", MODEL})
    for number, name in enumerate(names, 1):
        for table, rows in _rows(models, number, name, stamps):
            _insert(conn, table, rows)


def _rows(
    models: Mapping[str, list[dict[str, Any]]],
    number: int,
    name: str,
    stamps: Mapping[str, tuple[str, int, int]],
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The rows of one more folder."""
    step = {
        table: number * (max((row["id"] for row in rows), default=0) + 1) for table, rows in models.items()
    }

    def other(row: Mapping[str, Any], table: str) -> dict[str, Any]:
        made = {**row, "id": row["id"] + step[table]}
        for key, of in (("source_id", "sources"), ("subject_id", "sources"), ("prompt_id", "prompts")):
            if made.get(key) is not None:
                made[key] += step[of]
        if made.get("remote_id") is not None:
            made["remote_id"] = _AT_ASTRIA + made["id"] + (10**7 if table == "tunes" else 0)
        for key in ("path", "folder", "file"):
            if made.get(key):
                made[key] = name + made[key].removeprefix(MODEL) if made[key].startswith(MODEL) else made[key]
        if made.get("seed") is not None:
            made["seed"] += number
        if made.get("title"):
            made["title"] = name
        return made

    sources = [other(row, "sources") for row in models["sources"]]
    for source in sources:
        source["stamp"], source["inode"], source["mtime_ns"] = stamps[source["path"]]
        source["content"] += f"-{number}"
    yield "sources", sources
    for table in ("tunes", "prompts", "images"):
        yield table, [other(row, table) for row in models[table]]


def _insert(conn: sqlite3.Connection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        places = ", ".join(f":{key}" for key in rows[0])
        conn.executemany(f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES ({places})", rows)
