"""The account for a person at a terminal: what is asked again, and what is said of a call that went wrong."""

import pytest

from astria_sync.account import Account
from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.errors import AstriaSyncError, NotAuthorised
from astria_sync.secrets import Token

SLOW = Answer(status=429, body={"error": "slow down"}, retry_after=3.0)
DOWN = Answer(status=503, body={"error": "down"})
GOOD = Answer(status=200, body={"id": 1})
LOST = NoAnswer(sent=True, why="no answer in time")
UNSENT = NoAnswer(sent=False, why="no connection")


class Line:
    """An Api that answers with what it was given, in turn."""

    token = Token("not-a-real-key", source="the test")

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def get(self, path, *, workspace, **query):
        self.asked.append((path, query))
        return self.answers.pop(0)

    def send(self, method, path, fields, *, workspace):
        self.asked.append((method, path))
        return self.answers.pop(0)


def account(*answers, **how):
    made = Account(api=Line(*answers), base_url="https://a.example", wait=lambda _: None, **how)
    waits, told = [], []
    made.wait, made.tell = waits.append, told.append
    return made, waits, told


def pages(made, **how):
    how = {"most": None, "keyset": True} | how
    return [one for page in made.pages("/prompts", "this list", {}, **how) for one in page]


def listing(*ids):
    return Answer(status=200, body=[{"id": one} for one in ids])


def test_a_read_is_repeated_politely():
    """As Astria says when it says so, else ever later; and the person is told what is waited for."""
    made, waits, told = account(SLOW, DOWN, LOST, GOOD)
    assert made.get("/x", "it") == {"id": 1}
    assert waits[0] == 3.0
    assert 1.4 < waits[1] < 2.6
    assert waits[2] > waits[1]
    assert "HTTP 429, slow down; it is asked again in 3 s" in told[0]
    assert len(told) == 3


def test_a_read_is_not_repeated_for_ever():
    """After four attempts it is told what Astria said."""
    made, waits, _ = account(*[DOWN] * 5)
    with pytest.raises(AstriaSyncError, match="HTTP 503, down; try again later"):
        made.get("/x", "it")
    assert len(waits) == 3


@pytest.mark.parametrize(
    "answer",
    [
        UNSENT,
        Answer(status=404, body=None),
        Answer(status=301, body=None),
        Answer(status=422, body={}),
        Answer(status=429, body=None, retry_after=3600.0),
    ],
)
def test_what_would_not_help_is_not_done(answer):
    """Nobody waits for a network that is not there, for an hour, or for another answer to the same question."""
    made, waits, _ = account(answer)
    with pytest.raises(AstriaSyncError):
        made.get("/x", "it")
    assert waits == []


def test_an_answer_that_is_no_json():
    """It is asked again, and then told as what it is."""
    made, _, _ = account(*[Answer(status=200, body=None, text="<html>")] * 4)
    with pytest.raises(AstriaSyncError, match="no JSON"):
        made.get("/x", "it")


def test_one_thing_is_one_thing():
    """A list where an object was asked for is no object."""
    made, _, _ = account(listing(1))
    with pytest.raises(AstriaSyncError, match="something else"):
        made.thing("/x", "it")


def test_a_list_is_read_to_where_nothing_more_is():
    """Below the lowest id, in pages as large as may be; a short page is no end."""
    made, _, _ = account(listing(9, 8), listing(7), listing())
    assert [one["id"] for one in pages(made)] == [9, 8, 7]
    queries = [query for _, query in made.api.asked]
    assert queries == [{"limit": 120}, {"limit": 120, "before_id": 8}, {"limit": 120, "before_id": 7}]


def test_so_many_and_no_more():
    """What is asked for is what is shown, also if Astria gives more; no page is asked for in vain."""
    made, _, _ = account(listing(*range(300, 180, -1)), listing(*range(180, 100, -1)))
    assert len(pages(made, most=150)) == 150
    assert made.api.asked[1][1] == {"limit": 30, "before_id": 181}
    made, _, _ = account(listing(3, 2, 1))
    assert len(pages(made, most=2)) == 2


def test_a_list_that_is_counted_through():
    """Without ids to go on by, by what was seen; what moved down to the next page meanwhile is shown once."""
    made, _, _ = account(listing(9, 8), listing(8, 7), listing())
    assert [one["id"] for one in pages(made, keyset=False)] == [9, 8, 7]
    assert [query.get("offset") for _, query in made.api.asked] == [None, 2, 4]


@pytest.mark.parametrize("keyset", [True, False])
def test_a_list_that_turns_in_circles_is_told(keyset):
    """A server that pages nothing shows its first page for ever: that is said, not taken for all there is."""
    made, _, _ = account(listing(2, 1), listing(2, 1))
    with pytest.raises(AstriaSyncError, match="there may be more"):
        pages(made, keyset=keyset)


def test_odd_lists():
    """What is no list is told; what has no ids is shown and ends there."""
    made, _, _ = account(GOOD)
    with pytest.raises(AstriaSyncError, match="asked for a list"):
        pages(made)
    made, _, _ = account(Answer(status=200, body=[{}, 5, "x"]))
    assert pages(made) == [{}, 5, "x"]


def change(made):
    return made.change("DELETE", "/tunes/5", (), what="tune 5 was deleted", look="look here")


@pytest.mark.parametrize(
    "answer",
    [LOST, DOWN, Answer(status=504, body=None), Answer(status=302, body=None), Answer(status=408, body=None)],
)
def test_a_change_that_may_have_happened_is_not_repeated(answer):
    """It is said that nobody knows, and how to look."""
    made, waits, _ = account(answer)
    with pytest.raises(
        AstriaSyncError, match=r"not known whether tune 5 was deleted \(.*\); look: look here"
    ):
        change(made)
    assert waits == []


def test_a_change_that_never_went_out():
    """No connection: nothing was changed, and that is said."""
    made, _, _ = account(UNSENT)
    with pytest.raises(AstriaSyncError, match="nothing was changed"):
        change(made)


def test_a_change_that_astria_puts_off():
    """429 says that nothing was done: it may be asked again."""
    made, waits, _ = account(SLOW, GOOD)
    assert change(made) == {"id": 1}
    assert waits == [3.0]


@pytest.mark.parametrize(
    ("status", "workspace", "words", "kind"),
    [
        (401, "", "does not accept the token from the test: no", NotAuthorised),
        (403, "679", "does not allow this in workspace 679: no", NotAuthorised),
        (404, "", "tune 5 .*personal scope; --workspace all", AstriaSyncError),
        (404, "679", "tune 5 .*workspace 679; --workspace all", AstriaSyncError),
        (410, "all", "tune 5 .*not in any workspace", AstriaSyncError),
        (402, "", "Astria refused it: no", AstriaSyncError),
        (422, "", "Astria refused it: no", AstriaSyncError),
        (400, "", "Astria refused it: no", AstriaSyncError),
    ],
)
def test_refusals_are_in_astrias_words(status, workspace, words, kind):
    """Reads and changes alike."""
    answer = Answer(status=status, body={"error": "no\n"})
    for call in (lambda made: made.get("/tunes/5", "tune 5"), change):
        made, _, _ = account(answer, workspace=workspace)
        with pytest.raises(kind, match=words) as caught:
            call(made)
        assert type(caught.value) is kind
