"""As much of Astria as one tune needs: reads everything, keeps nothing, and tells how long that took. `python -m benchmarks.sink`."""

import http.server
import json
import time
from typing import Any

_BLOCK = 1 << 20


class Sink(http.server.BaseHTTPRequestHandler):
    """`GET /taken` lists bytes and seconds of each upload, from its head to its last byte."""

    protocol_version = "HTTP/1.1"
    tunes: list[dict[str, Any]] = []
    taken: list[tuple[int, float]] = []

    def do_GET(self) -> None:
        if self.path == "/taken":
            self._answer(self.taken)
        else:
            self._answer({"id": 1, "usd_balance_mc": 1} if self.path.startswith("/users") else self.tunes)

    def do_POST(self) -> None:
        began, size = time.monotonic(), int(self.headers["Content-Length"])
        left = size
        while left:
            left -= len(self.rfile.read(min(left, _BLOCK)))
        self.taken.append((size, time.monotonic() - began))
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


def main() -> None:
    """Say on which port, and serve until ended."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
