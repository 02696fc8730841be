"""How far an upload is: counted while it is read, noted every few seconds, gone when it is over."""

import dataclasses
from contextlib import suppress
from types import SimpleNamespace

import pytest

from astria_sync.core.work import Upload
from astria_sync.journal import open_journal
from astria_sync.progress import NOTED, Progress, Telling
from astria_sync.uploads import LateFile
from astria_sync.wording import Circumstances, why_and_then

LARGE = 5 << 20


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / "1.jpg"
    with path.open("wb") as file:
        file.truncate(LARGE)
    return Upload(field="tune[images][]", path=str(path), name="1.jpg")


class Engine:
    """What Telling needs of one: a clock and a journal."""

    def __init__(self):
        self.ctx = SimpleNamespace(journal=open_journal(None, now=0.0), now=100.0)
        self.telling = Telling(ctx=self.ctx)

    def noted(self):
        self.telling.plan()
        return self.ctx.journal.get(NOTED)


def test_a_file_counts_what_is_read_of_it(upload):
    """To the last byte, however it is read."""
    read: list[int] = []
    file = LateFile(upload.path, (), read.append)
    while file.read(1 << 16):
        pass
    assert sum(read) == LARGE


def test_it_is_told_while_it_lasts(upload):
    """The bytes sent, those in all and the pace, no more often than every two seconds; afterwards nothing."""
    engine = Engine()
    with engine.telling.progress.of("tune:7", [upload]) as count:
        assert engine.noted() == {"tune:7": [0, LARGE, 0]}
        count(1_000_000)
        assert engine.noted() == {"tune:7": [0, LARGE, 0]}
        assert engine.telling.next_due() == 102.0
        engine.ctx.now = 104.0
        assert engine.noted() == {"tune:7": [1_000_000, LARGE, 250_000]}
    engine.ctx.now = 106.0
    assert engine.noted() is None
    assert engine.telling.next_due() is None


def test_what_is_small_is_not_worth_a_commit(tmp_path):
    """Nothing is written for it."""
    small = tmp_path / "1.jpg"
    small.write_bytes(b"x" * 1000)
    engine = Engine()
    with engine.telling.progress.of("tune:7", [Upload(field="f", path=str(small), name="1.jpg")]):
        assert engine.noted() is None


def test_an_upload_that_breaks_is_over(upload):
    """Whatever ends it, nothing is shown of it any more; a file that went meanwhile is for the request to tell."""
    progress = Progress()
    gone = dataclasses.replace(upload, path=upload.path + "x")
    with suppress(OSError), progress.of("tune:7", [upload, gone]):
        assert progress.shown() == {"tune:7": (0, LARGE)}
        raise OSError
    assert progress.shown() == {}


def test_status_says_how_far_it_is():
    """In megabytes, with the pace."""
    order = {
        "kind": "tune", "row": 7, "state": "uploading", "stale": False, "problem": "", "reason": "", "error": "", "path": "jane",
        "delete_at": None,
    }  # fmt: skip
    around = Circumstances(now=0.0, uploads={"tune:7": [48_000_000, 1_074_000_000, 8_200_000]})
    assert why_and_then(order, around)[0] == "48 of 1,074 MB are sent, 8.2 MB/s"
