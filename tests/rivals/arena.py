"""A stand-in in trouble, and a client that is to produce one thing with it: what was paid, what came, what was said."""

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from astria_sync.simulator import Options, Simulator
from tests.ports import kept_ports
from tests.rivals.cases import PATHS, Case
from tests.rivals.clients import Client, Order

AGAIN: Final = 3  # times that a person types the same command again
PATIENCE: Final = 120.0  # seconds for one run
LATE: Final = 1.0  # seconds without a network
_HIDDEN: Final = (
    ".part",
    ".tmp",
    ".partial",
    ".crdownload",
)  # and what begins with a dot: nobody takes it for a picture


@dataclass(kw_only=True)
class Run:
    """How things stood when a command had ended."""

    exit: int  # below 0: ended by this signal
    paid: int
    whole: int  # pictures, as the service has them, under names that are final
    half: int  # other files under such names
    answered: bool = True  # it said nothing more after the time it was given

    @property
    def says_done(self) -> bool:
        return self.exit == 0


@dataclass(kw_only=True)
class Result:
    """One case, to its end."""

    case: str
    makes: str
    runs: list[Run] = field(default_factory=list)
    token_in_arguments: bool = False
    token_in_output: bool = False

    @property
    def paid(self) -> int:
        return self.runs[-1].paid

    @property
    def whole(self) -> int:
        return self.runs[-1].whole

    @property
    def half(self) -> int:
        """The most that lay there at the end of any run."""
        return max(run.half for run in self.runs)

    @property
    def says_done(self) -> bool:
        return self.runs[-1].says_done

    @property
    def zero_but_missing(self) -> bool:
        """It ended with 0 although a paid picture was not there, or nothing was paid for."""
        wanted = [run for run in self.runs if run.says_done]
        missing = [run.paid == 0 or (self.makes == "prompt" and run.whole < run.paid) for run in wanted]
        return any(missing)

    @property
    def perfect(self) -> bool:
        """Paid once, whole, told, and the token stayed where it belongs."""
        came = self.whole == 1 if self.makes == "prompt" else True
        kept = not (self.token_in_arguments or self.token_in_output)
        return (
            self.paid == 1
            and came
            and self.half == 0
            and self.says_done
            and not self.zero_but_missing
            and kept
        )

    def as_json(self) -> dict[str, Any]:
        runs = [vars(run) for run in self.runs]
        derived = ("paid", "whole", "half", "says_done", "zero_but_missing", "perfect")
        kept = {"case": self.case, "makes": self.makes, "runs": runs}
        tokens = {"token_in_arguments": self.token_in_arguments, "token_in_output": self.token_in_output}
        return {**kept, **tokens, **{name: getattr(self, name) for name in derived}}


class Process(Protocol):
    """A client that runs, in a session of its own."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """As subprocess.Popen."""

    @property
    def returncode(self) -> int:
        """As subprocess.Popen, once it has ended."""


Start = Callable[..., Process]


def start(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, said: Path) -> Any:
    """Start a command; what it says is added to the file `said`."""
    with open(said, "ab") as output:
        return subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


class Watch:
    """Looks at the client while the service works for it: whenever a request comes, what do the processes' arguments show?"""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self.process: Process | None = None
        self.seen = False

    def take(self, *_: Any) -> None:
        """As a source of faults that has none."""
        for pid in _family(self.process.pid) if self.process else ():
            with suppress(OSError):
                self.seen |= self._token in Path(f"/proc/{pid}/cmdline").read_bytes()

    def kill(self) -> None:
        """The client and all that it started, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _family(pid: int) -> set[int]:
    """A process and all that it started."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        with suppress(OSError, ValueError, IndexError):
            parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


class Arena:
    """One case for one client, with a service of its own on the two ports that are kept for it."""

    def __init__(self, case: Case, client: Client, home: Path, *, start: Start, ports: Sequence[int]) -> None:
        self.case, self.client, self._start = case, client, start
        self.result = Result(case=case.name, makes=case.makes)
        self.sim_options = Options(
            **{
                "generate_seconds": 0.0,
                "train_seconds": 0.0,
                "picture_px": 128,
                "port": ports[0],
                "pictures_port": ports[1],
                "token": "sd_" + os.urandom(16).hex(),
                **case.options,
            }
        )
        self.sim: Simulator | None = None
        self.watch = Watch(str(self.sim_options.token))
        self.order = Order(
            makes=case.makes,
            base_url=f"http://127.0.0.1:{ports[0]}",
            token=str(self.sim_options.token),
            home=home,
        )

    def play(self) -> Result:
        """Run the client, and run it again until it says that it is done."""
        self.order.prepare()
        self.client.prepare(self.order)
        with ExitStack() as stack:
            if not self.case.late:
                self._open(stack)
            for number in range(1 + AGAIN):
                self.result.runs.append(self._run(stack))
                if self.sim is None:
                    self._open(stack)
                if self.result.runs[-1].says_done and number >= bool(self.case.kill):
                    break
        self.result.token_in_arguments = self.watch.seen
        return self.result

    def _open(self, stack: ExitStack) -> None:
        """The service is there from now on."""
        sim = Simulator(self.sim_options)
        sim.faults.add(self.watch, *self.case.faults)
        if self.case.kill:
            _trap(sim, self.case, self.watch)
        self.sim = stack.enter_context(sim)

    def _run(self, stack: ExitStack) -> Run:
        keep = {key: os.environ[key] for key in ("PATH", "LANG", "SYSTEMROOT") if key in os.environ}
        environment = {**keep, "HOME": str(self.order.home), **self.client.environment(self.order)}
        said = self.order.home / "said.txt"
        process = self._start(
            self.client.command(self.order), env=environment, cwd=self.order.home, said=said
        )
        self.watch.process = process
        answered = self._wait(process, stack)
        self.watch.kill()  # whatever it left running
        self.result.token_in_output = self.order.token.encode() in said.read_bytes()
        whole, half = self._pictures()
        return Run(exit=process.returncode, paid=self._paid(), whole=whole, half=half, answered=answered)

    def _wait(self, process: Process, stack: ExitStack) -> bool:
        if self.sim is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(LATE)
            self._open(stack)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.watch.kill()
            process.wait()
            return False
        return True

    def _paid(self) -> int:
        if self.sim is None:
            return 0
        ledger = self.sim.ledger
        return len(ledger.created_prompts() if self.case.makes == "prompt" else ledger.created_tunes())

    def _pictures(self) -> tuple[int, int]:
        """Whole ones, and other files that somebody would take for one."""
        made = self.sim.astria.pictures if self.sim else None
        real = {made.bytes_of(path) for path in list(made.world.pictures)} if made else set()
        files = [path for path in self.order.output.rglob("*") if path.is_file() and _is_final(path)]
        whole = [path for path in files if path.read_bytes() in real]
        return len(whole), len(files) - len(whole)


def _is_final(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix not in {*_HIDDEN, ".json"}


def _trap(sim: Simulator, case: Case, watch: Watch) -> None:
    """End the client when its request was carried out, before a byte of the answer goes out. Once."""
    right, sprung = sim.astria.handle, threading.Event()

    def handle(request: Any, *words: Any) -> Any:
        response = right(request, *words)
        ordered = request.method == "POST" and re.search(PATHS[case.makes], request.path)
        if not sprung.is_set() and (ordered if case.kill == "ordered" else request.host == "pictures"):
            sprung.set()
            watch.take()
            watch.kill()
        return response

    sim.astria.handle = handle  # type: ignore[method-assign]


def play(case: Case, client: Client, start: Start = start) -> Result:
    """One case in a home that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="rivals-") as home, kept_ports(2) as ports:
        return Arena(case, client, Path(home), start=start, ports=ports).play()
