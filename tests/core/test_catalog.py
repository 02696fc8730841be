"""What is believed of Astria's list of models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core.catalog import MOST, read_catalog

GOOD = {"tune_id": 7, "resolutions": ["1K", "2K"]}


def test_names_ids_and_resolutions():
    """What the documentation shows is understood, the names of video models too."""
    body = {
        "default": "a",
        "cache_ttl": 1,
        "models": {"a": GOOD, "b.2": {"tune_id": 8}},
        "video_models": {"v_720p": {}},
    }
    catalog, left_out = read_catalog(body)
    assert (dict(catalog.ids), dict(catalog.resolutions)) == ({"a": 7, "b.2": 8}, {7: ("1K", "2K")})
    assert (catalog.default, catalog.videos, left_out) == ("a", ("v_720p",), 0)


@pytest.mark.parametrize(
    "name", ["123", "", "\x1b[2J", "a b", "../x", "a" * 65, "\u202ea", "-a", "á", "1.5", "12:1"]
)
def test_a_name_that_is_none_is_left_out(name):
    """A number would take over a tune id, a control character the terminal; the rest of the list counts."""
    catalog, left_out = read_catalog({"models": {name: GOOD, "good": GOOD}})
    assert (dict(catalog.ids), left_out) == ({"good": 7}, 1)


@pytest.mark.parametrize(
    "entry", [None, 7, [], {}, {"tune_id": 0}, {"tune_id": -1}, {"tune_id": 10**15}, {"tune_id": True}]
)
def test_an_entry_without_an_id_is_left_out(entry):
    """A model that prompts cannot be sent to is none."""
    catalog, left_out = read_catalog({"models": {"odd": entry, "good": GOOD}})
    assert (dict(catalog.ids), left_out) == ({"good": 7}, 1)


@pytest.mark.parametrize("resolutions", [None, [], "2K", ["2K", 4], ["\x1b"], {"2K": 1}, ["2K"] * (MOST + 1)])
def test_odd_resolutions_are_not_known(resolutions):
    """What is odd about resolutions refuses nobody's request."""
    catalog, _ = read_catalog({"models": {"a": {"tune_id": 7, "resolutions": resolutions}}})
    assert dict(catalog.resolutions) == {}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"models": []},
        {"models": {}},
        {"models": {"1": GOOD}},
        {"models": {f"m{n}": GOOD for n in range(MOST + 1)}},
    ],
)
def test_what_is_no_list_is_none(body):
    """Nothing usable, or far too much, leaves what was known."""
    assert read_catalog(body)[0] is None


@pytest.mark.parametrize("default", [None, [], {}, 7, "unknown"])
def test_an_odd_default_is_none(default):
    """Only a name of the list can be its default."""
    catalog, _ = read_catalog({"default": default, "models": {"a": GOOD}, "video_models": default})
    assert (catalog.default, catalog.videos) == ("", ())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@given(st.fixed_dictionaries({"models": _JSON}, optional={"default": _JSON, "video_models": _JSON}))
def test_nothing_crashes_it(body):
    """Whatever JSON a server sends."""
    read_catalog(body)
