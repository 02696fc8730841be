"""What Astria refuses: told once in its own words, never hammered, taken up again when the cause is gone."""

import pytest

from astria_sync.simulator import Fault

PROMPTS = r"/prompts$"
TUNES = r"^/tunes$"


def _refusing(status, path=PROMPTS, **more):
    return Fault(kind="status", status=status, method="POST", path=path, **more)


@pytest.mark.parametrize("status", [400, 404, 422, 426])
def test_a_refused_prompt_is_sent_once(studio, status):
    """Failed with Astria's words beside the file; another run sends nothing; `retry` sends it again."""
    studio.sim.faults.add(_refusing(status, body='{"error": "No such thing, dear"}'))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert "No such thing, dear" in studio.error("p.prompt")
    assert studio.states() == {"p.prompt": "failed"}
    studio.run_once()
    assert len(studio.posts()) == 1
    assert studio.command("retry", studio.inbox / "p.prompt")["count"] == 1
    studio.run_once()
    assert len(studio.posts()) == 2
    assert studio.states() == {"p.prompt": "done"}
    assert studio.error("p.prompt") is None
    assert studio.check_pictures() == 1


def test_a_refused_prompt_is_sent_again_after_an_edit(studio):
    """The file changes: its new words are tried, and the error is gone."""
    studio.sim.faults.add(_refusing(422, body='{"error": "Bad words"}'))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    studio.prompt("p.prompt", "other words")
    studio.run_once()
    assert [post.field("prompt[text]") for post in studio.posts()] == ["words", "other words"]
    assert studio.error("p.prompt") is None
    assert studio.check_pictures() == 1


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"text": ["is too rude"], "seed": ["is odd"]}', "text is too rude; seed is odd"),
        ('{"message": "Not today"}', "Not today"),
        ("plain words", "plain words"),
        ('["first", "second"]', "first, second"),
    ],
)
def test_every_shape_of_a_refusal_is_told_in_its_words(studio, body, told):
    """`error`, `message`, a map of fields, a list, or no JSON at all."""
    studio.sim.faults.add(_refusing(422, body=body))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert told in studio.error("p.prompt")


def test_a_refused_tune_is_sent_once(studio):
    """Failed with Astria's words in tune.error.txt; again after its tune.toml changes; prompts of it wait."""
    studio.sim.faults.add(_refusing(422, TUNES, body='{"name": ["is not included in the list"]}'))
    studio.folder("jane", toml='name = "womann"\n')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    assert "name is not included in the list" in studio.error("jane")
    assert studio.states() == {"jane": "failed", "jane/p.prompt": "waiting"}
    studio.run_once()
    assert len(studio.posts()) == 1
    studio.write("jane/tune.toml", 'name = "woman"\n')
    studio.run_once()
    assert studio.error("jane") is None
    assert studio.made() == (1, 1)


def test_a_refused_tune_goes_again_on_retry_and_after_its_pictures_change(studio):
    """`retry`, or other pictures, are a reason to send it again."""
    studio.sim.faults.add(_refusing(422, TUNES, times=2))
    studio.folder("jane")
    studio.run_once()
    studio.command("retry", studio.inbox / "jane")
    studio.run_once()
    assert len(studio.posts()) == 2
    assert studio.error("jane")
    studio.picture("jane/more.jpg")
    studio.run_once()
    assert studio.made() == (1, 0)
    assert studio.error("jane") is None


def test_a_user_error_is_final_until_retry_makes_a_new_prompt(studio):
    """What Astria could not make fails with its words; `retry` is a new prompt with another seed."""
    studio.prompt("p.prompt", "words FAIL_USER_ERROR")
    studio.run_once()
    assert "safety filter" in studio.error("p.prompt")
    studio.run_once()
    assert studio.made() == (0, 1)
    studio.command("retry", studio.inbox / "p.prompt")
    studio.run_once()
    assert studio.made() == (0, 2)
    first, second = (entry.facts["seed"] for entry in studio.sim.ledger.created_prompts())
    assert first != second
    studio.prompt("p.prompt", "better words")
    studio.run_once()
    assert studio.error("p.prompt") is None
    assert studio.check_pictures() == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_rests_and_goes_on(studio, status):
    """Everything rests, nothing is hammered; when the token is accepted, work goes on."""
    studio.tables["timing"]["retry_base_seconds"] = 0.2
    good, studio.token = studio.token, "sd_wrong"
    if status == 403:
        studio.token = good
        studio.sim.faults.add(Fault(kind="status", status=403, host="api", times=3))
    for n in range(5):
        studio.prompt(f"p{n}.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: "auth" in daemon.engine.ctx.gates.closed)
        assert daemon.loop.idle
        end = daemon.clock.now() + 0.5
        daemon.until(lambda: daemon.clock.now() >= end or status == 403)
        assert len(studio.sim.ledger.requests(host="api")) <= 6
        assert studio.made() == (0, 0)
        studio.token = good
        daemon.until(lambda: not daemon.engine.ctx.gates.closed)
        assert daemon.run(10)
    assert studio.made() == (0, 5)
    assert studio.check_pictures() == 5
    assert not any(row.state == "failed" for row in studio.prompts())


def test_a_token_that_is_refused_in_the_middle_loses_nothing(make_studio):
    """Prompts under way are followed again once the token is accepted."""
    studio = make_studio(generate_seconds=0.3)
    good = studio.token
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 1)
        studio.sim.astria.token = "sd_another"
        daemon.until(lambda: "auth" in daemon.engine.ctx.gates.closed)
        studio.sim.astria.token = good
        daemon.until(lambda: not daemon.engine.ctx.gates.closed)
        assert daemon.run(10)
    assert studio.check_pictures() == 1


def test_an_empty_balance_rests_until_it_is_topped_up(make_studio):
    """402: prompts rest and say so, downloads go on, and a top-up alone lets them go."""
    studio = make_studio(balance_usd=0.30)
    for n in range(4):
        studio.prompt(f"p{n}.prompt", "words")
    with studio.daemon() as daemon:
        assert daemon.run(10)
        assert studio.made() == (0, 2)
        assert "balance" in daemon.engine.ctx.gates.closed
        assert studio.value("gate:balance")
        assert sorted(studio.states().values()) == ["done", "done", "queued", "queued"]
        # The first look notes the balance, a later one sees that it grew.
        daemon.until(lambda: daemon.journal.get("balance_at_402") is not None)
        studio.sim.astria.add_balance(5)
        daemon.until(lambda: studio.made() == (0, 4))
        assert daemon.run(10)
    assert studio.check_pictures() == 4


def test_an_empty_balance_is_not_hammered_and_retry_goes_on(make_studio):
    """Without a top-up nothing is sent again until `retry`."""
    studio = make_studio(balance_usd=0.0)
    studio.prompt("p.prompt", "words")
    studio.run_once()
    studio.run_once()
    assert len(studio.posts()) == 1
    studio.sim.astria.add_balance(5)
    studio.command("retry")
    studio.run_once()
    assert studio.made() == (0, 1)


def test_a_tune_that_cannot_be_paid_rests_too(make_studio):
    """402 to a tune: it rests, and goes on after a top-up."""
    studio = make_studio(balance_usd=0.0)
    studio.folder("jane", toml='model_type = "lora"\n')
    studio.run_once()
    assert studio.states() == {"jane": "queued"}
    studio.sim.astria.add_balance(50)
    studio.command("retry")
    studio.run_once()
    assert studio.made() == (1, 0)


def test_too_many_requests_waits_as_told(studio):
    """429 with Retry-After: nothing is asked before that, then exactly what was wanted is made."""
    studio.sim.faults.add(_refusing(429, headers=(("Retry-After", "1"),)))
    studio.prompt("p.prompt", "words")
    studio.prompt("q.prompt", "words")
    studio.run_once()
    refused = next(post for post in studio.posts() if post.status == 429)
    later = [entry for entry in studio.sim.ledger.requests(host="api") if entry.number > refused.number]
    under_way = [entry for entry in later if entry.at < refused.at + 0.3]
    assert len(under_way) <= 3
    assert all(entry.at >= refused.at + 0.95 for entry in later if entry not in under_way)
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2


def test_a_rate_limit_is_lived_with(make_studio):
    """A server that takes few requests a second gets all of them in the end, once."""
    studio = make_studio(rate_limit=15)
    studio.tables["timing"]["poll_seconds"] = 0.3
    for n in range(15):
        studio.prompt(f"p{n}.prompt", f"number {n}")
    studio.run_once(timeout=30)
    assert studio.made() == (0, 15)
    assert studio.check_pictures() == 15


def test_a_failed_prompt_does_not_stop_the_others(studio):
    """One refusal, one user error, one slip: the rest goes on."""
    studio.sim.faults.add(_refusing(422))
    for n in range(4):
        studio.prompt(f"p{n}.prompt", "words")
    studio.prompt("user.prompt", "FAIL_USER_ERROR")
    studio.prompt("slip.prompt", "words", "num_images: 9")
    studio.run_once()
    assert sorted(studio.states().values()) == ["done", "done", "done", "failed", "failed", "failed"]


@pytest.mark.parametrize("known", [False, True])
def test_an_error_file_that_a_crash_left_behind_goes(studio, known):
    """Written before the commit that the crash prevented, no row knows of it; the file may have been mended since."""
    if known:
        studio.prompt("a.prompt", "well before")
        studio.run_once()
    studio.prompt("a.prompt", "well now")
    left = studio.write("a.prompt.error.txt", "a.prompt could not be used.\n")
    studio.run_once()
    assert not left.exists()
