"""What `status` tells, from rows that the daemon would have written."""

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest
import sqlite_utils
from sqlite_utils import Database

from astria_sync import mocks, report, schema
from astria_sync.cli.labels import label_of
from astria_sync.concerns import circumstances, troubles
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.errors import StateDamaged, StateError
from astria_sync.journal import open_journal
from astria_sync.reading import LATEST, Window, reading

NOW = 1_790_000_000.0
STOPPED = {"running": False, "pid": None, "since": None}
RUNNING = {"running": True, "pid": 12, "since": "2026-09-21T14:13:20+00:00"}
TOLD = {"waiting", "held", "queued", "unsure", "failed", "expired", "deleted", "settling"}


class Books:
    """A state, and a short way to write rows into it."""

    def __init__(self, path):
        self.path = path
        self.journal = open_journal(path, now=NOW)

    def source(self, path, kind="prompt", **more):
        row = {"root": "/in", "created_at": NOW, "updated_at": NOW, **more}
        return self.journal.add("sources", kind=kind, path=path, **row)

    def tune(self, path, state, *, source=None, **more):
        of = self.source(path, "folder") if source is None else source
        self.journal.add("tunes", source_id=of, state=state, created_at=NOW, updated_at=NOW, **more)
        return of

    def prompt(self, path, state, *, source=None, **more):
        of = self.source(path) if source is None else source
        self.journal.add("prompts", source_id=of, state=state, created_at=NOW, updated_at=NOW, **more)
        return of

    def image(self, **more):
        prompt = self.journal.value("SELECT max(id) FROM prompts")
        self.journal.add("images", prompt_id=prompt, url="", identity="", **more)

    def look(self, daemon=RUNNING, **more):
        return report.snapshot(self.path, now=NOW, daemon=daemon, **more)

    def only(self, **more):
        """The single item."""
        (item,) = self.look(**more)["items"]
        return item


@pytest.fixture
def books(tmp_path):
    kept = Books(tmp_path / "state.db")
    yield kept
    kept.journal.close()


def test_without_a_state_everything_is_zero(tmp_path):
    """Before the first run there is nothing, and every state of the contract is counted as 0."""
    found = report.snapshot(tmp_path / "none.db", now=NOW, daemon=STOPPED)
    assert found["version"] == 1
    assert found["counts"]["tunes"] == dict.fromkeys(map(str, TuneState), 0)
    assert found["counts"]["prompts"] == dict.fromkeys(map(str, PromptState), 0)
    assert found["counts"]["images"] == {"saved": 0, "bytes": 0}
    assert found["spent"] == {"today_usd": 0.0, "month_usd": 0.0, "total_usd": 0.0}
    assert (found["paused"], found["items"], found["failed"]) == (False, [], False)
    assert not (tmp_path / "none.db").exists()


def test_an_empty_file_is_a_state_that_is_being_made(tmp_path):
    """In the instant in which a daemon makes the file, `status` has nothing to tell."""
    (tmp_path / "state.db").touch()
    assert report.snapshot(tmp_path / "state.db", now=NOW, daemon=RUNNING)["items"] == []


def test_an_item_has_what_the_contract_says(books):
    """Kind, path below its root, Astria's id, a reason and a time in UTC."""
    books.prompt(
        "jane/a.prompt", "failed", remote_id=7, reason="Astria refused it", error="text can't be blank"
    )
    item = books.only()
    assert (
        item.items()
        >= {
            "kind": "prompt",
            "path": "jane/a.prompt",
            "root": "/in",
            "state": "failed",
            "id": 7,
            "updated_at": "2026-09-21T14:13:20+00:00",
        }.items()
    )
    assert item["reason"].startswith("Astria refused it: text can't be blank; ")
    assert "astria-sync retry" in item["reason"]
    json.dumps(item)


@pytest.mark.parametrize("daemon", [RUNNING, STOPPED])
@pytest.mark.parametrize("state", [one for one in TuneState if one is not TuneState.READY])
def test_every_unfinished_tune_has_a_reason(books, state, daemon):
    """Nothing stands still without a word, whatever its row says."""
    books.tune("jane", state)
    assert books.only(daemon=daemon)["reason"]


@pytest.mark.parametrize("daemon", [RUNNING, STOPPED])
@pytest.mark.parametrize("state", [one for one in PromptState if one is not PromptState.DONE])
def test_every_unfinished_prompt_has_a_reason_and_a_next(books, state, daemon):
    """What waits or failed says why, and what happens next."""
    books.prompt("a.prompt", state)
    item = books.only(daemon=daemon)
    assert item["why"]
    if state in TOLD:
        assert item["then"]


def test_finished_things_show_only_on_request(books):
    """Items are the unfinished and failed ones, all with `everything`; the counts count all."""
    books.tune("jane", "ready")
    books.prompt("a.prompt", "done")
    found = books.look()
    assert found["items"] == []
    assert (found["counts"]["tunes"]["ready"], found["counts"]["prompts"]["done"]) == (1, 1)
    assert {item["state"] for item in books.look(everything=True)["items"]} == {"ready", "done"}


def test_a_folder_that_changed_since_is_shown(books):
    """A ready tune whose pictures have changed tells so."""
    books.tune("jane", "ready", changed=True)
    assert "retrain" in books.only()["reason"]


def test_advice_is_given_once(books):
    """A reason that says which command helps needs no second advice."""
    books.prompt("a.prompt", "held", reason="more than 3 at one go; `astria-sync approve` lets them go")
    assert books.only()["then"] == ""


def test_the_most_important_comes_first(books):
    """Failed before unsure and held, before waiting, before running."""
    for state in ("generating", "waiting", "held", "failed"):
        books.prompt(f"{state}.prompt", state)
    assert [item["state"] for item in books.look()["items"]] == ["failed", "held", "waiting", "generating"]


def test_only_the_current_tune_of_a_folder_counts(books):
    """A tune that `retrain` has replaced is history."""
    jane = books.tune("jane", "failed", current=False)
    books.tune("jane", "ready", source=jane)
    found = books.look()
    assert (found["items"], found["failed"]) == ([], False)
    assert found["counts"]["tunes"]["failed"] == 0


def test_a_failure_that_an_edit_has_mended_is_history(books):
    """A refused version is nobody's trouble once the file says something else that works."""
    source = books.prompt("a.prompt", "failed", script="old", fingerprint="1")
    assert books.look()["failed"]
    for row in books.journal.prompts("source_id = ?", [source]):
        books.journal.change("prompts", row.id, current=False)
    books.prompt("a.prompt", "done", source=source, script="new", fingerprint="2")
    found = books.look()
    assert (found["items"], found["failed"], found["counts"]["prompts"]["failed"]) == ([], False, 0)
    assert "earlier version" in books.look(everything=True)["items"][0]["reason"]


def test_a_failure_beside_a_success_of_the_same_text_stays(books):
    """One of a matrix failed and another did not: it is still failed."""
    source = books.prompt("a.prompt", "failed", script="same", fingerprint="1")
    books.prompt("a.prompt", "done", source=source, script="same", fingerprint="2")
    assert books.look()["failed"]


def test_a_failure_whose_file_is_gone_is_history(books):
    """Deleting the file is an answer to a failure."""
    source = books.source("a.prompt", missing_since=NOW)
    books.prompt("a.prompt", "failed", source=source)
    assert (books.look()["items"], books.look()["failed"]) == ([], False)


def test_a_tune_toml_without_pictures_can_fail_too(books):
    """What has no order is told as a problem, and counts as failed."""
    books.source("dresses", "folder", problem="tune.toml: there is no key nam")
    found = books.look()
    assert found["failed"]
    assert found["problems"] == [{"kind": "file", "text": "dresses: tune.toml: there is no key nam"}]


def test_a_problem_of_a_folder_with_a_tune_is_told(books):
    """A tune.toml that broke after its tune was made is shown at the tune."""
    books.tune("jane", "ready", source=books.source("jane", "folder", problem="tune.toml, line 1: no"))
    assert "no" in books.only()["reason"]
    assert books.look()["failed"]


def test_what_rests_says_for_whom(books):
    """Something queued behind a closed door has the door's reason."""
    books.prompt("a.prompt", "queued")
    books.journal.put("gate:balance", "Astria: no balance - top up")
    assert "top up" in books.only()["reason"]
    books.journal.put("paused", True)
    assert "astria-sync resume" in books.only()["reason"]
    assert books.look()["paused"] is True


def test_a_later_attempt_is_told_with_its_time(books):
    """Something that backs off says why and when it goes again."""
    books.prompt("a.prompt", "queued", reason="HTTP 500: oops", next_at=NOW + 30)
    at = time.strftime("%H:%M:%S", time.localtime(NOW + 30))
    assert books.only()["reason"] == f"HTTP 500: oops; tried again at {at}"


def test_without_a_daemon_nothing_is_promised(books):
    """What would go by itself says that a daemon must be started first."""
    books.prompt("a.prompt", "waiting", reason="waits for <jane>")
    assert "astria-sync run" in books.only(daemon=STOPPED)["reason"]


def test_problems_of_more_than_one_file(books):
    """Closed doors, roots, unreadable folders, the watcher and alarms, as sentences."""
    for key, value in {
        "gate:network": "No connection",
        "root:/in": "/in is not mounted",
        "unreadable:/in": {"x": "Permission denied"},
        "watch_problems": {"/in": "the limit of watches is reached"},
        "alarms": ["made twice"],
    }.items():
        books.journal.put(key, value)
    assert [one["kind"] for one in books.look()["problems"]] == [
        "network",
        "alarm",
        "root",
        "unreadable",
        "watch",
    ]
    # Without a daemon nobody knows whether the network is there, and nothing is watched.
    assert [one["kind"] for one in books.look(daemon=STOPPED)["problems"]] == ["alarm", "root", "unreadable"]


def test_what_astria_made_besides(books):
    """A problem with ids, page and price, for as long as it is known; money, but no prompt or tune that was asked for."""
    source = books.prompt("jane/a.prompt", "done", remote_id=7, cost_mc=50_000, bound_at=NOW, attempt=1)
    spare = {"spare_of": 1, "current": False, "cost_mc": 50_000, "bound_at": NOW, "attempt": 1}
    books.prompt("", "failed", source=source, remote_id=9, url="https://a/9", **spare)
    folder = books.tune("jane", "ready", remote_id=5)
    books.tune("", "ready", source=folder, remote_id=6, url="https://a/6", **spare)
    found = books.look()
    tune, prompt = found["problems"]
    facts = {"kind": "duplicate", "root": "/in", "cost_usd": 0.5}
    assert tune == facts | {
        "text": tune["text"],
        "path": "jane",
        "id": 6,
        "besides": 5,
        "page": "https://a/6",
    }
    assert prompt == facts | {
        "text": prompt["text"],
        "path": "jane/a.prompt",
        "id": 9,
        "besides": 7,
        "page": "https://a/9",
    }
    for one in (tune, prompt):
        assert all(str(one[key]) in one["text"] for key in ("path", "id", "besides", "page"))
    assert (found["counts"]["prompts"]["done"], found["counts"]["prompts"]["failed"]) == (1, 0)
    assert found["counts"]["tunes"]["ready"] == 1
    assert (found["spent"]["total_usd"], found["failed"], found["items"]) == (1.5, False, [])
    (item,) = [one for one in books.look(everything=True)["items"] if one["id"] == 9]
    assert item["duplicate"]
    assert "besides" in item["reason"]
    assert [one["path"] for one in books.look(paths=["/in/jane/a.prompt"])["problems"]] == ["jane/a.prompt"]
    assert books.look(paths=["/in/joe"])["problems"] == []


def test_all_is_what_the_limited_view_of_everything_is(books):
    """What is counted from indexes, where no path limits it, is what is counted order by order."""
    first = books.prompt("a.prompt", "done", cost_mc=5, bound_at=1.0)
    books.prompt("b.prompt", "done", spare_of=first, cost_mc=7, bound_at=1.0)
    books.prompt("c.prompt", "failed", reason="why")
    books.prompt("d.prompt", "failed", current=0)
    books.prompt("e.prompt", "deleted", current=0, pulled=1)
    books.prompt("f.prompt", "done", pulled=1, cost_mc=11)
    books.prompt("g.prompt", "failed", pulled=1, spare_of=first)
    books.prompt("h.prompt", "done", reason="fewer pictures")
    books.prompt("i.prompt", "done", delete_at=5.0)
    books.prompt("j.prompt", "waiting", spare_of=first)
    assert books.look() == books.look(paths=["/"])
    assert books.look()["counts"]["prompts"]["done"] == 3
    assert books.look()["spent"]["total_usd"] == 12 / 100_000
    assert {one["path"] for one in books.look()["items"]} >= {"c.prompt", "h.prompt", "i.prompt"}


def test_a_state_of_an_older_version(tmp_path):
    """`status` reads what no daemon of this version has opened yet, and leaves it as it is."""
    state = tmp_path / "state.db"
    with closing(Database(memory=True)) as blank:
        names = [migration.name for migration in schema.migrations.pending(blank)]
    assert names[-1] == LATEST
    with closing(Database(state)) as old:
        schema.migrations.apply(old, stop_before=names[1])
        old.execute(
            "INSERT INTO sources (kind, root, path, created_at, updated_at) VALUES ('prompt', '/in', 'p', 1, 1)"
        )
        old.execute(
            "INSERT INTO prompts (source_id, state, created_at, updated_at) VALUES (1, 'waiting', 1, 1)"
        )
        old.conn.commit()
    before = state.read_bytes()
    found = report.snapshot(state, now=NOW, daemon=STOPPED)
    assert [(one["path"], one["state"]) for one in found["items"]] == [("p", "waiting")]
    assert state.read_bytes() == before


def test_a_state_that_is_made_or_updated_while_it_is_read(tmp_path, monkeypatch):
    """Whatever a daemon has done by the time of any of its migrations, a reader finds no state, or a whole one."""
    state = tmp_path / "state.db"
    window, looks = Window(state), []

    def look() -> None:
        looks.append(report.snapshot(state, now=NOW, daemon=STOPPED))
        window.changed()
        with window.reading() as connection:
            if connection is not None and report.has_tables(connection):
                assert troubles(connection, "1", {}, circumstances({}, now=NOW, running=False)) == []

    record = schema.migrations._record_applied

    def recorded(database: Database, name: str) -> None:
        record(database, name)
        if database.conn is conn:  # and not what a reader migrates for itself
            look()

    monkeypatch.setattr(schema.migrations, "_record_applied", recorded)
    with closing(sqlite3.connect(state, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        look()
        schema.migrations.apply(Database(conn))
        look()
    window.close()
    assert len(looks) == 2 + len(schema.migrations._migrations)


def test_money_of_today_and_in_all(books):
    """Thousandths of cents add up to dollars; what was found in the account counts on its day, and what others paid on none."""
    yesterday = NOW - 86_400
    books.prompt("a.prompt", "done", cost_mc=14_000, bound_at=NOW, attempt=1)
    books.prompt("b.prompt", "done", cost_mc=14_000, bound_at=yesterday, attempt=1)
    books.prompt("c.prompt", "done", cost_mc=14_000, bound_at=yesterday, attempt=0)
    books.tune("jane", "ready", cost_mc=100_000, bound_at=NOW, attempt=1)
    books.tune("theirs", "ready", cost_mc=500_000, bound_at=NOW, params={"id": 5})
    said = books.look()["spent"]
    assert said == {
        "today_usd": pytest.approx(1.14),
        "month_usd": pytest.approx(1.42),
        "total_usd": pytest.approx(1.42),
    }


def test_money_of_each_folder(books):
    """With `everything`: a tune counts for its folder, a prompt for the one that it lies in; the dearest first."""
    books.prompt("jane/a.prompt", "done", cost_mc=14_000, bound_at=NOW, attempt=1)
    books.prompt("b.prompt", "done", cost_mc=1_000, bound_at=NOW - 40 * 86_400, attempt=1)
    books.tune("jane", "ready", cost_mc=100_000, bound_at=NOW, attempt=1)
    told = [
        (one["path"], one["month_usd"], one["total_usd"])
        for one in books.look(everything=True)["spent"]["folders"]
    ]
    assert told == [("jane", pytest.approx(1.14), pytest.approx(1.14)), (".", 0.0, pytest.approx(0.01))]


def test_the_balance(books):
    """As Astria last told it; None as long as it was not asked for; and the warning that it is low."""
    assert books.look()["balance_usd"] is None
    books.journal.put("balance_mc", 350_000)
    books.journal.put("low_balance", "Astria's balance is low.")
    assert books.look()["balance_usd"] == 3.5
    assert {"kind": "balance", "text": "Astria's balance is low."} in books.look()["problems"]


@pytest.mark.parametrize(
    ("prompts", "tunes", "words"),
    [
        (0, 0, None),
        (1, 0, "$0.14 of the day's limit of $0.20 is spent; 1 prompt held back"),
        (2, 1, "; 2 prompts and 1 tune held back"),
        (0, 2, "; 2 tunes held back"),
    ],
)
def test_the_day_limit_is_a_problem_while_it_holds_something_back(books, prompts, tunes, words):
    """How much is spent of how much, and what waits; what `hold_above` holds is none of it."""
    books.prompt("a.prompt", "done", cost_mc=14_000, bound_at=NOW, attempt=1)
    books.prompt("crowd.prompt", "held")
    books.prompt("failed.prompt", "failed", needs_mc=5)
    for n in range(prompts):
        books.prompt(f"jane/{n}.prompt", "held", needs_mc=14_000)
    for n in range(tunes):
        books.tune(f"joan{n}", "queued", needs_mc=150_000)
    books.journal.put("day_limit", 0.2)
    found = [one["text"] for one in books.look()["problems"] if one["kind"] == "limit"]
    assert len(found) == (words is not None)
    assert not words or words in found[0]
    assert not [one for one in books.look(paths=["/in/crowd.prompt"])["problems"] if one["kind"] == "limit"]


def test_a_state_of_an_earlier_version_is_told(tmp_path):
    """Before the new version has run, `status` shows what the old one has left."""
    old = sqlite_utils.Database(tmp_path / "old.db")
    schema.migrations.apply(old, stop_before="m003_day_limit")
    with old.conn:
        source = {"kind": "prompt", "root": "/in", "path": "a.prompt", "created_at": NOW, "updated_at": NOW}
        old["sources"].insert({"id": 1, **source})
        prompt = {"source_id": 1, "state": "done", "cost_mc": 14_000, "bound_at": NOW, "attempt": 1}
        old["prompts"].insert({**prompt, "created_at": NOW, "updated_at": NOW})
        old["meta"].insert({"key": "day_limit", "value": "5"})
    old.close()
    found = report.snapshot(tmp_path / "old.db", now=NOW, daemon=STOPPED)
    assert (found["spent"]["today_usd"], found["problems"]) == (0.14, [])


def test_pictures_are_counted_and_listed(books, tmp_path):
    """Saved pictures have a number, a sum of bytes, and a place."""
    books.prompt("jane/a.prompt", "downloading", output=str(tmp_path), folder="jane/a")
    books.image(n=1, state="saved", size=5, file="a-7-1.jpg", saved_at=NOW)
    books.image(n=2, state="wanted", size=0)
    assert books.look()["counts"]["images"] == {"saved": 1, "bytes": 5}
    assert books.only()["why"] == "1 of 2 pictures are here"
    (picture,) = report.saved_pictures(books.path)
    assert picture["location"] == tmp_path / "jane" / "a" / "a-7-1.jpg"
    assert report.saved_pictures(books.path, NOW + 1) == []


def test_paths_limit_everything(books):
    """Items, counts and money are those of what lies at or below the paths."""
    books.prompt("jane/a.prompt", "failed", cost_mc=100_000, bound_at=NOW, attempt=1)
    books.prompt("janet/b.prompt", "waiting")
    found = books.look(paths=["/in/jane"])
    assert [item["path"] for item in found["items"]] == ["jane/a.prompt"]
    assert found["counts"]["prompts"]["waiting"] == 0
    assert found["spent"]["total_usd"] == 1
    assert len(books.look(paths=["/in"])["items"]) == len(books.look(paths=["/"])["items"]) == 2
    assert not books.look(paths=["/in/janet"])["failed"]


def test_reading_does_not_disturb_a_daemon_that_writes(books):
    """While a transaction is open the last committed state is told, at once."""
    with books.journal.transaction():
        books.prompt("a.prompt", "waiting")
        assert books.look()["items"] == []
    assert len(books.look()["items"]) == 1


def test_nothing_can_be_written(books):
    """The connection cannot write."""
    with pytest.raises(StateError, match="readonly"), reading(books.path) as connection:
        connection.execute("DELETE FROM meta")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_read(books):
    """A state on a read-only disk can be looked at."""
    books.journal.close()
    books.path.parent.chmod(0o500)
    try:
        assert books.look()["items"] == []
    finally:
        books.path.parent.chmod(0o700)


def test_a_damaged_state_is_a_sentence(tmp_path):
    """Something that is no database says so, with what to do."""
    (tmp_path / "state.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StateDamaged, match="move it away"):
        report.snapshot(tmp_path / "state.db", now=NOW, daemon=STOPPED)


def test_a_state_that_is_a_folder_is_a_sentence(tmp_path):
    """Nor is a folder a state."""
    with pytest.raises(StateError, match="cannot be read"):
        report.snapshot(tmp_path, now=NOW, daemon=STOPPED)


def test_another_programs_database_is_none_of_ours(tmp_path):
    """A database without our tables is told as empty."""
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE meta (other)")
    connection.close()
    assert report.snapshot(tmp_path / "x.db", now=NOW, daemon=STOPPED)["items"] == []
    assert report.roots_known(tmp_path / "x.db") == set()


def test_one_of_a_crowd_that_waits_is_told_to_be_held_then(books):
    """It does not go by itself when its tune is ready, unless a person lets it go; `approve` works already."""
    waits = {"reason": "waits for <jane>: its tune is training", "fingerprint": "f"}
    books.prompt("a.prompt", "waiting", crowd=1, **waits)
    item = books.only()
    assert item["why"] == "waits for <jane>: its tune is training"
    assert "held back when that is ready" in item["then"]
    assert "astria-sync approve PATH" in item["then"]
    books.journal.change_all("prompts", "approved = ?", "id > 0", True)
    assert books.only()["then"] == "goes by itself when that is ready"


def test_what_is_read_and_not_judged_yet_is_told_as_that(books):
    """The rows of a large matrix are looked at some at a time: their file is not being changed."""
    books.prompt("a.prompt", "settling", fingerprint="f")
    assert books.only()["reason"] == "read; whether it can go is being looked at"
    books.journal.change_all("prompts", "fingerprint = ?", "id > 0", "")
    assert books.only()["why"] == "new, or being changed"


def test_a_tune_whose_pack_is_held_is_not_sent_next(books):
    """It goes with the pack, which waits for a person or the day."""
    folder = books.tune("jane", "queued")
    assert books.only()["why"] == "ready to be sent"
    times = {"created_at": NOW, "updated_at": NOW}
    books.journal.add("packs", source_id=folder, state="held", name="p", **times)
    (tune,) = (one for one in books.look()["items"] if one["kind"] == "tune")
    assert tune["reason"] == "goes with its pack, which is held back; goes on: astria-sync approve PATH"


def test_a_rehearsal_is_called_so():
    """Not by the name that it has in the journal."""
    item = {
        "path": "a.prompt",
        "root": "/in",
        "kind": "prompt",
        "variant": {"dress": "red", mocks.MARK: "free"},
    }
    assert label_of(item, "") == "a.prompt [dress: red, rehearsal]"
