"""Astria's JSON and form fields: any JSON is read without raising, and a form means what a Rails server reads."""

import json
import math
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from astria_sync.core import whole, wire
from astria_sync.core.wire import RemotePrompt, RemoteTune

PROPERTY = settings(print_blob=True, deadline=None)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KNOWN_KEYS = sorted(
    {*RemoteTune.__dataclass_fields__, *RemotePrompt.__dataclass_fields__, "orig_images", "trained_at"}
)
OBJECTS = st.dictionaries(st.sampled_from(KNOWN_KEYS), JSON | st.integers(1, 9), max_size=12)
NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
LARGEST = 2**63 - 1  # of SQLite


def rails(fields):
    """What a Rails server makes of form fields: `a[b]` is a table, `a[]` a list."""
    read: dict = {}
    for name, value in fields:
        first, *rest = name.replace("]", "").split("[")
        here, keys = read, [first, *rest]
        is_list = keys[-1] == ""
        keys = keys[:-1] if is_list else keys
        for key in keys[:-1]:
            here = here.setdefault(key, {})
        if is_list:
            here.setdefault(keys[-1], []).append(value)
        else:
            assert keys[-1] not in here
            here[keys[-1]] = value
    return read


@PROPERTY
@given(OBJECTS)
@example({"id": 1, "cost_mc": math.inf, "created_at": "0001-01-01T00:00:00"})
@example({"id": 10**400})
@example({"id": 0})
def test_any_object_is_read(body):
    """Whatever fields an object has, of whatever type, it is read, or has no id."""
    tune, prompt = wire.read_tune(body), wire.read_prompt(body)
    assert (tune is None) == (prompt is None) == (whole.as_id(body.get("id")) is None)
    if tune is None or prompt is None:
        return
    assert tune.id == prompt.id
    for number in (tune.id, tune.base_tune_id, tune.cost_mc, prompt.seed, prompt.tune_id, prompt.num_images):
        assert number is None or (type(number) is int and abs(number) <= LARGEST)
    for words in (tune.title, tune.url, tune.user_error, prompt.text, prompt.url, prompt.user_error):
        assert isinstance(words, str)
    assert tune.name is None or isinstance(tune.name, str)
    assert tune.model_type is None or isinstance(tune.model_type, str)
    assert all(isinstance(image, str) and image for image in prompt.images)
    assert all(time is None or math.isfinite(time) for time in (tune.created_at, tune.expires_at))


def test_a_whole_tune():
    """The fields of the documentation come out under their names."""
    body = {
        "id": 123,
        "title": "jane",
        "name": "woman",
        "model_type": "faceid",
        "base_tune_id": "1504944",
        "trained_at": "2026-08-01T10:00:00.000Z",
        "expires_at": "2026-08-31T10:00:00Z",
        "created_at": "2026-08-01T12:00:00+02:00",
        "cost_mc": 150000,
        "url": "https://astria.example/tunes/123",
        "orig_images": ["a", "b"],
    }
    tune = wire.read_tune(body)
    assert tune == RemoteTune(
        id=123,
        title="jane",
        name="woman",
        model_type="faceid",
        base_tune_id=1504944,
        trained=True,
        expires_at=1788170400.0,
        created_at=1785578400.0,
        cost_mc=150000,
        url="https://astria.example/tunes/123",
        pictures=2,
        user_error="",
    )


def test_a_whole_prompt():
    """A prompt's record keeps everything but its pictures' addresses and the callback."""
    body = {
        "id": 5,
        "tune_id": 7,
        "text": "x",
        "seed": 42,
        "num_images": 2,
        "images": ["u", None, ""],
        "style": "a",
    }
    prompt = wire.read_prompt({**body, "callback": "https://x.example"})
    assert prompt is not None
    assert (prompt.id, prompt.tune_id, prompt.seed, prompt.num_images) == (5, 7, 42, 2)
    assert prompt.images == ("u",)
    assert not prompt.trained
    assert prompt.raw == {key: value for key, value in body.items() if key != "images"}


@pytest.mark.parametrize(
    ("body", "model_type"),
    [({}, None), ({"model_type": None}, ""), ({"model_type": ""}, ""), ({"model_type": "lora"}, "lora")],
    ids=repr,
)
def test_a_checkpoint_has_no_kind(body, model_type):
    """`model_type: null` is a checkpoint; a list that leaves the field out says nothing."""
    tune = wire.read_tune({"id": 1, **body})
    assert tune is not None
    assert tune.model_type == model_type


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        (True, None),
        (None, None),
        ("x", None),
        ("", None),
        ([], None),
        (math.nan, None),
        (math.inf, None),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-(2**63) - 1, None),
        ("9" * 5000, None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_whole_numbers(value, number):
    """Numbers written as text count, and nothing that the state could not store."""
    assert whole.as_int(value) == number


@PROPERTY
@given(st.none() | st.text() | st.integers() | st.datetimes().map(str))
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_times(value):
    """Anything in the place of a time is a time or none."""
    time = wire.as_time(value)
    assert time is None or math.isfinite(time)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (0.5, "0.5"),
        ("3:4", "3:4"),
        ("", ""),
        (1e22, "1" + "0" * 22),
    ],
    ids=repr,
)
def test_form_values(value, text):
    """A scalar is written as a form says it: no Python words, no `.0`."""
    assert wire.form_value(value) == text


@PROPERTY
@given(
    st.recursive(
        st.dictionaries(
            NAMES, SCALARS.filter(lambda v: v == v) | st.lists(st.text(), min_size=1, max_size=3), max_size=4
        ),
        lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
        max_leaves=5,
    )
)
def test_forms_round_trip(values):
    """Tables nest, lists keep their order, None is left out: read by Rails's rules the fields give the values again."""

    def plain(value):
        if isinstance(value, dict):
            kept = {key: plain(part) for key, part in value.items() if part is not None}
            return {key: part for key, part in kept.items() if part != {}}
        return (
            [wire.form_value(part) for part in value] if isinstance(value, list) else wire.form_value(value)
        )

    assert rails(wire.form("tune", values)) == ({"tune": plain(values)} if plain(values) else {})


def test_lists_repeat_their_name():
    """Astria's documented shape, name by name."""
    values = {"title": "jane", "image_urls": ["a", "b"], "prompt_attributes": {"num_images": 4}, "none": None}
    assert list(wire.form("tune", values)) == [
        ("tune[title]", "jane"),
        ("tune[image_urls][]", "a"),
        ("tune[image_urls][]", "b"),
        ("tune[prompt_attributes][num_images]", "4"),
    ]


def test_what_a_tune_is_asked_with():
    """Settings of tune.toml become fields of `POST /tunes`; what is not set is not sent."""
    settings_ = {
        "name": "dress",
        "model_type": "lora",
        "steps": 500,
        "face_crop": False,
        "token": None,
        "characteristics": {"short_description": "satin – brown"},
        "pack": "x",
    }
    assert wire.tune_values(settings_, title="brown", base_tune_id=7) == {
        "title": "brown",
        "name": "dress",
        "base_tune_id": 7,
        "model_type": "lora",
        "steps": 500,
        "face_crop": False,
        "characteristics": '{"short_description": "satin – brown"}',
    }
    assert wire.tune_values({}, title="x", base_tune_id=None) == {"title": "x", "model_type": ""}


def test_what_can_be_changed_later():
    """A PATCH has exactly the four fields that Astria takes, and the same settings always give the same text."""
    patch = wire.patch_values({"characteristics": {"b": 1, "a": 2}}, title="x")
    assert tuple(patch) == wire.PATCHABLE
    assert patch == {"title": "x", "name": "", "auto_extend": False, "characteristics": '{"a": 2, "b": 1}'}
    assert json.loads(wire.patch_values({}, title="x")["characteristics"]) == {}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://cdn.example/a/1.jpg?X-Sig=1#top", "https://cdn.example/a/1.jpg"),
        ("https://cdn.example/a/1.jpg", "https://cdn.example/a/1.jpg"),
        ("", ""),
        ("https://[broken", "https://[broken"),
    ],
)
def test_identity(url, name):
    """A picture is known by its address without the signature; an address that is none stands for itself."""
    assert wire.identity(url) == name


@PROPERTY
@given(st.text(), st.text())
def test_identity_of_anything(url, query):
    """Any text has an identity, which has neither query nor fragment unless it is no address."""
    name = wire.identity(f"{url}?{query}")
    try:
        parts = urlsplit(name)
    except ValueError:
        return
    assert not parts.query or name == f"{url}?{query}"
