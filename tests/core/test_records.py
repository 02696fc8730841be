"""Which record is of which prompt file."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core.records import Record, Shelf, Wanted

IN, OTHER, OLD = "/in", "/other", "/old"
ROOTS = {IN, OTHER}  # OLD is not watched any more
WISH = "f" * 64


def record(remote_id=1, path="p.prompt", **more):
    values = {"root": IN, "fingerprint": WISH, "seed": 7, "run": 1, "subject": None, "folder": "p"}
    return Record(**{**values, "id": remote_id, "path": path, "name": f"p-{remote_id}.json", **more})


def wanted(path="p.prompt", **more):
    return Wanted(**{"fingerprint": WISH, "root": IN, "path": path, "subject": None, **more})


def taken(records, *wishes, vacant=True):
    """The ids that the wishes get, one after the other."""
    shelf = Shelf(records)
    found = [shelf.take(one, roots=ROOTS, vacant=lambda _: vacant) for one in wishes]
    return [one and one.id for one in found]


def test_its_own_record():
    """The same wish at the same place, and once."""
    assert taken([record(1)], wanted(), wanted()) == [1, None]


def test_another_wish_is_another_order():
    """The place alone says nothing: the file asks for something else now."""
    assert taken([record(1)], wanted(fingerprint="e" * 64)) == [None]


def test_own_place_before_a_moved_one():
    """Of two records of the same words each file gets its own, in whatever order they come."""
    records = [record(1, "a.prompt"), record(2, "b.prompt")]
    assert taken(records, wanted("b.prompt"), wanted("a.prompt")) == [2, 1]


def test_a_record_whose_file_is_there_is_not_another_files():
    """A copy of a file under another name is a new order."""
    assert taken([record(1, "a.prompt")], wanted("copy.prompt"), vacant=False) == [None]
    assert taken([record(1, "a.prompt")], wanted("copy.prompt"), vacant=True) == [1]


def test_of_moved_ones_the_one_of_the_same_name():
    """Two files of the same words were moved: each keeps its own record."""
    records = [record(1, "x/a.prompt"), record(2, "x/b.prompt")]
    assert taken(records, wanted("y/b.prompt"), wanted("y/a.prompt")) == [2, 1]


@pytest.mark.parametrize(
    ("then", "now", "fits"),
    [
        (None, None, True),
        ("same", "same", True),
        ("joe", "ann", False),
        (None, "ann", False),
        ("joe", None, False),
        ("", "", False),
        ("", "ann", False),
    ],
)
def test_a_file_elsewhere_means_the_same_subject_or_another(then, now, fits):
    """Words in the folder of another person are another order, and where it is not told, they may be."""
    found = taken([record(1, "x/p.prompt", subject=then)], wanted("y/p.prompt", subject=now))
    assert found == [1 if fits else None]


@pytest.mark.parametrize("subject", [None, "", "ann"])
def test_a_file_renamed_in_its_folder_keeps_its_subject(subject):
    """Whatever is known of the folder, it is the same one."""
    records = [record(1, "jane/a.prompt", subject="jane then")]
    assert taken(records, wanted("jane/b.prompt", subject=subject)) == [1]


def test_a_root_that_is_not_watched_any_more_was_renamed():
    """The path below it says which file it is; with one that is watched, it is that one's."""
    assert taken([record(1, root=OLD)], wanted()) == [1]
    assert taken([record(1, root=OLD), record(2, root=OTHER)], wanted(), wanted(), vacant=False) == [1, None]
    assert taken([record(2, root=OLD), record(1)], wanted()) == [1]


def test_a_folder_of_the_same_name_in_another_root_is_another_folder():
    """Its subject says whether it is the same one, moved."""
    away = record(1, "jane/p.prompt", root=OTHER, subject="jane")
    assert taken([away], wanted("jane/p.prompt", subject="anna")) == [None]
    assert taken([away], wanted("jane/p.prompt", subject="jane")) == [1]


def test_what_was_known_before_is_not_forgotten():
    """A state that was restored looks for what came after it alone."""
    assert taken([record(5)], wanted(above=5)) == [None]
    assert taken([record(6)], wanted(above=5)) == [6]


def test_one_more_generation_is_that_one_or_none():
    """A rerun finds its own number, the first order any."""
    assert taken([record(1), record(2, run=2)], wanted(run=2)) == [2]
    assert taken([record(1)], wanted(run=2)) == [None]
    assert taken([record(2, run=2)], wanted()) == [2]
    assert taken([record(2, run=2), record(3, run=1)], wanted()) == [3]


def test_a_request_that_may_have_gone_out_is_known_by_its_seed():
    """The same words with another seed are another request."""
    assert taken([record(1, seed=7), record(2, seed=8)], wanted(seed=8)) == [2]
    assert taken([record(1, seed=7)], wanted(seed=8)) == [None]


def test_a_copied_folder_makes_no_second_record():
    """Of two records of one id, the one that lies where it was put counts."""
    there = record(1, "jane/p.prompt", folder="jane/p")
    copy = replace(there, folder="a copy/p")
    shelf = Shelf([copy, there])
    found = shelf.take(wanted("jane/p.prompt"), roots=ROOTS, vacant=lambda _: True)
    assert (found, list(shelf.ids)) == (there, [])


def test_accents_in_two_parts():
    """A Mac writes é as e and an accent; it is the same file."""
    assert taken([record(1, "caf\u00e9.prompt")], wanted("cafe\u0301.prompt"), vacant=False) == [1]


def test_what_is_left_follows_its_file():
    """More records of a file that was moved are known to be of it."""
    shelf = Shelf([record(1, "a.prompt"), record(2, "a.prompt", run=2), record(3, "c.prompt")])
    assert shelf.take(wanted("b.prompt"), roots=ROOTS, vacant=lambda one: one.path == "a.prompt").id == 1
    assert [(one.id, place) for one, place in shelf.left()] == [(2, (IN, "b.prompt")), (3, (IN, "c.prompt"))]


def test_what_was_made_besides_comes_last():
    """The order's own prompt is its record, also if the one that Astria made besides has a lower id."""
    records = [record(1, duplicate_of=2), record(2)]
    assert taken(records, wanted()) == [2]
    assert taken(records[:1], wanted()) == [1]


def test_by_id():
    """What is still under way is known by its id."""
    shelf = Shelf([record(1), record(2, fingerprint="e" * 64)])
    assert shelf.take_id(2).id == 2
    assert (list(shelf.ids), shelf.has(WISH), shelf.has("e" * 64)) == ([1], True, False)


PATHS = st.sampled_from(["a.prompt", "b.prompt", "x/a.prompt", "x/b.prompt", "y/a.prompt"])
RECORDS = st.lists(
    st.builds(
        record,
        st.integers(1, 12),
        PATHS,
        fingerprint=st.sampled_from(["e" * 64, WISH]),
        root=st.sampled_from([IN, OTHER, OLD]),
        run=st.integers(1, 2),
        subject=st.sampled_from([None, "", "s"]),
    ),
    max_size=12,
)


@given(RECORDS, st.lists(PATHS, unique=True, max_size=5), st.integers(0, 99))
def test_nothing_is_taken_twice_or_from_a_file_that_is_there(records, paths, seed):
    """Whatever lies there: each id goes to one file; a file's own record never goes to another; an order of steps changes nothing
    for a file that has one.
    """
    there = {(IN, path) for path in paths}

    def go(order):
        shelf = Shelf(records)
        found = {
            path: shelf.take(wanted(path), roots=ROOTS, vacant=lambda one: (one.root, one.path) not in there)
            for path in order
        }
        left = {one.id for one, _ in shelf.left()}
        return {path: one for path, one in found.items() if one}, left

    found, left = go(paths)
    ids = [one.id for one in found.values()]
    assert len(ids) == len(set(ids))
    assert set(ids) | left == {one.id for one in records}
    for path, one in found.items():
        assert one.fingerprint == WISH
        assert (one.root, one.path) in {(IN, path), (OLD, path)} or (one.root, one.path) not in there
    again, _ = go(random.Random(seed).sample(paths, len(paths)))
    own = {path: one.id for path, one in found.items() if (one.root, one.path) == (IN, path)}
    assert {path: again[path].id for path in own} == own
