"""`_each/`: one prompt file, run once for every image folder below the folder that holds it."""

import shutil

import pytest

from astria_sync import report
from astria_sync.cli.run import summary
from astria_sync.core import work
from astria_sync.simulator import Fault

PROMPTS = "/prompts$"


def each(studio, path="dresses/_each/shot.prompt", text="<1> on a hanger"):
    return studio.prompt(path, text)


def ordered(studio):
    """Folder of the output → how many prompts were made for it."""
    return sorted(row.folder for row in studio.prompts() if row.remote_id)


def test_every_folder_gets_every_prompt(studio):
    """Two folders and two prompts are four requests, each about its own folder, with its output there."""
    for name in ("red", "blue"):
        studio.folder(f"dresses/{name}", toml='name = "dress"')
    each(studio)
    each(studio, "dresses/_each/back.prompt", "<1> from behind")
    studio.run_once()
    assert studio.made() == (2, 4)
    assert ordered(studio) == sorted(
        f"dresses/{folder}/{stem}" for folder in ("red", "blue") for stem in ("shot", "back")
    )
    tunes = {name: studio.tune(f"dresses/{name}").remote_id for name in ("red", "blue")}
    for row in studio.prompts("dresses/_each/shot.prompt"):
        assert f"<faceid:{tunes[row.folder.split('/')[1]]}:1> dress" in row.text
    assert studio.check_pictures() == 4


def test_a_new_folder_gets_them_all_and_nobody_else_again(studio):
    """Dropping a folder asks for what is new; so does dropping a prompt."""
    studio.folder("red")
    each(studio, "_each/shot.prompt")
    studio.run_once()
    studio.folder("deep/down/blue")
    studio.run_once()
    assert studio.made() == (2, 2)
    each(studio, "_each/more.prompt", "<1> at sea")
    studio.run_once()
    assert studio.made() == (2, 4)
    studio.run_once()
    assert studio.made() == (2, 4)


def test_an_edit_runs_it_anew_for_all_and_is_held_back_if_that_is_many(studio):
    """`hold_above` counts what one edit asks for."""
    studio.tables["limits"]["hold_above"] = 2
    for name in ("red", "blue", "green"):
        studio.folder(name)
    each(studio, "_each/shot.prompt")
    studio.run_once()
    assert studio.made() == (3, 0)
    studio.command("approve")
    studio.run_once()
    assert studio.made() == (3, 3)
    each(studio, "_each/shot.prompt", "<1> folded")
    studio.run_once()
    assert studio.made() == (3, 3)
    assert sorted(row.state for row in studio.prompts() if row.current) == ["held"] * 3


def test_a_matrix_is_fanned_out_for_each_folder(studio):
    """One request for each folder and combination; a value that is added asks for what is new alone."""
    for name in ("red", "blue"):
        studio.folder(name)
    studio.prompt("_each/shot.prompt", "<1> by the {place}", "matrix: {place: [sea, lake]}")
    studio.run_once()
    assert studio.made() == (2, 4)
    studio.prompt("_each/shot.prompt", "<1> by the {place}", "matrix: {place: [sea, lake, river]}")
    studio.run_once()
    assert studio.made() == (2, 6)


def test_a_folder_that_is_renamed_keeps_its_pictures(studio):
    """Nothing is asked for again, and what is shown names the folder as it is called now."""
    studio.folder("red")
    each(studio, "_each/shot.prompt")
    studio.run_once()
    (studio.inbox / "red").rename(studio.inbox / "crimson")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.only("_each/shot.prompt").variant == {"_each": "crimson"}


def test_a_prompt_that_is_renamed_is_nothing_new(studio):
    """Nor is the folder that holds it all."""
    studio.folder("dresses/red")
    path = each(studio)
    studio.run_once()
    path.rename(path.with_name("hanger.prompt"))
    studio.run_once()
    (studio.inbox / "dresses").rename(studio.inbox / "clothes")
    studio.run_once()
    assert studio.made() == (1, 1)


def test_only_folders_below_the_holder_are_meant(studio):
    """Not the holder itself, not folders elsewhere, not what lies in `_each`, not what is hidden."""
    studio.folder("dresses")
    studio.folder("shoes/boots")
    studio.folder("dresses/red")
    each(studio)
    studio.write("dresses/_each/pose.jpg", (studio.inbox / "dresses/red/1.jpg").read_bytes())
    studio.run_once()
    assert studio.made() == (3, 1)
    assert ordered(studio) == ["dresses/red/shot"]


def test_files_lie_beside_the_prompt(studio):
    """What a local pack's prompt takes along lies in `_each`, and makes no image folder of it."""
    studio.folder("red")
    studio.write("_each/pose.jpg", (studio.inbox / "red/1.jpg").read_bytes())
    studio.prompt("_each/shot.prompt", "<1> like this", "input_image: pose.jpg")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.posts()[-1].files[0].field == "prompt[input_image]"


def test_defaults_are_those_of_the_folder_that_it_is_for(studio):
    """`[prompt]` of each folder's tune.toml holds, as if the prompt lay there."""
    studio.folder("red", toml="[prompt]\nnum_images = 3\n")
    studio.folder("blue")
    each(studio, "_each/shot.prompt")
    studio.run_once()
    assert {row.folder: row.num_images for row in studio.prompts()} == {"red/shot": 3, "blue/shot": 1}


def test_nobody_there_is_said(studio):
    """A pack without a folder waits, and says for what; when one comes it goes."""
    each(studio)
    studio.run_once()
    assert studio.states() == {"dresses/_each/shot.prompt": "waiting"}
    assert "below dresses" in studio.only("dresses/_each/shot.prompt").reason
    studio.folder("dresses/red")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.only("dresses/_each/shot.prompt").state == "done"


def test_a_prompt_further_down_is_refused(studio):
    """Only what lies directly in `_each` is run; the rest is told what to do."""
    studio.folder("red")
    studio.prompt("_each/winter/shot.prompt", "<1> in snow")
    studio.run_once()
    assert studio.made() == (1, 0)
    row = studio.only("_each/winter/shot.prompt")
    assert row.state == "failed"
    assert "directly into _each" in row.reason
    assert (studio.inbox / "_each/winter/shot.prompt.error.txt").exists()


def test_a_folder_that_goes_takes_what_was_not_sent_with_it(studio):
    """Unsent orders for it are dropped; when it comes back they are there again, once."""
    studio.folder("red")
    studio.folder("blue")
    with studio.daemon() as daemon:
        daemon.command("pause")
        each(studio, "_each/shot.prompt")
        daemon.look()
        daemon.until(lambda: len(studio.prompts()) == 2)
        shutil.rmtree(studio.inbox / "blue")
        daemon.look()
        daemon.until(lambda: [row.folder for row in studio.prompts()] == ["red/shot"])
        daemon.command("resume")
        assert daemon.run(10)
    studio.folder("blue")
    studio.run_once()
    assert ordered(studio) == ["blue/shot", "red/shot"]


@pytest.mark.parametrize("sent", [False, True])
def test_killed_when_an_order_goes_out(studio, sent):
    """Each folder's request is paid once whatever becomes of the process."""
    studio.folder("red")
    studio.folder("blue")
    each(studio, "_each/shot.prompt")
    studio.crash(work.CreatePrompt, sent=sent)
    studio.run_once()
    assert studio.made() == (2, 2)
    assert ordered(studio) == ["blue/shot", "red/shot"]


def test_lost_answers(studio):
    """Unsure for one folder and not for the other: each has its own, by its seed."""
    studio.sim.faults.add(
        Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS),
        Fault(kind="status", status=504, when="before", method="POST", path=PROMPTS),
    )
    studio.folder("red")
    studio.folder("blue")
    each(studio, "_each/shot.prompt")
    studio.run_once()
    assert studio.made() == (2, 2)
    assert studio.check_pictures() == 2


@pytest.mark.parametrize("sidecars", [True, False])
def test_a_lost_state_pays_for_nothing_again(studio, sidecars):
    """Records name the folder that each was for; without them Astria's lists do."""
    studio.folder("red")
    studio.folder("blue")
    each(studio, "_each/shot.prompt")
    studio.run_once()
    shutil.rmtree(studio.state.parent)
    if not sidecars:
        shutil.rmtree(studio.output)
    studio.run_once()
    assert studio.made() == (2, 2)
    assert ordered(studio) == ["blue/shot", "red/shot"]
    assert studio.check_pictures() == 2


def test_a_lost_state_and_a_renamed_folder(studio):
    """Its pictures tell which folder it was."""
    studio.folder("red")
    studio.folder("blue", pictures=2)
    each(studio, "_each/shot.prompt")
    studio.run_once()
    shutil.rmtree(studio.state.parent)
    (studio.inbox / "red").rename(studio.inbox / "crimson")
    studio.run_once()
    assert studio.made() == (2, 2)


def test_one_more_for_every_folder(studio):
    """`rerun` of a local pack's file asks once more for each folder."""
    studio.folder("red")
    studio.folder("blue")
    path = each(studio, "_each/shot.prompt")
    studio.run_once()
    studio.command("rerun", path)
    studio.run_once()
    assert studio.made() == (2, 4)


def test_what_one_folder_cannot_have_is_told_with_its_name(studio):
    """The error file beside the prompt says for which folder it failed; the others are made."""
    studio.folder("red")
    studio.folder("blue", toml='[prompt]\nmodel = "seedream"\nnum_images = 6\n')
    path = each(studio, "_each/shot.prompt")
    studio.run_once()
    assert ordered(studio) == ["red/shot"]
    said = path.with_name("shot.prompt.error.txt").read_text()
    assert "[_each: blue]" in said
    assert "red" not in said


def test_approve_of_a_folder_lets_go_what_local_packs_ask_for_it(studio):
    """Those prompts are there as if they lay in the folder; the other folders' stay held."""
    studio.tables["limits"]["hold_above"] = 1
    for name in ("red", "blue"):
        studio.folder(name)
    each(studio, "_each/shot.prompt")
    studio.run_once()
    assert studio.made() == (2, 0)
    assert studio.command("approve", studio.inbox / "red")["count"] == 1
    studio.run_once()
    assert ordered(studio) == ["red/shot"]
    assert studio.command("approve")["count"] == 1


def test_status_and_retry_of_a_folder_are_of_what_local_packs_ask_for_it_too(studio):
    """`status red` shows that folder's request and `retry red` takes it, as if it lay there; the other folder's are left alone."""
    for name in ("red", "blue"):
        studio.folder(name)
    studio.run_once()
    studio.sim.faults.add(Fault(kind="status", status=400, method="POST", path=PROMPTS, times=2))
    each(studio, "_each/shot.prompt")
    studio.run_once()
    paths = [str(studio.inbox / "red")]
    shown = report.snapshot(studio.state, now=0.0, daemon={"running": False}, paths=paths)
    assert [one["variant"] for one in shown["items"]] == [{"_each": "red"}]
    assert shown["counts"]["prompts"]["failed"] == 1
    assert studio.command("retry", studio.inbox / "red")["count"] == 1
    studio.run_once()
    assert ordered(studio) == ["red/shot"]
    assert studio.command("retry")["count"] == 1


def test_the_summary_of_a_run_tells_folders_apart(studio):
    """One file, two requests: which of them is left is said."""
    studio.tables["limits"]["hold_above"] = 1
    for name in ("red", "blue"):
        studio.folder(name)
    each(studio, "_each/shot.prompt")
    studio.run_once()
    told = "\n".join(summary(studio.state, since=0.0))
    assert "_each/shot.prompt [_each: red]: " in told
    assert "_each/shot.prompt [_each: blue]: " in told
