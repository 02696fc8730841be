"""What was pulled hangs on a source for each output, whose root is no place that is watched. How it is told from one that is."""

from typing import Final

# A source that no look at a disk can meet: a watched root is an absolute path.
_ROOT: Final = "account:"


def root_of(output: str) -> str:
    """The root of the pseudo-source that everything pulled to this output hangs on."""
    return f"{_ROOT}{output}"


def is_account(root: str) -> bool:
    """Whether a source's root is one of ours, and no place on disk."""
    return root.startswith(_ROOT)


def place_of(root: str) -> str:
    """A source's root as a place on disk: that of what was pulled is its output."""
    return root.removeprefix(_ROOT)
