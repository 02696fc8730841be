"""The stand-in on two ports of this machine: the API, and the pictures."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvicorn

from astria_sync.simulator.app import build_app
from astria_sync.simulator.clock import SimClock
from astria_sync.simulator.faults import Faults
from astria_sync.simulator.ledger import Ledger
from astria_sync.simulator.messages import Host
from astria_sync.simulator.model import Astria
from astria_sync.simulator.options import Options
from astria_sync.simulator.wire import WireProtocol

LOOPBACK = "127.0.0.1"
START_SECONDS = 10.0
# Turns of the loop: what was accepted just now has its protocol after three, and that learns one later that its connection is gone.
_TURNS = 5


class Listener(uvicorn.Server):
    """A uvicorn server that starts and ends at once instead of at the next tenth of a second."""

    async def run_until(
        self, stop: asyncio.Event, listening: socket.socket, ready: Callable[[], None]
    ) -> None:
        if not self.config.loaded:
            self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listening])
        ready()
        await stop.wait()
        await self._end()

    async def _end(self) -> None:
        """Close everything, also what hangs: nobody waits for a stand-in that goes away."""
        loop = asyncio.get_running_loop()
        # A server that is closed leaves a connection open that it has just accepted: first nothing more is accepted.
        for listening in [one for server in self.servers for one in server.sockets]:
            loop.remove_reader(listening)
        for _ in range(_TURNS):
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Simulator:
    """A running stand-in: `with Simulator(Options(…)) as sim:` until the end of the block."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.clock = SimClock(self.options.speed)
        self._sockets = _listen({"api": self.options.port, "pictures": self.options.pictures_port})
        self.base_url = self._address("api")
        self.pictures_url = self.options.pictures_url or self._address("pictures")
        self.astria = Astria(
            self.options, clock=self.clock, api_url=self.base_url, pictures_url=self.pictures_url
        )
        self._ready = threading.Semaphore(0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="astria-simulator", daemon=True)

    def _address(self, host: Host) -> str:
        return f"http://{LOOPBACK}:{self._sockets[host].getsockname()[1]}"

    @property
    def token(self) -> str:
        return self.astria.token

    @property
    def ledger(self) -> Ledger:
        return self.astria.ledger

    @property
    def faults(self) -> Faults:
        return self.astria.faults

    def advance(self, seconds: float) -> None:
        """Push the clock ahead: training ends, pictures appear, links and tunes expire."""
        self.clock.advance(seconds)

    def picture_bytes(self, url: str) -> bytes:
        """Give the exact bytes that belong to a picture's address."""
        return self.astria.pictures.bytes_of(url)

    def start(self) -> None:
        self._thread.start()
        for _ in self._sockets:
            if not self._ready.acquire(timeout=START_SECONDS):
                raise RuntimeError("the simulator did not start")

    def stop(self) -> None:
        """End it: open connections are dropped, both ports are free when this returns."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.is_alive():
            self._thread.join()
        for listening in self._sockets.values():
            listening.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, stop = asyncio.get_running_loop(), asyncio.Event()
        self._stop = stop
        await asyncio.gather(
            *(
                self._listener(host).run_until(stop, listening, self._ready.release)
                for host, listening in self._sockets.items()
            )
        )

    def _listener(self, host: Host) -> Listener:
        config = uvicorn.Config(
            build_app(self.astria, self.clock, host),
            http=WireProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
        )
        return Listener(config)


def _listen(ports: dict[Host, int]) -> dict[Host, socket.socket]:
    """Open all ports or none."""
    with contextlib.ExitStack() as opened:
        sockets = {
            host: opened.enter_context(socket.create_server((LOOPBACK, port))) for host, port in ports.items()
        }
        opened.pop_all()
        return sockets


def serve(options: Options, *, announce: Callable[[str], None], stop: threading.Event) -> None:
    """Run a stand-in in the foreground until `stop` is set; say where it is and which token it takes."""
    with Simulator(options) as sim:
        announce(f"Astria simulator: {sim.base_url} (pictures: {sim.pictures_url})")
        announce(f"token: {sim.token}")
        stop.wait()
