"""How commands are called, rightly and wrongly."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import astria_sync
from astria_sync.cli import COMMANDS, cli, main

NOW = [name for group in COMMANDS.values() for name in group]


def only_sentence(result, code=2):
    """The one line on stderr, with nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("astria-sync: ")
    return lines[0]


@pytest.mark.parametrize("name", NOW)
def test_every_command_explains_itself(desk, name):
    """The help of each command ends with examples that start with the program's name."""
    result = desk(name, "--help", config=False)
    assert result.exit_code == 0
    assert f"  astria-sync {'--' if name == 'never' else ''}" in result.stdout.partition("Examples:")[2]
    assert result.stderr == ""


@pytest.mark.parametrize("name", NOW)
def test_an_unknown_option_is_one_sentence(desk, name):
    """An option that no command knows ends with 2 and says where to read."""
    assert f"astria-sync {name} --help" in only_sentence(desk(name, "--nonsense", config=False))


def test_help_lists_every_command():
    """Each with a line, in the group that it is of."""
    run = subprocess.run(
        [sys.executable, "-m", "astria_sync", "--help"], capture_output=True, text=True, check=True
    )
    assert all(f"  {name} " in run.stdout for name in NOW)


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md", "docs/guide.md"])
def test_the_documents_name_commands_that_exist(document):
    """Whoever types what the documents say gets what they say."""
    text = (Path(__file__).parents[2] / document).read_text()
    named = re.findall(r"(?:`|^)astria-sync ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= {*NOW, "is"}
    if document == "README.md":
        assert {"demo", "init", "doctor", "plan", "run", "status"} <= set(named)


def test_the_table_and_the_commands_agree(desk):
    """Each command of the table is one, and the texts of the table are those of no import."""
    context = cli.make_context("astria-sync", ["status"], resilient_parsing=True)
    for name in NOW:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("retry",), "--all"),
        (("retry", "x", "--all"), "not both"),
        (("approve",), "--all"),
        (("rerun",), "PATH"),
        (("retrain",), "FOLDER"),
        (("pause", "x"), "unexpected extra argument"),
        (("run", "--timeout", "soon"), "not a valid float"),
        (("run", "--timeout", "0"), "range"),
        (("simulator", "--port", "99999"), "range"),
        (("status", "--watch", "--all"), "leave out --all"),
        (("status", "/somewhere/else"), "outside of the watched folders"),
        (("statsu",), "did you mean `status`?"),
        (("status", "--config", "x"), "stands before the command"),
        (("demo", "--keep"), "requires an argument"),
    ],
)
def test_wrong_usage_is_one_sentence(desk, arguments, words):
    """A call that makes no sense ends with 2 and one sentence that says what does."""
    assert words in only_sentence(desk.configure()(*arguments))


def test_config_and_profile_exclude_each_other(desk):
    """Both at once is wrong usage."""
    assert "not both" in only_sentence(desk("--profile", "work", "status"))


def test_a_profile_is_a_file_with_a_state_of_its_own(desk):
    """`--profile work` reads work.toml beside the usual configuration."""
    sentence = only_sentence(desk("--profile", "work", "status", config=False))
    assert str(desk.home / ".config/astria-sync/work.toml") in sentence


@pytest.mark.parametrize("command", ["status", "run", "plan", "pause", "retry --all"])
def test_a_configuration_that_is_not_there_is_wrong_usage(desk, command):
    """Every command that needs the configuration says that it is not there."""
    assert "There is no configuration" in only_sentence(desk(*command.split()))


def test_every_problem_of_a_configuration_is_told(desk):
    """Two slips are two sentences, each with the program's name in front."""
    desk.configure("[limits]\nuplods = 2\nrequests = 'x'")
    result = desk("status")
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("astria-sync: ") for line in lines)
    assert 'did you mean "uploads"' in result.stderr


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_root_that_is_not_there_is_told_before_anything_is_done(desk, command):
    """Neither `run` nor `plan` start on a folder that does not exist."""
    desk.configure()
    desk.inbox.rmdir()
    assert "does not exist" in only_sentence(desk(command))


@pytest.mark.parametrize("command", ["run", "plan"])
def test_nothing_to_watch_is_told(desk, command):
    """Without a [[watch]] there is nothing to run."""
    desk.config.write_text("")
    assert "[[watch]]" in only_sentence(desk(command))


def test_version(desk):
    """`--version` names program and version."""
    assert astria_sync.__version__ in desk("--version", config=False).stdout


def test_json_is_json_where_something_is_shown(desk):
    """Every command with --json prints one JSON value on stdout."""
    desk.configure()
    for command in ("status", "plan", "pause", "resume"):
        assert json.loads(desk(command, "--json").stdout) is not None


def test_an_error_of_the_system_is_a_sentence(desk):
    """A configuration that is a folder ends without a traceback."""
    desk.config.mkdir()
    result = desk("status")
    assert result.exit_code == 2
    assert "directory" in result.stderr


def test_ctrl_c_ends_with_130_and_without_a_word(desk, monkeypatch):
    """An interrupt is no failure to be explained."""
    monkeypatch.setattr(
        "astria_sync.cli.common.Invocation.settings", lambda _: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    result = desk("status")
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.strip() == ""


def test_an_unexpected_os_error_names_the_file(desk, monkeypatch):
    """What the system refuses is told with the file, ending with 1."""

    def full(_):
        raise OSError(28, "No space left on device", "/disk/file")

    monkeypatch.setattr("astria_sync.cli.common.Invocation.settings", full)
    sentence = only_sentence(desk("status"), code=1)
    assert "/disk/file" in sentence
    assert "free some space" in sentence


@pytest.mark.parametrize("command", ["status", "plan", "run", "retry --all"])
def test_a_damaged_state_is_a_sentence(desk, command):
    """No command ends in a traceback on a state that is none."""
    desk.configure().state.write_bytes(b"x" * 5000)
    run = desk(*command.split(), ASTRIA_AUTH_TOKEN="not-a-real-key")
    assert run.exit_code == 2
    assert "file is not a database" in run.stderr


def test_a_defect_is_not_hidden(desk, monkeypatch):
    """What is no person's doing keeps its traceback, for whoever mends it."""

    def defect(_):
        raise ZeroDivisionError

    monkeypatch.setattr("astria_sync.cli.common.Invocation.settings", defect)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        desk("status")


def test_a_reader_that_has_gone_is_no_error(desk):
    """`status | head` ends quietly."""
    desk.configure()
    script = f"{sys.executable} -m astria_sync --config {desk.config} status --json | true"
    run = subprocess.run(
        ["bash", "-c", script], env=desk.environ(), capture_output=True, text=True, check=False
    )
    assert run.stderr == ""


def test_a_terminal_that_knows_few_letters_is_served(desk):
    """An encoding without dots and dashes is no reason for a traceback."""
    run = desk.configure().process("status", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (run.returncode, run.stderr) == (0, "")


def test_main_is_the_command(desk, monkeypatch, capsys):
    """The installed script calls `main`, which ends the process."""
    monkeypatch.setattr(sys, "argv", ["astria-sync", "--version"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    assert "astria-sync" in capsys.readouterr().out
