"""Which part of a list is known, and what pulled things are called."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core.account import (
    covered,
    fingerprint,
    folded,
    folder_names,
    older,
    stem_of,
    unknown_below,
    without_pictures,
)
from astria_sync.core.naming import COMPONENT_BYTES
from astria_sync.core.pseudoroots import is_account, root_of
from astria_sync.core.wire import read_prompt

pairs = st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted)


@given(st.lists(pairs, max_size=12))
def test_what_was_looked_at(looks):
    """Every id that was in a look is in the spans, no other is, and no two of them touch."""
    spans = []
    for low, high in looks:
        spans = covered(spans, low, high)
    known = {one for low, high in looks for one in range(low, high + 1)}
    assert {one for low, high in spans for one in range(low, high + 1)} == known
    assert all(spans[n][1] + 1 < spans[n + 1][0] for n in range(len(spans) - 1))


@given(st.lists(pairs, max_size=12), st.integers(0, 61))
def test_what_is_known_is_passed_over(looks, cursor):
    """Nothing between the cursor and where the reading goes on is unknown; and what comes next is."""
    spans = []
    for low, high in looks:
        spans = covered(spans, low, high)
    known = {one for low, high in spans for one in range(low, high + 1)}
    after = unknown_below(spans, cursor)
    assert set(range(after, cursor)) <= known
    assert after - 1 not in known


def test_an_empty_look_covers_nothing():
    """All of a page may be too young, or too old."""
    assert covered([[5, 9]], 4, 3) == [[5, 9]]


def test_names_of_folders():
    """The title first; then with the id; then the id, and something that nobody else has."""
    assert list(islice(folder_names("jane", 7), 4)) == ["jane", "jane-7", "7", "7-7"]
    assert next(folder_names("", 7)) == "7"
    assert next(folder_names(" .. ", 7)) == "_"
    assert all(len(name.encode()) <= COMPONENT_BYTES for name in islice(folder_names("é" * 300, 2**53), 3))


@given(st.text(max_size=200), st.integers(1, 2**53))
def test_names_of_folders_are_safe(title, tune_id):
    """One visible component, whatever a title is."""
    for name in islice(folder_names(title, tune_id), 3):
        assert name
        assert "/" not in name
        assert not name.startswith(".")
        assert folded(name) == folded(folded(name))


def test_what_systems_take_for_one_name():
    """Case, and how é is written."""
    assert folded("JANE") == folded("jane")
    assert folded("e\u0301") == folded("é")


def test_names_of_pictures():
    """The first words, without the tokens of tunes."""
    assert (
        stem_of("<faceid:12:1> woman wearing <faceid:3:1> dress, look book, white")
        == "woman-wearing-dress-look-book-white"
    )
    assert stem_of("") == stem_of("<1>") == "prompt"
    assert stem_of("../../etc/passwd\x00") == "etc-passwd"
    assert stem_of("猫" * 300) == "猫" * 48
    assert len(stem_of("word " * 100)) <= 48


def test_the_source_of_what_was_pulled():
    """No watched root has such a root; no file's wish has such a fingerprint."""
    assert is_account(root_of("/home/x/out"))
    assert not is_account("/home/x/out")
    assert len(fingerprint(5)) == 64
    assert fingerprint(5) != fingerprint(6)


def test_what_comes_no_more():
    """Without pictures: finished, or older than one waits for; not while it is young."""

    def one(**more):
        return read_prompt({"id": 1, "created_at": "2026-01-01T00:00:00Z", **more})

    made = 1767225600
    assert without_pictures(one(trained_at="2026-01-01T00:00:09Z"), now=made + 10, patience=100)
    assert without_pictures(one(), now=made + 101, patience=100)
    assert not without_pictures(one(), now=made + 99, patience=100)
    assert not without_pictures(one(images=["u"]), now=made + 101, patience=100)
    assert older([one()], made + 1) == [1]
    assert older([one()], made) == older([one()], None) == older([read_prompt({"id": 1})], made + 1) == []
