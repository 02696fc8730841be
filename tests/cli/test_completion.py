"""What the shells are told when somebody presses Tab."""

import os
import shutil
import subprocess
import sys

import pytest

from astria_sync.cli import COMMANDS, cli
from astria_sync.cli.completion import VARIABLE, answer
from astria_sync.statefile import open_database

SHELLS = ["bash", "zsh", "fish"]


@pytest.fixture
def tab(desk, monkeypatch, capfdbinary):
    """Press Tab behind some words; what is offered, and nothing on stderr."""
    for name in set(os.environ) - {"PATH"}:
        monkeypatch.delenv(name)
    for name, value in desk.environ().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(desk.home)

    def press(*words, shell="bash", config=True):
        first = ("--config", str(desk.config)) if config else ()
        line = ["astria-sync", *first, *words]
        current = words[-1] if shell == "fish" else str(len(line) - 1)
        monkeypatch.setenv("COMP_WORDS", "\n".join(word.replace(" ", "\\ ") for word in line))
        monkeypatch.setenv("COMP_CWORD", current.replace(" ", "\\ "))
        monkeypatch.setenv(VARIABLE, f"{shell}_complete")
        answer(cli, f"{shell}_complete")
        said, complaint = capfdbinary.readouterr()
        assert complaint == b""
        return [line.removeprefix("plain,") for line in said.decode().splitlines() if line]

    return press


@pytest.fixture
def studio(desk):
    """A state that knows two folders and three prompts, one of each sort that commands are for."""
    desk.configure()
    database = open_database(desk.state)
    root = str(desk.inbox)
    things = [
        ("folder", "jane doe", 1, None),
        ("folder", "plain", 0, None),
        ("prompt", "jane doe/hiking.prompt", 0, "failed"),
        ("prompt", "a,b/it's $5 (x).prompt", 0, "failed"),
        ("prompt", "crowd.prompt", 0, "held"),
    ]
    for number, (kind, path, images, state) in enumerate(things, start=1):
        database.execute(
            "INSERT INTO sources (id, kind, root, path, is_image_folder, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, ?, 0, 0)",
            [number, kind, root, path, images],
        )
        if state:
            database.execute(
                "INSERT INTO prompts (source_id, state, created_at, updated_at) VALUES (?, ?, 0, 0)",
                [number, state],
            )
    database.close()
    return desk


def test_commands_are_offered(tab):
    """Every command that begins like that, in the order of `--help`, and no more."""
    assert tab("re", config=False) == ["retry", "rerun", "retrain", "resume"]
    assert tab("", config=False) == [name for group in COMMANDS.values() for name in group]
    assert tab("tunes", "u", config=False) == ["update"]


def test_options_and_their_values_are_offered(tab):
    """Options of the command that is written, and words that it takes."""
    assert tab("retry", "--a", config=False) == ["--all"]
    assert tab("completion", "", config=False) == SHELLS


def test_texts_go_along_where_a_shell_shows_them(tab):
    """zsh and fish show what a command is for."""
    assert "Try again what failed." in tab("retr", shell="zsh", config=False)
    assert "retry\tTry again what failed." in tab("retr", shell="fish", config=False)


def test_profiles_are_offered(desk, tab):
    """What lies beside the usual configuration, without that itself."""
    folder = desk.home / ".config" / "astria-sync"
    folder.mkdir(parents=True)
    for name in ("config", "work", "home"):
        (folder / f"{name}.toml").write_text("")
    assert tab("--profile", "", config=False) == ["home", "work"]
    assert tab("--profile", "w", config=False) == ["work"]


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("retry", [r"inbox/a,b/it\'s\ \$5\ \(x\).prompt", r"inbox/jane\ doe/hiking.prompt"]),
        ("approve", ["inbox/crowd.prompt"]),
        ("retrain", [r"inbox/jane\ doe"]),
        ("rerun", [r"inbox/a,b/it\'s\ \$5\ \(x\).prompt", "inbox/crowd.prompt", r"inbox/jane\ doe/hiking.prompt"]),
    ],
)  # fmt: skip
def test_each_command_is_offered_what_it_is_for(studio, tab, command, paths):
    """What failed for `retry`, what is held for `approve`, folders for `retrain`, prompts for `rerun`."""
    assert tab(command, "") == paths


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("inbox/j", "inbox/jane doe"),
        ("./inbox/jane d", "./inbox/jane doe"),
        ("inbox//../inbox/j", "inbox//../inbox/jane doe"),
        ("{home}/in", "{home}/inbox/jane doe"),
        ("~/inbox/ja", "~/inbox/jane doe"),
    ],
)
def test_a_path_goes_on_as_it_was_begun(studio, tab, typed, offered):
    """From here, from home or from the top; quoted for bash, which does not do so itself."""
    typed, offered = (text.replace("{home}", str(studio.home)) for text in (typed, offered))
    assert tab("retrain", typed) == [offered.replace(" ", "\\ ")]
    assert tab("retrain", typed, shell="fish") == [offered]


def test_from_elsewhere_paths_are_whole(studio, tab, monkeypatch):
    """Who stands in no watched folder is offered paths that hold there too."""
    monkeypatch.chdir("/")
    assert tab("approve", "") == [str(studio.inbox / "crowd.prompt").lstrip("/")]
    (studio.home / "aside").mkdir()
    monkeypatch.chdir(studio.home / "aside")
    assert tab("approve", "") == [str(studio.inbox / "crowd.prompt")]


def test_a_link_to_the_folder_is_as_good(studio, tab):
    """A root that the state knows by a link is completed by the place itself too."""
    moved = studio.home / "moved"
    studio.inbox.rename(moved)
    studio.inbox.symlink_to(moved)
    assert tab("approve", "moved/") == ["moved/crowd.prompt"]
    assert tab("approve", "inbox/") == ["inbox/crowd.prompt"]


@pytest.mark.parametrize("what", ["no state", "no configuration", "broken configuration", "damaged state"])
def test_without_a_state_there_are_files(desk, tab, what):
    """Whatever is wrong, the shell completes names of files, and nobody reads of it while typing."""
    if what != "no configuration":
        desk.configure("nonsense = 1" if what.startswith("broken") else "")
    if what == "damaged state":
        desk.state.write_bytes(b"x" * 5000)
    assert tab("retry", "inb") == ["file,inb"]


def test_a_wrong_line_is_offered_nothing(tab):
    """Commands that do not exist, or a shell that nobody knows, are no word in the prompt."""
    assert tab("nonsense", "x", config=False) == []
    assert tab("whoami", "x", config=False) == []
    assert answer(cli, "csh_complete") == 1


def test_too_many_are_left_to_the_shell(studio, tab):
    """A hundred paths and more are not thrown at a person."""
    database = open_database(studio.state)
    database.execute("DELETE FROM sources WHERE id > 2")
    for number in range(10, 112):
        database.execute(
            "INSERT INTO sources (id, kind, root, path, created_at, updated_at) VALUES (?, 'prompt', ?, ?, 0, 0)",
            [number, str(studio.inbox), f"{number}.prompt"],
        )
    database.close()
    assert tab("rerun", "") == ["file,"]
    assert len(tab("rerun", "inbox/10")) == 11


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_one(desk, shell):
    """Each shell takes its script, where there is one."""
    script = desk("completion", shell, config=False)
    assert script.exit_code == 0
    assert VARIABLE in script.stdout
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell} here; the others have been asked")
    run = subprocess.run([shell, "-n"], input=script.stdout, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.fixture
def shell_home(studio):
    """The command as it is installed, on the PATH of a shell."""
    program = studio.home / "bin" / "astria-sync"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m astria_sync "$@"\n')
    program.chmod(0o755)
    usual = studio.home / ".config" / "astria-sync" / "config.toml"
    usual.parent.mkdir(parents=True)
    usual.write_text(f'state = "{studio.state}"\n[[watch]]\npath = "{studio.inbox}"\n')
    environ = studio.environ(PYTHONPATH=os.getcwd())
    return studio.home, {**environ, "PATH": f"{program.parent}:{environ['PATH']}"}


def test_bash_writes_it_into_its_line(shell_home):
    """A real bash, with the real program: the words that it would write are the paths once they are read as words."""
    home, environ = shell_home
    script = (
        "source <(astria-sync completion bash)\n"
        "COMP_WORDS=(astria-sync retry '') COMP_CWORD=2\n_astria_sync_completion astria-sync\n"
        "eval \"printf '%s\\n' ${COMPREPLY[*]}\"\n"
    )
    run = subprocess.run(
        ["bash", "-c", script], env=environ, cwd=home, capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == ["inbox/a,b/it's $5 (x).prompt", "inbox/jane doe/hiking.prompt"]


def test_fish_offers_it(shell_home):
    """A real fish, where there is one."""
    if not shutil.which("fish"):
        pytest.skip("there is no fish here")
    home, environ = shell_home
    script = "astria-sync completion fish | source; complete -C 'astria-sync retry ./in'"
    run = subprocess.run(
        ["fish", "-c", script], env=environ, cwd=home, capture_output=True, text=True, check=True
    )
    assert run.stdout.splitlines() == ["./inbox/a,b/it's $5 (x).prompt", "./inbox/jane doe/hiking.prompt"]
