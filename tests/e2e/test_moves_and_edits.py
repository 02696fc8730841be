"""Renames, moves, touches, edits and copies: what is the same wish stays one, what is a new one is paid once."""

import os
import shutil
import time

import pytest

from astria_sync.rehearsal import rehearse
from astria_sync.simulator import Fault


def _gap(studio, act, *, running):
    """Do something to the files while the daemon is down, or while it runs."""
    if not running:
        act()
        studio.run_once()
        return
    with studio.daemon() as daemon:
        assert daemon.run(10)
        act()
        daemon.look()
        assert daemon.run(10)


both = pytest.mark.parametrize("running", [False, True], ids=["down", "running"])


@both
def test_a_prompt_renamed_or_moved_is_no_new_prompt(studio, running):
    """Another name, another folder: nothing is sent, and the source is known at its new place."""
    old = studio.prompt("a.prompt", "words")
    studio.run_once()

    def move():
        (studio.inbox / "deep/er").mkdir(parents=True)
        old.rename(studio.inbox / "deep/er/b.prompt")

    _gap(studio, move, running=running)
    assert studio.made() == (0, 1)
    assert studio.states() == {"deep/er/b.prompt": "done"}


@both
def test_a_folder_renamed_is_the_same_tune_with_a_new_title(studio, running):
    """Renaming a folder sends a PATCH of the title, and no POST; its prompts come along."""
    studio.folder("jane", pictures=2, toml='name = "woman"\n')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    _gap(studio, lambda: (studio.inbox / "jane").rename(studio.inbox / "anne"), running=running)
    assert studio.made() == (1, 1)
    assert len(studio.posts()) == 2
    (patch,) = studio.sim.ledger.requests("PATCH")
    assert dict(patch.fields) == {"tune[title]": "anne"}
    assert studio.states() == {"anne": "ready", "anne/p.prompt": "done"}
    assert studio.tune("anne").title == "anne"


def test_plan_after_a_rename_shows_nothing(studio):
    """What was renamed while the daemon is down is the same to `plan`, folder and prompt."""
    studio.folder("jane", toml='name = "woman"\n')
    old = studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    old.rename(studio.inbox / "jane/q.prompt")
    (studio.inbox / "jane").rename(studio.inbox / "anne")
    assert rehearse(studio.settings(), wall=time.time()) == []


@both
def test_a_folder_with_a_title_of_its_own_keeps_it_when_renamed(studio, running):
    """A title in tune.toml does not change with the folder's name: nothing at all is sent."""
    studio.folder("jane", toml='title = "Jane Doe"\n')
    studio.run_once()
    _gap(studio, lambda: (studio.inbox / "jane").rename(studio.inbox / "anne"), running=running)
    assert studio.made() == (1, 0)
    assert studio.sim.ledger.requests("PATCH") == []


@both
def test_a_tree_moved_is_the_same_tunes_and_prompts(studio, running):
    """A whole tree moved below another folder: no new tune, no new prompt, names still mean the same folders."""
    for name in ("brown", "red"):
        studio.folder(f"dresses/{name}", pictures=2)
        studio.prompt(f"dresses/{name}/p.prompt", "words")
    studio.prompt("dresses/look.prompt", "<brown> and <red>")
    studio.run_once()

    def move():
        (studio.inbox / "summer/2026").mkdir(parents=True)
        (studio.inbox / "dresses").rename(studio.inbox / "summer/2026/d")

    _gap(studio, move, running=running)
    assert studio.made() == (2, 3)
    assert len(studio.posts()) == 5
    assert set(studio.states()) == {
        f"summer/2026/d/{name}" for name in ("brown", "red", "brown/p.prompt", "red/p.prompt", "look.prompt")
    }


@both
def test_a_move_across_roots_is_no_new_order(studio, running):
    """Between two watched roots a folder and a prompt move as they do within one, also by copy and delete."""
    other = studio.root("second")
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.prompt("q.prompt", "other words")
    studio.run_once()

    def move():
        shutil.copytree(studio.inbox / "jane", other / "jane")
        shutil.rmtree(studio.inbox / "jane")
        shutil.move(studio.inbox / "q.prompt", other / "q.prompt")
        studio.prompt("stays.prompt", "something else is left in the first root")

    _gap(studio, move, running=running)
    assert studio.made() == (1, 3)
    assert studio.states() == {
        "jane": "ready",
        "jane/p.prompt": "done",
        "q.prompt": "done",
        "stays.prompt": "done",
    }


def test_a_folder_renamed_before_its_tune_is_ready_is_one_tune(make_studio):
    """A rename while the tune trains: one tune, and its prompts go on under the new name."""
    studio = make_studio(train_seconds=0.6)
    studio.folder("jane", toml='model_type = "lora"\nname = "woman"\n')
    studio.prompt("jane/p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[0] == 1)
        (studio.inbox / "jane").rename(studio.inbox / "anne")
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == (1, 1)
    assert studio.states() == {"anne": "ready", "anne/p.prompt": "done"}


def test_a_prompt_renamed_while_it_generates_gets_its_pictures(make_studio):
    """The pictures of a prompt that was renamed in between still come, once."""
    studio = make_studio(generate_seconds=0.4)
    old = studio.prompt("a.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
        old.rename(studio.inbox / "b.prompt")
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1
    assert studio.states() == {"b.prompt": "done"}


def test_a_touch_is_nothing(studio):
    """A new time of modification, or the same bytes written anew, sends nothing."""
    studio.folder("jane", toml='name = "woman"\n')
    prompt = studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    for path in (prompt, studio.inbox / "jane/1.jpg", studio.inbox / "jane/tune.toml"):
        os.utime(path, (1, 1))
    studio.run_once()
    data = prompt.read_bytes()
    prompt.unlink()
    prompt.write_bytes(data)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert len(studio.posts()) == 2
    assert not studio.tune("jane").changed


def test_a_comment_or_another_layout_of_the_block_is_nothing(studio):
    """What is asked for is the same, so nothing is asked for again."""
    studio.prompt("p.prompt", "words", "num_images: 2\nseed: 3")
    studio.run_once()
    studio.prompt("p.prompt", "words\n", "# a note\nseed: 3\nnum_images: 2 # two")
    studio.run_once()
    assert studio.made() == (0, 1)


@both
def test_an_edit_is_one_new_prompt_and_editing_back_is_none(studio, running):
    """A new version of a file is a new prompt; an old version restored is the old one."""
    studio.prompt("p.prompt", "one")
    studio.run_once()
    _gap(studio, lambda: studio.prompt("p.prompt", "two"), running=running)
    assert [post.field("prompt[text]") for post in studio.posts()] == ["one", "two"]
    _gap(studio, lambda: studio.prompt("p.prompt", "one"), running=running)
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


@both
def test_a_copy_is_a_new_prompt(studio, running):
    """Another file with the same words, also one that keeps its times, is asked for on its own."""
    prompt = studio.prompt("a.prompt", "words")
    studio.run_once()
    _gap(studio, lambda: shutil.copy2(prompt, studio.inbox / "b.prompt"), running=running)
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


@both
def test_a_copied_folder_is_a_new_tune(studio, running):
    """One image folder is one tune: two folders of the same pictures are two."""
    studio.folder("jane", pictures=2)
    studio.run_once()
    _gap(studio, lambda: shutil.copytree(studio.inbox / "jane", studio.inbox / "anne"), running=running)
    assert studio.made() == (2, 0)


def test_two_prompts_that_swap_names_send_nothing(studio):
    """a becomes b and b becomes a: no version of either was never asked for."""
    a, b = studio.prompt("a.prompt", "one"), studio.prompt("b.prompt", "two")
    studio.run_once()
    spare = studio.home / "spare"
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    studio.run_once()
    assert studio.made() == (0, 2)


def test_two_folders_that_swap_names_make_no_tune(studio):
    """Renaming is no new tune, also when two folders change names: both titles are told to Astria."""
    studio.folder("a", pictures=2)
    studio.folder("b", pictures=3)
    studio.run_once()
    before = {studio.tune("a").remote_id: "b", studio.tune("b").remote_id: "a"}
    spare = studio.home / "spare"
    (studio.inbox / "a").rename(spare)
    (studio.inbox / "b").rename(studio.inbox / "a")
    spare.rename(studio.inbox / "b")
    studio.run_once()
    assert studio.made() == (2, 0)
    assert {studio.tune(name).remote_id: name for name in ("a", "b")} == before


def test_a_rename_and_a_new_file_under_the_old_name(studio):
    """mv a b, and another a: one new prompt, for the new words alone."""
    old = studio.prompt("a.prompt", "one")
    studio.run_once()
    old.rename(studio.inbox / "b.prompt")
    studio.prompt("a.prompt", "two")
    studio.run_once()
    assert [post.field("prompt[text]") for post in studio.posts()] == ["one", "two"]


def test_a_prompt_renamed_over_another_sends_nothing(studio):
    """mv a b over an existing b: no version of either was never asked for."""
    a, b = studio.prompt("a.prompt", "one"), studio.prompt("b.prompt", "two")
    studio.run_once()
    a.replace(b)
    studio.run_once()
    studio.run_once()
    assert studio.made() == (0, 2)
    studio.prompt("b.prompt", "three")
    studio.run_once()
    assert studio.made() == (0, 3)


def test_three_prompts_that_change_places_in_a_ring_send_nothing(studio):
    """a to b, b to c, c to a."""
    paths = [studio.prompt(f"{name}.prompt", f"number {name}") for name in "abc"]
    studio.run_once()
    spare = studio.home / "spare"
    paths[2].rename(spare)
    paths[1].rename(paths[2])
    paths[0].rename(paths[1])
    spare.rename(paths[0])
    studio.run_once()
    assert studio.made() == (0, 3)
    studio.run_once()
    assert studio.made() == (0, 3)


@both
def test_a_folder_renamed_and_a_new_one_under_the_old_name(studio, running):
    """mv jane anne, and other pictures in a new jane: the old tune is anne's, jane gets one of its own."""
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    old = studio.tune("jane").remote_id

    def act():
        (studio.inbox / "jane").rename(studio.inbox / "anne")
        studio.folder("jane", pictures=3)
        studio.prompt("jane/p.prompt", "other words")

    _gap(studio, act, running=running)
    assert studio.made() == (2, 2)
    assert studio.tune("anne").remote_id == old
    assert studio.tune("jane").remote_id != old
    assert set(studio.states()) == {"jane", "anne", "jane/p.prompt", "anne/p.prompt"}


def test_files_saved_by_renaming_share_inodes_without_being_taken_for_each_other(studio):
    """Editors that write beside and rename hand one file's old inode to the next: still nothing but a save."""
    names = [f"{n}.prompt" for n in range(4)]
    for name in names:
        studio.prompt(name, f"number {name}")
    studio.run_once()
    for _ in range(2):
        for name in names:
            beside = studio.inbox / ".swap"
            beside.write_text(f"number {name}")
            beside.replace(studio.inbox / name)
        studio.run_once()
    assert studio.made() == (0, 4)


def test_a_prompt_is_forgotten_if_it_goes_before_it_is_sent(studio):
    """A file that is deleted while it waits leaves nothing behind, and is never sent."""
    prompt = studio.prompt("p.prompt", "<jane> runs")
    studio.run_once()
    assert studio.states() == {"p.prompt": "waiting"}
    prompt.unlink()
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 0)
    assert studio.states() == {"jane": "ready"}


def test_a_prompt_that_goes_after_it_was_sent_still_gets_its_pictures(make_studio):
    """Deleting a file deletes nothing at Astria: what was paid for is fetched, and no DELETE is sent."""
    studio = make_studio(generate_seconds=0.4)
    prompt = studio.prompt("p.prompt", "words")
    studio.prompt("other.prompt", "other")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 2)
        prompt.unlink()
        daemon.look()
        assert daemon.run(10)
    studio.run_once()
    assert studio.check_pictures() == 2
    assert studio.sim.ledger.requests("DELETE") == []


def test_a_deleted_folder_deletes_nothing(studio):
    """Deleting a folder whose tune is made sends nothing, and putting it back costs nothing."""
    jane = studio.folder("jane", pictures=2)
    studio.prompt("p.prompt", "words")
    studio.run_once()
    kept = studio.home / "kept"
    jane.rename(kept)
    studio.run_once()
    studio.run_once()
    kept.rename(jane)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.sim.ledger.requests("DELETE") == []
    assert studio.states()["jane"] == "ready"


@pytest.mark.parametrize("how", ["missing", "empty", "unreadable"])
def test_a_root_that_is_gone_or_empty_deletes_and_pays_nothing(studio, how):
    """An unmounted disk: nothing is deleted, nothing sent, it is said, and all is as before when it is back."""
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    aside = studio.home / "aside"
    if how == "unreadable":
        if os.geteuid() == 0:
            pytest.skip("root can read everything")
        studio.inbox.chmod(0)
    else:
        studio.inbox.rename(aside)
        if how == "empty":
            studio.inbox.mkdir()
    studio.run_once()
    studio.run_once()
    assert studio.value(f"root:{studio.inbox}")
    assert studio.states() == {"jane": "ready", "jane/p.prompt": "done"}
    if how == "unreadable":
        studio.inbox.chmod(0o755)
    else:
        if how == "empty":
            studio.inbox.rmdir()
        aside.rename(studio.inbox)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert not studio.value(f"root:{studio.inbox}")
    assert studio.sim.ledger.requests("DELETE") == []


def test_a_root_that_vanishes_while_running_sends_nothing_of_it(studio):
    """Prompts that wait in a root that is gone are neither forgotten nor sent, and go on when it is back."""
    studio.prompt("p.prompt", "<jane> runs")
    aside = studio.home / "aside"
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.inbox.rename(aside)
        daemon.look()
        assert daemon.run(10)
        assert studio.posts() == []
        aside.rename(studio.inbox)
        studio.folder("jane")
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == (1, 1)


def test_what_is_queued_in_a_root_that_is_gone_holds_nothing_up(studio):
    """`run --once` ends although something is queued in a root that is not there now, and sends it when it is back."""
    studio.command("pause")
    studio.prompt("p.prompt", "words")
    studio.run_once()
    studio.command("resume")
    aside = studio.home / "aside"
    studio.inbox.rename(aside)
    studio.run_once()
    assert studio.posts() == []
    aside.rename(studio.inbox)
    studio.run_once()
    assert studio.made() == (0, 1)


def test_a_prompt_deleted_while_it_is_unsure_is_forgotten_if_it_was_never_made(studio):
    """Its file is gone, Astria never had it: it is not sent again, and nothing waits for it."""
    studio.sim.faults.add(Fault(kind="status", status=504, when="before", method="POST"))
    prompt = studio.prompt("p.prompt", "words")
    studio.prompt("q.prompt", "<jane> keeps the root from being empty")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.states().get("p.prompt") == "unsure")
        prompt.unlink()
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == (0, 0)
    assert studio.states() == {"q.prompt": "waiting"}


def test_a_prompt_deleted_while_it_is_unsure_is_fetched_if_it_was_made(studio):
    """Its file is gone, but it was paid for: it is found, and its picture comes."""
    studio.sim.faults.add(Fault(kind="status", status=504, when="after", method="POST"))
    prompt = studio.prompt("p.prompt", "words")
    studio.prompt("q.prompt", "<jane> keeps the root from being empty")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.states().get("p.prompt") == "unsure")
        prompt.unlink()
        daemon.look()
        assert daemon.run(10)
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1


def test_an_error_file_does_not_make_a_renamed_folder_anew(studio):
    """A folder with a slip is renamed before its error is written: no ghost of the old name appears."""
    studio.folder("jane", toml="nmae = 1\n")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.states() == {"jane": "settling"})
        (studio.inbox / "jane").rename(studio.inbox / "anne")
        source = daemon.journal.sources()[0]
        daemon.engine.ctx.event("source", source.id, source.id, "problem")
        daemon.journal.change("sources", source.id, problem="a slip")
        daemon.turn()
        assert not (studio.inbox / "jane").exists()


def test_two_prompts_that_swap_names_and_are_edited(studio):
    """Swapped, and one of them edited: only the new words are paid for."""
    a, b = studio.prompt("a.prompt", "one"), studio.prompt("b.prompt", "two")
    studio.run_once()
    spare = studio.home / "spare"
    a.rename(spare)
    b.rename(a)
    spare.rename(b)
    a.write_text("two, better")
    studio.run_once()
    assert [post.field("prompt[text]") for post in studio.posts()][2:] == ["two, better"]


def test_a_file_saved_the_way_editors_save_is_one_edit(studio):
    """Written beside and renamed over: a new inode with new words is one new prompt, with the same words none."""
    prompt = studio.prompt("p.prompt", "one")
    studio.run_once()
    for words, made in (("one", 1), ("two", 2)):
        beside = studio.inbox / ".p.prompt.swp"
        beside.write_text(words)
        beside.replace(prompt)
        studio.run_once()
        assert studio.made() == (0, made)


def test_what_a_file_said_before_it_was_edited_is_not_sent_after_a_restart(studio):
    """Queued words whose file was changed while nothing ran wait until it is read again: the new ones are paid for, alone."""
    studio.sim.faults.add(Fault(kind="status", status=402, method="POST", path="/prompts$", when="before"))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    studio.tables["timing"]["settle_seconds"] = 0.3
    studio.prompt("p.prompt", "other words")
    with studio.daemon() as daemon:
        daemon.command("retry")
        assert daemon.run(10)
    assert [row.text for row in studio.prompts()] == ["other words"]
    assert studio.made() == (0, 1)


def test_a_tune_whose_folder_was_edited_is_not_made_as_it_was(studio):
    """The same for a folder: its tune is made once, with the name that tune.toml gives it by now."""
    studio.sim.faults.add(Fault(kind="status", status=402, method="POST", path="/tunes$", when="before"))
    studio.folder("jane", toml='name = "woman"')
    studio.run_once()
    studio.tables["timing"]["settle_seconds"] = 0.3
    studio.write("jane/tune.toml", 'name = "man"\n')
    with studio.daemon() as daemon:
        daemon.command("retry")
        assert daemon.run(10)
    assert [row.class_noun for row in [studio.tune("jane")]] == ["man"]
    assert [
        entry.field("tune[name]") for entry in studio.posts() if entry.status == 201 or entry.status == 200
    ] == ["man"]
