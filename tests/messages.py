"""The sentences of the program, read from its source, for docs/troubleshooting.md."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from astria_sync import errors
from astria_sync.errors import AstriaSyncError

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "troubleshooting.md"
_ENTRY = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_PLACE = re.compile(r"\{[\w:,.!]*\}|%[+\-.\d]*[sdfr]")
_ERRORS = {
    name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, AstriaSyncError)
}


@cache
def said() -> str:
    """Every text in the program, one a line; `…` stands where something is filled in."""
    return "\n".join(text for tree in _trees() for node in ast.walk(tree) for text in _texts(node))


@cache
def raised() -> frozenset[str]:
    """What is said with an error that ends a command, or is a file's fault."""
    calls = (node for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.Call))
    errors = (node for node in calls if ast.unparse(node.func).rpartition(".")[2] in _ERRORS)
    return frozenset(text for node in errors for one in node.args for text in _texts(one) if " " in text)


@cache
def advised() -> frozenset[str]:
    """What `doctor` finds and knows something to do about."""
    calls = [node for tree in _trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = ({one.arg: one.value for one in node.keywords} for node in calls)
    found = (keywords["text"] for keywords in given if {"do", "text", "level"} <= keywords.keys())
    return frozenset(text for one in found for text in _texts(one) if re.search(r"\w \w", text))


def entries(page: str) -> list[str]:
    """The messages that the page explains."""
    return _ENTRY.findall(page)


def fits(entry: str, text: str) -> bool:
    """Whether this, or a line of it, is what the entry quotes; `…` of either stands for anything."""
    return _pattern(entry).search(text) is not None


@cache
def _pattern(entry: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(_plain(piece)) for piece in entry.strip("… ").split("…")))


def _trees() -> Iterator[ast.Module]:
    for file in sorted((TOP / "astria_sync").rglob("*.py")):
        if "simulator" not in file.parts:
            yield _parsed(file)


@cache
def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _texts(node: ast.AST) -> list[str]:
    """What a text may read like: both sides of a choice, one after the other of a sum."""
    match node:
        case ast.Constant(value=str(text)):
            return [_plain(_PLACE.sub("…", text))]
        case ast.JoinedStr(values=values):
            whole = "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in values)
            return [_plain(re.sub("…+", "…", whole))]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return [f"{one}…{other}" for one in _texts(left) or [""] for other in _texts(right) or [""]]
        case ast.IfExp(body=body, orelse=orelse):
            return _texts(body) + _texts(orelse)
        case _:
            return []


def _plain(text: str) -> str:
    """On one line, and without the marks of code, which a page has for the whole."""
    return re.sub(r"\s+", " ", text.replace("`", ""))
