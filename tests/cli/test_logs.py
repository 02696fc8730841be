"""The log as it is written: for people, for systemd's journal, for programs."""

import io
import json
import logging
import os
import subprocess
import sys

import pytest

from astria_sync.cli import logs
from astria_sync.secrets import Token

TOKEN = "sd_a-token-of-a-test-0123456789"


def line(formatter, text, level=logging.INFO, **extra):
    record = logging.makeLogRecord(
        {"msg": text, "levelno": level, "levelname": logging.getLevelName(level), "created": 1e9, **extra}
    )
    return formatter.format(record)


FORMATTERS = {
    "terminal": logs.Plain(terminal=True),
    "plain": logs.Plain(terminal=False),
    "journald": logs.Journald(),
    "json": logs.Json(),
}
every = pytest.mark.parametrize("formatter", FORMATTERS.values(), ids=FORMATTERS)


def test_for_people(monkeypatch):
    """In a terminal the time of day and a colour, elsewhere the whole time and the level."""
    monkeypatch.setenv("TZ", "UTC")
    assert line(logs.Plain(terminal=True), "all is well") == "01:46:40 all is well\x1b[0m"
    assert line(logs.Plain(terminal=True), "no", logging.ERROR) == "\x1b[31m01:46:40 no\x1b[0m"
    assert line(logs.Plain(terminal=False), "no", logging.ERROR) == "2001-09-09T01:46:40+0000 ERROR   no"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (logging.CRITICAL, 2)],
)
def test_for_the_journal(level, priority):
    """Each line has its priority and no time, which the journal knows; also each of several."""
    assert line(logs.Journald(), "one\ntwo", level) == f"<{priority}>one\n<{priority}>    two"


def test_for_programs():
    """One object a line, with what it is about in keys of their own."""
    facts = {"event": "bound", "file": "jane", "remote_id": 7}
    found = json.loads(line(logs.Json(), "sent\nit", logging.WARNING, facts=facts, repeats=14))
    assert found == {
        "ts": "2001-09-09T01:46:40.000+00:00",
        "level": "warning",
        **facts,
        "text": "sent\nit",
        "repeats": 14,
    }
    assert "\n" not in line(logs.Json(), "sent\nit")


def test_a_number_of_repeats_is_told():
    """For people and the journal, too."""
    assert line(logs.Journald(), "no answer", repeats=14) == "<6>no answer (14 more times)"
    assert line(logs.Journald(), "no answer", repeats=1) == "<6>no answer (1 more time)"


@every
def test_nothing_steers_a_terminal(formatter):
    """Whatever a server or a file's name says, in words and in facts."""
    nasty = "\x1b[2J\x9b\u202ered\r\x07"
    shown = line(formatter, nasty, facts={"file": nasty, "variant": {nasty: nasty}})
    shown = shown.removesuffix("\x1b[0m")
    assert all(one.isprintable() or one == "\n" for one in shown), shown


@every
@pytest.mark.parametrize("cut", [TOKEN, TOKEN[4:24], TOKEN.replace("-", "%2d")])
def test_no_secret_is_written(formatter, cut):
    """Neither a token, whole or in part, nor a picture's signature, wherever they stand: words, facts, tracebacks."""
    Token(TOKEN, source="a test")
    signed = f"https://cdn.example/a.jpg?X-Amz-Signature={'f' * 64}&x=1"
    error = ValueError(f"{cut} at {signed}")
    info = (ValueError, error, None)
    text = line(
        formatter,
        f"{cut} {signed}",
        exc_info=info,
        facts={"file": f"{signed} {cut}", "variant": {cut: signed}},
    )
    assert "ffff" not in text
    assert cut not in text
    assert "https://cdn.example/a.jpg?…" in text or "\\u2026" in text


def test_a_line_has_an_end():
    """An answer of megabytes is no line."""
    for formatter in FORMATTERS.values():
        assert len(line(formatter, "x" * 1_000_000)) < 21_000


def set_up_and_say(wanted, environ, capture):
    script = (
        "import logging, os, sys; from astria_sync.cli import logs\n"
        f"logs.set_up(verbose=False, wanted={wanted!r}, environ=dict(os.environ))\n"
        "log = logging.getLogger('astria_sync'); log.debug('no'); log.warning('yes')\n"
    )
    there, here = os.pipe()
    info = os.fstat(here)
    known = {"JOURNAL_STREAM": f"{info.st_dev}:{info.st_ino}"} if capture else {"JOURNAL_STREAM": "1:2"}
    subprocess.run(
        [sys.executable, "-c", script], stderr=here, env={**os.environ, **known, **environ}, check=True
    )
    os.close(here)
    with os.fdopen(there) as read:
        return read.read()


def test_the_journal_is_recognised():
    """By systemd's own word for it; a file, or a pipe of somebody else's, is none."""
    assert set_up_and_say("auto", {}, capture=True) == "<4>yes\n"
    assert set_up_and_say("auto", {}, capture=False).endswith("WARNING yes\n")
    assert set_up_and_say("plain", {}, capture=True).endswith("WARNING yes\n")
    assert set_up_and_say("journald", {}, capture=False) == "<4>yes\n"
    assert json.loads(set_up_and_say("json", {}, capture=True))["text"] == "yes"


def test_without_stderr_there_is_no_journal(monkeypatch):
    """Nothing fails where there is none."""
    monkeypatch.setattr(sys, "stderr", None)
    assert not logs.is_journal({"JOURNAL_STREAM": "1:2"})
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not logs.is_journal({"JOURNAL_STREAM": "1:2"})


@pytest.mark.parametrize("where", ["before", "behind"])
def test_one_prompt_from_its_file_to_its_picture(desk, account, where):
    """`--log-format json` before or behind `run`: each thing that a person cares about once, in order, with ids, time and money."""
    desk.configure()
    (desk.inbox / "sky.prompt").write_text("a sky")
    option = ("--log-format", "json")
    args = (*option, "run", "--once") if where == "before" else ("run", "--once", *option)
    result = desk.process(*args, "--timeout", "30", **account)
    assert result.returncode == 0, result.stderr
    found = [json.loads(one) for one in result.stderr.splitlines() if one.startswith("{")]
    ours = [one for one in found if one.get("file") == "sky.prompt"]
    assert [(one["event"], one["from"], one["to"]) for one in ours] == [
        ("bound", "submitting", "generating"),
        ("saved", "downloading", "done"),
    ]
    sent, saved = ours
    assert sent["remote_id"] == saved["remote_id"] > 0
    assert sent["root"] == str(desk.inbox)
    assert saved["pictures_in"] == str(desk.home / "out/sky")
    assert saved["seconds_since_sent"] > 0
    assert saved["cost_usd"] == 0.14
    assert {one["level"] for one in ours} == {"info"}


def test_every_move_with_verbose(desk, account):
    """`--verbose` tells each change of state once, and what came back from the threads."""
    desk.configure()
    (desk.inbox / "sky.prompt").write_text("a sky")
    result = desk.process("-v", "--log-format", "json", "run", "--once", "--timeout", "30", **account)
    found = [json.loads(one) for one in result.stderr.splitlines() if one.startswith("{")]
    ours = [(one["kind"], one["event"]) for one in found if one.get("file") == "sky.prompt"]
    assert ours == [
        ("source", "seen"),
        ("source", "read"),
        *(("prompt", event) for event in ("settled", "armed", "bound", "pictured")),
        ("image", "saved"),
        ("prompt", "saved"),
    ]
    assert any("came back: CreatePrompt" in one["text"] for one in found)


@pytest.mark.parametrize("args", [("--log-format", "xml", "run"), ("run", "--log-format", "xml")])
def test_a_format_that_there_is_not(desk, args):
    """One sentence, wrong usage, nothing done."""
    desk.configure()
    result = desk(*args)
    assert result.exit_code == 2
    assert "xml" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not desk.state.exists()
