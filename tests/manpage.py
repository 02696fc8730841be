"""Writes the man page from the same objects as the reference: `python -m tests.manpage docs/astria-sync.1`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import astria_sync
from tests import declared
from tests.declared import Described

_WHAT = """\
astria-sync watches folders. A folder of pictures becomes a tune at Astria, a text file NAME.prompt becomes a request for pictures, and
the pictures come back into a folder beside it, each with a record of how it was made. Nothing is paid for twice, no finished picture is
lost, and what could not be done is said beside the file, in `status` and in the log."""
_FILES = (
    ("~/.config/astria-sync/config.toml", "the configuration; NAME.toml beside it for `--profile NAME`"),
    ("~/.config/astria-sync/token", "Astria's API key, readable by you alone"),
    ("~/.local/state/astria-sync/state.db", "what has been ordered and saved; NAME.db for `--profile NAME`"),
    ("~/.local/state/astria-sync/state.db.backups/", "its copies of the last days"),
    ("NAME.prompt", "a request: its text, and parameters on top between lines of ---"),
    ("tune.toml", "in a folder of pictures, or above it: how its tune is made"),
    ("NAME.prompt.error.txt, tune.error.txt", "what could not be done, and what to do"),
    ("OUTPUT/FOLDER/NAME/NAME-ID-N.jpg, NAME-ID.json", "the pictures, and where they came from"),
)
_MORE = "The guide, the whole reference, and what messages mean, lie in docs/ of the source."


def page() -> str:
    """The whole page, in roff's man macros; no date, so that it changes only with what it tells."""
    whole = declared.top()
    lines = [
        r".\" Written by `make reference`.",
        f'.TH ASTRIA\\-SYNC 1 "" "astria\\-sync {astria_sync.__version__}" "User Commands"',
        ".SH NAME",
        r"astria\-sync \- " + _text(whole.help.rstrip(".")),
        ".SH SYNOPSIS",
        _call("astria-sync", whole.usage.removeprefix("astria-sync ")),
        ".SH DESCRIPTION",
        *_paragraphs(_WHAT.replace("\n", " ")),
        ".SH OPTIONS",
        *_options(whole),
        ".SH COMMANDS",
        *_commands(),
        ".SH FILES",
        *(line for name, told in _FILES for line in _item(name, told)),
        ".SH ENVIRONMENT",
        *(line for name, told in declared.ENVIRONMENT.items() for line in _item(name, told)),
        ".SH EXIT STATUS",
        *(line for code, told in declared.exit_codes().items() for line in _item(str(code), told)),
        ".SH EXAMPLES",
        *_examples(whole),
        ".SH SEE ALSO",
        *_paragraphs(_MORE),
    ]
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    for title, group in declared.commands():
        yield f'.SS "{_text(title)}"'
        for one in group:
            yield from _command(one)


def _command(one: Described) -> Iterator[str]:
    name = f"astria-sync {one.name}"
    yield ".TP"
    yield _call(name, one.usage.removeprefix(name).strip())
    for number, paragraph in enumerate(one.help.split("\n\n")):
        yield from ([".IP"] if number else [])
        yield _text(paragraph)
    options = [record for record in one.options if record[0] != "-h, --help"]
    if options:
        yield ".RS"
        for name, told in options:
            yield from _item(name, told)
        yield ".RE"
    if one.examples:
        yield ".IP"
        yield from _examples(one)


def _call(name: str, rest: str) -> str:
    """A call, with the name in bold; all of it is one argument, so that no space of it is stretched."""
    return f'.BR "{_text(name)}" "{_text(" " + rest)}"' if rest else f'.B "{_text(name)}"'


def _options(one: Described) -> Iterator[str]:
    for name, told in one.options:
        yield from _item(name, told)


def _item(name: str, told: str) -> Iterator[str]:
    yield from (".TP", f".B {_text(name)}", _text(told))


def _examples(one: Described) -> Iterator[str]:
    yield from (".nf", *(_text(line) for line in one.examples), ".fi")


def _paragraphs(text: str) -> Iterator[str]:
    yield from (".PP", _text(text))


def _text(text: str) -> str:
    """As roff is to show it: no letter of it is a command, and hyphens can be copied into a shell."""
    shown = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "").replace('"', r"\(dq")
    return rf"\&{shown}" if shown.startswith((".", "'")) else shown


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
