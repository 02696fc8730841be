"""Sections of lines on a screen that may be too small for them: each gets a little before the first ones get more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from astria_sync.cli.cells import Line

_FLOOR: Final = {
    "NEEDS YOU": 5,
    "RUNNING": 4,
    "WAITING": 2,
}  # lines that each may have before others get more


@dataclass(frozen=True)
class Entry:
    """Lines that stay together, and how many things they tell of."""

    lines: tuple[Line, ...]
    stands_for: int = 1


@dataclass(frozen=True)
class Section:
    title: str
    style: str
    entries: tuple[Entry, ...]
    number: int

    @property
    def wants(self) -> int:
        """Lines below the title to tell all."""
        told = sum(entry.stands_for for entry in self.entries)
        return sum(len(entry.lines) for entry in self.entries) + (told < self.number)


def fitted(sections: Sequence[Section], room: int | None) -> Iterator[Line]:
    """The sections with a line between them if there is room for all, else what each may have of it."""
    loose = sum(2 + section.wants for section in sections)
    if room is None or loose <= room:
        for section in sections:
            yield ()
            yield from _told(section, section.wants)
        return
    sections = sections[: max(0, room)]
    room -= len(sections)
    shares = {}
    for section in sections:
        shares[section.title] = min(section.wants, _FLOOR.get(section.title, 1), room)
        room -= shares[section.title]
    for section in sections:
        more = min(section.wants - shares[section.title], room)
        shares[section.title] += more
        room -= more
    for section in sections:
        yield from _told(section, shares[section.title])


def _told(section: Section, room: int) -> Iterator[Line]:
    yield ((f"{section.title} ({section.number:,})", section.style),)
    left = section.number
    places = room if room >= section.wants else room - 1  # one for how many more there are
    for entry in section.entries:
        if len(entry.lines) > places:
            break
        yield from entry.lines
        places -= len(entry.lines)
        left -= entry.stands_for
    if left > 0 and room > 0:
        yield ((f"  … and {left:,} more", "dim"),)
