"""Words from outside, so that they neither steer a terminal nor pass for other words. Nothing is left out: it is shown as what it is."""

import re
from typing import Any, Final

# Where a sentence advises a command that has to do with a configuration. Text, which is compiled when it is first asked for.
_ADVISED: Final = (
    r"(?<![\w./@-])astria-sync(?= (?:run|status|log|plan|pull|verify|retry|rerun|retrain|approve|pause|resume|tunes|prompts|packs|models|"
    r"workspaces|whoami|init|service|doctor)\b)"
)


def visible(text: object) -> str:
    """One line, with control characters, overrides of the writing direction and the like written out."""
    shown = str(text)
    return shown if shown.isprintable() else "".join(map(_seen, shown))


def visible_lines(text: str) -> str:
    """The same for a text of several lines, which it keeps."""
    return "\n".join(map(visible, text.replace("\r\n", "\n").split("\n")))


def advised(text: str, itself: str) -> str:
    """The same, with every command that it advises called as `itself`: that of another configuration would tell of something else."""
    return re.sub(_ADVISED, lambda _: itself, text)


def visible_json(value: Any, *, indent: int | None = 2) -> str:
    """JSON for people and programs: as readable as it can be, and whoever reads it back finds every character."""
    import json  # here, as below: `--help` has no use for it

    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:  # everything below a space is escaped in JSON as it is
        return text
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text)


def _seen(one: str) -> str:
    import unicodedata

    # Spaces of other scripts and of typography are no controls.
    harmless = one.isprintable() or unicodedata.category(one) == "Zs"
    return one if harmless else one.encode("unicode_escape").decode()
