"""What `doctor` looks at on this machine: the watched folders, the outputs, the kernel's limits, the state."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astria_sync.errors import AstriaSyncError
from astria_sync.reading import reading
from astria_sync.settings import Settings, Watch
from astria_sync.trouble import damaged

_SCARCE: Final = 1_000_000_000  # bytes: less free space than this is worth a warning
_INOTIFY: Final = Path("/proc/sys/fs/inotify")
_CROWDED: Final = 0.8  # of the limit: other programs watch too
_SILENT: Final = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "fuse.sshfs",
    "fuse.rclone",
    "vboxsf",
    "drvfs",
}

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One finding. `do` says what to do about it, "" where nothing is to be done."""

    about: str
    level: str
    text: str
    do: str = ""
    exit_code: int = 0

    @property
    def code(self) -> int:
        """What the command ends with if this is the worst: 1 for an error that has no code of its own."""
        return self.exit_code or int(self.level == ERROR)


# Folders


def root(watch: Watch) -> Iterator[Check]:
    """A watched folder: there, readable, and with room for error files beside the prompts."""
    path = watch.path
    if not path.is_dir():
        what = "is no folder" if path.exists() else "does not exist"
        yield Check(
            about="watched",
            level=ERROR,
            text=f"{path} {what}.",
            do="make it, mount its disk, or correct path",
        )
    elif not os.access(path, os.R_OK | os.X_OK):
        yield Check(about="watched", level=ERROR, text=f"{path} cannot be read.", do=f"chmod u+rx {path}")
    elif not os.access(path, os.W_OK):
        yield Check(
            about="watched",
            level=WARNING,
            text=f"{path} cannot be written: errors cannot be told beside the files.",
            do=f"chmod u+w {path}, or look at: astria-sync status",
        )
    else:
        yield Check(about="watched", level=OK, text=str(path))
    kind = _file_system(path)
    if kind in _SILENT and watch.events != "poll":
        text = f"{path} is on {kind}, which does not tell of changes made elsewhere."
        yield Check(about="watched", level=WARNING, text=text, do='set events = "poll" in its [[watch]]')


def _file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The kind of file system that a path is on; "" if it cannot be told."""
    real = os.path.realpath(path)
    best, kind = "", ""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, name, *_ = [*line.split(), "", "", ""]
        point = point.replace("\\040", " ")
        if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
            best, kind = point, name
    return kind


def output(watch: Watch) -> Iterator[Check]:
    """Where pictures go."""
    path = watch.output
    there = next(one for one in (path, *path.parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Check(
            about="output",
            level=ERROR,
            text=f"{path} cannot be written.",
            do=f"chmod u+wx {there}, or correct output",
        )
        return
    free = shutil.disk_usage(there).free
    text = f"{path}{'' if path.exists() else ' (to be made)'}, {free / 1e9:.1f} GB free"
    if free < _SCARCE:
        yield Check(
            about="output",
            level=WARNING,
            text=f"{text}.",
            do="free some space: pictures have 0.5 to 20 MB each",
        )
    else:
        yield Check(about="output", level=OK, text=text)


def inotify(settings: Settings) -> Iterator[Check]:
    """Each folder wants one watch; a user has so many."""
    roots = [watch.path for watch in settings.watch if watch.events != "poll" and watch.path.is_dir()]
    try:
        most, instances = (
            int((_INOTIFY / name).read_text()) for name in ("max_user_watches", "max_user_instances")
        )
    except (OSError, ValueError):
        if roots:
            text = "This system does not tell its limits of watches."
            yield Check(
                about="inotify",
                level=WARNING,
                text=text,
                do="the folders are looked at every rescan_seconds all the same",
            )
        return
    needed = sum(1 for root in roots for _ in os.walk(root))
    text = f"{needed:,} watches needed, {most:,} allowed ({instances:,} instances)"
    if needed > most * _CROWDED:
        do = f"sudo sysctl fs.inotify.max_user_watches={max(2 * needed, 524_288)}, and write it into /etc/sysctl.d/"
        yield Check(
            about="inotify",
            level=WARNING,
            text=f"{text}; some folders will only be looked at now and then.",
            do=do,
        )
    else:
        yield Check(about="inotify", level=OK, text=text)


# State


def state_file(settings: Settings) -> Iterator[Check]:
    """The state: whole, private, and whose."""
    state = settings.state
    try:
        with reading(state) as connection:
            if connection is None:
                yield from _new_state(state)
                return
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except AstriaSyncError as error:
        yield Check(about="state", level=ERROR, text=str(error), exit_code=error.exit_code)
        return
    if damage != "ok":
        yield Check(about="state", level=ERROR, text=damaged(state, damage), exit_code=2)
        return
    yield Check(about="state", level=OK, text=f"{state}{_held_by(state)}")
    if state.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Check(
            about="state", level=WARNING, text=f"{state} can be read by others.", do=f"chmod 600 {state}"
        )


def _new_state(state: Path) -> Iterator[Check]:
    there = next(one for one in state.parents if one.exists())
    if os.access(there, os.W_OK | os.X_OK):
        yield Check(about="state", level=OK, text=f"{state} (made by the first run)")
    else:
        yield Check(
            about="state",
            level=ERROR,
            text=f"{state} cannot be made.",
            do=f"chmod u+wx {there}, or correct state",
        )


def _held_by(state: Path) -> str:
    from astria_sync.lock import holder

    other = holder(state)
    return f", in use by {other.who.removeprefix('another ')}" if other else ", no daemon runs"
