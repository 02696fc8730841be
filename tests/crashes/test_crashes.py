"""A sample of what `make crashes` goes through completely: real processes, killed and refused at their system calls.

Which of the calls of a kind is chosen depends on SEED, which can be set: CRASHES_SEED=7. A failure tells its command.
"""

import os
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from tests.crashes import filling, points, storms
from tests.crashes.bench import Wire
from tests.crashes.points import Point

SEED = int(os.environ.get("CRASHES_SEED", "1"))
# On the way of the money: commits, requests, answers; on the way of the pictures: each step until a name is durable.
KILLED = [
    *(
        "pwrite64:state",
        "pwrite64:state",
        "fdatasync:state",
        "fdatasync:state",
        "sendto:socket",
        "recvfrom:socket",
    ),
    *("write:picture", "fsync:picture", "link:picture", "unlink:picture", "fsync:folder", "rename:sidecar"),
]
REFUSED = [
    *(("fdatasync:state", "EIO", False), ("pwrite64:state", "ENOSPC", True), ("fsync:picture", "EIO", False)),
    *(("write:picture", "ENOSPC", True), ("link:picture", "EIO", True), ("unlink:picture", "EIO", False)),
    *(("fsync:folder", "EIO", False), ("write:sidecar", "ENOSPC", True)),
]


def chosen(counts: Counter[str], label: str, nth: int) -> int:
    """One of the calls of this kind."""
    assert counts[label], f"no run makes a {label} any more: {sorted(counts)}"
    return random.Random(f"{SEED} {label} {nth}").randint(1, counts[label])


def numbered(labels: Sequence[str]) -> list[tuple[str, int]]:
    return [(label, labels[:at].count(label)) for at, label in enumerate(labels)]


@pytest.mark.parametrize(("label", "nth"), numbered(KILLED))
def test_killed_at_a_system_call(bench, counts, label, nth):
    """Whatever call it dies at: paid once, nothing half, and the next run finishes everything and leaves nothing behind."""
    points.play(bench, Point(label=label, n=chosen(counts, label, nth)))


@pytest.mark.parametrize(("label", "error", "on"), REFUSED)
def test_a_system_call_that_fails(bench, counts, label, error, on):
    """A disk that fails, once or several times in a row: the same process goes on by itself, and nothing is lost or half."""
    points.play(bench, Point(label=label, n=chosen(counts, label, 0), what=error, on=on))


@pytest.mark.parametrize("label", ["fsync:picture", "write:picture"])
def test_what_was_not_written_for_certain_is_thrown_away(bench, counts, label):
    """After a failed fsync a file's pages count as clean, so that another fsync proves nothing: the file is begun anew."""
    assert counts[label]
    with bench.scene() as scene:
        wire = Wire(scene=scene, decide=Point(label=label, n=1, what="EIO").decide())
        assert bench.run(scene, wire=wire) == 0
        (hit,) = wire.hits
        file = wire.trail[hit][1]
        after = [what for what, path in wire.trail[hit + 1 :] if path == file]
        assert after[0] == "unlink:picture"
        assert after[-4:] == ["write:picture", "fsync:picture", "link:picture", "unlink:picture"]


@pytest.mark.parametrize("label", ["commit", "link", "send"])
def test_killed_at_a_call_of_pythons(bench, by_hooks, label):
    """The same without the system's help, so that it is tried on every machine."""
    points.play(bench, Point(label=label, n=chosen(by_hooks, label, 0), by="hooks"))


@pytest.mark.parametrize(("label", "what"), [("fdatasync", "kill"), ("fsync", "EIO")])
def test_the_command_line_under_strace(bench, by_strace, label, what):
    """The same with strace's numbering instead of ours, and with a process that nothing was prepared for."""
    points.play(bench, Point(label=label, n=chosen(by_strace, label, 0), what=what, by="strace"))


@pytest.mark.parametrize("lying", [False, True], ids=["lists that lag", "lists that lie"])
def test_killed_at_random_moments(bench, lying):
    """Again and again, while requests fail and files come, change and go: each thing is paid once, each picture here.

    Where lists hide for seconds what was made, more than anybody waits for them, a thing may be made twice: `status` tells.
    """
    assert storms.play(bench, SEED, 6, lying=lying).kills == 6


def kinds() -> list[list[str]]:
    """The scenarios by what they need and are about: one process for several of them."""
    return [
        [name for name in filling.SCENARIOS if name.startswith("output")],
        [name for name in filling.SCENARIOS if name.endswith(("_fills", "_fill")) and "output" not in name],
        ["memory_card"],
    ]


def test_no_disk_is_left_out():
    """Each scenario belongs to one kind."""
    assert sorted(name for kind in kinds() for name in kind) == sorted(filling.SCENARIOS)


@pytest.mark.parametrize("names", kinds(), ids=["the output's", "the state's", "a memory card"])
def test_a_disk_in_trouble(names):
    """Full, read-only, taken out: it is told, nothing is bought, and the daemon goes on by itself when it is over."""
    if reason := filling.unsupported(names[0]):
        pytest.skip(reason)
    filling.run(*names)
