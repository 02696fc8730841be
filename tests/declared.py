"""What is declared in the code, with the words beside it: for the reference and the man page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click

from astria_sync import errors
from astria_sync.cli import COMMANDS, cli

TOP = Path(__file__).resolve().parent.parent
PACKAGE = TOP / "astria_sync"
EXAMPLE = TOP / "config.example.toml"
_SETTING = re.compile(r"^(?P<off># )?(?P<key>[\w-]+) = (?P<value>.+?)(?:\s+# (?P<told>.*))?$")
_TABLE = re.compile(r"^\[+(?P<table>\w+)\]+(?:\s+# (?P<told>.*))?$")

# Names that are read from the environment. What reads them and is not here, or the reverse, fails a test.
ENVIRONMENT = {
    "ASTRIA_AUTH_TOKEN": "the API key; comes before every other place",
    "ASTRIA_API_KEY": "the API key, after `ASTRIA_AUTH_TOKEN`",
    "CREDENTIALS_DIRECTORY": "set by systemd: `astria-token` in it is the API key, after the two above",
    "ASTRIA_BASE_URL": "comes before `base_url` in `[astria]`",
    "WORKSPACE_ID": "comes before `workspace_id` in `[astria]`",
    "GEMINI_TUNE_ID": "what `gemini` means; comes before `[models]`",
    "SEEDREAM_TUNE_ID": "what `seedream` means; comes before `[models]`",
    "ASTRIA_PROFILE": "which `~/.astria/config.NAME.json` of the official client is looked into, after all others",
    "ASTRIA_SYNC_CONFIG": "the configuration; `--config` and `--profile` come before it",
    "XDG_CONFIG_HOME": "`astria-sync/config.toml` in it is the configuration; default `~/.config`",
    "XDG_RUNTIME_DIR": "where locks of watched folders lie, and what cannot be written into the state",
    "HOME": "your home folder",
    "PATH": "where other programs are found",
    "JOURNAL_STREAM": "set by systemd: whether stderr goes to its journal, and the log is written for that",
    "NOTIFY_SOCKET": "set by systemd: where it is told that the daemon is ready, and what it does",
    "WATCHDOG_PID": "set by systemd: which process that is asked of",
    "WATCHDOG_USEC": "set by systemd: how often it wants to hear that the daemon lives",
    "DBUS_SESSION_BUS_ADDRESS": "whether there is a desktop for notifications; else a bus in `XDG_RUNTIME_DIR`",
    "DISPLAY": "whether somebody sits before a screen; `init` asks for notifications then",
    "WAYLAND_DISPLAY": "the same",
    "SSH_CONNECTION": "nobody sits before this machine's screen",
    "NO_COLOR": "no colours, whatever its value",
    "TERM": "`dumb`: no colours",
}


class Setting(NamedTuple):
    """One line of config.example.toml; `value` is None if it is commented out."""

    table: str
    key: str
    value: str | None
    told: str


def settings() -> Iterator[Setting]:
    """The keys of the configuration as the example has them."""
    table = ""
    for line in EXAMPLE.read_text().splitlines():
        if head := _TABLE.match(line):
            table = head["table"]
        elif found := _SETTING.match(line):
            yield Setting(table, found["key"], None if found["off"] else found["value"], found["told"] or "")


def tables() -> dict[str, str]:
    """What the example says of each table."""
    lines = EXAMPLE.read_text().splitlines()
    return {head["table"]: head["told"] or "" for line in lines if (head := _TABLE.match(line))}


def _within(file: str, where: str) -> list[str]:
    """The lines of one definition or assignment of a module."""
    text = (PACKAGE / file).read_text()
    for node in ast.parse(text).body:
        names = [getattr(node, "name", None), getattr(getattr(node, "target", None), "id", None)]
        names += [getattr(target, "id", None) for target in getattr(node, "targets", [])]
        if where in names:
            return text.splitlines()[node.lineno - 1 : node.end_lineno]
    raise KeyError(where)


def words(file: str, where: str) -> dict[str, str]:
    """Key → the comment behind it or above it, for what is written as `"key": …` or `KEY = "key"` there."""
    told, above = {}, ""
    for line in _within(file, where):
        stripped = line.strip()
        if stripped.startswith("# "):
            above = f"{above} {stripped[2:]}".strip()
            continue
        key = re.match(r'(?:\*\*\(.*?\{)?"(\w+)": |[A-Z]+ = "(\w+)"', stripped)
        if key:
            behind = re.search(r"  # (.*)$", line)
            told[key[1] or key[2]] = behind[1] if behind else above
        above = ""
    return told


def exit_codes() -> dict[int, str]:
    """What each exit code means: those of errors, as their tree has it, and those of no error."""
    codes = {0: "done"}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"\W*(\w+) +exit (\d+) +(.*)$", line):
            codes.setdefault(int(found[2]), found[3])
    codes[2] = "wrong usage or configuration, or a state that cannot be used"
    return {**codes, 130: "interrupted by Ctrl-C", 141: "whoever read the output has gone"}


def variables() -> set[str]:
    """Every name that the program looks up in the environment, from its source."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        if "simulator" in file.parts:
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            found |= {value for value in _looked_up(node) if re.fullmatch(r"[A-Z][A-Z_]{3,}", value)}
    return found


def _looked_up(node: ast.AST) -> Iterator[str]:
    """The constants of `environ.get("X")`, `environ["X"]` and `first("key", "X", …)`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("environ.get", ".first", "getenv")):
        yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))
    elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
        yield str(getattr(node.slice, "value", ""))


# Commands


class Described(NamedTuple):
    """One command, with what `--help` tells of it."""

    name: str  # with those above it: `tunes list`
    usage: str
    help: str
    options: list[tuple[str, str]]
    examples: list[str]


def top() -> Described:
    """`astria-sync` itself."""
    return _described(cli, _context(cli, "astria-sync", None))


def commands() -> Iterator[tuple[str, list[Described]]]:
    """What can be called, by the headings of `--help`."""
    above = _context(cli, "astria-sync", None)
    for title, group in COMMANDS.items():
        found: list[Described] = []
        for name in group:
            command = cli.get_command(above, name)
            assert command is not None
            found += _below(command, _context(command, name, above))
        yield title, found


def _context(command: click.Command, name: str, above: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=above, **command.context_settings)


def _below(command: click.Command, ctx: click.Context) -> Iterator[Described]:
    yield _described(command, ctx)
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            yield from _below(below, _context(below, name, ctx))


def _described(command: click.Command, ctx: click.Context) -> Described:
    options = [
        record
        for one in command.get_params(ctx)
        if isinstance(one, click.Option) and (record := one.get_help_record(ctx))
    ]
    return Described(
        name=ctx.command_path.removeprefix("astria-sync").strip(),
        usage=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        help=_plain(command.help or ""),
        options=[(name, _plain(text)) for name, text in options],
        examples=_examples(command.epilog or ""),
    )


def _plain(text: str) -> str:
    """Paragraphs on a line each; a block that click is to leave alone is one already."""
    return "\n\n".join(
        " ".join(part.split()) for part in text.replace("\b", "").split("\n\n") if part.strip()
    )


def _examples(epilog: str) -> list[str]:
    return [line.strip() for line in epilog.splitlines() if line.startswith("  astria-sync ")]


def of(value: Any) -> str:
    """A cell of a table in Markdown."""
    return " ".join(str(value).split()).replace("|", "\\|")
