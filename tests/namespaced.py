"""What needs a namespace of its own: disks that are mounted and unmounted, limits of the kernel that are reached.

Run by test_machine.py as `unshare --map-root-user --mount python -m tests.namespaced FOLDER SCENARIO…`.
"""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

from astria_sync import loop
from tests.service_harness import Running, running
from tests.studio_harness import Studio, new_simulator

LIMITS = Path("/proc/sys/user")


def mount(store: Path, point: Path) -> None:
    subprocess.run(["mount", "--bind", store, point], check=True)


def unmount(point: Path) -> None:
    subprocess.run(["umount", point], check=True)


def disk(home: Path, name: str) -> Path:
    """A disk that can be mounted somewhere, and keeps what is on it."""
    store = home / name
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "none", store], check=True)
    return store


def nothing_is_missing(studio: Studio) -> None:
    """No source counts as gone."""
    with studio.journal() as journal:
        assert journal.sources("missing_since IS NOT NULL") == []


def a_disk_in_a_root(studio: Studio) -> None:
    """A disk in the root goes: what was on it is not gone, though somebody saved a file at its bare mount point; it comes back."""
    store = disk(studio.home, "store")
    (studio.inbox / "disk").mkdir()
    mount(store, studio.inbox / "disk")
    with running(studio) as daemon:
        studio.folder("disk/jane")
        studio.prompt("disk/jane/a.prompt", "runs")
        studio.prompt("disk/waits.prompt", "<nobody> far away")
        daemon.done("disk/jane", "disk/jane/a.prompt")
        daemon.until(lambda: studio.states().get("disk/waits.prompt") == "waiting")
        unmount(studio.inbox / "disk")
        studio.prompt("disk/stray.prompt", "saved where no disk is")
        daemon.done("disk/stray.prompt")
        assert f"{studio.inbox}/disk is not mounted" in daemon.problems()
        nothing_is_missing(studio)
        (studio.inbox / "disk/stray.prompt").unlink()
        mount(store, studio.inbox / "disk")
        studio.prompt("disk/b.prompt", "new on the disk")
        daemon.done("disk/b.prompt")
        daemon.until(lambda: "mounted" not in daemon.problems())
    assert studio.states()["disk/waits.prompt"] == "waiting"
    assert studio.made() == (1, 3)
    assert len(studio.posts()) == 4


def a_root_on_a_disk(studio: Studio) -> None:
    """The root itself, with its output inside, lies on a disk that goes and comes back, now empty beneath, now with a note and a
    folder beneath: nothing of it counts as gone, nothing is paid again; another root goes on meanwhile.
    """
    store = disk(studio.home, "store")
    mount(store, studio.inbox)
    studio.watches[0]["output"] = str(studio.inbox / "out")
    second = studio.root("second")
    with running(studio) as daemon:
        studio.folder("jane")
        studio.prompt("jane/a.prompt", "runs")
        daemon.done("jane", "jane/a.prompt")
        unmount(studio.inbox)
        daemon.until(lambda: f"{studio.inbox} is not mounted;" in daemon.problems())
        studio.write(second / "b.prompt", "elsewhere")
        daemon.done("b.prompt")
        nothing_is_missing(studio)
        assert list(studio.inbox.iterdir()) == []
        studio.write("NOT MOUNTED.txt", "a habit of administrators")
        (studio.inbox / "jane").mkdir()
        stray = studio.prompt("stray.prompt", "saved where no disk is")
        daemon.until(lambda: "stray.prompt" in studio.states())  # so there was a look
        nothing_is_missing(studio)
        assert f"{studio.inbox} is not mounted;" in daemon.problems()
        stray.unlink()
        daemon.until(lambda: "stray.prompt" not in studio.states())
        mount(store, studio.inbox)
        studio.prompt("jane/c.prompt", "walks")
        daemon.done("jane/c.prompt")
        daemon.until(lambda: "mounted" not in daemon.problems())
    assert studio.made() == (1, 3)
    assert len(studio.posts()) == 4
    assert (studio.inbox / "out/jane/c").is_dir()


def too_few_watches(studio: Studio) -> None:
    """The kernel grants fewer watches than there are folders, then no inotify at all: `status` and `doctor` name the limit and
    the command, everything is found all the same, and a limit that is raised is noticed.
    """
    for n in range(6):
        (studio.inbox / f"{n}").mkdir()
    (LIMITS / "max_inotify_watches").write_text("3")
    with running(studio) as daemon:
        said = daemon.until(daemon.problems)
        assert "user.max_inotify_watches is 3" in said
        assert "sudo sysctl user.max_inotify_watches=524288" in said
        told = doctor(daemon)
        assert "7 watches needed, 3 allowed" in told
        assert (
            told.count("sudo sysctl user.max_inotify_watches=524288") == 2
        )  # the check's, and the daemon's words
        for n in range(6):
            studio.prompt(f"{n}/p.prompt", f"words {n}")
        daemon.done(*(f"{n}/p.prompt" for n in range(6)))
        (LIMITS / "max_inotify_watches").write_text("100")
        daemon.until(lambda: not daemon.problems())
    (LIMITS / "max_inotify_instances").write_text("0")
    with running(studio) as daemon:
        assert "sudo sysctl user.max_inotify_instances=1024" in daemon.until(daemon.problems)
        studio.prompt("0/q.prompt", "more words")
        daemon.done("0/q.prompt")
        (LIMITS / "max_inotify_instances").write_text("5")
        daemon.until(lambda: not daemon.problems())
    assert studio.made() == (0, 7)


def doctor(daemon: Running) -> str:
    from click.testing import CliRunner

    from astria_sync.cli import cli

    arguments = ["--config", str(daemon.studio.home / "config.toml"), "doctor"]
    with contextlib.redirect_stderr(io.StringIO()):
        return (
            CliRunner().invoke(cli, arguments, env=daemon.environ | {"HOME": str(daemon.studio.home)}).stdout
        )


if __name__ == "__main__":
    loop._SHORTEST_WAIT = 0.1  # type: ignore[misc]
    scenarios = {one.__name__: one for one in (a_disk_in_a_root, a_root_on_a_disk, too_few_watches)}
    for name in sys.argv[2:]:
        with new_simulator() as simulator:
            (home := Path(sys.argv[1], name)).mkdir()
            studio = Studio(home, simulator)
            studio.tables["timing"]["rescan_seconds"] = 0.3
            scenarios[name](studio)
        sys.stdout.write(f"{name}\n")
