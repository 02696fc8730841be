"""What a daemon tells of a file, and what `log` finds of it afterwards."""

import dataclasses
import logging
import os

import pytest

from astria_sync.core import work
from astria_sync.errors import UsageError
from astria_sync.history import history
from astria_sync.simulator import Fault


@pytest.fixture
def told(caplog):
    """What was logged of one file: kind and event, in order."""
    caplog.set_level(logging.DEBUG, "astria_sync")

    def of(path, *, level=logging.DEBUG):
        records = [one for one in caplog.records if one.levelno >= level and hasattr(one, "facts")]
        return [
            (one.facts["kind"], one.facts.get("event")) for one in records if one.facts.get("file") == path
        ]

    return of


def events(studio, path, **how):
    return [(one["kind"], one["event"]) for one in history(studio.state, str(path), **how)["events"]]


JOB = [("prompt", event) for event in ("settled", "armed", "bound", "pictured")]


def test_the_whole_way_of_a_file(studio, told):
    """From its drop to its picture: each change of state is told once, and kept as it was told."""
    file = studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    whole = [("source", "seen"), ("source", "read"), *JOB, ("image", "saved"), ("prompt", "saved")]
    assert told("sky.prompt") == whole
    assert events(studio, file) == whole
    assert told("sky.prompt", level=logging.INFO) == [("prompt", "bound"), ("prompt", "saved")]


@pytest.mark.parametrize("sent", [False, True], ids=["before it went out", "after it went out"])
def test_a_crash_repeats_nothing(studio, told, caplog, sent):
    """The next run goes on telling where the last one ended; a request whose answer was lost is found, and told as found."""
    file = studio.prompt("sky.prompt", "a sky")
    studio.crash(work.CreatePrompt, sent=sent)
    before = told("sky.prompt")
    assert before[-1] == ("prompt", "armed")
    studio.run_once()
    found = told("sky.prompt")
    assert found[: len(before)] == before
    again = [] if sent else [("prompt", "absent"), ("prompt", "armed")]
    assert [one for one in found[len(before) :] if one != ("prompt", "settled")] == [
        ("prompt", "lost"),
        *again,
        ("prompt", "bound"),
        ("prompt", "pictured"),
        ("image", "saved"),
        ("prompt", "saved"),
    ]
    assert events(studio, file) == found
    assert ("was found: it had been sent" in caplog.text) == sent
    studio.run_once()
    assert told("sky.prompt") == found


def test_a_refusal_is_an_error_in_astrias_words(studio, told, caplog):
    """What a person must act upon is told as an error, word for word, once; and stays in the history when it went well later."""
    refusing = Fault(
        kind="status",
        method="POST",
        path=r"/prompts$",
        status=422,
        body='{"error": "No such thing, dear"}',
        times=1,
    )
    studio.sim.faults.add(refusing)
    file = studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    studio.run_once()
    assert told("sky.prompt", level=logging.ERROR) == [("prompt", "refused")]
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.getMessage().startswith("sky.prompt: prompt failed: ")
    assert "No such thing, dear" in record.getMessage()
    studio.command("retry", file)
    studio.run_once()
    found = history(studio.state, str(file))
    assert found["items"][0]["state"] == "done"
    assert any("No such thing, dear" in one["text"] for one in found["events"])


def test_a_file_that_has_moved_has_one_history(studio, told):
    """`log` finds it where it is and where it was, with what happened at both; and says where it is now."""
    old = studio.prompt("a/sky.prompt", "a sky")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        new = studio.inbox / "b.prompt"
        old.rename(new)
        daemon.look()
        assert daemon.run(10)
    assert told("b.prompt", level=logging.INFO) == [("source", "moved")]
    found = events(studio, new)
    assert found[:2] == [("source", "seen"), ("source", "read")]
    assert ("prompt", "saved") in found
    assert ("source", "moved") in found
    was = history(studio.state, str(old))
    assert [(one["kind"], one["event"]) for one in was["events"]] == found
    assert was["notes"] == [f"It is now at {new}."]
    assert (
        next(one["text"] for one in was["events"] if one["event"] == "moved") == f"has moved here: from {old}"
    )


def test_another_file_at_an_old_place(studio):
    """Where one file moved away and another came, each has its own history, and the way to the other is told."""
    old = studio.prompt("sky.prompt", "a sky")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        new = studio.inbox / "b.prompt"
        old.rename(new)
        daemon.look()
        assert daemon.run(10)
        studio.prompt("sky.prompt", "another")
        daemon.look()
        assert daemon.run(10)
    found = history(studio.state, str(old))
    assert len(found["items"]) == 1
    assert found["notes"] == [f"What was here before is now at {new}, and has its own history there."]
    assert found["items"][0]["id"] != history(studio.state, str(new))["items"][0]["id"]


def test_a_file_that_is_deleted(studio, told):
    """What was ordered of it stays known, with since when it is gone."""
    file = studio.prompt("sky.prompt", "a sky")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        file.unlink()
        daemon.look()
        assert daemon.run(10)
    assert told("sky.prompt", level=logging.INFO)[-1] == ("source", "gone")
    found = history(studio.state, str(file))
    assert found["events"][-1]["event"] == "gone"
    assert found["notes"][0].startswith(f"{file} is gone since 20")


def test_a_file_of_which_nothing_was_sent(studio, told):
    """It is forgotten, and yet `log` tells what it was, also beside a new one at its place."""
    file = studio.write("sky.prompt", "<nobody> in the sky")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        file.unlink()
        daemon.look()
        assert daemon.run(10)
    assert told("sky.prompt", level=logging.INFO) == [("prompt", "waits"), ("source", "forgotten")]
    before = events(studio, file)
    assert before[-1] == ("source", "forgotten")
    studio.prompt("sky.prompt", "a sky")
    studio.prompt("other.prompt", "a sea")
    studio.run_once()
    assert events(studio, file)[: len(before)] == before
    assert ("source", "forgotten") not in events(studio, studio.inbox / "other.prompt")


def test_found_by_what_came_of_it(studio):
    """A picture, its record, and the folder of pictures lead to the order; an error file, a photo and tune.toml to what they are of."""
    folder = studio.folder("jane", 2, 'name = "woman"')
    studio.prompt("jane/hiking.prompt", "hiking by the {where}", "matrix: {where: [sea, sky]}")
    bad = studio.write("bad.prompt", "---\nnope: 1\n---\nwords")
    studio.run_once()
    pictures = sorted((studio.output / "jane/hiking").glob("*.jpg"))
    records = sorted((studio.output / "jane/hiking").glob("*.json"))
    assert len(pictures) == len(records) == 2
    for one in (pictures[0], records[0]):
        found = history(studio.state, str(one))
        assert {event["id"] for event in found["events"] if event["id"]} == {found["items"][0]["id"]}
        assert len(found["items"]) == 1
        assert found["items"][0]["pictures_in"] == str(pictures[0].parent)
        assert [event["event"] for event in found["events"]][-1] == "saved"
    assert len(history(studio.state, str(pictures[0].parent))["items"]) == 2
    for part in ("tune.toml", "1.jpg"):
        found = history(studio.state, str(folder / part))
        assert found["notes"] == [f"{part} is part of {folder}."]
        assert [item["kind"] for item in found["items"]] == ["tune"]
    found = history(studio.state, f"{bad}.error.txt")
    assert found["notes"] == [f"bad.prompt.error.txt is part of {bad}."]
    assert found["items"][0]["state"] == "failed"


def test_a_folder_with_what_lies_below(studio):
    """A folder alone is its tune; with `--all` its prompts too, also those of `_each/`; the root, which is none, always."""
    folder = studio.folder("jane")
    studio.prompt("jane/hiking.prompt", "hiking")
    studio.prompt("_each/look.prompt", "a look")
    studio.run_once()
    assert {item["kind"] for item in history(studio.state, str(folder))["items"]} == {"tune"}
    found = history(studio.state, str(folder), everything=True)
    assert {item["path"] for item in found["items"]} == {"jane", "jane/hiking.prompt", "_each/look.prompt"}
    assert {event["path"] for event in found["events"]} >= {"jane", "jane/hiking.prompt", "_each/look.prompt"}
    whole = history(studio.state, str(studio.inbox))
    assert "Nothing is known of this folder itself" in whole["notes"][0]
    assert len(whole["items"]) == 3


def test_a_link_to_the_root(studio, tmp_path):
    """A place is known by each way that leads to it."""
    studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    link = tmp_path / "link"
    os.symlink(studio.inbox, link)
    assert history(studio.state, str(link / "sky.prompt"))["items"][0]["state"] == "done"
    os.symlink(studio.output, tmp_path / "pictures")
    (picture,) = (studio.output / "sky").glob("*.jpg")
    by_link = tmp_path / "pictures" / "sky" / picture.name
    assert history(studio.state, str(by_link))["items"][0]["state"] == "done"


def test_the_newest_of_many(studio):
    """A limit leaves out the oldest, and says how many."""
    file = studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    whole = history(studio.state, str(file))["events"]
    found = history(studio.state, str(file), limit=3)
    assert found["events"] == whole[-3:]
    assert found["earlier"] == len(whole) - 3


def test_a_path_that_nobody_knows(studio):
    """One sentence with the nearest that is known; also where there is no state at all."""
    with pytest.raises(UsageError, match="there is no state at"):
        history(studio.state, "x.prompt")
    sky = studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    with pytest.raises(UsageError, match=f"Nothing is known of sny.prompt; did you mean {sky}"):
        history(studio.state, "sny.prompt")
    with pytest.raises(UsageError, match="see: astria-sync status --all"):
        history(studio.state, "/nowhere/at/all")


def test_from_before_the_columns_were_there(studio):
    """A state of an earlier version has less to tell, and tells it."""
    file = studio.prompt("sky.prompt", "a sky")
    studio.run_once()
    with studio.journal() as journal, journal.transaction():
        journal.change_all(
            "events", "was = '', state = '', remote_id = NULL, seconds = NULL, cost_mc = NULL", "1"
        )
    texts = [one["text"] for one in history(studio.state, str(file))["events"]]
    assert any(text.startswith("prompt was sent") for text in texts)
    assert any(text.startswith("prompt is done") for text in texts)


def test_an_error_file_advises_commands_of_its_own_profile(studio, monkeypatch):
    """Of another one the daemon, the state and the folders are others: its `retry` would find nothing."""
    settings = dataclasses.replace(studio.settings(), itself="astria-sync --profile work")
    monkeypatch.setattr(studio, "settings", lambda: settings)
    studio.prompt("a.prompt", "words", "num_images: 99")
    studio.run_once()
    told = studio.error("a.prompt")
    assert "astria-sync --profile work retry" in told
    assert "astria-sync retry" not in told
