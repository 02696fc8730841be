"""`init`: a configuration, folders and a token file, so that `run` has all it needs."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from astria_sync.cli.common import Invocation, command, is_terminal, pass_invocation, quoted, say, show
from astria_sync.errors import AstriaSyncError, ConfigError, UsageError

_HOME, _PROFILES_HOME = "~/Astria", "~/Astria-{}"  # a profile must not watch what another one does
_NO_KEY: Final = "The API key is on https://www.astria.ai/users/edit#api."


@dataclass
class Wishes:
    """What the person said, by flag or in answer to a question; None: not said."""

    inbox: str | None
    output: str | None
    token_file: str | None
    workspace_id: str | None
    model: str | None
    sample: bool | None
    notify: bool | None
    token: str | None = field(default=None, repr=False)


@command(
    "init                            ask, and write ~/.config/astria-sync/config.toml",
    "init ~/studio --yes             everything in ~/studio, without questions",
    "init --inbox ~/Photos/astria --output ~/Pictures/astria",
    "--profile work init --yes --token-stdin < key.txt",
)
@click.argument("folder", required=False, metavar="[DIR]")
@click.option(
    "--inbox", metavar="FOLDER", help=f"The folder to watch [default: {_HOME}/inbox, or DIR/inbox]."
)
@click.option(
    "--output", metavar="FOLDER", help=f"For the pictures [default: {_HOME}/generated, or DIR/generated]."
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="Where the API key is or will be [default: ~/.config/astria-sync/token, or NAME.token of a profile].",
)
@click.option("--token-stdin", is_flag=True, help="Read the API key from standard input.")
@click.option("--workspace-id", metavar="N", help="The workspace to work in [default: your personal scope].")
@click.option("--model", metavar="NAME", help="Where a prompt goes that names no model [default: gemini].")
@click.option("--sample/--no-sample", default=None, help="Put a README and a sample prompt into the inbox.")
@click.option(
    "--notify/--no-notify", default=None, help="Desktop notifications of failures and of what is finished."
)
@click.option("--yes", is_flag=True, help="Ask nothing; take the defaults for what no flag says.")
@click.option("--force", is_flag=True, help="Replace what is there; the old configuration is kept as .bak.")
@pass_invocation
def init(
    invocation: Invocation, /, folder: str | None, *, token_stdin: bool, yes: bool, force: bool, **said: Any
) -> None:
    """Make a configuration and the folders that it names.

    With DIR everything is below it: DIR/config.toml, DIR/inbox, DIR/generated, and a state of its own. Without, the
    configuration is written to its usual place (or where --config or --profile say), and the folders to ~/Astria; with
    --profile NAME to ~/Astria-NAME, with an API key of its own. What is there already stays as it is, unless --force. In a terminal it asks for what no flag says. The API key is read hidden, or
    from standard input, never from the command line, and kept in a file that only you can read.
    """
    wishes = Wishes(**said)
    base = Path(os.path.abspath(Path(folder).expanduser())) if folder else None
    place = _place(invocation, base)
    if place.exists() and not force:
        raise UsageError(f"{place} is there already; change it by hand, or give --force to replace it.")
    if token_stdin:
        wishes.token = sys.stdin.readline().strip()
        if not wishes.token:
            raise UsageError("There was no API key on standard input.")
    if not yes:
        if is_terminal() and not token_stdin:
            ask(wishes, invocation, base)
        elif base is None and wishes.inbox is None:
            raise click.UsageError(
                f"There is no terminal to ask on; give --inbox FOLDER, or --yes to watch {_usual_folder(invocation)}/inbox."
            )
    _make(invocation, wishes, base, place, force=force)


def _place(invocation: Invocation, base: Path | None) -> Path:
    """Below DIR, unless it was said where."""
    if base and not invocation.config and not invocation.profile:
        return base / "config.toml"
    return invocation.place()


def ask(wishes: Wishes, invocation: Invocation, base: Path | None) -> None:
    """Ask for what no flag said; Enter takes what stands in brackets."""
    from astria_sync.desktop import has_display

    around = base or _usual_folder(invocation)
    if wishes.inbox is None:
        wishes.inbox = _answer("Folder to watch", f"{around}/inbox")
    if wishes.output is None:
        wishes.output = _answer("Folder for the pictures", f"{around}/generated")
    if wishes.workspace_id is None:
        wishes.workspace_id = _answer("Workspace number (empty: your personal scope)", "") or None
    if wishes.model is None:
        wishes.model = _answer("Model for prompts that name none", "gemini")
    if not _token_there(invocation, wishes):
        click.echo(_NO_KEY, err=True)
        hidden = "API key (not shown; empty: later)"
        wishes.token = click.prompt(hidden, default="", hide_input=True, show_default=False, err=True)
    if wishes.sample is None:
        wishes.sample = click.confirm("Put a README and a sample prompt there?", default=False, err=True)
    if wishes.notify is None and has_display(invocation.environ):
        wishes.notify = click.confirm(
            "Desktop notifications of failures and of what is finished?", default=True, err=True
        )


def _usual_folder(invocation: Invocation) -> str:
    """Where the folders go that nobody said anything of."""
    return _PROFILES_HOME.format(invocation.profile) if invocation.profile else _HOME


def _answer(question: str, default: str) -> str:
    answer: str = click.prompt(question, default=default, show_default=bool(default), err=True)
    return answer.strip()


def _token_there(invocation: Invocation, wishes: Wishes) -> bool:
    """Whether a key is found without asking."""
    from astria_sync.secrets import find_token
    from astria_sync.settings import Astria

    file = _token_file(invocation, wishes)
    try:
        return (
            find_token(Astria(token_file=file), environ=invocation.environ, home=invocation.home) is not None
        )
    except AstriaSyncError:
        return False


def _token_file(invocation: Invocation, wishes: Wishes) -> Path:
    from astria_sync.config import TOKEN_FILE

    if wishes.token_file:
        return _whole(wishes.token_file, invocation)
    usual = invocation.home / TOKEN_FILE
    return usual.with_name(f"{invocation.profile}.token") if invocation.profile else usual


def _whole(written: str, invocation: Invocation) -> Path:
    """A path as meant where the command was typed."""
    return Path(invocation.home / written[2:] if written.startswith("~/") else written).absolute()


def _make(invocation: Invocation, wishes: Wishes, base: Path | None, place: Path, *, force: bool) -> None:
    from astria_sync import studio
    from astria_sync.disk import make_private_folder
    from astria_sync.secrets import Token

    token = wishes.token.strip() if wishes.token else ""
    token_file = _token_file(invocation, wishes)
    if token:
        Token(token, source="the input")  # refuses what can be none, before anything is written
        if token_file.exists() and not force:
            raise UsageError(
                f"{token_file} is there already; name another --token-file, or give --force to replace the key in it."
            )
    settings = _write_configuration(
        place, studio.configuration(_values(invocation, wishes, base)), invocation
    )
    make_private_folder(settings.state.parent)  # a service is let into folders that are there when it starts
    for watch in settings.watch:
        watch.path.mkdir(parents=True, exist_ok=True)
        watch.output.mkdir(parents=True, exist_ok=True)
        if wishes.sample:
            _sample(watch.path, watch.output)
    if token:
        token_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        studio.write_private(token_file, token + "\n")
    show(str(place))
    _what_next(invocation, wishes, place, settings)


def _values(invocation: Invocation, wishes: Wishes, base: Path | None) -> dict[str, Any]:
    """What differs from the example. Below DIR paths are relative, so that the whole studio can be moved."""
    own = base is not None and not invocation.config and not invocation.profile
    values: dict[str, Any] = {}
    if own:
        values["state"] = "state/state.db"
    elif invocation.profile:
        values["state"] = f"~/.local/state/astria-sync/{invocation.profile}.db"
    around = _usual_folder(invocation)
    for key, said, name in (("path", wishes.inbox, "inbox"), ("output", wishes.output, "generated")):
        values[key] = _written(said, base / name if base else f"{around}/{name}", base if own else None)
    if wishes.token_file or invocation.profile:
        values["token_file"] = _written(wishes.token_file, str(_token_file(invocation, wishes)), None)
    if wishes.workspace_id:
        values["workspace_id"] = wishes.workspace_id
    if wishes.model:
        values["default"] = wishes.model
    if wishes.notify:
        values["desktop"] = True
    return values


def _written(said: str | None, usual: Path | str, base: Path | None) -> str:
    text = said or str(usual)
    if text.startswith("~"):
        return text
    path = Path(os.path.abspath(text))
    return str(path.relative_to(base) if base and path.is_relative_to(base) else path)


def _write_configuration(place: Path, text: str, invocation: Invocation) -> Any:
    """Write it and read it as `run` will; what cannot be used is taken back, and what was there before put back."""
    from astria_sync import config, studio

    place.parent.mkdir(parents=True, exist_ok=True)
    backup = place.with_name(place.name + ".bak")
    had = place.exists()
    if had:
        place.replace(backup)
    try:
        studio.write_private(place, text)
        environ = {key: value for key, value in invocation.environ.items() if key != "ASTRIA_SYNC_CONFIG"}
        return config.load(place, profile=None, environ=environ, home=invocation.home)
    except ConfigError as error:
        place.unlink(missing_ok=True)
        if had:
            backup.replace(place)
        raise UsageError(*error.problems, "Nothing was written; call init again with other values.") from None


def _sample(inbox: Path, output: Path) -> None:
    from astria_sync import studio

    for name, text in (
        ("README.txt", studio.README.format(output=output)),
        ("lighthouse.prompt.example", studio.SAMPLE_PROMPT),
    ):
        if not (inbox / name).exists():
            (inbox / name).write_text(text, "utf-8")


def _what_next(invocation: Invocation, wishes: Wishes, place: Path, settings: Any) -> None:
    from astria_sync import desktop

    itself = "astria-sync" if place == _usual(invocation) else f"astria-sync --config {quoted(place)}"
    if invocation.profile:
        itself = invocation.itself()
    watch = settings.watch[0]
    say(f"The configuration is {place}.")
    if not wishes.token and not _token_there(invocation, wishes):
        say(f"The API key is still missing: put it into {settings.astria.token_file} (chmod 600). {_NO_KEY}")
    if wishes.notify and (wrong := desktop.obstacle(invocation.environ)):
        say(f"Desktop notifications cannot be shown yet: {wrong}.")
    if wishes.sample:
        say(f"Rename {watch.path / 'lighthouse.prompt.example'} to lighthouse.prompt to order its pictures.")
    say(
        f"Check it with:  {itself} doctor",
        f"Start it with:  {itself} run",
        f"Then drop folders of pictures and .prompt files into {watch.path}; the pictures come to {watch.output}.",
    )


def _usual(invocation: Invocation) -> Path:
    """Where it is found without being named."""
    from astria_sync import config

    return config.find(None, profile=None, environ=invocation.environ, home=invocation.home)
