"""Moves between roots that leave nothing behind."""

import shutil


def test_a_root_emptied_by_a_move(studio):
    """All that a root holds is moved to another while nothing runs: no new order, although an empty root may be unmounted."""
    other = studio.root("second")
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.prompt("q.prompt", "other words")
    studio.run_once()
    shutil.move(studio.inbox / "jane", other / "jane")
    shutil.move(studio.inbox / "q.prompt", other / "q.prompt")
    studio.run_once()
    assert studio.made() == (1, 2)
    assert {row.state for row in studio.prompts()} == {"done"}


def test_a_root_that_is_not_watched_any_more(studio):
    """A root whose path was changed, in the file system and in the configuration, orders nothing again."""
    second = studio.root("second")
    studio.write(second / "q.prompt", "words")
    studio.run_once()
    third = second.with_name("third")
    shutil.copytree(second, third)  # new inodes, and the old place is gone by the next run
    shutil.rmtree(second)
    second.mkdir()
    (second / "new.prompt").write_text("quite other words")
    moved = studio.root("third")
    assert (moved / "q.prompt").exists()
    studio.run_once()
    assert studio.made() == (0, 2)
