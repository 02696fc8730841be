"""What is told by notifications: once, together, after the commit, and whatever the daemon goes through."""

import json
import sqlite3

import pytest

from astria_sync import loop
from astria_sync.core.news import COLLECT
from astria_sync.simulator import Fault
from tests.studio_harness import Hands

REFUSED = Fault(
    kind="status", status=422, method="POST", path=r"/prompts$", body='{"error": "Too rude. Really."}'
)


@pytest.fixture
def studio(studio):
    """A studio whose owner wants to be told."""
    studio.tables["notify"] = {"command": "tell"}
    studio.clock = Hands()
    return studio


class Told(list):
    """What was handed over by one daemon."""

    def listen(self, daemon):
        daemon.engine.news.post = self.append
        daemon.engine.news.strict = True
        return daemon

    @property
    def bodies(self):
        return [json.loads(json.dumps(notice.body)) for notice in self]


@pytest.fixture
def told():
    return Told()


def until_told(studio, daemon, told, count=1):
    """Go on until nothing is left to do, then let the seconds pass that things are collected for."""
    assert daemon.run(60.0)
    for _ in range(5):
        if len(told) < count:
            studio.clock.slept += COLLECT
            daemon.turn()


def start(studio, daemon, told):
    """Run, listening, with nothing known before."""
    told.listen(daemon)
    daemon.engine.step()
    return daemon


def test_a_finished_batch(studio, told):
    """One notice of all folders, with pictures, prompts and money."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.folder("jane", toml='name = "woman"')
        studio.prompt("jane/a.prompt", "one", "num_images: 2")
        studio.prompt("jane/b.prompt", "two")
        studio.prompt("alone.prompt", "three")
        daemon.look()
        until_told(studio, daemon, told)
    (body,) = told.bodies
    assert (body["event"], body["pictures"], body["prompts"]) == ("finished", 4, 3)
    found = {item["path"]: item for item in body["items"]}
    assert set(found) == {"jane", "alone.prompt"}
    assert (found["jane"]["pictures"], found["jane"]["prompts"]) == (3, 2)
    assert body["cost_usd"] > 0
    assert "jane: 3 pictures of 2 prompts, $" in body["text"]


def test_a_failure_is_told_with_its_file_and_what_to_do(studio, told):
    """Astria's first sentence, the file and the command."""
    studio.sim.faults.add(REFUSED)
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told)
    (body,) = told.bodies
    (item,) = body["items"]
    assert (item["about"], item["kind"], item["path"], item["state"]) == (
        "failed",
        "prompt",
        "p.prompt",
        "failed",
    )
    assert item["root"] == str(studio.inbox)
    assert item["reason"] == "Astria refused it: Too rude."
    assert "astria-sync retry" in body["text"]
    assert body["configuration"].endswith("config.toml")


def test_five_hundred_failures_at_once_are_one_notice(studio, told):
    """Grouped, and bounded in length."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        for n in range(500):
            studio.prompt(f"{n}.prompt", "words", "unknown_key: 1")
        daemon.look()
        until_told(studio, daemon, told)
        studio.clock.slept += 4000
        daemon.turn()
    (body,) = told.bodies
    assert body["counts"] == {"failed": 500}
    assert len(body["items"]) == 100
    assert len(body["text"]) < 3000


def test_a_restart_repeats_nothing(studio, told):
    """What was told is known to the next daemon; and to one after a crash."""
    studio.prompt("p.prompt", "words", "unknown_key: 1")
    del studio.tables["notify"]
    studio.run_once()
    studio.tables["notify"] = {"command": "tell"}
    with studio.daemon() as daemon:
        told.listen(daemon)
        until_told(studio, daemon, told)
        assert told == []  # it had happened before anybody wanted to know
    studio.prompt("q.prompt", "words", "unknown_key: 1")
    for _ in range(3):
        with studio.daemon() as daemon:
            told.listen(daemon)
            until_told(studio, daemon, told)
            studio.clock.slept += 4000
            daemon.look()
            until_told(studio, daemon, told)
    (body,) = told.bodies
    assert [item["path"] for item in body["items"]] == ["q.prompt"]


def test_what_was_not_told_before_the_end_is_told_by_the_next_run(studio, told):
    """A daemon that ends within the seconds of collecting loses no news."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words", "unknown_key: 1")
        daemon.look()
        assert daemon.run(10.0)
    assert told == []
    with studio.daemon() as daemon:
        told.listen(daemon)
        until_told(studio, daemon, told)
    assert [body["counts"] for body in told.bodies] == [{"failed": 1}]


def test_a_failure_that_is_mended_meanwhile_is_not_told(studio, told):
    """Only what is so still."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words", "unknown_key: 1")
        daemon.look()
        daemon.until(lambda: studio.error("p.prompt"))
        studio.prompt("p.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told)
    assert [body["event"] for body in told.bodies] == ["finished"]


def test_the_same_failure_again_is_no_news_and_another_is(studio, told):
    """Looked at again, with the same result; then edited, with another."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.folder("jane")
        studio.write("jane/2.jpg", b"no picture")
        daemon.look()
        until_told(studio, daemon, told)
        studio.picture("jane/3.jpg")
        studio.clock.slept += 4000
        daemon.look()
        until_told(studio, daemon, told, 2)
        assert len(told) == 1
        studio.write("jane/2.jpg", studio.photo())
        studio.write("jane/tune.toml", "nonsense = 1")
        daemon.look()
        until_told(studio, daemon, told, 2)
    assert [len(body["items"]) for body in told.bodies] == [1, 1]
    assert "2.jpg" in told[0].text
    assert "nonsense" in told[1].text


def test_a_crowd_that_waits_for_approve_is_told(studio, told):
    """With the command that lets it go."""
    studio.tables["limits"] = {"hold_above": 1}
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        for n in range(3):
            studio.prompt(f"{n}.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told)
    (body,) = told.bodies
    assert (body["event"], body["counts"]) == ("held", {"held": 3})
    assert "astria-sync approve" in body["text"]


def test_the_days_limit_is_told_once(studio, told):
    """However many it holds back."""
    studio.tables["limits"] = {"hold_above": 1000, "spend_per_day_usd": 0.01}
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        for n in range(4):
            studio.prompt(f"{n}.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told, 2)
        studio.clock.slept += 3600
        daemon.turn()
    limits = [body for body in told.bodies if "limit" in body["counts"]]
    assert len(limits) == 1
    assert "held" not in limits[0]["counts"]


def test_a_refused_token_is_told_once_for_as_long_as_it_lasts(studio, told):
    """Through a restart too; and again after it was well for a while."""
    studio.prompt("p.prompt", "words")
    for _ in range(2):
        studio.token = "another-key"
        with studio.daemon() as daemon:
            told.listen(daemon)
            daemon.run(1.0)
            studio.clock.slept += 40
            until_told(studio, daemon, told)
    assert [body["event"] for body in told.bodies] == ["token"]
    assert "another-key" not in told[0].text


def test_an_exhausted_balance_is_told(studio, told):
    """402: what rests, and until when."""
    studio.sim.faults.add(
        Fault(kind="status", status=402, method="POST", path=r"/prompts$", body='{"error": "no money"}')
    )
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told)
    assert [body["event"] for body in told.bodies] == ["balance"]


def test_nothing_is_told_of_a_step_that_was_rolled_back(studio, told):
    """After the commit, or not at all; and then once."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words", "unknown_key: 1")
        daemon.look()
        assert daemon.run(10.0)
        studio.clock.slept += COLLECT
        good, fails = daemon.journal.put, []

        def full(key, value):
            if key == "told" and not fails:
                fails.append(key)
                raise OSError("the disk is full")
            good(key, value)

        daemon.journal.put = full
        with pytest.raises(OSError, match="full"):
            daemon.turn()
        assert (fails, told) == (["told"], [])
        daemon.engine.recover()
        until_told(studio, daemon, told)
    assert [body["counts"] for body in told.bodies] == [{"failed": 1}]


def test_nothing_happens_nothing_wakes(studio, told):
    """Without news the loop sleeps as long as it would without notifications."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        assert daemon.run(10.0)
        assert daemon.engine.news.next_due() is None


def test_pictures_that_are_fetched_once_more_are_no_news(studio, told):
    """`verify --repair` brings back what is known."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        studio.prompt("p.prompt", "words")
        daemon.look()
        until_told(studio, daemon, told)
        (picture,) = [name for name in studio.files() if not name.endswith(".json")]
        (studio.output / picture).unlink()
        row = daemon.journal.prompts()[0]
        image = daemon.journal.images("prompt_id = ?", [row.id])[0]
        with daemon.journal.transaction():
            daemon.journal.change("images", image.id, state="wanted", next_at=0)
            daemon.journal.move_prompt(row, "pictured", daemon.engine.ctx.wall)
        daemon.engine.fetching.look_again()
        daemon.until(lambda: (studio.output / picture).exists())
        studio.clock.slept += 4000
        until_told(studio, daemon, told, 2)
    assert len(told) == 1


@pytest.mark.parametrize("defect", ["SELECT nonsense", "1 / 0"])
def test_a_defect_in_the_telling_costs_no_work(studio, told, defect):
    """The pictures come, and nothing more is told; a question that SQLite does not understand is no trouble of the state."""
    with studio.daemon() as daemon:
        told.listen(daemon)
        daemon.engine.news.strict = False
        daemon.engine.news._take_in = lambda newest: (
            daemon.journal.rows(defect) if "S" in defect else newest / 0
        )
        studio.prompt("p.prompt", "words")
        daemon.look()
        assert daemon.run(10.0)
        assert daemon.engine.news.post is None
    assert studio.check_pictures() == 1


def test_a_state_that_cannot_be_written_is_the_engines_matter(studio, told, monkeypatch):
    """It is not taken for a defect: the step is done again, and what it tells is told then."""
    with studio.daemon() as daemon:
        start(studio, daemon, told)
        monkeypatch.setattr(loop, "_STATE_TROUBLE", 0.01)
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        told_once = daemon.engine.news._take_in

        def full(newest):
            daemon.engine.news._take_in = told_once
            raise error

        daemon.engine.news.strict = False
        daemon.engine.news._take_in = full
        studio.prompt("p.prompt", "words", "unknown_key: 1")
        daemon.look()
        until_told(studio, daemon, told)
    assert [body["counts"] for body in told.bodies] == [{"failed": 1}]
