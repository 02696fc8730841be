"""`completion`, and what it completes: commands, options, profiles, and paths that the state knows.

It runs while somebody types: it is quick, and what goes wrong is no word in their prompt.
"""

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, suppress
from pathlib import Path
from typing import Final

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from astria_sync.cli.common import Invocation, command, show

VARIABLE: Final = "_ASTRIA_SYNC_COMPLETE"
_MOST: Final = 100  # more are no help: the shell then completes names of files
_ODD: Final = re.compile(r"[\x00-\x1f\x7f]")  # what the shells' own functions cannot take apart
_QUOTED: Final = re.compile(r"[^\w@%+=:,./-]")
_ROWS: Final = "SELECT source_id FROM {} WHERE {} AND current"
_OPEN: Final = {"failed": "state = 'failed'", "held": "(state = 'held' OR needs_mc IS NOT NULL)"}
_KINDS: Final = {
    "prompts": "kind = 'prompt'",
    "folders": "kind = 'folder' AND is_image_folder",
    "all": "(kind = 'prompt' OR is_image_folder)",
}


class _Bash(BashComplete):
    source_template = BashComplete.source_template.replace("read type", "read -r type")

    def source(self) -> str:
        return self.source_template % self.source_vars()  # without a look for bash, and what it finds


class _Fish(FishComplete):
    source_template = FishComplete.source_template.replace('string split ","', 'string split -m 1 ","')


_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": _Bash, "zsh": ZshComplete, "fish": _Fish}


@command(
    "completion bash > ~/.local/share/bash-completion/completions/astria-sync",
    "completion zsh > ~/.zfunc/_astria-sync          a folder of $fpath, before compinit",
    "completion fish > ~/.config/fish/completions/astria-sync.fish",
)
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> int:
    """Print the script by which SHELL completes commands, options, profiles and paths.

    Paths are those of the state: what failed for `retry`, what is held for `approve`, image folders for `retrain`.
    """
    root = click.get_current_context().find_root().command
    show(_SHELLS[shell](root, {}, "astria-sync", VARIABLE).source().strip())
    return 0


def answer(cli: click.Command, asked: str) -> int:
    """What the shell's function asks for, on stdout; nothing else, whatever happens."""
    shell, _, what = asked.partition("_")
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        try:
            one = _SHELLS[shell](cli, {}, "astria-sync", VARIABLE)
            text = one.source() if what == "source" else one.complete()
            sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "surrogateescape"))
            sys.stdout.flush()
        except (Exception, SystemExit):  # noqa: BLE001 - a person is typing
            return 1
    return 0


def profiles(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
    """The configurations beside the default one."""
    folder = Invocation(profile="x").place().parent
    names = sorted(file.stem for file in folder.glob("*.toml") if file.name != "config.toml")
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class KnownPath(click.ParamType[str]):
    """A path, completed from what the state knows; `which` of it: failed, held, prompts, folders, or all."""

    name = "path"

    def __init__(self, which: str = "all") -> None:
        self.which = which

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Whole paths; names of files if there are none, or too many to choose from."""
        del param
        given = ctx.find_root().params
        found: list[str] = []
        with suppress(Exception):  # no configuration, a broken one, no state: there are files all the same
            invocation = Invocation(config=given.get("config"), profile=given.get("profile"))
            found = self._paths(invocation.settings(any_model=True).state, incomplete)
        if not 0 < len(found) <= _MOST:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(_as_typed(path)) for path in sorted(set(found))]

    def _paths(self, state: Path, incomplete: str) -> list[str]:
        """As the person began to write them; from here, else from the top, if nothing is written yet."""
        from astria_sync.reading import reading

        here = os.getcwd()
        typed = os.path.join(here, os.path.expanduser(incomplete))
        starts = (_plain(typed),) if incomplete else (f"{here.rstrip('/')}/", "")
        with reading(state) as connection:
            for start in starts if connection is not None else ():
                assert connection is not None
                if found := [incomplete + path[len(start) :] for path in self._known(connection, start)]:
                    return found
        return []

    def _known(self, connection: sqlite3.Connection, start: str) -> Iterator[str]:
        """Every path that begins like that, wherever its root is reached by a link too."""
        for (root,) in connection.execute("SELECT DISTINCT root FROM sources").fetchall():
            if not root.startswith("/"):
                continue  # what was pulled hangs on no file
            for spelt in dict.fromkeys((root, os.path.realpath(root))):
                if spelt.startswith(start) or start.startswith(f"{spelt}/"):
                    yield from self._below(connection, root, spelt, start[len(spelt) + 1 :])

    def _below(self, connection: sqlite3.Connection, root: str, spelt: str, within: str) -> Iterator[str]:
        rows = connection.execute(
            f"SELECT path FROM sources WHERE root = ? AND missing_since IS NULL AND {self._wanted()} "
            "AND substr(path, 1, ?) = ? AND path != '.' LIMIT ?",
            [root, len(within), within, _MOST + 1],
        )
        return (f"{spelt}/{path}" for (path,) in rows if not _ODD.search(path))

    def _wanted(self) -> str:
        if self.which in _KINDS:
            return _KINDS[self.which]
        tables = ("tunes", "prompts", "packs")
        return f"id IN ({' UNION '.join(_ROWS.format(table, _OPEN[self.which]) for table in tables)})"


def _plain(path: str) -> str:
    """Without `..` and `//`, and with the slash at the end that tells a folder from the beginning of a name."""
    return os.path.normpath(path) + ("/" if path.endswith("/") else "")


def _as_typed(path: str) -> str:
    """As a shell is to put it into its line: bash as it is, so with what quotes it; the others quote it themselves."""
    asked = os.environ.get(VARIABLE, "")
    if not asked.startswith("bash"):
        return os.path.expanduser(path) if asked.startswith("zsh") else path
    home = "~/" if path.startswith("~/") else ""
    return home + _QUOTED.sub(r"\\\g<0>", path.removeprefix(home))
