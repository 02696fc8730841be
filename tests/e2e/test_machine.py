"""The machine under the daemon: disks that come and go, roots that are replaced, limits, shares that hang, queues that overflow."""

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from astria_sync import agenda, scan, tasks
from astria_sync.context import roots_of
from astria_sync.core.model import Hint
from tests.service_harness import running

TOP = Path(__file__).resolve().parent.parent.parent
UNSHARE = ["unshare", "--map-root-user", "--mount"]


@pytest.fixture(scope="session")
def _namespaces() -> None:
    """Skips where a user may not have mounts of his own."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run(
        [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"namespaces are not to be had here ({tried.stderr.decode().strip()})")


@pytest.mark.usefixtures("_namespaces")
def test_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    """What tests/namespaced.py says of each of its scenarios, with real mounts and real limits."""
    scenarios = ["a_disk_in_a_root", "a_root_on_a_disk", "too_few_watches"]
    command = [*UNSHARE, sys.executable, "-m", "tests.namespaced", str(tmp_path), *scenarios]
    ended = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == scenarios


@pytest.fixture
def filled(studio):
    """A studio whose folder and prompts are done; one prompt waits."""
    studio.folder("jane", pictures=2)
    studio.prompt("jane/a.prompt", "runs")
    studio.prompt("b.prompt", "words")
    studio.prompt("waits.prompt", "<nobody> far away")
    studio.run_once()
    return studio


def _missing(studio):
    with studio.journal() as journal:
        return sorted(source.path for source in journal.sources("missing_since IS NOT NULL"))


def _again(daemon):
    daemon.look()
    assert daemon.run(10), daemon.studio.told(daemon.journal)


def test_a_root_that_is_renamed_and_comes_back(filled):
    """While it is away nothing in it counts as gone, and it is told; back again, what is new in it is found."""
    away = filled.inbox.with_name("away")
    with filled.daemon() as daemon:
        _again(daemon)
        filled.inbox.rename(away)
        _again(daemon)
        assert "cannot be read" in daemon.journal.get(f"root:{filled.inbox}")
        assert _missing(filled) == []
        (away / "c.prompt").write_text("new words")
        away.rename(filled.inbox)
        _again(daemon)
        assert daemon.journal.get(f"root:{filled.inbox}") is None
    assert filled.states()["waits.prompt"] == "waiting"
    assert filled.made() == (1, 3)


@pytest.mark.parametrize("how", ["copied", "emptied", "another"])
def test_a_root_that_is_replaced(filled, how):
    """Another directory under its name: a copy of all is nothing new; an empty one is suspicious; one with other things in it is
    believed. Whatever comes back, the same or written anew, is paid for once.
    """
    old = filled.inbox.with_name("old")
    with filled.daemon() as daemon:
        _again(daemon)
        filled.inbox.rename(old)
        if how == "copied":
            shutil.copytree(old, filled.inbox, copy_function=shutil.copyfile)
        else:
            filled.inbox.mkdir()
        if how == "another":
            filled.prompt("other.prompt", "quite other words")
        _again(daemon)
        gone = ["b.prompt", "jane", "jane/a.prompt"] if how == "another" else []
        assert _missing(filled) == gone
        assert bool(daemon.journal.get(f"root:{filled.inbox}")) is (how == "emptied")
        shutil.copytree(old, filled.inbox, copy_function=shutil.copyfile, dirs_exist_ok=True)
        _again(daemon)
    assert _missing(filled) == []
    assert filled.states()["waits.prompt"] == "waiting"
    assert filled.made() == (1, 3 if how == "another" else 2)


@pytest.mark.parametrize("point", [".", "disk"])
def test_a_file_at_a_bare_mount_point_is_seen_again_and_again(studio, monkeypatch, point):
    """However often: it came after the disk had gone, so what is known of the disk beside it and below is not gone."""
    beside = "" if point == "." else f"{point}/"
    there = [point]
    monkeypatch.setattr(scan, "_mounts", lambda real: [*there])
    for name in ("a", "jane/b"):
        studio.prompt(f"{beside}{name}.prompt", f"words {name}")
    with studio.daemon() as daemon:
        _again(daemon)
        shutil.rmtree(studio.inbox)
        there.clear()
        studio.prompt(f"{beside}stray.prompt", "saved where no disk is")
        for _ in range(3):
            _again(daemon)
            assert _missing(studio) == []
            assert "not mounted" in daemon.journal.get(f"root:{studio.inbox}")
    assert studio.states()[f"{beside}stray.prompt"] == "done"


@pytest.mark.parametrize("point", [".", "disk"])
def test_a_disk_that_goes_right_after_the_first_look(studio, monkeypatch, point):
    """What only one look has shown lies on it too: it is not gone, though somebody left a note at the bare mount point."""
    root = next(iter(roots_of(studio.settings()).values()))
    there = [point]
    monkeypatch.setattr(scan, "_mounts", lambda real: [*there])
    studio.prompt("disk/a.prompt", "runs")
    with studio.daemon() as daemon:
        intake = daemon.engine.intake
        for _ in range(2):
            with daemon.journal.transaction():
                intake.looked(scan.look(root))
            assert [source.path for source in daemon.journal.sources("missing_since IS NULL")] == [
                "disk/a.prompt"
            ]
            shutil.rmtree(studio.inbox / "disk", ignore_errors=True)
            studio.write("NOT MOUNTED.txt", "a habit of administrators")
            there.clear()
        assert "not mounted" in daemon.journal.get(f"root:{studio.inbox}")


class Disk:
    """One that comes and goes at a folder of the inbox: the folder is exchanged for another, and the kernel's table says so."""

    def __init__(self, studio, monkeypatch, point):
        self.point, self.there = studio.inbox / point, False
        self._away = studio.home / "away"
        self._away.mkdir()
        (self._away / "there.prompt").write_text("on the disk")
        self.point.mkdir(exist_ok=True)
        monkeypatch.setattr(scan, "_mounts", lambda real: [point] if self.there else [])

    def turn(self):
        """Mount it, or unmount it."""
        other = self._away.with_name("other")
        self.point.rename(other)
        self._away.rename(self.point)
        other.rename(self._away)
        self.there = not self.there


@pytest.fixture
def disk(studio, monkeypatch):
    """One that was looked at with a prompt on it, and is away."""
    found = Disk(studio, monkeypatch, "disk")
    found.turn()
    studio.prompt("disk/a.prompt", "words a")
    studio.folder("jane", pictures=2)
    studio.prompt("x.prompt", "words x")
    studio.run_once()
    found.turn()
    return found


@pytest.mark.parametrize("name", ["x.prompt", "jane"])
def test_what_was_known_elsewhere_is_moved_to_a_bare_mount_point(studio, disk, name):
    """It lies there now, and is older than the disk's newest: no proof that a plain folder has replaced the disk."""
    with studio.daemon() as daemon:
        _again(daemon)
        (studio.inbox / name).rename(disk.point / name)
        _again(daemon)
        _again(daemon)
    assert _missing(studio) == []
    assert studio.made() == (1, 3)


def test_what_was_saved_beneath_a_disk_is_copied_to_it(studio, disk):
    """So it lies on both; with the disk away again, what only that has is not gone."""
    studio.prompt("disk/stray.prompt", "words")
    studio.run_once()
    disk.turn()
    studio.prompt("disk/stray.prompt", "words")
    studio.run_once()
    disk.turn()
    studio.run_once()
    assert _missing(studio) == []


def test_an_inner_disk_is_there_while_the_outer_one_is_not(studio, monkeypatch):
    """What lies on it says nothing of the other."""
    there = ["disk", "disk/inner"]
    monkeypatch.setattr(scan, "_mounts", lambda real: [*there])
    for path in ("disk/a.prompt", "disk/inner/b.prompt"):
        studio.prompt(path, f"words {path}")
    studio.run_once()
    there.remove("disk")
    (studio.inbox / "disk/a.prompt").rename(studio.home / "away.prompt")
    studio.run_once()
    assert _missing(studio) == []


def test_a_plain_folder_that_has_replaced_a_disk(studio, disk):
    """With all that is known of it there, it is a folder like any other: what is deleted in it is gone."""
    for name in ("a", "there"):
        shutil.copy(studio.home / f"away/{name}.prompt", disk.point)
    with studio.daemon() as daemon:
        _again(daemon)
        assert not daemon.journal.get(f"root:{studio.inbox}")
        (disk.point / "a.prompt").unlink()
        _again(daemon)
    assert _missing(studio) == ["disk/a.prompt"]
    assert studio.made() == (1, 3)


def test_nobody_waits_for_what_settled_in_a_root_that_is_watched_no_more(studio):
    """`run --once` ends."""
    other = studio.root("other")
    studio.write(other / "b.prompt", "words")
    with studio.daemon() as daemon, daemon.journal.transaction():
        daemon.engine.intake.looked(scan.look(roots_of(studio.settings())[str(other)]))
    assert studio.states() == {"b.prompt": "settling"}
    studio.watches.pop()
    studio.run_once()


def test_a_disk_that_goes_while_a_file_on_it_settles(studio, monkeypatch):
    """Nobody waits for the file until the disk is back."""
    disk = Disk(studio, monkeypatch, "disk")
    disk.turn()
    studio.prompt("disk/a.prompt", "words")
    with studio.daemon() as daemon:
        with daemon.journal.transaction():
            daemon.engine.intake.looked(scan.look(next(iter(roots_of(studio.settings()).values()))))
        disk.turn()
        daemon.look()
        assert daemon.run(10), daemon.busy
        assert studio.states() == {"disk/a.prompt": "settling", "disk/there.prompt": "settling"}
        disk.turn()
        daemon.look()
        assert daemon.run(10), daemon.busy
    assert studio.states() == {"disk/a.prompt": "done", "disk/there.prompt": "done"}


@pytest.mark.parametrize("seed", range(8))
def test_whenever_a_disk_comes_and_goes(studio, monkeypatch, seed):
    """Files are saved on it and at its bare mount point, all or a part is looked at, the daemon starts anew: what lies on the
    disk is never gone, and each wish is paid once.
    """
    chance, saved = random.Random(seed), 0
    point = chance.choice([".", "disk"])
    disk, on_disk = Disk(studio, monkeypatch, point), {os.path.normpath(f"{point}/there.prompt")}
    studio.prompt("stays.prompt", "beside the disk" if point == "disk" else "beneath the disk")
    for _ in range(4):
        with studio.daemon() as daemon:
            assert daemon.run(10), studio.told(daemon.journal)
            for _ in range(4):
                if chance.random() < 0.4:
                    disk.turn()
                if chance.random() < 0.6:
                    saved += 1
                    path = chance.choice(
                        [f"{saved}.prompt", f"jane/{saved}.prompt", f"jane/kate/{saved}.prompt"]
                    )
                    studio.prompt(f"{point}/{path}", f"words {saved}")
                    if disk.there:
                        on_disk.add(os.path.normpath(f"{point}/{path}"))
                scope = os.path.normpath(chance.choice([".", point, f"{point}/jane"]))
                hint = Hint(root=str(studio.inbox), path=scope, recursive=chance.random() < 0.5)
                daemon.engine.inbox.put(hint)
                if chance.random() < 0.7:
                    daemon.look()
                assert daemon.run(10), studio.told(daemon.journal)
                assert not on_disk & set(_missing(studio)), f"seed {seed}"
    if not disk.there:
        disk.turn()
    studio.run_once()
    assert not on_disk & set(_missing(studio)), f"seed {seed}"
    assert {path for path, state in studio.states().items() if state == "done"} >= on_disk
    assert studio.made() == (0, len(studio.prompts())), f"seed {seed}"


def test_a_disk_that_goes_during_a_look(studio, monkeypatch):
    """What the look saw before it went is not taken for what lies there instead."""
    root, there = next(iter(roots_of(studio.settings()).values())), ["disk"]
    studio.prompt("disk/a.prompt", "runs")
    studio.write("b.prompt", "words")
    monkeypatch.setattr(scan, "_mounts", lambda real: [*there])
    assert _paths(scan.look(root)) == ["b.prompt", "disk/a.prompt"]

    def mounts(real):
        told = [*there]
        if there:
            # The disk goes as soon as the walk has begun, but what it shows is in the kernel's hands already.
            there.clear()
        else:
            shutil.rmtree(studio.inbox / "disk", ignore_errors=True)
        return told

    there.append("disk")
    monkeypatch.setattr(scan, "_mounts", mounts)
    look = scan.look(root)
    assert (look.mounts, _paths(look)) == ((), ["b.prompt"])


def test_a_disk_that_comes_during_a_look_and_goes_after_it(studio, monkeypatch):
    """What the look saw lies on it, not at the bare mount point: nothing is gone when the disk is."""
    root, there = next(iter(roots_of(studio.settings()).values())), ["disk"]
    told: list[list[str]] = []
    monkeypatch.setattr(scan, "_mounts", lambda real: told.pop(0) if told else [*there])
    studio.write("a note.txt", "so that the root is not empty")
    with studio.daemon() as daemon:

        def looked():
            with daemon.journal.transaction():
                daemon.engine.intake.looked(scan.look(root))
            return [source.path for source in daemon.journal.sources("missing_since IS NULL")]

        def unmount():
            shutil.rmtree(studio.inbox / "disk")
            there.clear()

        studio.prompt("disk/a.prompt", "runs")
        assert looked() == ["disk/a.prompt"]
        unmount()
        assert looked() == ["disk/a.prompt"]
        studio.prompt("disk/a.prompt", "runs")
        there.append("disk")
        told.append([])  # when the look began
        assert looked() == ["disk/a.prompt"]
        unmount()
        assert looked() == ["disk/a.prompt"]


def _paths(look):
    return sorted(prompt.path for folder in look.folders for prompt in folder.prompts)


def test_a_share_that_hangs_holds_up_only_itself(studio, monkeypatch):
    """Whoever reads from it waits for as long as it likes, and there is much to be read: other roots go on, `status` says so, and
    once it answers all is well.
    """
    hung, answered = studio.inbox, threading.Event()
    second = studio.root("second")
    real = tasks.read_folder

    def read_folder(root, path, named):
        if root.path == str(hung):
            answered.wait(30)
        return real(root, path, named)

    monkeypatch.setattr(tasks, "read_folder", read_folder)
    monkeypatch.setattr(agenda, "_SLOW", 0.0)
    for n in range(13):  # one more than there are threads
        studio.folder(f"hung{n}")
    with studio.daemon() as daemon:
        daemon.until(lambda: sum(key[0] == "read" for key in daemon.engine.ctx.under_way) == 13)
        studio.write(second / "well/1.jpg", studio.photo())
        daemon.look()
        daemon.until(lambda: studio._states(daemon.journal).get("well") == "ready")
        daemon.look()
        daemon.until(lambda: "has not ended" in daemon.journal.get(f"root:{hung}", ""))
        answered.set()
        assert daemon.run(10)
        assert daemon.journal.get(f"root:{hung}") is None
    assert set(studio.states().values()) == {"ready"}


def test_where_no_changes_are_told(studio, monkeypatch):
    """Without inotify, as on other systems than Linux, files are found by a look at every check, long before the rescan."""
    monkeypatch.setitem(sys.modules, "astria_sync.inotify", None)
    monkeypatch.setattr("astria_sync.schedule.CHECK_SECONDS", 0.2)
    monkeypatch.setattr("astria_sync.loop._LONGEST_WAIT", 0.2)
    studio.tables["timing"]["rescan_seconds"] = 300
    with running(studio) as daemon:
        for name in "ab":
            studio.prompt(f"{name}.prompt", f"words {name}")
            daemon.done(f"{name}.prompt")
        assert daemon.problems() == ""
