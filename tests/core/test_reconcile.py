"""Is it ours? What may be taken for our lost request, and what never."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.reconcile import CLEAN_LOOKS, look_counts, same_prompt, same_tune, squeeze, unclaimed
from astria_sync.core.wire import RemotePrompt, RemoteTune

SEEDS = st.integers(0, 2**32)
TUNE = RemoteTune(
    id=10,
    title="jane",
    name="woman",
    model_type="faceid",
    base_tune_id=None,
    trained=False,
    expires_at=None,
    created_at=None,
    cost_mc=0,
    url="",
    pictures=4,
    user_error="",
)
ASKED_TUNE = {
    "title": "jane",
    "class_noun": "woman",
    "model_type": "faceid",
    "counts": {4, 5},
    "watermark": 9,
}
PROMPT = RemotePrompt(
    id=10,
    tune_id=7,
    text="a walk",
    seed=42,
    num_images=1,
    images=(),
    user_error="",
    trained=False,
    cost_mc=0,
    url="",
    created_at=None,
    raw={"num_images": 1, "aspect_ratio": "3:4", "film_grain": True, "cfg_scale": "7.0"},
)
ASKED_PROMPT = {"text": "a walk", "target": 7, "seed": 42, "params": {}, "watermark": 9}


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ({}, True),
        ({"model_type": None}, True),
        ({"pictures": None}, True),
        ({"id": 9}, False),
        ({"title": "Jane"}, False),
        ({"name": None}, False),
        ({"name": "man"}, False),
        ({"model_type": "lora"}, False),
        ({"model_type": ""}, False),
        ({"pictures": 3}, False),
    ],
    ids=repr,
)
def test_same_tune(shown, same):
    """Title, class noun, kind and number of pictures tell; what Astria does not show is no contradiction."""
    assert same_tune(replace(TUNE, **shown), **ASKED_TUNE) is same


def test_a_tune_without_a_class_noun():
    """No class noun asked for, and none shown, are the same."""
    assert same_tune(replace(TUNE, name=None), **{**ASKED_TUNE, "class_noun": ""})


@pytest.mark.parametrize(
    ("shown", "asked", "same"),
    [
        ({}, {}, True),
        ({"id": 9}, {}, False),
        ({"text": "a walk \r\n"}, {}, True),
        ({"text": "a wall"}, {}, False),
        ({"tune_id": None}, {}, True),
        ({"tune_id": 8}, {}, False),
        ({}, {"target": None}, True),
        ({}, {"seed": None}, True),
        ({"seed": 43}, {}, False),
        ({"seed": None}, {}, False),
        ({}, {"params": {"aspect_ratio": "3:4", "num_images": "1"}}, True),
        ({}, {"params": {"aspect_ratio": "1:1"}}, False),
        ({}, {"params": {"num_images": 2}}, False),
        ({}, {"params": {"film_grain": True}}, True),
        ({}, {"params": {"film_grain": "true"}}, True),
        ({}, {"params": {"film_grain": False}}, False),
        ({}, {"params": {"cfg_scale": 7}}, True),
        ({}, {"params": {"not_shown": "x"}}, True),
        ({}, {"params": {"extra_list": ["x"]}}, True),
        ({}, {"params": {"seed": 1, "text": "other"}}, True),
    ],
    ids=repr,
)
def test_same_prompt(shown, asked, same):
    """Words, target, seed and parameters tell; only a contradiction counts against it."""
    assert same_prompt(replace(PROMPT, **shown), **{**ASKED_PROMPT, **asked}) is same


@settings(print_blob=True, deadline=None)
@given(
    st.none() | SEEDS,
    SEEDS,
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.floats() | st.text()),
)
def test_another_seed_is_another_prompt(shown, sent, text, params):
    """A seed that was chosen and written down before sending recognises our request, and no other passes for it."""
    remote = replace(PROMPT, seed=shown, text=text, raw=params)
    asked = {"text": text, "target": None, "params": params, "watermark": 0}
    if shown != sent:
        assert not same_prompt(remote, seed=sent, **asked)


@settings(print_blob=True, deadline=None)
@given(st.integers(1, 50), st.integers(0, 50))
def test_nothing_from_before_the_watermark_is_ours(remote_id, watermark):
    """What was there before the request went out cannot be its result."""
    assert same_prompt(replace(PROMPT, id=remote_id), **{**ASKED_PROMPT, "watermark": watermark}) == (
        remote_id > watermark
    )
    assert same_tune(replace(TUNE, id=remote_id), **{**ASKED_TUNE, "watermark": watermark}) == (
        remote_id > watermark
    )


@settings(print_blob=True, deadline=None)
@given(st.lists(st.text("ab ", max_size=5), max_size=4))
def test_what_a_form_does_to_text_is_no_difference(lines):
    """Line endings and blanks at the ends of lines do not tell two texts apart; squeezing twice changes nothing."""
    text = "\n".join(lines)
    assert squeeze("\r\n".join(lines)) == squeeze(text) == squeeze(f"\n {text} \n") == squeeze(squeeze(text))


@pytest.mark.parametrize(
    ("head", "mark", "complete", "counts"),
    [(9, 9, True, True), (12, 9, True, True), (8, 9, True, False), (12, 9, False, False), (0, 0, True, True)],
)
def test_which_look_counts(head, mark, complete, counts):
    """A list that is cut short, or older than what was seen before, proves nothing; and one look is never enough."""
    assert look_counts(head=head, mark=mark, complete=complete) is counts
    assert CLEAN_LOOKS >= 2


@settings(print_blob=True, deadline=None)
@given(st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)))
def test_unclaimed(ids, bound):
    """Only ids that no row has are offered, oldest first."""
    assert unclaimed(ids, bound) == sorted(one for one in ids if one not in bound)
