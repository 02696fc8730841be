"""What a person asks for, as changes of the journal: which files are meant, what goes again, what makes no sense."""

import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astria_sync.commands import Commands, _glob, absolute
from astria_sync.core.lifecycle import PromptState, TuneState
from astria_sync.core.model import Prompt, Tune
from astria_sync.errors import UsageError
from astria_sync.journal import Journal, open_journal

ROOT = "/studio/inbox"
AT = {"created_at": 1.0, "updated_at": 1.0}


@pytest.fixture
def journal() -> Iterator[Journal]:
    one = open_journal(None, now=1.0)
    yield one
    one.close()


@pytest.fixture
def do(journal: Journal) -> Callable[..., dict[str, Any]]:
    """Carry out a command for these paths, below the root unless they are absolute."""

    def run(name: str, *paths: str, root: str = ROOT) -> dict[str, Any]:
        whole = [os.path.join(root, path) for path in paths]
        return Commands(journal=journal, roots=[root], wall=50.0)(name, {"paths": whole} if paths else {})

    return run


def folder(journal: Journal, path: str, state: str = "ready", root: str = ROOT, **values: Any) -> Tune:
    source = journal.add(
        "sources", kind="folder", root=root, path=path, stamp="s", is_image_folder=True, **AT
    )
    return journal.tune(journal.add("tunes", source_id=source, state=state, **AT, **values))


def prompt(journal: Journal, path: str, state: str = "done", root: str = ROOT, **values: Any) -> Prompt:
    known = journal.source_at(root, path, "prompt")
    source = (
        known.id if known else journal.add("sources", kind="prompt", root=root, path=path, stamp="s", **AT)
    )
    usual = {"fingerprint": "f", "script": "t", "armed_at": None if state in {"settling", "held"} else 2.0}
    return journal.prompt(journal.add("prompts", source_id=source, state=state, **AT, **usual | values))


def states(journal: Journal) -> dict[str, str]:
    rows = journal.rows(
        "SELECT path, state FROM sources JOIN (SELECT id AS row, source_id, state FROM tunes UNION ALL "
        "SELECT id, source_id, state FROM prompts) ON source_id = sources.id ORDER BY row"
    )
    return {row["path"]: row["state"] for row in rows}


# Which files are meant


PLACES = ["jane/a.prompt", "jane/deep/b.prompt", "jane2/c.prompt", "j/d.prompt", "e.prompt"]


@pytest.mark.parametrize(
    ("paths", "meant"),
    [
        ([], PLACES),
        ([""], PLACES),
        (["."], PLACES),
        (["jane"], PLACES[:2]),
        (["jane/"], PLACES[:2]),
        (["jane/../jane2"], [PLACES[2]]),
        (["jane/a.prompt"], [PLACES[0]]),
        (["jane", "jane/a.prompt", "e.prompt"], [*PLACES[:2], PLACES[4]]),
    ],
    ids=repr,
)
def test_which_files_are_meant(journal, do, paths, meant):
    """A path is the file or everything below the folder, once; none at all is everything."""
    for place in PLACES:
        prompt(journal, place, "held")
    assert do("approve", *paths)["count"] == len(meant)
    assert {path for path, state in states(journal).items() if state == "waiting"} == set(meant)


NAMES = ["a", "[a]", "a*", "?", "[", "]", "a]b[c", "[!a]", "*", "é [1]", "a-b", "^", "[[]", "]]"]


@pytest.mark.parametrize("name", NAMES)
def test_names_with_characters_of_patterns(journal, do, name):
    """A folder named like a pattern means itself and nothing that the pattern would fit."""
    for other in {*NAMES, "aa", "b", "1"}:
        prompt(journal, f"{other}/x.prompt", "held")
    assert do("approve", name)["count"] == 1
    assert states(journal)[f"{name}/x.prompt"] == "waiting"


@settings(print_blob=True, deadline=None)
@given(st.text("ab*?[]!-^", min_size=1, max_size=6), st.text("ab*?[]!-^", min_size=1, max_size=6))
def test_an_escaped_pattern_fits_itself_alone(one, other):
    """SQLite's GLOB agrees: the pattern of a name fits that name, and no other."""
    journal = open_journal(None, now=1.0)
    fits = [bool(journal.value("SELECT ? GLOB ?", [name, _glob(one)])) for name in (one, other)]
    journal.close()
    assert fits == [True, one == other]


@pytest.mark.parametrize("name", ["retry", "approve", "rerun"])
def test_paths_that_mean_nothing(journal, do, name):
    """Every path that is nothing to us is named, and nothing is done for the others."""
    prompt(journal, "a.prompt", "held")
    prompt(journal, "b.prompt", "failed")
    with pytest.raises(UsageError) as raised:
        do(name, "a.prompt", "b.prompt", "no.prompt", "/elsewhere/x.prompt")
    assert len(raised.value.problems) == 2
    assert "/studio/inbox/no.prompt" in raised.value.problems[0]
    assert "/elsewhere/x.prompt" in raised.value.problems[1]
    assert states(journal) == {"a.prompt": "held", "b.prompt": "failed"}


def test_a_root_by_way_of_a_link(journal, do, tmp_path):
    """A file is found by the name that the person uses for it, through a link too."""
    inbox = tmp_path / "inbox"
    (inbox / "jane").mkdir(parents=True)
    (tmp_path / "door").symlink_to(inbox)
    prompt(journal, "jane/a.prompt", "held", root=str(inbox))
    assert do("approve", str(tmp_path / "door" / "jane"), root=str(inbox))["count"] == 1


def test_a_root_that_is_watched_no_longer(journal, do):
    """What is in the state can be meant, also if its root is not configured any more."""
    prompt(journal, "a.prompt", "held", root="/old/place")
    assert do("approve", "/old/place/a.prompt")["count"] == 1


def test_paths_for_a_daemon_elsewhere(monkeypatch, tmp_path):
    """The daemon runs in another directory: it is told whole paths."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/jane")
    assert absolute("a.prompt") == str(tmp_path / "a.prompt")
    assert absolute("~/a.prompt") == "/home/jane/a.prompt"
    assert absolute("/a/b") == "/a/b"


def test_no_such_command(do):
    """A name that is no command is wrong usage."""
    with pytest.raises(UsageError, match="dance"):
        do("dance")


# retry


def test_one_more_of_a_file_that_was_edited_a_moment_ago(journal, tmp_path, do):
    """What it asks for now was not read yet: one more of the version before is not what is meant."""
    row = prompt(journal, "a.prompt", root=str(tmp_path))
    (tmp_path / "a.prompt").write_text("other words")
    with pytest.raises(UsageError, match="has changed"):
        do("rerun", "a.prompt", root=str(tmp_path))
    journal.change("sources", row.source_id, content=hashlib.sha256(b"other words").hexdigest())
    assert do("rerun", "a.prompt", root=str(tmp_path))["count"] == 1


def test_retrying_a_prompt(journal, do):
    """What Astria refused goes again, with a seed of its own and nothing left of the old attempt."""
    failed = prompt(journal, "a.prompt", "failed", seed=42, attempt=7, watermark=3, next_at=1e9, error="no")
    assert do("retry", "a.prompt") == {"count": 1, "message": "1 thing will be tried again."}
    again = journal.prompt(failed.id)
    assert again.state is PromptState.WAITING
    assert again.approved
    assert (again.seed, again.armed_at, again.watermark) == (None,) * 3
    assert (again.attempt, again.next_at, again.error) == (0, 0.0, "")
    assert journal.value("SELECT event FROM events WHERE kind = 'prompt'") == "retry"


def test_retrying_what_astria_could_not_make(journal, do):
    """It has an id, and may have cost something: it stays on record as history, and another is ordered beside it; once."""
    failed = prompt(journal, "a.prompt", "failed", remote_id=5, seed=42, bound_at=3.0, cost_mc=700)
    assert do("retry", "a.prompt")["count"] == 1
    first, second = journal.prompts("1 ORDER BY id")
    assert first == failed
    assert (second.state, second.run, second.remote_id, second.seed) == (PromptState.WAITING, 2, None, None)
    assert do("retry", "a.prompt")["count"] == 0


def test_a_retried_order_is_not_adopted(journal, do):
    """After a failure at Astria a new one is wanted: the one that failed must not be found and taken for it."""
    source = prompt(journal, "a.prompt", "failed").source_id
    journal.change("sources", source, adoptable=True)
    do("retry")
    assert journal.source(source).adoptable == 0


def test_retrying_a_file_that_could_not_be_read(journal, do):
    """A prompt file that was never understood is taken up anew."""
    broken = prompt(journal, "a.prompt", "failed", fingerprint="", script="", armed_at=None)
    assert do("retry")["count"] == 1
    assert journal.source(broken.source_id).stamp == ""
    assert journal.prompt(broken.id).state is PromptState.FAILED


def test_retrying_a_tune(journal, do):
    """A failed tune is made of the folder as it is now; one that `retrain` has replaced is left alone."""
    failed = folder(journal, "jane", "failed", armed_at=2.0, watermark=3, attempt=4, error="no")
    replaced = journal.add("tunes", source_id=failed.source_id, state="failed", current=False, **AT)
    assert do("retry", "jane")["count"] == 1
    again = journal.tune(failed.id)
    assert again.state is TuneState.SETTLING
    assert (again.armed_at, again.watermark, again.error) == (None, None, "")
    assert journal.source(failed.source_id).stamp == ""
    assert journal.tune(replaced).state is TuneState.FAILED


def test_retrying_a_tune_that_astria_could_not_make(journal, do):
    """The one that failed stays on record; prompts use the new one."""
    failed = folder(journal, "jane", "failed", remote_id=5, bound_at=3.0, cost_mc=700)
    assert do("retry", "jane")["count"] == 1
    first, second = journal.tunes("1 ORDER BY id")
    assert (first.remote_id, first.cost_mc, first.current) == (5, 700, False)
    assert (second.state, second.remote_id, second.current) == (TuneState.SETTLING, None, True)
    assert journal.current_tune(failed.source_id) == second


def test_retrying_what_is_gone(journal, do):
    """A failed order whose file is gone has nothing to be made of, and does not begin to settle for ever."""
    rows = [folder(journal, "jane", "failed"), prompt(journal, "a.prompt", "failed")]
    for row in rows:
        journal.change("sources", row.source_id, missing_since=9.0)
    assert do("retry")["count"] == 0
    assert states(journal) == {"jane": "failed", "a.prompt": "failed"}


def test_retrying_a_folder_that_has_no_tune(journal, do):
    """Settings that could not be read are read again, also where they stand above the image folders."""
    source = journal.add(
        "sources", kind="folder", root=ROOT, path="dresses", stamp="s", problem="tune.toml is wrong", **AT
    )
    assert do("retry", "dresses")["count"] == 1
    assert journal.source(source).stamp == ""


def test_retrying_downloads(journal, do):
    """Pictures that are waiting for their next attempt are fetched now, also if their prompt file is gone."""
    row = prompt(journal, "a.prompt", "downloading", remote_id=5)
    journal.change("sources", row.source_id, missing_since=9.0)
    for n, values in enumerate(
        [{"attempt": 3, "next_at": 1e9}, {"state": "saved", "attempt": 1, "next_at": 7.0}, {}], 1
    ):
        journal.add("images", prompt_id=row.id, n=n, url="u", identity="u", **values)
    assert do("retry")["count"] == 1
    assert [(image.attempt, image.next_at) for image in journal.images()] == [(0, 0.0), (1, 7.0), (0, 0.0)]
    assert journal.prompt(row.id).state is PromptState.DOWNLOADING


@pytest.mark.parametrize("state", sorted(set(PromptState) - {PromptState.FAILED}))
def test_only_failures_are_retried(journal, do, state):
    """`retry` sends nothing again that is done, under way or unsure: that would be paid twice."""
    row = prompt(journal, "a.prompt", state, remote_id=5, done_at=9.0)
    assert do("retry") == {"count": 0, "message": "Nothing there has failed."}
    assert journal.prompt(row.id) == row


@pytest.mark.parametrize("state", sorted(set(TuneState) - {TuneState.FAILED}))
def test_only_failed_tunes_are_retried(journal, do, state):
    """The same for tunes."""
    row = folder(journal, "jane", state, remote_id=5)
    assert do("retry")["count"] == 0
    assert journal.tune(row.id) == row


def test_retry_lets_go_what_rests_for_the_balance(journal, do):
    """A person who topped up the balance says so with `retry`."""
    journal.put("gate:balance", "no money")
    journal.put("balance_at_402", 0)
    assert do("retry")["message"] != "Nothing there has failed."
    assert journal.get("gate:balance") is None
    assert journal.get("balance_at_402") is None


# rerun


def test_one_more_generation(journal, do):
    """A rerun is a new order for the same request with the next number, let go past `hold_above`, without a seed."""
    first = prompt(
        journal, "a.prompt", "done", seed=42, remote_id=5, request={"text": "x"}, variant={"d": "red"}, run=3
    )
    assert do("rerun", "a.prompt") == {"count": 1, "message": "1 generation more ordered."}
    again = journal.prompts("id != ?", [first.id])[0]
    assert (again.state, again.run, again.approved) == (PromptState.WAITING, 4, True)
    assert (again.seed, again.remote_id, again.armed_at) == (None, None, None)
    assert (again.request, again.variant, again.fingerprint, again.script) == (
        {"text": "x"},
        {"d": "red"},
        "f",
        "t",
    )
    assert journal.prompt(first.id) == first


def test_a_rerun_of_a_matrix(journal, do):
    """Each combination of the file as it is now runs once more, older versions and older runs do not."""
    prompt(journal, "a.prompt", fingerprint="old", script="old")
    for fingerprint, run in [("x", 1), ("x", 2), ("y", 1)]:
        prompt(journal, "a.prompt", fingerprint=fingerprint, run=run)
    assert do("rerun", "a.prompt")["count"] == 2
    new = {(row.fingerprint, row.run) for row in journal.prompts("state = 'waiting'")}
    assert new == {("x", 3), ("y", 2)}


def test_a_rerun_of_a_folder(journal, do):
    """Every prompt below a folder runs once more; files that are gone do not."""
    prompt(journal, "jane/a.prompt")
    gone = prompt(journal, "jane/b.prompt")
    journal.change("sources", gone.source_id, missing_since=9.0)
    folder(journal, "jane")
    assert do("rerun", "jane")["count"] == 1
    assert states(journal) == {"jane": "ready", "jane/a.prompt": "waiting", "jane/b.prompt": "done"}


@pytest.mark.parametrize("state", ["settling", "waiting", "held", "queued"])
def test_a_rerun_of_what_was_not_sent(journal, do, state):
    """What waits to be sent is not ordered twice; then nothing of the whole command is done."""
    prompt(journal, "jane/a.prompt", "done")
    prompt(journal, "jane/b.prompt", state, armed_at=None)
    with pytest.raises(UsageError, match=f"b.prompt is {state}"):
        do("rerun", "jane")
    assert len(journal.prompts()) == 2


@pytest.mark.parametrize("paths", [[], ["jane"]], ids=["nothing-said", "no-prompt-there"])
def test_a_rerun_of_nothing(journal, do, paths):
    """`rerun` wants to be told which prompt: everything again would be dear."""
    folder(journal, "jane")
    prompt(journal, "a.prompt")
    with pytest.raises(UsageError):
        do("rerun", *paths)
    assert len(journal.prompts()) == 1


# retrain


@pytest.mark.parametrize("state", ["training", "ready", "failed", "expired", "deleted"])
def test_a_new_tune(journal, do, state):
    """A folder gets a new tune that later prompts use; the old one stays in the history, and no tune is adopted for it."""
    old = folder(journal, "jane", state, remote_id=5)
    journal.change("sources", old.source_id, adoptable=True)
    assert do("retrain", "jane") == {"count": 1, "message": "1 new tune ordered."}
    new = journal.current_tune(old.source_id)
    assert new is not None
    assert (new.id != old.id, new.state, new.remote_id) == (True, TuneState.SETTLING, None)
    assert journal.tune(old.id).current is False
    source = journal.source(old.source_id)
    assert (source.stamp, source.adoptable) == ("", False)


@pytest.mark.parametrize("state", ["settling", "queued", "uploading", "unsure"])
def test_no_second_tune_while_one_is_made(journal, do, state):
    """While a tune may be on its way no other one is ordered."""
    folder(journal, "jane", state)
    with pytest.raises(UsageError, match=state):
        do("retrain", "jane")
    assert len(journal.tunes()) == 1


def test_retraining_twice_at_once(journal, do):
    """One folder named twice is one order, or none: never two."""
    folder(journal, "jane")
    with pytest.raises(UsageError):
        do("retrain", "jane", "jane")
    assert len(journal.tunes()) == 1


def test_retraining_a_tune_that_is_only_used(journal, do):
    """A folder that uses a tune by its id makes none."""
    tune = folder(journal, "jane", params={"id": 5}, remote_id=5)
    journal.change("sources", tune.source_id, settings={"id": 5})
    with pytest.raises(UsageError, match="by `id`"):
        do("retrain", "jane")


@pytest.mark.parametrize("paths", [[], ["jane/deep"], ["jane/a.prompt"], [""], ["dresses"]], ids=repr)
def test_retraining_what_is_no_image_folder(journal, do, paths):
    """Only a folder that has a tune can get a new one, and only by its own name, not by one above it."""
    folder(journal, "jane")
    folder(journal, "dresses/red")
    prompt(journal, "jane/a.prompt")
    with pytest.raises(UsageError):
        do("retrain", *paths)
    assert len(journal.tunes()) == 2


def test_retraining_the_root(journal, do):
    """Pictures directly in the root make it an image folder like any other."""
    folder(journal, ".")
    assert do("retrain", "")["count"] == 1


# approve, pause, resume


def test_letting_go(journal, do):
    """What is held back goes, and stays let go; what is not held is left as it is."""
    held = prompt(journal, "a.prompt", "held")
    prompt(journal, "b.prompt", "failed")
    assert do("approve") == {"count": 1, "message": "1 prompt let go."}
    assert journal.prompt(held.id).approved is True
    assert states(journal) == {"a.prompt": "waiting", "b.prompt": "failed"}
    assert do("approve") == {"count": 0, "message": "Nothing is held back there."}


def test_letting_go_what_the_day_limit_holds(journal, do):
    """Prompts and tunes go past the day's limit; what a crowd was held for has still to pass it."""
    dear = prompt(journal, "a.prompt", "held", needs_mc=14_000)
    crowd = prompt(journal, "b.prompt", "held")
    jane = folder(journal, "jane", "queued", needs_mc=150_000, reason="the day's limit")
    folder(journal, "joan", "queued", reason="next")
    assert do("approve") == {"count": 3, "message": "1 tune and 2 prompts let go."}
    for row, past in ((journal.prompt(dear.id), True), (journal.prompt(crowd.id), False)):
        assert (row.approved, row.past_limit, row.needs_mc) == (True, past, None)
    tune = journal.tune(jane.id)
    assert (tune.state, tune.past_limit, tune.needs_mc) == (TuneState.QUEUED, True, None)
    assert "limit" not in tune.reason
    assert do("approve")["count"] == 0


def test_pausing(journal, do):
    """To pause twice is to pause once; to go on leaves no trace but the history."""
    assert [do("pause")["count"], do("pause")["count"], journal.get("paused")] == [1, 0, True]
    assert [do("resume")["count"], do("resume")["count"], journal.get("paused")] == [1, 0, None]
    assert [row["event"] for row in journal.rows("SELECT event FROM events ORDER BY id")] == [
        "paused",
        "resumed",
    ]


def test_what_was_made_besides_is_no_order(journal, do):
    """A spare that failed is not sent on `retry`, and its version is not what `rerun` makes once more."""
    first = prompt(journal, "a.prompt", "failed", fingerprint="old", script="old", current=False)
    prompt(journal, "a.prompt", "done", fingerprint="new", script="new")
    spare = {"spare_of": first.id, "remote_id": 9}
    prompt(journal, "a.prompt", "failed", fingerprint="old", script="old", current=False, **spare)
    assert do("retry", "a.prompt")["count"] == 1
    assert do("rerun", "a.prompt")["count"] == 1
    rows = [(row.script, row.state, row.run) for row in journal.prompts("1 ORDER BY id")]
    assert rows == [("old", "waiting", 1), ("new", "done", 1), ("old", "failed", 1), ("new", "waiting", 2)]


def test_what_turned_up_late_is_not_what_the_file_says(journal, do):
    """An order of an earlier version was given up and turned up after the present one was ordered: that one is made once more."""
    prompt(journal, "a.prompt", "done", fingerprint="new", script="new", remote_id=8)
    prompt(journal, "a.prompt", "done", fingerprint="old", script="old", remote_id=9, current=False)
    assert do("rerun", "a.prompt")["count"] == 1
    assert journal.prompts("1 ORDER BY id")[-1].script == "new"


@pytest.mark.parametrize("armed_at", [2.0, None])
def test_what_was_sent_is_remembered_when_it_is_tried_anew(journal, do, armed_at):
    """`retry` forgets the seed of what was refused; an attempt that turns up late is recognised by it all the same."""
    sent = {"armed_at": armed_at, "seed": 7, "text": "a b", "watermark": 3, "lost": True}
    prompt(journal, "a.prompt", "failed", **sent)
    tune = {key: value for key, value in sent.items() if key not in {"seed", "text"}}
    folder(journal, "jane", "failed", params={"title": "jane"}, **tune)
    assert do("retry")["count"] == 2
    kept = [tuple(row) for row in journal.rows("SELECT kind, key FROM given_up ORDER BY id")]
    assert sorted(kept) == ([("prompt", "7 ab"), ("tune", "jane")] if armed_at else [])
    assert {row.lost for row in (*journal.prompts(), *journal.tunes())} == {False}


COMMANDS = st.sampled_from(["retry", "rerun", "retrain", "approve", "pause", "resume"])
ROWS = st.lists(
    st.tuples(st.sampled_from(sorted(PromptState)), st.sampled_from(sorted(TuneState))), max_size=4
)


@settings(print_blob=True, deadline=None, max_examples=60)
@given(ROWS, st.lists(COMMANDS, max_size=5))
def test_no_command_touches_what_may_be_at_astria(rows, names):
    """In any order, from any states: what is under way or unsure keeps its state, its seed and its id."""
    journal = open_journal(None, now=1.0)
    for n, (prompt_state, tune_state) in enumerate(rows):
        prompt(journal, f"{n}.prompt", prompt_state, seed=n, remote_id=n + 1)
        folder(journal, f"{n}", tune_state, remote_id=n + 1)
    touchable = {"settling", "waiting", "held", "queued", "failed"}
    before = [row for row in (*journal.prompts(), *journal.tunes()) if row.state not in touchable]
    for name in names:
        command = Commands(journal=journal, roots=[ROOT], wall=50.0)
        try:
            command(
                name,
                {"paths": [] if name in {"retry", "approve"} else [f"{ROOT}/{n}" for n in range(len(rows))]},
            )
        except UsageError:
            continue
    for row in before:
        now = journal.prompt(row.id) if isinstance(row, Prompt) else journal.tune(row.id)
        assert (now.state, now.remote_id, getattr(now, "seed", None)) == (
            row.state,
            row.remote_id,
            getattr(row, "seed", None),
        )
    journal.close()
