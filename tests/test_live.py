"""What the live view finds in a state, and what it costs to keep looking."""

import json
import os
import sqlite3

import pytest

from astria_sync import reading
from astria_sync.context import Context
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.live import Live, as_json, tally
from tests.test_report import NOW, RUNNING, STOPPED, Books


@pytest.fixture
def books(tmp_path):
    kept = Books(tmp_path / "state.db")
    yield kept
    kept.journal.close()


@pytest.fixture
def live(books):
    looking = Live(books.path, limit_usd=10.0)
    yield looking
    looking.close()


def see(live, daemon=RUNNING, now=NOW, **more):
    return live.look(now=now, daemon=daemon, **more)


def test_it_counts_as_status_does(books, live):
    """Whatever states there are, the two views name the same numbers and the same money."""
    for number, state in enumerate(PromptState):
        for stale in (0, 1):
            books.prompt(
                f"{state}{stale}.prompt",
                state,
                current=1 - stale,
                cost_mc=700 + number,
                bound_at=NOW,
                attempt=1,
            )
            books.image(n=1, state="saved", saved_at=NOW)
    for state in TuneState:
        books.tune(str(state), state, cost_mc=150_000, bound_at=NOW - 90_000, attempt=1)
    seen, told = see(live), books.look()
    for table in ("tunes", "prompts"):
        assert seen["counts"][table] == {state: n for state, n in told["counts"][table].items() if n}
    assert seen["counts"]["pictures"] == told["counts"]["images"]["saved"]
    assert seen["spent"] == {"today_usd": pytest.approx(told["spent"]["today_usd"]), "limit_usd": 10.0}
    failed = {item["path"] for item in told["items"] if item["state"] in {"failed", "held", "unsure"}}
    assert failed <= {item["path"] for item in seen["needs_you"]["items"]}
    assert seen["needs_you"]["count"] == len(seen["needs_you"]["items"])


def test_what_needs_a_person_has_its_reason(books, live):
    """Failed, held, unsure and broken files, with the words of `status`; what Astria has deleted in time needs nobody."""
    books.prompt("bad.prompt", "failed", reason="Astria refused it", error="text can't be blank")
    books.prompt("held.prompt", "held")
    books.tune("jane", "unsure")
    books.tune("old", "expired")
    books.prompt("was.prompt", "done", source=books.source("was.prompt", problem="line 2: unknown key 'sed'"))
    items = see(live)["needs_you"]["items"]
    assert [item["path"] for item in items[-2:]] != ["bad.prompt", "was.prompt"]
    assert {item["path"]: item["why"] for item in items} == {
        "bad.prompt": "Astria refused it: text can't be blank",
        "was.prompt": "line 2: unknown key 'sed'",
        "held.prompt": "held back: too many new prompts at one go",
        "jane": "unsure whether Astria has it",
    }


def test_running_work_tells_how_long_its_like_took(books, live):
    """The middle of what the same model, size and number took before, not of what was found in the account or lost in between."""
    like = {"target": 5, "num_images": 4, "params": {"resolution": "2K"}, "attempt": 1, "bound_at": NOW - 500}
    for seconds in (20, 24, 90):
        books.prompt(f"{seconds}.prompt", "done", **like | {"pictured_at": NOW - 500 + seconds})
    books.prompt("lost.prompt", "done", **like | {"pictured_at": NOW, "lost": 1})
    books.prompt(
        "video.prompt",
        "done",
        **like | {"params": {"resolution": "2K", "video_model": "x"}, "pictured_at": NOW},
    )
    books.prompt("found.prompt", "done", **like | {"pictured_at": NOW - 499, "attempt": 0})
    books.prompt("now.prompt", "generating", **like | {"bound_at": NOW - 18})
    books.prompt("other.prompt", "generating", **like | {"num_images": 1, "bound_at": NOW - 7})
    books.tune("was", "ready", model_type="lora", attempt=1, bound_at=NOW - 2000, ready_at=NOW - 1400)
    books.tune("jane", "training", model_type="lora", attempt=1, bound_at=NOW - 60)
    told = {item["path"]: (item["since_at"], item["usual_seconds"]) for item in see(live)["running"]["items"]}
    assert told == {
        "jane": (NOW - 60, 600.0),
        "now.prompt": (NOW - 18, 24.0),
        "other.prompt": (NOW - 7, None),
    }


def test_uploads_and_downloads_tell_how_far_they_are(books, live):
    """Bytes and speed as the daemon notes them; pictures that are here of those that are known."""
    books.tune("jane", "uploading", armed_at=NOW - 4)
    books.prompt("a.prompt", "downloading")
    books.image(n=1, state="saved", saved_at=NOW)
    books.image(n=2)
    books.journal.put("uploads", {"tune:1": [12_000_000, 26_400_000, 1_200_000]})
    upload, download = see(live)["running"]["items"]
    assert (upload["sent_bytes"], upload["of_bytes"], upload["bytes_a_second"]) == (
        12_000_000,
        26_400_000,
        1_200_000,
    )
    assert (download["done"], download["of"]) == (1, 2)
    assert see(live, daemon=STOPPED)["running"]["items"][0]["sent_bytes"] is None


def test_what_waits_and_for_whom(books, live):
    """How many prompts wait for which folder, and what goes next."""
    for number, needs in enumerate((["jane"], ["jane", "dress"], [])):
        books.prompt(f"{number}.prompt", "waiting" if needs else "queued")
        books.journal.set_waits(number + 1, needs)
    waiting = see(live)["waiting"]
    assert waiting["count"] == 3
    assert waiting["states"] == {"waiting": 2, "queued": 1, "settling": 0}
    assert waiting["for"] == [{"name": "jane", "prompts": 2}, {"name": "dress", "prompts": 1}]


def test_the_pictures_that_came_last(books, live):
    """The newest in front, with the place where each lies."""
    books.prompt("jane/a.prompt", "done", output="/out", folder="jane/a")
    for number in range(20):
        books.image(n=number, state="saved", file=f"jane/a/a-7-{number}.jpg", size=5, saved_at=NOW + number)
    recent = see(live)["recent"]
    assert recent[0] == {
        "path": "jane/a.prompt",
        "location": "/out/jane/a/a-7-19.jpg",
        "size": 5,
        "saved_at": NOW + 19,
    }
    assert len(recent) == 12


def test_doors_tell_when_they_are_tried_again(books, live):
    """Why everything rests and until when, by the clock that people see; without a daemon nothing is tried."""
    books.journal.put("gate:slow", "Astria asks to slow down; work goes on in a while.")
    books.journal.put("until:slow", NOW + 130)
    books.journal.put("clock_ahead", 100.0)
    books.journal.put("gate:auth", "Astria does not accept the token.")
    assert see(live)["doors"] == [
        {"kind": "auth", "text": "Astria does not accept the token.", "until_at": None},
        {"kind": "slow", "text": "Astria asks to slow down; work goes on in a while.", "until_at": NOW + 30},
    ]
    assert see(live)["problems"] == []
    assert [(door["kind"], door["until_at"]) for door in see(live, daemon=STOPPED)["doors"]] == [
        ("auth", None)
    ]


def test_a_closed_door_notes_until_when(studio):
    """The engine writes down when it knocks again, and forgets it with the door."""
    with studio.daemon() as daemon:
        ctx: Context = daemon.engine.ctx
        ctx.close_gate("slow", "Astria asks to slow down.", 30.0)
        assert ctx.journal.get("until:slow") == ctx.gates.closed["slow"].until
        ctx.open_gate("slow")
        assert ctx.journal.get("until:slow") is None


def test_what_is_deleted_next(books, live):
    """Of the pictures that are not here the one that Astria deletes first."""
    assert see(live)["next_expiry"] is None
    books.prompt("a.prompt", "downloading", pictured_at=NOW)
    for number, days in enumerate((9, 20)):
        books.image(n=number, state="wanted", deadline=NOW + days * 86400)
    assert see(live)["next_expiry"] == {"path": "a.prompt", "deleted_at": NOW + 9 * 86400}


def test_paths_limit_it(books):
    """Only what lies at or below a path is shown and counted."""
    for path in ("jane/a.prompt", "bob/b.prompt"):
        books.prompt(path, "failed", cost_mc=500, bound_at=NOW, attempt=1)
        books.prompt(path.replace(".", "2."), "done", output="/out")
        books.image(n=1, state="saved", saved_at=NOW, file="x.jpg")
        books.prompt(path.replace(".", "3."), "generating")
    live = Live(books.path, paths=["/in/jane"])
    seen = see(live)
    live.close()
    assert [item["path"] for item in seen["needs_you"]["items"]] == ["jane/a.prompt"]
    assert [item["path"] for item in seen["running"]["items"]] == ["jane/a3.prompt"]
    assert [one["path"] for one in seen["recent"]] == ["jane/a2.prompt"]
    assert seen["counts"] == {
        "tunes": {},
        "prompts": {"failed": 1, "done": 1, "generating": 1},
        "pictures": 1,
    }
    assert seen["spent"]["today_usd"] == pytest.approx(0.005)


# What it costs


@pytest.fixture
def questions(monkeypatch):
    """How many times the state was read."""
    asked = []
    inner = Live._read
    monkeypatch.setattr(Live, "_read", lambda *args: asked.append(args) or inner(*args))
    return asked


def test_nothing_is_read_while_nothing_is_written(books, live, questions):
    """A look at a state that stands still returns the very same object, and asks SQLite for its version alone."""
    books.prompt("a.prompt", "generating", bound_at=NOW)
    first = see(live)
    assert all(see(live, now=NOW + number) is first for number in range(30))
    assert len(questions) == 1
    books.prompt("b.prompt", "failed")
    assert see(live)["needs_you"]["count"] == 1
    assert len(questions) == 2


def test_what_was_written_and_changes_nothing_is_no_change(books, live, questions):
    """The daemon notes things that nobody sees: then it is read, and nothing is drawn."""
    first = see(live)
    books.journal.put("mark:tune:", 7)
    assert see(live) is first
    assert len(questions) == 2


def test_the_day_ends_without_a_word(books, live):
    """Once a minute it is read anyway: money of today is yesterday's at midnight."""
    books.prompt("a.prompt", "done", cost_mc=100_000, bound_at=NOW, attempt=1)
    assert see(live)["spent"]["today_usd"] == 1.0
    assert see(live, now=NOW + 86_400)["spent"]["today_usd"] == 0.0


def test_a_large_state_is_asked_by_index(books, live):
    """No question that is asked each second reads all finished orders of a table, or all pictures, save to count them."""
    books.prompt("a.prompt", "waiting")
    see(live)
    plans = []
    connection = sqlite3.connect(f"file:{books.path}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    asked = []
    connection.set_trace_callback(asked.append)
    live._window._connection = connection
    connection.isolation_level = None
    live._read(NOW, RUNNING, "")
    connection.set_trace_callback(None)
    for sql in asked:
        if sql.lstrip().startswith(("SELECT", "WITH")):
            plans += [(row["detail"], sql) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
    scans = [
        (plan, sql)
        for plan, sql in plans
        if plan.startswith("SCAN") and plan.split()[1] in {"o", "i", "p", "s"}
    ]
    assert [(plan, sql) for plan, sql in scans if "INDEX" not in plan] == []


# What may lie there


def test_a_state_that_comes_goes_and_is_another(books, live, tmp_path):
    """Nothing there is said; what appears, is replaced by another file, or removed, is seen at the next look."""
    books.prompt("a.prompt", "failed")
    assert see(live)["needs_you"]["count"] == 1
    other = Books(tmp_path / "other.db")
    for number in range(3):
        other.prompt(f"{number}.prompt", "failed")
    for one in (books, other):
        one.journal.close()
    os.rename(tmp_path / "other.db", books.path)
    assert see(live)["needs_you"]["count"] == 3
    os.unlink(books.path)
    assert see(live)["state"] == "missing"
    books.path.touch()
    assert see(live)["state"] == "missing"


def test_one_who_looks_keeps_nothing_back(books, live):
    """When the daemon ends while somebody watches, all is in the one file: a copy of it is whole."""
    see(live)
    books.prompt("a.prompt", "failed")
    books.journal.close()
    assert not os.path.exists(f"{books.path}-wal") or os.path.getsize(f"{books.path}-wal") == 0
    copy = books.path.with_name("copy.db")
    copy.write_bytes(books.path.read_bytes())
    copied = Live(copy)
    assert see(copied)["needs_you"]["count"] == 1
    copied.close()


def test_it_waits_for_a_state(tmp_path):
    """Before the first run nothing is made where the state will be."""
    live = Live(tmp_path / "state.db")
    assert see(live, daemon=STOPPED)["state"] == "missing"
    assert os.listdir(tmp_path) == []
    Books(tmp_path / "state.db").journal.close()
    assert see(live, daemon=STOPPED)["state"] == "there"
    live.close()


def test_a_state_that_cannot_be_read_is_a_sentence(tmp_path):
    """What is no state is told as a problem, and looked at again."""
    (tmp_path / "state.db").write_bytes(b"x" * 5000)
    live = Live(tmp_path / "state.db")
    seen = see(live)
    assert seen["state"] == "unreadable"
    assert "is damaged" in seen["problems"][0]
    (tmp_path / "state.db").unlink()
    Books(tmp_path / "state.db").journal.close()
    assert see(live)["state"] == "there"
    live.close()


def test_a_state_of_an_earlier_version_is_followed(books, live, monkeypatch):
    """A daemon that was not restarted since an update writes the old schema: what it writes is seen."""
    books.prompt("a.prompt", "failed")
    for one in ("prompts_old_added", "prompts_old_moved", "prompts_old_told"):
        books.journal._conn.execute(f"DROP TRIGGER {one}")
    for one in ("prompts_old", "prompts_reason", "sources_content", "prompts_incomplete", "prompts_crowd"):
        books.journal._conn.execute(f"DROP INDEX {one}")
    books.journal._conn.execute("ALTER TABLE prompts DROP COLUMN old")
    undone = ["m015_crowds", "m016_every_step"]
    assert undone[-1] == reading.LATEST  # what comes after it is to be undone here too
    books.journal._conn.execute("DELETE FROM _sqlite_migrations WHERE name IN (?, ?)", undone)
    assert see(live)["needs_you"]["count"] == 1
    books.prompt("b.prompt", "failed")
    found = [see(live)["needs_you"]["count"] for _ in range(2)]
    assert found[-1] == 2


def test_what_the_daemon_says_beside_its_state_comes_first(books, live):
    """That it cannot write its state stands nowhere in it."""
    assert see(live, told="The disk is full.")["problems"] == ["The disk is full."]


def test_its_json_has_dates(books, live):
    """Times are dates as in `status --json`, and all of it can be written."""
    books.prompt("a.prompt", "generating", bound_at=NOW)
    told = as_json(see(live))
    assert told["running"]["items"][0]["since_at"] == "2026-09-21T14:13:20+00:00"
    json.dumps(told)


def test_the_tally_of_a_run(books):
    """The line below a log has the numbers of the live view."""
    books.tune("jane", "training")
    books.prompt("a.prompt", "generating")
    books.prompt("b.prompt", "waiting")
    books.prompt("c.prompt", "failed")
    with reading.reading(books.path) as connection:
        numbers = tally(connection, now=NOW)
    assert numbers["running"] == {
        "uploading": 0,
        "training": 1,
        "downloading": 0,
        "generating": 1,
        "submitting": 0,
    }
    assert (numbers["waiting"], numbers["needs_you"], numbers["today_usd"]) == (1, 1, 0.0)
