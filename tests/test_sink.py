"""Lines of the log are written by whoever has time for it, and stop nobody."""

import errno
import io
import logging
import os
import sys
import threading

import pytest

from astria_sync import sink
from astria_sync.sink import Sink


@pytest.fixture
def log():
    """A logger of its own whose lines go through a sink."""
    logger, handler = logging.Logger("here"), Sink()  # noqa: LOG001 - one that nobody else knows
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.sink = handler
    yield logger
    handler.close()


def instead_of_stderr(monkeypatch):
    """To be called in a test itself: pytest sets its own between a fixture and the test."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_lines_come_in_order(log, monkeypatch):
    """What was logged before `flush` is written after it, in the order in which it was logged."""
    stderr = instead_of_stderr(monkeypatch)
    for n in range(100):
        log.info("line %d", n)
    log.sink.flush()
    assert stderr.getvalue().splitlines() == [f"line {n}" for n in range(100)]


def test_a_reader_that_does_not_read_stops_nothing(log, monkeypatch):
    """A pipe that is full: whoever logs goes on; what is too much is dropped, and its number told once there is room."""
    there, here = os.pipe()
    monkeypatch.setattr(sink, "_AT_MOST", 50)
    monkeypatch.setattr(sink, "_PATIENCE", 0.01)
    stream = os.fdopen(here, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "__stderr__", stream)
    long = "x" * 70_000  # more than a pipe holds
    for n in range(200):
        log.info("%d %s", n, long)
    log.sink.flush()  # nobody reads: it does not wait for ever
    read = bytearray()

    def reader():
        while data := os.read(there, 1 << 20):
            read.extend(data)

    thread = threading.Thread(target=reader)
    thread.start()
    monkeypatch.setattr(sink, "_PATIENCE", 20)
    log.sink._stuck = False
    log.sink.flush()
    log.info("the last")
    log.sink.flush()
    monkeypatch.undo()
    stream.close()
    thread.join()
    os.close(there)
    lines = read.decode().splitlines()
    written = [line for line in lines if line.endswith("x")]
    notices = [line for line in lines if "dropped" in line]  # one, or more if there was room in between
    assert sum(int(notice.split()[0]) for notice in notices) == 200 - len(written) > 0
    numbers = [int(line.split()[0]) for line in written]
    assert numbers == sorted(set(numbers))
    assert lines[-1] == "the last"


def test_a_reader_that_has_gone_stops_nothing(log, monkeypatch):
    """Its lines are lost, and nothing else."""
    there, here = os.pipe()
    os.close(there)
    stream = os.fdopen(here, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "__stderr__", stream)
    log.info("to nobody")
    log.sink.flush()
    monkeypatch.undo()
    stream.close()


@pytest.mark.parametrize("stream", [None, "closed"])
def test_there_may_be_no_stderr(log, monkeypatch, stream):
    """A process may be started without it, or close it."""
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", stream and closed)
    log.error("to nobody")
    log.sink.flush()


def test_a_terminal_that_does_not_block_is_waited_for(log, monkeypatch):
    """Another program may have set the descriptor so that a write does not wait: the line is whole all the same."""
    there, here = os.pipe()
    os.set_blocking(here, False)
    stream = os.fdopen(here, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "__stderr__", stream)
    log.info("y" * 300_000)
    read = b""
    while len(read) < 300_001:
        read += os.read(there, 1 << 20)
    log.sink.flush()
    monkeypatch.undo()
    stream.close()
    os.close(there)
    assert read == b"y" * 300_000 + b"\n"


def test_repeats_are_one_line_with_their_number(log, monkeypatch):
    """The same words again are counted; what was counted is told at the end at the latest."""
    stderr = instead_of_stderr(monkeypatch)
    log.sink.setFormatter(
        type("F", (), {"format": lambda _, one: f"{one.getMessage()} {getattr(one, 'repeats', '')}"})()
    )
    for _ in range(15):
        log.warning("the same")
    log.warning("another")
    log.error("the same")
    log.sink.close()
    assert [line.strip() for line in stderr.getvalue().splitlines()] == [
        "the same",
        "another",
        "the same",
        "the same 14",
    ]


def test_repeats_of_another_file_are_none(log, monkeypatch):
    """The same words about two files, or about two orders of one file, are two lines."""
    stderr = instead_of_stderr(monkeypatch)
    for facts in ({"file": "a"}, {"file": "b"}, {"file": "b", "id": 2}, {"file": "b", "id": 2}):
        log.error("its host answered 503", extra={"facts": facts})
    log.sink.flush()
    assert len(stderr.getvalue().splitlines()) == 3


def test_what_was_held_back_is_told_when_its_time_has_come(log, monkeypatch):
    """Also if nothing else is logged meanwhile: the thread wakes for it."""
    monkeypatch.setattr("astria_sync.core.repeats.WINDOW", 0.0)
    log.sink.setFormatter(logging.Formatter("%(message)s"))
    told = threading.Event()

    class Told(io.StringIO):
        def write(self, text):
            if "held" in text and self.getvalue():
                told.set()
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", Told())
    record = log.makeRecord("here", logging.INFO, "", 0, "held", (), None)
    log.handle(record)
    log.sink._repeats._known[sink._key(record)].held = 3
    log.sink._repeats._held = 3
    log.sink._queue.put("")
    assert told.wait(20)


def test_a_full_disk_loses_lines_and_says_so(log, monkeypatch):
    """Each line that could not be written is counted, and told before the first that can."""

    class Full(io.StringIO):
        full = True

        def write(self, text):
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(text)

    stream = Full()
    monkeypatch.setattr(sys, "stderr", stream)
    for n in range(3):
        log.info("lost %d", n)
    log.sink.flush()
    stream.full = False
    log.info("there")
    log.sink.flush()
    notice, line = stream.getvalue().splitlines()
    assert notice.startswith("3 lines of the log were dropped")
    assert line == "there"
