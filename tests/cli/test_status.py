"""`status` as people and programs see it."""

import json
import os
import re
import time

import pytest

from astria_sync.cli.status import lines
from astria_sync.journal import open_journal
from astria_sync.lock import StateLock


@pytest.fixture
def journal(desk):
    desk.configure()
    with open_closed(desk.state) as opened:
        yield opened


class open_closed:
    """A journal that is closed at the end."""

    def __init__(self, path):
        self.journal = open_journal(path, now=1.0)

    def __enter__(self):
        return self.journal

    def __exit__(self, *_):
        self.journal.close()


def prompt(desk, journal, path, state, root=None, **more):
    common = {"created_at": 1.0, "updated_at": 1.0}
    source = journal.add("sources", kind="prompt", root=str(root or desk.inbox), path=path, **common)
    journal.add("prompts", source_id=source, state=state, **common, **more)


def test_nothing_yet(desk):
    """Before the first run `status` ends with 0 and says how to start."""
    result = desk.configure()("status")
    assert result.exit_code == 0
    assert "Nothing waits" in result.stdout
    assert f"{desk.itself} run" in result.stdout
    assert not desk.state.exists()


@pytest.fixture
def at_work(desk):
    """A profile besides the configuration, with a state of its own."""
    desk.configure()
    folder = desk.home / ".config" / "astria-sync"
    folder.mkdir(parents=True)
    desk.config.rename(folder / "work.toml")
    return lambda *args: desk("--profile", "work", *args, config=False)


@pytest.mark.parametrize(
    ("args", "advice"),
    [
        (("status",), "start one with: astria-sync --profile work run\n"),
        (("status", "/nowhere"), "see: astria-sync --profile work status\n"),
        (("service", "status"), "astria-sync --profile work "),
    ],
)
def test_what_is_advised_is_of_the_same_profile(at_work, args, advice):
    """A command without the profile would start, or tell of, somebody else's folders."""
    at_work("run", "--once")
    result = at_work(*args)
    assert advice in result.output
    assert not re.search(r"astria-sync (run|status|log|service|doctor)", result.output)


def test_an_error_file_advises_commands_of_its_configuration(desk, account):
    """It is read where that was not named, and in another folder."""
    desk.configure()
    (desk.inbox / "a.prompt").write_text("---\nnum_images: 99\n---\nwords")
    desk("run", "--once", **account)
    told = (desk.inbox / "a.prompt.error.txt").read_text()
    assert f"{desk.itself} retry" in told
    assert "astria-sync retry" not in told


def test_json_has_the_keys_of_the_contract(desk):
    """A program finds every key, also when nothing is there."""
    found = json.loads(desk.configure()("status", "--json").stdout)
    assert list(found)[:6] == ["version", "paused", "daemon", "counts", "spent", "balance_usd"]
    assert found["daemon"] == {"running": False, "pid": None, "since": None}


def test_many_problems_are_not_a_screenful(desk, journal):
    """As many as of any section, and how many more there are; `--all` has them all."""
    journal.put("alarms", [f"alarm number {n}" for n in range(60)])
    assert "and 35 more" in desk.configure()("status").stdout
    assert "alarm number 59" in desk.configure()("status", "--all").stdout


def test_failed_first_counts_last_80_columns(desk, journal):
    """What failed stands on top with its reason and what to do, and no line is too long."""
    prompt(
        desk,
        journal,
        "b.prompt",
        "waiting",
        reason="waits for <jane> and for <another-one-with-a-long-name>, " * 2,
    )
    prompt(desk, journal, "jane/a.prompt", "failed", reason="Astria refused it", error="text can't be blank")
    result = desk("status", config=False, ASTRIA_SYNC_CONFIG=str(desk.config))
    assert result.exit_code == 1
    text = result.stdout.splitlines()
    assert text[0] == "FAILED (1)"
    assert text[1].startswith("  jane/a.prompt  Astria refused it: text can't be blank; goes again when")
    assert "WAITING (1)" in text
    assert "2 prompts (1 failed, 1 waiting)" in text[-2] + text[-1]
    assert all(len(line) <= 80 for line in text)


def test_control_characters_cannot_reach_the_terminal(desk, journal):
    """A file's name or a server's words with escape sequences are shown, not carried out."""
    prompt(
        desk, journal, "evil\x1b[2J\u202e.prompt", "failed", reason="no", error="\x07\x9b31m red\nsecond line"
    )
    for arguments in (["status"], ["status", "--json"]):
        shown = desk(*arguments).stdout
        assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert "\\x1b[2J\\u202e" in desk("status").stdout
    assert "second line" in desk("status").stdout


def test_names_that_are_no_text_are_shown(desk):
    """Bytes in a name that are no UTF-8 do not end in a traceback."""
    assert lines(
        {
            "problems": [],
            "paused": False,
            "daemon": {"running": False, "pid": None},
            "counts": {"tunes": {}, "prompts": {}, "images": {"saved": 0, "bytes": 0}},
            "spent": {"today_usd": 0, "month_usd": 0, "total_usd": 0},
            "balance_usd": 3.5,
            "items": [
                {
                    "kind": "prompt",
                    "path": "a\udcff.prompt",
                    "root": "/in",
                    "state": "failed",
                    "reason": "x",
                    "why": "x",
                    "then": "",
                }
            ],
        },
        everything=False,
    )[1].startswith("  a\\udcff.prompt")


def test_many_of_one_kind_are_cut_short(desk, journal):
    """A hundred waiting prompts do not scroll the failed one away; --all shows them."""
    for number in range(40):
        prompt(desk, journal, f"{number}.prompt", "waiting", reason="waits for <jane>")
    short = desk("status").stdout
    assert "… and 15 more" in short
    assert short.count("nothing moves until") == 1
    assert desk("status", "--all").stdout.count(".prompt ") == 40


def test_two_roots_are_told_apart(desk, journal):
    """With more than one watched folder a path says in which."""
    prompt(desk, journal, "a.prompt", "failed")
    prompt(desk, journal, "a.prompt", "failed", root="/elsewhere/photos")
    shown = desk("status").stdout
    assert "inbox/a.prompt" in shown
    assert "photos/a.prompt" in shown


def test_a_path_may_go_through_a_link(desk, journal):
    """A PATH is meant wherever links lead."""
    prompt(desk, journal, "jane/a.prompt", "failed")
    (desk.home / "link").symlink_to(desk.inbox)
    assert "jane/a.prompt" in desk("status", str(desk.home / "link" / "jane")).stdout
    assert desk("status", str(desk.inbox / "dresses")).exit_code == 0


def test_a_tune_is_named_as_a_folder(desk, journal):
    """The root itself has its name, a folder a slash; a variant of a matrix its values."""
    for path in (".", "jane"):
        source = journal.add(
            "sources", kind="folder", root=str(desk.inbox), path=path, created_at=1.0, updated_at=1.0
        )
        journal.add("tunes", source_id=source, state="training", created_at=1.0, updated_at=1.0)
    prompt(desk, journal, "m.prompt", "generating", variant={"dress": "red"})
    shown = desk("status").stdout
    assert "  inbox/ " in shown
    assert "  jane/ " in shown
    assert "m.prompt [dress: red]" in shown


def test_who_holds_the_state(desk):
    """A daemon shows with its process and since when."""
    lock = StateLock(desk.configure().state)
    lock.acquire()
    try:
        found = json.loads(desk("status", "--json").stdout)["daemon"]
        assert (found["running"], found["pid"]) == (True, os.getpid())
        assert found["since"].startswith(time.strftime("%Y-%m-%dT", time.gmtime()))
        assert f"process {os.getpid()}" in desk("status").stdout
    finally:
        lock.release()


def test_pause_shows_on_top(desk, journal):
    """That it is paused explains everything else."""
    journal.put("paused", True)
    assert desk("status").stdout.startswith("Paused: ")


def test_colours_only_for_eyes(desk, journal, monkeypatch):
    """Colours in a terminal, none when piped or with NO_COLOR."""
    prompt(desk, journal, "a.prompt", "failed")
    assert "\x1b" not in desk("status").stdout
    monkeypatch.setattr("astria_sync.cli.common.colour", lambda _: True)
    assert "\x1b[31m" in desk("status").stdout


def test_no_color_is_respected(monkeypatch):
    """NO_COLOR and a dumb terminal are asked for plain text."""
    from astria_sync.cli.common import colour

    class Terminal:
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colour(Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not colour(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour(Terminal())


def test_a_damaged_state_ends_with_2(desk):
    """A state that is none is a sentence and 2."""
    desk.configure()
    desk.state.write_bytes(b"x" * 5000)
    result = desk("status")
    assert result.exit_code == 2
    assert "is damaged" in result.stderr
