"""What happened is told once it is committed: never of what was rolled back, never twice, and nothing waits for it."""

import logging

import pytest

from astria_sync.core.happening import Happening
from astria_sync.core.lifecycle import Event
from astria_sync.journal import open_journal
from astria_sync.logbook import Logbook

AT = {"created_at": 1.0, "updated_at": 1.0}


@pytest.fixture
def journal(caplog):
    journal = open_journal(None, now=1.0)
    journal.on_commit = Logbook(journal)
    caplog.set_level(logging.DEBUG, "astria_sync")
    yield journal
    journal.close()


@pytest.fixture
def prompt(journal):
    source = journal.add("sources", kind="prompt", root="/inbox", path="jane/p.prompt", **AT)
    return journal.prompt(
        journal.add("prompts", source_id=source, state="queued", attempt=1, armed_at=2.0, **AT)
    )


def say(journal, text):
    journal.note(Happening(at=1.0, kind="daemon", level="warning", detail=text))


def in_vain(journal, prompt):
    with journal.transaction():
        journal.move_prompt(prompt, Event.ARMED, 2.0)
        raise ZeroDivisionError


def test_a_move_is_told_after_its_commit(journal, prompt, caplog):
    """With the file, the states, the id, what it cost and how long it took; not before it is durable."""
    with journal.transaction():
        armed = journal.move_prompt(prompt, Event.ARMED, 2.0)
        journal.move_prompt(armed, Event.BOUND, 5.0, remote_id=7, cost_mc=14_000)
        assert caplog.records == []
    first, second = caplog.records
    assert first.getMessage() == "jane/p.prompt: prompt is being sent"
    assert second.getMessage() == "jane/p.prompt: prompt 7 was sent (after 3.0 s; $0.14)"
    assert second.levelno == logging.INFO
    assert second.facts == {
        "event": "bound",
        "kind": "prompt",
        "file": "jane/p.prompt",
        "root": "/inbox",
        "id": prompt.id,
        "remote_id": 7,
        "from": "submitting",
        "to": "generating",
        "seconds": 3.0,
        "cost_usd": 0.14,
    }


def test_what_is_rolled_back_is_not_told(journal, prompt, caplog):
    """Neither of a whole step, nor of one message of it; what else was in the step is."""
    with pytest.raises(ZeroDivisionError):
        in_vain(journal, prompt)
    with journal.transaction():
        say(journal, "before")
        with pytest.raises(ZeroDivisionError):
            in_vain(journal, prompt)
        say(journal, "after")
    assert [one.getMessage() for one in caplog.records] == ["before", "after"]
    assert journal.rows("SELECT * FROM events") == []


def test_words_for_the_log_alone_are_not_kept(journal, caplog):
    """What may come again and again does not fill the state."""
    with journal.transaction():
        say(journal, "picture 2: its host answered 503")
    assert len(caplog.records) == 1
    assert journal.rows("SELECT * FROM events") == []


def test_a_file_that_is_forgotten_is_told_by_its_place(journal, prompt, caplog):
    """Its row is gone when it is told; what is kept of its history does not pass to whoever gets its number."""
    source = journal.source(prompt.source_id)
    with journal.transaction():
        journal.record(3.0, "source", source.id, source.id, "forgotten")
        journal.forget_source(source)
    assert caplog.messages == ["jane/p.prompt: is gone; nothing was sent of it"]
    (row,) = journal.rows("SELECT source_id, root, path FROM events")
    assert tuple(row) == (None, "/inbox", "jane/p.prompt")
    again = journal.add("sources", kind="prompt", root="/inbox", path="other.prompt", **AT)
    assert again == source.id
    assert journal.rows("SELECT * FROM events WHERE source_id = ?", [again]) == []


def test_an_heir_takes_the_history_over(journal, prompt, caplog):
    """A new file turns out to be an old one that moved: what happened to it is the old one's."""
    new = journal.add("sources", kind="prompt", root="/inbox", path="q.prompt", **AT)
    with journal.transaction():
        journal.record(3.0, "source", new, new, "seen")
        journal.forget_source(journal.source(new), heir=prompt.source_id)
    assert caplog.messages == ["jane/p.prompt: was seen"]
    assert journal.value("SELECT source_id FROM events") == prompt.source_id


def test_a_defect_in_telling_stops_nothing(journal, prompt, caplog, monkeypatch):
    """The step is committed and what follows from it goes on; the defect is told."""
    monkeypatch.setattr("astria_sync.logbook.sentence", lambda *_: 1 / 0)
    with journal.transaction():
        journal.move_prompt(prompt, Event.ARMED, 2.0)
    assert "could not be logged" in caplog.text
    assert journal.prompt(prompt.id).state == "submitting"


def test_of_several_roots_the_whole_path_is_told(journal, prompt, caplog):
    """Two roots may have files of the same name."""
    journal.on_commit = Logbook(journal, roots=2)
    with journal.transaction():
        journal.move_prompt(prompt, Event.ARMED, 2.0)
    assert caplog.messages == ["/inbox/jane/p.prompt: prompt is being sent"]


def test_for_which_folder_a_prompt_is_run(journal, prompt, caplog):
    """A file in `_each/` has a prompt for each folder; one in the folder itself needs no word."""
    for path in ("joan", "jane"):
        subject = journal.add("sources", kind="folder", root="/inbox", path=path, **AT)
        journal.change("prompts", prompt.id, subject_id=subject)
        with journal.transaction():
            journal.move_prompt(journal.prompt(prompt.id), Event.SETTLED, 2.0)
    assert caplog.messages == [
        "jane/p.prompt for joan: prompt is ready to be sent",
        "jane/p.prompt: prompt is ready to be sent",
    ]


def test_a_clock_that_was_set_gives_no_time(journal, prompt, caplog):
    """What would have taken less than nothing is told without a time."""
    with journal.transaction():
        journal.move_prompt(prompt, Event.BOUND, 0.5, remote_id=7)
    assert "seconds" not in caplog.records[0].facts


def test_the_same_failure_again_is_told_in_the_same_words(journal, prompt):
    """Who compares the two (notifications do) sees that it is the same."""
    refused = {"reason": "Astria refused it", "error": "No such thing, dear"}
    for state in ("submitting", "submitting"):
        journal.change("prompts", prompt.id, state=state)
        with journal.transaction():
            journal.move_prompt(journal.prompt(prompt.id), Event.REFUSED, 2.0, **refused)
    details = [row["detail"] for row in journal.rows("SELECT detail FROM events")]
    assert details == ["Astria refused it: No such thing, dear"] * 2


def test_nobody_listens(journal, prompt):
    """A rehearsal, and commands without a daemon, collect nothing."""
    journal.on_commit = None
    with journal.transaction():
        journal.move_prompt(prompt, Event.ARMED, 2.0)
        assert journal._happened == []
    assert journal.value("SELECT count(*) FROM events") == 1
