"""Who fetches: the daemon, and the tools that people would use instead, each with as many connections.

`python -m benchmarks.fetchers KIND FOLDER COUNT ROUNDS` measures on one line, and prints JSON; in a process of its own, since a line
may be a network namespace.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks import host
from benchmarks.peers import look_for
from benchmarks.process import Home, cpu_seconds, daemon, mebibytes, stand_in, until
from benchmarks.tree import ask

CONNECTIONS: Final = 8
_EACH: Final = 4  # pictures of a prompt
_FEW: Final = 50  # what is only to show that it works need not wait for the disk
_SAVED: Final = "SELECT count(*), max(saved_at) FROM images WHERE state = 'saved'"


def ours(top: Path, at: host.Host, count: int) -> dict[str, Any]:
    """Seconds from the first request to the last picture in the journal, CPU, and memory as it went."""
    home = Home(top / "ours")
    host.empty(home.top, rest=count > _FEW)
    with stand_in("--generate-seconds", "60", "--pictures-url", at.url) as astria:
        timing = {"settle_seconds": 0.2, "poll_seconds": 0.5}
        limits = {"hold_above": 10**6, "downloads": CONNECTIONS}
        home.write(astria.base_url, timing=timing, limits=limits, prompt={"num_images": _EACH})
        for number in range(-(-count // _EACH)):
            (home.inbox / f"{number}.prompt").write_text(f"wall {number}")
        with daemon(home, astria.token) as alone:
            until(lambda: len([1 for one in astria.requests("POST")]) >= -(-count // _EACH), every=0.3)
            time.sleep(1)
            at.forget()
            used, idle = cpu_seconds(alone.pid), mebibytes(alone.pid)
            with _sampled(alone.pid) as memory:
                astria.advance(60)
                until(lambda: ask(home.state, _SAVED)[0][0] >= count, every=0.1)
            ended = ask(home.state, _SAVED)[0][1]
            used, peak = cpu_seconds(alone.pid) - used, mebibytes(alone.pid, "VmHWM")
    began = at.first_request()
    host.empty(home.top, rest=count > _FEW)
    return {
        "seconds": ended - began,
        "cpu": used,
        "idle": idle,
        "peak": peak,
        "memory": [(when - began, much) for when, much in memory if began <= when <= ended],
    }


@contextlib.contextmanager
def _sampled(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Its memory, twenty times a second, while the block runs."""
    samples: list[tuple[float, float]] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            samples.append((time.time(), mebibytes(pid)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def commands(tool: str, path: str, url: str, into: Path, names: list[str]) -> list[str]:
    """How a tool is told to fetch them all; its lists are written beside its folder."""
    listed = into.with_suffix(".list")
    if tool == "aria2c":
        listed.write_text("".join(f"{url}/{name}\n" for name in names))
        quick = ["--file-allocation=none", "--console-log-level=error", "--summary-interval=0", "-q"]
        return [path, *quick, "-j", str(CONNECTIONS), "-d", str(into), "-i", str(listed)]
    if tool == "curl":
        listed.write_text("".join(f'url = "{url}/{name}"\noutput = "{into}/{name}"\n' for name in names))
        return [path, "-s", "--parallel", "--parallel-max", str(CONNECTIONS), "--config", str(listed)]
    listed.write_text("".join(f"{name}\n" for name in names))
    known = ["--http-url", url, "--config", "", "--files-from-raw", str(listed), "--no-traverse"]
    return [path, "copy", ":http:", str(into), *known, "--transfers", str(CONNECTIONS)]


def theirs(tool: str, path: str, top: Path, at: host.Host, count: int) -> dict[str, Any]:
    """Seconds from the first request to the end of the tool, and its CPU; checked is only that every file has its length."""
    into = top / tool
    host.empty(into, rest=count > _FEW)
    into.mkdir()
    names = [f"{number:05}.jpg" for number in range(count)]
    command = commands(tool, path, at.url, into, names)
    at.forget()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    ended = time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    whole = [file for file in into.iterdir() if file.stat().st_size == host.BYTES]
    if process.returncode or len(whole) != count:
        raise RuntimeError(f"{tool} ended with {process.returncode} and {len(whole)} of {count} files")
    host.empty(into, rest=count > _FEW)
    return {"seconds": ended - at.first_request(), "cpu": usage.ru_utime + usage.ru_stime}


def main(kind: str, folder: str, count: str, rounds: str) -> None:
    """All of them in turn, so many times."""
    top, tools = Path(folder), look_for(["nginx", "aria2c", "curl", "rclone"])
    taken: dict[str, list[Any]] = {"ours": []}
    with host.serving(top, tools.here["nginx"], host.line(kind, CONNECTIONS)) as at:
        for _ in range(int(rounds)):
            taken["ours"].append(ours(top, at, int(count)))
            for tool, path in tools.here.items():
                if tool != "nginx":
                    taken.setdefault(tool, []).append(theirs(tool, path, top, at, int(count)))
    sys.stdout.write(json.dumps(taken))


if __name__ == "__main__":
    main(*sys.argv[1:])
