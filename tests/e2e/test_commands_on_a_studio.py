"""What a person asks for besides saving files, carried out by the engine."""

import pytest


def test_rerun_is_one_more_with_another_seed(studio):
    """One more generation of a file as it is, beside the first."""
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.run_once()
    assert studio.command("rerun", studio.inbox / "p.prompt")["count"] == 1
    studio.run_once()
    assert studio.made() == (0, 2)
    assert len({entry.facts["seed"] for entry in studio.sim.ledger.created_prompts()}) == 2
    assert studio.check_pictures() == 4
    assert {row.run for row in studio.prompts()} == {1, 2}
    studio.run_once()
    assert studio.made() == (0, 2)


def test_rerun_while_the_daemon_runs(studio):
    """The same over the engine's own queue."""
    studio.prompt("a/p.prompt", "words")
    studio.prompt("a/q.prompt", "other")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        assert daemon.command("rerun", studio.inbox / "a")["count"] == 2
        assert daemon.run(10)
    assert studio.made() == (0, 4)
    assert studio.check_pictures() == 4


def test_rerun_with_a_given_seed_and_idempotency_is_told(make_studio):
    """The same seed again with idempotency on gives the same prompt: that is said, not shown as a new one."""
    studio = make_studio(idempotency=True)
    studio.prompt("p.prompt", "words", "seed: 7")
    studio.run_once()
    studio.command("rerun", studio.inbox / "p.prompt")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert sorted(str(row.state) for row in studio.prompts()) == ["done", "failed"]
    assert "seed" in studio.error("p.prompt")


@pytest.mark.parametrize("name", ["rerun", "retrain", "retry", "approve"])
def test_a_path_that_means_nothing_is_told(studio, name):
    """One sentence that says so, and nothing happens."""
    answer = studio.command(name, studio.inbox / "nothing.prompt")
    assert "nothing.prompt" in answer["error"]


def test_pause_and_resume(studio):
    """Paused, nothing new is sent and downloads go on; resumed, everything goes."""
    studio.command("pause")
    studio.folder("jane")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.posts() == []
    assert studio.states() == {"jane": "queued", "p.prompt": "queued"}
    studio.command("resume")
    studio.run_once()
    assert studio.made() == (1, 1)


def test_pause_lets_what_runs_end(make_studio):
    """What was sent before the pause is followed and fetched."""
    studio = make_studio(generate_seconds=0.4)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
        daemon.command("pause")
        studio.prompt("q.prompt", "more words")
        daemon.look()
        assert daemon.run(10)
    assert studio.states() == {"p.prompt": "done", "q.prompt": "queued"}
    assert studio.check_pictures() == 1


def test_retry_of_a_whole_folder_takes_only_what_failed(studio):
    """Below a path, and without one everywhere: what is done stays done."""
    studio.prompt("a/p.prompt", "FAIL_USER_ERROR")
    studio.prompt("b/p.prompt", "FAIL_USER_ERROR")
    studio.prompt("a/q.prompt", "fine")
    studio.run_once()
    assert studio.command("retry", studio.inbox / "a")["count"] == 1
    studio.run_once()
    assert studio.made() == (0, 4)
    assert studio.command("retry")["count"] == 2
    assert studio.command("retry", studio.inbox / "a/q.prompt")["count"] == 0


def test_retry_of_a_slip_that_stands_says_it_again(studio):
    """A file that is still wrong fails again with the same words, and nothing is sent."""
    studio.prompt("p.prompt", "words", "num_images: 9")
    studio.run_once()
    error = studio.error("p.prompt")
    studio.command("retry")
    studio.run_once()
    assert studio.error("p.prompt") == error
    assert studio.posts() == []


def test_what_happens_while_the_daemon_is_down_is_picked_up(studio):
    """Drops, edits, renames and deletes of that time are all there at the next start."""
    studio.prompt("edited.prompt", "one")
    studio.prompt("renamed.prompt", "two")
    studio.prompt("deleted.prompt", "three")
    studio.run_once()
    studio.prompt("edited.prompt", "one, better")
    (studio.inbox / "renamed.prompt").rename(studio.inbox / "other.prompt")
    (studio.inbox / "deleted.prompt").unlink()
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 4)
    assert studio.check_pictures() == 4
