"""The judge sees what it is there for: each promise, broken by hand after a run in which all went well."""

import contextlib
import sqlite3

import pytest

from tests.crashes import judge, points
from tests.crashes.bench import KILL, Wire


@contextlib.contextmanager
def _changed(path, data):
    """A file with other bytes, or away if there are none, for a while."""
    before = path.read_bytes() if path.exists() else None
    path.write_bytes(data) if data is not None else path.unlink()
    yield
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)


def _one(scene, ending):
    return next(path for path in scene.published() if path.name.endswith(ending))


@contextlib.contextmanager
def _row(scene, change, back):
    with sqlite3.connect(scene.state) as state:
        state.execute(change)
    yield
    with sqlite3.connect(scene.state) as state:
        state.execute(back)


BREAKS = {
    "half a picture": lambda scene: _changed(_one(scene, ".jpg"), _one(scene, ".jpg").read_bytes()[:-2]),
    "an empty picture": lambda scene: _changed(_one(scene, ".jpg"), b""),
    "half a sidecar": lambda scene: _changed(_one(scene, ".json"), b'{"id": 30'),
    "no sidecar": lambda scene: _changed(_one(scene, ".json"), None),
    "no picture": lambda scene: _changed(_one(scene, ".jpg"), None),
    "a picture twice": lambda scene: _changed(
        _one(scene, "-1.jpg").with_name(_one(scene, "-1.jpg").name.replace("-1.jpg", "-9.jpg")),
        _one(scene, "-1.jpg").read_bytes(),
    ),
    "a stranger": lambda scene: _changed(scene.output / "core", b""),
    "something hidden": lambda scene: _changed(scene.output / ".scarf-30000002-1.part", b"x"),
    "an error file": lambda scene: _changed(scene.inbox / "scarf.prompt.error.txt", b"No."),
    "a file beside the state": lambda scene: _changed(scene.state.parent / ".s.db.pid.tmp", b""),
    "a row that is not done": lambda scene: _row(
        scene, "UPDATE prompts SET state = 'generating'", "UPDATE prompts SET state = 'done'"
    ),
    "money that nobody knows of": lambda scene: _row(
        scene, "UPDATE prompts SET cost_mc = cost_mc + 1", "UPDATE prompts SET cost_mc = cost_mc - 1"
    ),
}


def test_what_the_judge_sees(bench, subtests):
    """All is well after a run; with any one thing wrong it is not."""
    with bench.scene() as scene:
        assert bench.run(scene) == 0
        judge.at_rest(scene, 0)
        with pytest.raises(judge.Broken, match="ended with 1"):
            judge.at_rest(scene, 1)
        for name, breaks in BREAKS.items():
            with subtests.test(name), breaks(scene), pytest.raises(judge.Broken):
                judge.at_rest(scene, 0)
        judge.at_rest(scene, 0)
        scene.studio.outside("/tunes/3618064/prompts", {"prompt[text]": "a red scarf on a table"})
        for look in (judge.after_a_crash, lambda scene: judge.at_rest(scene, 0)):
            with pytest.raises(judge.Broken, match="paid twice"):
                look(scene)


def test_a_damaged_state_is_seen(bench):
    """A page of the state that is overwritten."""
    with bench.scene() as scene:
        assert bench.run(scene) == 0
        with sqlite3.connect(scene.state) as state:
            state.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        data = bytearray(scene.state.read_bytes())
        data[4096 * 2 : 4096 * 3] = b"\x55" * 4096
        with _changed(scene.state, bytes(data)), pytest.raises(judge.Broken, match="damaged"):
            judge.after_a_crash(scene)


def test_the_wire_counts_and_kills(bench, counts):
    """The same call is the same point in every run, and a process that is killed at it has not made it."""
    assert counts["link:picture"] == 3
    assert counts["rename:sidecar"] == 2
    with bench.scene() as scene:
        wire = Wire(scene=scene, decide=lambda label, n: KILL if (label, n) == ("link:picture", 1) else 0)
        assert bench.run(scene, wire=wire) == -9
        assert len(wire.hits) == 1
        assert [path for path in scene.published() if path.suffix == ".jpg"] == []
        assert list(scene.output.rglob(".*.part"))


def test_a_point_that_is_never_reached_is_told(bench, counts):
    """A kill that did not happen proves nothing, so it does not count."""
    del counts
    assert points.play(bench, points.Point(label="link:picture", n=99)) is False
