"""The network between the engine and the model of Astria: every fault that one can have, drawn from the seed."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from astria_sync.core.retry import Answer, NoAnswer
from astria_sync.core.work import Upload
from astria_sync.simulator import Fault, Request
from astria_sync.simulator.forms import Upload as Received
from astria_sync.simulator.messages import Response
from astria_sync.simulator.model import Astria
from tests.simulation.machine import Time

TIMEOUT = 60.0  # seconds, as [astria] timeout_seconds
GIVES_UP = 30.0  # seconds after which Astria ends a request of its own (astria-api.md)


@dataclass
class Weather:
    """How bad it is. The person's schedule changes it; at the end it is fine."""

    rate: float = 0.0  # share of requests that something happens to
    link: bool = True
    haze: float = 0.0  # share of lists that are as they were a while ago
    stale: float = 50.0  # seconds that a stale list lies behind at most
    refused_until: float = 0.0  # the token is not accepted before


@dataclass
class Network:
    """Draws a fault for each request, and carries requests to the model."""

    astria: Astria
    time: Time
    chance: random.Random
    weather: Weather = field(default_factory=Weather)
    took: float = 0.0  # seconds that the last request took
    doomed: list[Callable[[], None]] = field(default_factory=list)  # each happens in the middle of a picture

    def fault(self, method: str, host: str) -> Fault | None:
        if host == "api" and self.time.now < self.weather.refused_until:
            return Fault(kind="status", status=401, body='{"error": "You need to sign in"}')
        if method == "GET" and host == "api" and self.chance.random() < self.weather.haze:
            return Fault(kind="stale", seconds=self.chance.uniform(1, self.weather.stale))
        if self.chance.random() >= self.weather.rate:
            return None
        kinds = ["refuse", "cut", "status", "status", "garbage", "hang", "delay"]
        kind = self.chance.choice(kinds + (["stale"] * 3 if method == "GET" and host == "api" else []))
        status = self.chance.choice((408, 429, 500, 502, 503, 504, 504, 302))
        when = self.chance.choice(("before", "after"))
        return Fault(
            kind=kind,  # type: ignore[arg-type]  # one of the list above
            when="before" if status == 429 and kind == "status" else when,  # type: ignore[arg-type]
            seconds=self.chance.uniform(1, self.weather.stale),
            cut_at=self.chance.choice((0, 40, 300, 3000)),
            status=status,
            headers=(("retry-after", str(self.chance.randint(0, 20))),) if status == 429 else (),
        )

    def carry(self, request: Request) -> Response | NoAnswer:
        """One request there and its answer back; a NoAnswer if something broke on the way."""
        self.took = self.chance.uniform(0.05, 1.5)
        if not self.weather.link:
            gone = request.method == "POST" and self.chance.random() < 0.1
            return NoAnswer(sent=gone, why="no connection")
        fault = self.fault(request.method, request.host)
        if fault is None or fault.kind in {"status", "garbage", "stale"}:
            if fault and fault.when == "after" and self._works_late(request, fault):
                return Response(status=504, body=b'{"error": "Gateway Timeout"}')
            return self.astria.handle(request, fault)
        if fault.kind == "delay":
            self.took += fault.seconds
            return self.astria.handle(request, fault)
        if fault.kind == "hang":
            self.took = TIMEOUT
        worked = fault.kind == "cut" or (fault.kind == "hang" and fault.when == "after")
        if worked and not self._works_late(request, fault):
            response = self.astria.handle(request, fault)
            if fault.kind == "cut" and request.host == "pictures":
                return response
        return NoAnswer(sent=True, why=f"it broke ({fault.kind})")

    def _works_late(self, request: Request, fault: Fault) -> bool:
        """Whether Astria goes on with a paid request after the answer was given up, up to its own limit."""
        if request.method != "POST" or fault.kind == "garbage" or self.chance.random() < 0.5:
            return False
        self.time.after(self.chance.uniform(0, GIVES_UP), lambda: self._late(request))
        return True

    def _late(self, request: Request) -> None:
        self.astria.handle(request)


@dataclass
class PlayedApi:
    """Stands where api.Api stands: the same calls and the same results, without a socket."""

    network: Network
    token: Any = "the token"

    def renew_token(self) -> None:
        """It is the same again."""

    def get(self, path: str, *, workspace: str = "", **query: Any) -> Answer | NoAnswer:
        asked = {key: value for key, value in query.items() if value is not None}
        return self._call("GET", path, workspace, query=urlencode(asked))

    def send(
        self,
        method: str,
        path: str,
        fields: Sequence[tuple[str, str]],
        uploads: Sequence[Upload] = (),
        *,
        workspace: str = "",
        count: Any = None,
    ) -> Answer | NoAnswer:
        files = []
        for up in uploads:
            try:
                data = Path(up.path).read_bytes()
            except OSError as error:
                return NoAnswer(sent=False, why=f"{up.path}: {error}", changed=True)
            files.append((up.field, Received(up.name, "image/jpeg", data)))
        return self._call(method, path, workspace, fields=tuple(fields), files=tuple(files))

    def _call(self, method: str, path: str, workspace: str, **more: Any) -> Answer | NoAnswer:
        headers = {"authorization": f"Bearer {self.network.astria.token}", "x-workspace-id": workspace}
        request = Request(method=method, path=path, headers=headers, **more)
        came = self.network.carry(request)
        if isinstance(came, NoAnswer):
            return came
        return answer_of(came)


def answer_of(response: Response) -> Answer:
    """As api.py reads an answer."""
    try:
        body = response.json() if response.body else None
    except ValueError:
        body = None
    after = response.headers.get("retry-after")
    return Answer(
        status=response.status,
        body=body,
        text="" if body is not None else response.body[:100].decode(errors="replace"),
        retry_after=float(after) if after else None,
    )


class PictureTransport(httpx.BaseTransport):
    """Pictures for the real downloader: whole, cut, something else altogether, or nothing."""

    def __init__(self, network: Network) -> None:
        self.network = network

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        asked = Request(
            method=request.method,
            path=request.url.path,
            query=request.url.query.decode(),
            headers={name.lower(): value for name, value in request.headers.items()},
            host="pictures",
        )
        chance = self.network.chance
        strange = self.network.weather.link and chance.random() < self.network.weather.rate / 3
        came = self.network.carry(asked)
        if isinstance(came, NoAnswer):
            raise httpx.ReadTimeout(came.why) if came.sent else httpx.ConnectError(came.why)
        if strange:
            return httpx.Response(200, stream=_Cut(chance.choice(STRANGE), None))
        headers = dict(came.headers)
        if self.network.doomed and len(came.body) > 100:
            return httpx.Response(came.status, headers=headers, stream=_Doomed(came.body, self.network))
        headers["content-length"] = str(len(came.body))
        if chance.random() < self.network.weather.rate:
            if chance.random() < 0.3:
                headers.pop("content-length")
            return httpx.Response(came.status, headers=headers, stream=_Cut(came.body, chance))
        return httpx.Response(came.status, headers=headers, stream=_Cut(came.body, None))


STRANGE = (
    b"<html><body>Please sign in to this hotel's network</body></html>",
    b"",
    b"\xff\xd8\xff\xe0" + bytes(200),
    b"\x89PNG\r\n\x1a\n" + bytes(60),
    b"GIF89a",
)


class _Cut(httpx.SyncByteStream):
    """A body in two pieces; with `chance` it ends somewhere before its end, with or without a word."""

    def __init__(self, body: bytes, chance: random.Random | None) -> None:
        self.body, self.chance = body, chance

    def __iter__(self) -> Iterator[bytes]:
        if self.chance is None:
            half = len(self.body) // 2
            yield self.body[:half]
            yield self.body[half:]
            return
        yield self.body[: self.chance.randint(0, len(self.body))]
        if self.chance.random() < 0.7:
            raise httpx.ReadError("the connection was reset")


class _Doomed(httpx.SyncByteStream):
    """A body in the middle of which what is next on the list of misfortunes happens."""

    def __init__(self, body: bytes, network: Network) -> None:
        self.body, self.network = body, network

    def __iter__(self) -> Iterator[bytes]:
        piece = max(1, len(self.body) // 4)
        for start in range(0, len(self.body), piece):
            if start == 2 * piece and self.network.doomed:
                self.network.doomed.pop(0)()
            yield self.body[start : start + piece]
