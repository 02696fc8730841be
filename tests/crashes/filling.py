"""Disks in trouble under the running daemon: one that fills, is read-only, is taken out and put back, or knows only few names.

They run in a process that has mounts of its own: `python -m tests.crashes disk NAME …`.
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crashes import judge, mounts
from tests.crashes.bench import Bench, Process
from tests.crashes.mounts import Card, SmallDisk
from tests.crashes.points import come_right, until
from tests.crashes.scene import TOP, Scene

_YEAR = 3e7  # seconds of the stand-in's clock: until then nothing is generated


@contextmanager
def _running(bench: Bench, scene: Scene) -> Iterator[Process]:
    """The daemon, which must end well, and everything must have come right then."""
    process = bench.start(scene, "run")
    try:
        yield process
    except BaseException as error:
        error.add_note(scene.log.read_text())
        raise
    finally:
        process.kill(signal.SIGTERM)
        code = process.wait()
    judge.at_rest(scene, code)
    come_right(bench, scene)


def _ordered(scene: Scene) -> Callable[[], bool]:
    return lambda: {*scene.made()} >= scene.wanted


def _reasons(scene: Scene) -> str:
    """What `status` tells of what is not finished."""
    return "\n".join(reason for _, reason in scene.unfinished())


def _problems(scene: Scene) -> str:
    """What it tells of the output."""
    return "\n".join(text for (text,) in scene.rows("SELECT value FROM meta WHERE key GLOB 'output:*'"))


def _nothing_more_is_bought(scene: Scene, says: str) -> None:
    """What is dropped while there is trouble is not paid for, and the reason is told."""
    scene.prompt("late.prompt", "a late idea")
    until(lambda: says in _problems(scene))
    assert ("prompt", "a late idea") not in scene.made()


def _all_arrives(scene: Scene) -> None:
    until(_ordered(scene))
    scene.sim.advance(2 * _YEAR)
    until(scene.finished)


def output_fills(bench: Bench) -> None:
    """Paid pictures find no room: nothing half, nothing more is bought; with room made they come."""
    with (
        bench.scene(generate_seconds=_YEAR, expire_days=36500) as scene,
        SmallDisk(scene.home / "disk") as disk,
    ):
        disk.put_in(scene.output)
        with _running(bench, scene):
            until(_ordered(scene))
            disk.fill()
            scene.sim.advance(2 * _YEAR)
            until(lambda: "make room" in _reasons(scene))
            _nothing_more_is_bought(scene, "make room")
            judge.at_any_time(scene)
            assert scene.published() == []
            disk.make_room()
            _all_arrives(scene)


def output_read_only(bench: Bench) -> None:
    """The same with a disk that became read-only."""
    with (
        bench.scene(generate_seconds=_YEAR, expire_days=36500) as scene,
        SmallDisk(scene.home / "disk") as disk,
    ):
        disk.put_in(scene.output)
        with _running(bench, scene):
            until(_ordered(scene))
            disk.read_only(on=True)
            scene.sim.advance(2 * _YEAR)
            until(lambda: "Read-only file system" in _reasons(scene))
            _nothing_more_is_bought(scene, "read-only")
            disk.read_only(on=False)
            _all_arrives(scene)


def output_vanishes(bench: Bench) -> None:
    """The disk is taken out: nothing is put where it was, nothing bought; it is put back, and all goes on."""
    with (
        bench.scene(generate_seconds=_YEAR, expire_days=36500) as scene,
        SmallDisk(scene.home / "disk") as disk,
    ):
        disk.put_in(scene.output)
        with _running(bench, scene):
            until(_ordered(scene))
            disk.take_out(scene.output)
            scene.sim.advance(2 * _YEAR)
            until(lambda: "not mounted" in _reasons(scene))
            _nothing_more_is_bought(scene, "is not mounted")
            assert list(scene.output.iterdir()) == []
            disk.put_in(scene.output)
            _all_arrives(scene)


def state_fills(bench: Bench) -> None:
    """The state cannot be written: nothing goes out; with room made everything does."""
    with bench.scene() as scene, SmallDisk(scene.home / "disk") as disk:
        disk.put_in(scene.state.parent)
        with _running(bench, scene):
            until(scene.finished)
            disk.fill()
            scene.prompt("late.prompt", "a late idea")
            until(lambda: "nothing is sent until it can be written" in scene.log.read_text())
            assert ("prompt", "a late idea") not in scene.made()
            judge.after_a_crash(scene)
            disk.make_room()
            until(scene.finished)


def both_fill(bench: Bench) -> None:
    """State and output on one disk that is full when the answer to a paid request comes."""
    with (
        bench.scene(generate_seconds=_YEAR, expire_days=36500) as scene,
        SmallDisk(scene.home / "disk") as disk,
    ):
        disk.put_in(scene.output)
        disk.put_in(scene.state.parent)
        with _running(bench, scene):
            until(lambda: scene.made())
            disk.fill()
            until(lambda: "nothing is sent until it can be written" in scene.log.read_text())
            scene.sim.advance(2 * _YEAR)
            judge.after_a_crash(scene)
            disk.make_room()
            _all_arrives(scene)


def memory_card(bench: Bench) -> None:
    """The output is where names differ by more than case, hold no colon, and files have one name: all is there, and whole."""
    with bench.scene() as scene, Card(scene.output):
        scene.folder("Jane")
        names = [
            "Scarf",
            "SCARF",
            "jane/Hiking",
            "Jane/hiking",
            "NUL",
            "dots. . .",
            "e\u0301",
            "\u00e9",
            "x" * 240,
        ]
        names.append('why? "so": <this>|that*\\')
        for number, name in enumerate(names):
            scene.prompt(f"{name}.prompt", f"idea {number}")
        for seconds in (0.2, 0.3, 0.4):
            process = bench.start(scene, "run")
            process.ended(seconds)
            process.kill()
            process.wait()
            judge.after_a_crash(scene)
        come_right(bench, scene)
        assert len({path.parent for path in scene.published()}) == 7  # some share one


SCENARIOS: dict[str, Callable[[Bench], None]] = {
    one.__name__: one
    for one in (output_fills, output_read_only, output_vanishes, state_fills, both_fill, memory_card)
}


def unsupported(name: str) -> str:
    """Why this scenario cannot be had here; "" if it can."""
    return mounts.unsupported("Card" if name == "memory_card" else "SmallDisk")


def play(*names: str) -> None:
    """These scenarios, in this process, one after the other: it takes as long to start as one of them does."""
    mounts.own_namespace()
    with tempfile.TemporaryDirectory(prefix="crashes-") as folder, Bench(Path(folder)) as bench:
        for name in names:
            try:
                SCENARIOS[name](bench)
            except BaseException as error:
                error.add_note(f"in the scenario {name}")
                raise


def run(*names: str) -> bool:
    """These scenarios, in a process of their own; raises if a promise is broken."""
    command = [sys.executable, "-m", "tests.crashes", "disk", *names]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode:
        raise judge.Broken(f"{' '.join(command[1:])}\n{done.stderr[-6000:]}")
    return True
