"""A prompt with fewer pictures than asked for: when is it done?"""

import pytest

from astria_sync.core.wire import read_prompt

POLL = 0.05  # seconds, as the harness configures it


class Ahead:
    """The engine's clock, set ahead by a test."""

    def __init__(self, clock):
        self.clock, self.by = clock, 0.0

    def now(self):
        return self.clock.now() + self.by

    def wall(self):
        return self.clock.wall() + 1e6  # the wall clock jumped; it has no say in this


@pytest.mark.parametrize(
    ("quiet", "trained", "done"),
    [(30 * POLL, True, True), (10 * POLL, True, False), (500.0, False, False), (700.0, False, True)],
    ids=["finished and quiet", "finished a moment ago", "not finished", "quiet for ever"],
)
def test_it_takes_quiet_and_three_looks(make_studio, quiet, trained, done):
    """Neither a clock that jumped nor Astria's word alone ends it: nothing new has come for long enough, in three looks."""
    studio = make_studio(generate_seconds=60)
    studio.prompt("p.prompt", "words", "num_images: 2")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'generating'"))
        (row,) = daemon.journal.prompts()
        raw = {"id": row.remote_id, "images": ["https://cdn.example.com/a-0.jpg"]}
        raw |= {"trained_at": "2026-01-01T00:00:00Z"} if trained else {}
        remote = read_prompt(raw)
        clock = daemon.engine.ctx.clock = Ahead(daemon.engine.ctx.clock)
        daemon.engine.ctx.stopping = True
        daemon.engine.fetching.pictured(row, remote)
        clock.by = quiet
        complete = []
        for _ in range(3):
            daemon.engine.fetching.pictured(daemon.journal.prompt(row.id), remote)
            complete.append(daemon.journal.prompt(row.id).complete)
        assert complete == [False, False, done]
        assert bool(daemon.journal.get("alarms")) is done


def test_pictures_that_come_late_are_all_fetched(make_studio):
    """Astria calls a prompt trained with its first picture and lists the others one after the other: none is lost."""
    studio = make_studio(trickle=True, generate_seconds=0.3)
    studio.prompt("p.prompt", "words", "num_images: 4")
    studio.run_once()
    assert studio.only("p.prompt").state == "done"
    assert studio.check_pictures() == 4
