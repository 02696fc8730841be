"""What is known of each place is what a plain dictionary would say."""

from hypothesis import given
from hypothesis import strategies as st

from astria_sync.known import Key, Known, folder_of

ROOTS = st.sampled_from(["/in", "/in/b"])
PATHS = st.sampled_from(
    [".", "jane", "jane/deep", "a.prompt", "jane/a.prompt", "jane/a b.prompt", "jane/deep/é.prompt"]
)
KEYS = st.tuples(ROOTS, PATHS, st.sampled_from(["folder", "prompt"])).filter(
    lambda key: key[1:] != (".", "prompt")
)
STAMPS = st.sampled_from(["", "0a1b", "0a1b elsewhere 7"])
DOINGS = st.lists(st.tuples(KEYS, st.none() | st.tuples(st.integers(1, 10**12), STAMPS)), max_size=30)


@given(DOINGS)
def test_it_is_a_dictionary(doings: list[tuple[Key, tuple[int, str] | None]]) -> None:
    """Whatever is noted and forgotten: the same places, ids and stamps, all together and folder by folder."""
    known, plain = Known(), dict[Key, tuple[int, str]]()
    for key, what in doings:
        if what is None:
            assert known.pop(key, None) == plain.pop(key, None)
        else:
            known[key] = plain[key] = what
        assert (key in known) == (key in plain)
        assert known.get(key) == plain.get(key)
    assert dict(known) == plain
    assert len(known) == len(plain)
    assert set(known.folders()) == {folder_of(key) for key in plain}
    for folder in known.folders():
        assert set(known.inside(folder)) == {key for key in plain if folder_of(key) == folder}
    known.clear()
    assert not known
    assert known.inside(("/in", "jane")) == []


def test_a_look_at_a_folder_shows_it_and_its_prompts() -> None:
    """A folder is seen by a look at itself, a prompt by one at the folder that it lies in."""
    assert folder_of(("/in", "jane", "folder")) == ("/in", "jane")
    assert folder_of(("/in", "jane/a.prompt", "prompt")) == ("/in", "jane")
    assert folder_of(("/in", "a.prompt", "prompt")) == ("/in", ".")
