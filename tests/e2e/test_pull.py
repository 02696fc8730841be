"""`pull`: what others made in the account comes to disk, once, and nothing is ordered by it."""

import json
import shutil
import time

import pytest

from astria_sync import pulljob, report
from astria_sync.core import work
from astria_sync.core.account import PullPage
from astria_sync.simulator import Fault, Request, Workspace
from astria_sync.verify import verify
from tests.pull_harness import GEMINI, fetched, killed, lists, made, pull, puller, tune
from tests.studio_harness import Hands

DAY = 86400


def lose(studio):
    """The state is lost."""
    shutil.rmtree(studio.state.parent)


def later(studio, seconds):
    """Time passes, at Astria and here."""
    studio.sim.advance(seconds)
    studio.clock = studio.clock or Hands()
    studio.clock.slept += seconds


def pulled(studio):
    with studio.journal() as journal:
        return journal.prompts("pulled = 1 ORDER BY remote_id")


def told(studio, **how):
    return report.snapshot(studio.state, now=time.time(), daemon={"running": False}, **how)


# What comes, and where to


def test_what_was_made_elsewhere_comes_to_disk(studio):
    """Pictures and record lie below `_account`, in a folder named by the tune, byte for byte."""
    first = made(studio, "a cat on a mat", num_images="2")
    found = pull(studio)
    assert (found["finished"], found["pictures"], found["not_had"]) == (True, 2, [])
    assert found["generations"]["new"] == 1
    names = [f"_account/gemini/a-cat-on-a-mat-{first}{end}" for end in ("-1.jpg", "-2.jpg", ".json")]
    assert studio.files() == names
    assert studio.check_pictures() == 2
    record = json.loads((studio.output / names[2]).read_text())
    assert (record["id"], record["tune_id"], record["pulled"]) == (first, GEMINI, True)
    assert record["text"] == "a cat on a mat"
    assert record["accepted_at"] is not None


def test_nothing_that_creates_goes_out(studio):
    """A pull sends GET and nothing else, also when a folder and a prompt wait to be sent."""
    studio.prompt("p.prompt", "a dog")
    studio.folder("jane")
    with studio.daemon() as daemon:
        daemon.until(lambda: len(daemon.journal.sources()) == 2)  # known to the state, and not sent
    made(studio)
    before = len(studio.sim.ledger.requests())
    pull(studio)
    after = studio.sim.ledger.requests()[before:]
    assert after
    assert {one.method for one in after} == {"GET"}


def test_a_second_pull_asks_for_little(studio):
    """Of 300 generations the pages are read once; the second pull reads the newest page, and fetches nothing again."""
    for n in range(300):
        made(studio, f"FAIL_USER_ERROR {n}")
    made(studio)
    later(studio, 3600)
    found = pull(studio)
    assert len(lists(studio)) == 4  # three pages, and one that is empty
    assert (found["generations"]["failed"], found["generations"]["new"]) == (300, 1)
    later(studio, 3600)
    again = pull(studio)
    assert len(lists(studio)) == 6  # the newest, and whether there is more at the end
    assert again["pictures"] == again["generations"]["new"] == 0
    assert len(fetched(studio)) == 1


def test_what_is_new_since_comes_with_the_next_pull(studio):
    """Of a known account only what is new is taken."""
    made(studio, "one")
    pull(studio)
    second = made(studio, "two")
    found = pull(studio)
    assert (found["generations"]["new"], found["pictures"]) == (1, 1)
    assert f"_account/gemini/two-{second}-1.jpg" in studio.files()


def test_since_leaves_out_what_is_older_until_it_is_asked_for(studio):
    """`--since` takes what was made since; a later pull without it takes the rest, and nothing twice."""
    old = made(studio, "old")
    later(studio, 3 * DAY)
    new = made(studio, "new")
    found = pull(studio, since=studio.clock.wall() - DAY)
    assert [row.remote_id for row in pulled(studio)] == [new]
    assert found["generations"]["listed"] == 1
    later(studio, 3600)
    pull(studio)
    assert [row.remote_id for row in pulled(studio)] == [old, new]
    assert len(fetched(studio)) == 2


def test_what_astria_deletes_first_is_fetched_first(studio):
    """The list is newest first; the pictures are fetched oldest first, and those of a tune that goes soon before that."""
    studio.tables["limits"]["downloads"] = 1
    old = made(studio, "old")
    later(studio, 60)
    new = made(studio, "new")
    for _ in range(130):
        made(studio, "FAIL_USER_ERROR")  # so that there are two pages
    pull(studio)
    with studio.journal() as journal:
        sql = "SELECT p.remote_id FROM images i JOIN prompts p ON p.id = i.prompt_id ORDER BY i.saved_at"
        assert [row[0] for row in journal.rows(sql)] == [old, new]


def test_a_checkpoints_prompts_go_with_their_tune(studio):
    """Pictures of a tune that ends before their 30 days are over have that as their deadline, from the list of tunes."""
    jane = tune(studio, "jane", model_type="lora")
    later(studio, 10)
    made(studio, f"<lora:{jane}:1> woman at the sea")
    pull(studio)
    with studio.journal() as journal:
        ends = journal.value("SELECT expires_at FROM account_tunes WHERE remote_id = ?", [jane])
        (image,) = journal.images()
    assert image.deadline == ends


def test_folders_are_safe_and_distinct(studio):
    """Titles that are equal, differ in case, have slashes, dots or emoji, are long or reserved; and one of a tune that is gone."""
    titles = [
        "jane",
        "jane",
        "JANE",
        "../../etc",
        "a/b",
        "..",
        "x" * 300,
        "nul",
        "🦊",
        "é",
        "e\u0301",
        "con.txt ",
    ]
    ids = [tune(studio, title) for title in titles]
    later(studio, 5)
    for one in ids:
        made(studio, "<1> at home", tune_id=one)
    later(studio, 5)
    pull(studio)
    rows = pulled(studio)
    folders = [row.folder for row in rows]
    assert len({one.casefold() for one in folders}) == len(titles)
    assert "_account/jane" in {one.casefold() for one in folders}
    assert all(one.startswith("_account/") and one.count("/") == 1 for one in folders)
    there = [path for path in studio.home.rglob("*.jpg") if "inbox" not in path.parts]
    assert len(there) == len(titles)
    assert all(path.is_relative_to(studio.output / "_account") for path in there)


def test_the_folder_of_a_tune_that_is_gone_is_its_id(studio):
    """Astria does not show the tune any more: it is asked for once, and the folder is named by its id."""
    jane = tune(studio, "jane")
    later(studio, 5)
    made(studio, "one", tune_id=jane)
    later(studio, 5)
    studio.sim.astria.world.tunes.get(jane).deleted_at = 0
    pull(studio)
    made_later = studio.sim.astria.world.tunes.get(jane)
    made_later.deleted_at = 9e12
    made(studio, "two", tune_id=jane)
    made_later.deleted_at = 0
    later(studio, 5)
    pull(studio)
    assert [row.folder for row in pulled(studio)] == [f"_account/{jane}"] * 2
    assert len(studio.sim.ledger.requests("GET", f"^/tunes/{jane}$")) == 1


def test_a_new_title_changes_no_folder(studio):
    """What was pulled stays where it is and is not fetched again; what comes later lies beside it."""
    jane = tune(studio, "jane")
    later(studio, 5)
    made(studio, "one", tune_id=jane)
    later(studio, 5)
    pull(studio)
    studio.outside(f"/tunes/{jane}", {"tune[title]": "janet"}, method="PATCH")
    made(studio, "two", tune_id=jane)
    later(studio, 5)
    pull(studio)
    assert [row.folder for row in pulled(studio)] == ["_account/jane"] * 2
    assert len(fetched(studio)) == 2


def test_titles_cost_few_requests(studio):
    """However many prompts there are, tunes are asked for by list, and one that no list has just once."""
    jane = tune(studio, "jane")
    later(studio, 5)
    for _ in range(20):
        made(studio, "x", tune_id=jane)
        made(studio)
        made(studio, "y", tune_id=1504944)
    later(studio, 5)
    pull(studio)
    assert not studio.sim.ledger.requests("GET", "^/tunes/[0-9]+$")
    assert not studio.sim.ledger.requests("GET", "^/prompts/[0-9]+$")


# What takes time


def test_what_still_runs_is_followed(studio):
    """A generation that is not finished is waited for."""
    made(studio, num_images="2")
    found = pull(studio)
    assert (found["pictures"], found["not_had"]) == (2, [])


def test_pictures_that_appear_one_after_the_other(make_studio):
    """All of them come."""
    studio = make_studio(trickle=True, generate_seconds=0.5)
    made(studio, num_images="4")
    assert pull(studio)["pictures"] == 4
    assert studio.check_pictures() == 4


def test_what_astria_could_not_make_is_counted_and_nothing_else(studio):
    """No row, no file, no problem; also if it fails while it is waited for."""
    made(studio, "FAIL_USER_ERROR old")
    later(studio, 5)
    made(studio, "FAIL_USER_ERROR new")
    found = pull(studio)
    assert found["generations"]["failed"] >= 1
    assert (found["not_had"], found["problems"], studio.files() if studio.output.exists() else []) == (
        [],
        [],
        [],
    )
    assert told(studio)["items"] == []
    assert not told(studio)["failed"]


def test_what_never_comes_is_not_waited_for(studio):
    """A generation of days ago without pictures is told, gets no row, and is not asked for again."""
    made(studio)
    world = studio.sim.astria.world
    prompt = next(iter(world.prompts.newest()))
    prompt.done_at = prompt.starts_at = 9e12
    prompt.created_at -= 2 * DAY
    found = pull(studio)
    assert (found["generations"]["gone"], pulled(studio)) == (1, [])
    asked = len(lists(studio))
    later(studio, 3600)
    pull(studio)
    assert len(lists(studio)) <= asked + 2


def test_one_that_stops_while_it_is_waited_for(studio):
    """After a day nobody asks any more; it is told as not to be had."""
    made(studio)
    prompt = next(iter(studio.sim.astria.world.prompts.newest()))
    prompt.done_at = prompt.starts_at = 9e12
    with puller(studio) as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'generating'"))
    later(studio, 2 * DAY)
    found = pull(studio)
    assert [row.state for row in pulled(studio)] == ["deleted"]
    assert [one["why"] for one in found["not_had"]] == ["Astria has made no pictures of it within a day"]


def test_a_picture_that_cannot_be_had(studio):
    """It is tried a few times, told, and the rest comes; the next pull tries again."""
    studio.sim.faults.add(Fault(kind="status", status=500, host="pictures", times=20))
    made(studio, "bad")
    found = pull(studio)
    assert [(one["pictures"], one["why"]) for one in found["not_had"]] == [(1, "its host answered 500")]
    assert [item["state"] for item in told(studio)["items"]] == ["downloading"]
    studio.sim.faults.clear()
    assert pull(studio)["pictures"] == 1
    assert told(studio)["items"] == []


def test_what_is_over_its_30_days_is_given_up(studio):
    """Astria may list what it has deleted: after some attempts nobody asks again."""
    studio.sim.faults.add(Fault(kind="status", status=404, host="pictures", times=None))
    made(studio, "old")
    prompt = next(iter(studio.sim.astria.world.prompts.newest()))
    later(studio, 5)
    prompt.created_at -= 31 * DAY
    found = pull(studio)
    assert [row.state for row in pulled(studio)] == ["deleted"]
    assert found["not_had"][0]["pictures"] == 1
    loads = len(fetched(studio))
    found = pull(studio)
    assert len(fetched(studio)) == loads


def test_fewer_pictures_than_asked_for(studio):
    """Of a generation of long ago what is there is all that comes; nobody is alarmed."""
    made(studio, num_images="3")
    later(studio, 3600)
    prompt = next(iter(studio.sim.astria.world.prompts.newest()))
    prompt.pictures = prompt.pictures[:2]
    assert pull(studio)["pictures"] == 2
    assert [row.state for row in pulled(studio)] == ["done"]
    assert studio.value("alarms") is None


# What is ours


def test_what_a_file_owns_is_not_fetched_twice(studio):
    """Its pictures are where the file wants them, and there alone."""
    studio.prompt("p.prompt", "a dog")
    studio.run_once()
    loads = len(fetched(studio))
    found = pull(studio)
    assert found["generations"]["known"] == 1
    assert len(fetched(studio)) == loads
    assert pulled(studio) == []


def test_an_order_whose_answer_was_lost_is_left_alone(studio):
    """What may be its answer is not pulled: the next run finds it, pays nothing, and puts it where the file wants it."""
    studio.prompt("p.prompt", "a dog")
    studio.sim.faults.add(Fault(kind="cut", method="POST", path="/prompts$", cut_at=0))
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'unsure'"))
    assert studio.made() == (0, 1)
    found = pull(studio)
    assert pulled(studio) == []
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"
    assert found["generations"]["new"] == 0
    assert pull(studio)["generations"]["new"] == 0


@pytest.mark.parametrize("sent", [False, True])
def test_an_order_that_was_being_sent_in_a_crash(studio, sent):
    """Nobody knows yet whether Astria has it: the pull leaves it to the run that follows."""
    studio.prompt("p.prompt", "a dog")
    studio.crash(work.CreatePrompt, sent=sent)
    pull(studio)
    assert pulled(studio) == []
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"


def test_a_lost_state_beside_records_of_files(studio):
    """What a record in the output tells of is a file's, also when the state has forgotten it."""
    studio.prompt("p.prompt", "a dog")
    studio.run_once()
    loads = len(fetched(studio))
    lose(studio)
    found = pull(studio)
    assert (found["generations"]["known"], len(fetched(studio)), pulled(studio)) == (1, loads, [])


def test_a_pull_before_the_run_that_would_have_adopted(studio):
    """State and records are lost, and the account is pulled first: the file still owns its generation, and pays nothing."""
    studio.prompt("p.prompt", "a dog", "seed: 7")
    studio.run_once()
    lose(studio)
    shutil.rmtree(studio.output)
    pull(studio)
    assert len(pulled(studio)) == 1
    studio.run_once()
    assert studio.made() == (0, 1)
    assert pulled(studio) == []
    assert studio.only("p.prompt").state == "done"
    assert any(name.startswith("p/p-") for name in studio.files())
    assert pull(studio)["pictures"] == 0


# What lies there already


def test_a_lost_state_beside_pulled_pictures(studio):
    """Their records say that they are there: nothing is fetched again, and a deleted picture stays deleted."""
    made(studio, "one", num_images="2")
    jane = tune(studio, "jane")
    later(studio, 5)
    made(studio, "two", tune_id=jane)
    later(studio, 5)
    pull(studio)
    files, loads = studio.files(), len(fetched(studio))
    (studio.output / files[0]).unlink()
    lose(studio)
    found = pull(studio)
    assert (len(fetched(studio)), found["pictures"], found["generations"]["known"]) == (loads, 0, 2)
    assert studio.files() == files[1:]
    assert sorted(one.state for one in verify(studio.state)) == ["missing", "ok", "ok"]
    made(studio, "three", tune_id=jane)
    later(studio, 5)
    pull(studio)
    assert [row.folder for row in pulled(studio)][1:] == ["_account/jane"] * 2


def test_a_run_after_a_lost_state_leaves_pulled_pictures_alone(studio):
    """Adoption takes no pulled record for a prompt file's."""
    made(studio, "a dog", seed="5")
    pull(studio)
    lose(studio)
    studio.prompt("p.prompt", "a cat")
    before = studio.files()
    studio.run_once()
    assert studio.made() == (0, 2)
    assert set(before) < set(studio.files())
    assert pulled(studio) == []


def test_a_deleted_picture_is_not_fetched_again_unless_asked(studio):
    """Neither by the next pull nor by a run; `verify --repair` gets it."""
    made(studio)
    pull(studio)
    (name,) = [name for name in studio.files() if name.endswith(".jpg")]
    (studio.output / name).unlink()
    pull(studio)
    studio.run_once()
    assert name not in studio.files()
    (found,) = verify(studio.state)
    assert (found.state, found.prompt) == ("missing", "_account")
    with studio.journal() as journal:
        from astria_sync.commands import Commands

        Commands(journal=journal, roots=[], wall=0)("repair", {"images": [found.image_id]})
    studio.run_once()
    assert studio.check_pictures() == 1


# Where it is told, and where it is not


def test_status_counts_the_pictures_and_lists_nothing_that_is_done(studio):
    """Pulled pictures are among the images; money is that of orders made here; no item, no failure."""
    made(studio, num_images="2")
    studio.prompt("p.prompt", "a dog")
    studio.run_once()
    spent = told(studio, everything=True)["spent"]
    pull(studio)
    found = told(studio, everything=True)
    assert found["counts"]["images"]["saved"] == 3
    assert found["counts"]["prompts"]["done"] == 1
    assert found["spent"] == spent
    assert [item["path"] for item in found["items"]] == ["p.prompt"]


def test_nothing_that_was_pulled_is_ordered_again(studio):
    """`retry --all` makes nothing anew of what Astria lost or could not make; nor does a path lead to it."""
    made(studio)
    with puller(studio) as daemon:
        daemon.until(lambda: daemon.journal.prompts("pulled = 1"))
    with studio.journal() as journal:
        journal.change_all("prompts", "state = 'deleted'", "pulled = 1")
    assert studio.command("retry")["count"] == 0
    assert "nothing that astria-sync knows" in studio.command("rerun", studio.output / "_account")["error"]
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.error(".") is None


def test_the_day_limit_does_not_count_it(studio):
    """What others bought is not what this daemon spent, and no price is known from what was free."""
    made(studio, "dear", num_images="8")
    pull(studio)
    studio.tables["limits"]["spend_per_day_usd"] = 0.2
    studio.prompt("p.prompt", "a dog")
    studio.run_once()
    assert studio.only("p.prompt").state == "done"


# Crashes


def one_of(kind, number):
    """True for the so-manieth piece of a kind of work."""
    seen = []

    def test(piece):
        if isinstance(piece, kind):
            seen.append(piece)
        return len(seen) >= number

    return test


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("number", range(1, 6))
def test_killed_at_any_page(studio, number, sent):
    """Whichever page it dies at, the next pull goes on; everything comes, and no picture twice."""
    for n in range(300):
        made(studio, f"FAIL_USER_ERROR {n}" if n % 50 else f"cat {n}")
    later(studio, 3600)
    before = len(lists(studio))
    killed(studio, one_of(PullPage, number), sent=sent)
    found = pull(studio)
    assert found["finished"]
    assert studio.check_pictures() == 6
    assert len(fetched(studio)) == len(set(fetched(studio))) == 6
    assert (
        len(lists(studio)) - before <= 4 + 2
    )  # pages that were committed are not read again, but for the first


@pytest.mark.parametrize("sent", [False, True])
@pytest.mark.parametrize("kind", [work.Download, work.WriteSidecar])
@pytest.mark.parametrize("number", [1, 3])
def test_killed_while_pictures_come(studio, kind, number, sent):
    """What was on its way comes with the next pull, or with the next run; nothing is there twice."""
    for n in range(4):
        made(studio, f"cat {n}")
    later(studio, 3600)
    killed(studio, one_of(kind, number), sent=sent)
    pull(studio)
    assert studio.check_pictures() == 4
    with studio.journal() as journal:
        assert journal.value("SELECT count(*) FROM prompts") == 4


def test_a_run_goes_on_with_a_pull_that_was_killed(studio):
    """The job lies in the state; whoever comes next does the rest."""
    for n in range(130):
        made(studio, f"FAIL_USER_ERROR {n}")
    last = made(studio)
    later(studio, 3600)
    killed(studio, one_of(PullPage, 4), sent=False)
    assert studio.value(pulljob.JOB) is not None
    studio.run_once()
    assert studio.value(pulljob.JOB) is None
    assert [row.remote_id for row in pulled(studio)] == [last]
    assert studio.check_pictures() == 1


# Workspaces, outputs, doors


def test_each_workspace_to_its_own_output(make_studio):
    """The first watch of a workspace says where to; each list is asked for with its workspace."""
    studio = make_studio(
        workspaces=(Workspace(id=7, title="Seven", slug="7"), Workspace(id=8, title="Eight", slug="8"))
    )
    studio.watches[0]["workspace_id"] = "7"
    studio.root("second", workspace_id="8")
    studio.root("third", workspace_id="8")
    assert pulljob.targets(studio.settings(), None) == [
        ["7", str(studio.output)],
        ["8", str(studio.home / "second-out")],
    ]
    assert pulljob.targets(studio.settings(), "/x") == [["7", "/x"], ["8", "/x"]]
    made(studio, "seven", workspace_id="7")
    made(studio, "eight", workspace_id="8")
    made(studio, "personal")
    later(studio, 5)
    pull(studio)
    assert [(row.text, row.output) for row in pulled(studio)] == [
        ("seven", str(studio.output)),
        ("eight", str(studio.home / "second-out")),
    ]


def test_the_daemon_pulls_by_itself(studio):
    """`[pull] enabled`: at the start, and again when it is time."""
    studio.tables["pull"] = {"enabled": True, "every_seconds": 3600}
    made(studio, "one")
    studio.run_once()
    assert len(pulled(studio)) == 1
    made(studio, "two")
    studio.run_once()
    assert len(pulled(studio)) == 1
    later(studio, 3700)
    studio.run_once()
    assert len(pulled(studio)) == 2
    assert studio.check_pictures() == 2


def test_a_daemon_is_asked_to_pull(studio):
    """The command notes it, the running daemon does it; asked twice, it goes back as far as both want."""
    made(studio)
    later(studio, 5)
    with studio.daemon() as daemon:
        assert "job" in daemon.command("pull")
        daemon.until(lambda: daemon.journal.prompts("pulled = 1 AND state = 'done'"))
    assert studio.check_pictures() == 1


def test_what_was_ordered_here_does_not_wait_behind_what_is_pulled(studio):
    """Half of the places go by deadline; in the other half what was ordered here comes first."""
    studio.tables["limits"]["downloads"] = 2
    with studio.daemon() as daemon:
        journal = daemon.journal
        source = journal.add("sources", kind="prompt", root="r", path="p", created_at=0, updated_at=0)
        row = {"source_id": source, "state": "downloading", "created_at": 0, "updated_at": 0}
        for n in range(3):
            one = journal.add("prompts", **row, pulled=True)
            journal.add("images", prompt_id=one, n=1, url="x", identity="x", deadline=n, pulled=True)
        mine = journal.add("prompts", **row)
        journal.add("images", prompt_id=mine, n=1, url="y", identity="y", deadline=100)
        turns = daemon.engine.fetching.turns
        assert {image.url for image in turns.next(2)} == {"x", "y"}
        turns.ordered_only = True
        assert {image.url for image in turns.next(2)} == {"y"}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_list_that_is_not_to_be_had_now(studio, status):
    """It is waited for, and everything comes."""
    studio.sim.faults.add(Fault(kind="status", status=status, path="^/(prompts|tunes)$", times=2))
    made(studio)
    assert pull(studio)["pictures"] == 1


def test_a_workspace_that_is_refused(studio):
    """It is told, and the others come."""
    studio.sim.faults.add(Fault(kind="status", status=404, path="^/tunes$"))
    studio.watches[0]["workspace_id"] = "679"
    studio.root("second", workspace_id="680")
    made(studio, "other", workspace_id="680")
    found = pull(studio)
    assert [row.workspace for row in pulled(studio)] == ["680"]
    assert "does not list the tunes of workspace 679" in found["problems"][0]


def test_no_room(studio, monkeypatch):
    """Nothing is fetched to a full disk; it is told, and comes when there is room."""
    from astria_sync import room

    made(studio)
    later(studio, 5)
    monkeypatch.setattr(room, "_RESERVE", 2**60)
    found = pull(studio)
    assert "make room" in found["problems"][0]
    assert found["not_had"][0]["why"] == "there is no room for it"
    assert not fetched(studio)
    monkeypatch.undo()
    assert pull(studio)["pictures"] == 1


def test_titles_are_remembered_when_the_page_is_not_read(studio):
    """Slowed down among the titles of tunes, it goes on where it was: each is asked for once."""
    ids = [tune(studio, f"t{n}") for n in range(4)]
    later(studio, 5)
    for one in ids:
        made(studio, tune_id=one)
    later(studio, 5)
    for one in ids:
        studio.sim.astria.world.tunes.get(one).deleted_at = 0  # no list has them
    studio.sim.faults.add(Fault(kind="status", status=429, path=f"^/tunes/{ids[2]}$"))
    pull(studio)
    asked = [one.path for one in studio.sim.ledger.requests("GET", "^/tunes/[0-9]+$")]
    assert sorted(asked) == sorted(f"/tunes/{one}" for one in [*ids, ids[2]])
    assert len(pulled(studio)) == 4


def test_plan_reads_no_account(studio):
    """A rehearsal asks Astria nothing, whatever the configuration says."""
    from astria_sync.rehearsal import rehearse

    studio.tables["pull"] = {"enabled": True}
    studio.prompt("p.prompt", "a dog")
    made(studio)
    before = len(studio.sim.ledger.requests())
    assert [one.path for one in rehearse(studio.settings(), wall=time.time())] == ["p.prompt"]
    assert len(studio.sim.ledger.requests()) == before


def test_status_of_a_place(studio):
    """The output is a place like a watched folder."""
    made(studio)
    studio.prompt("p.prompt", "a dog")
    studio.run_once()
    pull(studio)
    assert told(studio, paths=[str(studio.output / "_account")])["counts"]["images"]["saved"] == 1
    assert told(studio, paths=[str(studio.inbox)])["counts"]["images"]["saved"] == 1
    assert report.roots_known(studio.state) == {str(studio.inbox), str(studio.output)}


def test_an_empty_page_that_is_a_slip(studio):
    """What lies behind it comes with the next pull."""
    for n in range(130):
        made(studio, f"FAIL_USER_ERROR {n}" if n else "the oldest")
    later(studio, 3600)
    studio.sim.faults.add(Fault(kind="status", status=200, body="[]", path="^/prompts$", skip=1))
    pull(studio)
    assert pulled(studio) == []
    assert pull(studio)["pictures"] == 1


def test_a_page_that_cannot_be_read_in_part(studio):
    """It is told, and what it hid is not taken for known: the next page, or the next pull, shows it."""
    hidden, shown = made(studio, "hidden"), made(studio, "shown")
    later(studio, 3600)
    body = json.loads(studio.sim.astria.handle(_get("/prompts", studio)).body)
    assert [one["id"] for one in body] == [shown, hidden]
    body[1] = "nonsense"
    studio.sim.faults.add(Fault(kind="status", status=200, body=json.dumps(body), path="^/prompts$"))
    found = pull(studio)
    assert "cannot be read" in found["problems"][0]
    found = pull(studio)
    assert [row.remote_id for row in pulled(studio)] == [hidden, shown]
    assert found["problems"] == []


def _get(path, studio):
    headers = {"authorization": f"Bearer {studio.sim.token}"}
    return Request(method="GET", path=path, query="", headers=headers, fields=(), files=(), host="api")


def test_links_that_end(make_studio):
    """Addresses that have expired by the time it is their turn are asked for anew."""
    studio = make_studio(link_seconds=0.2)
    made(studio, "a")
    made(studio, "b")
    assert pull(studio)["pictures"] == 2
