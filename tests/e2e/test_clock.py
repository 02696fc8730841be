"""The clock on the wall is set, the laptop sleeps: work goes on, and nothing is paid twice or given up for it."""

import gc
import os
import shutil
import time
import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest

from astria_sync.core.model import Outcome, Tick
from astria_sync.simulator import Fault
from tests.studio_harness import Hands

HOUR, DAY = 3600.0, 86_400.0
JUMPS = {"back": ("set_by", -HOUR), "forward": ("set_by", 40 * DAY), "sleep": ("slept", 8 * HOUR)}
jumps = pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)

onward = pytest.mark.parametrize("jump", [JUMPS["forward"], JUMPS["sleep"]], ids=["forward", "sleep"])


@pytest.fixture
def hands():
    return Hands()


def turn(hands, jump, studio):
    name, by = jump
    setattr(hands, name, getattr(hands, name) + by)
    if name == "slept":
        studio.sim.advance(by)  # nobody sleeps at Astria


@jumps
def test_at_every_stage_of_a_job(make_studio, hands, jump):
    """A folder and its prompts come to their end, each paid for once, although the clock is set whenever one moves on."""
    studio = make_studio(train_seconds=0.2)
    studio.folder("jane", toml='model_type = "lora"')
    studio.prompt("jane/p.prompt", "runs", "num_images: 2")
    studio.prompt("q.prompt", "stands alone")
    studio.sim.faults.add(Fault(kind="status", status=504, method="POST", path="/prompts$", when="after"))
    seen: set[str] = set()
    with studio.daemon(clock=hands) as daemon:
        end = time.monotonic() + 15

        def done() -> bool:
            assert time.monotonic() < end, studio.told(daemon.journal)
            states = set(studio._states(daemon.journal).values())
            if states - seen:
                turn(hands, jump, studio)
            seen.update(states)
            return states == {"ready", "done"}

        daemon.until(done, timeout=20 * 8 * HOUR)
        assert daemon.run(10), studio.told(daemon.journal)
    assert seen >= {"settling", "training", "waiting", "unsure", "generating", "ready", "done"}
    assert studio.made() == (1, 2)
    assert studio.check_pictures() == 3


def test_forty_days_on_nothing_is_given_up(studio, hands):
    """By our clock the 30 days are over: the tune is asked for and stays, a picture that cannot be had yet is tried again."""
    studio.folder("jane", toml='model_type = "lora"')
    studio.run_once()
    studio.prompt("jane/p.prompt", "runs")
    studio.sim.faults.add(Fault(kind="status", status=404, method="GET", host="pictures", times=3))
    with studio.daemon(clock=hands) as daemon:
        daemon.until(lambda: daemon.journal.images("attempt > 0"))
        turn(hands, JUMPS["forward"], studio)
        daemon.engine.following._expiry_at = 0.0  # it looks every minute
        daemon.until(lambda: studio.sim.ledger.requests("GET", r"^/tunes/\d+$", host="api"))
        assert daemon.run(10)
    assert studio.states() == {"jane": "ready", "jane/p.prompt": "done"}
    studio.prompt("jane/q.prompt", "walks")
    studio.run_once()
    assert studio.check_pictures() == 2


@pytest.mark.parametrize("by", [-HOUR, 40 * DAY])
def test_a_start_after_the_clock_was_set(studio, hands, by):
    """Deadlines that an earlier run wrote by another clock keep nothing waiting."""
    studio.tables["timing"]["retry_max_seconds"] = 900
    studio.prompt("p.prompt", "words")
    with studio.daemon(clock=hands) as daemon:
        daemon.until(lambda: "generating" in studio._states(daemon.journal).values())
    fresh = Hands()
    fresh.set_by = fresh.slept = by / 2  # a clock that starts where the wall's is now
    with studio.daemon(clock=fresh) as daemon:
        assert daemon.run(30), studio.told(daemon.journal)
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1


@onward
def test_one_burst_is_one_burst(studio, hands, jump):
    """`hold_above` counts what was dropped before the clock was set together with what was dropped after."""
    studio.tables["limits"]["hold_above"] = 3
    with studio.daemon(clock=hands) as daemon:
        assert daemon.run(10)  # what the first look sees is not new, whenever it was made
        daemon.command("pause")
        for name in "abc":
            # A kernel dates files by its last tick, which may lie before this daemon's start: they would not be new.
            path = studio.prompt(f"{name}.prompt", f"words {name}")
            os.utime(path, (time.time() + 0.02,) * 2)
        daemon.look()
        daemon.until(lambda: list(studio._states(daemon.journal).values()) == ["queued"] * 3)
        turn(hands, jump, studio)
        studio.prompt("d.prompt", "words d")
        daemon.look()
        daemon.until(lambda: list(studio._states(daemon.journal).values()) == ["held"] * 4)
    assert studio.made() == (0, 0)


@onward
def test_a_move_while_the_clock_is_set(studio, hands, jump):
    """A folder that was copied to another disk and removed here is a move, also if the lid is closed before it has settled."""
    studio.folder("jane")
    studio.run_once()
    studio.tables["timing"]["settle_seconds"] = 0.2
    other = studio.root("second")
    with studio.daemon(clock=hands) as daemon:
        assert daemon.run(10)
        shutil.copytree(studio.inbox / "jane", other / "jane", copy_function=shutil.copyfile)
        shutil.rmtree(studio.inbox / "jane")
        daemon.look()
        daemon.until(lambda: daemon.engine.intake.places.missing and len(daemon.engine.intake.settling) == 1)
        turn(hands, jump, studio)
        assert daemon.run(10)
    assert studio.made() == (1, 0)
    assert [Path(source.root).name for source in _sources(studio)] == ["second"]


def _sources(studio):
    with studio.journal() as journal:
        return journal.sources()


def test_what_the_account_has_is_found_by_a_clock_that_is_wrong(studio, hands):
    """A new state beside old folders, on a machine whose clock is wrong: how far back the lists are read is Astria's to say."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    for n in range(125):
        studio.outside(f"/tunes/{studio.only('p.prompt').target}/prompts", {"prompt[text]": f"other {n}"})
    posts = len(studio.posts())
    shutil.rmtree(studio.state.parent)
    hands.set_by = hands.slept = 20 * DAY
    with studio.daemon(clock=hands) as daemon:
        assert daemon.run(10)
    assert len(studio.posts()) == posts
    assert studio.only("p.prompt").state == "done"


class AtOnce:
    """A pool that does its work while the engine looks on."""

    def __init__(self, daemon):
        self.daemon = daemon

    def submit(self, piece):
        self.daemon.engine.inbox.put(Outcome(work=piece, result=self.daemon.tasks(piece)))

    def withdraw(self):
        return ()


def test_memory_stays_flat(studio, hands):
    """Hours of ticks, looks and a clock that is set now and then leave nothing behind in memory."""
    for name in "abcd":
        studio.prompt(f"{name}/p.prompt", f"words {name}")
    studio.prompt("waits.prompt", "<nobody> far away")
    with studio.daemon(clock=hands) as daemon:
        assert daemon.run(10)
        daemon.engine.pool = AtOnce(daemon)

        def hours(ticks: int) -> int:
            for n in range(ticks):
                hands.slept += 30
                hands.set_by += HOUR * (n % 40 == 20) - HOUR * (n % 40 == 0)
                daemon.engine.inbox.put(Tick(what="rescan" if n % 10 == 0 else "check"))
                while not daemon.engine.inbox.empty():
                    daemon.engine.step(daemon.engine.inbox.get())
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        hours(40)
        tracemalloc.start()
        try:
            held = [hours(120) for _ in range(4)]
            # A leak shows every time; what a cache, or another thread of the test's process, takes once does not.
            assert min(later - before for before, later in pairwise(held)) < 12_000, (
                held
            )  # a hundred bytes a tick
        finally:
            tracemalloc.stop()
