"""A state that cannot be written stops everything for as long as it lasts, and loses nothing."""

import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from astria_sync import loop
from astria_sync.core.model import Hint, Stop, Tick
from astria_sync.simulator import Fault


class Unwritable:
    """A connection whose COMMIT fails as long as `fails` says so."""

    def __init__(self, journal: Any, fails: Callable[[], bool]) -> None:
        self.conn, self.fails, self.attempts = journal._conn, fails, 0
        journal._conn = self

    def execute(self, sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            self.attempts += 1
            if self.fails():
                raise sqlite3.OperationalError("database or disk is full")
        return self.conn.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.conn, name)


def once(holds: Callable[[], bool]) -> Callable[[], bool]:
    """True the first time that `holds`, and never again."""
    left = [True]

    def fails() -> bool:
        if left and holds():
            left.clear()
            return True
        return False

    return fails


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(loop, "_STATE_TROUBLE", 0.05)
    monkeypatch.setattr(loop, "_DRAIN", 0.3)


def test_what_settled_in_a_step_that_was_rolled_back_is_taken_up(studio):
    """The walk that the step had decided on was never started: it is decided on again."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.prompt("new.prompt", "words")
        daemon.look()
        daemon.until(lambda: len(daemon.engine.intake.settling) == 1 and not daemon.engine.ctx.under_way)
        while daemon.engine.intake.next_due() > daemon.clock.now():
            time.sleep(0.005)
        Unwritable(daemon.journal, once(lambda: True))
        daemon.loop._step_until_written([Tick(what="due")])
        assert daemon.run(5)
    assert studio.states() == {"new.prompt": "done"}


def test_an_error_file_of_a_step_that_was_rolled_back_goes_when_it_should(studio):
    """The file was written, the row that knows of it was not: it is noted in the end, and removed when all is well."""
    studio.sim.faults.add(Fault(kind="status", status=422, method="POST", body='{"error":"Bad words"}'))
    with studio.daemon() as daemon:
        assert daemon.run(10)
        Unwritable(daemon.journal, once(lambda: studio.error("p.prompt") is not None))
        studio.prompt("p.prompt", "bad words")
        daemon.look()
        assert daemon.run(5)
        assert daemon.journal.value("SELECT note FROM sources") != ""
        studio.prompt("p.prompt", "good words")
        daemon.look()
        assert daemon.run(5)
    assert studio.error("p.prompt") is None


def test_an_error_file_whose_trouble_went_in_the_meantime(studio):
    """Mended before the step was done again: nobody knows of the file but memory."""
    with studio.daemon() as daemon:
        assert daemon.run(10)

        def mended() -> bool:
            if studio.error("p.prompt") is None:
                return False
            studio.prompt("p.prompt", "good")
            return True

        Unwritable(daemon.journal, once(mended))
        studio.prompt("p.prompt", "words", "num_imagess: 3")
        daemon.look()
        assert daemon.run(5)
    assert studio.states() == {"p.prompt": "done"}
    assert studio.error("p.prompt") is None


def test_messages_wait_for_the_next_attempt(studio):
    """What comes while the state cannot be written is kept, and makes no attempt of its own."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        end = time.monotonic() + 0.3
        conn = Unwritable(daemon.journal, lambda: time.monotonic() < end)
        for message in (Tick(what="check"), Hint(root=str(studio.inbox), path=None)):
            daemon.engine.inbox.put(message)
        daemon.loop._step_until_written([Tick(what="due")])
    assert 3 <= conn.attempts <= 8


def test_an_answer_that_comes_meanwhile_is_not_lost(studio):
    """An order's answer arrives while nothing can be written: it is bound afterwards, not looked for."""
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'submitting'"))
        end = time.monotonic() + 0.2
        Unwritable(daemon.journal, lambda: time.monotonic() < end)
        daemon.loop._step_until_written([Tick(what="due")])
        assert daemon.journal.prompts()[0].state in {"generating", "downloading", "done"}
        assert daemon.run(5)
    assert studio.made() == (0, 1)


@pytest.mark.parametrize("stops", [1, 2])
def test_a_signal_ends_it(studio, stops):
    """SIGTERM while the state cannot be written: the end comes within the drain, at once with a second one."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        Unwritable(daemon.journal, lambda: True)
        daemon.engine.ctx.under_way["hang"] = object()
        began = time.monotonic()
        for _ in range(stops):
            daemon.engine.inbox.put(Stop(signal=15))
        runner = threading.Timer(2.0, lambda: daemon.engine.inbox.put(Stop(now=True)))
        runner.start()
        daemon.loop.run()
        took = time.monotonic() - began
        runner.cancel()
    assert took < 0.5 if stops == 1 else took < 0.2


def test_a_closed_door_does_not_hurry_the_drain(studio):
    """Nobody knocks at a door while the process ends: its deadline wakes nobody."""
    studio.prompt("p.prompt", "words")
    studio.sim.faults.add(Fault(kind="status", status=402, method="POST", body='{"error":"no"}', times=None))
    with studio.daemon() as daemon:
        daemon.until(lambda: "balance" in daemon.engine.ctx.gates.closed)
        daemon.run(0.2)
        daemon.engine.ctx.under_way["hang"] = object()
        steps: list[int] = []
        step = daemon.engine.step
        daemon.engine.step = lambda *messages: (steps.append(1), step(*messages))  # type: ignore[method-assign]
        daemon.engine.inbox.put(Stop(signal=15))
        daemon.loop.run()
    assert len(steps) < 15
