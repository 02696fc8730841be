"""`pull`: what others made in the account comes to disk, once, and nothing is ordered by it."""

import json

from tests.pull_harness import GEMINI, fetched, lists, made, pull


def test_what_was_made_elsewhere_comes_to_disk(studio):
    """Pictures and record lie below `_account`, in a folder named by the tune, byte for byte."""
    first = made(studio, "a cat on a mat", num_images="2")
    studio.sim.advance(1)
    found = pull(studio)
    assert (found["finished"], found["pictures"], found["not_had"]) == (True, 2, [])
    assert found["generations"]["new"] == 1
    names = [f"_account/gemini/a-cat-on-a-mat-{first}{end}" for end in ("-1.jpg", "-2.jpg", ".json")]
    assert studio.files() == names
    assert studio.check_pictures() == 2
    record = json.loads((studio.output / names[2]).read_text())
    assert (record["id"], record["tune_id"], record["pulled"], record["text"]) == (
        first,
        GEMINI,
        True,
        "a cat on a mat",
    )
    assert record["accepted_at"] is not None


def test_nothing_that_creates_goes_out(studio):
    """A pull sends GET and nothing else, also when a prompt waits to be sent."""
    studio.prompt("p.prompt", "a dog")
    studio.folder("jane")
    made(studio)
    before = len(studio.sim.ledger.requests())
    pull(studio)
    after = studio.sim.ledger.requests()[before:]
    assert after
    assert {one.method for one in after} == {"GET"}


def test_a_second_pull_asks_for_little(studio):
    """One page of each list, and no picture again."""
    for n in range(3):
        made(studio, f"cat {n}")
    pull(studio)
    loads, pages = len(fetched(studio)), len(lists(studio))
    found = pull(studio)
    assert len(fetched(studio)) == loads == 3
    assert found["generations"]["new"] == found["pictures"] == 0
    assert len(lists(studio)) - pages <= 2
