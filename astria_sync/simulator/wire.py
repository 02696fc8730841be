"""The last layer before the socket, where an answer can be cut at any byte or a connection reset."""

import asyncio
import socket
import struct
from collections.abc import Iterable
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState


class Wire(asyncio.Transport):
    """A transport that passes everything on until its budget is used up."""

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner = inner
        self._left: int | None = None

    def cut_after(self, count: int) -> None:
        """Let that many more bytes through, then close the connection."""
        self._left = count
        if count == 0:
            self._inner.close()

    def reset(self) -> None:
        """End the connection at once, so that the other side sees a reset."""
        raw = self._inner.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._inner.abort()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._left is None:
            self._inner.write(data)
        elif self._left > 0:
            part = bytes(data)[: self._left]
            self._left -= len(part)
            self._inner.write(part)
            if self._left == 0:
                self._inner.close()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self.write(data)

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)


class WireProtocol(H11Protocol):
    """uvicorn's own protocol with a Wire below it, which the application finds in its scope."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        # Every connection has a state of its own, since it holds that connection's wire.
        super().__init__(config, server_state, dict(app_state), _loop)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        wire = Wire(transport)
        self.app_state["wire"] = wire
        super().connection_made(wire)
