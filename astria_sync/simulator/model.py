"""Astria without a network: a request goes in, a response comes out; time is whatever the clock says."""

import re
import secrets
import threading
from collections.abc import Callable
from typing import Any

from astria_sync.simulator import account, packs, prompts, tunes
from astria_sync.simulator.cdn import PictureHost
from astria_sync.simulator.faults import GARBAGE, Fault, Faults
from astria_sync.simulator.forms import MalformedError, nest
from astria_sync.simulator.ledger import Ledger
from astria_sync.simulator.messages import RefusedError, Request, Response
from astria_sync.simulator.options import Options
from astria_sync.simulator.world import ALL, Call, World

Handler = Callable[..., Response]

ROUTES: list[tuple[str, re.Pattern[str], Handler]] = [
    (
        method,
        re.compile(pattern.replace("ID", r"(\d+)").replace("KEY", r"([\w.-]+?)") + r"(?:\.json)?/?"),
        handler,
    )
    for method, pattern, handler in (
        ("GET", "/cli/models", account.models),
        ("GET", "/users", account.user),
        ("GET", "/workspaces", account.workspaces),
        ("POST", "/workspaces", account.create_workspace),
        ("GET", "/workspaces/ID", account.workspace),
        ("PATCH", "/workspaces/ID", account.update_workspace),
        ("POST", "/images/inspect", account.inspect),
        ("POST", "/themes", account.theme),
        ("GET", "/tunes", tunes.index),
        ("POST", "/tunes", prompts.create_tune),
        ("GET", "/gallery/tunes", tunes.gallery),
        ("GET", "/tunes/ID", tunes.show),
        ("PATCH", "/tunes/ID", tunes.update),
        ("PUT", "/tunes/ID", tunes.update),
        ("DELETE", "/tunes/ID", tunes.delete),
        ("GET", "/tunes/ID/prompts", prompts.index),
        ("POST", "/tunes/ID/prompts", prompts.create),
        ("GET", "/tunes/ID/prompts/ID", prompts.show),
        ("PATCH", "/tunes/ID/prompts/ID", prompts.update),
        ("DELETE", "/tunes/ID/prompts/ID", prompts.delete),
        ("GET", "/prompts", prompts.index),
        ("GET", "/prompts/ID", prompts.show),
        ("DELETE", "/prompts/ID", prompts.delete),
        ("POST", "/prompts/ID/duplicate", prompts.duplicate),
        ("POST", "/prompts/ID/likes?", prompts.like),
        ("DELETE", "/prompts/ID/likes?", prompts.unlike),
        ("GET", "/packs", packs.index),
        ("POST", "/packs", packs.create),
        ("GET", "/gallery/packs", packs.gallery),
        ("GET", "/p/KEY", packs.show),
        ("POST", "/p/KEY/tunes", packs.run),
    )
]
OPEN = {account.models}


class Bucket:
    """Tokens trickle in at `rate` a second; a second's worth can be saved up."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate, self.size = rate, max(1.0, rate)
        self.level, self.at = self.size, now

    def wait(self, now: float) -> float:
        """Take a token, or say how long until there is one."""
        self.level = min(self.size, self.level + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.level < 1.0:
            return (1.0 - self.level) / self.rate
        self.level -= 1.0
        return 0.0


class Astria:
    """The service; one lock makes every request whole."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        clock: Callable[[], float],
        seed: int | None = None,
        api_url: str = "http://api.astria.test",
        pictures_url: str = "http://pictures.astria.test",
    ) -> None:
        self.options = options or Options()
        self.clock = clock
        self.token = self.options.token or f"sd_{secrets.token_hex(20)}"
        self.faults = Faults()
        self._seed = self.options.seed if seed is None else seed
        self._urls = {"api_url": api_url, "pictures_url": pictures_url}
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything that was made and noted, and all faults."""
        with self._lock:
            now = self.clock()
            self.world = World(self.options, now, seed=self._seed, **self._urls)
            self.pictures = PictureHost(self.world)
            self._bucket = Bucket(self.options.rate_limit, now) if self.options.rate_limit else None
            self.faults.clear()

    @property
    def ledger(self) -> Ledger:
        return self.world.ledger

    @property
    def balance_mc(self) -> int:
        return self.world.balance_mc

    def add_balance(self, usd: float) -> None:
        with self._lock:
            self.world.balance_mc += round(usd * 100_000)

    def authorised(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        return secrets.compare_digest(given.encode(), f"Bearer {self.token}".encode())

    def handle(self, request: Request, fault: Fault | None = None) -> Response:
        """Answer one request, under that fault if there is one, and write it all down.

        The caller asks `faults.take` first. Of a fault only what concerns the work happens here (status, garbage, stale); resets, waits and cuts are for
        whoever carries the response.
        """
        with self._lock:
            now, number = self.clock(), self.ledger.next_number()
            response = self._under(request, fault, now, number)
            hidden = fault is not None and fault.kind == "hang"
            self._note(number, now, request, None if hidden else response.status, fault)
            return response

    def note_unworked(
        self, request: Request, fault: Fault | None = None, *, status: int | None = None
    ) -> None:
        """Write down a request that never came to be worked on; without a status it was not answered either."""
        with self._lock:
            self._note(self.ledger.next_number(), self.clock(), request, status, fault)

    def _note(
        self, number: int, now: float, request: Request, status: int | None, fault: Fault | None
    ) -> None:
        label = fault.label if fault else None
        authorised = self.authorised(request)
        self.ledger.note_request(number, now, request, authorised=authorised, status=status, fault=label)

    def _under(self, request: Request, fault: Fault | None, now: float, number: int) -> Response:
        spoken = fault if fault is not None and fault.kind in {"status", "garbage"} else None
        if spoken is not None and spoken.when == "before":
            return _said(spoken)
        if request.host == "pictures":
            response = self.pictures.handle(request, now, number, fault.label if fault else None)
        else:
            behind = fault.seconds if fault is not None and fault.kind == "stale" else 0.0
            response = self._answer(request, now, behind)
        return response if spoken is None else _said(spoken)

    def _answer(self, request: Request, now: float, behind: float) -> Response:
        try:
            handler, ids = _route(request)
            call = self._admit(request, handler, now, behind)
            return handler(self.world, call, *ids)
        except RefusedError as refusal:
            return refusal.response
        except MalformedError as error:
            return Response.of({"error": str(error)}, status=400)

    def _admit(self, request: Request, handler: Handler, now: float, behind: float) -> Call:
        """Let a request in: the rate, the token, the workspace."""
        wait = self._bucket.wait(now) if self._bucket else 0.0
        if wait:
            headers = {"retry-after": str(max(1, -int(-wait // 1)))}
            raise RefusedError(429, {"error": "Too many requests. Slow down."}, headers)
        if handler not in OPEN and not self.authorised(request):
            raise RefusedError(401, {"error": "You need to sign in or sign up before continuing."})
        return Call(
            request=request,
            params=nest([*request.fields, *request.files]),
            scope=self._scope(request),
            now=now,
            listed_at=now - max(behind, self.options.list_lag_seconds),
        )

    def _scope(self, request: Request) -> int | str | None:
        given: Any = request.headers.get("x-workspace-id")
        if given in {None, "", "personal"}:
            return None
        if given == ALL:
            return ALL
        if not given.isdigit() or int(given) not in self.world.workspaces:
            raise RefusedError(403, {"error": "You have no access to this workspace"})
        return int(given)


def _route(request: Request) -> tuple[Handler, tuple[str, ...]]:
    for method, pattern, handler in ROUTES:
        found = pattern.fullmatch(request.path) if method == request.method else None
        if found:
            return handler, found.groups()
    raise RefusedError(404, {"error": "Not Found", "status": 404})


def _said(fault: Fault) -> Response:
    """Say what the fault says in place of the service."""
    body = fault.body
    if fault.kind == "garbage":
        return Response(headers={"content-type": "application/json"}, body=(body or GARBAGE).encode())
    headers = {"content-type": "application/json", **{name.lower(): text for name, text in fault.headers}}
    told = body if body is not None else f'{{"error": "Simulated {fault.status}"}}'
    # These two have no body by definition, and the server below insists on it.
    told = "" if fault.status in {204, 304} else told
    return Response(status=fault.status, headers=headers, body=told.encode())
