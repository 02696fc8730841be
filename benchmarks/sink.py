"""As much of Astria as one tune needs: reads everything, keeps nothing, and notes how long that took.

`python -m benchmarks.sink NOTES [CERTIFICATE KEY]` says its port; with a certificate it speaks TLS.
"""

import http.server
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


class Sink(http.server.BaseHTTPRequestHandler):
    """Writes a line of bytes and seconds of each upload, from its head to its last byte; nobody need ask while one is under way."""

    protocol_version = "HTTP/1.1"
    notes = Path()
    tunes: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        self._answer({"id": 1, "usd_balance_mc": 1} if self.path.startswith("/users") else self.tunes)

    def do_POST(self) -> None:
        began, size = time.monotonic(), int(self.headers["Content-Length"])
        left, block = (
            size,
            memoryview(bytearray(_BLOCK)),
        )  # always the same memory: what is read is overwritten
        while left and (read := self.rfile.readinto(block[:left])):
            left -= read
        took = time.monotonic() - began
        with self.notes.open("a") as file:
            file.write(f"{json.dumps([size - left, took])}\n")
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        made = {"title": "photos", "model_type": "faceid", "trained_at": now, "created_at": now}
        self.tunes.insert(0, {"id": 7 + len(self.tunes), **made})
        self._answer(self.tunes[0])

    def _answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def main(notes: str, *certificate: str) -> None:
    """Say on which port, and serve until ended."""
    Sink.notes = Path(notes)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
