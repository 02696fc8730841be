"""The state's file is removed, replaced, written over or locked under the running daemon: said, mended, and nothing paid twice."""

import errno
import logging
import os
import queue
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing

import pytest

from astria_sync import keeping, lock, loop, statefile
from astria_sync.backup import back_up
from astria_sync.clock import SystemClock
from astria_sync.core.model import Command, Tick
from astria_sync.errors import StateDamaged, StateError, StateLocked, StateUnusable
from astria_sync.journal import open_journal
from astria_sync.keeping import sole_owner
from astria_sync.trouble import StateGoneError
from tests.e2e.test_state_trouble import Unwritable
from tests.studio_harness import Daemon


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(loop, "_STATE_TROUBLE", 0.05)
    monkeypatch.setattr(statefile, "_BUSY", 0.05)


def in_the_third_pause(daemon, do):
    """Let the trouble be over after two more attempts; the pauses so far."""
    pauses = []
    real = daemon.loop._pause

    def pause():
        pauses.append(daemon.studio.made())
        if len(pauses) == 3:
            do()
        return real()

    daemon.loop._pause = pause
    return pauses


def remove_file(state):
    state.unlink()


def remove_all_three(state):
    for path in state.parent.glob(f"{state.name}*"):
        path.unlink()


def remove_folder(state):
    shutil.rmtree(state.parent)


def rename_folder(state):
    state.parent.rename(state.parent.with_name("elsewhere"))


def replace(state):
    with closing(open_journal(state.with_name("other.db"), now=5.0)) as journal:
        journal.put("whose", "theirs")
    state.with_name("other.db").replace(state)


@pytest.mark.parametrize(
    "away",
    [remove_file, remove_all_three, remove_folder, rename_folder, replace],
    ids=lambda one: one.__name__,
)
def test_it_is_put_back_before_anything_is_paid(studio, caplog, away):
    """With all that it knew, private as before, and an alarm; then the work goes on, and a new start orders nothing again."""
    studio.prompt("first.prompt", "first words")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        away(studio.state)
        studio.prompt("second.prompt", "second words")
        daemon.look()
        seen = []
        daemon.tasks._by_type = dict(daemon.tasks._by_type)
        posted = daemon.api.send
        daemon.api.send = lambda *a, **k: (seen.append(rows_at(studio.state)), posted(*a, **k))[1]
        assert daemon.run(10)
        (alarm,) = daemon.journal.get("alarms")
    assert seen == [["done", "submitting"]]
    assert "put back" in alarm
    assert [r.getMessage() for r in caplog.records if r.levelname == "ERROR"] == [alarm]
    assert stat.S_IMODE(studio.state.stat().st_mode) == 0o600
    assert stat.S_IMODE(studio.state.parent.stat().st_mode) == 0o700
    studio.run_once()
    assert studio.made() == (0, 2)
    assert {row.state for row in studio.prompts()} == {"done"}
    theirs = list(studio.state.parent.glob("*.replaced-*"))
    assert len(theirs) == (away is replace)
    for one in theirs:
        with closing(open_journal(one, now=6.0)) as journal:
            assert journal.get("whose") == "theirs"


def rows_at(state):
    """The states of the prompts, as somebody else reads them from the file that lies there."""
    with closing(sqlite3.connect(f"{state.as_uri()}?mode=ro", uri=True)) as conn:
        return [row[0] for row in conn.execute("SELECT state FROM prompts ORDER BY id")]


def test_nothing_is_sent_while_it_cannot_be_put_back(studio, caplog):
    """A file where its folder was: it waits, says so once, and goes on by itself when that is away."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        announced = []
        daemon.loop.announce = announced.append
        remove_folder(studio.state)
        block = studio.write(studio.state.parent, "in the way")
        studio.prompt("p.prompt", "words")
        daemon.look()
        pauses = in_the_third_pause(daemon, block.unlink)
        assert daemon.run(10)
        assert pauses == [(0, 0)] * 3
        assert len([r for r in caplog.records if "cannot be put back" in r.getMessage()]) == 1
        assert "It cannot be put back" in announced[0]
        assert announced[-1] == ""
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"


def test_what_was_left_by_an_attempt_is_not_kept_as_somebodys(studio, monkeypatch):
    """Put back, but not to be opened yet: the next attempt takes its own file for its own."""
    real = statefile.open_database
    with studio.daemon() as daemon:
        remove_file(studio.state)
        with monkeypatch.context() as patch:
            patch.setattr("astria_sync.journal.open_database", lambda _: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                daemon.journal.put_back()
        assert studio.state.exists()
        assert real is statefile.open_database
        assert daemon.journal.put_back() is None
        assert daemon.run(10)
    assert not list(studio.state.parent.glob("*.replaced-*"))


@pytest.mark.parametrize("since", [False, True], ids=["all in the file", "the latest beside it"])
def test_a_copy_put_over_the_open_state(studio, since):
    """`cp` over a state in use: the daemon ends, what was copied stays as it is, and the next start goes on with it."""
    studio.prompt("old.prompt", "old words")
    studio.run_once()
    copy = back_up(studio.state, "2026-11-21")
    for n in range(5):
        studio.prompt(f"new{n}.prompt", "new words " * 200)
    with studio.daemon() as daemon:
        assert daemon.run(10)
        daemon.journal.value("PRAGMA wal_checkpoint(TRUNCATE)")  # as a commit does it every so often
        daemon.journal._place.written(daemon.journal._conn)
        if since:
            daemon.command("pause")
            daemon.command("resume")
        shutil.copyfile(copy, studio.state)
        studio.prompt("last.prompt", "last words")
        daemon.look()
        with pytest.raises(StateDamaged, match="overwritten while astria-sync had it open"):
            daemon.run(10)
    assert studio.made() == (0, 6)
    assert studio.state.read_bytes() == copy.read_bytes()
    assert not studio.state.with_name("s.db-wal").exists()
    studio.run_once()
    assert studio.made() == (0, 7)
    assert {row.state for row in studio.prompts()} == {"done"}


def test_rubbish_written_over_the_open_state(studio):
    """What is no state any more is told as damage, with the copy to put back; nothing is sent."""
    studio.run_once()
    back_up(studio.state, "2026-11-21")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.state.write_bytes(b"rubbish" * 20_000)
        studio.prompt("p.prompt", "words")
        daemon.look()
        with pytest.raises(
            StateDamaged, match=r"put back the copy of 2026-11-21 .*: rm -f .*s.db-wal .* && cp "
        ):
            daemon.run(10)
    assert studio.made() == (0, 0)


def test_another_program_that_writes_properly_does_no_harm(studio):
    """A browser for databases, or a replicator that checkpoints, changes the file by SQLite's rules: the work goes on."""
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        with closing(sqlite3.connect(studio.state, isolation_level=None)) as other:
            other.execute("INSERT INTO meta VALUES ('theirs', '1')")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        studio.prompt("q.prompt", "other words")
        daemon.look()
        assert daemon.run(10)
        assert daemon.journal.get("theirs") == 1
    assert studio.made() == (0, 2)


@pytest.mark.parametrize("mode", ["PASSIVE", "RESTART", "TRUNCATE"])
def test_a_checkpoint_of_another_program_is_no_overwriting(studio, caplog, mode):
    """Who only puts our own commits from the WAL into the file changes it without a commit: the work goes on."""
    with studio.daemon() as daemon:
        for n in range(3):
            studio.prompt(f"p{n}.prompt", f"words {n}")
            daemon.look()
            assert daemon.run(10)
            with closing(sqlite3.connect(studio.state, isolation_level=None)) as other:
                assert other.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0] == 0
    assert studio.made() == (0, 3)
    assert caplog.text.count("Another program writes to the state") == 1


@pytest.mark.parametrize(
    ("version", "said"),
    [((3, 40, 1), "may damage it when two programs do"), ((3, 51, 3), "Litestream replicates the state")],
)
def test_litestream_beside_it(studio, caplog, monkeypatch, version, said):
    """All that Litestream does to a database, in its order, with work between: nothing is lost, and it is told who that is."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    with studio.daemon() as daemon, closing(sqlite3.connect(studio.state, isolation_level=None)) as stream:
        reader = sqlite3.connect(studio.state, isolation_level=None)
        with closing(reader):
            stream.execute("PRAGMA wal_autocheckpoint = 0")
            stream.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
            stream.execute("CREATE TABLE _litestream_lock (id INTEGER)")
            for n, mode in enumerate(["PASSIVE", "PASSIVE", "TRUNCATE", "PASSIVE", "RESTART"]):
                reader.execute("BEGIN")  # it keeps SQLite from beginning the WAL anew
                reader.execute("SELECT count(1) FROM _litestream_seq").fetchone()
                studio.prompt(f"p{n}.prompt", f"words {n}")
                daemon.look()
                assert daemon.run(10)
                reader.execute("ROLLBACK")
                stream.execute(f"PRAGMA wal_checkpoint({mode})")
                if n % 2:
                    stream.execute(
                        "INSERT INTO _litestream_seq VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET seq = seq + 1"
                    )
                stream.execute("BEGIN")
                stream.execute("INSERT INTO _litestream_lock VALUES (1)")
                stream.execute("ROLLBACK")
    assert studio.made() == (0, 5)
    assert said in caplog.text
    assert "stop astria-sync before you change it" not in caplog.text
    studio.run_once()
    assert studio.made() == (0, 5)
    assert {row.state for row in studio.prompts()} == {"done"}


def test_damage_that_shows_while_running(studio):
    """SQLite finds a broken page: nothing is sent, and the end says which copy to put back, and how."""
    studio.run_once()
    back_up(studio.state, "2026-11-20")
    copy = back_up(studio.state, "2026-11-21")
    with studio.daemon() as daemon:
        assert daemon.run(10)

        def broken():
            raise sqlite3.DatabaseError("database disk image is malformed")

        Unwritable(daemon.journal, broken)
        studio.prompt("p.prompt", "words")
        daemon.look()
        with pytest.raises(StateDamaged) as raised:
            daemon.run(10)
    assert "malformed" in str(raised.value)
    assert "there are 2 copies" in str(raised.value)
    assert f"cp {copy} {studio.state}" in str(raised.value)
    assert raised.value.exit_code == 2
    assert studio.made() == (0, 0)


def test_damage_that_the_daily_copy_finds(studio):
    """The copy is checked: if the state is not whole, the daemon ends before it pays on from what it forgot."""
    with studio.daemon() as daemon, pytest.raises(StateDamaged, match="move it away"):
        daemon.loop._until_written(
            lambda _: daemon.engine.upkeep.backed_up(None, sqlite3.DatabaseError("malformed")), []
        )


def test_a_lock_of_another_program(studio, caplog):
    """Locked for a while: said once, in the log and to `status`; nothing is sent, and it goes on when the lock is gone."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        announced = []
        daemon.loop.announce = announced.append
        studio.prompt("p.prompt", "words")
        daemon.look()
        with closing(sqlite3.connect(studio.state, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            pauses = in_the_third_pause(daemon, other.rollback)
            assert daemon.run(10)
        assert pauses == [(0, 0)] * 3
        told = [r.getMessage() for r in caplog.records if "another program has it open" in r.getMessage()]
        assert len(told) == 1
        assert announced == [*told, ""]
    assert studio.made() == (0, 1)


def test_a_full_disk_is_said_with_what_helps(studio, caplog):
    """SQLite's own "full": make room, and it goes on."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        pages = daemon.journal.value("PRAGMA page_count")
        daemon.journal.value(f"PRAGMA max_page_count = {pages}")
        studio.prompt("p.prompt", "words " * 4000)
        daemon.look()
        pauses = in_the_third_pause(daemon, lambda: daemon.journal.value("PRAGMA max_page_count = 100000"))
        assert daemon.run(10)
    assert pauses == [(0, 0)] * 3
    assert any("its disk is full; make room there" in r.getMessage() for r in caplog.records)
    assert studio.made() == (0, 1)


def test_what_cannot_be_committed_is_not_sent(studio):
    """The commit that arms a request is the proof that the journal can be written: while it fails, no byte goes out."""
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        armed = lambda: bool(daemon.journal.prompts("state = 'submitting'"))  # noqa: E731
        conn = Unwritable(daemon.journal, armed)
        pauses = in_the_third_pause(daemon, lambda: setattr(conn, "fails", lambda: False))
        assert daemon.run(10)
    assert pauses == [(0, 0)] * 3
    assert len(studio.posts()) == 1


def test_a_state_that_cannot_be_read_for_a_moment(studio):
    """An error of the disk while the loop only looks what is due next is waited out like any."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.prompt("p.prompt", "words")
        daemon.look()
        left = [1, 1, 1]
        next_deadline = daemon.journal.next_deadline

        def fails(now, *asked):
            if left:
                left.pop()
                raise sqlite3.OperationalError("disk I/O error")
            return next_deadline(now, *asked)

        daemon.journal.next_deadline = fails
        assert daemon.run(10)
    assert studio.made() == (0, 1)


# At the start


def test_a_locked_state_at_the_start(studio, monkeypatch, caplog):
    """A daemon says what is wrong and waits; a command says it and ends."""
    studio.run_once()
    other = sqlite3.connect(studio.state, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnusable, match="another program has it open"), owner(studio):
        pass
    naps = []

    def nap(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            other.close()

    monkeypatch.setattr(keeping.time, "sleep", nap)
    with owner(studio, patient=True) as keeper:
        assert keeper.journal.get("created_at")
    assert len(naps) == 3
    assert len([r for r in caplog.records if "It is tried again" in r.getMessage()]) == 1


def owner(studio, **how):
    return sole_owner(studio.state, SystemClock(), "test", **how)


def test_a_state_that_is_locked_when_the_engine_starts(studio, caplog):
    """The first step waits as any other does, and so does who has asked for something meanwhile."""
    studio.prompt("p.prompt", "words")
    daemon = Daemon(studio)
    try:
        conn = Unwritable(daemon.journal, lambda: True)
        reply = queue.SimpleQueue()
        daemon.engine.inbox.put(Command(name="pause", arguments={}, reply=reply))
        pauses = in_the_third_pause(daemon, lambda: setattr(conn, "fails", lambda: False))
        daemon.loop.start()
        assert len(pauses) == 3
        daemon.loop.run(until_idle=True)
        assert "Paused" in reply.get_nowait()["message"]
        assert daemon.journal.get("paused")
    finally:
        daemon.close()
    assert studio.made() == (0, 0)
    assert len([r for r in caplog.records if "cannot be used" in r.getMessage()]) == 1


@pytest.mark.parametrize("patient", [False, True])
def test_a_full_disk_at_the_start(studio, monkeypatch, caplog, patient):
    """The lock's file has no room: the sentence says to make some, not to go elsewhere; a daemon waits for it."""
    full = [True, True]
    real = lock._publish

    def publish(path, record):
        if full:
            raise OSError(28, os.strerror(28), str(path))
        real(path, record)

    monkeypatch.setattr(lock, "_publish", publish)
    monkeypatch.setattr(keeping.time, "sleep", lambda _: full.pop())
    if not patient:
        with pytest.raises(StateUnusable, match="its disk is full; make room there"), owner(studio):
            pass
        assert not studio.state.with_name("s.db.pid").exists()
        return
    with owner(studio, patient=True) as keeper:
        assert keeper.journal.get("created_at")
    assert len([r for r in caplog.records if "make room there" in r.getMessage()]) == 1


def test_a_folder_that_cannot_be_made_is_not_waited_for(studio, monkeypatch):
    """In a service's sandbox nothing is made, and what is made outside of it later is not seen: a person has to."""
    assert not studio.state.parent.exists()

    def refused(folder):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))

    monkeypatch.setattr(keeping, "create_folder", refused)
    with (
        pytest.raises(StateError, match=r"is not there, and cannot be made .* make it yourself") as told,
        owner(studio, patient=True),
    ):
        pass
    assert told.value.exit_code == 2


def test_the_lock_alone_is_taken_again(studio):
    """Somebody tidies up: the lock's file is made anew before another daemon can take it."""
    with owner(studio) as keeper:
        keeper.check()
        studio.state.with_name("s.db.lock").unlink()
        with pytest.raises(StateGoneError):
            keeper.check()
        assert "put back" in keeper.mend()
        keeper.check()
        assert studio.state.with_name("s.db.pid").exists()
        assert holds(studio.state) == 3


def holds(state):
    """What another process that wants the state ends with."""
    script = (
        "import sys; from pathlib import Path; from astria_sync.lock import StateLock\n"
        "from astria_sync.errors import StateLocked\n"
        "try: StateLock(Path(sys.argv[1])).acquire()\n"
        "except StateLocked as e: sys.exit(e.exit_code)"
    )
    return subprocess.run([sys.executable, "-c", script, state], check=False, timeout=30).returncode


def test_another_daemon_in_its_place(studio):
    """Whoever made a new state where ours was removed keeps it, lock and all; ours ends with 3 and names it."""
    script = (
        "import sys; from pathlib import Path; from astria_sync.keeping import sole_owner\n"
        "from astria_sync.clock import SystemClock\n"
        "with sole_owner(Path(sys.argv[1]), SystemClock(), 'run') as keeper:\n"
        "    keeper.listen(print); keeper.journal.put('whose', 'theirs'); print('there', flush=True); sys.stdin.read()"
    )
    with owner(studio) as keeper:
        keeper.listen(lambda _: None)
        remove_folder(studio.state)
        with subprocess.Popen(
            [sys.executable, "-c", script, studio.state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as other:
            assert other.stdout.readline() == b"there\n"
            with pytest.raises(StateGoneError), keeper.journal.transaction():
                pass
            with pytest.raises(StateLocked, match=f"process {other.pid}"):
                keeper.mend()
            keeper.close()
            keeper.journal.close()
            beside = {path.name for path in studio.state.parent.iterdir()}
            assert beside >= {"s.db", "s.db-wal", "s.db.lock", "s.db.pid", "s.db.sock"}
            with closing(sqlite3.connect(f"{studio.state.as_uri()}?mode=ro", uri=True)) as read:
                assert read.execute("SELECT value FROM meta WHERE key = 'whose'").fetchone() == ('"theirs"',)
            other.stdin.close()


def test_the_check_ticks_look_too(studio, caplog):
    """Nothing happens in the folders: it is found out and mended all the same, at the next tick."""
    caplog.set_level(logging.INFO, "astria_sync")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        remove_file(studio.state)
        daemon.loop._step_until_written([Tick(what="check")])
        assert studio.state.exists()
    assert time.time() - studio.state.stat().st_mtime < 60
