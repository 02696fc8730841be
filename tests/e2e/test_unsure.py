"""A request whose fate is unknown is looked for, never blindly repeated: exactly one is made, whatever breaks."""

import pytest

from astria_sync.core import work
from astria_sync.simulator import Fault

PROMPTS = r"/prompts$"
TUNES = r"^/tunes$"
SHORT = 0.3  # seconds that a hanging request is waited for

FAULTS = {
    "500 before": {"kind": "status", "status": 500, "when": "before"},
    "500 after": {"kind": "status", "status": 500, "when": "after"},
    "502 twice, before and after": None,
    "503 before": {"kind": "status", "status": 503, "when": "before"},
    "504 after": {"kind": "status", "status": 504, "when": "after"},
    "408 after": {"kind": "status", "status": 408, "when": "after"},
    "redirect after": {"kind": "status", "status": 302, "when": "after", "headers": (("Location", "/x"),)},
    "204 after": {"kind": "status", "status": 204, "when": "after"},
    "cut before": {"kind": "refuse"},
    "cut after, no byte": {"kind": "cut", "cut_at": 0},
    "cut after, in the head": {"kind": "cut", "cut_at": 40},
    "cut after, in the body": {"kind": "cut", "cut_at": 300},
    "hang before": {"kind": "hang", "when": "before"},
    "hang after": {"kind": "hang", "when": "after"},
    "garbage before": {"kind": "garbage", "when": "before"},
    "garbage after": {"kind": "garbage", "when": "after"},
    "empty object after": {"kind": "garbage", "when": "after", "body": "{}"},
    "list of two after": {"kind": "garbage", "when": "after", "body": '[{"id": 1}, {"id": 2}]'},
}


def _break(studio, name, path):
    studio.timeout = SHORT if "hang" in name else studio.timeout
    if FAULTS[name] is None:
        for when in ("before", "after"):
            studio.sim.faults.add(Fault(kind="status", status=502, when=when, method="POST", path=path))
    else:
        studio.sim.faults.add(Fault(method="POST", path=path, **FAULTS[name]))


@pytest.mark.parametrize("name", FAULTS)
def test_a_prompt_is_made_exactly_once(studio, name):
    """One prompt at Astria, with the seed that was recorded, and its picture on disk; a further run sends nothing."""
    _break(studio, name, PROMPTS)
    studio.prompt("p.prompt", "words", "aspect_ratio: 3:4")
    studio.run_once()
    assert studio.made() == (0, 1)
    row = studio.only("p.prompt")
    assert (row.remote_id, row.seed) == (studio.created().id, studio.created().facts["seed"])
    assert len({post.field("prompt[seed]") for post in studio.posts() if post.fields}) == 1
    assert studio.check_pictures() == 1
    before = len(studio.posts())
    studio.run_once()
    assert len(studio.posts()) == before


@pytest.mark.parametrize("name", FAULTS)
def test_a_tune_is_made_exactly_once(studio, name):
    """One tune at Astria, bound to its folder, and the prompt that waited for it goes."""
    _break(studio, name, TUNES)
    studio.folder("jane", pictures=2, toml='name = "woman"\n')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.tune("jane").remote_id == studio.sim.ledger.created_tunes()[0].id
    assert studio.check_pictures() == 1
    before = len(studio.posts())
    studio.run_once()
    assert len(studio.posts()) == before


@pytest.mark.parametrize("sent", [False, True], ids=["before it went out", "after it went out"])
@pytest.mark.parametrize("idempotency", [False, True], ids=["plain", "idempotency"])
def test_a_crash_while_a_prompt_is_armed(make_studio, sent, idempotency):
    """The process dies between the commit and the answer: exactly one after the restart, with the recorded seed."""
    studio = make_studio(idempotency=idempotency)
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=sent)
    seed = studio.only("p.prompt").seed
    assert studio.states() == {"p.prompt": "submitting"}
    assert studio.made() == (0, int(sent))
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.created().facts["seed"] == seed
    assert studio.check_pictures() == 1


@pytest.mark.parametrize("sent", [False, True], ids=["before it went out", "after it went out"])
@pytest.mark.parametrize("idempotency", [False, True], ids=["plain", "idempotency"])
def test_a_crash_while_a_tune_is_armed(make_studio, sent, idempotency):
    """The same for a folder's tune."""
    studio = make_studio(idempotency=idempotency)
    studio.folder("jane", pictures=2)
    studio.prompt("jane/p.prompt", "words")
    studio.crash(work.CreateTune, sent=sent)
    assert studio.tune("jane").state == "uploading"
    assert studio.made() == (int(sent), 0)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.check_pictures() == 1


@pytest.mark.parametrize(
    "kind", [work.Walk, work.ReadFolder, work.Survey, work.Poll, work.Download, work.WriteSidecar]
)
@pytest.mark.parametrize("sent", [False, True])
def test_a_crash_anywhere_else(make_studio, kind, sent):
    """Dying before or in the middle of any other work loses nothing and repeats no payment."""
    studio = make_studio(generate_seconds=0.15)
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words", "num_images: 2")
    studio.crash(kind, sent=sent)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.check_pictures() == 2


def test_a_crash_during_the_search_for_an_unsure_prompt(studio):
    """Unsure, dying while it is looked for, looked for again: one."""
    studio.sim.faults.add(Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS))
    studio.prompt("p.prompt", "words")
    unsure = lambda piece: isinstance(piece, work.Survey) and piece.purpose == "unsure"  # noqa: E731
    for sent in (False, True):
        studio.crash(unsure, sent=sent)
    studio.run_once()
    assert studio.made() == (0, 1)
    assert len(studio.posts()) == 1
    assert studio.check_pictures() == 1


def test_nothing_is_sent_again_before_it_was_looked_for(studio):
    """Unsure says so, waits `reconcile_after_seconds`, asks the lists, and only then sends the same seed again."""
    studio.tables["timing"]["reconcile_after_seconds"] = 0.4
    studio.sim.faults.add(Fault(kind="status", status=504, when="before", method="POST", path=PROMPTS))
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: "unsure" in studio.states().values())
        assert "not sent again" in studio.only("p.prompt").reason
        assert daemon.run(10)
    first, second = studio.posts()
    looks = [
        entry
        for entry in studio.sim.ledger.requests("GET", r"^/prompts", host="api")
        if first.number < entry.number < second.number
    ]
    assert looks
    assert looks[0].at - first.at >= 0.39
    assert first.field("prompt[seed]") == second.field("prompt[seed]")


def test_two_files_of_the_same_words_stay_two_under_trouble(studio):
    """Both unsure at once, one made and one not: each file gets its own prompt, by its seed."""
    studio.sim.faults.add(
        Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS),
        Fault(kind="status", status=504, when="before", method="POST", path=PROMPTS),
    )
    studio.prompt("a.prompt", "words")
    studio.prompt("b.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert len({row.remote_id for row in studio.prompts()}) == 2
    seeds = {entry.id: entry.facts["seed"] for entry in studio.sim.ledger.created_prompts()}
    assert {row.remote_id: row.seed for row in studio.prompts()} == seeds
    assert studio.check_pictures() == 2


def test_two_folders_of_one_title_stay_two_under_trouble(studio):
    """Two folders called the same, both requests lost after the work: two tunes, each bound once."""
    studio.sim.faults.add(Fault(kind="status", status=504, when="after", method="POST", path=TUNES, times=2))
    studio.folder("summer/red", pictures=1)
    studio.folder("winter/red", pictures=1)
    studio.run_once()
    assert studio.made() == (2, 0)
    assert studio.tune("summer/red").remote_id != studio.tune("winter/red").remote_id


def test_a_stale_list_does_not_prove_that_nothing_was_made(studio):
    """Lists that are older than what was seen before do not count as looks."""
    studio.prompt("first.prompt", "first")
    studio.run_once()
    studio.sim.faults.add(
        Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS),
        Fault(kind="stale", seconds=3600, method="GET", path=r"^/prompts$", times=3, skip=1),
    )
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


def test_lists_that_lag_do_not_make_two(make_studio):
    """A list that shows new prompts only after a while: what was made is found in time."""
    studio = make_studio(list_lag_seconds=0.15)
    studio.tables["timing"]["reconcile_after_seconds"] = 0.2
    studio.sim.faults.add(
        Fault(kind="status", status=504, when="after", method="POST", path=PROMPTS, times=2)
    )
    for name in "ab":
        studio.prompt(f"{name}.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


def test_trouble_without_end_backs_off_and_ends_well(studio):
    """Five errors in a row, half of them after the work: one prompt, and no hammering."""
    for when in ("before", "before", "before", "before"):
        studio.sim.faults.add(Fault(kind="status", status=500, when=when, method="POST", path=PROMPTS))
    studio.prompt("p.prompt", "words")
    studio.run_once(timeout=15)
    assert studio.made() == (0, 1)
    assert len(studio.posts()) == 5
    assert studio.check_pictures() == 1


def test_reading_troubles_cost_nothing(studio):
    """Errors, cuts and garbage on every kind of list: all is done in the end, once."""
    for kind, more in (("status", {}), ("garbage", {}), ("cut", {"cut_at": 100}), ("refuse", {})):
        studio.sim.faults.add(Fault(kind=kind, method="GET", host="api", **more))
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once(timeout=15)
    assert studio.made() == (1, 1)
    assert studio.check_pictures() == 1


def test_a_network_that_goes_and_comes_back(studio):
    """Nobody listens: nothing fails, it is said, and work goes on when the network is back."""
    good = studio.base_url
    studio.base_url = "http://127.0.0.1:9"
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: "network" in daemon.engine.ctx.gates.closed)
        assert not daemon.loop.idle
    assert studio.states() == {"jane": "queued", "jane/p.prompt": "waiting"}
    assert studio.value("gate:network")
    studio.base_url = good
    studio.run_once()
    assert studio.made() == (1, 1)
    assert not studio.value("gate:network")
    assert studio.check_pictures() == 1


def test_a_network_that_goes_while_running(studio):
    """Every connection is refused for a while, also for what is under way: nothing fails, nothing is made twice."""
    for n in range(6):
        studio.prompt(f"p{n}.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] >= 2)
        studio.sim.faults.add(Fault(kind="refuse", host="api", times=7))
        assert daemon.run(20)
    assert studio.made() == (0, 6)
    assert studio.check_pictures() == 6


def test_with_idempotency_two_files_of_the_same_words_stay_two(make_studio):
    """Each has a seed of its own, so that Astria cannot merge them."""
    studio = make_studio(idempotency=True)
    studio.prompt("a.prompt", "words")
    studio.prompt("b.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


def test_with_idempotency_a_given_seed_twice_is_told(make_studio):
    """Two files with the same words and the same seed: the answer is the other's prompt, which is not taken as ours."""
    studio = make_studio(idempotency=True)
    studio.prompt("a.prompt", "words", "seed: 7")
    studio.run_once()
    studio.prompt("b.prompt", "words", "seed: 7")
    studio.run_once()
    assert studio.states() == {"a.prompt": "done", "b.prompt": "failed"}
    assert "seed" in studio.error("b.prompt")
    assert studio.made() == (0, 1)


def _made_outside(studio, title):
    """A tune that somebody made on the web page."""
    fields = {"tune[title]": title, "tune[name]": "man", "tune[model_type]": "faceid"}
    return studio.outside("/tunes", fields)["id"]


def test_with_idempotency_a_title_used_before_is_not_quietly_taken(make_studio):
    """The folder gets an error that offers another title or `id = N`; either way out works."""
    studio = make_studio(idempotency=True)
    there = _made_outside(studio, "jane")
    studio.folder("jane", toml='name = "woman"\n')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    error = studio.error("jane")
    assert "title" in error
    assert f"id = {there}" in error
    assert studio.states() == {"jane": "failed", "jane/p.prompt": "waiting"}
    studio.write("jane/tune.toml", 'name = "woman"\ntitle = "Jane of 2026"\n')
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.made() == (2, 1)
    studio.folder("anne", toml=f"id = {there}\n")
    studio.prompt("anne/p.prompt", "words")
    studio.run_once()
    assert studio.made() == (2, 2)


def test_with_idempotency_and_id_after_the_error(make_studio):
    """`id = N` written after the error takes the tune that is there."""
    studio = make_studio(idempotency=True)
    there = _made_outside(studio, "jane")
    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    studio.write("jane/tune.toml", f"id = {there}\n")
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.tune("jane").remote_id == there
    assert studio.made() == (1, 0)


def test_without_idempotency_a_title_used_before_is_no_matter(studio):
    """A title may be used twice: the folder gets a tune of its own."""
    there = _made_outside(studio, "jane")
    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    assert studio.tune("jane").remote_id not in {there, None}
    assert studio.made() == (2, 0)


def test_an_unsure_request_that_was_edited_away_is_not_sent_again(studio):
    """The answer was lost, Astria never had it, and meanwhile the file asks for something else: only that is paid."""
    studio.prompt("p.prompt", "the first words")
    studio.crash(work.CreatePrompt, sent=False)
    studio.prompt("p.prompt", "quite other words")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert [row.text for row in studio.prompts()] == ["quite other words"]


def test_a_comment_does_not_edit_an_unsure_request_away(studio):
    """A version that asks for the same is the same: the request goes again."""
    studio.prompt("p.prompt", "the words", front="num_images: 2")
    studio.crash(work.CreatePrompt, sent=False)
    studio.prompt("p.prompt", "the words", front="num_images: 2  # two are enough")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"
