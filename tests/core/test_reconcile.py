"""Is it ours? What may be taken for our lost request, and what never."""

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.core.reconcile import (
    CLEAN_LOOKS,
    Claim,
    claim,
    is_it,
    key_of,
    look_counts,
    same_prompt,
    same_tune,
    squeeze,
    unclaimed,
)
from astria_sync.core.wire import RemotePrompt, RemoteTune, as_time

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
    ("head", "mark", "complete", "gone", "counts"),
    [
        (9, 9, True, False, True),
        (12, 9, True, False, True),
        (8, 9, True, False, False),
        (8, 9, True, True, True),
        (12, 9, False, False, False),
        (8, 9, False, True, False),
        (0, 0, True, False, True),
    ],
)
def test_which_look_counts(head, mark, complete, gone, counts):
    """A list that is cut short, or older than what was seen before and is still there, proves nothing; and one look is never
    enough.
    """
    assert look_counts(head=head, mark=mark, complete=complete, mark_gone=gone) is counts
    assert CLEAN_LOOKS >= 2


@settings(print_blob=True, deadline=None)
@given(st.lists(st.integers(1, 9)), st.lists(st.integers(1, 9)))
def test_unclaimed(ids, bound):
    """Only ids that no row has are offered, oldest first."""
    assert unclaimed(ids, bound) == sorted(one for one in ids if one not in bound)


# Whose is it? Objects that no row has, against rows


def row(kind, **values):
    """A row that was sent, or of which something else is told."""
    empty = dict.fromkeys((field.name for field in fields(kind)), None)
    sent = {"id": 1, "params": {}, "watermark": 9, "lost": False, "attempt": 1}
    return kind(**{**empty, **sent, **values})


def prompt(state, /, **values):
    asked = {"text": "a walk", "target": 7, "seed": 42, "answer": {}}
    return row(Prompt, **{**asked, "state": PromptState(state), **values})


def tune(state, /, **values):
    params = {"title": "jane", "name": "woman"}
    sent = {"params": params, "model_type": "faceid", "pictures": 4, "captions": 1}
    return row(Tune, **{**sent, "state": TuneState(state), **values})


WAITING = ["unsure", "queued", "waiting", "failed"]
HAS_ONE = ["generating", "downloading", "done", "failed", "deleted"]


@pytest.mark.parametrize("state", WAITING)
def test_an_order_that_waits_takes_what_is_its_own(state):
    """Unsure, to be sent again, or refused: an object with its words, target and seed is its own."""
    waits = prompt(state)
    assert claim(PROMPT, [waits], []) == (Claim.OURS, waits)


@pytest.mark.parametrize("state", HAS_ONE)
def test_what_is_made_besides_is_a_spare(state):
    """An order that has an object, whatever became of it: another one is a spare."""
    has_one = prompt(state, remote_id=10)
    assert claim(replace(PROMPT, id=11), [has_one], []) == (Claim.SPARE, has_one)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"watermark": 10}, {}),
        ({"watermark": None}, {}),
        ({"seed": None}, {}),
        ({"seed": 43}, {}),
        ({}, {"seed": None}),
        ({}, {"text": "a wall"}),
        ({}, {"tune_id": 8}),
        ({"params": {"aspect_ratio": "1:1"}}, {}),
        ({"remote_id": 5, "state": PromptState.DONE}, {"raw": {"orig_prompt_id": 5}}),
        ({"remote_id": 5, "state": PromptState.DONE, "spare_of": 3}, {}),
    ],
    ids=repr,
)
def test_what_is_not_ours(values, shown):
    """From before the request, with another seed, words, target or parameters, a person's copy, or beside a spare: nobody's."""
    assert claim(replace(PROMPT, **shown), [prompt("unsure", **values)], []) is None


@pytest.mark.parametrize(
    ("lost", "minute", "spare"), [(False, "11:59", True), (False, "11:57", False), (True, "11:57", True)]
)
def test_a_prompt_from_before_its_like(lost, minute, spare):
    """The watermark may be an old one: what others made before our request is older than what came of it, unless that was lost."""
    has_one = prompt("done", remote_id=5, lost=lost, answer={"created_at": "2026-11-22T12:00:00Z"})
    remote = replace(PROMPT, created_at=as_time(f"2026-11-22T{minute}:00Z"))
    assert claim(remote, [has_one], []) == ((Claim.SPARE, has_one) if spare else None)


def test_a_copy_takes_nothing_away_from_what_is_looked_for():
    """Should Astria name an original for our own requests one day, they are found all the same."""
    remote = replace(PROMPT, raw={"orig_prompt_id": 5})
    assert claim(remote, [prompt("unsure")], []) == (Claim.OURS, prompt("unsure"))


def test_an_answer_under_way_is_waited_for():
    """Whatever else would fit: as long as a request is out whose object it may be, it is nobody's."""
    rows = [prompt("unsure", id=1), prompt("done", id=2, remote_id=10), prompt("submitting", id=3)]
    assert claim(replace(PROMPT, id=11), rows, []) == (Claim.LATER, rows[2])


def test_who_comes_first():
    """Who looks for it, who is to be sent again, who was refused, what was given up, and only then a spare of the one sent last."""
    remote, given_up = replace(PROMPT, id=11), [prompt("queued", id=6)]
    order = [
        prompt("unsure", id=5),
        prompt("queued", id=3),
        prompt("waiting", id=4),
        prompt("failed", id=2),
        prompt("done", id=7, remote_id=10, watermark=9),
        prompt("done", id=8, remote_id=9, watermark=8),
    ]
    for first in range(4):
        left = order[first:]
        assert claim(remote, left[::-1], given_up) == (Claim.OURS, left[0])
    assert claim(remote, order[4:], given_up) == (Claim.GIVEN_UP, given_up[0])
    assert claim(remote, order[:3:-1], []) == (Claim.SPARE, order[4])


@pytest.mark.parametrize(
    ("values", "shown", "whose"),
    [
        ({"state": TuneState.UNSURE}, {"created_at": 1e9}, Claim.OURS),
        ({"state": TuneState.QUEUED, "lost": True}, {"created_at": 1e9}, Claim.OURS),
        ({"state": TuneState.SETTLING, "lost": True}, {}, Claim.OURS),
        ({"state": TuneState.FAILED}, {}, None),
        ({"state": TuneState.FAILED, "lost": True, "armed_at": 100.0}, {"created_at": 3000.0}, Claim.OURS),
        ({"state": TuneState.FAILED, "lost": True, "armed_at": 100.0}, {"created_at": 4000.0}, None),
        ({"remote_id": 5, "made_at": 100.0}, {"created_at": 219.0}, Claim.SPARE),
        ({"remote_id": 5, "made_at": 100.0}, {"created_at": 221.0}, None),
        ({"remote_id": 5, "made_at": 100.0, "lost": True}, {"created_at": 3699.0}, Claim.SPARE),
        ({"remote_id": 5, "made_at": 100.0, "lost": True}, {"created_at": 3701.0}, None),
        ({"remote_id": 5, "made_at": None, "bound_at": 100.0}, {"created_at": 221.0}, None),
        ({"remote_id": 5, "made_at": 1000.0}, {"created_at": 881.0}, Claim.SPARE),
        ({"remote_id": 5, "made_at": 1000.0}, {"created_at": 879.0}, None),
        ({"remote_id": 5, "made_at": 1000.0, "lost": True}, {"created_at": 1.0}, Claim.SPARE),
        ({"remote_id": 5}, {"created_at": None}, Claim.SPARE),
        ({"remote_id": 5}, {"pictures": 5}, Claim.SPARE),
        ({"remote_id": 5}, {"pictures": 3}, Claim.SPARE),
        ({"remote_id": 5}, {"pictures": 6}, None),
        ({"remote_id": 5}, {"pictures": None}, Claim.SPARE),
        ({"remote_id": 5}, {"title": "anne"}, None),
        ({"remote_id": 5}, {"name": "man"}, None),
        ({"remote_id": 5}, {"model_type": "lora"}, None),
        ({"remote_id": 5, "watermark": 10}, {}, None),
        ({"remote_id": 5, "title": "renamed", "class_noun": "girl"}, {}, Claim.SPARE),
        ({"remote_id": 5, "params": {"id": 5}}, {}, None),
    ],
    ids=repr,
)
def test_whose_a_tune_is(values, shown, whose):
    """It has no seed: title, noun and kind as they were sent, the watermark, its pictures and the time tell."""
    mine = tune("ready", **values)
    found = claim(replace(TUNE, **shown), [mine], [])
    assert found == (None if whose is None else (whose, mine))


@pytest.mark.parametrize(("created_at", "whose"), [(3000.0, Claim.GIVEN_UP), (4000.0, None)])
def test_a_tune_that_was_given_up(created_at, whose):
    """Months later a tune of that title is somebody's own."""
    old = tune("queued", armed_at=100.0, lost=True)
    found = claim(replace(TUNE, created_at=created_at), [], [old])
    assert found == (whose and (whose, old))


BLANKS = st.text(" \t\r\n", max_size=3)


@settings(print_blob=True, deadline=None)
@given(st.lists(st.text("ab", max_size=3), max_size=4), BLANKS, BLANKS, SEEDS, SEEDS)
def test_what_is_the_same_has_the_same_key(words, before, after, seed, other):
    """Rows are looked up by a key, so whatever `is_it` would accept must have the key of its row."""
    text = " ".join(words)
    sent = prompt("unsure", text=text, seed=seed)
    shown = replace(PROMPT, text=before + text + after, seed=seed)
    assert is_it(sent, shown)
    assert key_of(sent) == key_of(shown)
    assert (key_of(replace(shown, seed=other)) == key_of(sent)) is (other == seed)
    assert key_of(replace(shown, seed=None)) is None
    assert key_of(tune("ready")) == key_of(TUNE) == "jane"
