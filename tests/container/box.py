"""A container with systemd as its first process, until the end of a block; nothing of it is left behind, however that ends.

systemd-nspawn does the work. Around it stand namespaces of our own: a cgroup2 hierarchy whatever this machine's looks like, a
layer in memory over the tree, and a PID namespace with which everything ends. If this process is killed, the kernel ends that.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from tests.container.machine import Obstacle, unified

HOST: Final = "studio"  # the container's name, for those in it
_PREFIX: Final = "astria-sync-container-"
_OUTSIDE: Final = """
umount -lR /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo $$ > "/sys/fs/cgroup/$GROUP/cgroup.procs"
exec unshare --cgroup --mount --pid --fork --kill-child --mount-proc sh -euc "$INSIDE"
"""
# The second mount of cgroup2 has our own group as its root. A /run of our own: nspawn keeps notes there.
_INSIDE: Final = """
umount -lR /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/layer
mount -t tmpfs -o mode=755,size=2g tmpfs /run/layer
mkdir /run/layer/upper /run/layer/work /run/layer/root
mount -t overlay -o "lowerdir=$TREE,upperdir=/run/layer/upper,workdir=/run/layer/work" overlay /run/layer/root
systemd-nspawn --quiet --directory=/run/layer/root --boot --keep-unit --register=no --private-network \
    --machine="$NAME" --hostname="$NAME" --link-journal=no --resolv-conf=off --timezone=off --console=pipe \
    --bind-ro="$WHEELS:/opt/wheels"
"""


def until(holds: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    """Wait for a condition, and return what it said; looked at some ten times a second."""
    end = time.monotonic() + seconds
    while not (said := holds()):
        if time.monotonic() >= end:
            raise AssertionError(f"In {seconds:.0f} s this did not come: {what}")
        time.sleep(0.1)
    return said


class Box:
    """A container that runs."""

    def __init__(self, leader: int) -> None:
        """`leader` is the process that is the first one within."""
        self.leader = leader
        self.top = Path(f"/proc/{leader}/root")  # its files, seen from here
        groups = Path(f"/proc/{leader}/cgroup").read_text().splitlines()
        own = next(line[3:] for line in groups if line.startswith("0::"))
        self._group = f"{unified(Path('/proc/mounts').read_text())}{own}/cgroup.procs"

    def path(self, within: str) -> Path:
        """A file of the container, for us to read and write."""
        return self.top / within.lstrip("/")

    def enter(self, *namespaces: str) -> list[str]:
        """The beginning of a command line: all namespaces of the container, or only these (net …)."""
        which = [f"--{name}" for name in namespaces] or ["--all"]
        inside = ["nsenter", "--target", str(self.leader), *which]
        # Who comes in whole comes into its control groups too: newer systemds do not talk to somebody out of nowhere.
        return inside if namespaces else ["sh", "-c", 'echo $$ > "$0"; exec "$@"', self._group, *inside]

    def root(self, *line: str, check: bool = True, **how: Any) -> subprocess.CompletedProcess[str]:
        """A command of root's within."""
        environ = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
        whole = [*self.enter(), "env", "-i", *(f"{key}={value}" for key, value in environ.items()), *line]
        return ran(whole, check=check, **how)


def ran(line: Sequence[str], *, check: bool = True, timeout: float = 180.0, **how: Any) -> Any:
    """A command and what it said; one that fails tells that in words."""
    how.setdefault("stdin", None if "input" in how else subprocess.DEVNULL)
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=timeout, **how)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(line)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


@contextmanager
def booted(tree: Path, wheels: Path) -> Iterator[Box]:
    """Boot a container over the tree; in it /opt/wheels is the folder `wheels`, read-only."""
    groups = Path(unified(Path("/proc/mounts").read_text()) or "/sys/fs/cgroup")
    _sweep(groups)
    group = groups / f"{_PREFIX}{os.getpid()}"
    environ = {"GROUP": str(group.relative_to(groups)), "INSIDE": _INSIDE, "TREE": str(tree)}
    environ |= {"WHEELS": str(wheels), "NAME": HOST, "PATH": os.environ["PATH"]}
    line = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "sh", "-euc", _OUTSIDE]
    try:
        group.mkdir()
    except OSError as error:
        raise Obstacle(f"no control group can be made here ({error})") from None
    try:
        with tempfile.TemporaryFile("w+") as console:
            launched = subprocess.Popen(
                line, env=environ, stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
            try:
                yield _started(launched, console)
            finally:
                launched.kill()
                launched.wait()
    finally:
        _end(group)


def _started(launched: subprocess.Popen[bytes], console: Any) -> Box:
    """Wait until systemd within says that it has booted."""

    def leader() -> int | None:
        if launched.poll() is not None:
            console.seek(0)
            said = " / ".join(console.read().strip().splitlines()[-3:])
            raise Obstacle(f"the container does not start: {said}")
        return _first_process(launched.pid)

    box = Box(until(leader, "a systemd in the container"))

    def up() -> bool:
        leader()
        said = box.root("systemctl", "is-system-running", check=False).stdout.strip()
        return said in {"running", "degraded"}

    until(up, "the container's systemd has booted")
    # Over this nspawn lays a file that it has deleted, and over such a one no unit can lay its own (ProtectKernelLogs).
    box.root("umount", "/proc/kmsg", check=False)
    return box


def _first_process(top: int) -> int | None:
    """The process below `top` that is the first one of a PID namespace within a PID namespace within ours: systemd."""
    below = [top]
    while below:
        pid = below.pop()
        with suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            numbers = next(line.split()[1:] for line in status if line.startswith("NSpid"))
            if len(numbers) == 3 and numbers[-1] == "1" and status[0].split()[1] == "systemd":
                return pid
            below += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return None


def _end(group: Path) -> None:
    """Kill what is left in the group, and remove it with all that were made below it."""
    if not group.exists():
        return
    with suppress(OSError):
        (group / "cgroup.kill").write_text("1")
    until(
        lambda: "populated 0" in (group / "cgroup.events").read_text(), "the container's processes have ended"
    )
    for folder, _, _ in os.walk(group, topdown=False):
        os.rmdir(folder)


def _sweep(groups: Path) -> None:
    """Remove what a run left that was killed."""
    for group in groups.glob(f"{_PREFIX}*"):
        if not Path("/proc", group.name.removeprefix(_PREFIX)).exists():
            _end(group)
