"""What the journal holds for a notice."""

import pytest

from astria_sync import newsrows
from astria_sync.journal import open_journal
from astria_sync.wording import Circumstances

AROUND = Circumstances(now=1000.0)


@pytest.fixture
def journal():
    journal = open_journal(None, now=0.0)
    yield journal
    journal.close()


def source(journal, path="p.prompt", kind="prompt", **more):
    return journal.add("sources", kind=kind, root="/in", path=path, created_at=0, updated_at=0, **more)


def prompt(journal, source_id, **more):
    row = {"state": "failed", "reason": "no", "created_at": 0, "updated_at": 0, **more}
    return journal.add("prompts", source_id=source_id, **row)


@pytest.mark.parametrize(
    ("key", "value", "about", "words"),
    [
        ("gate:auth", "Astria does not accept the token.", "token", "token"),
        ("gate:balance", "The balance is used up.", "balance", "used up"),
        ("low_balance", "Astria's balance is $1.", "balance", "$1"),
        ("day_limit", 5.0, "limit", "day's limit of $5.00"),
        ("backup", "no room", "state", "no room"),
        ("root:/in", "/in does not exist.", "folder", "/in"),
        ("output:/out", "/out is full.", "folder", "full"),
        ("records:/out", "/out cannot be read.", "folder", "read"),
        ("unreadable:/in", {"a": "no rights"}, "folder", "/in/a cannot be used (no rights)"),
        ("watch_problems", {"/in": "too few watches"}, "folder", "/in: too few watches"),
        ("alarms", ["a defect, https://x/y?Signature=abc"], "problem", "https://x/y"),
    ],
)
def test_what_lasts(journal, key, value, about, words):
    """Each trouble of more than one file, in its own words, without what signs an address."""
    journal.put(key, value)
    (item,) = newsrows.lasting(journal, AROUND).values()
    assert (item.about, item.kind) == (about, "problem")
    assert words in item.reason
    assert "Signature" not in item.reason


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gate:network", "no network"),
        ("gate:slow", "429"),
        ("watch_problems", {}),
        ("balance_mc", 5),
        ("paused", True),
    ],
)
def test_what_passes_by_itself_is_not_told(journal, key, value):
    """Nor what a person has done, or what is well."""
    journal.put(key, value)
    assert newsrows.lasting(journal, AROUND) == {}


def test_made_twice_and_about_to_expire(journal):
    """In the words of their events, once for all that share them."""
    one, other = source(journal), source(journal, "q.prompt")
    for row in (one, other):
        journal.record(1.0, "prompt", row, row, "expiring", "Astria deletes 2 pictures")
    journal.record(1.0, "prompt", 1, one, "duplicate", "p.prompt: Astria made it twice")
    assert newsrows.happened(journal, 0, 3) == (True, False, False)
    found = newsrows.troubles(journal, 0, 3, AROUND)
    assert found.counts == {"expiring": 1, "duplicate": 1}
    assert newsrows.troubles(journal, 3, 3, AROUND).items == []


def test_only_what_is_so_still(journal):
    """A failure whose file is gone, whose row is gone, or that was mended is no news; nor is what others generated."""
    gone, well = source(journal, missing_since=5.0), source(journal, "q.prompt")
    rows = [prompt(journal, gone), prompt(journal, well, state="queued"), prompt(journal, well, pulled=1), 99]
    for row in rows:
        journal.record(1.0, "prompt", row, well, "refused", "no")
    assert newsrows.happened(journal, 0, 9)[0]
    assert newsrows.troubles(journal, 0, 9, AROUND).counts == {}


def test_a_broken_file_of_a_folder_without_an_order(journal):
    """A tune.toml that cannot be used, where nothing else shows it."""
    row = source(journal, "dresses", "folder", problem="tune.toml: there is no key nme. More.")
    journal.record(1.0, "source", row, row, "problem", "x")
    (item,) = newsrows.troubles(journal, 0, 1, AROUND).items
    assert (item.kind, item.path, item.reason) == ("file", "dresses", "tune.toml: there is no key nme.")


def test_thousands_of_one_file_are_looked_at_in_one_go(journal):
    """A prompt for each of many folders: a question for each file, not for each failure."""
    row = source(journal)
    with journal.transaction():
        ids = [prompt(journal, row) for _ in range(3000)]
        for one in ids:
            journal.record(1.0, "prompt", one, row, "refused", "no")
        for one in ids:
            journal.record(2.0, "prompt", one, row, "refused", "no" if one % 2 else "other words")
    asked = []
    journal._conn.set_trace_callback(asked.append)
    found = newsrows.troubles(journal, 3000, 6000, AROUND)
    journal._conn.set_trace_callback(None)
    assert found.counts == {"failed": 1500}
    assert len(found.items) == 100
    assert len(asked) < 10
