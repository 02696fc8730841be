"""A defect in what is done with one message costs that message, not the process, and is told."""

import logging

import pytest

from astria_sync.core import work
from astria_sync.core.model import Hint


def broken(*_: object, **__: object) -> None:
    raise ValueError("a defect")


def test_tests_see_defects(studio):
    """The harness makes the engine strict."""
    with studio.daemon() as daemon:
        daemon.engine.intake.rescan = broken
        with pytest.raises(ValueError, match="a defect"):
            daemon.engine.step(Hint(root=str(studio.inbox), path=None))


def test_it_goes_on(studio, caplog):
    """One message is lost, the others of its step are not; the log has the traceback, `status` a sentence."""
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon, caplog.at_level(logging.ERROR, "astria_sync"):
        daemon.engine.strict = False
        right = daemon.engine.intake.rescan
        daemon.engine.intake.rescan = broken
        daemon.engine.step(Hint(root=str(studio.inbox), path=None), Hint(root=str(studio.inbox), path="."))
        daemon.engine.intake.rescan = right
        assert daemon.run(10)
        (alarm,) = daemon.journal.get("alarms")
    assert "A Hint could not be handled" in alarm
    assert "it goes on" in alarm
    assert any(record.exc_info and record.exc_info[0] is ValueError for record in caplog.records)
    assert studio.states() == {"p.prompt": "done"}


def test_a_command_is_answered(studio):
    """Who asked is told, and nothing of the command was done."""
    studio.folder("jane")
    studio.run_once()
    with studio.daemon() as daemon:
        assert daemon.run(10)
        daemon.engine.strict = False
        daemon.engine.after_commands = broken
        answer = daemon.command("retrain", studio.inbox / "jane")
        assert "a defect" in answer["error"]
        assert [tune.state for tune in daemon.journal.tunes()] == ["ready"]


def test_an_answer_that_cannot_be_taken_in_is_looked_for(studio):
    """A paid order whose answer met a defect is found again, not bought again; nothing half done stays."""
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.engine.strict = False
        right = daemon.engine.doors.seen_open

        def once() -> None:
            daemon.engine.doors.seen_open = right
            daemon.engine.ctx.start("left over", work.Probe())
            broken()

        daemon.until(lambda: daemon.journal.prompts("state = 'submitting'"))
        daemon.engine.doors.seen_open = once
        daemon.until(lambda: daemon.journal.get("alarms"))
        assert "left over" not in daemon.engine.ctx.under_way
        assert daemon.journal.prompts()[0].state == "unsure"
        assert daemon.run(10)
    assert studio.made() == (0, 1)
    assert studio.states() == {"p.prompt": "done"}
