"""A stand-in for Astria: the same calls, times, prices and failures, on this machine and for nothing.

`with Simulator(Options(generate_seconds=30)) as sim:` runs it on two free ports of loopback until the block ends;
`sim.advance(30)` lets time pass, `sim.faults.add(Fault(kind="cut", cut_at=100))` breaks the next answer, `sim.ledger`
tells what really happened. `Astria(clock=…)` is the same service without any network.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from astria_sync.simulator.clock import SimClock
    from astria_sync.simulator.faults import Fault, random_faults
    from astria_sync.simulator.messages import Request, Response
    from astria_sync.simulator.model import Astria
    from astria_sync.simulator.options import Options, Workspace
    from astria_sync.simulator.server import Simulator, serve

__all__ = [
    "Astria",
    "Fault",
    "Options",
    "Request",
    "Response",
    "SimClock",
    "Simulator",
    "Workspace",
    "random_faults",
    "serve",
]

_HOMES = {
    "Astria": "model",
    "Fault": "faults",
    "Options": "options",
    "Request": "messages",
    "Response": "messages",
    "SimClock": "clock",
    "Simulator": "server",
    "Workspace": "options",
    "random_faults": "faults",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is first used: the command line must not pay for a server that it does not start."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
