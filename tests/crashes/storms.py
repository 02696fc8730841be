"""Processes killed at random moments, again and again, while Astria is in trouble and somebody works in the folders."""

import random
import signal
import time
from dataclasses import dataclass, field

from astria_sync.simulator import Fault, random_faults
from tests.crashes import judge
from tests.crashes.bench import KILL, Bench, Wire
from tests.crashes.scene import Scene

_RATE = 0.15  # of all requests go wrong
_CALLS, _SECONDS = (
    500,
    1.0,
)  # that a process lives for at most: system calls, so that a slow machine gets as far as a fast one
# So long after its request a created object can be missing in the lists, by the delays and stale lists of the faults below:
# shorter waits would make it Astria's word against ours.
_TIMING = {"reconcile_after_seconds": 0.5, "retry_base_seconds": 0.05, "retry_max_seconds": 0.3}
_LOST = Fault(kind="status", status=504, when="after", method="POST", path=r"^/tunes$|/prompts$", times=4)
_LIES = 3.0  # seconds that lists lag behind where they lie
_ENDS = 20  # undisturbed runs at most, until all is done: a door may be closed for a while


@dataclass
class Storm:
    """What came of it."""

    seed: int
    kills: int = 0
    made: int = 0
    twice: int = 0
    changes: list[str] = field(default_factory=list)


def play(bench: Bench, seed: int, kills: int, *, lying: bool = False) -> Storm:
    """Kill so many processes; then a run that nothing disturbs must finish everything. Raises if a promise is broken.

    `lying`: lists lag for longer than anybody waits for them, so that things may be made twice; all of which must be told.
    """
    chance = random.Random(seed)
    storm = Storm(seed)
    options = {"list_lag_seconds": 0.05, "trickle": True, "generate_seconds": 0.1, "train_seconds": 0.1}
    timing = _TIMING
    if lying:
        timing, options = {**_TIMING, "reconcile_after_seconds": 0.02}, {**options, "list_lag_seconds": _LIES}
    with bench.scene(timing=timing, **options) as scene:
        scene.lists_lie = lying
        if lying:
            scene.sim.faults.add(_LOST)
        scene.sim.faults.add(random_faults(seed, _RATE))
        try:
            while storm.kills < kills:
                if chance.random() < 0.4:
                    storm.changes.append(_change(scene, chance, storm.kills))
                storm.kills += _live_and_die(bench, scene, chance)
                judge.after_a_crash(scene)
            scene.sim.faults.clear()
            scene.sim.advance(2 * _LIES)  # the lists show everything by now
            _end(bench, scene)
        except Exception as error:
            told = scene.log.read_text() if scene.log.exists() else ""
            error.add_note(
                f"python -m tests.crashes storm {seed} {kills}{' --lying' if lying else ''}\n{storm.changes}\n{told[-5000:]}"
            )
            raise
        storm.made = len(scene.sim.ledger.created())
        storm.twice = storm.made - len(scene.made())
    return storm


def _live_and_die(bench: Bench, scene: Scene, chance: random.Random) -> bool:
    calls, seconds = chance.randint(1, _CALLS), chance.uniform(0.2, 1.0) * _SECONDS
    wire = None
    if not bench.unsupported:
        wire = Wire(scene=scene, decide=lambda _label, _n: KILL if wire and wire.seen.total() >= calls else 0)
    process = bench.start(scene, "run", wire=wire)
    end = time.monotonic() + seconds
    calm = 0
    # It is killed for its age only when it has nothing to do.
    while not process.ended(0.05) and (time.monotonic() < end or (wire and wire.seen.total() > calm)):
        calm = wire.seen.total() if wire else 0
    process.kill()
    return process.wait() == -signal.SIGKILL


def _end(bench: Bench, scene: Scene) -> None:
    for _ in range(_ENDS):
        code = bench.run(scene)
        if code == 0 and scene.finished():
            break
    judge.at_rest(scene, code)
    paid = scene.paid_requests()
    judge.at_rest(scene, bench.run(scene))
    assert scene.paid_requests() == paid, "a run that had nothing to do paid"


def _change(scene: Scene, chance: random.Random, n: int) -> str:
    """What a person does meanwhile; told to the scene as far as it changes what is wanted."""
    prompts = scene.prompts()
    what = chance.choice(["drop", "drop", "edit", "rename", "delete", "folder"])
    text = f"number {n}"
    if what == "folder":
        scene.folder(f"dress{n}")
        return what
    if what == "drop" or len(prompts) < 3:
        scene.prompt(f"{chance.choice(['', 'jane/', 'sub/'])}drop{n}.prompt", text, chance.choice([1, 2]))
        return "drop"
    file = chance.choice(prompts)
    if what == "edit":
        scene.edit(file, text)
    elif what == "rename":
        scene.rename(file, f"{file.rpartition('/')[0] or 'sub'}/renamed{n}.prompt")
    else:
        scene.delete(file)
    return f"{what} {file}"


def seed_by_the_clock() -> int:
    """A seed that nobody has tried yet."""
    return int(time.time() * 1000) % 1_000_000
