"""Astria's token: where it is looked for, and a wrapper that cannot be printed by accident."""

import html
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from astria_sync.config import official_client
from astria_sync.errors import ConfigError, NotAuthorised
from astria_sync.settings import Astria

VARIABLES = ("ASTRIA_AUTH_TOKEN", "ASTRIA_API_KEY")
CREDENTIAL = "astria-token"

_LARGEST = 16_384  # a token is one line; anything else under that name is not read into memory
_MASK: Final = "[token]"
_PIECE: Final = 8  # characters: a token cut in two is still found, and nothing else has that many of it
_ENCODED: Final = re.compile(r"\\[ux][0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|&#")
_ESCAPE: Final = re.compile(r"\\+(?:u00|x)([0-9a-fA-F]{2})")
_read: dict[str, "Token"] = {}  # every token that this process has read: none of them belongs into a log


class Token:
    """A token that shows where it came from, and its value only when asked to."""

    __slots__ = ("_pieces", "_value", "source")

    def __init__(self, value: str, *, source: str) -> None:
        value = value.strip()
        if not re.fullmatch(r"[\x21-\x7e]+", value):
            what = "is empty" if not value else "holds characters that no token has"
            raise ConfigError(
                f"The token from {source} {what}; put Astria's API key there, alone on one line."
            )
        self._value = value
        self.source = source
        whole = (value,) if len(value) >= _PIECE else ()  # shorter, it is no secret, and may be a word
        cut = tuple(value[at : at + _PIECE] for at in range(0, len(value) - _PIECE + 1, _PIECE))
        self._pieces = cut if len(value) >= 2 * _PIECE else whole
        _read[value] = self

    def reveal(self) -> str:
        return self._value

    def hide(self, text: str) -> str:
        """A server's words without the token that it repeats: whole, cut in two, or escaped as JSON, addresses and HTML are."""
        if self._shows(text):
            return self._masked(text)
        if _ENCODED.search(text):
            read = html.unescape(unquote(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)))
            if self._shows(read):
                return self._masked(read)
        return text

    def _shows(self, text: str) -> bool:
        return any(piece in text for piece in self._pieces)

    def _masked(self, text: str) -> str:
        for piece in (self._value, *self._pieces):
            text = text.replace(piece, _MASK)
        return text

    def __repr__(self) -> str:
        return f"<token from {self.source}>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a token is not written anywhere")


def hide(text: str) -> str:
    """A text without any token that this process has read."""
    for token in tuple(_read.values()):
        text = token.hide(text)
    return text


def find_token(astria: Astria, *, environ: Mapping[str, str], home: Path) -> Token | None:
    """The first token there is, in the documented order; None if there is none anywhere."""
    for variable in VARIABLES:
        if value := environ.get(variable, "").strip():
            return Token(value, source=f"${variable}")
    # systemd guards its credentials itself; a file of one's own must be guarded by its mode.
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and (token := _from_file(Path(folder) / CREDENTIAL, private=False)):
        return token
    if token := _from_file(astria.token_file, private=True):
        return token
    file, client = official_client(environ, home)
    return Token(client["api_key"], source=str(file)) if "api_key" in client else None


def require_token(astria: Astria, *, environ: Mapping[str, str], home: Path) -> Token:
    if token := find_token(astria, environ=environ, home=home):
        return token
    raise NotAuthorised(
        f"There is no token: set {VARIABLES[0]}, or write Astria's API key (astria.ai/users/edit#api) "
        f"into {astria.token_file}, readable by you alone (chmod 600)."
    )


def _from_file(file: Path, *, private: bool) -> Token | None:
    try:
        # Not blocking, so that a pipe under this name cannot hold the daemon up for ever.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"The token file {file} cannot be read: {error.strerror}.") from None
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ConfigError(f"The token file {file} is no ordinary file; write the token into one.")
        if private and info.st_mode & 0o066:
            raise ConfigError(
                f"The token file {file} can be read or changed by others; run `chmod 600 {file}`."
            )
        me = os.geteuid()
        # Its owner may put another account's token there.
        if private and me != 0 and info.st_uid not in {0, me}:
            raise ConfigError(f"The token file {file} belongs to another user; make one of your own.")
        data = os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)
    if not private and not data.strip():
        return None  # so says the system's unit that its administrator gave none
    return Token(data.decode("utf-8-sig", "replace"), source=str(file))
