"""How much memory a daemon takes to upload a large folder: `python -m benchmarks.upload_memory [--mebibytes 1024]`.

The daemon is a real process. What it talks to is a process that reads everything and keeps nothing, so that the figure is the
daemon's alone. "Idle" is after the daemon has looked at its folders, with nothing in them.
"""

import argparse
import contextlib
import http.server
import io
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image

_BLOCK = 1 << 20


class Sink(http.server.BaseHTTPRequestHandler):
    """As much of Astria as one tune needs."""

    protocol_version = "HTTP/1.1"
    tunes: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        self._answer({"id": 1, "usd_balance_mc": 1} if self.path.startswith("/users") else self.tunes)

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, _BLOCK)))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.tunes.insert(
            0, {"id": 7, "title": "photos", "model_type": "faceid", "trained_at": now, "created_at": now}
        )
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


def serve(port: Any) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        port.put(server.server_port)
        server.serve_forever()


def photos(folder: Path, mebibytes: int) -> tuple[int, int]:
    """So many bytes of photos, as hard links to one: how many files and bytes."""
    picture = Image.frombytes("RGB", (2400, 1600), os.urandom(2400 * 1600 * 3))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    first = folder / "0000.jpg"
    first.write_bytes(out.getvalue())
    count = -(-mebibytes * _BLOCK // len(out.getvalue()))
    for n in range(1, count):
        os.link(first, folder / f"{n:04}.jpg")
    return count, count * len(out.getvalue())


def memory(pid: int, what: str) -> float:
    """A line of /proc/PID/status (proc(5)), in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))


def state_of(environ: dict[str, str], config: Path) -> Any:
    command = [sys.executable, "-m", "astria_sync", "--config", str(config), "status", "--json", "--all"]
    return json.loads(subprocess.run(command, env=environ, capture_output=True, check=False).stdout)


def measure(mebibytes: int) -> dict[str, float]:
    """The figures of one run."""
    port: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    server.start()
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        stack.callback(server.terminate)
        home = Path(place)
        (home / "inbox").mkdir()
        (home / "inbox" / "there.txt").write_text("an inbox with something in it")
        config = home / "config.toml"
        config.write_text(
            f'state = "{home}/state/state.db"\n[astria]\nbase_url = "http://127.0.0.1:{port.get()}"\n'
            f'timeout_seconds = 600\n[timing]\nsettle_seconds = 1\n[[watch]]\npath = "{home}/inbox"\n'
        )
        environ = {**os.environ, "ASTRIA_AUTH_TOKEN": "stand-in", "HOME": place}
        environ.pop("ASTRIA_BASE_URL", None)
        command = [sys.executable, "-m", "astria_sync", "--config", str(config), "run"]
        daemon = stack.enter_context(subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL))
        stack.callback(daemon.terminate)
        while not state_of(environ, config)["daemon"]["running"]:
            time.sleep(0.2)
        time.sleep(5)
        idle = memory(daemon.pid, "VmRSS")
        made = home / "made"
        made.mkdir()
        count, size = photos(made, mebibytes)
        began = time.monotonic()
        made.rename(home / "inbox" / "photos")
        while not any(item["state"] == "ready" for item in state_of(environ, config)["items"]):
            time.sleep(0.5)
        return {
            "files": count,
            "MiB": size / _BLOCK,
            "seconds from the drop to ready": time.monotonic() - began,
            "idle MiB": idle,
            "peak MiB": memory(daemon.pid, "VmHWM"),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=1024)
    for name, value in measure(parser.parse_args().mebibytes).items():
        print(f"{name:<32}{value:10,.1f}")


if __name__ == "__main__":
    main()
