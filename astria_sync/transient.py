"""Names that nobody means to be sent, and those among them that tell that more is coming."""

import re
from typing import Final

EACH: Final = "_each"  # the folder of a local pack (each.py)

# What systems and programs leave while they work. Hidden names are left alone before this is asked.
_TRANSIENT: Final = re.compile(
    r"""(?xi) ^ (?:
        .* \. (?: part | partial | crdownload | tmp | temp | download | opdownload | filepart | swp | swx | !ut | !qb ) |
        .* ~ | ~\$ .* | \#.*\# | 4913 |
        Thumbs\.db | ehthumbs\.db | desktop\.ini | \$RECYCLE\.BIN | System\ Volume\ Information | lost\+found |
        __MACOSX | @eaDir | \#recycle
    ) $"""
)
# rsync writes `.name.XXXXXX` (hidden); scp, wget and some editors append to the whole name: `a.jpg.Xy12Zz` has no picture's
# suffix, so it needs no rule.


# What is left alone, and yet tells that a picture or prompt is on its way: `b.jpg.part`, rsync's `.b.jpg.Ab3xYz`, `x.crdownload`.
_HALF: Final = re.compile(
    r"(?i)\.(?:jpe?g|png|webp|prompt)(?:\.|$)|\.(?:crdownload|opdownload|part|partial|filepart)$"
)


def is_left_alone(name: str) -> bool:
    """Whether nobody means this file or folder to be sent: hidden, or left by a program while it works."""
    return name.startswith(".") or _TRANSIENT.match(name) is not None


def is_half(name: str) -> bool:
    """Whether a file that is left alone is a picture or prompt on its way: a download or copy under another name."""
    return _HALF.search(name) is not None
