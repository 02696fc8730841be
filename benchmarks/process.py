"""What a process costs, as /proc tells it (proc(5)); and the processes that are measured: the daemon, the stand-in for Astria."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

TICK: Final = os.sysconf("SC_CLK_TCK")
TOKEN: Final = "stand-in"  # noqa: S105 - of nothing
_PATIENCE: Final = 180.0


def cpu_seconds(pid: int) -> float:
    """User and system time of all its threads, also of those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def switches(pid: int, kind: str = "") -> int:
    """How often any of its threads was switched away from: once for each time that it went to sleep, or was pushed aside."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += sum(
                int(line.split()[1])
                for line in (task / "status").read_text().splitlines()
                if "ctxt_switches" in line and line.startswith(kind)
            )
    return total


def mebibytes(pid: int, what: str = "VmRSS") -> float:
    """A line of /proc/PID/status: VmRSS is its memory now, VmHWM the most that it ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(what + ":"))


def bytes_read(pid: int) -> int:
    """Everything that it got from read calls, of files and of sockets."""
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])


def until(holds: Callable[[], Any], *, seconds: float = _PATIENCE, every: float = 0.02) -> Any:
    """Wait for a condition, and return what it said."""
    end = time.monotonic() + seconds
    while not (said := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"it did not come to pass in {seconds:.0f} s")
        time.sleep(every)
    return said


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any], *, group: bool = False) -> Iterator[subprocess.Popen[Any]]:
    """A process until the end of the block; `group`: with all that it started, in a session of its own."""
    try:
        yield process
    finally:
        if group:
            os.killpg(process.pid, signal.SIGTERM)
        else:
            process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(slots=True)
class StandIn:
    """The simulator, in a process of its own."""

    base_url: str
    token: str
    pid: int

    def ledger(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.base_url}/_simulator/ledger") as answer:  # noqa: S310 - our own
            told: dict[str, Any] = json.load(answer)
        return told

    def requests(self, method: str) -> list[dict[str, Any]]:
        return [one for one in self.ledger()["requests"] if one["method"] == method and one["host"] == "api"]

    def advance(self, seconds: float) -> None:
        body = json.dumps({"seconds": seconds}).encode()
        urllib.request.urlopen(f"{self.base_url}/_simulator/advance", data=body).close()  # noqa: S310 - our own


@contextlib.contextmanager
def stand_in(*options: str) -> Iterator[StandIn]:
    """The simulator with an account that is never empty."""
    command = [sys.executable, "-m", "astria_sync", "simulator", "--json", "--balance", "1000000", *options]
    with ended(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)) as process:
        assert process.stdout is not None
        told = ""
        while not told.endswith("}\n"):  # it is written over several lines
            if not (line := process.stdout.readline().decode()):
                raise RuntimeError("the simulator did not start")
            told += line
        at = json.loads(told)
        yield StandIn(at["base_url"], at["token"], process.pid)


@dataclass(slots=True)
class Home:
    """A configuration, with its folders and state, in a folder of its own."""

    top: Path

    @property
    def inbox(self) -> Path:
        return self.top / "inbox"

    @property
    def output(self) -> Path:
        return self.top / "out"

    @property
    def state(self) -> Path:
        return self.top / "state" / "state.db"

    @property
    def config(self) -> Path:
        return self.top / "config.toml"

    def write(self, base_url: str, **tables: Mapping[str, Any]) -> None:
        """The configuration; tables are those of its file."""
        self.inbox.mkdir(parents=True, exist_ok=True)
        tables = {"astria": {"base_url": base_url}, "limits": {"hold_above": 10**6}, **tables}
        lines = [f"state = {json.dumps(str(self.state))}"]
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        lines += ["[[watch]]", f'path = "{self.inbox}"', f'output = "{self.output}"']
        self.config.write_text("\n".join(lines) + "\n")

    def environ(self, token: str) -> dict[str, str]:
        """As little of the machine as a daemon needs."""
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.top),
            "ASTRIA_AUTH_TOKEN": token,
            "PYTHONPATH": os.environ.get("PYTHONPATH", os.getcwd()),
            "XDG_RUNTIME_DIR": str(self.top),
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "astria_sync", "--config", str(self.config), *arguments]


@dataclass(slots=True)
class Daemon:
    """`astria-sync run`, in a process of its own."""

    process: subprocess.Popen[Any]
    began: float  # on the monotonic clock
    told: list[float]  # when it said READY=1

    @property
    def pid(self) -> int:
        return self.process.pid

    def at_rest(self, quiet: float = 1.0) -> float:
        """Wait until it has used no CPU for so long; seconds from its start until then, without the quiet itself."""
        used, since = -1.0, time.monotonic()
        while time.monotonic() - since < quiet:
            if self.process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self.process.returncode}")
            if (now := cpu_seconds(self.pid)) != used:
                used, since = now, time.monotonic()
            time.sleep(0.01)
        return since - self.began

    @property
    def ready(self) -> float | None:
        """Seconds from its start until it told systemd that it is ready; None if it has not told so far."""
        return self.told[0] - self.began if self.told else None


def _listen(told: socket.socket, heard: list[float]) -> None:
    """Note when READY=1 came; ends when the socket is shut down."""
    while said := told.recv(4096):
        if b"READY=1" in said:
            heard.append(time.monotonic())


@contextlib.contextmanager
def daemon(home: Home, token: str = TOKEN, *, prefix: Sequence[str] = ()) -> Iterator[Daemon]:
    """A daemon until the end of the block."""
    with contextlib.ExitStack() as stack:
        # The path of a socket is short (unix(7)); a temporary folder of a person may be deep.
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="as-"))
        told = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        told.bind(f"{place}/notify")
        heard: list[float] = []
        listening = threading.Thread(target=_listen, args=(told, heard), daemon=True)
        listening.start()
        stack.callback(listening.join)
        stack.callback(told.shutdown, socket.SHUT_RDWR)
        environ = {**home.environ(token), "NOTIFY_SOCKET": f"{place}/notify"}
        log = stack.enter_context((home.top / "daemon.log").open("ab"))
        began = time.monotonic()
        process = subprocess.Popen([*prefix, *home.command("run")], env=environ, stderr=log)
        stack.enter_context(ended(process))
        yield Daemon(process, began, heard)
