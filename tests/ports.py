"""Ports of loopback on which nobody listens yet, for a server that comes later."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def kept_ports(count: int) -> Iterator[list[int]]:
    """Ports that refuse connections and that no other process is given, until the end of the block.

    A socket that is bound keeps its port from whoever asks for any free one, and does not listen. A server that names the port
    can have it all the same, because both have said SO_REUSEADDR and only one listens (socket(7), as Linux has it): uvicorn,
    nginx and Python's servers do say it.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", 0))
        yield [one.getsockname()[1] for one in sockets]
