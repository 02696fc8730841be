"""What happened, in a sentence."""

import pytest

from astria_sync.core.happening import Happening, is_end, level_of, sentence, spoken
from astria_sync.core.lifecycle import PACK_MOVES, PROMPT_MOVES, TUNE_MOVES, Event


def told(kind, event, file="jane/x.prompt", **more):
    return sentence(Happening(at=1.0, kind=kind, event=event, **more), file)


@pytest.mark.parametrize("event", list(Event))
def test_every_move_has_words(event):
    """Nothing that can happen to an order is told by its bare name, save what its reason tells."""
    words = told("prompt", event, detail="the reason", was="queued", state="queued", remote_id=7)
    assert words.startswith("jane/x.prompt: ")
    assert words not in {f"jane/x.prompt: {event}", f"jane/x.prompt: prompt 7 {event}: the reason"}
    assert "the reason" in words


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (
            {"event": "bound", "was": "submitting", "state": "generating", "remote_id": 7, "seconds": 0.41},
            "p.prompt: prompt 7 was sent (after 0.4 s)",
        ),
        (
            {"event": "bound", "was": "unsure", "state": "generating", "remote_id": 7},
            "p.prompt: prompt 7 was found: it had been sent",
        ),
        (
            {"event": "bound", "was": "queued", "state": "generating", "remote_id": 7},
            "p.prompt: prompt 7 was there already, and is taken over",
        ),
        (
            {"event": "saved", "remote_id": 7, "since_sent": 125.0, "cost_mc": 14_000, "into": "/out/p"},
            "p.prompt: prompt 7 is done, its pictures are saved (in /out/p; 2 min after it was sent; $0.14)",
        ),
        ({"event": "waits", "detail": "waits for <jane>"}, "p.prompt: waits for <jane>"),
        ({"event": "invalid", "detail": "p.prompt: no text"}, "p.prompt: prompt failed: no text"),
        (
            {"event": "invalid", "detail": "no", "variant": {"dress": "red"}},
            "p.prompt [dress: red]: prompt failed: no",
        ),
        ({"event": "duplicate", "detail": "p.prompt: made twice"}, "p.prompt: made twice"),
        (
            {"event": "", "detail": "picture 2: its host answered 503"},
            "p.prompt: picture 2: its host answered 503",
        ),
        ({"kind": "source", "event": "gone"}, "p.prompt: is gone"),
        (
            {"kind": "image", "event": "saved", "detail": "p-7-1.jpg"},
            "p.prompt: a picture is saved: p-7-1.jpg",
        ),
        ({"kind": "daemon", "event": "alarm", "detail": "Look at this."}, "Look at this."),
        ({"kind": "daemon", "event": "paused"}, "paused"),
    ],
)
def test_sentences(one, words):
    """File, order and id, what happened, how long it took, what it cost, and why."""
    assert sentence(Happening(at=1.0, **{"kind": "prompt", **one}), "p.prompt") == words


def test_what_needs_a_person_stands_out():
    """Whatever ends in `failed` is an error, whoever moves it there; steps between are for --verbose."""
    for moves in (TUNE_MOVES, PROMPT_MOVES, PACK_MOVES):
        for (state, event), after in moves.items():
            if after == "failed":
                assert level_of("prompt", event, state) == "error"
    assert level_of("tune", "expired", "ready") == "warning"
    assert [level_of(kind, "held", "queued") for kind in ("prompt", "pack")] == ["info", "warning"]
    assert {level_of("prompt", event, "queued") for event in ("settled", "armed", "pictured")} == {"debug"}
    assert {level_of("prompt", event, "queued") for event in ("bound", "trained", "saved")} == {"info"}
    assert [level_of("prompt", "waits", was) for was in ("queued", "waiting")] == ["info", "debug"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (99.4, "99 s"),
        (100, "2 min"),
        (7200, "2 h"),
        (864_000, "10 days"),
    ],
)
def test_lengths_of_time(seconds, words):
    """As one says them."""
    assert spoken(seconds) == words


def test_only_ends_tell_how_long_all_took():
    """While something is on its way, its state before is what took time."""
    assert is_end("saved")
    assert not is_end("armed")
