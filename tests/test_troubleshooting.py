"""docs/troubleshooting.md explains messages that there are, and all of those that end a command."""

from tests import messages

PAGE = messages.PAGE.read_text()
ENTRIES = messages.entries(PAGE)
# Not explained, since they are about the very words that somebody has just typed, and say what to type instead.
TYPED = (
    "Give PATHs or --all, not both.",
    "Give --limit or --all, not both.",
    "Say which",
    "Say what",
    "This is too much for one command",
    "A pack is named by its slug",
    "--characteristics must be",
    "--… must be one line of text.",
)  # fmt: skip


def test_there_are_many_and_none_twice():
    """Each message has one place."""
    assert len(ENTRIES) == len(set(ENTRIES)) > 150


def test_a_message_that_is_explained_is_one():
    """The program says so, word for word."""
    said = messages.said()
    assert [entry for entry in ENTRIES if not messages.fits(entry, said)] == []


def test_what_ends_a_command_is_explained():
    """Every sentence of an error is in the page, or says itself what to type."""
    unsaid = [
        text
        for text in sorted(messages.raised())
        if not any(text.startswith(words) for words in TYPED)
        and not any(messages.fits(entry, text) for entry in ENTRIES)
    ]
    assert unsaid == []


def test_what_doctor_finds_is_explained():
    """Whatever it advises something about is in the page."""
    unsaid = [
        text for text in sorted(messages.advised()) if not any(messages.fits(one, text) for one in ENTRIES)
    ]
    assert unsaid == []
