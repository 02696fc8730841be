"""A prompt with fewer pictures than asked for: when is it done?"""

import pytest

from astria_sync.core.wire import read_prompt

FAR = 1e6  # seconds; the clock jumped


@pytest.mark.parametrize(
    ("age", "trained", "looks"),
    [(FAR, False, 3), (0.0, True, 3), (0.0, False, None), (FAR, True, 3)],
    ids=["long ago", "it says so", "neither", "both"],
)
def test_it_takes_three_looks_and_a_reason(make_studio, age, trained, looks):
    """Neither a clock that jumped nor Astria's word alone ends it: the list must have stood still for three looks."""
    studio = make_studio(generate_seconds=60)
    studio.prompt("p.prompt", "words", "num_images: 2")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'generating'"))
        (row,) = daemon.journal.prompts()
        raw = {"id": row.remote_id, "images": ["https://cdn.example.com/a-0.jpg"]}
        raw |= {"trained_at": "2026-01-01T00:00:00Z"} if trained else {}
        remote = read_prompt(raw)
        daemon.engine.ctx.stopping = True
        daemon.engine.fetching.pictured(row, remote)
        daemon.journal.change("prompts", row.id, pictured_at=daemon.engine.ctx.wall - age)
        needed = None
        for look in range(1, 6):
            daemon.engine.fetching.pictured(daemon.journal.prompt(row.id), remote)
            if daemon.journal.prompt(row.id).complete:
                needed = look
                break
    assert needed == looks
