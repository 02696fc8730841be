"""A picture keeps its number, whatever becomes of its address."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.pictures import numbered
from astria_sync.core.wire import identity

PATHS = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


def url(name, host="cdn.example", query=""):
    return f"https://{host}/{name}.jpg{query}"


def numbers(urls, known):
    return {n: address for n, (address, _) in numbered(urls, known).items()}


@pytest.mark.parametrize(
    ("urls", "known", "expected"),
    [
        ([], {}, {}),
        ([url("a"), url("b")], {}, {1: url("a"), 2: url("b")}),
        ([url("b"), url("a")], {url("a"): 1, url("b"): 2}, {2: url("b"), 1: url("a")}),
        ([url("c"), url("a"), url("b")], {url("a"): 1, url("b"): 2}, {3: url("c"), 1: url("a"), 2: url("b")}),
        ([url("b")], {url("a"): 1, url("b"): 2}, {2: url("b")}),
        ([url("a", query="?s=2")], {url("a"): 1}, {1: url("a", query="?s=2")}),
        (
            [url("a", host="new.example"), url("b", host="new.example")],
            {url("a"): 1, url("b"): 2},
            {1: url("a", host="new.example"), 2: url("b", host="new.example")},
        ),
        (
            [url("x", query="?id=7"), url("x", query="?id=8")],
            {},
            {1: url("x", query="?id=7"), 2: url("x", query="?id=8")},
        ),
    ],
    ids=[
        "nothing",
        "first-list",
        "other-order",
        "one-more-in-front",
        "one-less",
        "signed-anew",
        "other-host",
        "told-apart-by-query-alone",
    ],
)
def test_known_lists(urls, known, expected):
    """Each way in which a prompt's list may come again keeps the numbers that files on disk bear."""
    assert numbers(urls, known) == expected


@settings(print_blob=True, deadline=None)
@given(PATHS, PATHS, st.booleans(), st.data())
def test_numbers_are_kept_and_given_once(first, second, signed, data):
    """A known picture in any later list has its number, a new one a number that no known one has."""
    offset = data.draw(st.integers(0, 3))
    known = {identity(url(name)): n + offset for n, name in enumerate(first, start=1)}
    urls = [url(name, query=f"?s={len(name)}" if signed else "") for name in second]
    given_out = {address: n for n, (address, _) in numbered(urls, known).items()}
    assert set(given_out) == set(urls)
    assert all(n >= 1 for n in given_out.values())
    ours = {address: known[identity(address)] for address in urls if identity(address) in known}
    assert all(given_out[address] == n for address, n in ours.items())
    # A list of the same length in which nothing is known is the same pictures at another host.
    if ours or len(urls) != len(known):
        new = {n for address, n in given_out.items() if address not in ours}
        assert not new & set(known.values())


@settings(print_blob=True, deadline=None)
@given(st.lists(st.sampled_from([*"abc", "a?1", "a?2", "b?1", "//[", "https://[x"]), max_size=8))
def test_no_list_loses_a_picture(urls):
    """Whatever the addresses, also broken and repeated ones, there is a number for each place in the list."""
    assert len(numbered(urls, {})) == len(urls)


def test_growing_lists_number_without_gaps():
    """Pictures that appear one after the other are 1, 2, 3 … in the order in which they came."""
    known: dict[str, int] = {}
    for names in ("c", "ca", "bca"):
        for n, (_, name) in numbered([url(one) for one in names], known).items():
            known[name] = n
    assert known == {url("c"): 1, url("a"): 2, url("b"): 3}
