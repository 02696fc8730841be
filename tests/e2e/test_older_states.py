"""A state that is older than what was paid for, or newer than the folders beside it."""

import shutil


def test_a_state_restored_from_a_backup(studio):
    """What was ordered since the copy was made is found in the account, not paid again."""
    studio.prompt("old.prompt", "old words")
    studio.run_once()
    copy = studio.state.with_name("copy.db")
    shutil.copy(studio.state, copy)
    studio.folder("joe", pictures=2)
    studio.prompt("joe/new.prompt", "new words")
    studio.prompt("old.prompt", "old words, edited")
    studio.run_once()
    assert studio.made() == (1, 3)
    shutil.copy(copy, studio.state)
    studio.run_once()
    assert studio.made() == (1, 3)
    assert {row.state for row in studio.prompts()} == {"done"}


def test_a_new_state_that_first_sees_an_empty_root(studio):
    """The disk was not mounted when the new state began: what comes back later is older than the state."""
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    away = studio.inbox.with_name("away")
    shutil.move(studio.inbox / "jane", away)
    studio.state.unlink()
    studio.prompt("q.prompt", "something else")
    studio.run_once()
    shutil.move(away, studio.inbox / "jane")
    studio.run_once()
    assert studio.made() == (1, 2)


def test_hold_above_counts_what_a_new_state_does_not_find(make_studio):
    """A new state beside many prompts that Astria has not: they are held like any others."""
    studio = make_studio()
    studio.tables["limits"]["hold_above"] = 3
    for n in range(8):
        studio.prompt(f"p{n}.prompt", f"words {n}")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert {row.state for row in studio.prompts()} == {"held"}
