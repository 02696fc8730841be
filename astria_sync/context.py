"""What the engine's parts share: the journal, the clock, the settings, and the work that goes out after the commit."""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from astria_sync.clock import AHEAD, Clock, jumped
from astria_sync.core.gates import AUTH, NETWORK, Gate, Gates
from astria_sync.core.happening import Happening, Level
from astria_sync.core.lately import Lately
from astria_sync.core.model import OLDER_THAN_RUN, OLDER_THAN_STATE
from astria_sync.core.retry import backoff
from astria_sync.core.work import Lane
from astria_sync.journal import Journal
from astria_sync.scan import Root
from astria_sync.settings import Models, Settings, Watch

# Rows of one burst: a file dropped with hundreds of others must not slip out before the others are seen.
BURST_SECONDS: Final = 600.0
_SAME_LOOK: Final = 60.0
_KNOCK: Final = 60.0  # seconds at most between looks whether the network is back or the token was renewed: people wait for it


def roots_of(settings: Settings) -> dict[str, Root]:
    """The watched roots, by path, as the scan wants them."""
    outputs = [str(watch.output) for watch in settings.watch]
    return {
        str(watch.path): Root(path=str(watch.path), outputs=outputs, ignore=watch.ignore)
        for watch in settings.watch
    }


@dataclass(kw_only=True)
class Context:
    """One engine's. `outbox` is handed to the pool when the step's transaction is committed, never before."""

    journal: Journal
    clock: Clock
    settings: Settings
    write_file: Callable[[Any, bytes], None]  # an error file; a rehearsal writes none
    remove_file: Callable[[Any], None]
    chance: random.Random = field(default_factory=random.SystemRandom)
    gates: Gates = field(default_factory=Gates)
    outbox: list[Any] = field(default_factory=list)
    busy: Counter[Lane] = field(default_factory=Counter)
    under_way: dict[Hashable, Any] = field(default_factory=dict)  # key of the work → the work
    walked: set[str] = field(default_factory=set)  # roots that were seen completely in this run
    steps: int = 0  # of the engine, so far: what was looked at in one is looked at again in the next
    stopping: bool = False
    refreshes: bool = False  # whether Astria is asked for its models; a rehearsal asks nobody
    models: Models = field(init=False)  # as they are known now
    started: float = field(init=False)  # wall clock
    began: float = field(init=False)  # the same by the clock of deadlines
    seen: tuple[float, float] = field(init=False)  # the wall clock and that of deadlines at the last step
    _lately: Lately = field(init=False)
    _watches: tuple[Settings | None, Mapping[str, Watch]] = field(default=(None, {}), init=False)

    def __post_init__(self) -> None:
        """Remember when this run began."""
        self.models = self.settings.models
        self.started, self.began = self.clock.wall(), self.clock.now()
        self.seen = (self.clock.wall(), self.clock.now())
        self._lately = Lately(BURST_SECONDS)

    def age_of(self, changed_at: float) -> int:
        """Whether what was last changed then is older than this state, or than this run."""
        if changed_at < self.journal.get("created_at", 0.0):
            return OLDER_THAN_STATE
        return OLDER_THAN_RUN if changed_at < self.started else 0

    @property
    def now(self) -> float:
        """Seconds for deadlines."""
        return self.clock.now()

    @property
    def wall(self) -> float:
        """Seconds for people."""
        return self.clock.wall()

    @property
    def watches(self) -> Mapping[str, Watch]:
        """The configured roots by path."""
        settings, known = self._watches
        if settings is not self.settings:
            known = {str(watch.path): watch for watch in self.settings.watch}
            self._watches = (self.settings, known)
        return known

    def workspace(self, root: str) -> str:
        """The workspace that requests for this root carry; "" is the personal scope."""
        watch = self.watches.get(root)
        return (watch.workspace_id if watch else None) or self.settings.astria.workspace_id or ""

    @property
    def ahead(self) -> int:
        """Downloads that wait with the pool, so that none of its threads waits for a commit."""
        return self.settings.limits.downloads

    def free(self, lane: Lane) -> int:
        """How many more pieces of work this lane takes; of downloads a few more than are carried out at once."""
        limits = self.settings.limits
        places = {
            Lane.UPLOADS: limits.uploads,
            Lane.REQUESTS: limits.requests,
            Lane.DOWNLOADS: limits.downloads + self.ahead,
            Lane.DISK: self.busy[Lane.DISK] + 1,  # each root and output has readers of its own (workers.py)
            Lane.ASIDE: self.busy[Lane.ASIDE] + 1,
        }
        return max(0, places[lane] - self.busy[lane])

    def start(self, key: Hashable, piece: Any) -> bool:
        """Put work in the outbox, once per key; false if it is under way already."""
        if key in self.under_way:
            return False
        self.under_way[key] = piece
        self.busy[piece.lane] += 1
        self.outbox.append(piece)
        return True

    def finish(self, piece: Any) -> Hashable | None:
        """The work came back: free its place."""
        for key, one in self.under_way.items():
            if one is piece:
                del self.under_way[key]
                self.busy[piece.lane] -= 1
                return key
        return None

    def backoff(self, attempt: int) -> float:
        """Seconds to wait before the next attempt."""
        timing = self.settings.timing
        return backoff(
            attempt,
            base=timing.retry_base_seconds,
            maximum=timing.retry_max_seconds,
            chance=self.chance.random(),
        )

    def close_gate(self, name: str, reason: str, wait: float | None = None) -> None:
        """Shut a door and say why where `status` finds it."""
        strikes = self.gates.strike(name, self.now)
        delay = self.backoff(strikes) if wait is None else wait
        if name in {NETWORK, AUTH}:
            delay = min(delay, _KNOCK)
        self.gates.close(name, Gate(reason, self.now + delay))
        self.journal.put(f"until:{name}", self.gates.closed[name].until)
        if self.journal.get(f"gate:{name}") != reason:
            self.journal.put(f"gate:{name}", reason)
            self.event("daemon", None, None, f"{name} closed", reason, level="warning")

    @property
    def one_look(self) -> float:
        """Seconds within which what goes from one place and what appears at another are of about the same look."""
        return max(_SAME_LOOK, 2 * self.settings.timing.rescan_seconds)

    def since(self, seconds: float) -> float:
        """What was written down in the last so many seconds, has no earlier time; a clock that is set changes nothing."""
        return self._lately.since(seconds, self.wall)

    def look_at_clock(self) -> tuple[float, float]:
        """First of all in a step; what it returns is for `seen` once the step is committed."""
        self.steps += 1
        wall, now = self.wall, self.now
        self._lately.note(now, wall)
        if jumped(*self.seen, wall, now):
            self._clock_was_set(wall - self.seen[0] - (now - self.seen[1]))
        return wall, now

    def pass_time(self) -> None:
        """Open the doors that open by themselves."""
        if self.gates.pass_time(self.now):
            self.journal.put("gate:slow", None)
            self.journal.put("until:slow", None)

    def _clock_was_set(self, by: float) -> None:
        """What is under way is as old as it was; and who asks when something is due is told the time that it will be then."""
        for table in ("tunes", "prompts"):
            running = "state IN ('training', 'generating')"
            self.journal.change_all(table, "bound_at = bound_at + ?", running, by)
        self.journal.put(AHEAD, self.now - self.wall)
        told = f"The clock was set by {by:+.0f} seconds; everything is looked at."
        self.event("daemon", None, None, "clock set", told, level="warning")

    def open_gate(self, *names: str) -> None:
        """Open doors that were closed."""
        if NETWORK in names and NETWORK in self.gates.closed:
            # Pictures that could not be fetched without it are not left waiting.
            self.journal.change_all("images", "next_at = 0", "state = 'wanted'")
        self.gates.open(*names)
        for name in names:
            if self.journal.get(f"gate:{name}") is not None:
                self.journal.put(f"gate:{name}", None)
                self.journal.put(f"until:{name}", None)
                self.event("daemon", None, None, f"{name} opened", f"{name}: work goes on", level="info")

    def event(
        self,
        kind: str,
        item: int | None,
        source: int | None,
        event: str,
        detail: str = "",
        *,
        level: Level = "debug",
        **more: Any,
    ) -> None:
        """A line of history that is no change of state; and, once the step is committed, of the log."""
        self.journal.note(
            Happening(
                at=self.wall,
                kind=kind,
                item_id=item,
                source_id=source,
                event=event,
                detail=detail,
                level=level,
                **more,
            )
        )

    def say(
        self, level: Level, text: str, *, source: int | None = None, remote_id: int | None = None
    ) -> None:
        """A line of the log alone, once the step is committed: of what may come again and again."""
        self.event("source" if source else "daemon", None, source, "", text, level=level, remote_id=remote_id)

    def alarm(self, text: str) -> None:
        """Something a person must know although nothing can be done about it here."""
        alarms = self.journal.get("alarms", [])
        if text not in alarms:
            self.journal.put("alarms", [*alarms, text][-100:])
            self.event("daemon", None, None, "alarm", text, level="error")
