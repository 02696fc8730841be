"""The whole daemon of a studio, in a thread of this process: lock, watcher, schedule, signals' place and all."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from astria_sync.clock import Clock
from astria_sync.core.model import Stop
from astria_sync.engine import Engine
from astria_sync.service import Service
from tests.studio_harness import Studio


class Running:
    """A service that runs."""

    def __init__(self, studio: Studio, clock: Clock | None) -> None:
        self.studio = studio
        self.environ = {
            "ASTRIA_BASE_URL": studio.base_url,
            "ASTRIA_AUTH_TOKEN": studio.token,
            "XDG_RUNTIME_DIR": str(studio.home / "run"),
        }
        self.service = Service(studio.settings(), environ=self.environ, home=studio.home)
        if clock:
            self.service._clock = clock  # type: ignore[assignment]
        self.engine: Engine | None = None
        self._ready = threading.Event()
        self.thread = threading.Thread(target=self.service.run, kwargs={"on_ready": self._know})

    def _know(self, engine: Engine) -> None:
        self.engine = engine
        self._ready.set()

    def start(self) -> None:
        self.thread.start()
        assert self._ready.wait(20), "it did not start"

    def stop(self) -> None:
        assert self.engine is not None
        self.engine.inbox.put(Stop(now=True))
        self.thread.join()

    def until(self, holds: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Wait for a condition, and return what it said; it is asked again every few milliseconds."""
        end = time.monotonic() + timeout
        pause = threading.Event()
        while not (said := holds()):
            assert time.monotonic() < end, (self.studio.states(), self.problems())
            pause.wait(0.02)
        return said

    def done(self, *paths: str) -> None:
        """Wait until these are finished."""

        def all_are() -> bool:
            states = self.studio.states()
            return all(states.get(path) in {"done", "ready"} for path in paths)

        self.until(all_are)

    def problems(self) -> str:
        """What `status` tells of things that concern more than one file."""
        from astria_sync import report

        alive = {"running": True, "pid": None, "since": None}
        found = report.snapshot(self.studio.state, now=time.time(), daemon=alive)["problems"]
        return "\n".join(problem["text"] for problem in found)


@contextmanager
def running(studio: Studio, clock: Clock | None = None) -> Iterator[Running]:
    """A running service, until the end of the block."""
    service = Running(studio, clock)
    service.start()
    try:
        yield service
    finally:
        service.stop()
