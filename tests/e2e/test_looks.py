"""When a look through Astria's lists proves that an unsure request was never carried out, and when it proves nothing."""

import pytest

from astria_sync.binding import Binding
from astria_sync.core import work
from astria_sync.core.retry import Answer
from astria_sync.core.wire import read_prompt
from astria_sync.simulator import Fault
from astria_sync.tasks import Tasks

PROMPTS = r"/prompts$"


@pytest.fixture
def unsure(studio):
    """A daemon that looks for the request of p.prompt: a function that gives it a list, and tells what came of that."""
    with studio.daemon() as daemon:
        journal, now = daemon.journal, daemon.clock.now()
        at = {"created_at": 1.0, "updated_at": 1.0}
        source = journal.add("sources", kind="prompt", root=str(studio.inbox), path="p.prompt", **at)
        row = journal.add("prompts", source_id=source, state="unsure", watermark=3, seed=1, next_at=now, **at)

        def look(*, asked=now, mark=3, **pages):
            piece = work.Survey(
                kind="prompt", workspace="", down_to=3, purpose="unsure", asked=asked, mark=mark
            )
            with journal.transaction():
                daemon.engine.reconciling.surveyed_now(piece, work.Pages(**pages))
            found = journal.prompt(row)
            return found.looks, found.next_at > now

        look.daemon = daemon
        look.now = now
        yield look


def test_a_look_that_found_nothing(unsure):
    """A list that shows what was known when it was asked for, down to the watermark, is a clean look."""
    assert unsure(head=3) == (1, True)
    unsure.daemon.journal.change("prompts", 1, next_at=unsure.now)
    unsure(head=9)
    assert unsure.daemon.journal.prompt(1).state == "queued"


def test_what_became_known_meanwhile_does_not_spoil_it(unsure):
    """While the list was on its way other answers came: it need not show what they named, or no look would ever count while
    much is sent.
    """
    unsure.daemon.journal.raise_mark("prompt", "", 9)
    assert unsure(head=3) == (1, True)


def test_a_list_older_than_what_was_known(unsure):
    """It proves nothing; unless the newest of all that was known has been deleted since."""
    assert unsure(head=3, mark=9) == (0, True)
    unsure.daemon.journal.change("prompts", 1, next_at=unsure.now)
    assert unsure(head=3, mark=9, mark_gone=True) == (1, True)


def test_a_list_that_broke_off(unsure):
    """Neither one that ended with an error nor one that ended without counts."""
    assert unsure(head=9, whole=False) == (0, True)
    assert unsure(head=9, failure=Answer(status=500, body=None)) == (0, True)


def test_what_may_be_the_answer_to_another(unsure):
    """Two orders of the same words and seed, one of them being sent: what a list shows may be either's, so the look is not clean;
    it is as soon as the other one's answer has named it.
    """
    journal, shown = unsure.daemon.journal, (read_prompt({"id": 9, "text": "", "seed": 1}),)
    other = {"source_id": 1, "state": "submitting", "watermark": 3, "seed": 1}
    journal.add("prompts", **other, created_at=1.0, updated_at=1.0)
    assert unsure(head=9, objects=shown) == (0, True)
    journal.change("prompts", 2, state="generating", remote_id=9)
    journal.change("prompts", 1, next_at=unsure.now)
    assert unsure(head=9, objects=shown) == (1, True)


def test_a_look_that_was_asked_for_too_early(unsure):
    """A list that was a long time on its way is no look for what became due meanwhile: it may have been read too soon after."""
    assert unsure(head=3, asked=unsure.now - 1) == (0, False)


def test_what_a_failed_step_had_noted_is_not_believed(unsure, monkeypatch):
    """A step that is rolled back leaves no memory of a list whose watermark went with it."""

    def breaks(*_args, **_values):
        raise ZeroDivisionError

    unsure(head=3)
    unsure.daemon.journal.change("prompts", 1, next_at=unsure.now)
    unsure.daemon.engine.reconciling._listed.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Binding, "move", breaks)
        with pytest.raises(ZeroDivisionError):
            unsure(head=9)
    assert not unsure.daemon.engine.reconciling.surveyed("prompt", "")


def test_the_newest_object_was_deleted_meanwhile(studio):
    """No list will ever show it again, which makes none of them an old one: what was lost is sent again."""
    studio.prompt("first.prompt", "first")
    studio.run_once()
    studio.outside(f"/prompts/{studio.created().id}", {}, method="DELETE")
    studio.sim.faults.add(Fault(kind="status", status=504, method="POST", path=PROMPTS))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert studio.states()["p.prompt"] == "done"


def test_a_tune_that_is_named_is_no_mark(studio):
    """`id` may name anybody's tune, newer than all of ours: lists of ours that do not show it are not old."""
    there = studio.outside("/tunes", {"tune[title]": "t", "tune[name]": "man", "tune[model_type]": "faceid"})
    studio.folder("anne", toml=f"id = {there['id']}\n")
    studio.run_once()
    assert studio.tune("anne").state == "ready"
    assert studio.value("mark:tune:") is None


class Lists:
    """Astria's lists of prompts with these ids, as an api of `Tasks`; `broken`: before_id is ignored."""

    def __init__(self, ids, *, broken=False, gone=()):
        self.ids, self.broken, self.gone, self.asked = sorted(ids, reverse=True), broken, gone, []

    def get(self, path, *, workspace, limit=0, before_id=None):
        self.asked.append(path.rpartition("/")[2] if limit == 0 else before_id)
        if limit == 0:
            return Answer(status=404 if int(self.asked[-1]) in self.gone else 200, body={})
        shown = [one for one in self.ids if before_id is None or self.broken or one < before_id]
        return Answer(status=200, body=[{"id": one} for one in shown[:limit]])


def read(lists, piece):
    tasks = Tasks(api=lists, downloader=type("None", (), {"fetch": None}), roots={})
    pages = tasks(piece)
    assert pages.failure is None
    return pages


def survey(**more):
    return work.Survey(kind="prompt", workspace="", purpose="unsure", **{"down_to": 0, **more})


def test_a_survey_goes_down_to_the_watermark():
    """Page by page from the head, and no further than to what was there before."""
    lists = Lists(range(1, 501))
    pages = read(lists, survey(down_to=300))
    assert {one.id for one in pages.objects} == set(range(301, 501))
    assert (pages.head, pages.whole) == (500, True)
    assert lists.asked == [None, 381]


def test_a_survey_of_a_server_that_shows_one_page_for_ever():
    """It ends, and is not taken for a look at everything."""
    pages = read(Lists(range(1, 501), broken=True), survey(down_to=300))
    assert not pages.whole


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        ([{"id": 9}, {"id": 3}], True),
        ([{"id": 9}, {"id": "none"}, {"id": 3}], False),
        ([None, 3, {"title": "x"}], False),
        ([{"id": 9}, {"id": 4}, {}], True),  # the watermark stands above it: it is older still
        ([{"id": 9}, {"id": 2}, {}], True),
    ],
)
def test_a_survey_of_a_list_with_something_unreadable_in_it(body, whole):
    """It may be what is looked for, unless it is older than the watermark."""
    lists = Lists([])
    lists.get = lambda *_, before_id=None, **__: Answer(status=200, body=[] if before_id else body)
    assert read(lists, survey(down_to=3)).whole is whole


def test_a_list_of_what_cannot_be_read_proves_nothing(studio):
    """In an account without any prompt an unreadable list must not pass for an empty one: the lost one is found, not made again."""
    studio.sim.faults.add(
        Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS),
        Fault(
            kind="garbage", method="GET", path=r"^/prompts$", body='[null, {"title": "x"}]', skip=1, times=4
        ),
    )
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.check_pictures() == 1


@pytest.mark.parametrize(("mark", "gone", "told"), [(5, (), False), (9, (), False), (9, (9,), True)])
def test_a_survey_asks_what_became_of_the_newest(mark, gone, told):
    """Only where the head is older than what was known; gone is what Astria does not have any more."""
    lists = Lists(range(1, 6), gone=gone)
    assert read(lists, survey(mark=mark)).mark_gone is told
    assert ("9" in lists.asked) is (mark == 9)


def test_a_poll_begins_at_the_head():
    """What was made besides may be newer than all that is followed; what is far below is asked for by its place."""
    lists = Lists(range(1, 1001))
    pages = read(lists, work.Poll(kind="prompt", workspace="", ids=(990, 40, 30)))
    assert lists.asked == [None, 41]
    assert set(pages.covered) == {990, 40, 30}
    assert {1000, 40, 30} <= {one.id for one in pages.objects}
    broken = Lists(range(1, 1001), broken=True)
    assert set(read(broken, work.Poll(kind="prompt", workspace="", ids=(990, 40))).covered) == {990}


def test_a_start_beside_what_is_done_rests_at_once(studio):
    """The first look of a run tells nothing new of folders in which all is as it was left; the next one only names them."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "<1> words")
    studio.run_once()
    with studio.daemon() as daemon:
        assert daemon.run(10)
        assert set(daemon.engine.intake.places.at_rest(str(studio.inbox))) == {"jane"}
    assert studio.made() == (1, 1)


def test_a_file_that_went_while_nobody_looked(studio):
    """A folder of which something is missing does not rest, though all that is there is known."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "<1> words")
    gone = studio.prompt("jane/q.prompt", "<1> other words")
    studio.run_once()
    gone.unlink()
    with studio.daemon() as daemon:
        assert daemon.run(10)
        assert [one.path for one in daemon.journal.sources("missing_since IS NOT NULL")] == ["jane/q.prompt"]
