r"""The grammar of a prompt's text: where `<…>` speaks of a tune, and where it is only text.

| written                          | read as                                                          |
| -------------------------------- | ---------------------------------------------------------------- |
| `<jane>`, `<dresses/red>`, `<1>` | a mention                                                        |
| `<faceid:jane:1>`                | a mention with type and weight                                   |
| `<faceid:123:1>`                 | Astria's own token                                               |
| `{{ … }}`                        | a template of Astria's, with all that is in it                   |
| `\<`                             | a plain `<`; only a backslash right before a `<` means anything, |
|                                  | so `\\<` is one backslash and a plain `<`                        |
| `a < b`, `<3`, `<>`, `</b>`      | text                                                             |
"""

import re
import string
from dataclasses import dataclass

NAME_LIMIT = 255

_SPECIAL = re.compile(r"\\<|\{\{|<")
_MENTION = re.compile(rf"<([^<>\n\r]{{1,{NAME_LIMIT}}})>")
_TOKEN = re.compile(r"([A-Za-z_][A-Za-z0-9_]*):(.+):([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))")
_NAMED_TYPES = frozenset({"faceid", "lora", "pti"})
# `<3>` and `<->` are what people draw; emoji and other scripts are what they call their folders.
_DRAWN = frozenset(string.punctuation)


@dataclass(frozen=True, kw_only=True)
class Mention:
    written: str  # what stands between < and >
    name: str  # a folder's name or path, or Astria's id
    kind: str = ""  # "faceid" in <faceid:jane:1>
    weight: str = ""  # as written

    @property
    def is_own(self) -> bool:
        return self.written == "1"

    @property
    def has_id(self) -> bool:
        return self.kind != "" and _is_number(self.name)

    @property
    def may_be_text(self) -> bool:
        """It says too little to wait for a folder that is not there."""
        return self.kind == "" and (self.name.isdecimal() or _DRAWN.issuperset(self.name))


class Scanner:
    """Reads a text piece by piece; the caller keeps the place, and may move it on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._last_close = text.rfind("}}")  # without it, a text of many "{{" is searched to its end for each

    def read(self, at: int) -> tuple[str | Mention, int]:
        """The piece at `at`, as text for Astria or as a mention, and where the next one starts."""
        special = _SPECIAL.search(self.text, at)
        if special is None:
            return self.text[at:], len(self.text)
        if special.start() > at:
            return self.text[at : special.start()], special.start()
        if special[0] == "\\<":
            return "<", special.end()
        if special[0] == "{{":
            return self._template(at)
        return self._mention(at)

    def _template(self, at: int) -> tuple[str, int]:
        inside = at + 2
        end = self.text.index("}}", inside) + 2 if inside <= self._last_close else inside
        return self.text[at:end], end

    def _mention(self, at: int) -> tuple[str | Mention, int]:
        match = _MENTION.match(self.text, at)
        if match is None or not _is_name(match[1]):
            return "<", at + 1
        return _classified(match[1]), match.end()


def _is_name(written: str) -> bool:
    closing_tag = written.startswith("/") and "/" not in written[1:]
    return written == written.strip() and not closing_tag and "{{" not in written


def _classified(written: str) -> Mention:
    token = _TOKEN.fullmatch(written)
    # Types that are not known here are Astria's business with an id; with a name they are more likely a slip.
    if token and (token[1] in _NAMED_TYPES or _is_number(token[2])):
        return Mention(written=written, name=token[2], kind=token[1], weight=token[3])
    return Mention(written=written, name=written)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal()
