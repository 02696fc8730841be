"""The pools: how many work at once, and what becomes of what has not begun."""

import logging
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from astria_sync.core import work
from astria_sync.core.model import Outcome, Stop
from astria_sync.loop import Loop
from astria_sync.workers import Halves, Pools


def picture(number: int, half: str = "") -> work.Download:
    return work.Download(image_id=number, url="u", folder=Path("/"), stem=str(number), half=half)


class Hands:
    """Work that ends when it is told to."""

    def __init__(self, downloads: int) -> None:
        self.begun: queue.SimpleQueue[work.Download] = queue.SimpleQueue()
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        self._may_end = threading.Semaphore(0)
        self.pools = Pools(self._perform, self.outcomes.put, threads=1, downloads=downloads)

    def _perform(self, piece: work.Download) -> int:
        self.begun.put(piece)
        assert self._may_end.acquire(timeout=10)
        return piece.image_id

    def begins(self, number: int) -> list[int]:
        return sorted(self.begun.get(timeout=10).image_id for _ in range(number))

    def end(self, number: int) -> None:
        self._may_end.release(number)


@pytest.fixture
def hands(request):
    one = Hands(request.param)
    yield one
    one.pools.withdraw()
    one.end(100)
    one.pools.close(wait=True)


@pytest.mark.parametrize("hands", [1, 2, 4], indirect=True)
def test_never_more_downloads_than_places(hands, request):
    """However many are handed over, only so many are under way at once; one that ends makes way for exactly one."""
    places = request.node.callspec.params["hands"]
    for number in range(12):
        hands.pools.submit(picture(number))
    assert hands.begins(places) == list(range(places))
    for number in range(places, 12):
        assert hands.begun.empty()
        hands.end(1)
        assert hands.begins(1) == [number]


@pytest.mark.parametrize("hands", [3], indirect=True)
def test_what_is_withdrawn_never_begins(hands):
    """What waits comes back to whoever asks, once; what is under way ends as it would have."""
    for number in range(8):
        hands.pools.submit(picture(number))
    hands.begins(3)
    assert [piece.image_id for piece in hands.pools.withdraw()] == [3, 4, 5, 6, 7]
    assert list(hands.pools.withdraw()) == []
    hands.end(3)
    assert sorted(hands.outcomes.get(timeout=10).result for _ in range(3)) == [0, 1, 2]
    hands.pools.submit(picture(9))
    assert hands.begins(1) == [9]


@pytest.mark.parametrize("hands", [4], indirect=True)
def test_half_of_the_places_for_each_half(hands):
    """A half with its share under way waits, and the others pass it; what is of neither half goes whenever there is a place."""
    for number in range(4):
        hands.pools.submit(picture(number, "urgent"))
    assert hands.begins(2) == [0, 1]
    hands.pools.submit(picture(4, "fair"))
    hands.pools.submit(picture(5))
    assert hands.begins(2) == [4, 5]


def test_a_half_alone_takes_all_places():
    """Where nothing of the other half comes, no thread stands still for long beside a picture that waits."""
    waiting = Halves(4, patience=0.0)
    for number in range(4):
        waiting.put(picture(number, "urgent"))
    assert [piece.image_id for piece in (waiting.get() for _ in range(4)) if piece] == [0, 1, 2, 3]


@pytest.mark.parametrize("hands", [1], indirect=True)
def test_pictures_hold_up_nothing_else(hands, tmp_path):
    """Requests and records beside pictures have threads of their own."""
    hands.pools.submit(picture(1))
    hands.begins(1)
    hands.pools.submit(picture(2))
    hands.pools.submit(work.WriteSidecar(prompt_id=7, path=tmp_path / "a.json", output=tmp_path))
    hands.pools.submit(work.Probe())
    begun = {type(hands.begun.get(timeout=10)) for _ in range(2)}
    assert begun == {work.WriteSidecar, work.Probe}


def test_a_stop_leaves_what_has_not_begun(studio, caplog):
    """Told to stop, a daemon waits for the picture under way, begins none of those that wait, and the next run gets them all."""
    studio.tables["limits"]["downloads"] = 2
    caplog.set_level(logging.INFO, "astria_sync")
    studio.prompt("p.prompt", "words", "num_images: 8")
    asked: list[int] = []
    stopping = threading.Event()
    with studio.daemon() as daemon:
        fetch, both = daemon.downloader.fetch, threading.Barrier(2, timeout=10)

        def stopped(piece: work.Download) -> work.Saved | work.NotSaved:
            asked.append(piece.image_id)
            if both.wait() == 0:
                daemon.engine.inbox.put(Stop())
            assert stopping.wait(10)
            return fetch(piece)

        def withdraw() -> Sequence[work.Download]:
            left = daemon.workers.withdraw()
            stopping.set()
            return left

        daemon.tasks._by_type = {**daemon.tasks._by_type, work.Download: stopped}
        daemon.engine.pool = SimpleNamespace(submit=daemon.workers.submit, withdraw=withdraw)
        daemon.loop.run(until_idle=True, deadline=daemon.clock.now() + 20)
        assert daemon.engine.ctx.stopping
        assert not daemon.engine.ctx.under_way
    assert len(asked) == 2
    assert "Stopping: 2 downloads are awaited" in caplog.text
    with studio.journal() as journal:
        states = [(image.state, image.attempt) for image in journal.images()]
    assert states.count(("saved", 0)) == 2
    assert states.count(("wanted", 0)) == 6
    with studio.daemon() as daemon:
        assert daemon.run(20)
    assert studio.only("p.prompt").state == "done"


class Slow:
    """An inbox in which each message comes only when it is waited for, and notes how long for at most."""

    def __init__(self, *messages: object) -> None:
        self.coming, self.waited = list(messages), 0

    def get_nowait(self) -> object:
        raise queue.Empty

    def get(self, timeout: float) -> object:
        assert timeout > 0
        self.waited += 1
        if not self.coming:
            raise queue.Empty
        return self.coming.pop(0)


SAVED = [Outcome(work=picture(n), result=None) for n in range(9)]
RECORD = Outcome(work=work.WriteSidecar(prompt_id=1, path=Path("/a.json")), result=None)


@pytest.mark.parametrize(
    ("coming", "under_way", "stopping", "taken"),
    [
        (SAVED, 12, False, 4),
        (SAVED, 2, False, 2),
        (SAVED, 12, True, 1),
        ([RECORD, *SAVED], 12, False, 5),
        ([RECORD], 0, False, 1),
        ([SAVED[0], RECORD, *SAVED], 12, False, 5),
        ([SAVED[0], Stop(), *SAVED], 12, False, 2),
        ([Stop(), *SAVED], 12, False, 1),
        (SAVED[:2], 12, False, 2),
    ],
    ids=[
        "as many as wait",
        "the last",
        "stopping",
        "a record",
        "the last record",
        "and a record",
        "a stop",
        "first a stop",
        "no more",
    ],
)
def test_pictures_are_written_down_together(coming, under_way, stopping, taken):
    """A picture waits a moment for the next ones while the threads have enough to do, and nothing else waits with it."""
    inbox = Slow(*coming)
    settings = SimpleNamespace(timing=SimpleNamespace(rescan_seconds=60.0))
    busy = {work.Lane.DOWNLOADS: under_way}
    ctx = SimpleNamespace(now=0.0, stopping=stopping, ahead=4, busy=busy, settings=settings)
    loop = Loop(SimpleNamespace(ctx=ctx, inbox=inbox))
    assert loop._messages(9.0) == coming[:taken]
