"""A very large folder on its way to Astria."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import TOKEN, Home, daemon, ended, mebibytes, until
from benchmarks.results import Figure, Goal, Result
from benchmarks.tree import ask

_MEBIBYTE = 1 << 20


def photos(folder: Path, mebibytes_wanted: float) -> tuple[int, int]:
    """So many bytes of photos, as hard links to one: how many files and bytes."""
    picture = Image.frombytes("RGB", (2400, 1600), os.urandom(2400 * 1600 * 3))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    first = folder / "0000.jpg"
    first.write_bytes(out.getvalue())
    count = -(-int(mebibytes_wanted * _MEBIBYTE) // len(out.getvalue()))
    for n in range(1, count):
        os.link(first, folder / f"{n:04}.jpg")
    return count, count * len(out.getvalue())


@contextlib.contextmanager
def _sink() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.sink"]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE)) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"


def _taken(base_url: str) -> list[tuple[int, float]]:
    with urllib.request.urlopen(f"{base_url}/taken") as answer:  # noqa: S310 - our own
        return [(size, seconds) for size, seconds in json.load(answer)]


def _ours(home: Home, made: Path, base_url: str) -> tuple[float, float, float]:
    """Seconds of the request, seconds from the drop until it is answered, and memory over that at rest."""
    home.write(
        base_url, timing={"settle_seconds": 0.5}, astria={"base_url": base_url, "timeout_seconds": 600}
    )
    before = len(_taken(base_url))
    with daemon(home, TOKEN) as alone:
        alone.at_rest()
        idle, began = mebibytes(alone.pid), time.monotonic()
        made.rename(home.inbox / "photos")
        until(lambda: len(_taken(base_url)) > before, seconds=900, every=0.1)
        until(lambda: ask(home.state, "SELECT 1 FROM tunes WHERE state IN ('training', 'ready')"))
        whole, peak = time.monotonic() - began, mebibytes(alone.pid, "VmHWM")
    return _taken(base_url)[-1][1], whole, peak - idle


def _curl(path: str, folder: Path, base_url: str) -> float:
    fields = [f"tune[images][]=@{file}" for file in sorted(folder.iterdir())]
    forms = [part for field in fields for part in ("-F", field)]
    command = [path, "-s", "-o", os.devnull, *forms, "-F", "tune[title]=photos", f"{base_url}/tunes"]
    subprocess.run(command, check=True)
    return _taken(base_url)[-1][1]


def _measure(run: Run) -> Result:
    peers, wanted = look_for(["curl"]), run.pick(1024.0, 8.0)
    ours: list[float] = []
    whole: list[float] = []
    more: list[float] = []
    theirs: list[float] = []
    count = size = 0
    for _ in range(run.times(3)):
        home = Home(run.folder("upload"))
        home.inbox.mkdir()
        (home.inbox / "there.txt").write_text("an inbox with something in it")
        made = home.top / "made"
        made.mkdir()
        count, size = photos(made, wanted)
        with _sink() as base_url:  # a new one each time: of a folder that it knows, nothing would be sent
            request, all_of_it, memory = _ours(home, made, base_url)
            ours.append(request)
            whole.append(all_of_it)
            more.append(memory)
            if peers.has("curl"):
                theirs.append(_curl(peers.here["curl"], home.inbox / "photos", base_url))
    return Result(
        figures=(
            Figure(
                what="the request, from its head to its last byte",
                unit="s",
                ours=ours,
                beside={"curl -F": theirs},
                goals=[Goal(most=1.2, of="curl -F")],
            ),
            Figure(what="memory, its peak over that at rest", unit="MiB", ours=more, goals=[Goal(most=8)]),
            Figure(
                what="from the drop to answered, with settling and decoding each picture",
                unit="s",
                ours=whole,
            ),
        ),
        said=(f"{count} photos, {size / _MEBIBYTE:,.0f} MiB in one request.",),
        skipped=peers.skipped,
        peers=peers.versions,
        size=f"{wanted:g} MiB in one folder",
    )


BENCHMARK = Benchmark(
    name="upload",
    title="A folder of a gibibyte of photos, uploaded in the one request that makes its tune.",
    how=(
        "the real daemon and curl in turn, to a process that reads everything and keeps nothing and notes how long it took; memory is VmHWM "
        "against VmRSS at rest."
    ),
    limits=(
        "httpx takes the files in pieces of 256 KiB and sends each by itself, through its multipart encoder. Before the request every picture is "
        "decoded once, to be sure that it is whole: that is most of the time from the drop to the answer."
    ),
    tried=(
        "Pieces of 512 KiB instead of 256: no less CPU. Those of 64 KiB, as httpx asks for them, cost a quarter more of the client's CPU "
        "(0.11 s for 200 MiB, now 0.09)."
    ),
    measure=_measure,
)
