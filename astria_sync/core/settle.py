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

    def see(self, key: Key, stamp: str, now: float) -> bool:
        """Note a sighting; true if `key` has now shown this very stamp for `seconds`."""
        known = self._since.get(key)
        if known is None or known[0] != stamp:
            self._since[key] = (stamp, now)
            return self.seconds <= 0
        return now - known[1] >= self.seconds

    def forget(self, key: Key) -> None:
        """It was taken up, or it is gone."""
        self._since.pop(key, None)

    def due(self, now: float) -> list[Key]:
        """What may have settled by `now`, to be looked at again."""
        return [key for key, (_, since) in self._since.items() if now - since >= self.seconds]

    def next_due(self) -> float | None:
        """When the first of them will have stood still long enough; None if nothing is settling."""
        first = min((since for _, since in self._since.values()), default=None)
        return None if first is None else first + self.seconds

    def __len__(self) -> int:
        return len(self._since)

    def __contains__(self, key: Key) -> bool:
        return key in self._since
