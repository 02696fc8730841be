"""From a saved file to its request."""

import contextlib
import json
import sqlite3
import subprocess
import time
import urllib.request
from pathlib import Path

from astria_sync.api import Api
from astria_sync.core.retry import Answer
from astria_sync.secrets import Token
from benchmarks.catalog import Benchmark, Run
from benchmarks.peers import look_for
from benchmarks.process import Daemon, Home, StandIn, daemon, ended, stand_in, until
from benchmarks.results import Figure, Goal, Result, quantile
from benchmarks.rows.idle import the_size, the_tree
from benchmarks.tree import ask

SETTLE = 0.5
_MODEL = 3618064  # Astria's own, which needs no tune
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


def _made_known(home: Home, astria: StandIn, rounds: int) -> None:
    """Have the stand-in know the tunes of the folders that are saved to: it would refuse what it is asked for with others."""
    api = Api(astria.base_url, lambda: Token(astria.token, source="the benchmark"), timeout=30)

    def made(path: str, *fields: tuple[str, str]) -> int:
        answer = api.send("POST", path, fields)
        if not (isinstance(answer, Answer) and answer.status == 201):
            raise RuntimeError(f"the stand-in made nothing: {answer}")
        return int(answer.body["id"])

    # A stand-in begins with the same ids each time; those that the tree has are somebody else's here.
    ((taken,),) = ask(home.state, "SELECT max(remote_id) FROM prompts WHERE remote_id < 40000000")
    while made(f"/tunes/{_MODEL}/prompts", ("prompt[text]", "somebody else's")) <= taken:
        pass
    with contextlib.closing(sqlite3.connect(home.state)) as state, state:
        for folder in sorted({_folder(home, number).name for number in range(rounds)}):
            kind = (("tune[title]", folder), ("tune[name]", "woman"), ("tune[model_type]", "faceid"))
            tune = made("/tunes", *kind, ("tune[image_urls][]", f"{astria.base_url}/none.jpg"))
            state.execute("UPDATE tunes SET remote_id = ? WHERE title = ?", [tune, folder])
    api.close()


def _folder(home: Home, number: int) -> Path:
    folders = sorted(home.inbox.iterdir())
    return folders[number * 7 % len(folders)]


def _save(home: Home, number: int, words: str) -> float:
    """Save a prompt in one of the folders; when it was closed."""
    place = _folder(home, number) / f"new-{time.time_ns()}.prompt"
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


def _late(rounds: list[tuple[float, float]]) -> list[float]:
    """Milliseconds from the moment at which a file has stood still for `settle_seconds` to its request."""
    return [(came - saved - SETTLE) * 1000 for saved, came in rounds]


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
    options = ("--generate-seconds", "5", "--train-seconds", "0", "--picture-px", "32")
    with stand_in(*options) as astria:
        _made_known(home, astria, rounds)
        before = len(astria.requests("POST"))
        home.write(astria.base_url, timing={"settle_seconds": SETTLE})
        ours = _ours(home, astria, rounds)
        if peers.has("inotifywait") and peers.has("curl"):
            theirs = _theirs(home, astria, rounds)
            _remove(home)
        busy = _during_rescans(home, astria, run.times(30, 2))
        sent = len(astria.requests("POST")) - before
    _remove(home)
    return Result(
        figures=(
            Figure(
                what="a file settled → its request received, median",
                unit="ms",
                ours=_late(ours),
                beside={"inotifywait | curl": theirs},
                goals=[Goal(most=50)],
            ),
            Figure(
                what="the same, 99 of 100",
                unit="ms",
                ours=[quantile(_late(ours), 0.99)],
                goals=[Goal(most=250)],
            ),
            Figure(what="the same with a rescan of everything each second", unit="ms", ours=_late(busy)),
        ),
        said=(
            f"{sent} requests for {len(ours) + len(theirs) + len(busy)} files; settle_seconds was {SETTLE:g}.",
            "Settled is when `settle_seconds` have passed since the file was closed.",
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
    limits=(
        "Of some 25 ms: 10 are left for a disk's clock, by whose last tick a change is dated; the step that the time wakes is 2, the look "
        "at the folder of 100 files 2–3, the step that reads, judges and journals 8 with its fsync, a connection of its own for a "
        "request that costs money, which is written in a dozen small pieces, 3. The first prompt of a run waits 5 more for a look at "
        "Astria's list. During a rescan of everything a file waits until that look has ended: one look at a time is under way in a root, "
        "or an older one could be taken for news."
    ),
    tried=(
        "Telling of the first event at once, instead of after 50 ms without another: what an editor does in several moves was seen half done. "
        "What did help (128 ms before, in the same minutes): the time in which a file has to stand still begins with its last event, as "
        "long as the disk dates no later change, and not with the look that follows 60 ms on; that pause is counted from the last event, "
        "where a second event just after the first made it 100 ms; two questions that read all folders and all files for each prompt "
        "(7 ms) are asked by number and path; the balance is not compared with what was paid before Astria has told it (3 ms)."
    ),
    measure=_measure,
)
