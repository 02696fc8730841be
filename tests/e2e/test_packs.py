"""`pack` in tune.toml: a pack is run once on a folder, its prompts are tracked and fetched, and nothing is paid twice."""

import json
import shutil
from contextlib import closing, suppress

import pytest

from astria_sync import report
from astria_sync.api import Api
from astria_sync.cli.run import summary
from astria_sync.cli.status import lines
from astria_sync.core import packwork, work
from astria_sync.history import history
from astria_sync.packtasks import find_pack
from astria_sync.rehearsal import rehearse
from astria_sync.secrets import Token
from astria_sync.service import Service
from astria_sync.simulator import Fault
from tests.studio_harness import Crash, Hands

PACK = "corporate-headshots"
RUNS = r"^/p/[^/]+/tunes$"
ANY = r"^/tunes$|/prompts$|^/p/[^/]+/tunes$"
TOML = f'name = "woman"\npack = "{PACK}"'
COST = 112_000  # thousandths of a cent: two prompts of four pictures in 2K
FAULTS = {
    "500 before": {"kind": "status", "status": 500, "when": "before"},
    "504 after": {"kind": "status", "status": 504, "when": "after"},
    "cut before": {"kind": "refuse"},
    "cut after": {"kind": "cut", "cut_at": 0},
    "cut in the body": {"kind": "cut", "cut_at": 300},
    "garbage before": {"kind": "garbage", "when": "before"},
    "garbage after": {"kind": "garbage", "when": "after"},
    "an object without ids": {"kind": "garbage", "when": "after", "body": "{}"},
    "429": {"kind": "status", "status": 429, "when": "before"},
    "402 then": {"kind": "status", "status": 503, "when": "before"},
}


def sent(studio):
    """Every creating request, by its path."""
    return [post.path for post in studio.posts(ANY)]


def packs(studio):
    with studio.journal() as journal:
        return journal.packs("1 ORDER BY id")


def pack(studio):
    (row,) = packs(studio)
    return row


def items(studio, kind="pack"):
    found = report.snapshot(
        studio.state, now=0, daemon={"running": False, "pid": None, "since": None}, everything=True
    )
    return [item for item in found["items"] if item["kind"] == kind]


def with_tune(studio):
    """A folder that has its tune, and whose tune.toml names a pack from now on."""
    studio.folder("jane", 2, 'name = "woman"')
    studio.run_once()
    studio.write("jane/tune.toml", TOML)


def planned(studio, **asking):
    return {(one.kind, one.path): one for one in rehearse(studio.settings(), wall=1.7e9, **asking)}


@pytest.fixture(params=["on pictures", "on a tune"])
def either(request, studio):
    """A studio with a folder whose pack is run with its pictures, or on the tune that it has."""
    if request.param == "on pictures":
        studio.folder("jane", 2, TOML)
    else:
        with_tune(studio)
    return studio


# The whole job


def test_a_pack_is_run_on_the_pictures(studio):
    """One request makes tune and prompts, with the fields and files of a tune; all pictures end under the pack's name."""
    studio.folder("jane", 2, TOML + '\ntitle = "Jane Doe"')
    studio.write("jane/1.txt", "caption")
    studio.run_once()
    assert sent(studio) == [f"/p/{PACK}/tunes"]
    (post,) = studio.posts(RUNS)
    assert (post.field("tune[title]"), post.field("tune[name]")) == ("Jane Doe", "woman")
    assert sorted(file.filename for file in post.files) == ["1.jpg", "1.txt", "2.jpg"]
    assert studio.made() == (1, 2)
    assert studio.check_pictures() == 8
    assert {file.split("/")[0:2] == ["jane", PACK] for file in studio.files()} == {True}
    assert (pack(studio).state, pack(studio).on_pictures) == ("done", True)
    assert studio.run_once().made() == (1, 2)


def test_a_pack_is_run_on_the_tune_of_a_folder(studio):
    """A folder whose tune was made before the key was written: only the prompts are asked for."""
    with_tune(studio)
    studio.run_once()
    assert sent(studio) == ["/tunes", f"/p/{PACK}/tunes"]
    (post,) = studio.posts(RUNS)
    assert dict(post.fields) == {"tune[tune_ids][]": str(studio.tune("jane").remote_id)}
    assert studio.made() == (1, 2)
    assert studio.check_pictures() == 8


def test_a_pack_is_run_on_a_tune_that_is_named(studio):
    """`id` in tune.toml: nothing is uploaded; the class is that of the tune, whatever the folder says."""
    tune = studio.outside("/tunes", {"tune[title]": "x", "tune[name]": "man", "tune[model_type]": "faceid"})
    studio.write("joe/tune.toml", f"id = {tune['id']}\npack = 260")
    studio.run_once()
    assert sent(studio)[-1] == "/p/260/tunes"
    assert studio.made() == (1, 2)
    assert studio.check_pictures() == 6
    assert studio.files()[0].startswith(f"joe/{PACK}/")


def test_a_sidecar_tells_the_pack(studio):
    """Which pack, which of its prompts and which order it was stands beside the pictures."""
    studio.folder("jane", 2, TOML)
    studio.run_once()
    row = studio.prompts()[0]
    told = studio.sidecar(row)
    assert told["pack"] == {"id": 260, "slug": PACK, "template": 501, "order_id": pack(studio).order_id}
    assert told["source"]["path"] == "jane"
    assert told["tunes"][0]["folder"] == "jane"
    assert told["text"].startswith("<faceid:")


def test_the_root_itself_may_be_the_folder(studio):
    """Pictures in the root: the pack's lie right below the output."""
    studio.picture("1.jpg")
    studio.write("tune.toml", TOML)
    studio.run_once()
    assert studio.files()[0].startswith(f"{PACK}/")
    shutil.rmtree(studio.state.parent)
    studio.run_once()
    assert studio.made() == (1, 2)
    assert studio.check_pictures() == 8


def test_a_pack_that_trains_its_own_kind_of_tune(studio):
    """The pack says of what kind and on which model the tune is made; prompts of the folder mention it as that."""
    studio.folder("jane", 2, 'name = "woman"\npack = "spring-lookbook"')
    studio.prompt("jane/p.prompt", "words")
    studio.run_once()
    assert sent(studio)[0] == "/p/spring-lookbook/tunes"
    tune = studio.tune("jane")
    assert (tune.model_type, tune.base_tune_id) == ("lora", 1504944)
    assert studio.only("jane/p.prompt").text.startswith(f"<lora:{tune.remote_id}:1>")
    assert studio.check_pictures() == 5


def test_prompts_of_the_folder_and_of_the_pack_side_by_side(studio):
    """What a .prompt file asks for is none of the pack's, and the other way round."""
    studio.folder("jane", 2, TOML)
    studio.prompt("jane/p.prompt", "in a navy suit, office, soft window light")
    studio.run_once()
    assert studio.made() == (1, 3)
    assert [row.pack_run for row in studio.prompts("jane/p.prompt")] == [None]
    assert len(studio.prompts("jane")) == 2
    assert studio.check_pictures() == 9


def test_status_shows_run_and_prompts(either):
    """People read the folder and the pack: while it is held, and what failed of it."""
    either.tables["limits"] = {"hold_above": 1}
    either.run_once()
    found = report.snapshot(either.state, now=0, daemon={"running": False, "pid": None, "since": None})
    assert f"jane/ [pack {PACK}]" in "\n".join(lines(found, everything=False))
    either.command("approve")
    either.run_once()
    assert [(item["state"], item["prompts"]) for item in items(either)] == [("done", 2)]
    assert [item["pack"] for item in items(either, "prompt")] == [PACK, PACK]
    found = report.snapshot(either.state, now=0, daemon={"running": False, "pid": None, "since": None})
    assert found["items"] == []


# One run, ever


def test_taking_the_key_out_and_back_sends_nothing(studio):
    """One folder and one pack is one run: also by the pack's id, and after a restart."""
    studio.folder("jane", 2, TOML)
    studio.run_once()
    for line in ("", f'pack = "{PACK}"', "pack = 260", f'pack = "{PACK}"\nauto_extend = true'):
        studio.write("jane/tune.toml", f'name = "woman"\n{line}')
        studio.run_once()
    assert len(sent(studio)) == 1
    assert [(row.name, row.current) for row in packs(studio)] == [(PACK, True)]


def test_the_same_pack_by_its_id_before_it_was_known(studio):
    """A run by slug whose row does not know the pack's id by that name: found to be the same before it is sent."""
    studio.folder("jane", 2, TOML)
    studio.run_once()
    with studio.daemon() as daemon, daemon.journal.transaction():
        daemon.journal.change("packs", pack_id := 1, slug="renamed-since", name="renamed-since")
    assert pack_id == 1
    studio.write("jane/tune.toml", TOML)
    studio.run_once()
    assert len(sent(studio)) == 1
    assert [(row.name, row.current) for row in packs(studio)] == [(PACK, True)]


def test_another_slug_runs_the_other_pack(studio):
    """The first run stays as it is; the second is done on the tune that is there."""
    studio.folder("jane", 2, TOML)
    studio.run_once()
    studio.write("jane/tune.toml", 'name = "woman"\npack = "spring-lookbook"')
    studio.run_once()
    assert sent(studio) == [f"/p/{PACK}/tunes", "/p/spring-lookbook/tunes"]
    assert studio.made() == (1, 3)
    assert studio.check_pictures() == 12
    assert [row.current for row in packs(studio)] == [False, True]


def test_a_pack_is_not_inherited(studio):
    """Only the folder whose tune.toml names it runs a pack."""
    studio.folder("jane", 1, TOML)
    studio.folder("jane/summer", 1)
    studio.run_once()
    assert sorted(sent(studio)) == [f"/p/{PACK}/tunes", "/tunes"]


def test_a_new_tune_runs_no_pack_again(studio):
    """`retrain` makes a tune of the pictures; the pack was run."""
    folder = studio.folder("jane", 2, TOML)
    studio.run_once()
    studio.picture("jane/new.jpg")
    studio.command("retrain", folder)
    studio.run_once()
    assert sent(studio) == [f"/p/{PACK}/tunes", "/tunes"]


def test_a_folder_that_moves_takes_its_run_along(studio):
    """A renamed folder is the same one: nothing is run again."""
    folder = studio.folder("jane", 2, TOML)
    studio.run_once()
    folder.rename(studio.inbox / "joan")
    studio.run_once()
    assert sent(studio) == [f"/p/{PACK}/tunes"]


# Wrong input


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('name = "woman"\npack = "corporate-headshot"', "did you mean corporate-headshots?"),
        ('name = "woman"\npack = "zzz"', "Astria has no pack zzz"),
        ('name = "cat"\npack = "corporate-headshots"', "no prompts for cat, only for man, woman"),
        ('pack = "corporate-headshots"', "needs a class noun: write name = one of man, woman"),
    ],
)
def test_what_cannot_be_run_is_told_and_nothing_is_sent(studio, toml, words):
    """One sentence beside the folder and in `status`; neither tune nor pack goes out, and mending it is enough."""
    studio.folder("jane", 2, toml)
    studio.run_once()
    assert sent(studio) == []
    assert words in studio.error("jane")
    assert studio.error("jane").count(words) == 1
    assert [words in item["reason"] for item in (*items(studio), *items(studio, "tune"))] == [True, True]
    studio.write("jane/tune.toml", TOML)
    studio.run_once()
    assert (studio.error("jane"), studio.check_pictures()) == (None, 8)


def test_a_class_that_the_tune_has_not(studio):
    """On a tune that is there its own class counts."""
    tune = studio.outside("/tunes", {"tune[title]": "x", "tune[name]": "cat", "tune[model_type]": "faceid"})
    studio.write("joe/tune.toml", f'id = {tune["id"]}\npack = "{PACK}"')
    studio.run_once()
    assert sent(studio) == ["/tunes"]  # somebody's, elsewhere
    assert f"for man, woman, and tune {tune['id']} is of the class cat" in studio.error("joe")
    with studio.daemon() as daemon:
        assert daemon.run(5)
        assert Service._exit_code(daemon.engine, once=True) == 1


def test_what_astria_refuses_is_final_and_told_in_its_words(either):
    """Sent once; again when the folder says something else, or on `retry`."""
    words = {"error": "This pack cannot be run on a checkpoint"}
    fault = Fault(kind="status", status=422, method="POST", path=RUNS, body=json.dumps(words))
    either.sim.faults.add(fault)
    before = either.made()[1]
    either.run_once()
    either.run_once()
    assert len(either.posts(RUNS)) == 1
    assert "This pack cannot be run on a checkpoint" in either.error("jane")
    either.command("retry", either.inbox / "jane")
    either.run_once()
    assert (either.made()[1] - before, either.error("jane")) == (2, None)
    assert either.check_pictures() == 8


def test_another_pack_after_a_refusal(either):
    """Naming another pack is a change: that one is run."""
    either.sim.faults.add(Fault(kind="status", status=422, method="POST", path=RUNS))
    either.run_once()
    either.write("jane/tune.toml", 'name = "woman"\npack = "spring-lookbook"')
    either.run_once()
    assert sent(either)[-1] == "/p/spring-lookbook/tunes"
    assert either.check_pictures() == 4
    assert either.error("jane") is None


def test_a_prompt_that_astria_cannot_make_is_told(make_studio):
    """A pack's prompt that fails is shown with folder and slug; the others are fetched."""
    studio = make_studio(user_error_word="blouse")
    folder = studio.folder("jane", 2, TOML)
    studio.run_once()
    assert "safety filter" in studio.error("jane")
    (failed,) = [item for item in items(studio, "prompt") if item["state"] == "failed"]
    assert (failed["path"], failed["pack"]) == ("jane", PACK)
    assert studio.check_pictures() == 4
    studio.command("retry", folder)
    studio.run_once()
    assert len(sent(studio)) == 1


def test_a_pack_that_cannot_be_asked_about_waits(studio):
    """Trouble of the server while the pack is looked up costs nothing and is tried again."""
    studio.sim.faults.add(Fault(kind="status", status=500, method="GET", path=r"^/p/", times=2))
    studio.sim.faults.add(Fault(kind="garbage", method="GET", path=r"^/p/", body="[]", skip=2))
    studio.folder("jane", 2, TOML)
    studio.run_once()
    assert studio.check_pictures() == 8


# Doors


def test_a_large_pack_waits_for_approval(either):
    """A pack of more prompts than `hold_above` waits for a person, its pictures too."""
    either.tables["limits"] = {"hold_above": 1}
    before = len(sent(either))
    either.run_once()
    assert (len(sent(either)), pack(either).state) == (before, "held")
    assert either.command("approve", either.inbox / "jane")["message"] == "1 pack let go."
    either.run_once()
    assert either.check_pictures() == 8


def test_many_packs_at_one_go_wait(studio):
    """Folders dropped together are counted together."""
    studio.tables["limits"] = {"hold_above": 3}
    studio.folder("jane", 1, TOML)
    studio.folder("joan", 1, TOML)
    studio.run_once()
    assert sent(studio) == []
    assert {row.state for row in packs(studio)} == {"held"}


def test_the_days_limit_holds_a_pack(either):
    """Its price is known before: what would pass the limit waits, and goes when there is room."""
    either.tables["limits"] |= {"spend_per_day_usd": COST / 100_000 - 0.01}
    before = len(sent(either))
    either.run_once()
    assert (len(sent(either)), pack(either).state) == (before, "held")
    assert "only `astria-sync approve` lets it go" in pack(either).reason
    either.tables["limits"]["spend_per_day_usd"] = 2
    either.run_once()
    assert either.check_pictures() == 8
    assert sum(row.cost_mc for row in either.prompts()) == COST


def test_a_full_output_lets_no_pack_go(either, monkeypatch):
    """Nothing is bought that cannot be saved; the folder's pictures wait with it."""
    before = len(sent(either))
    monkeypatch.setattr("astria_sync.room._PICTURE", 10**15)
    either.run_once()
    assert (len(sent(either)), pack(either).state) == (before, "queued")
    monkeypatch.undo()
    either.run_once()
    assert either.check_pictures() == 8


def test_paused(either):
    """While paused a pack is looked up and nothing is sent."""
    before = len(sent(either))
    either.command("pause")
    either.run_once()
    assert (len(sent(either)), pack(either).state) == (before, "queued")
    either.command("resume")
    either.run_once()
    assert either.check_pictures() == 8


# Unsure


@pytest.mark.parametrize("name", FAULTS)
def test_a_pack_is_run_exactly_once(either, name):
    """Whatever becomes of the answer: one order's prompts, all of them tracked and fetched."""
    either.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS[name]))
    either.run_once()
    assert either.made() == (1, 2)
    assert either.check_pictures() == 8
    assert pack(either).state == "done"
    before = len(sent(either))
    either.run_once()
    assert len(sent(either)) == before


@pytest.mark.parametrize("lag", [0.0, 0.15])
def test_lists_that_lag(make_studio, lag):
    """A list that is behind proves nothing: the run is found in a later one."""
    for fault in ("504 after", "garbage after"):
        studio = make_studio(list_lag_seconds=lag)
        with_tune(studio)
        studio.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS[fault]))
        studio.run_once()
        assert studio.made() == (1, 2)
        assert studio.check_pictures() == 8


@pytest.mark.parametrize("fault", [None, "504 after"])
@pytest.mark.parametrize("told", [True, False])
def test_prompts_that_appear_one_after_the_other(make_studio, fault, told):
    """All of them are tracked, also where Astria does not show of which pack a prompt is."""
    for begin in (with_tune, lambda studio: studio.folder("jane", 2, TOML)):
        studio = make_studio(pack_seconds=0.3, tells_packs=told)
        begin(studio)
        if fault:
            studio.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS[fault]))
        studio.run_once()
        assert studio.made() == (1, 2)
        assert studio.check_pictures() == 8


def test_fewer_prompts_than_the_pack_has(studio):
    """What does not come is told after a while; what comes is fetched."""
    with_tune(studio)
    studio.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS["504 after"]))
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.made()[1] == 2)
        entry = studio.sim.ledger.created_prompts()[0]
        studio.outside(f"/prompts/{entry.id}", {}, method="DELETE")
        assert daemon.run(15)
    assert studio.value("alarms") == [f"jane: Astria made 1 of the 2 prompts of the pack {PACK}."]
    assert studio.check_pictures() == 4


def test_idempotency_is_told_and_never_taken_for_ours(make_studio):
    """Prompts that were there before the run are somebody's: the folder says so."""
    studio = make_studio(idempotency=True)
    tune = studio.outside("/tunes", {"tune[title]": "x", "tune[name]": "woman", "tune[model_type]": "faceid"})
    with studio.daemon() as daemon:
        assert daemon.run(5)
        studio.outside(f"/p/{PACK}/tunes", {"tune[tune_ids][]": str(tune["id"])})
        studio.write("jane/tune.toml", f'id = {tune["id"]}\npack = "{PACK}"')
        daemon.look()
        daemon.until(lambda: packs(studio) and pack(studio).state == "failed")
    assert studio.prompts("jane") == []
    assert "idempotency is on" in studio.error("jane")
    assert studio.made() == (1, 2)


def test_idempotency_of_the_tune_that_a_pack_makes(make_studio):
    """A title that is taken: neither tune nor prompts are ours, and both are told once."""
    studio = make_studio(idempotency=True)
    studio.outside("/tunes", {"tune[title]": "jane", "tune[name]": "woman", "tune[model_type]": "faceid"})
    studio.folder("jane", 2, TOML)
    with studio.daemon() as daemon, daemon.journal.transaction():
        daemon.journal.put(
            "created_at", 0.0
        )  # the folder is newer than the state: the account is not searched for it
        daemon.journal.put(f"walked:{studio.inbox}", True)
    studio.run_once()
    assert (pack(studio).state, studio.made()) == ("failed", (1, 0))
    assert studio.error("jane").count("idempotency is on") == 1


def test_a_run_of_a_root_that_is_watched_no_more(studio):
    """What was ordered before the root was taken out of the configuration is still tracked and fetched."""
    other = studio.root("other")
    studio.write(other / "jane/1.jpg", studio.photo())
    studio.write(other / "jane/tune.toml", TOML)
    studio.crash(work.CreateTune, sent=True)
    watch = studio.watches.pop()
    studio.run_once()
    assert studio.made() == (1, 2)
    studio.watches.append(watch)
    assert studio.check_pictures() == 8


def test_a_lost_run_that_turns_up_after_it_was_sent_again(studio):
    """Two orders of one run: both are fetched, the second is told as made twice."""
    with_tune(studio)
    studio.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS["500 before"]))
    with studio.daemon() as daemon:
        daemon.until(lambda: len(studio.posts(RUNS)) == 2 and pack(studio).state == "done")
        tune = studio.tune("jane").remote_id
        studio.outside(f"/p/{PACK}/tunes", {"tune[tune_ids][]": str(tune)})
        daemon.until(lambda: [row.state for row in studio.prompts("jane")] == ["done"] * 4)
    assert studio.made() == (1, 4)
    assert studio.check_pictures() == 16
    found = report.snapshot(studio.state, now=0, daemon={"running": False, "pid": None, "since": None})
    assert [one["kind"] for one in found["problems"]].count("duplicate") == 2


def test_a_persons_own_run_is_not_ours(studio):
    """The same pack, run on the same tune on the web page after ours: those prompts are not fetched."""
    with_tune(studio)
    studio.run_once()
    tune = studio.tune("jane").remote_id
    studio.outside(f"/p/{PACK}/tunes", {"tune[tune_ids][]": str(tune)})
    studio.prompt("p.prompt", "a list is read")
    studio.run_once()
    assert len(studio.prompts("jane")) == 2


# Crashes

CRASHES = [
    (packwork.FindPack, False),
    (packwork.RunPack, False),
    (packwork.RunPack, True),
    (work.CreateTune, False),
    (work.CreateTune, True),
    (work.Survey, True),
    (work.Download, True),
    (work.WriteSidecar, False),
]


@pytest.mark.parametrize(("piece", "out"), CRASHES)
def test_a_crash_at_any_point(either, piece, out):
    """Nothing is paid twice and every picture comes."""
    has_tune = len(sent(either)) == 1
    if piece is not (work.CreateTune if has_tune else packwork.RunPack):
        either.crash(piece, sent=out)
    either.run_once()
    assert either.made() == (1, 2)
    assert either.check_pictures() == 8
    assert pack(either).state == "done"


@pytest.mark.parametrize("nth", range(1, 7))
def test_a_crash_before_the_nth_list(either, nth):
    """Between arming and the last prompt that is bound there are only lists: a crash at any of them."""
    count = 0

    def now(piece):
        nonlocal count
        count += isinstance(piece, work.Survey | work.Poll)
        return count == nth

    either.sim.faults.add(Fault(method="POST", path=RUNS, **FAULTS["504 after"]))
    with suppress(Crash), either.daemon(crash_when=now, sent=True) as daemon:
        daemon.run(10)  # the last of them it may not come to
    either.run_once()
    assert either.made() == (1, 2)
    assert either.check_pictures() == 8


# A lost state


def test_a_lost_state_with_records(either):
    """Sidecars tell that the pack was run: nothing is paid, nothing fetched."""
    either.run_once()
    shutil.rmtree(either.state.parent)
    fetched = len(either.sim.ledger.requests("GET", host="pictures"))
    before = len(sent(either))
    either.run_once()
    assert len(sent(either)) == before
    assert either.check_pictures() == 8
    assert len(either.sim.ledger.requests("GET", host="pictures")) == fetched
    assert pack(either).state == "done"


def test_a_lost_state_and_output(either):
    """Astria's lists tell it as well, and the pictures are fetched again."""
    either.run_once()
    shutil.rmtree(either.state.parent)
    shutil.rmtree(either.output)
    before = len(sent(either))
    either.run_once()
    assert len(sent(either)) == before
    assert either.check_pictures() == 8


def test_records_of_what_astria_has_forgotten(either):
    """Tune and prompts are gone at Astria: the pack is not run again, nor by another name, nor on a new tune."""
    either.run_once()
    for entry in either.sim.ledger.created_prompts():
        either.outside(f"/prompts/{entry.id}", {}, method="DELETE")
    for entry in either.sim.ledger.created_tunes():
        either.outside(f"/tunes/{entry.id}", {}, method="DELETE")
    shutil.rmtree(either.state.parent)
    before = len(sent(either))
    either.run_once(timeout=20)
    assert len(sent(either)) == before
    assert either.check_pictures() == 8


def test_a_run_of_which_one_picture_is_recorded(studio):
    """The state is lost while pictures were still fetched: those that are recorded stay, the others come."""
    studio.folder("jane", 2, TOML)
    count = 0

    def second(piece):
        nonlocal count
        count += isinstance(piece, work.WriteSidecar)
        return count == 2

    studio.crash(second, sent=False)
    shutil.rmtree(studio.state.parent)
    studio.run_once()
    assert (len(sent(studio)), studio.check_pictures()) == (1, 8)


def test_a_run_long_ago_does_not_hurt(studio):
    """A month later the state knows of its run whatever lists say."""
    studio.clock = Hands()
    studio.folder("jane", 2, TOML)
    studio.run_once()
    studio.clock.slept = 40 * 86400.0
    studio.run_once()
    assert len(sent(studio)) == 1


# plan


def asking(studio):
    """What `plan` asks Astria: what a pack is."""

    def ask(piece):
        with closing(Api(studio.base_url, lambda: Token(studio.token, source="the test"), timeout=5)) as api:
            return find_pack(api, piece)

    return ask


def test_plan_tells_what_comes_of_a_pack_and_what_it_costs(either):
    """Prompts, pictures and the price from Astria's `costs`; nothing is sent, and the run costs just that."""
    before = len(sent(either))
    found = planned(either, ask=asking(either))["pack", "jane"]
    assert (found.state, found.method_path) == ("new", f"POST /p/{PACK}/tunes")
    assert "2 prompts and 8 pictures" in found.reason
    assert found.estimate_usd == COST / 100_000
    assert len(sent(either)) == before
    either.run_once()
    assert sum(row.cost_mc for row in either.prompts()) == COST
    assert ("pack", "jane") not in planned(either, ask=asking(either))


def test_plan_says_when_it_does_not_know(studio):
    """Without an answer of Astria's the price is not known."""
    studio.folder("jane", 2, TOML)
    found = planned(studio)["pack", "jane"]
    assert (found.estimate_usd, found.state) == (None, "new")
    assert "could not be asked" in found.reason


def test_plan_tells_what_cannot_be_run(studio):
    """A pack that does not exist is told before anything is started."""
    studio.folder("jane", 2, 'pack = "nope"')
    found = planned(studio, ask=asking(studio))
    assert {key: one.state for key, one in found.items()} == {("tune", "jane"): "failed"}
    assert "no pack nope" in found["tune", "jane"].reason


@pytest.mark.parametrize("toml", ['pack = "nope"', f'name = "dragon"\npack = "{PACK}"'])
def test_what_cannot_be_run_is_told_once(studio, toml):
    """A pack or a class that does not exist stops the folder: one line in `status` and in what `run --once` says at its end."""
    studio.folder("jane", 2, toml)
    studio.run_once()
    stopped = {"running": False, "pid": None, "since": None}
    found = report.snapshot(studio.state, now=0, daemon=stopped)
    assert [(item["kind"], item["path"], item["state"]) for item in found["items"]] == [
        ("tune", "jane", "failed")
    ]
    assert "\n".join(summary(studio.state, since=0)).count("jane:") == 1
    assert found["failed"]


def test_plan_shows_a_pack_on_pictures_once(studio):
    """Tune and prompts are one request with one price: the pack's, and what the tune's training costs where that is known."""
    studio.folder("jane", 2, 'name = "woman"\npack = "spring-lookbook"')
    studio.prompt("jane/p.prompt", "words")
    found = planned(studio, ask=asking(studio))
    assert set(found) == {("pack", "jane"), ("prompt", "jane/p.prompt")}
    pack = found["pack", "jane"]
    assert (pack.state, pack.uploads) == ("new", ["1.jpg", "2.jpg"])
    assert ("tune[title]", "jane") in pack.fields
    assert ("tune[model_type]", "lora") in pack.fields
    assert "its tune costs comes on top" in pack.reason
    alone = pack.estimate_usd
    assert alone is not None
    studio.run_once()
    studio.folder("joan", 2, 'name = "woman"\npack = "spring-lookbook"')
    again = planned(studio, ask=asking(studio))["pack", "joan"]
    assert again.estimate_usd == pytest.approx(alone + studio.tune("jane").cost_mc / 100_000)
    assert "on top" not in again.reason


def test_plan_sends_nothing_for_a_tune_that_is_there(studio):
    """`id = N` is used as it is: no request, no price, and no tune among those that are counted."""
    studio.folder("jane", 2)
    studio.run_once()
    studio.folder("joan", 1, f"id = {studio.tune('jane').remote_id}")
    studio.prompt("joan/p.prompt", "words")
    found = planned(studio)
    assert {key: one.state for key, one in found.items()} == {
        ("tune", "joan"): "used",
        ("prompt", "joan/p.prompt"): "new",
    }


def test_plan_shows_what_the_limits_would_hold(studio):
    """`hold_above` and the day's limit hold packs back in a plan too."""
    studio.folder("jane", 2, TOML)
    studio.tables["limits"] = {"hold_above": 1}
    assert planned(studio, ask=asking(studio))["pack", "jane"].state == "held"
    studio.tables["limits"] = {"hold_above": 10, "spend_per_day_usd": 0.5}
    assert planned(studio, ask=asking(studio))["pack", "jane"].state == "held"


def test_a_rehearsal_runs_no_pack(studio):
    """A pack costs money: a rehearsal makes its free tune and tells so; the real thing runs the pack once."""
    studio.watches[0]["rehearse"] = True
    studio.folder("jane", 2, TOML)
    studio.run_once()
    assert sent(studio) == ["/tunes"]
    assert "a rehearsal runs none" in studio.value("alarms")[0]
    studio.watches[0]["rehearse"] = False
    studio.run_once()
    assert sent(studio) == ["/tunes", f"/p/{PACK}/tunes"]
    assert studio.check_pictures() == 8
    assert not studio.value("alarms")


def test_a_folder_that_is_deleted_takes_its_pack_along(studio):
    """With `on_delete` what a pack made of a folder that is gone goes at Astria too, after the grace."""
    studio.watches[0]["on_delete"] = "delete"
    studio.tables["timing"] |= {"delete_grace_seconds": 0.1}
    folder = studio.folder("jane", 2, TOML)
    studio.prompt("stays.prompt", "words")
    studio.run_once()
    shutil.rmtree(folder)
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.tune("jane").state == "deleted")
    assert len(studio.sim.ledger.requests("DELETE", host="api")) == 3
    assert studio.made() == (1, 3)


def test_the_prompts_of_a_pack_are_told_as_made_by_it(studio, caplog):
    """In the log and in the history: "was there already" would be somebody else's."""
    caplog.set_level("INFO", "astria_sync")
    studio.folder("jane", toml=TOML)
    studio.run_once()
    told = [one["text"] for one in history(studio.state, str(studio.inbox / "jane"))["events"]]
    logged = [record.getMessage() for record in caplog.records]
    for words in (told, logged):
        assert sum("was made by the pack" in line for line in words) == 2
        assert not any("was there already" in line for line in words)
