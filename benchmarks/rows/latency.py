"""From a saved file to its request."""

import json
import subprocess
import time
import urllib.request

from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import Daemon, Home, StandIn, daemon, ended, stand_in, until
from benchmarks.results import Figure, Goal, Result, quantile
from benchmarks.rows.idle import the_size, the_tree
from benchmarks.tree import ask

SETTLE = 0.5
_SHELL = (
    'inotifywait -qmr -e close_write --format %w%f "$1" | while read -r file; do '
    'curl -s -o /dev/null -H "Authorization: Bearer $3" -F "prompt[text]=<$file" "$2/tunes/3618064/prompts"; done'
)


def _came(astria: StandIn, words: str) -> float | None:
    """When the request with these words was received."""
    for one in reversed(astria.requests("POST")):
        if any(words in str(value) for _, value in one["fields"]):
            return float(one["at"])
    return None


def _save(home: Home, number: int, words: str) -> float:
    """Save a prompt in one of the folders; when it was closed."""
    folders = sorted(home.inbox.iterdir())
    place = folders[number * 7 % len(folders)] / f"new-{time.time_ns()}.prompt"
    place.write_text(words)
    return time.time()


def skew(astria: StandIn) -> float:
    """How far the clock of the stand-in's ledger is from ours: it is set once and then steady."""
    best = (9.0, 0.0)
    for _ in range(20):
        before = time.time()
        with urllib.request.urlopen(f"{astria.base_url}/_simulator/") as answer:  # noqa: S310 - our own
            theirs = float(json.load(answer)["now"])
        after = time.time()
        best = min(best, (after - before, theirs - (before + after) / 2))
    return best[1]


def _round(home: Home, astria: StandIn, number: int, mark: str) -> tuple[float, float]:
    """When a file was closed, and when the request for it was received, both by our clock."""
    words = f"{mark} {number}, a wall of bricks"
    saved = _save(home, number, words)
    time.sleep(SETTLE + 0.4)  # to read the log would hold up the request that is waited for
    came = until(lambda: _came(astria, words), seconds=30, every=0.2)
    return saved, came - skew(astria)


def _since_saved(rounds: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from closing a file to its request, less the time that it has to stand still."""
    return [(came - saved - SETTLE) * 1000 for saved, came in rounds]


def _since_settled(home: Home, rounds: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from the moment at which a file had stood still for long enough since it was first seen."""
    seen = [at for (at,) in ask(home.state, "SELECT at FROM events WHERE event = 'seen' ORDER BY at")]
    first = [min(at for at in seen if at >= saved) for saved, _ in rounds]
    return [(came - at - SETTLE) * 1000 for at, (_, came) in zip(first, rounds, strict=True)]


def _ours(home: Home, astria: StandIn, rounds: int) -> list[tuple[float, float]]:
    with daemon(home, astria.token) as running:
        running.at_rest()
        return [_round(home, astria, number, "ours") for number in range(rounds)]


def _during_rescans(home: Home, astria: StandIn, rounds: int) -> list[tuple[float, float]]:
    """The same while the daemon looks at everything without a pause between the looks."""
    home.write(astria.base_url, timing={"settle_seconds": SETTLE, "rescan_seconds": 1})
    with daemon(home, astria.token) as running:
        _settled(running)
        return [_round(home, astria, number, "rescan") for number in range(rounds)]


def _settled(running: Daemon) -> None:
    """It never rests: let it start."""
    time.sleep(5)
    if running.process.poll() is not None:
        raise RuntimeError("the daemon ended")


def _theirs(home: Home, astria: StandIn, rounds: int) -> list[float]:
    command = ["sh", "-c", _SHELL, "sh", str(home.inbox), astria.base_url, astria.token]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    with ended(process, group=True):
        time.sleep(2)  # it does not say when its watches are set
        taken = [_round(home, astria, number, "theirs") for number in range(rounds)]
        return [(came - saved) * 1000 for saved, came in taken]


def _remove(home: Home) -> None:
    for file in home.inbox.rglob("new-*"):
        file.unlink()


def _measure(run: Run) -> Result:
    home, peers = the_tree(run), look_for(["inotifywait", "curl"])
    rounds = run.times(100, 2)
    theirs: list[float] = []
    with stand_in("--generate-seconds", "5", "--picture-px", "32") as astria:
        home.write(astria.base_url, timing={"settle_seconds": SETTLE})
        ours = _ours(home, astria, rounds)
        if peers.has("inotifywait") and peers.has("curl"):
            theirs = _theirs(home, astria, rounds)
            _remove(home)
        busy = _during_rescans(home, astria, run.times(30, 2))
        sent = len(astria.requests("POST"))
    _remove(home)
    return Result(
        figures=(
            Figure(
                what="a file settled → its request received, median",
                unit="ms",
                ours=_since_settled(home, ours),
                goals=[Goal(most=50)],
            ),
            Figure(
                what="the same, 99 of 100",
                unit="ms",
                ours=[quantile(_since_settled(home, ours), 0.99)],
                goals=[Goal(most=250)],
            ),
            Figure(
                what="a file saved → its request received, less `settle_seconds`",
                unit="ms",
                ours=_since_saved(ours),
                beside={"inotifywait | curl": theirs},
            ),
            Figure(
                what="the same with a rescan of everything each second", unit="ms", ours=_since_saved(busy)
            ),
        ),
        said=(
            f"{sent} requests for {len(ours) + len(theirs) + len(busy)} files; settle_seconds was {SETTLE:g}.",
            "Settled is when the time is over that began when the daemon first saw the file (its event `seen`).",
        ),
        skipped=peers.skipped,
        peers=peers.versions,
        size=str(the_size(run)),
    )


BENCHMARK = Benchmark(
    name="latency",
    title="One file saved among many: from the moment at which it has settled to its request at the server.",
    how=(
        "the real daemon beside the simulator, whose log says when a request was received. Beside it a shell that has `inotifywait` tell "
        "`curl`, which waits for nothing to settle and checks nothing. Files are saved one at a time."
    ),
    limits="",
    tried="",
    measure=_measure,
)
