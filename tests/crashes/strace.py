"""The command line itself under strace, which kills it at a system call or has the call fail: a check on our own numbering.

strace counts the calls of each thread by itself: the n-th is that of whichever thread comes to n first.
"""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

from tests.crashes import judge
from tests.crashes.bench import PATIENCE, Bench
from tests.crashes.scene import TOP, Scene

# Without openat, of which a program makes hundreds while it starts.
_CALLS = (
    "pwrite64 write fsync fdatasync ftruncate link rename unlink mkdir connect sendto recvfrom"
    if os.uname().machine == "x86_64"
    else "pwrite64 write fsync fdatasync ftruncate linkat renameat unlinkat mkdirat connect sendto recvfrom"
)
_LINE = re.compile(r"^(\d+) +(\w+)\(", re.MULTILINE)
_KILLED = {-9, 128 + 9}
_LONG_ENOUGH = "4"  # seconds for a disk that fails for good: a run would try for ever


def unsupported() -> str:
    """Why strace cannot do it here; "" if it can."""
    if not shutil.which("strace"):
        return "there is no strace"
    probe = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=sync", "-e", "inject=sync:error=EIO:when=1"]
    done = subprocess.run([*probe, "true"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"strace cannot trace here ({done.stderr.strip()})"


def _run(scene: Scene, options: Sequence[str], *more: str) -> int:
    command = [sys.executable, "-m", "astria_sync", *scene.argv("run", "--once", *more)]
    with open(scene.log, "ab") as log:
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", str(scene.home / "trace"), *options, *command],
            env=scene.environ(),
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=PATIENCE,
            check=False,
        )
    return done.returncode


def _trace(scene: Scene) -> str:
    return (scene.home / "trace").read_text(errors="replace")


def count(bench: Bench) -> Counter[str]:
    """For each call the most that one thread makes of it in a run that nothing disturbs."""
    with bench.scene() as scene:
        code = _run(scene, ["--seccomp-bpf", "-e", "trace=" + _CALLS.replace(" ", ",")])
        judge.at_rest(scene, code)
        made = Counter(_LINE.findall(_trace(scene)))
    return Counter({name: max(n for (_, one), n in made.items() if one == name) for _, name in made})


def run_to(scene: Scene, *, label: str, n: int, what: str, on: bool) -> tuple[int, bool]:
    """Run until there; the exit code, and whether it came to the point."""
    how = "signal=SIGKILL" if what == "kill" else f"error={what}"
    inject = ["-e", f"trace={label}", "-e", f"inject={label}:{how}:when={n}{'+' if on else ''}"]
    if what == "kill":
        code = _run(scene, inject)  # with --seccomp-bpf strace 6.1 injects errors, but no signals
        assert code in {*_KILLED, 0}, f"it ended with {code}"
        return code, code in _KILLED
    code = _run(scene, ["--seccomp-bpf", *inject], *(["--timeout", _LONG_ENOUGH] if on else []))
    return code, "(INJECTED)" in _trace(scene)
