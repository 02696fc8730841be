"""A tune that was deleted at Astria elsewhere: what is refused for it waits for the folder's next tune, and nothing is paid twice."""

from astria_sync.simulator import Fault


def deleted(studio):
    """A folder whose tune is deleted on the web page, and a new prompt for it."""
    studio.folder("jane")
    studio.prompt("jane/a.prompt", "standing")
    studio.run_once()
    tune = studio.tune("jane")
    studio.outside(f"/tunes/{tune.remote_id}", {}, method="DELETE")
    studio.prompt("b.prompt", "<jane> sitting")
    return tune


def test_a_prompt_that_is_refused_for_its_tune_waits_for_the_next(studio):
    """Refused once, not failed: the folder says that its tune is gone; after `retrain` the prompt goes by itself, once."""
    tune = deleted(studio)
    studio.run_once()
    assert studio.tune("jane").state == "deleted"
    assert studio.only("b.prompt").state == "waiting"
    assert "retrain" in studio.only("b.prompt").reason
    told = studio.error("jane")
    assert f"Astria does not have tune {tune.remote_id} any more" in told
    assert f"astria-sync retrain {studio.inbox / 'jane'}" in told
    assert "tries again" not in told
    assert studio.error("b.prompt") is None
    studio.run_once()
    assert len(studio.posts("/prompts$")) == 2  # not sent again while there is no tune
    studio.command("retrain", studio.inbox / "jane")
    studio.run_once()
    assert studio.only("b.prompt").state == "done"
    assert studio.made() == (2, 2)
    assert studio.error("jane") is None
    assert studio.check_pictures() == 2


def test_one_replica_that_lags_kills_no_tune(studio):
    """A refusal and one 404 are not enough: Astria is asked again, and shows it; then the refusal is told as any."""
    studio.folder("jane")
    studio.run_once()
    tune = studio.tune("jane")
    asked = rf"^/tunes/{tune.remote_id}$"
    studio.sim.faults.add(Fault(kind="status", method="POST", path="/prompts$", status=422, times=1))
    studio.sim.faults.add(Fault(kind="status", method="GET", path=asked, status=404, times=1))
    studio.prompt("b.prompt", "<jane> sitting")
    studio.run_once()
    assert studio.tune("jane").state == "ready"
    row = studio.only("b.prompt")
    assert (row.state, row.reason) == ("failed", "Astria refused it")
    assert len(studio.sim.ledger.requests("GET", asked, host="api")) == 2


def test_a_refusal_for_something_else_asks_once(studio):
    """The tune is there: the prompt has failed, is sent no second time, and its file says Astria's words."""
    studio.folder("jane")
    studio.run_once()
    studio.prompt("b.prompt", "<jane> sitting <faceid:99999:1>")
    studio.run_once()
    assert studio.tune("jane").state == "ready"
    assert "99999, which does not exist" in studio.error("b.prompt")
    assert "is being asked" not in studio.error("b.prompt")
    assert len(studio.posts("/prompts$")) == 1


def test_what_was_asked_when_the_process_ended_is_asked_again(studio):
    """The doubt is in the journal: the next run finds out."""
    deleted(studio)
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.tunes("absent = 1"))
    studio.run_once()
    assert studio.tune("jane").state == "deleted"
    assert studio.only("b.prompt").state == "waiting"
