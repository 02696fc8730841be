"""Prompts under way of which a list tells nothing new, as of most of a crowd: told apart without reading what was ordered."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.binding import Binding
from astria_sync.context import Context
from astria_sync.core.wire import RemotePrompt
from astria_sync.rows import write

_FORGOTTEN: Final = 86400.0  # seconds since it was bound; what is under way for longer is read once more
_FEW: Final = 1000
_LONGEST: Final = 300.0  # seconds that a list rests: the machine may have slept for hours while it was read


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """A prompt as its row has it."""

    digest: int  # of what Astria says of it
    target: Any
    since: float  # when it was bound, on the engine's clock


@dataclass(kw_only=True)
class Crowd:
    """Sets when they are asked for next, and nothing else. To read each with all that was ordered would take twenty times as long."""

    ctx: Context
    binding: Binding
    # What was once found to be as its row has it. A row that was told something else since is shown differently too.
    _known: dict[int, _Known] = field(default_factory=dict, init=False)
    _many: int = field(default=_FEW, init=False)

    def passed_over(self, workspace: str, shown: Mapping[int, RemotePrompt], took: float) -> set[int]:
        """The ids of those, of all that a list showed which took so long to read: it rests as long before they are asked for
        again, or five minutes, since what is to be sent wants the place too.
        """
        digests = {
            remote_id: hash(repr(remote.raw))
            for remote_id, remote in shown.items()
            if not (remote.images or remote.user_error)
        }
        for remote_id in shown.keys() - digests.keys():
            self.forget(remote_id)
        new = [one for one, digest in digests.items() if not self._is_known(one, digest)]
        if new:
            self._compare(workspace, shown, new)
        as_before = [one for one, digest in digests.items() if self._is_known(one, digest)]
        rested = self.ctx.now + min(took, _LONGEST)
        later = ((max(rested, self._later(self._known[one])), one, workspace) for one in as_before)
        if self._put_off(later) != len(as_before):  # of one there is no such row any more
            self._known.clear()
            return set()
        self._forget_old()
        return set(as_before)

    def forget(self, remote_id: int | None) -> None:
        """Something is to be noted of it, or it was not shown."""
        self._known.pop(remote_id or 0, None)

    def _is_known(self, remote_id: int, digest: int) -> bool:
        known = self._known.get(remote_id)
        return known is not None and known.digest == digest

    def _compare(self, workspace: str, shown: Mapping[int, RemotePrompt], ids: list[int]) -> None:
        """Those of which the row has what is shown are known from now on."""
        columns = "remote_id, target, bound_at, cost_mc, url, answer"
        where = "+state = 'generating' AND absent = 0 AND workspace = ? AND remote_id IN (SELECT value FROM json_each(?))"
        values = [workspace, json.dumps(ids)]
        for row in self.ctx.journal.rows(f"SELECT {columns} FROM prompts WHERE {where}", values):
            remote = shown[row["remote_id"]]
            if _tells_nothing(remote, row):
                age = max(0.0, self.ctx.wall - (row["bound_at"] or self.ctx.wall))
                self._known[remote.id] = _Known(
                    digest=hash(repr(remote.raw)), target=row["target"], since=self.ctx.now - age
                )

    def _later(self, known: _Known) -> float:
        return self.binding.when("prompt", known.target, self.ctx.now - known.since)

    def _put_off(self, later: Iterable[tuple[float, int, str]]) -> int:
        same = "remote_id = ? AND workspace = ? AND state = 'generating' AND absent = 0"
        return self.ctx.journal.change_each("prompts", "next_at", same, later)

    def _forget_old(self) -> None:
        """What vanished while it was under way."""
        if len(self._known) > self._many:
            old = self.ctx.now - _FORGOTTEN
            self._known = {one: known for one, known in self._known.items() if known.since > old}
            self._many = _FEW + 2 * len(self._known)


def _tells_nothing(remote: RemotePrompt, row: Any) -> bool:
    """Whether a prompt that is generating is shown as it was before, and not as done."""
    if remote.cost_mc not in (0, row["cost_mc"]):
        return False
    return bool(remote.url == row["url"] and write({"answer": remote.raw})["answer"] == row["answer"])
