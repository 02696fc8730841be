"""A command does all that it was asked for, or nothing."""

import pytest


@pytest.fixture
def ordered(studio):
    """A folder with its tune, a prompt that is done, and one that waits."""
    studio.folder("jane")
    studio.prompt("a.prompt", "one")
    studio.prompt("b.prompt", "<nobody> two")
    studio.run_once()
    return studio


def test_retrain_of_a_folder_and_a_slip(ordered):
    """The second folder is unknown: the first keeps its tune, and nothing new is bought."""
    with ordered.daemon() as daemon:
        assert daemon.run(10)
        answer = daemon.command("retrain", ordered.inbox / "jane", ordered.inbox / "typo")
        assert "typo" in answer["error"]
        assert daemon.command("approve")["count"] == 0
        assert daemon.run(10)
    assert ordered.made() == (1, 1)
    assert ordered.tune("jane").state == "ready"


def test_rerun_of_a_prompt_and_one_that_was_never_sent(ordered):
    """The second prompt waits: the first is not made once more."""
    with ordered.daemon() as daemon:
        assert daemon.run(10)
        answer = daemon.command("rerun", ordered.inbox / "a.prompt", ordered.inbox / "b.prompt")
        assert "not sent yet" in answer["error"]
        assert daemon.run(10)
    assert ordered.made() == (1, 1)
    assert len(ordered.prompts("a.prompt")) == 1
