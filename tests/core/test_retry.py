"""What an answer means: above all, whether the server could have acted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.core.retry import (
    Answer,
    NoAnswer,
    Verdict,
    backoff,
    created_id,
    judge_create,
    judge_read,
    message,
    the_object,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "error", "message", "errors", "title"]) | st.text(), inner)
    ),
    max_leaves=8,
)
MADE = {"id": 7}
PROPERTY = settings(print_blob=True, deadline=None)


def answer(status, body=None, **more):
    return Answer(status=status, body=body, **more)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (answer(200, MADE), Verdict.OK),
        (answer(201, MADE), Verdict.OK),
        (answer(201, [MADE]), Verdict.OK),
        (answer(201), Verdict.UNSURE),
        (answer(204), Verdict.UNSURE),
        (answer(200, {}), Verdict.UNSURE),
        (answer(200, []), Verdict.UNSURE),
        (answer(200, [MADE, MADE]), Verdict.UNSURE),
        (answer(200, {"id": "seven"}), Verdict.UNSURE),
        (answer(200, {"id": True}), Verdict.UNSURE),
        (answer(200, {"id": 0}), Verdict.UNSURE),
        (answer(200, "made"), Verdict.UNSURE),
        (answer(100), Verdict.UNSURE),
        (answer(302, MADE), Verdict.UNSURE),
        (answer(307), Verdict.UNSURE),
        (answer(400), Verdict.REFUSED),
        (answer(401), Verdict.UNAUTHORISED),
        (answer(402), Verdict.NO_BALANCE),
        (answer(403), Verdict.UNAUTHORISED),
        (answer(404), Verdict.REFUSED),
        (answer(408), Verdict.UNSURE),
        (answer(413), Verdict.REFUSED),
        (answer(422, {"error": "no"}), Verdict.REFUSED),
        (answer(425), Verdict.UNSURE),
        (answer(426), Verdict.REFUSED),
        (answer(429), Verdict.LATER),
        (answer(500), Verdict.UNSURE),
        (answer(503, MADE), Verdict.UNSURE),
        (answer(504), Verdict.UNSURE),
        (NoAnswer(sent=True, why="closed"), Verdict.UNSURE),
        (NoAnswer(sent=False, why="refused"), Verdict.OFFLINE),
    ],
    ids=repr,
)
def test_verdicts_on_creating_calls(result, verdict):
    """Each answer to a call that costs has the one verdict that can neither lose money nor an order."""
    assert judge_create(result) is verdict


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        (answer(200, []), Verdict.OK),
        (answer(200, {}), Verdict.OK),
        (answer(200), Verdict.LATER),
        (answer(304), Verdict.LATER),
        (answer(400), Verdict.REFUSED),
        (answer(401), Verdict.UNAUTHORISED),
        (answer(402), Verdict.NO_BALANCE),
        (answer(403), Verdict.UNAUTHORISED),
        (answer(404), Verdict.GONE),
        (answer(408), Verdict.LATER),
        (answer(410), Verdict.GONE),
        (answer(425), Verdict.LATER),
        (answer(426), Verdict.REFUSED),
        (answer(429), Verdict.LATER),
        (answer(500), Verdict.LATER),
        (answer(504), Verdict.LATER),
        (NoAnswer(sent=True, why="closed"), Verdict.OFFLINE),
        (NoAnswer(sent=False, why="refused"), Verdict.OFFLINE),
    ],
    ids=repr,
)
def test_verdicts_on_reads(result, verdict):
    """What can be asked again freely is asked again, unless Astria said no."""
    assert judge_read(result) is verdict


@PROPERTY
@given(st.integers(100, 599), JSON)
def test_a_creating_call_is_unsure_whenever_the_server_could_have_acted(status, body):
    """No 1xx, 3xx, 5xx, 408 or unreadable 2xx is ever taken for "nothing was made", whatever came with it."""
    verdict = judge_create(answer(status, body))
    if 200 <= status < 300:
        assert verdict is (Verdict.UNSURE if created_id(body) is None else Verdict.OK)
    elif status in {408, 425} or not 400 <= status < 500:
        assert verdict is Verdict.UNSURE
    else:
        assert verdict in {Verdict.REFUSED, Verdict.LATER, Verdict.UNAUTHORISED, Verdict.NO_BALANCE}


@PROPERTY
@given(st.integers(100, 599), JSON)
def test_every_answer_to_a_read_has_a_verdict(status, body):
    """A read is never unsure, and never done without something to read."""
    verdict = judge_read(answer(status, body))
    assert verdict in set(Verdict) - {Verdict.UNSURE, Verdict.OFFLINE}
    assert (verdict is Verdict.OK) == (200 <= status < 300 and body is not None)


@PROPERTY
@given(JSON)
def test_a_created_id_is_a_whole_positive_number(body):
    """Nothing but a positive whole number in the object, or a list of one, is an id."""
    found = created_id(body)
    holder = the_object(body)
    if found is not None:
        assert holder is not None
        assert type(found) is int
        assert found > 0
        assert holder["id"] == found


@pytest.mark.parametrize(
    ("body", "text", "words"),
    [
        ({"error": "Title can't be blank"}, "", "Title can't be blank"),
        ({"message": "No"}, "", "No"),
        ({"error": None, "message": "No"}, "", "No"),
        ({"error": "", "errors": {"title": ["is taken", "is too long"]}}, "", "title is taken, is too long"),
        ({"errors": ["a", "b"]}, "", "a, b"),
        ({"error": {"code": 7}}, "", "code 7"),
        ({"title": ["is taken"], "name": ["is empty"]}, "", "title is taken; name is empty"),
        (["a", {"b": True}], "", "a, b true"),
        ("  plain words ", "", "plain words"),
        ({"error": "  "}, "", "HTTP 422"),
        ({"errors": [""]}, "", "HTTP 422"),
        ({}, "", "HTTP 422"),
        (None, " <html>Bad Gateway</html>\n", "<html>Bad Gateway</html>"),
        (None, " ", "HTTP 422"),
        (7, "", "HTTP 422"),
    ],
    ids=repr,
)
def test_astrias_own_words(body, text, words):
    """What Astria says is found wherever it says it; where it says nothing, the status is told."""
    assert message(answer(422, body, text=text)) == words


@PROPERTY
@given(JSON, st.text(max_size=20))
def test_something_is_always_told(body, text):
    """Whatever came, there are words for a person, and looking for them never raises."""
    assert message(answer(500, body, text=text)).strip()


def test_the_waits_double():
    """With an even chance the waits are base, 2 base, 4 base … up to the longest."""
    waits = [backoff(n, base=30, maximum=900, chance=0.5) for n in range(1, 8)]
    assert waits == [30, 60, 120, 240, 480, 900, 900]


@PROPERTY
@given(st.integers(-5, 10**9), st.floats(0.001, 1e6), st.floats(0.001, 1e6), st.floats(0, 1))
def test_waits_have_bounds(attempt, base, maximum, chance):
    """However many attempts, a wait is never negative, never longer than the longest, never much shorter than the base."""
    wait = backoff(attempt, base=base, maximum=maximum, chance=chance)
    assert min(0.75 * base, maximum) <= wait <= maximum
    assert wait <= backoff(attempt + 1, base=base, maximum=maximum, chance=1.0)
