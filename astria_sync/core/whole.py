"""Whole numbers of Astria's, read with suspicion. Apart from wire.py, so that a list of models is read with no more than this."""

from typing import Any, Final

# Beyond what JSON's numbers hold exactly, an id is a slip of the server's, and would pass for the newest of all for ever.
MAX_ID: Final = 2**53


def as_int(value: Any) -> int | None:
    """A whole number, also when it was written as text; None otherwise, also for one that SQLite has no room for."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if -(2**63) <= number < 2**63 else None


def as_id(value: Any) -> int | None:
    """An id of Astria's, None if it is none."""
    found = as_int(value)
    return found if found is not None and 0 < found <= MAX_ID else None
