"""What the commands share: the configuration asked for, words for the terminal, `--json`."""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from astria_sync.core import plain
from astria_sync.errors import UsageError

if TYPE_CHECKING:
    from astria_sync.settings import Settings

visible = plain.visible
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError("It is not known where your home folder is; set HOME.") from None


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What stands before the command, and the process's environment and home, read here alone."""

    config: Path | None = None
    profile: str | None = None
    verbose: bool = False
    log_format: str = "auto"
    environ: Mapping[str, str] = field(
        default_factory=lambda: dict(os.environ), repr=False
    )  # a token may be in it
    home: Path = field(default_factory=_home)

    def settings(self, *, any_model: bool = False) -> "Settings":
        """The configuration; raises ConfigError with everything that is wrong with it, see config.load."""
        from astria_sync import config

        found = config.load(
            self.config,
            profile=self.profile,
            environ=self.environ,
            home=self.home,
            any_model=any_model,
        )
        if self.config is None:
            return found
        # What is advised beside a prompt is read in another folder than this one.
        return replace(found, itself=f"astria-sync --config {quoted(self.config.absolute())}")

    def place(self) -> Path:
        """Where the configuration is, or would be."""
        from astria_sync import config

        return config.find(self.config, profile=self.profile, environ=self.environ, home=self.home)

    def itself(self) -> str:
        """`astria-sync`, as one must call it to get this configuration again."""
        if self.config is not None:
            return f"astria-sync --config {quoted(self.config)}"
        return f"astria-sync --profile {self.profile}" if self.profile else "astria-sync"


pass_invocation = click.make_pass_decorator(Invocation)


def command(
    *examples: str, of: click.Group | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with examples; `of` a group, or on its own."""
    return (of or click).command(epilog=_examples(examples), **attributes)


def _examples(examples: Iterable[str]) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  astria-sync {example}" for example in examples)


class Group(click.Group):
    """Commands of which a slip of the fingers is told what was meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest."""
        if self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            from difflib import get_close_matches

            within = " ".join(ctx.command_path.split()[1:])
            near = get_close_matches(args[0], self.list_commands(ctx), 1)
            meant = f"; did you mean `{f'{within} {near[0]}'.strip()}`?" if near else ""
            raise click.UsageError(f"There is no command `{f'{within} {args[0]}'.strip()}`{meant}", ctx)
        return super().resolve_command(ctx, args)


def group(*examples: str, **attributes: Any) -> Callable[[Callable[..., Any]], click.Group]:
    """A command that has others below it; called alone it is wrong usage, told in one sentence."""
    return click.group(cls=Group, epilog=_examples(examples), no_args_is_help=False, **attributes)


def is_terminal() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def json_option(function: _Command) -> _Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")(function)


def log_format_option(function: _Command) -> _Command:
    """`--log-format`, before a command or with `run`."""
    return click.option(
        "--log-format",
        type=click.Choice(["auto", "plain", "journald", "json"]),
        help="How the log is written [default: auto, for systemd's journal if stderr goes there, else plain].",
    )(function)


def advised(text: str) -> str:
    """The same, with the commands that it advises called for this configuration; whoever breaks lines asks before."""
    context = click.get_current_context(silent=True)
    invocation = context.find_object(Invocation) if context is not None else None
    return plain.advised(text, invocation.itself()) if invocation is not None else text


def tell(line: str) -> None:
    """Words to the person, on stderr. Where they cannot be written (a log on a full disk), that changes nothing of what was done."""
    with suppress(OSError):
        click.echo(advised(line), err=True, color=colour(sys.stderr))


def say(*sentences: str) -> None:
    """The same, each sentence with the program's name in front."""
    for sentence in sentences:
        for line in sentence.splitlines() or [""]:
            tell(f"astria-sync: {visible(line)}")


def show(text: str = "") -> None:
    """A line of data for a person, on stdout; what came from outside was made visible before."""
    click.echo(advised(text), color=colour(sys.stdout))


def show_json(value: object) -> None:
    """Data for a program, on stdout; readable, but with nothing in it that would steer a terminal."""
    click.echo(plain.visible_json(value))


def colour(stream: Any) -> bool:
    """Whether colours suit this stream (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and stream is not None and bool(stream.isatty())  # a stream that was closed is None


def count(number: int, what: str) -> str:
    """`1 picture`, `2 pictures`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def size(octets: float) -> str:
    """Bytes as one reads them."""
    for unit in ("B", "kB", "MB", "GB"):
        if octets < 1000:
            return f"{octets:.0f} {unit}" if unit == "B" or octets >= 100 else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:.1f} TB"


def quoted(path: object) -> str:
    """A path as one can paste it into a shell."""
    import shlex

    return shlex.quote(str(path))
