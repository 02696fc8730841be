"""What Astria made twice, or late, or although it said no, is bound, fetched and told; and nothing else is."""

import shutil
from contextlib import suppress

import pytest

from astria_sync import report
from astria_sync.auditing import _ASKED, _KNOWN
from astria_sync.binding import Binding
from astria_sync.core import work
from astria_sync.core.wire import read_prompt, read_tune
from astria_sync.simulator import Fault
from tests.studio_harness import Crash

PROMPTS = r"/prompts$"
TUNES = r"^/tunes$"
LOST_AFTER = {"kind": "status", "status": 504, "when": "after", "method": "POST"}
LOST_BEFORE = {"kind": "status", "status": 504, "when": "before", "method": "POST"}


def problems(studio):
    """What `status` tells of that concerns more than one state of a file."""
    found = report.snapshot(studio.state, now=0.0, daemon={"running": False})["problems"]
    return [one for one in found if one["kind"] in {"alarm", "duplicate"}]


def told(studio):
    """Ids that `status` tells as made besides, each with the one that it was made besides."""
    return {one["id"]: one["besides"] for one in problems(studio) if one["kind"] == "duplicate"}


def again(studio, row, **other):
    """Astria makes the same once more: a request that was repeated on its way, or was carried out late."""
    fields = {f"prompt[{key}]": str(value) for key, value in {**row.params, **other}.items()}
    return studio.outside(f"/tunes/{row.target}/prompts", {"prompt[text]": row.text, **fields})["id"]


def tune_again(studio, title="jane", name="woman"):
    fields = {"tune[title]": title, "tune[name]": name, "tune[model_type]": "faceid"}
    return studio.outside("/tunes", fields)["id"]


def look(studio, name="look"):
    """Have the prompts' list read, by ordering something else."""
    studio.prompt(f"{name}.prompt", f"something else, {name}")
    studio.run_once()


def state(studio, path="p.prompt"):
    return studio.states().get(path)


def rows(studio, table):
    with studio.journal() as journal:
        return getattr(journal, table)("1 ORDER BY id")


# Found twice


def test_a_prompt_found_twice(studio):
    """A look finds two for one request: both are bound and fetched under their own names, and it is told with ids and page."""
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.crash(work.CreatePrompt, sent=True)
    first = studio.created().id
    second = again(studio, studio.only("p.prompt"))
    studio.run_once()
    main, spare = studio.prompts("p.prompt")
    assert (main.remote_id, spare.remote_id, spare.spare_of) == (first, second, main.id)
    assert (main.current, spare.current) == (True, False)
    assert (main.state, spare.state) == ("done", "done")
    assert studio.check_pictures() == 4
    assert studio.sidecar(spare)["seed"] == main.seed
    assert [studio.sidecar(one)["duplicate_of"] for one in (main, spare)] == [None, first]
    (problem,) = problems(studio)
    assert (problem["id"], problem["besides"], problem["path"]) == (second, first, "p.prompt")
    assert problem["page"].endswith(f"/prompts/{second}.json")
    assert all(part in problem["text"] for part in ("p.prompt", str(first), str(second), problem["page"]))
    assert studio.made() == (0, 2)


def test_a_tune_found_twice(studio):
    """The folder uses the first; the second is followed until it is trained, and told."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.prompt("jane/p.prompt", "words")
    studio.crash(work.CreateTune, sent=True)
    first = studio.sim.ledger.created_tunes()[0].id
    second = tune_again(studio)
    studio.run_once()
    main, spare = rows(studio, "tunes")
    assert (main.remote_id, spare.remote_id, spare.spare_of) == (first, second, main.id)
    assert (main.state, spare.state, spare.current) == ("ready", "ready", False)
    assert studio.tune("jane").id == main.id
    assert f"<faceid:{first}:1>" in studio.only("jane/p.prompt").text
    assert told(studio) == {second: first}
    assert studio.made() == (2, 1)


def test_a_spare_tune_is_not_what_the_folder_names(studio):
    """Of two that were made the person names the first by its `id`: the folder has that one, and orders nothing anew."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.crash(work.CreateTune, sent=True)
    first, second = studio.sim.ledger.created_tunes()[0].id, tune_again(studio)
    studio.write("jane/tune.toml", f'name = "woman"\nid = {first}\n')
    studio.run_once()
    assert studio.tune("jane").remote_id == first
    assert [row.current for row in rows(studio, "tunes")] == [True, False]
    assert told(studio) == {second: first}


def test_three_for_one(studio):
    """However many there are: all are fetched, and each is told."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    others = {again(studio, studio.only("p.prompt")) for _ in range(2)}
    studio.run_once()
    assert told(studio) == dict.fromkeys(others, studio.created().id)
    assert studio.check_pictures() == 3


def test_it_costs_and_is_no_wish(studio):
    """What was made besides counts as money spent, not as a prompt that was asked for; later runs leave it alone."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    again(studio, studio.only("p.prompt"))
    studio.run_once()
    found = report.snapshot(studio.state, now=0.0, daemon={"running": False})
    assert found["counts"]["prompts"]["done"] == 1
    assert found["counts"]["images"]["saved"] == 2
    assert found["spent"]["total_usd"] == pytest.approx(studio.sim.ledger.spent_mc() / 100_000)
    studio.prompt("p.prompt", "other words")
    studio.run_once()
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 3)
    assert [row.current for row in studio.prompts("p.prompt")] == [True, False, False]


def test_rerun_is_of_what_the_file_says_now(studio):
    """A spare of an earlier version, found later than the present one was ordered, is not what is made once more."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    old = studio.only("p.prompt")
    studio.prompt("p.prompt", "other words")
    studio.run_once()
    again(studio, old)
    look(studio)
    assert len(told(studio)) == 1
    assert studio.command("rerun", studio.inbox / "p.prompt")["count"] == 1
    studio.run_once()
    assert [row.text for row in studio.prompts("p.prompt")] == [
        "words",
        "other words",
        "words",
        "other words",
    ]
    assert studio.prompts("p.prompt")[-1].run == 2


def test_a_spare_that_failed_is_nobodys_failure(make_studio):
    """Astria could not make the second: `status` counts no failure, and `retry` does not order it."""
    studio = make_studio(user_error_word="dog")
    studio.prompt("p.prompt", "a dog", "seed: 7")
    studio.crash(work.CreatePrompt, sent=True)
    again(studio, studio.only("p.prompt"))
    studio.run_once()
    assert [row.state for row in studio.prompts()] == ["failed", "failed"]
    assert studio.command("retry", studio.inbox / "p.prompt")["count"] == 1
    studio.run_once()
    assert studio.made() == (0, 3)


# Lists that are read anyway


def test_a_poll_finds_what_was_made_besides(make_studio):
    """Nothing was ever lost, and yet there are two: the list that follows the first shows the second, though it is newer."""
    studio = make_studio(generate_seconds=0.4)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: state(studio) == "generating")
        second = again(studio, studio.prompts()[0])
        assert daemon.run(10)
    assert told(studio) == {second: studio.created().id}
    assert studio.check_pictures() == 2


def test_what_others_order_is_none_of_ours(make_studio):
    """Other words, another seed, another target, a copy that a person asked for on the web page: no alarm."""
    studio = make_studio(generate_seconds=0.3)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: state(studio) == "generating")
        row = studio.prompts()[0]
        again(studio, row, seed=row.seed + 1)
        again(studio, row, text="other words")
        studio.outside("/tunes/3691308/prompts", {"prompt[text]": row.text, "prompt[seed]": str(row.seed)})
        studio.outside(f"/prompts/{row.remote_id}/duplicate", {})
        assert daemon.run(10)
    look(studio)
    assert problems(studio) == []
    assert studio.check_pictures() == 2


def test_a_seed_that_the_file_gives_is_told_all_the_same(studio):
    """Somebody orders the same words with the same seed elsewhere: nobody can tell it from ours, so it is shown."""
    studio.prompt("p.prompt", "words", "seed: 7")
    studio.run_once()
    other = again(studio, studio.only("p.prompt"))
    look(studio)
    assert told(studio) == {other: studio.created().id}


@pytest.mark.parametrize("lost", [None, LOST_AFTER, LOST_BEFORE], ids=["well", "lost after", "lost before"])
def test_wanted_as_two_stays_two(make_studio, lost):
    """Two files of the same words and seed, a rerun, a matrix with a repeated value: all made once, and no alarm."""
    studio = make_studio(generate_seconds=0.1)
    if lost:
        studio.sim.faults.add(Fault(path=PROMPTS, times=3, **lost))
    studio.prompt("a.prompt", "words", "seed: 7")
    studio.prompt("b.prompt", "words", "seed: 7")
    studio.prompt("c.prompt", "words")
    studio.prompt("d.prompt", "words")
    studio.prompt("m.prompt", "{dress} words", "matrix: {dress: [red, red, brown]}")
    studio.run_once()
    studio.command("rerun", studio.inbox / "a.prompt")
    studio.command("rerun", studio.inbox / "c.prompt")
    studio.run_once()
    look(studio)
    assert studio.made() == (0, 9)
    assert len({row.remote_id for row in studio.prompts()}) == 9
    assert problems(studio) == []
    assert studio.check_pictures() == 9


@pytest.mark.parametrize("lost", [None, LOST_AFTER], ids=["well", "lost"])
def test_folders_of_one_title_stay_two(studio, lost):
    """Two folders called the same get one tune each, also if both answers are lost; retraining makes one more: no alarm."""
    if lost:
        studio.sim.faults.add(Fault(path=TUNES, times=2, **lost))
    for place in ("summer/red", "winter/red"):
        studio.folder(place, toml='name = "dress"\n')
    studio.run_once()
    studio.command("retrain", studio.inbox / "summer" / "red")
    studio.run_once()
    assert studio.made() == (3, 0)
    assert problems(studio) == []


@pytest.mark.parametrize(
    ("seconds", "lost", "spare"),
    [
        (0, False, True),
        (600, False, False),
        (600, True, True),
        (90 * 86400, True, False),
    ],
)
def test_a_tune_of_the_same_title_later(studio, seconds, lost, spare):
    """Made at about the time of our request it is ours; made later on the web page it is the person's own."""
    if lost:
        studio.sim.faults.add(Fault(path=TUNES, **LOST_AFTER))
    studio.folder("jane", toml='name = "woman"\nauto_extend = true\n')
    studio.run_once()
    studio.sim.advance(seconds)
    other = tune_again(studio)
    tune_again(studio, name="man")
    tune_again(studio, title="anne")
    studio.folder("joe", toml='name = "man"\n')
    studio.run_once()
    assert told(studio) == ({other: studio.tune("jane").remote_id} if spare else {})


def test_tunes_that_were_there_before_or_are_named(studio):
    """A tune of the same title from before the folder, or one used by its `id`, was not made for us."""
    tune_again(studio)
    there = tune_again(studio)
    studio.folder("jane", toml='name = "woman"\n')
    studio.folder("anne", toml=f"id = {there}\n")
    studio.run_once()
    studio.folder("joe")
    studio.run_once()
    assert problems(studio) == []


def test_what_failed_and_was_made_anew_stays_ours(make_studio):
    """Astria could not make it, and it was ordered anew: the one that failed is known, though no row has it any more."""
    studio = make_studio(user_error_word="dog")
    for name in "ab":
        studio.prompt(f"{name}.prompt", "a dog", "seed: 7")
    studio.run_once()
    studio.command("retry", studio.inbox / "b.prompt")
    studio.run_once()
    look(studio)
    assert studio.made() == (0, 4)
    assert problems(studio) == []


# A new state


def _lose(studio):
    """The state and the pictures with their records are gone: what there was, only the account knows."""
    studio.state.unlink()
    shutil.rmtree(studio.output)


def test_adopting_one_order_that_was_made_twice(studio):
    """One random seed twice in the account is one order: both are taken over, and it is told."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    second = again(studio, studio.only("p.prompt"))
    _lose(studio)
    studio.run_once()
    assert told(studio) == {second: studio.created().id}
    assert studio.check_pictures() == 2
    assert studio.made() == (0, 2)


@pytest.mark.parametrize("front", ["", "seed: 7"])
def test_adopting_beside_others_of_the_same_words(studio, front):
    """The same words ordered twice, each with its own seed, or with a seed that a person chose: two orders, no alarm."""
    studio.prompt("p.prompt", "words", front)
    studio.run_once()
    again(studio, studio.only("p.prompt"), **({} if front else {"seed": 5}))
    _lose(studio)
    studio.run_once()
    look(studio)
    assert problems(studio) == []
    assert studio.made() == (0, 3)


# Late


@pytest.mark.parametrize("kind", ["prompt", "tune"])
def test_lists_that_lag_longer_than_two_looks(make_studio, kind):
    """The first was made, no list showed it in time, a second was bought: the first is found before the run ends."""
    studio = make_studio(list_lag_seconds=0.7)
    studio.sim.faults.add(Fault(path=PROMPTS if kind == "prompt" else TUNES, **LOST_AFTER))
    if kind == "prompt":
        studio.prompt("p.prompt", "words")
    else:
        studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    made = studio.sim.ledger.created(kind)
    assert len(made) == 2
    assert told(studio) == {made[0].id: made[1].id}
    assert [row.state for row in rows(studio, f"{kind}s")] == ["done" if kind == "prompt" else "ready"] * 2
    studio.check_pictures()


def test_a_commit_that_comes_when_all_is_done(studio):
    """A request that was given up for lost is carried out after its second is long finished: a later reading finds it."""
    studio.tables["timing"]["reconcile_after_seconds"] = 0.03
    studio.sim.faults.add(Fault(path=PROMPTS, **LOST_BEFORE))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert problems(studio) == []
    late = again(studio, studio.only("p.prompt"))
    with studio.daemon() as daemon:
        daemon.until(lambda: told(studio))
        assert daemon.run(10)
    assert told(studio) == {late: studio.created().id}
    assert studio.check_pictures() == 2


def _never_seen(studio, looks=2):
    """The request was carried out, its answer lost, and two looks at lists that lag did not find it."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    studio.sim.faults.add(Fault(kind="stale", seconds=3600, method="GET", path=r"^/prompts$", times=looks))


def _given_up(studio, is_seen):
    """Two looks did not find it, and meanwhile nobody wants it any more (`is_seen` tells when that is known): it is dropped."""
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: studio.prompts()[0].state == "queued" and is_seen())
        daemon.command("resume")
        daemon.until(lambda: "words" not in [row.text for row in studio.prompts()])
        studio.sim.faults.clear()


def test_what_waits_to_be_sent_again_and_turns_up_is_not_sent(studio):
    """Two looks found nothing, and before it goes out again a list shows it: bound, and nothing is paid twice."""
    _never_seen(studio)
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: state(studio) == "queued")
        daemon.until(lambda: state(studio) == "done")
        daemon.command("resume")
        assert daemon.run(10)
    assert len(studio.posts()) == 1
    assert studio.only("p.prompt").remote_id == studio.created().id
    assert problems(studio) == []


def test_what_was_refused_and_turns_up_is_fetched(studio):
    """Astria says no to the second attempt, and has carried out the first: its pictures are fetched, and it is told."""
    _never_seen(studio)
    studio.sim.faults.add(
        Fault(kind="status", status=422, body='{"error": "No."}', method="POST", path=PROMPTS)
    )
    studio.run_once()
    assert studio.states() == {"p.prompt": "failed"}
    assert "No." in studio.error("p.prompt")
    with studio.daemon() as daemon:
        daemon.until(lambda: state(studio) == "done")
    assert studio.error("p.prompt") is None
    assert str(studio.created().id) in problems(studio)[0]["text"]
    assert studio.check_pictures() == 1


def test_a_tune_refused_is_not_taken_for_one_that_the_person_made(studio):
    """Astria says no, and the person makes the tune by hand, with the same title: the folder's failure stands."""
    studio.sim.faults.add(
        Fault(kind="status", status=422, body='{"error": "No."}', method="POST", path=TUNES)
    )
    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    tune_again(studio)
    studio.folder("joe")
    studio.run_once()
    assert studio.tune("jane").state == "failed"
    assert problems(studio) == []


def test_what_was_edited_away_and_turns_up_is_fetched(studio):
    """Nobody waits for the lost request any more, since its file asks for something else; but it is paid for."""
    _never_seen(studio, looks=None)
    studio.prompt("p.prompt", "quite other words")
    _given_up(studio, lambda: not studio.prompts()[0].current)
    studio.run_once()
    main, late = studio.prompts()
    assert (main.text, main.state) == ("quite other words", "done")
    assert (late.text, late.remote_id, late.state) == ("words", studio.created().id, "done")
    assert str(late.remote_id) in problems(studio)[0]["text"]
    assert studio.check_pictures() == 2
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert [row.current for row in studio.prompts()] == [False, True]


def test_what_was_deleted_here_and_turns_up_is_fetched(studio):
    """The same when the file was deleted, and another of its name came since."""
    _never_seen(studio, looks=None)
    (studio.inbox / "p.prompt").unlink()
    studio.write("an empty root/would be/unmounted.prompt", "<nobody> words")
    _given_up(studio, lambda: any(row.missing_since for row in rows(studio, "sources")))
    studio.prompt("p.prompt", "new words")
    studio.run_once()
    assert {row.text: row.state for row in studio.prompts("p.prompt")} == {
        "words": "done",
        "new words": "done",
    }
    assert str(studio.created().id) in problems(studio)[0]["text"]
    assert studio.check_pictures() == 2


def test_what_was_tried_anew_and_turns_up_is_fetched(studio):
    """Refused, and ordered anew with another seed on `retry`: the first attempt is told as made besides."""
    _never_seen(studio)
    studio.sim.faults.add(
        Fault(kind="status", status=422, body='{"error": "No."}', method="POST", path=PROMPTS)
    )
    studio.run_once()
    assert studio.command("retry", studio.inbox / "p.prompt")["count"] == 1
    studio.run_once()
    first, second = studio.sim.ledger.created_prompts()
    assert first.facts["seed"] != second.facts["seed"]
    if not told(studio):
        with studio.daemon() as daemon:
            daemon.until(lambda: told(studio))
            assert daemon.run(10)
    assert told(studio) == {first.id: second.id}
    assert studio.check_pictures() == 2


def test_a_tune_given_up_that_turns_up(studio):
    """Its pictures were changed while it was thought lost: the folder has the tune of the new ones, and the first is told."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.crash(work.CreateTune, sent=True)
    studio.sim.faults.add(Fault(kind="stale", seconds=3600, method="GET", path=TUNES, times=2))
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: studio.tune("jane").state == "queued")
        studio.picture("jane/more.jpg")
        daemon.look()
        daemon.until(lambda: studio.tune("jane").armed_at is None)
        daemon.command("resume")
        assert daemon.run(10)
    if not told(studio):
        with studio.daemon() as daemon:
            daemon.until(lambda: told(studio))
            assert daemon.run(10)
    first, second = studio.sim.ledger.created_tunes()
    assert studio.tune("jane").remote_id == second.id
    assert told(studio) == {first.id: second.id}


def test_a_tune_that_waits_to_be_sent_again_and_is_touched(studio):
    """Its pictures were touched and are the same: what turns up is the folder's tune, and nothing is sent."""
    photo = studio.folder("jane", toml='name = "woman"\n') / "1.jpg"
    studio.crash(work.CreateTune, sent=True)
    studio.sim.faults.add(Fault(kind="stale", seconds=3600, method="GET", path=TUNES, times=2))
    with studio.daemon() as daemon:
        daemon.command("pause")
        daemon.until(lambda: studio.tune("jane").state == "queued")
        before = rows(studio, "sources")[0].stamp
        photo.touch()
        daemon.look()
        daemon.until(lambda: rows(studio, "sources")[0].stamp not in {before, ""})
        daemon.until(lambda: studio.tune("jane").state == "ready")
        daemon.command("resume")
        assert daemon.run(10)
    assert studio.made() == (1, 0)
    assert problems(studio) == []


def test_a_tune_that_could_not_be_made_stays_on_record(studio):
    """Its folder is mended and gets a new tune; what the first has cost stays counted, and its id stays ours."""
    studio.folder("jane", toml='name = "woman"\n')
    studio.run_once()
    first = studio.tune("jane")
    with studio.daemon() as daemon:
        daemon.journal.change("tunes", first.id, state="failed", reason="Astria could not make it")
        studio.picture("jane/more.jpg")
        daemon.look()
        daemon.until(lambda: studio.made()[0] == 2)
        assert daemon.run(10)
    old, new = rows(studio, "tunes")
    assert (old.remote_id, old.state, old.current) == (first.remote_id, "failed", False)
    assert (new.id, new.state) == (studio.tune("jane").id, "ready")
    assert problems(studio) == []


def test_what_astria_had_lost_and_shows_again(make_studio):
    """Four times it was not there, and then a list shows it with its pictures: they are fetched."""
    studio = make_studio(generate_seconds=0.4)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: state(studio) == "generating")
        one = rf"^/prompts/{studio.created().id}$"
        studio.sim.faults.add(
            Fault(kind="stale", seconds=3600, method="GET", path=r"^/prompts$", times=None),
            Fault(kind="status", status=404, method="GET", path=one, times=None),
        )
        daemon.until(lambda: state(studio) == "deleted")
    studio.sim.faults.clear()
    studio.sim.advance(1)
    look(studio)
    assert studio.states() == {"p.prompt": "done", "look.prompt": "done"}
    assert studio.check_pictures() == 2


# An answer that is under way


def seen(daemon, kind, *ids):
    """A list shows these objects, as it would in a poll."""
    bodies = [daemon.api.get(f"/{kind}s/{one}").body for one in ids]
    read = {"prompt": read_prompt, "tune": read_tune}[kind]
    with daemon.journal.transaction():
        daemon.engine.auditing.listed(kind, "", [read(body) for body in bodies])


def test_a_list_that_comes_before_the_answer(studio):
    """Two are shown while the answer that names one of them is under way: nothing is said until it is there, then the other is
    told although no list shows it any more.
    """
    with studio.daemon() as daemon:
        studio.prompt("p.prompt", "words")
        studio.sim.faults.add(Fault(kind="delay", seconds=0.4, when="after", method="POST", path=PROMPTS))
        daemon.look()
        daemon.until(lambda: studio.made()[1])
        row = daemon.journal.prompts()[0]
        first, second = studio.created().id, again(studio, row)
        seen(daemon, "prompt", second, first)
        assert [one.state for one in daemon.journal.prompts()] == ["submitting"]
        studio.outside(f"/prompts/{second}", {}, method="DELETE")
        daemon.until(lambda: len(daemon.journal.prompts()) == 2)
        assert [one.remote_id for one in daemon.journal.prompts()] == [first, second]
    assert told(studio) == {second: first}


def test_an_answer_under_way_is_not_taken_by_another(studio):
    """Two files of one seed, one looked for and one being sent: what a list shows meanwhile is not given to the wrong one."""
    studio.prompt("a.prompt", "words", "seed: 7")
    studio.sim.faults.add(Fault(path=PROMPTS, **LOST_BEFORE))
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.states() == {"a.prompt": "unsure"})
        studio.sim.faults.add(Fault(kind="delay", seconds=0.4, when="after", method="POST", path=PROMPTS))
        studio.prompt("b.prompt", "words", "seed: 7")
        daemon.look()
        daemon.until(lambda: studio.made()[1])
        seen(daemon, "prompt", studio.created().id)
        assert daemon.run(10)
    assert studio.states() == {"a.prompt": "done", "b.prompt": "done"}
    assert studio.only("b.prompt").remote_id == studio.created().id
    assert studio.made() == (0, 2)
    assert problems(studio) == []


# Nothing is lost on the way


def test_a_crash_between_telling_and_binding(studio, monkeypatch):
    """It is told and bound in one transaction: a crash in between leaves neither, and the next run has both."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    second = again(studio, studio.only("p.prompt"))
    whole = Binding.bind_prompt

    def dies(self, prompt, remote):
        if remote.id == second:
            raise Crash
        whole(self, prompt, remote)

    with monkeypatch.context() as patch:
        patch.setattr(Binding, "bind_prompt", dies)
        with pytest.raises(Crash), studio.daemon() as daemon:
            daemon.run(10)
    assert problems(studio) == []
    assert studio.states() == {"p.prompt": "unsure"}
    studio.run_once()
    assert told(studio) == {second: studio.created().id}
    assert studio.check_pictures() == 2
    studio.run_once()
    assert told(studio) == {second: studio.created().id}


def test_a_step_that_could_not_be_written_is_made_up_for(studio, monkeypatch):
    """The object that waited for an answer is not forgotten when the step that brought the answer is rolled back."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    row = studio.only("p.prompt")
    second = again(studio, row)
    with studio.daemon() as daemon:
        daemon.journal.change("prompts", row.id, state="submitting", remote_id=None)
        seen(daemon, "prompt", second)
        daemon.journal.change("prompts", row.id, state="done", remote_id=row.remote_id)
        with suppress(Crash), daemon.journal.transaction():
            daemon.engine.auditing.settle()
            assert len(daemon.journal.prompts()) == 2
            raise Crash
        assert len(daemon.journal.prompts()) == 1
        for _ in range(3):
            daemon.engine.auditing.settle()
            assert len(daemon.journal.prompts()) == 2


@pytest.mark.parametrize("kind", ["prompt", "tune"])
def test_a_page_is_one_question_of_indexes(studio, kind):
    """Comparing a list with the rows, and one object with those that asked for its like, reads no table through."""
    table, asked = f"{kind}s", _ASKED[kind]
    questions = [(_KNOWN.format(table=table, asked=asked), ["[1]", "[2]", kind])]
    questions.append((f"SELECT * FROM {table} WHERE {asked} = ? AND workspace = ?", ["2", ""]))
    with studio.journal() as journal:
        for sql, values in questions:
            plan = [row["detail"] for row in journal.rows(f"EXPLAIN QUERY PLAN {sql}", values)]
            assert [step for step in plan if step.startswith(f"SEARCH {table} USING INDEX")]
            assert not [step for step in plan if step.startswith("SCAN") and "json_each" not in step], plan


# Put off, and made all the same


@pytest.mark.parametrize("status", [401, 429])
def test_what_was_put_off_and_made_all_the_same_is_not_silent(studio, status):
    """Astria says "not now" and carries it out: it is bound if a list shows it in time, or told as made besides the second."""
    studio.sim.faults.add(Fault(**{**LOST_AFTER, "status": status}, path=PROMPTS))
    studio.prompt("p.prompt", "words")
    studio.run_once()  # it may end at the closed door
    look(studio)
    made = {one.id for one in studio.sim.ledger.created_prompts()}
    assert {row.remote_id for row in rows(studio, "prompts")} == made
    assert len(told(studio)) == len(made) - 2  # two orders
    assert studio.check_pictures() == len(made)


def test_what_was_put_off_and_turns_up_is_not_sent_again(studio):
    """While it rests a list shows it: it is bound, and nothing more is paid."""
    studio.prompt("other.prompt", "else")
    studio.run_once()
    studio.sim.faults.add(Fault(**{**LOST_AFTER, "status": 402}, path=PROMPTS))
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'queued' AND attempt > 0"))
        piece = work.Survey(kind="prompt", workspace="", down_to=0, purpose="audit", asked=0.0)
        with daemon.journal.transaction():
            daemon.engine.reconciling.surveyed_now(piece, daemon.tasks(piece))
        daemon.until(lambda: not daemon.journal.prompts("state != 'done'"))
    assert studio.made() == (0, 2)
    assert told(studio) == {}


def test_with_idempotency_what_was_put_off_and_made_is_one(make_studio):
    """The same seed asks for the same prompt: Astria answers with it."""
    studio = make_studio(idempotency=True)
    studio.sim.faults.add(Fault(**{**LOST_AFTER, "status": 429}, path=PROMPTS))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"


def test_what_was_put_off_can_still_be_edited(studio):
    """Nothing was made of it: only the new words are ordered, with a seed of their own."""
    studio.sim.faults.add(Fault(kind="status", status=402, method="POST", path=PROMPTS))
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'queued' AND attempt > 0"))
        studio.prompt("p.prompt", "other words")
        daemon.look()
        daemon.until(lambda: daemon.journal.prompts("state = 'queued' AND attempt = 0"))
    studio.command("retry", studio.inbox / "p.prompt")
    studio.run_once()
    assert [made.facts["text"] for made in studio.sim.ledger.created_prompts()] == ["other words"]
