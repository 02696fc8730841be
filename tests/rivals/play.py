"""One client in one case: as often as a person would try, then what was paid and what lies there."""

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from astria_sync.simulator import Options, Simulator
from tests.rivals.cases import Case
from tests.rivals.clients import Scene

ATTEMPTS = 3  # "run it again until it says that it is done"
_PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


class Client(Protocol):
    """A command line under test."""

    name: str

    def prepare(self, scene: Scene) -> None: ...

    def attempt(self, scene: Scene, kill: threading.Event | None) -> int: ...


@dataclass(frozen=True)
class Result:
    """What became of a case. One picture was wanted."""

    case: str
    paid: int
    whole: int  # pictures under final names, byte for byte as served
    half: int  # pictures under final names that are not
    exits: tuple[int, ...]  # of each attempt
    token_seen: tuple[str, ...]

    @property
    def perfect(self) -> bool:
        return (self.paid, self.whole, self.half, self.exits[-1], self.token_seen) == (1, 1, 0, 0, ())


def play(client: Client, case: Case) -> Result:
    options = Options(generate_seconds=0.2, picture_px=64, **dict(case.options))
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder, Simulator(options) as sim:
        scene = Scene(Path(folder), sim.base_url, sim.token)
        client.prepare(scene)
        sim.faults.add(*case.faults)
        exits: list[int] = []
        while len(exits) < ATTEMPTS and (not exits or exits[-1] != 0):
            exits.append(_attempt(client, scene, sim, killed=case.killed and not exits))
        served = [sim.picture_bytes(entry.path) for entry in sim.ledger.pictures_served() if entry.prompt_id]
        files = [
            path.read_bytes()
            for path in scene.output.rglob("*")
            if path.suffix in _PICTURES and not path.name.startswith(".")
        ]
        whole = sum(data in served for data in files)
        return Result(
            case=case.name,
            paid=len(sim.ledger.created_prompts()),
            whole=whole,
            half=len(files) - whole,
            exits=tuple(exits),
            token_seen=tuple(sorted(scene.seen)),
        )


def _attempt(client: Client, scene: Scene, sim: Simulator, *, killed: bool) -> int:
    if not killed:
        return client.attempt(scene, None)
    kill, over = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if sim.ledger.created_prompts():
                kill.set()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return client.attempt(scene, kill)
    finally:
        over.set()
        watcher.join()
