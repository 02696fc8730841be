"""A container with a person in it who uses astria-sync, and an account of what she ordered: more than that is never paid."""

import io
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from PIL import Image

from tests.container.astria import Astria
from tests.container.box import Box, until
from tests.container.person import Person

INBOX: Final = "Astria/inbox"
OUTPUT: Final = "Astria/generated"
CONFIG: Final = ".config/astria-sync/config.toml"
SOON: Final = 60.0  # seconds in which whatever is expected must come


class Stage:
    """What the scenarios share: a person's service."""

    def __init__(self, box: Box, astria: Astria, owner: Person, other: Person) -> None:
        """`owner` has the service, and `other` nothing to do with it."""
        self.box, self.astria, self.owner, self.other = box, astria, owner, other
        self._tunes, self._prompts = astria.made()  # with those that she ordered
        self.good = ""  # the configuration, when it was last known to be good
        self._names = itertools.count(1)

    def mend(self) -> None:
        """After a scenario that failed: what the next ones stand on is put back, so that they tell of themselves."""
        self.astria.cable(plugged=True)
        self.astria.mends()
        for file in self.owner.drop_ins.glob("*.conf"):
            file.unlink()
        if self.good:
            self.owner.saves(CONFIG, self.good, mode=0o600)
        self.owner.systemctl("daemon-reload", check=False)
        self.owner.systemctl("reset-failed", check=False)
        self.owner.systemctl("restart", self.owner.service, check=False)
        with suppress(AssertionError):
            self.sent()
        self._tunes, self._prompts = self.astria.made()

    # Ordering

    def folder(self, name: str) -> None:
        """Save a folder with two photos: a tune."""
        for n in range(2):
            photo = io.BytesIO()
            Image.new("RGB", (32, 32), (60 * next(self._names) % 256, 90, n * 100)).save(photo, "JPEG")
            self.owner.saves(f"{INBOX}/{name}/{n}.jpg", photo.getvalue())
        self.owner.saves(f"{INBOX}/{name}/tune.toml", 'name = "woman"\n')
        self._tunes += 1

    def prompt(self, folder: str = "", *, inbox: str = INBOX, output: str = OUTPUT) -> str:
        """Save a prompt; where its pictures will come to."""
        name = f"shot{next(self._names)}"
        self.owner.saves(
            Path(inbox, folder, f"{name}.prompt"), f"a lighthouse for {self.owner.name}, number {name}"
        )
        self._prompts += 1
        return str(Path(output, folder, name))

    def ordered_again(self) -> None:
        """She asked for one more of a prompt."""
        self._prompts += 1

    def sent(self) -> None:
        """Wait until all that was ordered came into being, and is paid."""
        until(
            lambda: self.astria.made() == (self._tunes, self._prompts),
            f"{self._tunes} tunes and {self._prompts} prompts at Astria",
            SOON,
        )

    def delivered(self, *places: str, each: int = 1) -> None:
        """Wait for the pictures; nothing was paid but what was ordered."""
        for place in places:
            until(lambda place=place: self.owner.pictures(place) == each, f"{each} pictures in {place}", SOON)
        made = self.astria.made()
        assert made == (self._tunes, self._prompts), f"ordered {self._tunes, self._prompts}, paid {made}"

    # The service

    def pid(self) -> int:
        return int(self.owner.unit("MainPID")["MainPID"])

    def kill(self) -> None:
        """As a crash, or the kernel when memory is short."""
        self.box.root("sh", "-c", f"kill -9 {self.pid()}")

    def restarts(self) -> int:
        return int(self.owner.unit("NRestarts")["NRestarts"])

    def state(self) -> str:
        return self.owner.unit("ActiveState")["ActiveState"]

    def back(self, after: int) -> None:
        """Wait until systemd has started it once more than so often, and it is ready."""
        until(lambda: self.restarts() > after and self.state() == "active", "the service is back", SOON)

    def says(self, *words: str, since: str) -> str:
        """Wait for a line with all these words in its log, from a cursor on."""

        def found() -> str:
            lines = self.owner.log(f"--after-cursor={since}").splitlines()
            return next((line for line in lines if all(word in line for word in words)), "")

        return until(found, f"a line in the log with {words}", SOON)

    def now(self) -> str:
        """The present end of the log."""
        said = self.box.root("journalctl", "--no-pager", "--lines=1", "--show-cursor").stdout
        cursor = re.search(r"-- cursor: (\S+)", said)
        assert cursor, said
        return cursor[1]

    @contextmanager
    def drop_in(self, name: str, text: str) -> Iterator[None]:
        """The service with an option changed, until the end of the block; what runs is started anew with it."""
        file = self.owner.drops_in(name, f"[Service]\n{text}\n")
        self.owner.systemctl("daemon-reload")
        try:
            yield
        finally:
            file.unlink()
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
            self.owner.systemctl("daemon-reload")

    def hurry(self) -> None:
        """From here on nothing is waited for longer than it must be; as it is usually, it was seen once."""
        self.configure(*((f"{key}_seconds = 5 ", f"{key}_seconds = 1 ") for key in ("settle", "poll")))
        until(lambda: self.state() == "active", "the service is active again", SOON)

    def configure(self, *changes: tuple[str, str]) -> None:
        """Change the configuration by hand, and have it re-read."""
        self.good = self.owner.path(CONFIG).read_text()
        for change in changes:
            assert change[0] in self.good, change
            self.good = self.good.replace(*change)
        self.owner.saves(CONFIG, self.good, mode=0o600)
        self.owner.systemctl("reload", self.owner.service)
