"""One point: the process is killed at its n-th call of a kind, or that call fails; then everything must come right."""

import errno
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.crashes import judge, strace
from tests.crashes.bench import KILL, Bench, Wire
from tests.crashes.scene import Scene

# These change no disk, they talk to Astria: what may go wrong there is the simulator's business.
_TALKING = ("connect", "sendto", "recvfrom", "send", "recv")
_IN_A_ROW = 4  # failures "from then on", until the cause is gone
ERRORS = ("EIO", "ENOSPC")


@dataclass(frozen=True, kw_only=True, order=True)
class Point:
    """`label` is the call and what for, as in `fsync:picture`; `what` happens there: `kill`, or an errno, once or from then `on`.

    `by` says who counts the calls: seccomp (all threads together), strace (each thread by itself), or hooks in Python.
    """

    label: str
    n: int
    what: str = "kill"
    on: bool = False
    by: str = "seccomp"

    @property
    def command(self) -> str:
        """How to go through this one again."""
        verb = "kill" if self.what == "kill" else f"refuse --error {self.what}{' --on' if self.on else ''}"
        by = "" if self.by == "seccomp" else f" --by {self.by}"
        return f"python -m tests.crashes {verb}{by} {self.label} {self.n}"

    def decide(self) -> Callable[[str, int], int]:
        """For a Wire: the number of the error, KILL, or 0."""
        hits = 0

        def decide(label: str, n: int) -> int:
            nonlocal hits
            if label != self.label or n < self.n or hits >= (_IN_A_ROW if self.on else 1):
                return 0
            hits += 1
            return KILL if self.what == "kill" else int(getattr(errno, self.what))

        return decide


def count(bench: Bench, by: str) -> Counter[str]:
    """How many calls of each kind a run makes that nothing disturbs."""
    if by == "strace":
        return strace.count(bench)
    with bench.scene() as scene:
        if by == "hooks":
            counts = scene.home / "counts"
            hook = {"label": "", "n": 0, "what": "", "counts": str(counts)}
            judge.at_rest(scene, bench.run(scene, hook=hook))
            return Counter(json.loads(counts.read_text()))
        wire = Wire(scene=scene)
        judge.at_rest(scene, bench.run(scene, wire=wire))
        return wire.seen


def kills(counts: Counter[str], by: str = "seccomp") -> list[Point]:
    return [Point(label=label, n=n, by=by) for label in sorted(counts) for n in range(1, counts[label] + 1)]


def errors(counts: Counter[str], by: str = "seccomp") -> list[Point]:
    """EIO and ENOSPC, once and from then on, at each call that changes a disk."""
    return [
        Point(label=point.label, n=point.n, what=what, on=on, by=by)
        for point in kills(counts)
        if not point.label.startswith(_TALKING)
        for what in ERRORS
        for on in ((False, True) if by != "hooks" else (False,))
    ]


def play(bench: Bench, point: Point) -> bool:
    """Go through one point; raises if a promise is broken. False if the run ended before it came to the point."""
    way = {"strace": _by_strace, "hooks": _by_hooks, "seccomp": _kill if point.what == "kill" else _refuse}
    with bench.scene() as scene:
        try:
            hit = way[point.by](bench, scene, point)
            come_right(bench, scene)
        except Exception as error:
            told = scene.log.read_text() if scene.log.exists() else ""
            error.add_note(f"{point.command}\n{told[-4000:]}")
            raise
        return hit


def _kill(bench: Bench, scene: Scene, point: Point) -> bool:
    wire = Wire(scene=scene, decide=point.decide(), each=_watching(scene))
    code = bench.run(scene, wire=wire)
    assert (code == -signal.SIGKILL) == bool(wire.hits), f"it ended with {code}"
    judge.after_a_crash(scene)
    return bool(wire.hits)


def _refuse(bench: Bench, scene: Scene, point: Point) -> bool:
    """The daemon gets over a failure, or over several in a row, by itself, as soon as the cause is gone."""
    wire = Wire(scene=scene, decide=point.decide(), each=_watching(scene))
    process = bench.start(scene, "run", wire=wire)
    try:
        until(lambda: process.ended(0) or scene.finished())
    finally:
        process.kill(signal.SIGTERM)
        code = process.wait()
    judge.after_a_crash(scene)
    _said_so(scene, code)
    return bool(wire.hits)


def _by_strace(bench: Bench, scene: Scene, point: Point) -> bool:
    del bench
    code, hit = strace.run_to(scene, label=point.label, n=point.n, what=point.what, on=point.on)
    judge.after_a_crash(scene)
    if not (hit and point.what == "kill"):
        _said_so(scene, code, could=point.label != "write")  # which may be the log's
    return hit


def _by_hooks(bench: Bench, scene: Scene, point: Point) -> bool:
    counts = scene.home / "counts"
    hook = {"label": point.label, "n": point.n, "what": point.what, "counts": str(counts)}
    code = bench.run(scene, hook=hook)
    judge.after_a_crash(scene)
    if code != -signal.SIGKILL:
        _said_so(scene, code)
    seen = Counter(json.loads(counts.read_text())) if counts.exists() else Counter({point.label: point.n})
    counts.unlink(missing_ok=True)
    return seen[point.label] >= point.n


def _said_so(scene: Scene, code: int, *, could: bool = True) -> None:
    """A failure before the daemon is up ends it, with a sentence, if that could be written; no later one does."""
    told = scene.log.read_text()
    said = any(line.startswith(("astria-sync: ", "Not finished:")) for line in told.splitlines())
    assert code == 0 or (code in {1, 2} and (said or not could)), f"it ended with {code}"
    assert "Traceback" not in told


def come_right(bench: Bench, scene: Scene) -> None:
    """A run that nothing disturbs finishes what is not finished, nothing half in between; one more has nothing to do."""
    if not scene.finished():
        wire = None if bench.unsupported else Wire(scene=scene, each=_watching(scene))
        judge.at_rest(scene, bench.run(scene, wire=wire))
    paid = scene.paid_requests()
    judge.at_rest(scene, bench.run(scene))
    assert scene.paid_requests() == paid, "a run that had nothing to do paid"


def _watching(scene: Scene) -> Callable[[str], None]:
    """Nothing half at any time: looked at before every call that could change the output."""

    def each(label: str) -> None:
        if label.endswith((":picture", ":sidecar", ":folder")):
            judge.at_any_time(scene)

    return each


def until(holds: Callable[[], object], timeout: float = 60.0) -> None:
    """Wait for a condition."""
    end = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)
