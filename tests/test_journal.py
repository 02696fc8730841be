"""The state on a real disk: private, all or nothing, and never read if it is not ours to read."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from astria_sync import schema, statefile
from astria_sync.backup import back_up, folder_of
from astria_sync.core.lifecycle import Event, IllegalMoveError, PromptState, TuneState
from astria_sync.core.model import Image, Prompt, Source, Tune
from astria_sync.errors import StateDamaged, StateTooNew
from astria_sync.journal import Journal, open_journal
from astria_sync.statefile import create_private

AT = {"created_at": 1.0, "updated_at": 1.0}


@pytest.fixture
def journal() -> Iterator[Journal]:
    one = open_journal(None, now=1.0)
    yield one
    one.close()


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    one = open_journal(path, now=1.0)
    try:
        yield one
    finally:
        one.close()


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def add_source(journal: Journal, path: str = "jane", kind: str = "folder", **values: Any) -> int:
    return journal.add("sources", kind=kind, root="/inbox", path=path, **AT, **values)


def add_prompt(journal: Journal, source_id: int, state: str = "settling", **values: Any) -> Prompt:
    return journal.prompt(journal.add("prompts", source_id=source_id, state=state, **AT, **values))


def add_tune(journal: Journal, source_id: int, state: str = "settling", **values: Any) -> Tune:
    return journal.tune(journal.add("tunes", source_id=source_id, state=state, **AT, **values))


# Files


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_nobody_else_can_read_it(tmp_path, mask):
    """Whatever the umask, the folder is 0700 and every file of the state 0600, while it is open too."""
    state = tmp_path / "astria-sync" / "state.db"
    with umask(mask), opened(state) as journal:
        journal.put("a", 1)
        files = list(state.parent.iterdir())
        assert {file.name for file in files} == {"state.db", "state.db-wal", "state.db-shm"}
        assert mode(state.parent) == 0o700
        assert {mode(file) for file in files} == {0o600}
    assert [file.name for file in state.parent.iterdir()] == ["state.db"]


def test_rights_that_were_too_wide(tmp_path):
    """A state that others could read is closed to them; a folder that was there is its owner's to decide on."""
    tmp_path.chmod(0o755)
    (tmp_path / "state.db").touch()
    (tmp_path / "state.db").chmod(0o666)
    create_private(tmp_path / "state.db")
    assert mode(tmp_path / "state.db") == 0o600
    assert mode(tmp_path) == 0o755


def test_what_was_written_is_there_again(tmp_path):
    """The state outlives the program, and knows when it was made."""
    state = tmp_path / "state.db"
    with opened(state) as journal:
        row = add_source(journal)
        journal.put("paused", value=True)
    with closing(open_journal(state, now=99.0)) as journal:
        assert journal.source(row).path == "jane"
        assert journal.get("paused") is True
        assert journal.get("created_at") == 1.0


def test_what_precedes_a_payment_is_on_disk(tmp_path):
    """A commit is synced to disk before it returns, and rows cannot point to nothing."""
    with opened(tmp_path / "state.db") as journal:
        assert journal.value("PRAGMA journal_mode") == "wal"
        assert journal.value("PRAGMA synchronous") == 2
        assert journal.value("PRAGMA foreign_keys") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"this is no database, but somebody's notes\n" * 50,
        b"\x00" * 4096,
        b"SQLite format 3\x00" + b"\xff" * 4000,
    ],
    ids=["text", "zeros", "broken-head"],
)
def test_a_file_that_is_no_database(tmp_path, data):
    """What is no state is told as damaged, never read as empty, and left as it is."""
    state = tmp_path / "state.db"
    state.write_bytes(data)
    with pytest.raises(StateDamaged, match="move it away") as raised:
        open_journal(state, now=1.0)
    assert str(state) in str(raised.value)
    assert state.read_bytes() == data


def test_a_damaged_page(tmp_path):
    """A state with one broken page in the middle is not gone on with: what it forgot might be paid for again."""
    state = tmp_path / "state.db"
    with opened(state) as journal, journal.transaction():
        for n in range(2000):
            add_prompt(journal, add_source(journal, f"{n}.prompt", "prompt"), text="words " * 20)
    data = bytearray(state.read_bytes())
    middle = len(data) // 8192 * 4096
    data[middle : middle + 4096] = b"\xa5" * 4096
    state.write_bytes(data)
    with pytest.raises(StateDamaged):
        open_journal(state, now=1.0)


def test_an_empty_file_is_a_new_state(tmp_path):
    """A file of no bytes, as a crash at the very beginning leaves it, is filled."""
    (tmp_path / "state.db").touch()
    with opened(tmp_path / "state.db") as journal:
        assert journal.sources() == []


# Schemas


def names() -> list[str]:
    with closing(Database(memory=True)) as blank:
        return [migration.name for migration in schema.migrations.pending(blank)]


def layout(conn: Any) -> dict[str, str]:
    rows = conn.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name: " ".join((sql or "").split()) for name, sql in rows}


@pytest.mark.parametrize("done", range(len(names()) + 1))
def test_every_older_schema_is_brought_up_to_date(tmp_path, done):
    """From nothing, and from each schema that was ever released, the same tables come out and rows are kept."""
    state = tmp_path / "state.db"
    old = Database(state)
    if done:
        later = names()[done:]
        schema.migrations.apply(old, stop_before=later[0] if later else None)
        old.execute("INSERT INTO meta VALUES ('kept', '7')")
        old.conn.commit()
    old.close()
    with opened(state) as journal, opened(tmp_path / "new.db") as new:
        assert layout(journal._conn) == layout(new._conn)
        assert journal.get("kept") == (7 if done else None)
        add_prompt(journal, add_source(journal, "a.prompt", "prompt"))


def test_a_newer_schema_is_refused(tmp_path):
    """What a later version wrote is not touched, and the person is told to update."""
    state = tmp_path / "state.db"
    with opened(state) as journal:
        journal.rows(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('astria_sync', 'm999_later', '')"
        )
    with pytest.raises(StateTooNew, match="m999_later"):
        open_journal(state, now=1.0)


def newer(monkeypatch) -> str:
    """An astria-sync with one migration more; its name."""
    later = Migrations("astria_sync")
    for one in schema.migrations._migrations:
        later(name=one.name)(one.fn)

    @later()
    def m900_later(db: Database) -> None:
        db.execute("CREATE TABLE later (id INTEGER)")

    monkeypatch.setattr(statefile, "migrations", later)
    return "m900_later"


def test_the_way_back_to_an_older_version(tmp_path, monkeypatch):
    """An update keeps what was there before it; the older program names that copy, and the command that puts it back works."""
    state = tmp_path / "state.db"
    with opened(state) as journal:
        journal.put("fact", "old")
    with monkeypatch.context() as patch:
        name = newer(patch)
        for _ in range(2):
            with opened(state) as journal:
                journal.put("fact", "new")
    assert [one.name for one in folder_of(state).iterdir()] == [f"before-{name}.db"]
    with pytest.raises(StateTooNew, match="update astria-sync") as raised:
        open_journal(state, now=1.0)
    command = str(raised.value).partition("before that update: ")[2]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    with opened(state) as journal:
        assert journal.get("fact") == "old"


def test_an_update_without_room_for_the_copy_is_none(tmp_path, monkeypatch):
    """Nothing is changed before there is a way back."""
    state = tmp_path / "state.db"
    open_journal(state, now=1.0).close()
    folder_of(state).write_text("in the way")
    newer(monkeypatch)
    with pytest.raises(OSError, match="backups"):
        open_journal(state, now=1.0)
    folder_of(state).unlink()
    with closing(sqlite3.connect(state)) as conn:
        assert "later" not in layout(conn)


def test_a_damaged_state_names_its_copies(tmp_path):
    """How many there are, the newest one's day, and a command that works as it stands, whatever the folder is called."""
    state = tmp_path / "my state" / "it's.db"
    with opened(state) as journal:
        journal.put("fact", "kept")
        back_up(state, "2026-11-20")
        back_up(state, "2026-11-21")
    state.write_bytes(b"rubbish" * 2000)
    with pytest.raises(StateDamaged, match=r"the copy of 2026-11-21 \(there are 2 copies in ") as raised:
        open_journal(state, now=1.0)
    command = str(raised.value).partition("): ")[2].partition(" - what")[0]
    subprocess.run(["/bin/sh", "-c", command], check=True)
    with opened(state) as journal:
        assert journal.get("fact") == "kept"


def test_a_migration_that_fails_leaves_nothing(tmp_path, monkeypatch):
    """A schema is made with its record or not at all: what broke off is begun anew."""
    state = tmp_path / "state.db"
    with monkeypatch.context() as patch:
        patch.setattr(schema, "FIRST", schema.FIRST + ";\nCREATE TABLE broken (")
        patch.setattr(statefile, "migrations", schema.migrations)  # not what tests/prepared.py has ready
        with pytest.raises(sqlite3.OperationalError):
            open_journal(state, now=1.0)
    with closing(sqlite3.connect(state)) as conn:
        assert not {"meta", "sources", "tunes"} & set(layout(conn))
    with opened(state) as journal:
        assert journal.sources() == []


# Transactions


class Crash(BaseException):
    """Not even an Exception: Ctrl-C, or the end of a thread."""


def break_off(journal: Journal, error: type[BaseException]) -> None:
    with journal.transaction():
        source = add_source(journal)
        journal.put("a", 1)
        add_prompt(journal, source)
        with journal.transaction():
            add_source(journal, "inner")
        assert len(journal.sources()) == 2
        raise error


@pytest.mark.parametrize("error", [ValueError, Crash, sqlite3.IntegrityError])
def test_all_or_nothing(tmp_path, error):
    """If a step breaks off nothing of it is in the state, nor of an inner step that had ended; the next one works."""
    with opened(tmp_path / "state.db") as journal:
        with pytest.raises(error):
            break_off(journal, error)
        assert (journal.sources(), journal.prompts(), journal.get("a")) == ([], [], None)
        with journal.transaction():
            add_source(journal)
        assert len(journal.sources()) == 1


def test_nobody_sees_a_half_step(tmp_path):
    """Another reader sees a step when it is committed, not before; a second writer has to wait from its beginning."""
    state = tmp_path / "state.db"
    with opened(state) as journal, closing(sqlite3.connect(state, timeout=0)) as other:
        count = "SELECT count(*) FROM sources"
        with journal.transaction():
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            add_source(journal)
            assert other.execute(count).fetchone() == (0,)
        assert other.execute(count).fetchone() == (1,)


# Rows


@pytest.mark.parametrize(
    ("kind", "table"), [(Source, "sources"), (Tune, "tunes"), (Prompt, "prompts"), (Image, "images")]
)
def test_rows_are_the_model(journal, kind, table):
    """Each dataclass has exactly the columns of its table."""
    assert [row["name"] for row in journal.rows(f"PRAGMA table_info({table})")] == list(
        kind.__dataclass_fields__
    )


def test_values_come_back_as_they_were(journal):
    """Tables, lists, truths and states are the same after a round through SQLite."""
    source = add_source(journal, settings={"b": [1, {"ä": None}]}, adoptable=True)
    assert journal.source(source).settings == {"b": [1, {"ä": None}]}
    assert journal.source(source).adoptable == 1
    prompt = add_prompt(
        journal, source, variant={"dress": "red"}, files=[["input_image", "/a"]], approved=True
    )
    assert (prompt.variant, prompt.files, prompt.approved) == (
        {"dress": "red"},
        [["input_image", "/a"]],
        True,
    )
    assert prompt.state is PromptState.SETTLING
    journal.change("prompts", prompt.id, params={"x": 1.5}, text="it's; DROP TABLE prompts --")
    changed = journal.prompt(prompt.id)
    assert (changed.params, changed.text) == ({"x": 1.5}, "it's; DROP TABLE prompts --")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=3), JSON)
def keeps(journal, source, answer, fact):
    prompt = add_prompt(journal, source, answer=answer)
    assert prompt.answer == answer
    journal.put("fact", fact)
    assert journal.get("fact") == fact


def test_any_answer_can_be_kept(journal):
    """Whatever JSON Astria sends, and whatever small fact is noted, is read again as it was."""
    keeps(journal, add_source(journal))


def test_what_is_not_there(journal):
    """Asking for one row that is not there is an error, looking for one is none."""
    for ask in (journal.source, journal.tune, journal.prompt, journal.image):
        with pytest.raises(KeyError):
            ask(7)
    assert journal.source_at("/inbox", "jane", "folder") is None
    assert journal.current_tune(7) is None


def test_the_current_tune(journal):
    """Prompts of a folder use the newest tune that is current."""
    source = add_source(journal)
    add_tune(journal, source, "ready", current=False)
    newest = add_tune(journal, source, "training")
    assert journal.current_tune(source) == newest


def test_one_place_has_one_source(journal):
    """Two rows for one file cannot be: one of them would be paid for again."""
    add_source(journal)
    add_source(journal, kind="prompt")
    with pytest.raises(sqlite3.IntegrityError):
        add_source(journal)


def test_one_remote_prompt_has_one_row(journal):
    """Two orders cannot both be the one prompt at Astria."""
    source = add_source(journal)
    add_prompt(journal, source, "generating", remote_id=5)
    with pytest.raises(sqlite3.IntegrityError):
        add_prompt(journal, source, "generating", remote_id=5)


def test_dropping_takes_along_what_hangs_on_it(journal):
    """With a source go its orders, their pictures and waits; the history stays."""
    source = add_source(journal)
    prompt = add_prompt(journal, source)
    add_tune(journal, source)
    journal.add("images", prompt_id=prompt.id, n=1, url="u", identity="u")
    journal.set_waits(prompt.id, ["jane", "joan", "jane"])
    journal.record(1.0, "source", source, source, "seen")
    journal.drop("sources", source)
    assert [journal.sources(), journal.prompts(), journal.tunes(), journal.images()] == [[], [], [], []]
    assert journal.rows("SELECT * FROM waits") == []
    assert journal.value("SELECT event FROM events WHERE source_id = ?", [source]) == "seen"


def test_waits_are_replaced(journal):
    """A prompt waits for what it was last said to wait for."""
    prompt = add_prompt(journal, add_source(journal))
    journal.set_waits(prompt.id, ["a", "b"])
    journal.set_waits(prompt.id, ["b", "c"])
    assert sorted(row["needs"] for row in journal.rows("SELECT needs FROM waits")) == ["b", "c"]
    journal.set_waits(prompt.id, [])
    assert journal.rows("SELECT * FROM waits") == []


def test_a_move_is_state_columns_and_history(journal):
    """An event changes the state by the table, sets the columns given, and leaves a line in the history."""
    source = add_source(journal)
    prompt = journal.move_prompt(
        add_prompt(journal, source, "queued"), Event.ARMED, 5.0, seed=42, reason="off it goes"
    )
    assert (prompt.state, prompt.seed, prompt.reason, prompt.updated_at) == (
        PromptState.SUBMITTING,
        42,
        "off it goes",
        5.0,
    )
    tune = journal.move_tune(add_tune(journal, source, "training"), Event.TRAINED, 6.0)
    assert tune.state is TuneState.READY
    told = journal.rows("SELECT at, kind, item_id, source_id, event, detail FROM events ORDER BY id")
    assert [tuple(row) for row in told] == [
        (5.0, "prompt", prompt.id, source, "armed", "off it goes"),
        (6.0, "tune", tune.id, source, "trained", ""),
    ]


def test_a_move_that_is_not_listed_changes_nothing(journal):
    """An illegal move raises before anything is written."""
    prompt = add_prompt(journal, add_source(journal), "unsure")
    with pytest.raises(IllegalMoveError):
        journal.move_prompt(prompt, Event.RETRY, 5.0, seed=1)
    assert journal.prompt(prompt.id) == prompt
    assert journal.rows("SELECT * FROM events") == []


def test_next_deadline(journal):
    """The first deadline to come, of rows in states that wait for one; what is due already is not named."""
    source = add_source(journal)
    assert journal.next_deadline(0.0) is None
    add_prompt(journal, source, "done", next_at=1.0)
    add_tune(journal, source, "ready", next_at=1.0)
    assert journal.next_deadline(0.0) is None
    prompt = add_prompt(journal, source, "unsure", next_at=30.0)
    add_tune(journal, source, "training", next_at=20.0)
    journal.add("images", prompt_id=prompt.id, n=1, url="u", identity="u", next_at=10.0)
    journal.add("images", prompt_id=prompt.id, n=2, url="v", identity="v", next_at=5.0, state="saved")
    assert [journal.next_deadline(now) for now in (0.0, 10.0, 20.0, 30.0)] == [10.0, 20.0, 30.0, None]
    assert journal.next_deadline(10.0, asked=["tunes"]) == 30.0  # a list of what trains is being read


def test_deadlines_are_clipped(journal):
    """After the clock was set back no deadline lies further ahead than it may."""
    source = add_source(journal)
    near, far = (add_prompt(journal, source, "queued", next_at=at) for at in (5.0, 500.0))
    journal.change_all("prompts", "next_at = ?", "next_at > ?", 50.0, 50.0)
    assert [journal.prompt(row.id).next_at for row in (near, far)] == [5.0, 50.0]


def test_small_facts(journal):
    """A fact is what it was last set to; None removes it."""
    assert journal.get("a", 7) == 7
    journal.put("a", {"x": [1]})
    journal.put("a", {"x": [2]})
    assert journal.get("a") == {"x": [2]}
    journal.put("a", None)
    assert journal.get("a") is None


def put_in_vain(journal: Journal, value: Any) -> None:
    """Set a fact in a transaction that is rolled back."""
    with suppress(Crash), journal.transaction():
        journal.put("a", value)
        assert journal.get("a") == value
        raise Crash


def test_facts_are_what_the_state_says(tmp_path):
    """What is remembered of them gives way to what was rolled back, to what another program wrote, and to nobody's changes."""
    state = tmp_path / "state.db"
    with opened(state) as journal, closing(sqlite3.connect(state)) as other:
        with journal.transaction():
            journal.put("a", [1])
            assert journal.get("b") is None
        put_in_vain(journal, [3])
        with journal.transaction():
            journal.get("a").append(2)
            assert journal.get("a") == [1]
            put_in_vain(journal, [4])
            assert journal.get("a") == [1]
        other.execute("UPDATE meta SET value = '[5]' WHERE key = 'a'")
        other.execute("INSERT INTO meta VALUES ('b', '6')")
        other.commit()
        assert (journal.get("a"), journal.get("b")) == ([5], 6)
        with journal.transaction():
            assert (journal.get("a"), journal.get("b")) == ([5], 6)
            journal.put("a", None)
            assert journal.get("a", 7) == 7


def test_an_order_is_as_old_as_its_source(journal):
    """`old` follows `adoptable` whatever changes: a new order, a new source, a source that is said to be older."""
    young, old = add_source(journal), add_source(journal, "old", adoptable=2)
    one, other = (add_prompt(journal, of, "queued").id for of in (young, old))
    assert [journal.prompt(row).old for row in (one, other)] == [0, 2]
    journal.change("sources", young, adoptable=1)
    journal.change("prompts", other, source_id=young)
    assert [journal.prompt(row).old for row in (one, other)] == [1, 1]
    journal.change("sources", young, adoptable=0)
    assert [journal.prompt(row).old for row in (one, other)] == [0, 0]


def test_the_mark_only_rises(journal):
    """The highest id seen is kept, by kind and workspace."""
    for kind, workspace, remote_id in [("tune", "", 5), ("tune", "", 3), ("tune", "7", 9), ("prompt", "", 1)]:
        journal.raise_mark(kind, workspace, remote_id)
    assert [
        journal.mark("tune", ""),
        journal.mark("tune", "7"),
        journal.mark("prompt", ""),
        journal.mark("x", ""),
    ] == [*(5, 9, 1, 0)]


def test_a_text_is_kept_once(journal):
    """A prompt file's text is stored under its hash, for all its requests."""
    for _ in range(2):
        journal.keep_text("hash", "words")
    assert [tuple(row) for row in journal.rows("SELECT * FROM texts")] == [("hash", "words")]


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are counted where /proc is")
@pytest.mark.parametrize(
    "spoil", [lambda _: None, lambda path: path.write_text("notes")], ids=["good", "damaged"]
)
def test_no_descriptor_is_left_open(tmp_path, spoil: Callable[[Path], None]):
    """Opened or refused, a state leaves no file open behind it."""
    before = len(os.listdir("/proc/self/fd"))
    spoil(tmp_path / "state.db")
    with suppress(StateDamaged):
        open_journal(tmp_path / "state.db", now=1.0).close()
    assert len(os.listdir("/proc/self/fd")) == before
