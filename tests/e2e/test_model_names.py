"""Names of models: as Astria tells them, once a day, and what they mean for orders."""

import json

import pytest

from astria_sync import modelnames
from astria_sync.core import work
from astria_sync.simulator.faults import Fault
from tests.studio_harness import Hands

GEMINI, SEEDREAM = 3618064, 3691308
ASKED = ("GET", "/cli/models")


@pytest.fixture
def studio(make_studio):
    """One whose daemon asks Astria for its models."""
    made = make_studio()
    made.refreshes = True
    return made


def says(studio, models):
    """From now on Astria has these models."""
    studio.sim.faults.clear()
    body = models if isinstance(models, str) else json.dumps({"models": models})
    studio.sim.faults.add(Fault(kind="status", status=200, path="^/cli/models$", body=body, times=None))


def asked(studio):
    return studio.sim.ledger.requests(*ASKED, host="api")


def test_a_model_that_astria_has_added_is_known_by_its_name(studio):
    """The daemon asks at its first start, without the token, and a prompt may name what Astria told."""
    says(studio, {"nano": {"tune_id": SEEDREAM}})
    studio.prompt("a.prompt", "words", "model: nano")
    studio.run_once()
    (request,) = asked(studio)
    assert not request.authorised
    assert studio.only("a.prompt").state == "done"
    assert studio.created().facts["tune_id"] == SEEDREAM
    assert studio.error("a.prompt") is None


def test_once_a_day(studio):
    """A start soon after asks nobody; a day later it is asked again, also by a daemon that runs on."""
    studio.clock = Hands()
    studio.run_once()
    studio.run_once()
    assert len(asked(studio)) == 1
    with studio.daemon() as daemon:
        daemon.clock.slept += 86_401
        daemon.until(lambda: len(asked(studio)) == 2)


def test_what_somebody_else_was_told_is_taken_over(studio):
    """A daemon that runs knows what `models` learnt, and the prompt that named it in vain goes."""
    studio.prompt("a.prompt", "words", "model: nano")
    studio.folder("jane", toml='model_type = "lora"\nbase_tune = "nano"')
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.error("a.prompt") and studio.error("jane"))
        says(studio, {"nano": {"tune_id": SEEDREAM}})
        settings = studio.settings()
        modelnames.ask(daemon.api.get, settings.state, studio.base_url, wall=daemon.clock.wall())
        daemon.until(lambda: studio.only("a.prompt").state == "done" and studio.tune("jane").state == "ready")
    assert studio.tune("jane").base_tune_id == SEEDREAM
    assert studio.error("a.prompt") is None
    assert studio.error("jane") is None


def test_without_a_network_names_mean_what_they_meant(studio):
    """The list that was there last counts, at a start too; nothing fails for want of a new one."""
    says(studio, {"nano": {"tune_id": SEEDREAM}})
    studio.run_once()
    studio.sim.faults.clear()
    studio.sim.faults.add(Fault(kind="refuse", path="^/cli/models$", times=None))
    studio.clock = Hands()
    studio.clock.set_by = 200_000
    studio.prompt("a.prompt", "words", "model: nano")
    studio.run_once()
    assert studio.created().facts["tune_id"] == SEEDREAM


@pytest.mark.parametrize(
    "body",
    [
        "[" * 5000,
        '{"models": {"gemini": {"tune_id": "\\u001b[2J"}}}',
        '{"models": {"3618064": {"tune_id": 5}}}',
        '{"models": {"x": {"tune_id": 5}}, "pad": "' + "x" * (1 << 20) + '"}',
    ],
)
def test_an_answer_that_makes_no_sense_is_left_alone(studio, caplog, body):
    """Prompts go where they always went, no name of Astria's passes for a tune id, and the log says so."""
    says(studio, body)
    studio.prompt("a.prompt", "words", f"model: {GEMINI}")
    studio.run_once()
    assert studio.created().facts["tune_id"] == GEMINI
    assert "\x1b" not in caplog.text
    if not body.startswith("["):  # no JSON at all is trouble of the server's
        assert "names mean what they did" in caplog.text


def test_a_resolution_that_the_model_has_not_is_told_beforehand(studio):
    """One sentence with those that it has, nothing sent; what is not known is Astria's to judge."""
    says(
        studio,
        {"gemini": {"tune_id": GEMINI, "resolutions": ["1K", "2K"]}, "seedream": {"tune_id": SEEDREAM}},
    )
    studio.run_once()
    studio.prompt("a.prompt", "words", "resolution: 8K")
    studio.prompt("b.prompt", "words", "resolution: 1K")
    studio.prompt("c.prompt", "words", "resolution: 9K\nmodel: seedream")
    studio.run_once()
    assert "resolution: 8K is none that gemini has; it has 1K, 2K" in studio.error("a.prompt")
    assert studio.only("b.prompt").state == "done"
    assert "Astria refused" in studio.error("c.prompt")
    assert len(studio.posts("/prompts$")) == 2


@pytest.mark.parametrize(
    ("path", "front", "toml"),
    [("a.prompt", "model: gemni", ""), ("jane", "", 'base_tune = "gemni"'), ("jane/a.prompt", "", "")],
)
def test_a_name_that_is_none_is_told_with_the_nearest(studio, path, front, toml):
    """In a prompt, in `[prompt]`, in tune.toml: nothing is sent."""
    studio.folder("jane", toml=toml or '[prompt]\nmodel = "gemni"')
    studio.prompt("a.prompt" if path == "jane" else path, "words", front)
    studio.run_once()
    assert 'did you mean "gemini"?' in studio.error(path)


def test_a_new_name_of_astrias_takes_no_folder_its_own(studio):
    """A checkpoint's folder is what its name means, also if Astria comes up with a model of that name."""
    studio.folder("jane", toml='model_type = ""')
    studio.run_once()
    says(studio, {"jane": {"tune_id": SEEDREAM}})
    modelnames.place(studio.state).unlink()
    studio.prompt("a.prompt", "words", "model: jane")
    studio.run_once()
    assert studio.created().facts["tune_id"] == studio.tune("jane").remote_id


def test_what_went_out_goes_out_again_as_it_was(studio):
    """A request that was lost is sent to the same tune, whatever its model's name means by then."""
    says(studio, {"nano": {"tune_id": SEEDREAM}})
    studio.prompt("a.prompt", "words", "model: nano")
    studio.crash(work.CreatePrompt, sent=False)
    says(studio, {"nano": {"tune_id": GEMINI, "resolutions": ["1K"]}})
    modelnames.place(studio.state).unlink()
    studio.run_once()
    assert studio.settings().models.ids["nano"] == GEMINI
    assert studio.created().facts["tune_id"] == SEEDREAM
    assert studio.made() == (0, 1)


def test_a_tune_that_went_out_goes_out_again_as_it_was(studio):
    """The same of a tune, also if its folder is looked at anew meanwhile; what the person changes is another wish."""
    says(studio, {"nano": {"tune_id": SEEDREAM}})
    studio.folder("jane", toml='base_tune = "nano"')
    studio.crash(work.CreateTune, sent=False)
    says(studio, {"nano": {"tune_id": GEMINI}})
    modelnames.place(studio.state).unlink()
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.engine.ctx.models.ids.get("nano") == GEMINI)
        daemon.command("pause")
        daemon.until(lambda: studio.tune("jane").state == "queued")
        studio.write("jane/tune.toml", '# a comment\nbase_tune = "nano"')
        daemon.look()
        stamp = stamp_of(studio)
        daemon.until(lambda: stamp_of(studio) not in {stamp, ""})
        daemon.command("resume")
        daemon.until(lambda: studio.tune("jane").state == "ready")
    assert studio.tune("jane").base_tune_id == SEEDREAM
    assert studio.posts("^/tunes$")[-1].field("tune[base_tune_id]") == str(SEEDREAM)
    assert studio.made() == (1, 0)


def stamp_of(studio):
    with studio.journal() as journal:
        return journal.sources("path = 'jane'")[0].stamp


def test_a_change_of_meaning_orders_nothing_anew(studio):
    """What was made stays made: a prompt file asks for a name, and that has not changed."""
    says(studio, {"nano": {"tune_id": SEEDREAM}})
    studio.prompt("a.prompt", "words", "model: nano")
    studio.run_once()
    says(studio, {"nano": {"tune_id": GEMINI}})
    modelnames.place(studio.state).unlink()
    studio.run_once()
    assert studio.made() == (0, 1)
