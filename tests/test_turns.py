"""Whose picture is fetched next, when there are more than places."""

import random
from types import SimpleNamespace

import pytest

from astria_sync.clock import SystemClock
from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.journal import open_journal
from astria_sync.settings import Limits, Models
from astria_sync.turns import Turns
from astria_sync.workers import Halves

DAY = 86400.0


class Queue:
    """Pictures that are wanted, and a clock; downloads end when it is said."""

    def __init__(self, places: int) -> None:
        self.at, self.count = 1_000_000.0, 0
        self.journal = open_journal(None, now=1.0)
        source = self.journal.add(
            "sources", kind="prompt", root="/r", path="p.prompt", created_at=1, updated_at=1
        )
        self.prompt = self.journal.add(
            "prompts", source_id=source, state="downloading", created_at=1, updated_at=1
        )
        clock = SystemClock()
        clock.now = lambda: self.at  # type: ignore[method-assign]
        self.ctx = Context(
            journal=self.journal,
            clock=clock,
            settings=SimpleNamespace(limits=Limits(downloads=places), models=Models()),  # type: ignore[arg-type]
            write_file=lambda *_: None,
            remove_file=lambda *_: None,
        )
        self.turns = Turns(ctx=self.ctx)
        self.threads, self.waiting = places, Halves(places)

    def wants(self, *, days: float, attempt: int = 0, due: float = 0.0) -> int:
        self.count += 1
        return self.journal.add(
            "images",
            prompt_id=self.prompt,
            n=self.count,
            url="u",
            identity=str(self.count),
            attempt=attempt,
            deadline=self.at + days * DAY,
            next_at=self.at + due,
        )

    def plan(self) -> list[int]:
        """Hand out what fits; the pictures that threads begin with."""
        free = self.ctx.free(work.Lane.DOWNLOADS)
        for image in self.turns.next(free) if free else ():
            half = self.turns.half(image.id)
            piece = work.Download(image_id=image.id, url="u", folder=None, stem="s", half=half)  # type: ignore[arg-type]
            self.ctx.start(("download", image.id), piece)
            self.waiting.put(piece)
        begun = []
        while self.threads and self.waiting.ready:
            self.threads -= 1
            begun.append(self.waiting.get().image_id)  # type: ignore[union-attr]
        return begun

    def ends(self, image_id: int, *, saved: bool, again: float = 0.0) -> None:
        piece = self.ctx.under_way["download", image_id]
        self.ctx.finish(piece)
        self.waiting.ended(piece)
        self.threads += 1
        image = self.journal.image(image_id)
        if saved:
            self.journal.change("images", image_id, state="saved")
        else:
            self.journal.change("images", image_id, attempt=image.attempt + 1, next_at=self.at + again)


@pytest.fixture
def queue(request):
    one = Queue(getattr(request, "param", 4))
    yield one
    one.journal.close()


def test_what_is_deleted_first_goes_first(queue):
    """By deadline, whatever the order in which they were listed, and only what is due."""
    for days in (9, 3, 27, 1, 14, 2):
        queue.wants(days=days)
    queue.wants(days=0.5, due=60)
    deadlines = [queue.journal.image(one).deadline for one in queue.plan()]
    assert deadlines == sorted(deadlines)
    assert [round((one - queue.at) / DAY) for one in deadlines] == [1, 2, 3, 9]


@pytest.mark.parametrize("queue", [1, 2, 3, 8], indirect=True)
def test_a_few_wait_with_the_pool(queue):
    """No more begin than there are places; as many more wait, so that a place is never empty for long."""
    for n in range(40):
        queue.wants(days=n)
    places = queue.ctx.settings.limits.downloads
    begun = queue.plan()
    assert len(begun) == places
    assert len(queue.waiting.withdraw()) == places


@pytest.mark.parametrize("queue", [2, 4, 8], indirect=True)
def test_waiting_pictures_take_no_place_of_the_other_half(queue):
    """However many of a host that hangs wait with the pool, half of the places stay with the others, between two plans too."""
    broken = {queue.wants(days=1, attempt=3) for _ in range(100)}
    for _ in range(100):
        queue.wants(days=20)
    places = queue.ctx.settings.limits.downloads
    begun = queue.plan()
    for _ in range(20):
        hanging = [one for one in begun if one in broken]
        assert len(hanging) <= places / 2
        for one in set(begun) - broken:
            queue.ends(one, saved=True)
        begun = hanging + queue.plan()


def test_all_places_are_used(queue):
    """Whether all are new or all have failed before: none of the places stays empty."""
    for n in range(9):
        queue.wants(days=n, attempt=n % 2)
    assert len(queue.plan()) == 4
    assert queue.plan() == []


@pytest.mark.parametrize("queue", [1, 2, 4, 8], indirect=True)
def test_urgent_ones_that_hang_do_not_starve_the_rest(queue):
    """A thousand pictures of a host that hangs for a minute each, and are due again at once: later ones come all the same."""
    broken = {queue.wants(days=1, attempt=3) for _ in range(1000)}
    good = {queue.wants(days=20) for _ in range(20)}
    until: dict[int, float] = {}
    for _ in range(60):
        for one in queue.plan():
            until[one] = queue.at + (60 if one in broken else 1)
        queue.at = min(until.values())
        for one in [one for one, moment in until.items() if moment <= queue.at]:
            del until[one]
            queue.ends(one, saved=one in good)
    assert {image.id for image in queue.journal.images("state = 'saved'")} == good
    assert len(queue.journal.images("attempt > 3")) > 5


def test_many_that_fail_do_not_starve_an_urgent_one(queue):
    """An urgent picture goes next after those that wait with the pool, also when it has failed before, whatever is queued."""
    for _ in range(300):
        queue.wants(days=20, attempt=random.Random(1).choice([0, 0, 5]))
    first = queue.plan()
    urgent = queue.wants(days=0.2, attempt=4)
    for one in first:
        queue.ends(one, saved=False)
    waited = queue.plan()
    assert urgent not in waited
    queue.ends(waited[0], saved=False)
    assert urgent in queue.plan()


def test_what_failed_once_gets_its_turn(queue):
    """Between broken ones that are urgent and ever new ones, a picture that failed once is tried again before long."""
    for _ in range(100):
        queue.wants(days=1, attempt=2)
    once = queue.wants(days=25, attempt=1, due=-50)
    for _ in range(12):
        started = queue.plan()
        if once in started:
            return
        queue.at += 1
        for one in started:
            queue.ends(one, saved=False)
    pytest.fail("it was never tried again")
