"""When Astria deletes pictures: 30 days after they were made, or with a tune that they were made with, if that goes earlier."""

from collections.abc import Iterable, Iterator
from typing import Final

KEPT: Final = 30 * 86400.0  # seconds (astria-api.md)
WARNINGS: Final = (7, 2, 0)  # days before: when a person is told of pictures that are not here


def deleted_at(made_at: float, tunes: Iterable[float | None]) -> float:
    """The moment; `tunes` are the ends of the tunes that go at theirs, None for one of which none is known."""
    return min([made_at + KEPT, *(end for end in tunes if end is not None)])


def tunes_of(text: str, target: int | None) -> Iterator[int]:
    """The ids of the tunes that a prompt was made with: the one it was sent to, and those that its text mentions."""
    from astria_sync.core.mentions import Mention, Scanner  # here, since `status` seldom comes to it

    if target is not None:
        yield target
    scanner, at = Scanner(text), 0
    while at < len(text):
        piece, at = scanner.read(at)
        if isinstance(piece, Mention) and piece.has_id:
            yield int(piece.name)


def level(deadline: float, now: float) -> int | None:
    """The last of WARNINGS that is due, in days; None while there is time."""
    due = [days for days in WARNINGS if deadline - now <= days * 86400]
    return min(due) if due else None
