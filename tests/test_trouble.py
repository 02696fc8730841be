"""What is wrong with the state, in words: each of SQLite's reasons has its own, and only what may pass is waited for."""

import sqlite3
from pathlib import Path

import pytest

from astria_sync.trouble import StateGoneError, damaged, explained, is_damage, is_passing

STATE = Path("/home/me/state.db")


def error(kind: type[sqlite3.Error], code: int, text: str = "said") -> sqlite3.Error:
    """One as Python's binding raises it."""
    one = kind(text)
    one.sqlite_errorcode = code
    return one


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (sqlite3.SQLITE_FULL, "its disk is full; make room there"),
        (sqlite3.SQLITE_BUSY, "another program has it open for writing"),
        (sqlite3.SQLITE_READONLY, "cannot be written; make the file"),
        (sqlite3.SQLITE_IOERR_WRITE, "its disk fails, or is gone; look at the disk"),
        (sqlite3.SQLITE_IOERR_FSYNC, "its disk fails, or is gone; look at the disk"),
        (sqlite3.SQLITE_CANTOPEN, "cannot be opened; make its folder"),
    ],
)
def test_what_may_pass(code, says):
    """The file, SQLite's word for it, and what a person can do; it is waited for, and is no damage."""
    one = error(sqlite3.OperationalError, code)
    assert explained(STATE, one).startswith(f"The state {STATE} cannot be used (said): ")
    assert says in explained(STATE, one)
    assert is_passing(one)
    assert not is_damage(one)


@pytest.mark.parametrize(
    "one",
    [
        error(sqlite3.DatabaseError, sqlite3.SQLITE_CORRUPT),
        error(sqlite3.DatabaseError, sqlite3.SQLITE_NOTADB),
        sqlite3.DatabaseError("database disk image is malformed"),
    ],
)
def test_damage(one):
    """A broken file is not waited for."""
    assert is_damage(one)
    assert not is_passing(one)
    assert damaged(STATE, one).endswith("; move it away, and astria-sync finds again what it had ordered.")


@pytest.mark.parametrize(
    "one",
    [
        error(sqlite3.IntegrityError, sqlite3.SQLITE_CONSTRAINT),
        error(sqlite3.OperationalError, sqlite3.SQLITE_ERROR),
        sqlite3.ProgrammingError("closed"),
        OSError("no"),
    ],
)
def test_defects_are_neither(one):
    """A mistake of the program is neither waited for nor blamed on the file."""
    assert not is_damage(one)
    assert not is_passing(one)


def test_a_state_that_is_gone_says_so_itself():
    """Nothing is put around its own words, and it may come back."""
    gone = StateGoneError("The state is gone.")
    assert explained(STATE, gone) == "The state is gone."
    assert is_passing(gone)
