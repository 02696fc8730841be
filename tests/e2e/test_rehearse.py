"""`rehearse = true`: the whole job on free mock tunes; nothing is ever spent, and the real thing is ordered afterwards, once."""

import json
import shutil

import pytest

from astria_sync import rehearsal
from astria_sync.core.wire import read_prompt
from astria_sync.mocks import check_cost
from astria_sync.simulator import Fault
from astria_sync.wording import of_variant

FREE = "fast"


@pytest.fixture
def studio(make_studio):
    """A watch that rehearses."""
    studio = make_studio()
    studio.watches[0]["rehearse"] = True
    return studio


def targets(studio):
    return {entry.path.split("/")[2] for entry in studio.posts("/prompts$")}


def spent(studio):
    with studio.journal() as journal:
        return sum(row.cost_mc for row in [*journal.tunes(), *journal.prompts()])


def test_a_rehearsal_costs_nothing(studio):
    """Folders become free tunes, and every prompt goes to one of them, whatever model it names."""
    studio.folder("jane", toml='name = "woman"')
    studio.folder("red", toml='name = "dress"')
    studio.prompt("jane/p.prompt", "<1> in <red>", "resolution: 4K\nmodel: gemini")
    studio.prompt("q.prompt", "nobody, far away", "num_images: 3")
    studio.run_once()
    assert studio.made() == (2, 2)
    assert {entry.field("tune[branch]") for entry in studio.posts("/tunes$")} == {FREE}
    jane, red = studio.tune("jane").remote_id, studio.tune("red").remote_id
    assert targets(studio) <= {str(jane), str(red)}
    assert studio.only("jane/p.prompt").target == jane
    assert spent(studio) == 0
    assert studio.check_pictures() == 4


def test_what_it_makes_is_marked(studio):
    """By the names of the files and in their record."""
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    row = studio.only("jane/p.prompt")
    assert row.stem == "p-rehearsal"
    record = studio.sidecar(row)
    assert record["rehearsal"] is True
    assert record["images"][0]["file"].startswith("p-rehearsal-")


def test_without_any_folder_it_waits(studio):
    """There is no free tune to send it to; when there is one it goes."""
    studio.prompt("q.prompt", "nobody")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "free tune" in studio.only("q.prompt").reason
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert spent(studio) == 0


def test_the_real_thing_afterwards(studio):
    """Switched off, everything is ordered for real, once; switched on again, nothing is made anew, nor when it is off again."""
    studio.folder("jane", toml='name = "woman"')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    for rehearse, made in ((False, (2, 2)), (True, (2, 2)), (False, (2, 2))):
        studio.watches[0]["rehearse"] = rehearse
        studio.run_once()
        assert studio.made() == made
        assert studio.tune("jane").state == "ready"
        mock = studio.tune("jane").params.get("branch") == FREE
        assert mock is rehearse
    assert spent(studio) > 0
    assert studio.check_pictures() == 2


def test_a_real_studio_that_is_rehearsed_for_a_while(make_studio):
    """What was bought before is used again afterwards."""
    studio = make_studio()
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    before = spent(studio)
    studio.watches[0]["rehearse"] = True
    studio.prompt("jane/new.prompt", "new words")
    studio.run_once()
    assert spent(studio) == before
    studio.watches[0]["rehearse"] = False
    studio.run_once()
    assert len([post for post in studio.posts("/tunes$") if post.field("tune[branch]") != FREE]) == 1
    real = [row for row in studio.prompts() if "_rehearsal" not in row.variant]
    assert sorted(row.state for row in real) == ["done", "done"]


@pytest.mark.parametrize("sidecars", [True, False])
def test_a_lost_state_takes_no_rehearsal_for_the_real_thing(studio, sidecars):
    """Neither its records nor Astria's lists stand for what was never bought."""
    studio.folder("jane", toml='name = "woman"')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    shutil.rmtree(studio.state.parent)
    if not sidecars:
        shutil.rmtree(studio.output)
    studio.watches[0]["rehearse"] = False
    studio.run_once()
    assert studio.made() == (2, 2)
    assert studio.tune("jane").params.get("branch") is None
    real = [row for row in studio.prompts() if "_rehearsal" not in row.variant]
    assert [row.state for row in real] == ["done"]


def test_a_price_ends_it(studio):
    """Should Astria ask money for a rehearsal, the first price is the last, and is told."""
    studio.folder("jane")
    studio.prompt("a.prompt", "words", "num_images: 1")
    studio.run_once()
    made = studio.sim.ledger.created_prompts()[0].id
    with studio.daemon() as daemon:
        row = daemon.journal.prompts("remote_id = ?", [made])[0]
        remote = read_prompt({"id": made, "tune_id": row.target, "text": row.text, "cost_mc": 4000})
        check_cost(daemon.engine.ctx, row, remote)
    studio.prompt("b.prompt", "other words")
    studio.folder("sue")
    studio.run_once()
    assert studio.made() == (1, 1)
    assert "$0.04" in studio.only("b.prompt").reason
    assert "rehearsal" in json.dumps(studio.value("alarms"))
    studio.command("retry")
    studio.run_once()
    assert studio.made() == (2, 2)


def test_a_tune_that_is_named_is_not_rehearsed_with(studio):
    """`id` names one that costs money to use: a sentence, and nothing is sent."""
    studio.write("jane/tune.toml", "id = 12\n")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert "rehearsal" in studio.error("jane")


def test_a_local_pack_is_rehearsed_too(studio):
    """`_each/` for each folder, free, and for real afterwards."""
    for name in ("red", "blue"):
        studio.folder(name)
    studio.prompt("_each/shot.prompt", "<1> on a hanger")
    studio.run_once()
    assert studio.made() == (2, 2)
    assert spent(studio) == 0
    studio.watches[0]["rehearse"] = False
    studio.run_once()
    assert studio.made() == (4, 4)


def test_the_days_limit_has_room_for_what_is_free(studio):
    """A limit of one cent holds nothing back that costs nothing."""
    studio.tables["limits"]["spend_per_day_usd"] = 0.01
    studio.folder("jane")
    for n in range(5):
        studio.prompt(f"jane/{n}.prompt", f"words {n}")
    studio.run_once()
    assert studio.made() == (1, 5)


def test_lost_answers(studio):
    """Unsure in a rehearsal as anywhere: one of each."""
    studio.sim.faults.add(Fault(kind="status", status=504, when="after", method="POST", times=2))
    studio.folder("jane")
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    assert studio.made() == (1, 1)


def test_a_plan_of_a_rehearsal_is_free_and_names_each_request(studio):
    """Free tunes have a price, which is none; requests of `_each` and of a matrix are told apart."""
    studio.folder("d/red")
    studio.prompt("d/_each/s.prompt", "<1> x {n}", "matrix: {n: [1, 2]}")
    planned = rehearsal.rehearse(studio.settings(), wall=1e9)
    assert [one.estimate_usd for one in planned] == [0.0] * 3
    assert [of_variant(one.variant) for one in planned] == [
        "",
        "_each: d/red, n: 1, rehearsal",
        "_each: d/red, n: 2, rehearsal",
    ]
