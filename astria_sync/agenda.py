"""Which folders are to be looked at, and the looks that are under way: one for each root at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from astria_sync.context import Context
from astria_sync.core import work
from astria_sync.places import tell_root_trouble

_MANY: Final = 200  # more folders than this to look at: one walk of the whole root is cheaper
_SLOW: Final = 120.0  # seconds; a share whose server is gone lets one wait for as long as it likes


@dataclass(kw_only=True)
class Agenda:
    """Root → folder → whether with all below."""

    ctx: Context
    # What is known so well of a root that it need not be told again.
    at_rest: Callable[[str], Mapping[str, str]]
    roots: dict[str, dict[str, bool]] = field(default_factory=dict)
    _heard: dict[str, float | None] = field(default_factory=dict, init=False)
    _began: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)  # on both clocks

    def add(self, root: str, folder: str, *, recursive: bool, heard: float | None = None) -> None:
        """One folder more, if its root is watched; many of one root are the whole root."""
        if root not in self.ctx.watches:
            return
        before = self._heard.get(root) if root in self.roots else heard
        self._heard[root] = None if heard is None or before is None else max(heard, before)
        folders = self.roots.setdefault(root, {})
        if len(folders) > _MANY:
            self.add_all(root)
        elif not folders.get("."):
            folders[folder] = recursive or folders.get(folder, False)

    def add_all(self, root: str) -> None:
        """All of a root."""
        self.roots[root] = {".": True}
        self._heard[root] = None

    def plan(self) -> None:
        """Start the looks that are due; say of one that does not end."""
        for root, folders in list(self.roots.items()):
            at_rest = self.at_rest(root) if folders.get(".") else {}
            heard = self._heard[root]
            piece = work.Walk(root=root, scopes=tuple(folders.items()), at_rest=at_rest, heard=heard)
            if self.ctx.start(("walk", root), piece):
                del self.roots[root]
                self._began[root] = (self.ctx.now, self.ctx.wall)
            elif self.ctx.now - self._began[root][0] > _SLOW:
                tell_root_trouble(self.ctx, root, _endless(root, self._began[root][1]))


def _endless(root: str, wall: float) -> str:
    began = datetime.fromtimestamp(wall).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"The look at {root} that began at {began} has not ended; does its disk, or its server, answer?"
