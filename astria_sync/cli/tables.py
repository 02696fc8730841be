"""Astria's objects for people: lists as lines that fit a terminal, one object as its fields, addresses whole.

A list is shown as it comes, so widths are fixed; the last column takes what is left and is cut there.
"""

import json
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

from astria_sync.cli.common import colour, show, visible
from astria_sync.core.money import USD, dollars
from astria_sync.core.whole import as_int
from astria_sync.core.wire import as_time

Object = Mapping[str, Any]
_WIDEST: Final = 160
_GAP: Final = "  "
_NONE: Final = "-"
_LABEL: Final = 24
_FIELD: Final = 10_000  # letters of a line that is piped


@dataclass(frozen=True)
class Column:
    """What stands above it, how wide it is, and what stands in it."""

    title: str
    width: int
    of: Callable[[Object], str]
    whole: bool = False  # it pushes the rest rather than be cut, so that it can be copied


def width() -> int:
    """Of a line; what is piped is as wide as a terminal of old."""
    return min(shutil.get_terminal_size().columns, _WIDEST) if colour(sys.stdout) else 80


class Table:
    """Prints rows below one heading."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._begun = False

    def add(self, rows: Sequence[Any]) -> None:
        """More rows; what is no object shows as dashes."""
        if rows and not self._begun:
            self._begun = True
            show(click.style(self._line([column.title for column in self._columns]), bold=True))
        for row in rows:
            known = row if isinstance(row, dict) else {}
            show(self._line([visible(column.of(known)) or _NONE for column in self._columns]))

    def _line(self, cells: Sequence[str]) -> str:
        from rich.cells import cell_len

        line = ""
        for column, cell in zip(self._columns[:-1], cells, strict=False):
            shown = cell if column.whole else _cut(cell, column.width)
            line += shown + " " * (column.width - cell_len(shown)) + _GAP
        left = max(width() - cell_len(line), self._columns[-1].width)
        return (line + _cut(cells[-1], left)).rstrip()


def _cut(cell: str, wide: int) -> str:
    """In so many columns of a terminal; letters of some scripts take two."""
    from rich.cells import cell_len, set_cell_size

    return cell if cell_len(cell) <= wide else set_cell_size(cell, wide - 1) + "…"


def show_object(found: Object, *, pictures: Sequence[str] = ()) -> None:
    """Every field that says something, as Astria orders them; then the addresses in `pictures`, each on a line of its own."""
    told = {
        key: value for key, value in found.items() if key not in pictures and value not in (None, "", [], {})
    }
    label = min(_LABEL, max((len(visible(key)) for key in told), default=0)) + len(_GAP)
    wide = max(width(), 40) if colour(sys.stdout) else _FIELD
    for key, value in told.items():
        for number, line in enumerate(_lines(key, value, wide - label)):
            show((" " * label if number else visible(key).ljust(label - len(_GAP)) + _GAP) + line)
    for key in pictures:
        addresses = [one for one in listed(found.get(key)) if isinstance(one, str)]
        if addresses:
            show()
        for address in addresses:
            show(visible(address))


def _lines(key: str, value: Any, wide: int) -> Iterator[str]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if key.endswith("_mc") and (price := cost(value)):
        text = f"{text} ({price})"
    for line in text.replace("\r\n", "\n").split("\n"):
        whole = {"break_long_words": False, "break_on_hyphens": False}
        yield from textwrap.wrap(visible(line), wide, **whole) or [""]  # type: ignore[arg-type]


# What stands in a column


def listed(value: Any) -> list[Any]:
    """A list, or nothing if it is none."""
    return value if isinstance(value, list) else []


def word(key: str) -> Callable[[Object], str]:
    """A field as it is, on one line."""

    def of(found: Object) -> str:
        value = found.get(key)
        if value is None or isinstance(value, bool | list | dict):
            return ""
        return " ".join(str(value).split())

    return of


def cost(value: Any) -> str:
    """Thousandths of a cent as money; "" if it is none."""
    known = as_int(value)
    return "" if known is None or abs(known) > 10**15 else dollars(known / USD)


def moment(key: str, *, hours: bool = False) -> Callable[[Object], str]:
    """A time, by this machine's clock."""

    def of(found: Object) -> str:
        at = as_time(found.get(key))
        return (
            "" if at is None else time.strftime("%Y-%m-%d %H:%M" if hours else "%Y-%m-%d", time.localtime(at))
        )

    return of
