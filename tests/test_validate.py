from datetime import date
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from astria_sync.errors import (
    AstriaSyncError,
    ConfigError,
    FileProblem,
    NotAuthorised,
    StateDamaged,
    StateError,
    StateLocked,
    StateTooNew,
    UsageError,
)
from astria_sync.validate import Either, Id, Line, Url, check, decode, read_toml

FIELDS = {
    "count": Annotated[int, Meta(ge=1, le=8)],
    "ratio": Annotated[float, Meta(gt=0, le=10)],
    "flag": bool,
    "mode": Literal["keep", "delete"],
    "names": tuple[str, ...],
    "id": Id,
    "url": Url,
    "title": Line,
    "some": Either((Line, tuple[Line, ...]), "a name or names"),
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_all_problems_are_told_and_what_fits_is_kept():
    """One wrong value hides neither the others nor the right ones."""
    good, problems = check({"count": 9, "flag": True, "conut": 1, "ratio": "x"}, FIELDS, where="f.toml")
    assert good == {"flag": True}
    assert len(problems) == 3
    assert all(problem.startswith("f.toml: ") for problem in problems)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("count", True, "count must be a whole number from 1 to 8, not true."),
        ("count", 1.5, "not 1.5"),
        ("count", "1", 'not the text "1"'),
        ("count", 10**2000, "not a number that long"),
        ("ratio", False, "ratio must be a number greater than 0, not false."),
        ("ratio", float("nan"), "not nan"),
        ("ratio", float("inf"), "not inf"),
        ("ratio", 10**400, "a number"),
        ("flag", 1, "flag must be true or false, not 1."),
        ("mode", "drop", 'mode must be one of "delete", "keep", not the text "drop".'),
        ("names", "a", "names must be a list"),
        ("names", [1], "names must be a list"),
        ("id", 0, "id must be a number, not 0."),
        ("id", "12x", "id must be a number"),
        ("url", "ftp://x/y", "url must be an http(s) URL"),
        ("url", "https://x/\n", "url must be an http(s) URL"),
        ("title", " ", "title must be one line of text"),
        ("title", "a\nb", "title must be one line of text"),
        ("title", {}, "not a table"),
        ("title", [], "not an empty list"),
        ("title", date(2026, 1, 1), "not a date or time"),
        ("some", [""], "some must be a name or names"),
        ("flag", None, "flag has no value"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(key, value, words):
    """What was expected and what was found are both in the sentence."""
    good, problems = check({key: value}, FIELDS, where="f.toml")
    assert good == {}
    assert len(problems) == 1
    assert words in problems[0]


def test_whole_numbers_stand_for_numbers():
    """A ratio of 2 is 2.0, so that two spellings of one wish are one value."""
    assert repr(check({"ratio": 2}, FIELDS, where="f")[0]["ratio"]) == "2.0"


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("conut", 'did you mean "count"?'),
        ("Flag", 'did you mean "flag"?'),
        ("name", 'did you mean "names"?'),
        ("zzzzzz", "the keys here are count, ratio, flag"),
    ],
)
def test_an_unknown_key_names_the_nearest_or_lists_them(key, hint):
    """A guess is only offered when it is near."""
    assert hint in check({key: 1}, FIELDS, where="f")[1][0]


def test_a_misplaced_token_is_not_repeated():
    """Errors end in logs and files, where no token may be."""
    secret = "sd_" + "t" * 8
    for key in FIELDS:
        assert secret not in "".join(
            check({key: [secret] if key in {"names", "some"} else secret}, FIELDS, where="f")[1]
        )


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*FIELDS, "other"]), JSON))
def test_every_key_is_either_good_or_told(table):
    """Nothing that a person wrote is dropped silently, and nothing crashes."""
    good, problems = check(table, FIELDS, where="f")
    assert len(good) + len(problems) == len(table)
    assert all(problem.endswith((".", "?")) for problem in problems)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a = 1\nb = \n", "f.toml, line 2: this is not TOML: invalid value."),
        (b"a = 1\na = 2\n", "f.toml, line 2:"),
        (b"a = 1\n\n[b\n", "f.toml, line 3:"),
        (b"a = [1", "f.toml, line 1:"),
        (b"a = " + b"9" * 5000, "f.toml, line 1:"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"a = '\xff'", "is not a text file in UTF-8"),
        (b"a = 1\0", "is not a text file"),
    ],
)
def test_toml_errors_have_file_and_line(data, words):
    """A person finds the place without counting."""
    with pytest.raises(FileProblem) as error:
        read_toml(data, where="f.toml")
    assert words in str(error.value)


def test_byte_order_mark_and_line_ends_of_windows_are_no_content():
    """A file saved by Notepad reads like any other."""
    assert decode(b"\xef\xbb\xbfa\r\nb\rc", where="f") == "a\nb\nc"
    assert read_toml(b"\xef\xbb\xbfa = 1\r\n", where="f") == {"a": 1}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (AstriaSyncError, 1),
        (FileProblem, 1),
        (UsageError, 2),
        (ConfigError, 2),
        (StateError, 2),
        (StateLocked, 3),
        (StateTooNew, 2),
        (StateDamaged, 2),
        (NotAuthorised, 4),
    ],
)
def test_each_error_has_its_exit_code_and_all_its_problems(kind, code):
    """Scripts tell errors apart by the code, people by the sentences."""
    error = kind("one.", "two.")
    assert (error.exit_code, error.problems, str(error)) == (code, ("one.", "two."), "one.\ntwo.")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (["https://x/1.jpg", "htp://x"], 'a list of http(s) URLs, and entry 2, the text "htp://x", is none.'),
        ([None], "a list of http(s) URLs, and entry 1, nothing, is none."),
        ("x", 'a list of http(s) URLs, not the text "x".'),
    ],
)
def test_the_wrong_entry_of_a_list_is_named(value, words):
    """Among fifty addresses nobody finds it without."""
    urls = Annotated[tuple[Url, ...], Meta(description="a list of http(s) URLs")]
    assert check({"a": value}, {"a": urls}, where="f")[1] == [f"f: a must be {words}"]
