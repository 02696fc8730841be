"""Carries notices to the person, in a thread of its own: a command that hangs, fails or floods costs nobody anything."""

import json
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from astria_sync import desktop, hook
from astria_sync.core.news import Notice, of_state
from astria_sync.secrets import hide
from astria_sync.settings import Settings

log = logging.getLogger("astria_sync")

PROMPTLY: Final = 1.0  # seconds: who was told to end does so, whatever a command does
_WAITING: Final = 8  # notices that wait for one that is slow to be carried
_ALERTS: Final = 900.0  # seconds between two notices that the state cannot remember
_CUT: Final = "A notification under way%s %s not waited for; what happened is in: astria-sync status"


class Messenger:
    """Takes notices and never waits."""

    def __init__(self, settings: Callable[[], Settings], *, environ: Mapping[str, str], home: Path) -> None:
        """`settings` are asked each time: they may be read anew."""
        self._settings, self._environ, self._home = settings, environ, home
        self._notices: queue.Queue[Notice | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._run: hook.Run | None = None
        self._closed = self._cut = False
        self._alerted = -math.inf
        self.patience = PROMPTLY  # seconds that `close` waits for a notice under way
        self._said: dict[str, str] = {}  # way → what was last wrong with it

    def check(self) -> None:
        """Say now what would go wrong with the first notice: it may be long in coming."""
        notify = self._settings().notify
        if notify.desktop:
            self._say("desktop", desktop.obstacle(self._environ))
        if notify.command:
            words = self._words(notify.command)
            self._say("command", hook.obstacle(words[0], self._environ) if words else "it is empty")

    def post(self, notice: Notice) -> None:
        """Have it carried, soon. Called by the engine's thread alone."""
        notify = self._settings().notify
        if self._closed or not (notify.desktop or notify.command):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="messenger", daemon=True)
            self._thread.start()
        try:
            self._notices.put_nowait(notice)
        except queue.Full:
            log.warning("A notification is left out, since those before it are not taken: %s", notice.title)

    def alert(self, text: str) -> None:
        """The state is the trouble, and cannot remember what was told; "" if it is over."""
        if text and time.monotonic() - self._alerted > _ALERTS:
            self._alerted = time.monotonic()
            self.post(of_state(text, at=time.time(), configuration=str(self._settings().file or "")))

    def also(self, announce: Callable[[str], None]) -> Callable[[str], None]:
        """What announces it elsewhere, and here too."""

        def both(text: str) -> None:
            announce(text)
            self.alert(text)

        return both

    def close(self) -> None:
        """Carry what waits, and end whatever has not ended by then."""
        self._closed = True
        if self._thread is None:
            return
        try:
            with suppress(queue.Full):
                self._notices.put_nowait(None)
                self._thread.join(self.patience)
        finally:
            if self._thread.is_alive():
                self._cut_short()

    def _cut_short(self) -> None:
        """End what is under way, begin nothing of what waits behind it, and say so."""
        self._cut, left = True, 0
        with suppress(queue.Empty):
            while True:
                left += self._notices.get_nowait() is not None
        self._notices.put_nowait(None)
        if run := self._run:
            run.end()
        log.warning(_CUT, *((f" and {left} behind it", "are") if left else ("", "is")))

    def _work(self) -> None:
        while (notice := self._notices.get()) is not None:
            try:
                self._carry(notice)
            except Exception:
                log.exception("a defect: a notification could not be made")

    def _carry(self, notice: Notice) -> None:
        notify = self._settings().notify
        if notify.desktop:
            wrong = desktop.obstacle(self._environ)
            words = tuple(hide(word) for word in desktop.words(notice))
            self._say("desktop", wrong or self._start(words, b"", desktop.PATIENCE))
        if notify.command:
            data = hide(json.dumps(notice.body)).encode() + b"\n"
            self._say("command", self._start(self._words(notify.command), data, hook.PATIENCE))

    def _start(self, words: tuple[str, ...], data: bytes, patience: float) -> str:
        run = self._run = hook.Run()
        if self._cut:
            return ""
        return run(words, data, environ=self._environ, home=self._home, patience=patience)

    def _words(self, command: str) -> tuple[str, ...]:
        file = self._settings().file
        return hook.command_line(command, home=self._home, folder=file.parent if file else None)

    def _say(self, way: str, wrong: str) -> None:
        """Once, until it is something else."""
        if wrong and self._said.get(way) != wrong:
            log.warning("[notify] %s: %s. Work goes on; see: astria-sync doctor", way, wrong)
        self._said[way] = wrong
