"""From HTTP to the model and back, with the faults that concern the connection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from email.utils import formatdate

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from astria_sync.simulator import control
from astria_sync.simulator.clock import SimClock
from astria_sync.simulator.faults import Fault
from astria_sync.simulator.forms import MalformedError
from astria_sync.simulator.messages import Host, Request, Response
from astria_sync.simulator.model import Astria
from astria_sync.simulator.wire import Wire

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


def build_app(astria: Astria, clock: SimClock, host: Host) -> Starlette:
    """Make the application of one host; only the API's has the control calls."""
    routes: list[Route | Mount] = [Mount("/", app=Front(astria, host))]
    if host == "api":
        routes.insert(0, Mount("/_simulator", routes=control.routes(astria, clock)))
    return Starlette(routes=routes)


class Front:
    """One host's door: takes a request off the wire, looks up its fault, and answers or does not."""

    def __init__(self, astria: Astria, host: Host) -> None:
        self.astria, self.host = astria, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # A request that still waits when the stand-in ends is dropped, and nobody needs to read of it.
        with contextlib.suppress(asyncio.CancelledError):
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        http = HttpRequest(scope, receive, send)
        wire: Wire = scope["state"]["wire"]
        path = scope["path"]
        fault = self.astria.faults.take(scope["method"], path, self.host)
        if fault is not None and fault.kind == "refuse":
            self.astria.note_unworked(self._read(http, b""), fault)
            wire.reset()
            await _gone(receive)
            return
        try:
            body = await http.body()
        except ClientDisconnect:
            self.astria.note_unworked(self._read(http, b""), fault)
            return
        response = await self._work(http, body, fault)
        if response is None:
            await _gone(receive)
            return
        if fault is not None and fault.kind == "cut":
            wire.cut_after(fault.cut_at)
        # A server's Date and the times in its answers are of one clock, also when that was pushed ahead.
        headers = {"date": formatdate(self.astria.clock(), usegmt=True), **response.headers}
        await HttpResponse(response.body, response.status, headers)(scope, receive, send)

    async def _work(self, http: HttpRequest, body: bytes, fault: Fault | None) -> Response | None:
        """Get the answer, in the time that the fault takes; None if none is to come."""
        try:
            request = self._read(http, body)
        except MalformedError as error:
            self.astria.note_unworked(self._read(http, b""), fault, status=400)
            return Response.of({"error": str(error)}, status=400)
        kind, when = (fault.kind, fault.when) if fault else (None, None)
        if kind == "delay" and when == "before":
            await asyncio.sleep(fault.seconds if fault else 0.0)
        if kind == "hang" and when == "before":
            self.astria.note_unworked(request, fault)
            return None
        response = await asyncio.to_thread(self.astria.handle, request, fault)
        if kind == "delay" and when == "after":
            await asyncio.sleep(fault.seconds if fault else 0.0)
        return None if kind == "hang" else response

    def _read(self, http: HttpRequest, body: bytes) -> Request:
        scope = http.scope
        target = f"http://{self.host}{scope['raw_path'].decode('latin-1')}?{scope['query_string'].decode('latin-1')}"
        return Request.parse(http.method, target, dict(http.headers), body, host=self.host)


async def _gone(receive: Receive) -> None:
    """Wait until the other side has gone away or been thrown out."""
    while (await receive())["type"] != "http.disconnect":
        pass
