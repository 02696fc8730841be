"""`init` leaves something that runs."""

import stat

import pytest

from astria_sync import config, studio
from astria_sync.cli import init as module


def load(desk, path):
    return config.load(path, profile=None, environ={}, home=desk.home)


def usual(desk):
    return desk.home / ".config/astria-sync/config.toml"


def test_a_folder_has_all_of_it(desk):
    """DIR gets a configuration with relative paths, folders and a state of its own."""
    base = desk.home / "studio"
    result = desk("init", str(base), "--yes", config=False)
    assert (result.exit_code, result.stdout) == (0, f"{base / 'config.toml'}\n")
    settings = load(desk, base / "config.toml")
    assert settings.state == base / "state/state.db"
    assert (settings.watch[0].path, settings.watch[0].output) == (base / "inbox", base / "generated")
    assert (base / "inbox").is_dir()
    assert (base / "generated").is_dir()
    assert (base / "state").is_dir()
    assert list((base / "inbox").iterdir()) == []
    assert "doctor" in result.stderr
    assert "still missing" in result.stderr
    assert str(base / "config.toml") in result.stderr


def test_without_a_folder_everything_is_at_its_usual_place(desk):
    """The configuration is found without being named."""
    assert desk("init", "--yes", config=False).exit_code == 0
    settings = load(desk, usual(desk))
    assert settings.watch[0].path == desk.home / "Astria/inbox"
    assert settings.watch[0].path.is_dir()
    assert settings.state.parent.stat().st_mode & 0o777 == 0o700  # no service could make it
    assert desk("status", config=False).exit_code == 0


def test_a_second_profile_takes_nothing_of_the_first(desk):
    """Its key is another account's and its folders are other folders: by default neither is the first one's."""
    folder = desk.home / ".config" / "astria-sync"
    for flags, key in (((), "the-first-account"), (("--profile", "work"), "the-second-account")):
        made = desk(*flags, "init", "--yes", "--token-stdin", config=False, typed=key + "\n")
        assert made.exit_code == 0, made.stderr
    first, second = load(desk, folder / "config.toml"), load(desk, folder / "work.toml")
    assert (first.astria.token_file, second.astria.token_file) == (folder / "token", folder / "work.token")
    assert (folder / "token").read_text() == "the-first-account\n"
    assert (folder / "work.token").read_text() == "the-second-account\n"
    places = {path for one in (first, second) for watch in one.watch for path in (watch.path, watch.output)}
    assert len(places) == 4
    assert second.watch[0].path == desk.home / "Astria-work" / "inbox"


def test_a_profile_gets_a_state_of_its_own(desk):
    """Two profiles do not share what was ordered."""
    assert (
        desk("--profile", "work", "init", "--yes", "--inbox", str(desk.home / "w"), config=False).exit_code
        == 0
    )
    settings = load(desk, usual(desk).with_name("work.toml"))
    assert settings.state.name == "work.db"
    assert settings.watch[0].path == desk.home / "w"


def test_values_stand_in_the_commented_example(desk):
    """What the person says is in its place, and every comment is still there."""
    base = desk.home / "s"
    arguments = [
        "--workspace-id",
        "679",
        "--model",
        "flux",
        "--token-file",
        "~/key",
        "--inbox",
        str(desk.home / 'a "b"'),
    ]
    assert desk("init", str(base), "--yes", *arguments, config=False).exit_code == 0
    settings = load(desk, base / "config.toml")
    assert settings.astria.workspace_id == "679"
    assert settings.models.default == "flux"
    assert settings.astria.token_file == desk.home / "key"
    assert settings.watch[0].path == desk.home / 'a "b"'
    text = (base / "config.toml").read_text()
    comments = [line.partition("#")[2] for line in studio.example().splitlines() if " # " in line]
    assert sum(comment in text for comment in comments) >= len(comments) - 1


def test_every_value_of_init_has_its_place_in_the_example():
    """A key that the example does not have is a defect, not a silent loss."""
    with pytest.raises(KeyError):
        studio.configuration({"no_such_key": 1})


def test_the_key_from_standard_input_is_private(desk):
    """The key is in a file that nobody else can read, and nowhere else."""
    result = desk("init", str(desk.home / "s"), "--token-stdin", typed="not-a-real-key\n", config=False)
    assert result.exit_code == 0
    token = desk.home / ".config/astria-sync/token"
    assert token.read_text() == "not-a-real-key\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert "not-a-real-key" not in result.output
    assert "still missing" not in result.stderr


@pytest.mark.parametrize("typed", ["", "\n", "two words\n"])
def test_a_key_that_is_none_is_refused_before_anything_is_written(desk, typed):
    """An empty or impossible key writes nothing."""
    result = desk("init", str(desk.home / "s"), "--token-stdin", typed=typed, config=False)
    assert result.exit_code == 2
    assert not (desk.home / "s").exists()


def test_nothing_is_overwritten(desk):
    """A configuration or key that is there stays; --force keeps the old configuration beside it."""
    base = desk.home / "s"
    assert desk("init", str(base), "--token-stdin", typed="key-one\n", config=False).exit_code == 0
    (base / "config.toml").write_text("# mine\n")
    again = desk("init", str(base), "--yes", config=False)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert (base / "config.toml").read_text() == "# mine\n"
    other = desk("init", str(desk.home / "t"), "--token-stdin", typed="key-two\n", config=False)
    assert other.exit_code == 2
    assert not (desk.home / "t").exists()
    assert desk("init", str(base), "--yes", "--force", config=False).exit_code == 0
    assert (base / "config.toml.bak").read_text() == "# mine\n"
    assert load(desk, base / "config.toml").watch


def test_values_that_cannot_be_used_leave_nothing_behind(desk):
    """An unknown model, or an output around the inbox, is told and nothing is written."""
    base = desk.home / "s"
    for wrong in (["--model", "gemni"], ["--output", str(base)]):
        result = desk("init", str(base), "--yes", *wrong, config=False)
        assert result.exit_code == 2
        assert "Nothing was written" in result.stderr
        assert not (base / "config.toml").exists()
        assert not (base / "inbox").exists()


def test_without_a_terminal_it_says_which_flag_is_missing(desk):
    """A script that gives nothing is told what to give."""
    result = desk("init", config=False)
    assert result.exit_code == 2
    assert "--inbox" in result.stderr
    assert "--yes" in result.stderr
    assert not usual(desk).exists()


def test_in_a_terminal_it_asks(desk, monkeypatch):
    """Questions go to stderr, the key is not shown, Enter takes what stands in brackets."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    answers = f"{desk.home / 'photos'}\n\n680\n\nkey-typed\ny\n"
    result = desk("init", config=False, typed=answers)
    assert result.exit_code == 0, result.output
    settings = load(desk, usual(desk))
    assert settings.watch[0].path == desk.home / "photos"
    assert settings.astria.workspace_id == "680"
    assert (desk.home / ".config/astria-sync/token").read_text() == "key-typed\n"
    assert "key-typed" not in result.output
    assert result.stdout == f"{usual(desk)}\n"
    assert (desk.home / "photos/README.txt").exists()
    # The sample costs nothing until it is renamed.
    assert not list((desk.home / "photos").glob("*.prompt"))


@pytest.mark.parametrize(
    ("display", "typed", "wanted"),
    [
        ({"DISPLAY": ":0"}, "\n\n\n\n\nn\n\n", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "\n\n\n\n\nn\nn\n", False),
        ({}, "\n\n\n\n\nn\n", False),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "\n\n\n\n\nn\n", False),
    ],
)
def test_who_has_a_screen_is_asked_for_notifications(desk, monkeypatch, display, typed, wanted):
    """Nobody is on a server, or at the other end of a line."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    result = desk("init", config=False, typed=typed, **display)
    assert result.exit_code == 0, result.output
    asked = bool(display) and "SSH_CONNECTION" not in display
    assert ("Desktop notifications of" in result.stderr) == asked
    assert load(desk, usual(desk)).notify.desktop is wanted
    assert ("cannot be shown yet" in result.stderr) == wanted


def test_notifications_by_a_flag(desk):
    """For a script; off if it says nothing."""
    assert desk("init", "--yes", "--notify", config=False).exit_code == 0
    assert load(desk, usual(desk)).notify.desktop
    assert desk("init", "--yes", "--force", config=False, DISPLAY=":0").exit_code == 0
    assert not load(desk, usual(desk)).notify.desktop


def test_a_key_that_is_found_is_not_asked_for(desk, monkeypatch):
    """With a key in the environment there is one question less."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    result = desk("init", config=False, typed="\n\n\n\nn\n", ASTRIA_AUTH_TOKEN="from-the-environment")
    assert result.exit_code == 0, result.output
    assert "API key" not in result.stderr


def test_giving_up_at_a_question_writes_nothing(desk, monkeypatch):
    """Ctrl-D or Ctrl-C at a question ends it without a trace."""
    monkeypatch.setattr(module, "is_terminal", lambda: True)
    assert desk("init", config=False, typed="").exit_code == 130
    assert not usual(desk).exists()
