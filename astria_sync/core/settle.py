"""What stands still: a file or folder is taken up once its stamp has not changed for `settle_seconds`."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class Settling(Generic[Key]):
    """Sightings over time. `now` is seconds on a clock that never goes back; stamps are opaque.

    Whoever looks calls `see` for everything that is not known to be settled; `due` tells what to look at again, and
    only a second look that finds the same stamp makes a thing settled: events can be lost, a stamp cannot lie.
    """

    seconds: float
    _since: dict[Key, tuple[str, float]] = field(default_factory=dict)
    _unasked: dict[Key, float] = field(default_factory=dict)  # those that `due` has not told yet

    def see(self, key: Key, stamp: str, now: float, *, since: float | None = None) -> bool:
        """Note a sighting; true if `key` has now shown this very stamp for `seconds`.

        A look takes time: `now` is when it began, `since` when it ended, so that neither makes a thing settle too early; or
        since when the stamp is known to have been this one.
        """
        known = self._since.get(key)
        if known is None or known[0] != stamp:
            self._since[key] = (stamp, now if since is None else since)
            self._unasked[key] = self._since[key][1]
            return self.seconds <= 0
        if known[1] + self.seconds <= now:
            return True
        self._unasked.setdefault(key, known[1])
        return False

    def forget(self, key: Key) -> None:
        """It was taken up, or it is gone."""
        self._since.pop(key, None)
        self._unasked.pop(key, None)

    def seen(self, key: Key) -> str:
        """The stamp that it last showed; "" if it is not settling."""
        return self._since[key][0] if key in self._since else ""

    def due(self, now: float) -> list[Key]:
        """What may have settled by `now`, to be looked at again; each is told once until it was seen again."""
        ready = [key for key, since in self._unasked.items() if since + self.seconds <= now]
        for key in ready:
            del self._unasked[key]
        return ready

    def ask_again(self) -> None:
        """A look failed: what it was to see is due once more."""
        self._unasked = {key: since for key, (_, since) in self._since.items()}

    def next_due(self) -> float | None:
        """When the first of them will have stood still long enough; None if nothing is to be looked at."""
        first = min(self._unasked.values(), default=None)
        return None if first is None else first + self.seconds

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, key: Key) -> bool:
        return key in self._since
