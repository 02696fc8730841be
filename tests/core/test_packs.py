"""Packs: which classes they have, what comes of a run, and which listed prompts are its."""

import dataclasses

import pytest

from astria_sync.core.lifecycle import PackState
from astria_sync.core.packrow import Pack
from astria_sync.core.packs import Kin, fingerprint, is_second, kin, problem, size_for, templates_for
from astria_sync.core.packwire import read_order, read_pack, read_slugs
from astria_sync.core.wire import read_prompt

BODY = {
    "id": 260,
    "slug": "shots",
    "model_type": "faceid",
    "base_tune_id": 5,
    "template_prompts": [
        {"id": 1, "text": "<1> in a suit, {{mood}} light", "class_name": "woman", "num_images": 4},
        {"id": 2, "text": "<1> by the sea", "class_name": "woman", "num_images": "2"},
        {"id": 3, "text": "<1> at work", "class_name": "man"},
    ],
    "costs": {"woman": {"cost_mc": 90, "num_images": 6}, "man": {"cost_mc": None}},
}
SHOTS = read_pack(BODY, name="shots")
BLANK = {field.name: None for field in dataclasses.fields(Pack)}
RUN = Pack(
    **BLANK
    | {
        "id": 1,
        "state": PackState.GENERATING,
        "pack_id": 260,
        "prompt_ids": [],
        "watermark": 100,
        "attempt": 1,
    }
)


def listed(number, **more):
    """A prompt as a list shows it."""
    return read_prompt({"id": number, "tune_id": 5, "text": "<faceid:9:1> woman by the sea", **more})


def test_a_pack_is_read_again_from_what_is_kept_of_it():
    """What the state keeps of a pack says the same as Astria did."""
    assert read_pack(SHOTS.raw, name="other") == SHOTS


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"template_prompts": {}}, {"template_prompts": "x"}])
def test_what_is_no_pack(body):
    """An answer without prompts is no pack, so that nothing is concluded from it."""
    assert read_pack(body, name="x") is None


@pytest.mark.parametrize("costs", [None, [], "x", {"woman": 3}, {"woman": {"cost_mc": "many"}}])
def test_costs_that_cannot_be_read(costs):
    """The price is not known then; the pictures are counted."""
    pack = read_pack({**BODY, "costs": costs}, name="x")
    size = size_for(pack, "woman")
    assert (size.prompts, size.pictures, size.price_mc) == (2, 6, None)


def test_what_comes_of_a_run():
    """As many prompts as are of the class; price and pictures as Astria says, times nothing."""
    size = size_for(SHOTS, "woman")
    assert (size.prompts, size.pictures, size.price_mc) == (2, 6, 90)
    assert size_for(SHOTS, "man").pictures == 1


def test_a_pack_without_classes_runs_for_all():
    """Prompts that name no class are for every one."""
    bare = read_pack({"template_prompts": [{"text": "a"}, {"text": "b"}]}, name="x")
    assert problem(bare, "", tune=None) == ""
    assert len(templates_for(bare, "cat")) == 2


@pytest.mark.parametrize(
    ("noun", "tune", "words"),
    [
        ("woman", None, ""),
        ("cat", None, "has no prompts for cat, only for man, woman"),
        ("", None, "needs a class noun: write name = one of man, woman"),
        ("", 7, "tune 7 has no class noun"),
        ("cat", 7, "tune 7 is of the class cat"),
    ],
)
def test_a_class_that_a_pack_has_not(noun, tune, words):
    """One sentence that lists those it has."""
    said = problem(SHOTS, noun, tune=tune)
    assert words in said
    assert bool(said) is bool(words)


def test_a_pack_of_nothing():
    """A pack without prompts is not run."""
    empty = read_pack({**BODY, "template_prompts": []}, name="x")
    assert "has no prompts" in problem(empty, "woman", tune=None)


@pytest.mark.parametrize(
    ("more", "relation"),
    [
        ({"base_pack_id": 260}, Kin.OURS),
        ({"pack_id": "260"}, Kin.OURS),
        ({"base_pack_id": 261}, Kin.NONE),
        ({"base_pack_id": None, "order_id": None}, Kin.NONE),
        ({}, Kin.OURS),  # nothing is shown of packs: its words tell
        ({"text": "<faceid:9:1> woman in a suit, warm light"}, Kin.OURS),
        ({"text": "<faceid:9:1> woman in a bar"}, Kin.NONE),
        ({"text": "<faceid:8:1> woman by the sea", "base_pack_id": 260}, Kin.NONE),
        ({"text": "ohwx woman by the sea", "tune_id": 9, "base_pack_id": 260}, Kin.OURS),
    ],
)
def test_whose_a_listed_prompt_is(more, relation):
    """It must mention the tune, and be of the pack by what Astria shows; else by its words."""
    assert kin(RUN, SHOTS, listed(101, **more), {9}) is relation


def test_what_was_there_before_is_not_ours():
    """Up to the watermark everything is somebody's, unless the answer named it."""
    assert kin(RUN, SHOTS, listed(100, base_pack_id=260), {9}) is Kin.NONE
    named = dataclasses.replace(RUN, prompt_ids=[100])
    assert kin(named, SHOTS, listed(100), set()) is Kin.OURS


def test_another_order_of_the_same_pack():
    """The order tells two runs of one pack on one tune apart."""
    run = dataclasses.replace(RUN, order_id=7)
    assert kin(run, SHOTS, listed(101, base_pack_id=260, order_id=7), {9}) is Kin.OURS
    assert kin(run, SHOTS, listed(101, base_pack_id=260, order_id=8), {9}) is Kin.OTHER
    assert is_second(run, Kin.OTHER, [], 1)
    assert not is_second(run, Kin.OURS, [], 1)


def test_a_prompt_of_a_pack_has_a_fingerprint_like_that_of_a_file():
    """The same for the same prompt of the pack, whatever it is called; another for each other."""
    assert fingerprint(260, 1, 5) == fingerprint(260, 1, 6) != fingerprint(260, 2, 5)
    assert len({fingerprint(260, None, 5), fingerprint(260, None, 6), fingerprint(261, 1, 5)}) == 3
    assert len(fingerprint(None, None, 5)) == 64


@pytest.mark.parametrize(
    ("body", "order"),
    [
        ({"order": {"id": 7, "tune_ids": [9]}, "prompt_ids": [1, "2"]}, (7, (1, 2))),
        ({"order": {"id": 7}}, (7, ())),
        ({"prompt_ids": [1]}, (None, (1,))),
        ({"id": 9, "title": "x"}, None),
        ({"order": [], "prompt_ids": {}}, None),
        ([{"order": {"id": 7}}], None),
        (None, None),
    ],
)
def test_the_answer_to_a_run(body, order):
    """An answer that names neither an order nor prompts says nothing."""
    assert read_order(body) == order


def test_slugs_of_lists():
    """Whatever a list holds, names are taken from what has some."""
    assert read_slugs([{"slug": "a"}, {"slug": 3}, None, {}]) == ("a",)
    assert read_slugs({"error": "x"}) == ()
