"""tune.toml: what it says reaches Astria, is inherited, is mended, and is never paid twice."""

import json

import pytest


def _form(post) -> dict[str, str]:
    return {name.removeprefix("tune[").rstrip("]"): value for name, value in post.fields}


def test_settings_are_inherited_nearest_first(studio):
    """Folders below inherit all but title; tables are merged; the configuration lies under them all."""
    studio.tables["tune"] = {"face_crop": True, "name": "thing"}
    studio.write(
        "d/tune.toml", 'title = "all"\nname = "dress"\ncharacteristics = {a = "1", b = "1"}\nsteps = 7\n'
    )
    studio.folder("d/red", toml='characteristics = {b = "2"}\nauto_extend = true\ntitle = "Red!"\n')
    studio.folder("d/deep/blue", toml='name = "skirt"\ntoken = "sks"\n')
    studio.folder("other")
    studio.run_once()
    forms = {_form(post)["title"]: _form(post) for post in studio.posts("^/tunes$")}
    assert set(forms) == {"Red!", "blue", "other"}
    red, blue, other = forms["Red!"], forms["blue"], forms["other"]
    assert (red["name"], red["steps"], red["face_crop"], red["auto_extend"]) == ("dress", "7", "true", "true")
    assert json.loads(red["characteristics"]) == {"a": "1", "b": "2"}
    assert (blue["name"], blue["token"], blue["steps"]) == ("skirt", "sks", "7")
    assert json.loads(blue["characteristics"]) == {"a": "1", "b": "1"}
    assert (other["name"], other["face_crop"]) == ("thing", "true")
    assert "characteristics" not in other


def test_prompt_defaults_come_from_the_folders_and_the_configuration(studio):
    """`[prompt]` of the configuration, of the folders above, then the file itself."""
    studio.tables["prompt"] = {"num_images": 2, "resolution": "1K"}
    studio.write("tune.toml", '[prompt]\naspect_ratio = "3:4"\nresolution = "2K"\n')
    studio.write("d/tune.toml", '[prompt]\nnum_images = 3\nmodel = "seedream"\n')
    studio.prompt("d/p.prompt", "words", "aspect_ratio: 1:1")
    studio.prompt("q.prompt", "words")
    studio.run_once()
    posts = {post.path: post for post in studio.posts("/prompts$")}
    p, q = posts["/tunes/3691308/prompts"], posts["/tunes/3618064/prompts"]

    def told(post):
        return [post.field(f"prompt[{key}]") for key in ("num_images", "aspect_ratio", "resolution")]

    assert told(p) == ["3", "1:1", "2K"]
    assert told(q) == ["2", "3:4", "2K"]
    assert studio.check_pictures() == 5


@pytest.mark.parametrize(
    ("toml", "sent"),
    [
        ('title = "Jane D."\nname = "woman"\n', {"tune[title]": "Jane D."}),
        ('name = "person"\n', {"tune[name]": "person"}),
        ('name = "woman"\nauto_extend = true\n', {"tune[auto_extend]": "true"}),
        ('name = "woman"\n[characteristics]\nhair = "red"\n', {"tune[characteristics]": '{"hair": "red"}'}),
    ],
)
def test_an_edit_of_what_can_be_changed_is_a_patch(studio, toml, sent):
    """title, name, auto_extend and characteristics update the tune; nothing is made anew."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    studio.write("jane/tune.toml", toml)
    studio.run_once()
    studio.run_once()
    (patch,) = studio.sim.ledger.requests("PATCH")
    assert dict(patch.fields) == sent
    assert patch.path == f"/tunes/{studio.tune('jane').remote_id}"
    assert studio.made() == (1, 0)


def test_an_edit_above_reaches_the_tunes_below(studio):
    """The class noun of a folder above changes: each tune below is told, and later prompts say it."""
    studio.write("d/tune.toml", 'name = "dress"\n')
    studio.folder("d/red")
    studio.folder("d/blue")
    studio.run_once()
    studio.write("d/tune.toml", 'name = "skirt"\n')
    studio.prompt("p.prompt", "<red> hangs")
    studio.run_once()
    assert len(studio.sim.ledger.requests("PATCH")) == 2
    studio.prompt("q.prompt", "<red> lies")
    studio.run_once()
    assert studio.created(1).facts["text"].endswith("skirt lies")


def test_a_patch_that_fails_is_tried_again(studio):
    """A 500 to a PATCH is no loss: it is told once more."""
    from astria_sync.simulator import Fault

    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    studio.sim.faults.add(Fault(kind="status", status=500, method="PATCH", times=2))
    (studio.inbox / "jane").rename(studio.inbox / "anne")
    studio.run_once()
    assert len(studio.sim.ledger.requests("PATCH")) == 3
    assert studio.tune("anne").title == "anne"
    assert studio.sim.astria.world.tunes.get(studio.tune("anne").remote_id).title == "anne"


def test_an_id_uses_the_tune_that_is_there_and_uploads_nothing(studio):
    """`id = N`: no tune is made, prompts use N with its class noun."""
    studio.folder("old", toml='name = "woman"\n')
    studio.run_once()
    there = studio.tune("old").remote_id
    studio.folder("jane", toml=f"id = {there}\n")
    studio.write("bare/tune.toml", f"id = {there}\n")
    studio.prompt("jane/p.prompt", "runs")
    studio.prompt("q.prompt", "<bare> sleeps")
    studio.run_once()
    assert studio.made() == (1, 2)
    texts = {entry.facts["text"] for entry in studio.sim.ledger.created_prompts()}
    assert texts == {f"<faceid:{there}:1> woman runs", f"<faceid:{there}:1> woman sleeps"}


def test_an_id_that_is_not_there_is_an_error_until_it_is_corrected(studio):
    """A missing tune is told beside the folder; a right id makes the error go."""
    studio.folder("old")
    studio.run_once()
    studio.write("jane/tune.toml", "id = 987654\n")
    studio.run_once()
    assert "987654" in studio.error("jane")
    assert studio.states()["jane"] == "failed"
    studio.write("jane/tune.toml", f"id = {studio.tune('old').remote_id}\n")
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.states()["jane"] == "ready"
    assert studio.made() == (1, 0)


def test_an_id_that_changes_is_bound_anew(studio):
    """Another id in tune.toml means another tune for later prompts."""
    studio.folder("a")
    studio.folder("b")
    studio.run_once()
    ids = [studio.tune(name).remote_id for name in "ab"]
    for one in ids:
        studio.write("jane/tune.toml", f"id = {one}\n")
        studio.run_once()
        assert studio.tune("jane").remote_id == one
    assert studio.made() == (2, 0)


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('nmae = "woman"\n', '"name"'),
        ("steps = -3\n", "steps"),
        ("title = \n", "line 1"),
        ('model_type = "faceix"\n', "model_type"),
        ("[prompt]\naspect_ratio = 3\n", "aspect_ratio"),
        ('base_tune = "gemni"\n', "gemni"),
    ],
)
def test_a_slip_in_tune_toml_is_told_and_mended(studio, toml, told):
    """An error file names what is wrong, nothing is sent, and it goes away when the file is mended."""
    studio.folder("jane", toml=toml)
    studio.run_once()
    assert told in studio.error("jane")
    assert studio.states() == {"jane": "failed"}
    assert studio.posts() == []
    studio.write("jane/tune.toml", 'name = "woman"\n')
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.made() == (1, 0)
    assert studio.states() == {"jane": "ready"}


def test_a_slip_in_a_folder_above_stops_those_below_and_is_mended(studio):
    """What cannot be read cannot be inherited: nothing below is sent until it is mended."""
    studio.write("d/tune.toml", "nmae = 1\n")
    studio.folder("d/red")
    studio.prompt("d/red/p.prompt", "words")
    studio.run_once()
    assert studio.posts() == []
    assert "d/tune.toml" in studio.error("d/red")
    studio.write("d/tune.toml", 'name = "dress"\n')
    studio.run_once()
    assert studio.error("d/red") is None
    assert studio.error("d/red/p.prompt") is None
    assert studio.error("d") is None
    assert studio.made() == (1, 1)


def test_a_tune_toml_without_pictures_that_is_wrong_is_told_there(studio):
    """The folder whose tune.toml has the slip gets the error, also if it is no image folder itself."""
    studio.write("d/tune.toml", "nmae = 1\n")
    studio.folder("d/red")
    studio.run_once()
    assert "nmae" in studio.error("d")


@pytest.mark.parametrize("data", [b"", b"\xff\xd8\xff\xe0 no", "half", b"<html>", "png as jpg"])
def test_a_broken_picture_stops_its_folder_and_is_named(studio, data):
    """Empty, truncated or not what its name says: nothing is sent, the file is named; mended, the folder goes."""
    studio.folder("jane", pictures=2)
    whole = studio.photo()
    bad = {"half": whole[: len(whole) // 2], "png as jpg": studio.photo("png")}.get(data, data)
    studio.write("jane/bad.jpg", bad)
    studio.prompt("p.prompt", "<jane> runs")
    studio.run_once()
    assert "bad.jpg" in studio.error("jane")
    assert studio.states() == {"jane": "failed", "p.prompt": "waiting"}
    assert studio.posts() == []
    studio.write("jane/bad.jpg", studio.photo())
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.states() == {"jane": "ready", "p.prompt": "done"}
    assert len(studio.posts("^/tunes$")[0].files) == 3


def test_a_broken_picture_that_is_removed_lets_the_folder_go(studio):
    """Taking the bad one out is as good as mending it."""
    studio.folder("jane", pictures=2)
    bad = studio.write("jane/bad.png", b"no picture")
    studio.run_once()
    bad.unlink()
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.made() == (1, 0)
