"""Mentions of image folders in prompts, as Astria receives them."""

import pytest


def _texts(studio) -> dict[str, str]:
    """The text that was sent for each prompt file."""
    with studio.journal() as journal:
        known = {source.id: source.path for source in journal.sources()}
        by_id = {entry.id: entry.facts["text"] for entry in studio.sim.ledger.created_prompts()}
        return {
            known[row.source_id]: by_id[row.remote_id] for row in journal.prompts("remote_id IS NOT NULL")
        }


def test_a_prompt_saved_before_its_folder_waits_says_so_and_goes(studio):
    """`<jane>` waits for the folder jane, tells its name, sends nothing, and goes when jane is ready."""
    studio.prompt("look.prompt", "<jane> by the sea")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        assert studio.states() == {"look.prompt": "waiting"}
        assert "<jane>" in studio.only("look.prompt").reason
        assert studio.posts() == []
        studio.folder("jane", toml='name = "woman"\n')
        daemon.look()
        assert daemon.run(10)
    tune = studio.tune("jane").remote_id
    assert _texts(studio) == {"look.prompt": f"<faceid:{tune}:1> woman by the sea"}


def test_a_prompt_waits_while_a_tune_trains(make_studio):
    """It is sent only when the tune is trained, and says meanwhile that it is training."""
    studio = make_studio(train_seconds=0.5)
    studio.folder("jane", toml='name = "woman"\nmodel_type = "lora"\n')
    studio.prompt("look.prompt", "<jane> by the sea")
    with studio.daemon() as daemon:
        daemon.until(lambda: "training" in studio.only("look.prompt").reason if studio.prompts() else False)
        assert studio.made() == (1, 0)
        assert daemon.run(10)
    tune = studio.tune("jane").remote_id
    assert _texts(studio) == {"look.prompt": f"<lora:{tune}:1> woman by the sea"}


def test_every_way_to_mention_a_folder(studio):
    """By name, by path, with type and weight, Astria's own tokens, templates, and a plain `<`."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.folder("dresses/brown-dress", toml='name = "dress"\n')
    studio.write("all/tune.toml", "")
    texts = {
        "name": ("<jane> in <brown-dress>", "<faceid:{jane}:1> woman in <faceid:{dress}:1> dress"),
        "case": ("<Jane>", "<faceid:{jane}:1> woman"),
        "path": ("<dresses/brown-dress> alone", "<faceid:{dress}:1> dress alone"),
        "typed": ("<faceid:jane:1> x <lora:jane:0.8>", "<faceid:{jane}:1> x <lora:{jane}:0.8>"),
        "own": ("<faceid:{jane}:1> and {{{{a|b}}}}", "<faceid:{jane}:1> and {{{{a|b}}}}"),
        "plain": (r"3 \<4, a < b, I <3 you", "3 <4, a < b, I <3 you"),
        "noun": ("<jane> woman smiles", "<faceid:{jane}:1> woman smiles"),
    }
    studio.run_once()
    ids = {"jane": studio.tune("jane").remote_id, "dress": studio.tune("dresses/brown-dress").remote_id}
    for name, (written, _) in texts.items():
        studio.prompt(f"{name}.prompt", written.format(**ids) if "{" in written else written)
    studio.run_once()
    assert _texts(studio) == {f"{name}.prompt": wanted.format(**ids) for name, (_, wanted) in texts.items()}


def test_an_ambiguous_name_lists_the_folders_and_a_path_tells_them_apart(studio):
    """Two folders of one name: a bare mention is an error that lists both, and costs nothing."""
    studio.folder("summer/red")
    studio.folder("winter/red")
    studio.prompt("bare.prompt", "<red>")
    studio.prompt("path.prompt", "<winter/red> here")
    studio.run_once()
    error = studio.error("bare.prompt")
    assert "summer/red" in error
    assert "winter/red" in error
    assert _texts(studio) == {"path.prompt": f"<faceid:{studio.tune('winter/red').remote_id}:1> here"}


def test_an_ambiguity_that_ends_lets_the_prompt_go(studio):
    """When one of two folders of a name is renamed, the prompt goes and its error file is gone."""
    studio.folder("summer/red")
    studio.folder("winter/red")
    studio.prompt("bare.prompt", "<red> here")
    studio.run_once()
    (studio.inbox / "summer/red").rename(studio.inbox / "summer/blue")
    studio.run_once()
    assert studio.error("bare.prompt") is None
    assert studio.states()["bare.prompt"] == "done"


def test_the_subject_of_a_reference_folder(studio):
    """`<1>` is the folder's tune, a prompt without a mention gets it in front, one with a mention does not."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.folder("joe", toml='name = "man"\n')
    studio.prompt("jane/one.prompt", "<1> runs")
    studio.prompt("jane/none.prompt", "runs")
    studio.prompt("jane/named.prompt", "here <jane> runs")
    studio.prompt("jane/other.prompt", "with <joe>")
    studio.run_once()
    jane, joe = studio.tune("jane").remote_id, studio.tune("joe").remote_id
    assert _texts(studio) == {
        "jane/one.prompt": f"<faceid:{jane}:1> woman runs",
        "jane/none.prompt": f"<faceid:{jane}:1> woman runs",
        "jane/named.prompt": f"here <faceid:{jane}:1> woman runs",
        "jane/other.prompt": f"<faceid:{jane}:1> woman with <faceid:{joe}:1> man",
    }


def test_a_checkpoint_trains_its_prompts_wait_and_go_to_itself(make_studio):
    """`model_type = ""`: training takes time, `<1>` stays, and prompts are sent to the tune."""
    studio = make_studio(train_seconds=0.4)
    studio.folder("jane", pictures=4, toml='name = "woman"\nmodel_type = ""\nbase_tune = "flux"\n')
    studio.prompt("jane/one.prompt", "<1> woman runs")
    studio.prompt("jane/none.prompt", "just a beach")
    studio.prompt("by-name.prompt", "ohwx woman", "model: jane")
    studio.run_once()
    tune = studio.tune("jane").remote_id
    assert {post.path for post in studio.posts("/prompts$")} == {f"/tunes/{tune}/prompts"}
    assert _texts(studio) == {
        "jane/one.prompt": "<1> woman runs",
        "jane/none.prompt": "just a beach",
        "by-name.prompt": "ohwx woman",
    }
    (post,) = studio.posts("^/tunes$")
    assert post.field("tune[base_tune_id]") == "1504944"
    assert not post.field("tune[model_type]")


def test_where_a_prompt_is_sent(studio):
    """`model` by name or id, the base model of the folder's reference, or the default model."""
    studio.folder("jane")
    studio.folder("flux", toml='model_type = "lora"\nbase_tune = 1504944\n')
    studio.prompt("default.prompt", "words")
    studio.prompt("named.prompt", "words", "model: seedream")
    studio.prompt("number.prompt", "words", "model: 4665564")
    studio.prompt("jane/p.prompt", "words")
    studio.prompt("flux/p.prompt", "words")
    studio.run_once()
    with studio.journal() as journal:
        known = {source.id: source.path for source in journal.sources()}
        targets = {known[row.source_id]: row.target for row in journal.prompts()}
    assert targets == {
        "default.prompt": 3618064,
        "named.prompt": 3691308,
        "number.prompt": 4665564,
        "jane/p.prompt": 3618064,
        "flux/p.prompt": 1504944,
    }
    assert {f"/tunes/{target}/prompts" for target in targets.values()} == {
        post.path for post in studio.posts("/prompts$")
    }


@pytest.mark.parametrize(
    ("front", "told"),
    [("model: gemni", "gemini"), ("model: jane", "reference"), ("model: nothing-like-it", "no model's name")],
)
def test_a_model_that_cannot_be_meant_is_told(studio, front, told):
    """An unknown model names the nearest, a reference cannot be one; nothing is sent for them."""
    studio.folder("jane")
    studio.prompt("p.prompt", "words", front)
    studio.run_once()
    assert told in studio.error("p.prompt")
    assert studio.made() == (1, 0)


def test_a_retrained_folder_is_used_by_later_prompts(studio):
    """Changed pictures send nothing and say so; `retrain` makes a new tune; later prompts use it, earlier ones stay."""
    studio.folder("jane", pictures=2)
    studio.prompt("jane/a.prompt", "first")
    studio.run_once()
    old = studio.tune("jane").remote_id
    studio.picture("jane/more.jpg")
    studio.run_once()
    assert studio.made() == (1, 1)
    tune = studio.tune("jane")
    assert tune.changed
    assert "retrain" in tune.reason
    studio.prompt("jane/b.prompt", "second")
    studio.run_once()
    assert _texts(studio)["jane/b.prompt"] == f"<faceid:{old}:1> second"
    assert studio.command("retrain", studio.inbox / "jane")["count"] == 1
    studio.run_once()
    new = studio.tune("jane")
    assert new.remote_id != old
    assert not new.changed
    studio.prompt("jane/c.prompt", "third")
    studio.run_once()
    assert _texts(studio)["jane/c.prompt"] == f"<faceid:{new.remote_id}:1> third"
    assert studio.made() == (2, 3)
    assert len(studio.posts("^/tunes$")[-1].files) == 3


def test_pictures_changed_back_are_not_changed(studio):
    """A picture that comes and goes leaves the folder as it was."""
    studio.folder("jane")
    studio.run_once()
    extra = studio.picture("jane/more.jpg")
    studio.run_once()
    assert studio.tune("jane").changed
    extra.unlink()
    studio.run_once()
    tune = studio.tune("jane")
    assert (tune.changed, tune.reason) == (False, "")
    assert studio.made() == (1, 0)


def test_own_subject_of_a_checkpoint_means_nothing_elsewhere(studio):
    """`<1>` in a checkpoint's folder, sent to one of Astria's own models: told, and not paid for."""
    studio.folder("jane", pictures=4, toml='model_type = ""\nbase_tune = "flux"\n')
    studio.prompt("jane/p.prompt", "<1> runs", "model: gemini")
    studio.run_once()
    assert "<1> means nothing to gemini" in studio.error("jane/p.prompt")
    assert studio.posts("/prompts$") == []
