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
        "CPU: 5 to 6 ms for each picture beside curl's 2 to 2.5, on two cores that nginx needs as well. SHA-256 takes 1 of it, socket to "
        "disk 1.5, Python around the request and its answer 0.6, the engine's share of its steps 0.3, and the rest is that nine threads "
        "take turns in one interpreter: after each call that lets go of it a thread waits for its turn, which is two switches and a "
        "wake-up in the kernel. The disk is no limit: with file and folder synced, 500 pictures of 2 MB take it 0.7 s."
    ),
    tried=(
        "That helped: bodies from the socket into one buffer instead of httpcore's pieces (a third of the downloader's CPU), "
        "downloads that wait with the pool, one commit for pictures that come at about the same time, to be woken only when a piece has "
        "come (SO_RCVLOWAT). Then, by counting where threads wait for the interpreter (perf, sched_switch): pieces of 1 MiB, a file that "
        "is looked at through the descriptor that wrote it, a dozen lstat a picture asked once a second, two questions to SQLite fewer: "
        "158 → 85 switches a picture; and no search through a JPEG's scan, if the file ends as it should (0.6 ms with the interpreter "
        "held). Together 2.6 → 1.8 × curl on loopback, 0.58 → 0.42 of a core on the gigabit line (curl, which checks, syncs and records "
        "nothing, has 0.25). That did not help: larger reads through httpcore (what is copied three times then also faults in new "
        "pages), pieces of 512 KiB while each was taken as it came, 12 or 16 threads instead of 8, a lock that lets one or two threads "
        "write and hash, longer turns of the interpreter (sys.setswitchinterval)."
    ),
    measure=_measure,
)
