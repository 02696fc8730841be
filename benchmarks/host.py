"""A host of pictures: nginx with as many files as wanted, on a line that is as fast, or as far, as wanted."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.process import ended, until
from tests.ports import kept_ports

BYTES: Final = 2_000_000  # of a picture
GIGABIT: Final = 125_000_000  # bytes a second
FAR: Final = 0.05  # seconds
_HEAD: Final = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffda0002")
_IN_NAMESPACE: Final = 'ip link set lo up && tc qdisc add dev lo root {} && exec "$@"'
_CONFIG: Final = """\
daemon off; worker_processes 1; pid {top}/pid; error_log {top}/error.log; {user}
events {{ worker_connections 512; }}
http {{
  log_format times "$msec $request_time"; access_log off;
  client_body_temp_path {top}/t1; proxy_temp_path {top}/t2; fastcgi_temp_path {top}/t3;
  uwsgi_temp_path {top}/t4; scgi_temp_path {top}/t5;
  sendfile on; tcp_nopush on; keepalive_requests 100000; types {{ image/jpeg jpg; }}
  split_clients "$uri" $picture {{ {shares} }}
  server {{
    listen 127.0.0.1:{port}; root {top}/files; {limit}
    location = /wait {{ internal; proxy_pass http://127.0.0.1:{waits}; }}
    location / {{ {far} access_log {top}/times.log times; try_files /$picture =404; }}
  }}
}}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A way to the host. `prefix` goes before a command, and puts it on the line; what it cannot do nginx does."""

    prefix: Sequence[str] = ()
    delay: float = 0.0
    rate: int = 0  # bytes a second for each connection
    how: str = ""


def line(kind: str, connections: int) -> Line:
    """The kernel's own slow line where that can be had (as root, with tc), else a server that is slow."""
    if kind == "gigabit":
        prefix = _namespace("tbf rate 1gbit burst 1mb latency 50ms")
        if prefix:
            return Line(prefix=prefix, how="The gigabit line is tc's tbf in a network namespace of its own.")
        how = f"The gigabit line is nginx's limit_rate, a share for each of {connections} connections."
        return Line(rate=GIGABIT // connections, how=how)
    if kind == "far":
        prefix = _namespace(f"netem delay {FAR * 500:g}ms")
        if prefix:
            return Line(
                prefix=prefix,
                how="The latency is tc's netem in a network namespace of its own, each way half.",
            )
        return Line(
            delay=FAR,
            how="The latency is a subrequest of nginx that takes so long (no netem here), once a request.",
        )
    return Line()


def _namespace(rule: str) -> list[str]:
    """What puts a command on such a line; nothing if that cannot be done here."""
    prefix = ["unshare", "-n", "sh", "-c", _IN_NAMESPACE.format(rule), "sh"]
    with contextlib.suppress(OSError):
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return []


def fill(files: Path, count: int) -> None:
    """So many pictures, each of other bytes: whole as far as their structure goes, without a 0xff in the middle."""
    files.mkdir(parents=True)
    calm = bytes(range(255)) + b"\x00"
    for number in range(count):
        noise = os.urandom(BYTES - len(_HEAD) - 2).translate(calm)
        (files / f"{number:04}.jpg").write_bytes(_HEAD + noise + b"\xff\xd9")


@dataclass(frozen=True, slots=True)
class Host:
    """A running nginx."""

    url: str
    top: Path

    def first_request(self) -> float:
        """When the first request since the log was emptied began, by the wall clock."""
        lines = [one.split() for one in (self.top / "times.log").read_text().splitlines()]
        return min(float(at) - float(took) for at, took in lines)

    def forget(self) -> None:
        """Empty the log."""
        os.truncate(self.top / "times.log", 0)


@contextlib.contextmanager
def serving(top: Path, nginx: str, at: Line) -> Iterator[Host]:
    """An nginx that has the files in `top`/files under whatever path ends in their kind."""
    names = sorted(file.name for file in (top / "files").iterdir())
    share = int(10_000 / len(names)) / 100
    shares = [f"{share}% {name};" for name in names[:-1]] + [f"* {names[-1]};"]
    with contextlib.ExitStack() as stack:
        port, waits = stack.enter_context(kept_ports(2))
        (top / "nginx.conf").write_text(
            _CONFIG.format(
                top=top,
                port=port,
                waits=waits,
                shares=" ".join(shares),
                user="user root;" if os.getuid() == 0 else "",
                limit=f"limit_rate {at.rate};" if at.rate else "",
                far="auth_request /wait;" if at.delay else "",
            )
        )
        if at.delay:
            command = [sys.executable, "-m", "benchmarks.host", str(waits), str(at.delay)]
            stack.enter_context(ended(subprocess.Popen(command)))
            until(lambda: _answers(waits))
        command = [nginx, "-p", str(top), "-c", str(top / "nginx.conf")]
        stack.enter_context(ended(subprocess.Popen(command, stderr=subprocess.DEVNULL)))
        until(lambda: _answers(port), seconds=20)
        yield Host(f"http://127.0.0.1:{port}", top)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def empty(folder: Path, *, rest: bool) -> None:
    """Remove a folder, and let the disk come to rest: what one tool left unwritten is not the next one's to wait for."""
    shutil.rmtree(folder, ignore_errors=True)
    if rest:
        os.sync()


async def _wait(port: int, seconds: float) -> None:
    """Answer every request after so long with nothing."""
    import asyncio

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(seconds)
            writer.write(b"HTTP/1.0 204 No Content\r\n\r\n")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port, backlog=512) as server:
        await server.serve_forever()


if __name__ == "__main__":
    import asyncio

    asyncio.run(_wait(int(sys.argv[1]), float(sys.argv[2])))
