"""How the engine's thread takes its messages."""

import queue

import pytest

from astria_sync.loop import receive


class Watched(queue.SimpleQueue):
    """A queue that notes how it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get_nowait(self):
        self.asked.append("now")
        return super().get_nowait()

    def get(self, block=True, timeout=None):
        self.asked.append("wait")
        return super().get(block, timeout)


def test_it_waits_only_after_a_look():
    """A wait on a SimpleQueue that was not looked at first can have no end (CPython 3.11), whatever its timeout."""
    inbox = Watched()
    with pytest.raises(queue.Empty):
        receive(inbox, 0.0)
    assert inbox.asked == ["now", "wait"]


def test_what_is_there_is_taken_without_waiting():
    """Messages come in the order in which they were put."""
    inbox = Watched()
    inbox.put(1)
    inbox.put(2)
    assert [receive(inbox, 10), receive(inbox, 10)] == [1, 2]
    assert inbox.asked == ["now", "now"]
