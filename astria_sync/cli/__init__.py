"""The command line. Each command is a module of its own, imported when it is called: `--help` imports none of them."""

import errno
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TextIO

import click

import astria_sync
from astria_sync.cli.common import Group, Invocation, log_format_option, say
from astria_sync.errors import AstriaSyncError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name → the module that has a function of that name, and what `--help` says of it
COMMANDS: Final = {
    "Every day": {
        "run": ("run", "Watch the folders and fetch the pictures, until stopped (or --once)."),
        "status": ("status", "What waits, runs, failed and why; counts; money spent."),
        "log": ("log", "Everything that happened to one file or folder."),
        "plan": ("plan", "What would be sent, to where, and about what it costs. Orders nothing."),
        "pull": ("pull", "Fetch what was made elsewhere too: web page, other clients, packs."),
        "verify": ("verify", "Re-read and compare every picture; fetch again what is missing (--repair)."),
    },
    "Asking for more": {
        "retry": ("orders", "Try again what failed."),
        "rerun": ("orders", "One more generation of a prompt."),
        "retrain": ("orders", "A new tune of a folder as it is now."),
        "approve": ("orders", "Let go what `hold_above` or the day's limit holds back."),
        "pause": ("orders", "Start nothing new; downloads go on."),
        "resume": ("orders", "Go on after `pause`."),
    },
    "The account": {
        "tunes": ("tunes", "The account's tunes: list, get, update, delete."),
        "prompts": ("prompts", "Its prompts and their pictures: list, get, delete."),
        "packs": ("packs", "Its packs and the gallery's: list, get."),
        "models": ("account", "The names that prompts can be sent to."),
        "workspaces": ("account", "The account's workspaces: list."),
        "whoami": ("account", "Whose token it is, and the balance."),
    },
    "Setting up": {
        "init": ("init", "Make a configuration and the folders."),
        "service": ("service", "Have systemd keep it running: install, uninstall, status."),
        "doctor": ("doctor", "Check token, network, folders, limits, disk and clock."),
        "demo": ("demo", "The whole job against a built-in stand-in for Astria; costs nothing."),
        "simulator": ("simulator", "That stand-in alone, to play with."),
        "completion": ("completion", "The script by which bash, zsh or fish completes all this."),
    },
}
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_PIPE_CLOSED: Final = 141  # 128 + SIGPIPE


class Commands(Group):
    """A group whose commands are imported when they are called, and whose failures are sentences."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of `--help`."""
        del ctx
        return [name for group in COMMANDS.values() for name in group]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        for group in COMMANDS.values():
            if cmd_name in group:
                module = import_module(f"astria_sync.cli.{group[cmd_name][0]}")
                command = getattr(module, cmd_name)
                assert isinstance(command, click.Command)
                return command
        return None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """Every command with its text, and options; no module is imported for it."""
        from click.shell_completion import CompletionItem

        texts = {name: text for group in COMMANDS.values() for name, (_, text) in group.items()}
        found = [
            CompletionItem(name, help=text) for name, text in texts.items() if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Grouped by what one wants to do; the texts are above, so that no module is imported for them."""
        del ctx
        for title, group in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in group.items()])

    def main(  # type: ignore[override] # it never returns
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> NoReturn:
        """Run, and end the process with the exit code of the contract."""
        del prog_name
        extra["standalone_mode"] = False
        for stream in (sys.stdout, sys.stderr):
            # A file's name may hold bytes that are no text, and a terminal may not know every letter.
            with suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        if asked := os.environ.get("_ASTRIA_SYNC_COMPLETE"):
            from astria_sync.cli.completion import answer

            sys.exit(answer(self, asked))
        code = self._guarded(args, extra)
        # That data could not be written is said by then.
        _drop_unwritten(sys.stderr, *([sys.stdout] if code else []))
        sys.exit(code)

    def _guarded(self, args: Sequence[str] | None, extra: dict[str, Any]) -> int:
        try:
            return int(super().main(args, prog_name="astria-sync", **extra) or 0)
        except click.ClickException as error:
            say(_wrong_usage(error))
            return error.exit_code
        except OSError as error:  # of what is told without a command: `--help`, `--version`
            say(_os_error(error))
            return 1
        except (click.Abort, KeyboardInterrupt):
            return _INTERRUPTED

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and tell why it failed; a reader that has gone (`| head`) is told nothing, it has seen enough."""
        try:
            return super().invoke(ctx)
        except AstriaSyncError as error:
            say(*error.problems)
            return error.exit_code
        except BrokenPipeError:
            _to_nowhere(sys.stdout)
            return _PIPE_CLOSED
        except OSError as error:
            say(_os_error(error))
            return 1
        except Exception as error:
            if not _is_sqlite(error):
                raise  # a defect of the program: whoever mends it wants the whole of it
            say(f"The state cannot be used ({error}); see: astria-sync doctor")
            return 2


def _drop_unwritten(*streams: TextIO | None) -> None:
    """What these did not take is lost: Python would end with 120 for it, whatever was done."""
    for stream in filter(None, streams):  # none where it was closed before Python began
        try:
            stream.flush()
        except (OSError, ValueError):
            _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    """What is still buffered must not complain at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _wrong_usage(error: click.ClickException) -> str:
    """One sentence, and where to read more."""
    text = error.format_message().replace("\n", " ").strip()
    if isinstance(error, click.NoSuchOption) and error.option_name in {"--config", "--profile"}:
        return (
            f"{error.option_name} stands before the command: astria-sync {error.option_name} … {_name(error)}"
        )
    if isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{text} See" if text.endswith("?") else f"{text.removesuffix('.')}; see"
        return f"{text}: {error.ctx.command_path} --help"
    return text


def _is_sqlite(error: Exception) -> bool:
    """Whether it is SQLite's; without importing it for that."""
    sqlite = sys.modules.get("sqlite3")
    return sqlite is not None and isinstance(error, sqlite.Error)


def _name(error: click.UsageError) -> str:
    return (error.ctx.info_name if error.ctx else None) or "COMMAND"


def _os_error(error: OSError) -> str:
    """What the system refused, and to which file."""
    what = error.strerror or str(error) or type(error).__name__
    places = [str(name) for name in (error.filename, error.filename2) if name is not None]
    hint = "; free some space and try again" if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
    return f"{' → '.join(places) + ': ' if places else ''}{what}{hint}."


def _profiles(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    from astria_sync.cli.completion import profiles

    return profiles(ctx, parameter, incomplete)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExamples:\n  astria-sync demo                 see it work, without an account\n"
    "  astria-sync init                 make a configuration and the folders\n"
    "  astria-sync run                  go\n"
    "  astria-sync status               what waits, failed, and why\n\n"
    "Exit codes: 0 done, 1 something is failed, 2 wrong usage or configuration, "
    "3 another daemon holds this state, 4 not authorised.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The configuration [default: $ASTRIA_SYNC_CONFIG, or ~/.config/astria-sync/config.toml].",
)
@click.option(
    "--profile",
    metavar="NAME",
    shell_complete=_profiles,
    help="Use NAME.toml beside the default configuration, with a state of its own.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more: every step in the log, every field in `plan`.")
@log_format_option
@click.version_option(astria_sync.__version__, prog_name="astria-sync")
@click.pass_context
def cli(
    ctx: click.Context, config: Path | None, profile: str | None, log_format: str | None, *, verbose: bool
) -> None:
    """Drop a folder of photos, get a tune at Astria; save a .prompt file, get the pictures."""
    if config is not None and profile is not None:
        raise click.UsageError(
            "Give --config or --profile, not both: a profile is a configuration of its own."
        )
    ctx.obj = Invocation(config=config, profile=profile, verbose=verbose, log_format=log_format or "auto")


def main() -> NoReturn:
    """Run the command of `sys.argv`."""
    try:
        cli.main()
    finally:
        gc.freeze()  # Python looks for garbage once more before it ends: a tenth of the time of `--help`, for nothing
