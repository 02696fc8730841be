"""Texts in the columns of a terminal, where some letters take two and some none; what came from outside is made visible."""

from collections.abc import Iterator
from typing import Final

from rich.cells import (
    cell_len,  # the measure of all that is below, for those who use it
    set_cell_size,
)

from astria_sync.cli.common import visible

Piece = tuple[str, str]  # a text and its style, in rich's words
Line = tuple[Piece, ...]
MORE: Final = "…"


def shown(text: object) -> str:
    """On one line, with nothing in it that steers a terminal."""
    return visible(" ".join(str(text).split()))


def cut(text: str, width: int) -> str:
    """Its beginning."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + MORE if width > 0 else ""


def cut_front(text: str, width: int) -> str:
    """Its end: of a path that is what tells files apart."""
    if cell_len(text) <= width:
        return text
    room, kept = width - 1, len(text)
    while kept and (wide := cell_len(text[kept - 1])) <= room:
        room, kept = room - wide, kept - 1
    return MORE + text[kept:] if width > 0 else ""


def padded(text: str, width: int) -> str:
    """Cut, or filled up with spaces."""
    short = cut_front(text, width)
    return short + " " * (width - cell_len(short))


def wrapped(text: str, width: int) -> list[str]:
    """In lines, parted between words where that is possible."""
    lines, line = [], ""
    for word in text.split():
        for piece in _pieces(word, max(1, width)):
            if line and cell_len(line) + 1 + cell_len(piece) > width:
                lines.append(line)
                line = piece
            else:
                line = f"{line} {piece}" if line else piece
    return [*lines, line] if line else lines


def _pieces(word: str, width: int) -> Iterator[str]:
    """A word that is wider than a line, in several; mostly it is one."""
    begun, wide = 0, 0
    for place, letter in enumerate(word):
        wide += cell_len(letter)
        if wide > width and place > begun:
            yield word[begun:place]
            begun, wide = place, cell_len(letter)
    yield word[begun:]


def line_length(line: Line) -> int:
    """Columns that it takes."""
    return sum(cell_len(text) for text, _ in line)


def clipped(line: Line, width: int) -> Line:
    """No wider than that."""
    if line_length(line) <= width:
        return line
    pieces: list[Piece] = []
    for text, style in line:
        left = width - line_length(tuple(pieces))
        if cell_len(text) > left or left <= 0:
            return (*pieces, (cut(text, left) or "", style))
        pieces.append((text, style))
    return tuple(pieces)


def plain(line: Line) -> str:
    """Without styles."""
    return "".join(text for text, _ in line).rstrip()
