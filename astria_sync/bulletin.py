"""What the daemon cannot write into the state because the state is the trouble: a note that lies elsewhere, for `status`.

Its room is taken at the start, so that it can be written when every disk is full. Only a daemon that lives is believed.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from astria_sync.disk import make_private_folder
from astria_sync.rootlocks import meeting_places

_ROOM: Final = 4096  # bytes


def _places(state: Path, environ: Mapping[str, str], home: Path) -> list[Path]:
    name = hashlib.blake2b(os.fsencode(os.path.realpath(state)), digest_size=12).hexdigest()
    return [place / f"{name}.note" for place in meeting_places(environ, home)]


def read(state: Path, environ: Mapping[str, str], home: Path) -> str:
    """What the daemon of this state has to say; "" if that is nothing."""
    for place in _places(state, environ, home):  # the daemon's own may have been started without a session
        with suppress(OSError):
            return place.read_text(errors="replace").strip()
    return ""


class Bulletin:
    """The note of one daemon. A place that takes none costs nothing but the note."""

    def __init__(self, state: Path, environ: Mapping[str, str], home: Path) -> None:
        """Nothing is written yet."""
        self._path = _places(state, environ, home)[0]

    def open(self) -> None:
        """Take its room."""
        with suppress(OSError):
            make_private_folder(self._path.parent)
            self._path.unlink(missing_ok=True)
        self.say("")

    def say(self, text: str) -> None:
        """Have this, and nothing else, said; "" when all is well."""
        data = text.encode(errors="replace")[:_ROOM].ljust(_ROOM)
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.fchmod(descriptor, 0o600)  # whatever the umask
                os.pwrite(descriptor, data, 0)
            finally:
                os.close(descriptor)

    def close(self) -> None:
        """There is nothing more to say."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
