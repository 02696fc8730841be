"""Calls of the stand-in's own, for tests in another process: look into the ledger, break things, push the clock."""

import functools
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from astria_sync.simulator.clock import SimClock
from astria_sync.simulator.faults import Fault, random_faults
from astria_sync.simulator.model import Astria

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Act = Callable[[Any], Any]


def routes(astria: Astria, clock: SimClock) -> list[Route]:
    """Make the calls; none of them needs a token, all of them need to come from this machine."""

    def state(_: Any) -> Any:
        return {"now": clock(), "balance_mc": astria.balance_mc, "speed": clock.speed}

    def ledger(_: Any) -> Any:
        return astria.ledger.as_json()

    def faults(_: Any) -> Any:
        return [fault.as_json() for fault in astria.faults.pending()]

    def break_things(given: Any) -> Any:
        given = given if isinstance(given, list) else [given]
        astria.faults.add(
            *(
                random_faults(int(one["seed"]), float(one["rate"])) if "rate" in one else Fault.from_json(one)
                for one in given
            )
        )
        return faults(None)

    def mend(_: Any) -> Any:
        astria.faults.clear()
        return []

    def advance(given: Any) -> Any:
        clock.advance(float(given["seconds"]))
        return state(None)

    def add_balance(given: Any) -> Any:
        astria.add_balance(float(given["usd"]))
        return state(None)

    def reset(_: Any) -> Any:
        astria.reset()
        return state(None)

    acts: list[tuple[str, str, Act]] = [
        ("GET", "/", state),
        ("GET", "/ledger", ledger),
        ("GET", "/faults", faults),
        ("POST", "/faults", break_things),
        ("DELETE", "/faults", mend),
        ("POST", "/advance", advance),
        ("POST", "/balance", add_balance),
        ("POST", "/reset", reset),
    ]
    return [Route(path, functools.partial(_answer, act), methods=[method]) for method, path, act in acts]


async def _answer(act: Act, request: Request) -> Response:
    # A page in a browser can reach loopback too, but not under a loopback name and without an Origin.
    near = request.client is not None and request.client.host in LOOPBACK
    if not near or request.url.hostname not in LOOPBACK or "origin" in request.headers:
        return JSONResponse({"error": "only from this machine"}, 403)
    try:
        given = await request.json() if request.method == "POST" and await request.body() else {}
        return JSONResponse(act(given))
    except (KeyError, TypeError, ValueError) as error:
        return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 422)
