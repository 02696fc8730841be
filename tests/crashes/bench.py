"""Runs the product as a real process that can be counted, killed and refused at its system calls."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.crashes.scene import OPTIONS, TOP, Scene
from tests.crashes.syscalls import Call, Listener
from tests.studio_harness import new_simulator

PATIENCE = 60.0  # seconds without a sign of life from a process: then it hangs
KILL = -1
# What a test must not wait for.
SETTINGS = {"astria_sync.loop._STATE_TROUBLE": 0.05, "astria_sync.room._FRESH": 0.05}


@dataclass(kw_only=True)
class Wire:
    """Decides what becomes of each system call: `label` is what and for what, as in `fsync:picture`."""

    scene: Scene
    decide: Callable[[str, int], int] = lambda _label, _n: 0
    """(label, how many of these there were) → 0 to go on, an errno, or KILL."""

    each: Callable[[str], None] = lambda _label: None
    """Called while a call waits."""

    seen: Counter[str] = field(default_factory=Counter)
    trail: list[tuple[str, str]] = field(default_factory=list)
    """Every call, and the file that it is about."""

    hits: list[int] = field(default_factory=list)
    """Where in the trail something was done."""

    def take(self, call: Call, listener: Listener, pid: int) -> None:
        place = self.scene.place(call.path)
        if not place:
            listener.answer(call)
            return
        label = f"{call.name}:{place}"
        self.seen[label] += 1
        self.trail.append((label, call.path))
        self.each(label)
        what = self.decide(label, self.seen[label])
        if what:
            self.hits.append(len(self.trail) - 1)
        if what == KILL:  # it gets no answer: with one, the call might still be made
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        else:
            listener.answer(call, what)


class Process:
    """One run; the zygote's only one until it has ended."""

    def __init__(
        self, control: socket.socket, pid: int, listener: Listener | None, wire: Wire | None
    ) -> None:
        self._control, self.pid, self._listener = control, pid, listener
        self._trouble: list[BaseException] = []
        self.code: int | None = None
        self._thread: threading.Thread | None = None
        if listener and wire:
            self._thread = threading.Thread(target=self._supervise, args=[listener, wire])
            self._thread.start()

    def _supervise(self, listener: Listener, wire: Wire) -> None:
        try:
            while call := listener.next(PATIENCE):
                wire.take(call, listener, self.pid)
        except BaseException as error:  # noqa: BLE001 - told by wait()
            self._trouble.append(error)
            self.kill()
        finally:
            listener.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        if not self.ended(0):
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def ended(self, timeout: float) -> bool:
        """Whether it ends within this time."""
        if self.code is None and select.select([self._control], [], [], timeout)[0]:
            self.code = json.loads(self._control.recv(1 << 16))["code"]
        return self.code is not None

    def wait(self) -> int:
        """Its exit code, or minus the signal."""
        if not self.ended(PATIENCE):
            self.kill()
            self.ended(PATIENCE)
            raise TimeoutError("it did not end")
        if self._thread:
            self._thread.join()
        if self._trouble:
            raise self._trouble[0]
        assert self.code is not None
        return self.code


class Bench:
    """A zygote, and scenes to run in; `with Bench(folder) as bench`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._kept = tempfile.TemporaryDirectory(prefix="crashes-") if folder is None else None
        self._folder = folder or Path(self._kept.name if self._kept else "")
        self._scenes = 0

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashes.zygote", str(theirs.fileno())],
            cwd=TOP,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        ours.settimeout(PATIENCE)
        self.unsupported: str = json.loads(ours.recv(1 << 16))["unsupported"]
        return self

    def __exit__(self, *_: object) -> None:
        self._control.close()
        self._process.wait()
        if self._kept:
            self._kept.cleanup()

    @contextmanager
    def scene(self, *, timing: dict[str, float] | None = None, **options: Any) -> Iterator[Scene]:
        """A scene, which is gone after the block."""
        self._scenes += 1
        home = self._folder / f"scene{self._scenes}"
        with new_simulator(**(OPTIONS | options)) as sim:
            try:
                yield Scene(home, sim, **(timing or {}))
            finally:
                shutil.rmtree(home, ignore_errors=True)

    def start(
        self, scene: Scene, *command: str, wire: Wire | None = None, hook: dict[str, Any] | None = None
    ) -> Process:
        order = {
            "argv": scene.argv(*command),
            "environ": scene.environ(),
            "log": str(scene.log),
            "settings": SETTINGS,
            "hook": hook,
            "watched": wire is not None,
        }
        self._control.send(json.dumps(order).encode())
        text, fds, *_ = socket.recv_fds(self._control, 1 << 16, 1)
        listener = Listener(fds[0]) if fds else None
        return Process(self._control, json.loads(text)["pid"], listener, wire)

    def run(self, scene: Scene, *command: str, **how: Any) -> int:
        """`run --once`, or another command, to its end."""
        return self.start(scene, *(command or ("run", "--once")), **how).wait()
