"""A new state beside old folders: what the account has is adopted, not paid again."""

import shutil

import pytest

from astria_sync.simulator import Fault


def _forget(studio):
    """The state is lost."""
    shutil.rmtree(studio.state.parent)


def _fill(studio):
    studio.folder("jane", pictures=2, toml='name = "woman"\n')
    studio.folder("dresses/red", toml='name = "dress"\n')
    studio.prompt("jane/p.prompt", "runs", "aspect_ratio: 3:4\nnum_images: 2")
    studio.prompt("jane/q.prompt", "sits", "seed: 5")
    studio.prompt("look.prompt", "<jane> in <red>")


@pytest.mark.parametrize("keep_output", [True, False], ids=["with the pictures", "without"])
def test_a_new_state_adopts_tunes_and_prompts(studio, keep_output):
    """No creating request, everything is found again, and pictures that are gone from disk are fetched."""
    _fill(studio)
    studio.run_once()
    before = {row.remote_id for row in studio.prompts()}
    tunes = {name: studio.tune(name).remote_id for name in ("jane", "dresses/red")}
    posts = len(studio.posts())
    _forget(studio)
    if not keep_output:
        shutil.rmtree(studio.output)
    studio.run_once()
    assert len(studio.posts()) == posts
    assert {row.remote_id for row in studio.prompts()} == before
    assert {name: studio.tune(name).remote_id for name in tunes} == tunes
    assert studio.check_pictures() == 4
    for row in studio.prompts():
        assert (
            row.seed
            == next(e for e in studio.sim.ledger.created_prompts() if e.id == row.remote_id).facts["seed"]
        )


def test_what_was_not_there_before_is_made(studio):
    """Beside what is adopted, a prompt that is new is sent, and one whose parameters differ as well."""
    _fill(studio)
    studio.run_once()
    _forget(studio)
    studio.prompt("jane/p.prompt", "runs", "aspect_ratio: 1:1\nnum_images: 2")
    studio.prompt("new.prompt", "new words")
    studio.run_once()
    assert studio.made() == (2, 5)


def test_two_files_of_the_same_words_adopt_two_prompts(studio):
    """Each adopts one; a third file of the same words is sent."""
    for name in "ab":
        studio.prompt(f"{name}.prompt", "words")
    studio.run_once()
    _forget(studio)
    studio.prompt("c.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 3)
    assert len({row.remote_id for row in studio.prompts()}) == 3


def test_a_running_prompt_is_adopted_and_finished(make_studio):
    """What was still generating when the state was lost is followed to its end."""
    studio = make_studio(generate_seconds=0.8)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
    _forget(studio)
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1


def test_a_file_that_comes_after_the_first_look_is_not_adopted(studio):
    """With a state that knows its folders, the same words in a new file are a new prompt."""
    studio.prompt("a.prompt", "words")
    studio.run_once()
    studio.prompt("b.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)


def test_rerun_after_adopting_is_one_more(studio):
    """One more generation is one more, also with two of the same words in the account."""
    for name in "ab":
        studio.prompt(f"{name}.prompt", "words")
    studio.run_once()
    (studio.inbox / "b.prompt").unlink()
    _forget(studio)
    studio.run_once()
    assert studio.made() == (0, 2)
    studio.command("rerun", studio.inbox / "a.prompt")
    studio.run_once()
    assert studio.made() == (0, 3)


def test_many_pages_are_searched(studio):
    """What is further down than one page of the lists is found too."""
    studio.prompt("p.prompt", "old words")
    studio.run_once()
    _forget(studio)
    for n in range(130):
        studio.outside("/tunes/3618064/prompts", {"prompt[text]": f"other {n}"})
    studio.run_once()
    assert studio.made() == (0, 131)


@pytest.mark.parametrize("kind", ["tunes", "prompts"])
def test_a_list_of_what_cannot_be_read_is_no_empty_account(studio, kind):
    """What is searched for may be the very thing that cannot be read: nothing is ordered until the whole list can be."""
    _fill(studio)
    studio.run_once()
    posts = len(studio.posts())
    _forget(studio)
    shutil.rmtree(studio.output)
    studio.sim.faults.add(Fault(kind="garbage", method="GET", path=rf"^/{kind}$", body="[null]", times=3))
    studio.run_once()
    assert len(studio.posts()) == posts
    assert studio.check_pictures() == 4
