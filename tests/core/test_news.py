"""What is told and when: nothing twice, several things at once, so many an hour."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astria_sync.core import news
from astria_sync.core.news import BATCH, COLLECT, GONE_FOR, Item, Since, Told, compose, due, stand


def told_of(count, about="failed", **more):
    return [
        Item(about=about, kind="prompt", path=f"{n}.prompt", root="/in", reason=f"no {n}", **more)
        for n in range(count)
    ]


def notice(items, **counts):
    counts = counts or {items[0].about: len(items)}
    return compose(items, counts, at=1_800_000_000.0, configuration="/c.toml")


def test_nothing_is_due_when_nothing_happened():
    """No wake-up without a reason."""
    assert due(Told(), Since(), 1000.0) is None


def test_troubles_are_collected_for_a_few_seconds():
    """From the first on, however many follow."""
    assert due(Told(), Since(trouble=1000.0), 1001.0) == 1000.0 + COLLECT


def test_pictures_are_told_of_when_nothing_runs_any_more():
    """Or after a quarter of an hour, if that takes longer."""
    assert due(Told(), Since(first=1000.0, last=1400.0, running=False), 1401.0) == 1400.0 + COLLECT
    assert due(Told(), Since(first=1000.0, last=1400.0, running=True), 1401.0) == 1000.0 + BATCH
    assert due(Told(), Since(first=1000.0, last=5000.0, running=False), 5001.0) == 5001.0


@given(st.lists(st.floats(min_value=0, max_value=30), min_size=1, max_size=400))
def test_an_hour_has_only_so_many_notices(pauses):
    """Whatever happens how often: at most six in any hour, and what comes meanwhile waits for the next."""
    now, told = 10_000.0, Told()
    for pause in pauses:
        now += pause
        while (at := due(told, Since(trouble=now - COLLECT), now)) is not None and at <= now:
            told = Told(at=(*news.recent(told, now), now))
        assert len(news.recent(told, now)) <= 6


def test_a_clock_that_was_in_the_future_silences_nobody():
    """Notices dated later than now are none."""
    assert due(Told(at=(9e9,) * 6), Since(trouble=1000.0), 1010.0) == 1010.0


def test_what_lasts_is_new_once():
    """As long as it is there, and for a while after it has gone."""
    new, kept = stand({}, ["gate:auth"], 0.0)
    assert (new, kept) == (["gate:auth"], {})
    kept = {"gate:auth": 0.0}
    assert stand(kept, ["gate:auth"], 5.0) == ([], kept)
    _, kept = stand(kept, [], 10.0)
    assert kept == {"gate:auth": 10.0}
    assert stand(kept, ["gate:auth"], 20.0) == ([], {"gate:auth": 0.0})
    _, kept = stand(kept, [], 10.0 + GONE_FOR)
    assert kept == {}
    assert stand(kept, ["gate:auth"], 999.0)[0] == ["gate:auth"]


def test_what_has_gone_at_the_end_of_a_run_has_gone():
    """A run that is started every few minutes never sees it gone for long."""
    assert stand({"gate:auth": 0.0}, [], 5.0, over=True) == ([], {})


def test_a_time_from_a_wrong_clock_ends():
    """Gone since a moment that is still to come: since now."""
    assert stand({"a": 9e9}, [], 5.0) == ([], {"a": 5.0})


def test_one_notice_of_many():
    """Five are spelled out, the rest counted; what to do stands there once."""
    found = notice(told_of(100, then="mend it"), failed=500)
    assert found.title == "astria-sync: 500 failed"
    assert found.text.splitlines() == [
        *(f"{n}.prompt: no {n}" for n in range(5)),
        "… and 495 more; see: astria-sync status",
        "→ mend it",
    ]
    assert (len(found.body["items"]), found.body["counts"]) == (100, {"failed": 500})


def test_the_same_words_of_one_file_stand_there_once():
    """A matrix of a hundred that are refused for one reason."""
    item = Item(about="failed", kind="prompt", path="look.prompt", root="/in", reason="no such model")
    assert notice([item] * 100).text == "look.prompt: no such model"


def test_the_most_pressing_gives_the_event():
    """Money and token before single files; a notice says all of it in its title."""
    done = Item(
        about="finished",
        kind="folder",
        path="jane",
        reason="12 pictures",
        pictures=12,
        prompts=4,
        cost_mc=84_000,
    )
    token = Item(about="token", kind="problem", reason="Astria does not accept the token.")
    found = notice([token, *told_of(2), done], token=1, failed=2, finished=1)
    assert found.body["event"] == "token"
    assert found.title == "astria-sync: Astria refuses the token, 2 failed, 12 pictures of 4 prompts, $0.84"
    assert found.urgent
    assert (found.body["pictures"], found.body["prompts"], found.body["cost_usd"]) == (12, 4, 0.84)


def test_the_body_is_json_with_the_documented_keys():
    """Names that no encoding knows included."""
    item = Item(about="failed", kind="prompt", path="a\udce4\x1b[2J.prompt", root="/in", reason="no")
    body = json.loads(json.dumps(notice([item]).body))
    assert set(body) == {
        "version", "event", "title", "text", "at", "configuration", "counts", "items", "pictures", "prompts", "cost_usd"
    }  # fmt: skip
    assert set(body["items"][0]) == {"about", "kind", "path", "root", "state", "reason", "then", "id"}
    assert "\x1b" not in body["text"]
    assert body["at"] == "2027-01-15T08:00:00+00:00"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("One thing. And another", "One thing."),
        ("a.jpg is cut off", "a.jpg is cut off"),
        ("see https://cdn/x.png?Signature=abc#d for it", "see https://cdn/x.png for it"),
        ("x" * 400, "x" * 299 + "…"),
        ("two\nlines \x07", "two lines \\x07"),
    ],
)
def test_a_reason_is_its_first_sentence(reason, told):
    """Short, on one line, with no key in it."""
    assert news.first_sentence(reason).rstrip() == told
