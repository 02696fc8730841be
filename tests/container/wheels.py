"""All that `pipx install astria-sync` needs, in one folder: the container has no network but its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.container.machine import Obstacle, last_line
from tests.container.tree import Release

CHECKOUT: Final = Path(__file__).parents[2]
# What pipx puts into the environment that its programs share.
_BESIDES: Final = ("pip", "setuptools", "wheel")


@contextmanager
def gathered(store: Path, release: Release, machine: str) -> Iterator[Path]:
    """The folder, until the end of the block; what killed runs left goes as well."""
    for left in store.glob("wheels-*"):
        if not Path("/proc", left.name.removeprefix("wheels-")).exists():
            shutil.rmtree(left)
    folder = store / f"wheels-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        _gather(folder, release, machine)
        yield folder
    finally:
        shutil.rmtree(folder)


def _gather(folder: Path, release: Release, machine: str) -> None:
    """Build the wheel of this checkout, and fetch what it depends on for the release's Python."""
    folder.chmod(0o755)  # the person in the container reads it, whatever our umask
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT)])
    (wheel,) = folder.glob("astria_sync-*.whl")
    where = [f"--platform={tag}" for tag in release.platforms(machine)]
    which = ["--only-binary=:all:", f"--python-version={release.python}", "--implementation=cp", *where]
    _run([*pip, "download", *which, "--dest", str(folder), str(wheel), *_BESIDES])


def _run(line: list[str]) -> None:
    try:
        subprocess.run(line, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        raise Obstacle(f"pip {line[5]} failed, so there is nothing to install: {last_line(error)}") from None
