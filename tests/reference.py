"""Writes docs/reference.md from the code itself: `python -m tests.reference docs/reference.md`, or `make reference`."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from astria_sync import parameters, tunefile
from astria_sync.settings import MODEL_ID, TABLES, TOP, WATCH
from astria_sync.validate import Either, expected
from tests import declared
from tests.declared import Described, of

_HEAD = """\
# Reference

Every command, key, parameter, field and state. Written from the code by `make reference`; how to use them stands in the
[guide](guide.md), what messages mean in [troubleshooting.md](troubleshooting.md).

[Commands](#commands) · [Exit codes](#exit-codes) · [Configuration](#configuration) · [Environment](#environment) · \
[tune.toml](#tunetoml) · [Prompts](#prompts) · [Records](#records) · [States](#states)
"""
_CONFIGURATION = """\
TOML, at `--config FILE`, else `$ASTRIA_SYNC_CONFIG`, else `~/.config/astria-sync/config.toml` (`--profile NAME`: `NAME.toml` there, with
a state `NAME.db`). A key that is left out has its default; one that does not exist is an error that names the nearest. Relative paths begin
at the folder of the file, `~` is your home. Seconds may have fractions."""
_TUNE = """\
Beside the pictures, or in a folder above them. *Inherited* keys hold for all folders below, the nearest first; under them all lies `[tune]`
of the configuration, which takes them too, and for `prompt` its `[prompt]`."""
_PROMPT = """\
In YAML between two lines `---` on top of a `.prompt` file; as defaults in `[prompt]` of a `tune.toml` and of the configuration; as
lists of values under `matrix:`. They are Astria's, and what they do is said best by [its documentation](https://docs.astria.ai).
Files are paths beside the prompt, inside the watched folder."""
_RECORD = """\
`<prompt>-<id>.json` beside the pictures: where they came from, and what is needed to make them again."""
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "": TOP,
    "watch": WATCH,
    "prompt": parameters.TYPES,
    "models": defaultdict(lambda: MODEL_ID, default=Either((), "a model's name, or a tune id")),
    **TABLES,
    "tune": tunefile.INHERITED,
}
_MORE = (
    ("model", expected(tunefile.PROMPT_KEYS["model"]), "where it is sent; or the name of an image folder"),
    ("extra", "a table", "parameters that astria-sync does not know, passed on unread"),
    ("matrix", "a table of lists", "one request for each combination; `{name}` in the text is the value"),
)


def page() -> str:
    """The whole document."""
    parts = [
        _HEAD,
        "## Commands",
        *_commands(),
        "## Exit codes",
        _table(("code", ""), declared.exit_codes().items()),
        "## Configuration",
        _CONFIGURATION,
        *_settings(),
        "## Environment",
        _table(("variable", ""), ((f"`{name}`", told) for name, told in declared.ENVIRONMENT.items())),
        "## tune.toml",
        _TUNE,
        _tune_keys(),
        "## Prompts",
        _PROMPT,
        _parameters(),
        "## Records",
        _RECORD,
        _table(("field", ""), _fields("describe")),
        "`source` of a file of yours:",
        _table(("field", ""), _fields("_asked_for")),
        "## States",
        "The words of `status`; which may follow which is drawn in [design.md](design.md#states).",
        *_states(),
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _commands() -> Iterator[str]:
    whole = declared.top()
    yield f"`{whole.usage}`\n\n{whole.help}"
    yield _table(("option", ""), _options(whole))
    for title, group in declared.commands():
        yield f"### {title}"
        for one in group:
            yield _command(one)


def _command(one: Described) -> str:
    parts = [f"#### `{one.name}`", f"`{one.usage}`", one.help]
    if options := [row for row in _options(one) if row[0] != "`-h, --help`"]:
        parts.append(_table(("option", ""), options))
    if one.examples:
        parts.append("\n".join(["```", *one.examples, "```"]))
    return "\n\n".join(parts)


def _options(one: Described) -> list[tuple[str, str]]:
    return [(f"`{name}`", told) for name, told in one.options]


def _settings() -> Iterator[str]:
    heads = declared.tables()
    rows: dict[str, list[tuple[str, str, str, str]]] = {}
    for one in declared.settings():
        kind = expected(_KINDS[one.table][one.key])
        default = f"`{one.value}`" if one.value not in {None, '""'} else ""
        rows.setdefault(one.table, []).append((f"`{one.key}`", _unit(one.key, kind), default, one.told))
    for table, lines in rows.items():
        shown = f"[[{table}]]" if table == "watch" else f"[{table}]"
        yield f"### `{shown}`\n\n{heads[table]}".strip() if table else ""
        yield _table(("key", "what it takes", "default", ""), lines)


def _unit(key: str, kind: str) -> str:
    unit = {"seconds": "seconds", "usd": "US dollars"}.get(key.rpartition("_")[2])
    return f"{unit}, {kind}" if unit else kind


def _tune_keys() -> str:
    told = declared.words("tunefile.py", "OWN") | declared.words("tunefile.py", "INHERITED")
    rows = [
        (f"`{key}`", expected(kind), "yes" if key in tunefile.INHERITED else "", told[key])
        for key, kind in {**tunefile.OWN, **tunefile.INHERITED}.items()
    ]
    rows.append(
        ("`prompt`", "a table", "yes", "defaults for the prompts here: what a `.prompt` takes but `text`")
    )
    return _table(("key", "what it takes", "inherited", ""), rows)


def _parameters() -> str:
    told = declared.words("parameters.py", "PARAMETERS")
    rows = []
    for name, one in parameters.PARAMETERS.items():
        key = f"`{name}`" + (f", or `{one.url_key}`" if one.url_key else "")
        rows.append((key, expected(one.type), told[name]))
    return _table(("key", "what it takes", ""), [*rows, *((f"`{key}`", *rest) for key, *rest in _MORE)])


def _fields(function: str) -> list[tuple[str, str]]:
    return [(f"`{key}`", told) for key, told in declared.words("provenance.py", function).items()]


def _states() -> Iterator[str]:
    for title, name in (
        ("Of a tune", "TuneState"),
        ("Of a prompt", "PromptState"),
        ("Of the run of a pack", "PackState"),
    ):
        rows = [(f"`{state}`", told) for state, told in declared.words("core/lifecycle.py", name).items()]
        yield _table((title, ""), rows)


def _table(head: tuple[str, ...], rows: Iterable[Iterable[Any]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(of(cell) for cell in row)} |" for row in rows]
    return re.sub(r"  +\|", " |", "\n".join(lines))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
