"""A lost or older state beside the pictures: their records say what was paid for, also when Astria has forgotten it."""

import itertools
import json
import os
import shutil
import sqlite3
import threading
from contextlib import closing

import pytest

from astria_sync import adopting, report, sending, sidecars
from astria_sync.commands import Commands
from astria_sync.core import work
from astria_sync.reconciling import Reconciling
from astria_sync.service import Service
from astria_sync.verify import verify
from tests.studio_harness import Crash


def lose(studio):
    """The state is lost."""
    shutil.rmtree(studio.state.parent)


def forget(studio):
    """Astria has deleted everything: 30 days have passed."""
    for entry in studio.sim.ledger.created_prompts():
        studio.outside(f"/prompts/{entry.id}", {}, method="DELETE")
    for entry in studio.sim.ledger.created_tunes():
        studio.outside(f"/tunes/{entry.id}", {}, method="DELETE")


def fetched(studio):
    return len(studio.sim.ledger.requests("GET", host="pictures"))


def checked(studio):
    """What `verify` says of every picture."""
    return [found.state for found in verify(studio.state)]


def costs(studio):
    return report.snapshot(studio.state, now=studio_now(studio), daemon={"running": False})["spent"]


def studio_now(studio):
    return os.stat(studio.state).st_mtime


@pytest.fixture
def filled(studio):
    """A folder with its prompt, one that mentions it, and a matrix; all done."""
    studio.folder("jane", pictures=2, toml='name = "woman"\n')
    studio.prompt("jane/p.prompt", "runs", "num_images: 2")
    studio.prompt("look.prompt", "<jane> at the sea")
    studio.prompt("m.prompt", "a {color} cat", "matrix: {color: [red, blue]}")
    return studio.run_once()


def test_a_lost_state_beside_all_pictures(filled):
    """Nothing is ordered, nothing is fetched, and every row is what it was."""
    before = {row.remote_id: row for row in filled.prompts()}
    money, loads, posts = costs(filled), fetched(filled), len(filled.posts())
    lose(filled)
    filled.run_once()
    assert (len(filled.posts()), fetched(filled)) == (posts, loads)
    assert filled.check_pictures() == 5
    assert checked(filled) == ["ok"] * 5
    same = "fingerprint variant run current state script target model text params files seed num_images folder output stem"
    same += " cost_mc url answer request error reason"
    for row in filled.prompts():
        old = before[row.remote_id]
        assert [getattr(row, one) for one in same.split()] == [getattr(old, one) for one in same.split()]
        for at in ("armed_at", "bound_at", "pictured_at"):
            assert getattr(row, at) == pytest.approx(getattr(old, at), abs=0.002)
    assert costs(filled) == money


def test_what_astria_has_forgotten_is_not_bought_again(filled):
    """Prompts that are older than Astria's 30 days, one that waits for a tune that is gone among them."""
    forget(filled)
    posts, loads = len(filled.posts()), fetched(filled)
    lose(filled)
    filled.run_once(timeout=20)
    assert (len(filled.posts()), fetched(filled)) == (posts, loads)
    assert {row.state for row in filled.prompts()} == {"done"}
    assert checked(filled) == ["ok"] * 5


def test_a_folder_whose_tune_is_gone(filled):
    """It has had its one tune: it is told that Astria has deleted it, and a new one is made on `retrain`."""
    tune = filled.tune("jane").remote_id
    forget(filled)
    lose(filled)
    filled.prompt("new.prompt", "<jane> on a hill")
    filled.run_once(timeout=20)
    assert (filled.tune("jane").remote_id, filled.tune("jane").state) == (tune, "deleted")
    assert "retrain" in filled.only("new.prompt").reason
    filled.command("retrain", filled.inbox / "jane")
    filled.run_once()
    assert filled.made() == (2, 5)
    assert filled.only("new.prompt").state == "done"


def test_a_tune_under_another_title_is_known_by_its_record(filled):
    """The folder was renamed while there was no state: its pictures say that it is the same, and Astria is told the new title."""
    tune = filled.tune("jane").remote_id
    lose(filled)
    (filled.inbox / "jane").rename(filled.inbox / "janet")
    (filled.inbox / "look.prompt").unlink()
    filled.run_once()
    assert filled.made() == (1, 4)
    assert filled.tune("janet").remote_id == tune
    assert filled.sim.ledger.requests("PATCH")[-1].field("tune[title]") == "janet"
    assert filled.only("janet/p.prompt").state == "done"


def test_a_folder_that_comes_later_under_an_old_name(filled):
    """Somebody who drops a folder wants a tune of it, whatever another of its name had."""
    lose(filled)
    shutil.move(filled.inbox / "jane", filled.home / "away")
    with filled.daemon() as daemon:
        assert daemon.run(10)
        filled.folder("jane", toml='name = "woman"\n')
        daemon.look()
        daemon.until(lambda: filled.made()[0] == 2)
        assert daemon.run(10)


def test_a_folder_that_has_changed_since(filled):
    """Changing pictures sends nothing: the tune is found by its record, and the change is shown."""
    tune = filled.tune("jane").remote_id
    lose(filled)
    filled.picture("jane/3.jpg")
    filled.run_once()
    assert filled.made() == (1, 4)
    assert (filled.tune("jane").remote_id, filled.tune("jane").changed) == (tune, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("look.prompt", "renamed.prompt"),
        ("look.prompt", "deep/down/look.prompt"),
        ("jane/p.prompt", "jane/q.prompt"),
    ],
)
def test_a_file_that_has_moved(filled, old, new):
    """It is the same order wherever it lies now; its pictures stay where they are."""
    was = filled.only(old)
    forget(filled)
    lose(filled)
    (filled.inbox / new).parent.mkdir(parents=True, exist_ok=True)
    (filled.inbox / old).rename(filled.inbox / new)
    filled.run_once(timeout=20)
    assert filled.made() == (1, 4)
    now = filled.only(new)
    assert (now.remote_id, now.folder, now.state) == (was.remote_id, was.folder, "done")


def test_a_copy_is_a_new_order(filled):
    """The file that it was copied from is there and has its record."""
    before = filled.only("look.prompt").remote_id
    lose(filled)
    shutil.copy2(filled.inbox / "look.prompt", filled.inbox / "again.prompt")
    filled.run_once()
    assert filled.made() == (1, 5)
    assert filled.only("look.prompt").remote_id == before


def test_the_same_words_for_another_person_are_a_new_order(filled):
    """Somebody else's folder, with a copy of the prompt: that the first one's is gone does not make it hers."""
    lose(filled)
    filled.folder("ann", pictures=1, toml='name = "woman"\n')
    (filled.inbox / "jane/p.prompt").rename(filled.inbox / "ann/p.prompt")
    filled.run_once()
    assert filled.made() == (2, 5)
    assert f"<faceid:{filled.tune('ann').remote_id}:1>" in filled.only("ann/p.prompt").text


def test_a_matrix_with_a_new_value(filled):
    """Only the new combination is ordered."""
    forget(filled)
    lose(filled)
    filled.prompt("m.prompt", "a {color} cat", "matrix: {color: [red, blue, green]}")
    filled.run_once(timeout=20)
    assert filled.made() == (1, 5)
    assert {row.variant["color"]: row.state for row in filled.prompts("m.prompt")} == dict.fromkeys(
        ("red", "blue", "green"), "done"
    )


def test_two_files_of_the_same_words(studio):
    """Each has its own; a third one is new."""
    for name in "ab":
        studio.prompt(f"{name}.prompt", "words")
    studio.run_once()
    ids = {name: studio.only(f"{name}.prompt").remote_id for name in "ab"}
    forget(studio)
    lose(studio)
    studio.prompt("c.prompt", "words")
    studio.run_once()
    assert studio.made() == (0, 3)
    assert {name: studio.only(f"{name}.prompt").remote_id for name in "ab"} == ids


def test_a_picture_that_was_deleted(filled):
    """It is not fetched again unless asked: `verify` misses it, and `--repair` gets it from Astria."""
    (gone,) = (filled.output / "look").glob("*.jpg")
    data = gone.read_bytes()
    gone.unlink()
    loads = fetched(filled)
    lose(filled)
    filled.run_once()
    assert fetched(filled) == loads
    missing = [found for found in verify(filled.state) if found.state != "ok"]
    assert [(found.file, found.state) for found in missing] == [(gone, "missing")]
    with filled.journal() as journal:
        Commands(journal=journal, roots=[], wall=0.0)("repair", {"images": [missing[0].image_id]})
    filled.run_once()
    assert gone.read_bytes() == data
    assert filled.check_pictures() == 5


def test_former_generations_come_back(filled):
    """What `rerun` made, and what the file asked for earlier, are known again: one more is one more, an old version is no order."""
    filled.command("rerun", filled.inbox / "look.prompt")
    filled.run_once()
    filled.prompt("look.prompt", "<jane> at home")
    filled.run_once()
    money = costs(filled)
    lose(filled)
    filled.run_once()
    assert filled.made() == (1, 6)
    assert sorted((row.run, row.current) for row in filled.prompts("look.prompt")) == [
        (1, False),
        (1, True),
        (2, False),
    ]
    assert filled.check_pictures() == 7
    assert costs(filled) == money
    for version, run in (("at home", 2), ("at the sea", 3)):
        before = filled.made()[1]
        filled.prompt("look.prompt", f"<jane> {version}")
        filled.run_once()
        assert filled.made()[1] == before
        assert filled.command("rerun", filled.inbox / "look.prompt")["count"] == 1
        filled.run_once()
        assert filled.made()[1] == before + 1
        assert version in filled.created(before).facts["text"]
        assert filled.prompts("look.prompt")[-1].run == run


@pytest.mark.parametrize("forgotten", [True, False], ids=["forgotten", "listed"])
def test_what_astria_made_twice(studio, forgotten):
    """Both are known again, the one as made besides the other: told as before, and no wish of its own."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    row = studio.only("p.prompt")
    fields = {"prompt[text]": row.text, "prompt[seed]": str(row.seed)}
    studio.outside(f"/tunes/{row.target}/prompts", fields)
    studio.run_once()
    before = [(row.remote_id, row.spare_of is None, row.run, row.current) for row in studio.prompts()]
    assert len(before) == 2
    told = report.snapshot(studio.state, now=0.0, daemon={"running": False})["problems"]
    if forgotten:
        forget(studio)
    lose(studio)
    studio.run_once()
    assert studio.made() == (0, 2)
    assert [(row.remote_id, row.spare_of is None, row.run, row.current) for row in studio.prompts()] == before
    assert report.snapshot(studio.state, now=0.0, daemon={"running": False})["problems"] == told
    assert studio.check_pictures() == 2


def test_what_astria_shows_later_of_a_recorded_order(filled):
    """The same words with its seed turn up in a list: Astria made it twice, and that is told."""
    lose(filled)
    filled.run_once()
    row = filled.only("look.prompt")
    fields = {"prompt[text]": row.text, "prompt[seed]": str(row.seed)}
    second = filled.outside(f"/tunes/{row.target}/prompts", fields)["id"]
    filled.prompt("new.prompt", "new words")
    filled.run_once()
    told = report.snapshot(filled.state, now=0.0, daemon={"running": False})["problems"]
    assert [(one["kind"], one["id"], one["besides"]) for one in told] == [
        ("duplicate", second, row.remote_id)
    ]


def test_hold_above_does_not_hold_what_is_recorded(studio):
    """An archive that was ordered long ago is no crowd of new prompts."""
    for n in range(6):
        studio.prompt(f"p{n}.prompt", f"words {n}")
    studio.run_once()
    forget(studio)
    lose(studio)
    studio.tables["limits"]["hold_above"] = 3
    studio.prompt("new.prompt", "something new")
    studio.run_once()
    assert studio.made() == (0, 7)
    assert {row.state for row in studio.prompts()} == {"done"}


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "forgotten"])
def test_many(studio, listed, monkeypatch):
    """More than are read at one go; what Astria still lists is not taken from there before its record was read."""
    monkeypatch.setattr(adopting, "_AT_ONCE", 4)
    monkeypatch.setattr(adopting, "_EXAMINED", 6)
    values = ", ".join(f"v{n}" for n in range(30))
    studio.prompt("m.prompt", "a {v}", f"matrix: {{v: [{values}]}}")
    studio.run_once()
    loads = fetched(studio)
    if not listed:
        forget(studio)
    lose(studio)
    studio.run_once()
    assert studio.made() == (0, 30)
    assert fetched(studio) == loads
    assert len(checked(studio)) == 30


# Roots and outputs


def test_root_and_output_have_moved(filled):
    """Other disks, other names: the path below the root says which file it is, and pictures are where they are found."""
    forget(filled)
    lose(filled)
    filled.inbox = filled.inbox.rename(filled.home / "elsewhere")
    filled.output = filled.output.rename(filled.home / "pictures")
    filled.watches = [{"path": str(filled.inbox), "output": str(filled.output)}]
    filled.run_once(timeout=20)
    assert filled.made() == (1, 4)
    assert {row.output for row in filled.prompts()} == {str(filled.output)}
    assert checked(filled) == ["ok"] * 5


def test_two_roots_with_one_output(studio):
    """The same words at the same place of both: each finds its own."""
    second = studio.root("second", output=str(studio.output))
    studio.prompt("p.prompt", "words")
    studio.write(second / "p.prompt", "words")
    studio.run_once()
    ids = sorted((row.source_id, row.remote_id) for row in studio.prompts())
    with studio.journal() as journal:
        before = {journal.source(source).root: remote for source, remote in ids}
    forget(studio)
    lose(studio)
    studio.run_once()
    assert studio.made() == (0, 2)
    with studio.journal() as journal:
        after = {journal.source(row.source_id).root: row.remote_id for row in journal.prompts()}
    assert after == before


def test_an_output_inside_the_root(studio):
    """It is searched like any."""
    studio.output = studio.inbox / "made"
    studio.watches = [{"path": str(studio.inbox), "output": str(studio.output)}]
    studio.prompt("p.prompt", "words")
    studio.run_once()
    forget(studio)
    lose(studio)
    studio.run_once()
    assert studio.made() == (0, 1)
    assert checked(studio) == ["ok"]


def test_a_record_of_another_kind_leads_nowhere(filled):
    """What somebody has written into the output is left alone, and what is lost by that is looked for in Astria's lists."""
    (file,) = (filled.output / "look").glob("*.json")
    data = json.loads(file.read_text())
    data["images"][0]["file"] = "../../../state/s.db"
    file.write_text(json.dumps(data))
    before = filled.only("look.prompt").remote_id
    lose(filled)
    filled.run_once()
    assert filled.made() == (1, 4)
    row = filled.only("look.prompt")
    assert row.remote_id == before
    with filled.journal() as journal:
        assert [image.file for image in journal.images("prompt_id = ?", [row.id])] == [f"look-{before}-1.jpg"]


def test_absurd_numbers_in_a_record_do_no_harm(filled):
    """Ids that Astria never gave raise no watermark: what is ordered later is still known for new."""
    (file,) = (filled.output / "look").glob("*.json")
    data = json.loads(file.read_text())
    data["id"] = 2**53 - 1
    data["tunes"] = [{"id": 2**53 - 1, "folder": "jane", "content": ""}]
    file.unlink()
    (file.parent / f"look-{2**53 - 1}.json").write_text(json.dumps(data))
    lose(filled)
    filled.run_once()
    filled.folder("joe")
    filled.prompt("new.prompt", "<joe> and <jane>")
    filled.run_once()
    assert filled.only("new.prompt").state == "done"
    assert filled.tune("joe").state == filled.tune("jane").state == "ready"


# An output that cannot be read


def test_an_output_that_cannot_be_read(filled, monkeypatch):
    """Nothing is sent while a record may lie there; it is told, ends `--once` with 1, and goes on by itself when it is back."""
    forget(filled)
    lose(filled)
    filled.folder("joe")
    filled.prompt("new.prompt", "new words")
    real, broken = os.scandir, filled.output / "m"

    def scandir(path):
        if broken is not None and str(path) == str(broken):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(sidecars.os, "scandir", scandir)
    with filled.daemon() as daemon:
        assert daemon.run(10)
        assert Service._exit_code(daemon.engine, once=True) == 1
    assert filled.made() == (1, 4)
    assert not {"done", "generating"} & {row.state for row in filled.prompts()}
    told = report.snapshot(filled.state, now=0.0, daemon={"running": False})["problems"]
    assert [one["kind"] for one in told] == ["output"]
    assert f"{broken} cannot be read (Permission denied)" in told[0]["text"]
    with filled.daemon() as daemon:
        daemon.until(lambda: daemon.journal.get(f"records:{filled.output}"))
        broken = None
        daemon.until(lambda: filled.made() == (2, 5))
        assert daemon.run(20)
    assert filled.value(f"records:{filled.output}") is None
    assert len(checked(filled)) == 6


@pytest.mark.parametrize("mounted", [True, False], ids=["an empty folder", "nothing"])
def test_an_output_that_comes_later(filled, mounted):
    """Its disk was not mounted when the state was lost: it is read before anything more is sent."""
    forget(filled)
    lose(filled)
    away = filled.output.rename(filled.home / "away")
    if mounted:
        filled.output.mkdir()
    with filled.daemon() as daemon:
        daemon.command("pause")
        assert daemon.run(20)
        assert "done" not in {row.state for row in filled.prompts()}
        if mounted:
            filled.output.rmdir()
        away.rename(filled.output)
        daemon.engine.adopting._outputs[str(filled.output)].check_at = 0.0  # the five seconds are over
        daemon.command("resume")
        assert daemon.run(20)
    assert filled.made() == (1, 4)
    assert checked(filled) == ["ok"] * 5


def test_nobody_waits_for_an_output_that_nobody_asks_for(filled, monkeypatch):
    """A state that knows its files goes on, whatever lies in the output that it may not read."""
    monkeypatch.setattr(
        sidecars,
        "find",
        lambda piece: work.Sidecars(problem=f"{piece.output}/x cannot be read (Permission denied)"),
    )
    with filled.daemon() as daemon:
        assert daemon.run(10)
        filled.prompt("new.prompt", "new words")
        daemon.look()
        assert daemon.run(10)
    assert filled.made() == (1, 5)
    assert filled.value(f"records:{filled.output}") is None


# Copies of the state, and crashes


def copied(studio):
    """The state as it is now, to be put back."""
    copy = studio.home / "copy.db"
    with closing(sqlite3.connect(studio.state)) as state, closing(sqlite3.connect(copy)) as to:
        state.backup(to)
    return copy


def restore(studio, copy):
    for file in studio.state.parent.glob("s.db*"):
        file.unlink()
    shutil.copy(copy, studio.state)


def test_a_copy_of_the_state(filled):
    """What was ordered after it was made has records: new files, edited ones, one more generation, a new tune."""
    copy = copied(filled)
    filled.folder("joe", pictures=2)
    filled.prompt("joe/new.prompt", "new words")
    filled.prompt("look.prompt", "<jane> at home")
    filled.run_once()
    filled.command("rerun", filled.inbox / "m.prompt")
    filled.run_once()
    money = costs(filled)
    forget(filled)
    restore(filled, copy)
    filled.run_once(timeout=20)
    assert filled.made() == (2, 8)
    assert {row.state for row in filled.prompts()} == {"done"}
    assert filled.check_pictures() == 9
    assert costs(filled) == money


def test_a_copy_in_which_it_waits(studio):
    """It waited for its tune when the copy was made; it is done since, and Astria has forgotten both."""
    studio.prompt("p.prompt", "<jane> runs")
    studio.run_once()
    copy = copied(studio)
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 1)
    forget(studio)
    restore(studio, copy)
    studio.run_once(timeout=20)
    assert studio.made() == (1, 1)
    assert studio.only("p.prompt").state == "done"


def test_a_copy_in_which_something_new_waits(studio):
    """It was dropped and waited when the copy was made; its pictures are gone too, and Astria still lists it."""
    with studio.daemon() as daemon:
        assert daemon.run(10)
        studio.prompt("p.prompt", "<jane> runs")
        daemon.look()
        assert daemon.run(10)
    copy = copied(studio)
    studio.folder("jane")
    studio.run_once()
    assert studio.made() == (1, 1)
    restore(studio, copy)
    shutil.rmtree(studio.output)
    studio.run_once()
    assert studio.made() == (1, 1)
    assert studio.check_pictures() == 1


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "listed"])
def test_a_copy_in_which_it_is_held(studio, recorded):
    """It was held back when the copy was made, and let go since: letting it go once more buys nothing."""
    studio.tables["limits"]["hold_above"] = 1
    for name in "abc":
        studio.prompt(f"{name}.prompt", f"words {name}")
    studio.run_once()
    assert studio.made() == (0, 0)
    copy = copied(studio)
    studio.command("approve")
    studio.run_once()
    assert studio.made() == (0, 3)
    if recorded:
        forget(studio)
    else:
        shutil.rmtree(studio.output)
    restore(studio, copy)
    studio.run_once()
    studio.command("approve")
    studio.run_once()
    assert studio.made() == (0, 3)
    assert {row.state for row in studio.prompts()} == {"done"}


@pytest.mark.parametrize("piece", [work.Poll, work.Download, work.WriteSidecar])
def test_a_copy_in_which_it_runs(studio, piece):
    """It was under way when the copy was made: it is done by now, although Astria has forgotten it."""
    studio.prompt("p.prompt", "words", "num_images: 2")
    studio.crash(piece, sent=False)
    copy = copied(studio)
    studio.run_once()
    forget(studio)
    restore(studio, copy)
    studio.run_once(timeout=20)
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"
    assert checked(studio) == ["ok", "ok"]


def test_a_copy_in_which_it_is_being_sent(studio):
    """It was armed when the copy was made: the record with its seed is of that very request."""
    studio.prompt("p.prompt", "words")
    studio.crash(work.CreatePrompt, sent=True)
    copy = copied(studio)
    studio.run_once()
    forget(studio)
    restore(studio, copy)
    studio.run_once()
    assert studio.made() == (0, 1)
    assert studio.only("p.prompt").state == "done"


@pytest.mark.parametrize("fault", ["before", "after"])
@pytest.mark.parametrize("n", range(3))
def test_a_crash_in_the_middle(filled, n, fault):
    """Whatever was taken up until then, the rest is, at the next start."""
    forget(filled)
    lose(filled)
    filled.prompt("new.prompt", "new words")
    count = itertools.count()
    filled.crash(
        lambda piece: (
            isinstance(piece, work.FindSidecars | work.ReadSidecars) and next(count) == n
            if n < 2
            else isinstance(piece, work.CreatePrompt)
        ),
        sent=fault == "after",
    )
    filled.run_once(timeout=20)
    assert filled.made() == (1, 5)
    assert checked(filled) == ["ok"] * 6


def test_a_crash_while_an_old_copy_looks_through_the_lists(studio, monkeypatch):
    """The highest id that the copy knew is not forgotten by a crash after the lists were read."""
    studio.prompt("first.prompt", "first words")
    studio.run_once()
    copy = copied(studio)
    for name in "abc":
        studio.prompt(f"{name}.prompt", f"words {name}")
    studio.run_once()
    assert studio.made() == (0, 4)
    shutil.rmtree(studio.output)
    restore(studio, copy)
    real, counted = Reconciling.adopt_prompt, itertools.count()

    def adopt_prompt(*args, **how):
        if next(counted) == 1:
            raise Crash
        return real(*args, **how)

    with monkeypatch.context() as patch, studio.daemon() as daemon:
        patch.setattr(Reconciling, "adopt_prompt", adopt_prompt)
        patch.setattr(sending, "_SOUGHT_AT_ONCE", 1)
        with pytest.raises(Crash):
            daemon.run(10)
    with studio.journal() as journal:
        assert journal.mark("prompt", "") > studio.created(0).id
    studio.run_once()
    assert studio.made() == (0, 4)


def test_a_step_that_could_not_be_written(filled):
    """What was handed out in it is handed out again."""
    forget(filled)
    lose(filled)
    with filled.daemon() as daemon:
        part, conn = daemon.engine.adopting, daemon.journal._conn
        claimed, real = [], part._read

        def read(output):
            real(output)
            claimed.append(True)

        class Full:
            """A connection that cannot commit the step in which records were claimed."""

            def execute(self, sql, *values):
                if sql == "COMMIT" and claimed == [True]:
                    claimed.append(False)
                    raise sqlite3.OperationalError("disk is full")
                return conn.execute(sql, *values)

            def __getattr__(self, name):
                return getattr(conn, name)

        part._read, daemon.journal._conn = read, Full()
        assert daemon.run(30)
        assert claimed[1] is False
    assert filled.made() == (1, 4)
    assert checked(filled) == ["ok"] * 5


def test_a_file_that_goes_while_it_is_unsure(studio):
    """Astria never had it, its file is gone, and nobody waits for a record of it."""
    studio.prompt("p.prompt", "words")
    studio.prompt("q.prompt", "other words")
    studio.crash(work.CreatePrompt, sent=False)
    (studio.inbox / "p.prompt").unlink()
    studio.run_once()
    assert studio.made() == (0, 1)
    assert [row.state for row in studio.prompts()] == ["done"]


def test_what_is_forgotten_while_it_is_read(filled, monkeypatch):
    """A defect elsewhere makes everything be looked for again, while records of the first time are still being read."""
    forget(filled)
    lose(filled)
    let, real, calls = threading.Event(), sidecars.read, []

    def read(piece):
        calls.append(piece)
        assert let.wait(10)
        return real(piece)

    monkeypatch.setattr(sidecars, "read", read)
    with filled.daemon() as daemon:
        daemon.until(lambda: calls)
        daemon.engine.adopting.forget()
        (filled.output / "look").rename(filled.output / "elsewhere")
        for _ in range(5):  # it is found anew, or may be, before the first records come
            daemon.turn()
        let.set()
        assert daemon.run(20)
    assert filled.made() == (1, 4)
    assert checked(filled) == ["ok"] * 5
