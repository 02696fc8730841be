"""A configuration that is read again while a daemon runs: everything that it could fail on is tried before the old one is left."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from astria_sync import config
from astria_sync.context import Context
from astria_sync.errors import AstriaSyncError
from astria_sync.rootlocks import RootLocks
from astria_sync.secrets import find_token
from astria_sync.settings import Settings
from astria_sync.systemd import Notifier

log = logging.getLogger("astria_sync")

_INSTALL = "if it is there, the service's sandbox does not reach it: run `astria-sync service install` again"


class Reloading:
    """What a daemon does on SIGHUP."""

    def __init__(
        self,
        read: Callable[[], Settings] | None,
        *,
        ctx: Context,
        notifier: Notifier,
        environ: Mapping[str, str],
        home: Path,
        agreed: Callable[[], None],
    ) -> None:
        """`read` reads the configuration as it is now; `agreed` hears that all is to begin anew with it."""
        self._read, self._ctx, self._notifier, self._agreed = read, ctx, notifier, agreed
        self._environ, self._home = environ, home

    def __call__(self) -> bool:
        """Whether the configuration, as it is now, can be taken over; else the old one goes on, and that is said."""
        if self._read is None:
            return False
        self._notifier.reloading()
        why = why_not(
            self._ctx.settings,
            self._read,
            environ=self._environ,
            home=self._home,
            sandboxed=self._notifier.there,
        )
        if why:
            why = f"The configuration was read again and is not taken over; the one before it goes on. {why}"
            log.error("%s", why)
            self._notifier.ready()
        else:
            log.info(
                "The configuration has been read again; all begins anew with it once requests are answered."
            )
            self._agreed()
        self.note(why)
        return not why

    def note(self, why: str) -> None:
        """Where `status` finds it; that a state cannot be written is said already."""
        journal = self._ctx.journal
        with suppress(sqlite3.Error):
            if journal.get("reload", "") != why:
                with journal.transaction():
                    journal.put("reload", why or None)


def why_not(
    old: Settings,
    read: Callable[[], Settings],
    *,
    environ: Mapping[str, str],
    home: Path,
    sandboxed: bool,
) -> str:
    """What keeps a daemon that runs with `old` from starting anew with what `read` returns now; "" if nothing does.

    `sandboxed`: it runs in a service, which sees and may change only what its unit names.
    """
    try:
        problems = list(_problems(old, read(), environ, home, sandboxed=sandboxed))
    except AstriaSyncError as error:
        problems = list(error.problems)
    return " ".join(problems)


def _problems(
    old: Settings, new: Settings, environ: Mapping[str, str], home: Path, *, sandboxed: bool
) -> Iterator[str]:
    config.require_watches(new)
    if os.path.realpath(new.state) != os.path.realpath(old.state):
        yield f"`state` cannot change while astria-sync runs ({old.state} → {new.state}); stop it and start it again."
        return
    if sandboxed:
        yield from _out_of_reach(old, new)
    else:
        yield from config.check_roots(new)
    if find_token(new.astria, environ=environ, home=home) is None:
        yield f"There is no token in {new.astria.token_file}, nor in any other place."
    before = {os.path.realpath(watch.path) for watch in old.watch}
    added = [watch.path for watch in new.watch if os.path.realpath(watch.path) not in before]
    locks = RootLocks(added, state=new.state, environ=environ, home=home, command="reload", ours=os.getpid())
    locks.acquire()  # raises what is to be said
    locks.release()


def _out_of_reach(old: Settings, new: Settings) -> Iterator[str]:
    """Folders that are new, and that the service cannot see, or not write to."""
    known = {path for watch in old.watch for path in (watch.path, watch.output)}
    for watch in new.watch:
        if not watch.path.is_dir():
            yield f"{watch.path} is not to be seen; {_INSTALL}."
        elif watch.path not in known and _read_only(watch.path):
            yield f"{watch.path} cannot be written; {_INSTALL}."
        if watch.output not in known and _read_only(watch.output):
            yield f"{watch.output} cannot be written; {_INSTALL}."


def _read_only(path: Path) -> bool:
    """Whether what lies there, or the nearest folder above it, is on something that cannot be written."""
    there = next((one for one in (path, *path.parents) if one.exists()), path)
    try:
        return bool(os.statvfs(there).f_flag & os.ST_RDONLY) or not os.access(there, os.W_OK)
    except OSError:
        return True
