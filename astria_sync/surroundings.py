"""What `doctor` looks at on this machine: the watched folders, the outputs, the kernel's limits, the state."""

import itertools
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from astria_sync import kernel, report
from astria_sync.errors import AstriaSyncError
from astria_sync.lock import holder
from astria_sync.reading import reading
from astria_sync.settings import Settings, Watch
from astria_sync.trouble import damaged
from astria_sync.watch import CHECK_SECONDS

_SCARCE: Final = 1_000_000_000  # bytes: less free space than this is worth a warning
_STATE_SCARCE: Final = 200_000_000  # the same of the disk of the state, which has copies beside it
_LOOKED_AT: Final = 50  # entries of a folder, to see how it takes names
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
        yield Check(about="watched", level=OK, text=f"{path}{_case(path)}")
    if watch.events != "poll" and (kind := kernel.silent(str(path))):
        text = f"{path} is on {kind}, which does not tell of changes made elsewhere; it is looked at every {CHECK_SECONDS:.0f} s."
        yield Check(about="watched", level=OK, text=text)
    elif watch.events != "poll" and not kernel.is_local(kind := kernel.mounted_at(os.path.realpath(path))[1]):
        text = f"{path} is on {kind}, which may not tell of changes made elsewhere."
        do = 'if new files are noticed late, write events = "poll" into its [[watch]]'
        yield Check(about="watched", level=OK, text=text, do=do)


def _case(path: Path) -> str:
    """A remark, if names there are the same in capitals; goes by what lies there, since nothing is written."""
    with suppress(OSError), os.scandir(path) as entries:
        for entry in itertools.islice(entries, _LOOKED_AT):
            other = entry.name.swapcase()
            if other != entry.name:
                same = os.path.exists(path / other) and os.path.samefile(path / other, entry.path)
                return ", which does not tell capitals from small letters" if same else ""
    return ""


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
    text = f"{path}{_case(path) if path.exists() else ' (to be made)'}, {free / 1e9:.1f} GB free"
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
    """Each folder wants one watch; a user has so many, for all programs together."""
    watched = [str(watch.path) for watch in settings.watch if watch.events != "poll" and watch.path.is_dir()]
    roots = [root for root in watched if not kernel.silent(root)]
    watches, instances = kernel.watches(), kernel.instances()
    if watches is None or instances is None:
        if roots:
            text = "This system does not tell of changes in folders, or not how many it watches."
            do = f"nothing: where changes are not told, folders are looked at every {CHECK_SECONDS:.0f} s"
            yield Check(about="inotify", level=WARNING, text=text, do=do)
        return
    daemon = holder(settings.state)
    programs, taken = kernel.in_use(but_by=daemon.pid if daemon else None)
    needed = sum(map(kernel.folders_in, roots))
    text = (
        f"{needed:,} watches needed, {watches.most:,} allowed, {taken:,} taken by others "
        f"({instances.most:,} instances, {programs:,} taken)"
    )
    short = [
        limit.advice(wanted)
        for limit, wanted, others in ((watches, needed, taken), (instances, int(bool(roots)), programs))
        if wanted + others > limit.most
    ]
    if short:
        do = (
            f"{' && '.join(short)} (until the next start; to keep it, write it into a file in /etc/sysctl.d/)"
        )
        text = f"{text}; changes in some folders are only seen when all of them are looked at."
        yield Check(about="inotify", level=WARNING, text=text, do=do)
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
    yield from _room(settings)
    yield from _told_by_the_daemon(state)
    if state.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Check(
            about="state", level=WARNING, text=f"{state} can be read by others.", do=f"chmod 600 {state}"
        )


def _room(settings: Settings) -> Iterator[Check]:
    """A state that cannot be written stops everything."""
    folder = settings.state.parent
    free = shutil.disk_usage(folder).free
    there = [next(one for one in (w.output, *w.output.parents) if one.exists()) for w in settings.watch]
    shared = any(one.stat().st_dev == folder.stat().st_dev for one in there)
    text = f"{free / 1e9:.1f} GB free beside the state{', on the disk of the pictures' if shared else ''}"
    if free < _STATE_SCARCE:
        do = "free some space: nothing is sent while the state cannot be written"
        yield Check(about="state", level=WARNING, text=f"{text}.", do=do)
    else:
        yield Check(about="state", level=OK, text=text)


def _told_by_the_daemon(state: Path) -> Iterator[Check]:
    """What it cannot watch, look at or write at this moment; the same as in `status`."""
    if holder(state) is None:
        return
    daemon = {"running": True, "pid": None, "since": None}
    for problem in report.snapshot(state, now=time.time(), daemon=daemon)["problems"]:
        if problem["kind"] in {"root", "watch", "output", "unreadable"}:
            yield Check(about="daemon", level=WARNING, text=problem["text"])


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
    other = holder(state)
    return f", in use by {other.who.removeprefix('another ')}" if other else ", no daemon runs"
