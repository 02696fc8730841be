"""Five hundred pictures from a host that has them ready."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import host
from benchmarks.catalog import Benchmark, Run
from benchmarks.fetchers import CONNECTIONS
from benchmarks.peers import Peers, look_for
from benchmarks.results import Figure, Goal, Result

_TOOLS = ("aria2c", "curl", "rclone")
_NAMES = {"curl": "curl --parallel"}


def _taken(top: Path, kind: str, count: int, rounds: int) -> dict[str, list[Any]]:
    """Who took how long on that line."""
    at = host.line(kind, CONNECTIONS)
    command = [sys.executable, "-m", "benchmarks.fetchers", kind, str(top), str(count), str(rounds)]
    told = subprocess.run([*at.prefix, *command], stdout=subprocess.PIPE, check=True).stdout
    found: dict[str, list[Any]] = json.loads(told)
    return found


def _seconds(what: str, taken: dict[str, list[Any]], goals: list[Goal], **more: list[float]) -> Figure:
    beside = {_NAMES.get(name, name): [one["seconds"] for one in taken.get(name, [])] for name in _TOOLS}
    return Figure(
        what=what,
        unit="s",
        ours=[one["seconds"] for one in taken["ours"]],
        beside={**beside, **more},
        goals=goals,
    )


def _cpu(what: str, taken: dict[str, list[Any]], goals: list[Goal]) -> Figure:
    """Cores that were busy with it, of the daemon or the tool alone."""

    def share(name: str) -> list[float]:
        return [one["cpu"] / one["seconds"] for one in taken.get(name, [])]

    beside = {_NAMES.get(name, name): share(name) for name in _TOOLS}
    return Figure(what=what, unit="cores", ours=share("ours"), beside=beside, goals=goals)


def _growth(memory: list[tuple[float, float]]) -> float:
    """How much more memory it had in the last fifth of the time than in the second."""
    fifth = max(1, len(memory) // 5)
    late, early = memory[-fifth:], memory[fifth : 2 * fifth] or memory[:1]
    return median(much for _, much in late) - median(much for _, much in early)


def _measure(run: Run) -> Result:
    peers = look_for(["nginx", *_TOOLS])
    if not peers.has("nginx"):
        return _nothing(peers)
    count, top = run.pick(500, 8), run.folder("pictures")
    host.fill(top / "files", count)
    near = _taken(top, "near", count, run.times(5))
    far = _taken(top, "far", count, run.times(3))
    slow = _taken(top, "gigabit", count, run.times(3))
    beaten = [
        Goal(most=1, of="aria2c", words="faster than aria2c"),
        Goal(most=2, of="curl --parallel", words="at least half as fast as `curl --parallel`"),
    ]
    line = [count * host.BYTES / host.GIGABIT] * len(slow["ours"])
    memory = [one["memory"] for one in near["ours"] if one["memory"]]
    return Result(
        figures=(
            _seconds("on loopback", near, beaten),
            _cpu("cores that are busy meanwhile", near, []),
            _seconds("at 50 ms latency", far, beaten),
            _seconds(
                "on a gigabit line",
                slow,
                [Goal(most=1.1, of="the line", words="fills the line (at most 1.1 × of what it takes)")],
                **{"the line": line},
            ),
            _cpu("cores that are busy on the gigabit line", slow, [Goal(most=0.5)]),
            Figure(
                what="memory, how much it grew while they came",
                unit="MiB",
                ours=[_growth(one) for one in memory],
                goals=[Goal(most=2, words="flat (2 MiB)")],
            ),
            Figure(
                what="memory, its peak over that at rest",
                unit="MiB",
                ours=[one["peak"] - one["idle"] for one in near["ours"]],
            ),
        ),
        said=[host.line(kind, CONNECTIONS).how for kind in ("far", "gigabit")],
        skipped=peers.skipped,
        peers=peers.versions,
        size=f"{count} pictures of 2 MB, {CONNECTIONS} connections",
        series={"memory": memory[-1]} if memory and not run.smoke else {},
        axes=("s", "MiB"),
    )


def _nothing(peers: Peers) -> Result:
    """Without nginx there is no host that is fast enough to measure anything but itself."""
    figures = [Figure(what="pictures on loopback", unit="s", ours=[], goals=[Goal(most=1, of="aria2c")])]
    return Result(figures=figures, skipped=peers.skipped, size="nothing")


BENCHMARK = Benchmark(
    name="pictures",
    title="Pictures from nginx to the disk; ours with SHA-256, structure, fsync and journal, theirs as plain files.",
    how=(
        "the real daemon; the simulator's lists name nginx as the pictures' host. All 500 are finished at one moment. From the first request "
        "in nginx's log to the last picture in the journal, or to the end of the tool. Before each the disk is at rest."
    ),
    limits=(
        "CPU: 8 to 10 ms for each picture beside curl's 2 or 3, on two cores that nginx needs as well. One thread alone takes 6.6 ms for "
        "the download: SHA-256 1.4, the look through the structure 1.3, socket to disk 1.6, Python around the request and its answer 1.5. "
        "The engine adds 3 to 4, of which each picture has its share of three steps, and nine threads take turns in one interpreter: "
        "45 % of the CPU on the gigabit line is the kernel's, a third of that waking threads. The disk is no limit: with file and "
        "folder synced, 500 pictures of 2 MB take it 0.7 s."
    ),
    tried=(
        "That helped: bodies from the socket into one buffer of 256 KiB instead of httpcore's pieces (a third of the downloader's CPU), "
        "downloads that wait with the pool, one commit for pictures that come within 40 ms (the engine's CPU on the gigabit line: from "
        "2.1 s to 0.8). That did not: larger reads through httpcore (what is copied three times then also faults in new pages), pieces of "
        "512 KiB, 12 or 16 threads instead of 8, longer turns of the interpreter (sys.setswitchinterval). What helped on the gigabit line "
        "above all: to be woken only when 256 KiB have come, or after 20 ms (SO_RCVLOWAT), and to write down what tells of a picture with "
        "the next pictures instead of by itself (0.79 → 0.58 of a core; curl, which checks, syncs and records nothing, has 0.25)."
    ),
    measure=_measure,
)
