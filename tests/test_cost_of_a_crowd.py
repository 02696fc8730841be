"""What a prompt costs does not grow with how many others there are: in SQLite's steps, which no machine's mood changes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from astria_sync.simulator import Options
from astria_sync.simulator.messages import Request, Response
from astria_sync.simulator.model import Astria
from benchmarks import played
from benchmarks.played import Played
from benchmarks.process import Home
from benchmarks.rows.planning import save
from tests.simulation.world import PICTURES, small_picture

FEW, MANY = 40, 160
EACH = 10  # steps of SQLite's machine that are counted at once


class Here:
    """The simulator's model, in this process."""

    def __init__(self, options: Options, time: Any) -> None:
        self.token = played.MODEL_TOKEN
        self._astria = Astria(options, clock=lambda: time.now, pictures_url=PICTURES)
        self._astria.pictures.bytes_of = small_picture  # type: ignore[method-assign]  # drawing takes long

    def handle(self, request: Request, fault: Any = None) -> Response:
        assert fault is None
        return self._astria.handle(request)

    def close(self) -> None:
        """There is nothing to be closed."""


class Counted:
    """An engine, and how many steps SQLite has taken for it."""

    def __init__(self, engine: Played) -> None:
        self.engine = engine
        self.steps = 0
        engine.journal._conn.set_progress_handler(self._count, EACH)

    def _count(self) -> int:
        self.steps += EACH
        return 0

    def until(self, state: str, count: int) -> int:
        """Steps until so many prompts are in a state; looking whether they are costs none."""
        before = self.steps
        while True:
            found, at = self.steps, self.engine.count("prompts", f"state = '{state}'")
            self.steps = found
            if at == count:
                return self.steps - before
            self.engine.live(1.0)


@pytest.fixture
def crowd(tmp_path, monkeypatch):
    """So many prompts in an engine of their own."""
    monkeypatch.setattr(played, "Remote", Here)

    @contextmanager
    def of(count: int, words: str, *, paused: bool = False, **options: Any) -> Iterator[Counted]:
        place = Path(tmp_path, f"{words}-{count}".replace("<", "").replace(">", ""))
        place.mkdir()
        with played.played(
            Home(place), Options(token=played.MODEL_TOKEN, balance_usd=10**6, **options)
        ) as engine:
            if paused:
                pause(engine, True)
            counted = Counted(engine)
            save(engine, count, words)
            yield counted

    return of


def pause(engine: Played, now: bool | None) -> None:
    with engine.journal.transaction():
        engine.journal.put("paused", now)


def grows(cost: dict[int, float]) -> float:
    """How much dearer one of many is than one of few."""
    return cost[MANY] / cost[FEW]


def test_a_prompt_that_is_taken_up_and_sent(crowd):
    """From dropped to queued, and from queued to answered, with lists read all the while."""
    taken, sent = {}, {}
    for count in (FEW, MANY):
        with crowd(count, "wall", paused=True, generate_seconds=3600) as counted:
            taken[count] = counted.until("queued", count) / count
            pause(counted.engine, None)
            sent[count] = counted.until("generating", count) / count
    assert grows(taken) < 1.15
    assert grows(sent) < 1.15


def test_one_more_file_beside_a_crowd_that_waits(crowd):
    """Those that wait for a tune are not read for each file that is dropped beside them."""
    more = {}
    for count in (FEW, MANY):
        with crowd(count, "<nobody> far away") as counted:
            counted.until("waiting", count)
            counted.engine.live(10)
            before = counted.steps
            counted.engine.write(counted.engine.home.inbox / "more.prompt", "<nobody> and more")
            counted.engine.look(".")
            counted.until("waiting", count + 1)
            more[count] = float(counted.steps - before)
    assert grows(more) < 1.15


def test_lists_that_tell_nothing_new_of_a_crowd(crowd):
    """What is under way is asked for again and again: that costs each of many as much as each of few."""
    followed = {}
    for count in (FEW, MANY):
        with crowd(count, "wall", generate_seconds=3600) as counted:
            counted.until("generating", count)
            counted.engine.live(120)
            before = counted.steps
            counted.engine.live(600)
            followed[count] = (counted.steps - before) / count
    assert grows(followed) < 1.15
