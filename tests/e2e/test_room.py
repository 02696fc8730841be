"""Nothing is bought that could not be saved."""

import os
import types

import pytest

from astria_sync import room


def test_an_output_that_is_no_folder(studio):
    """No prompt goes out while a file lies where the output should be; the reason is told, and it goes on when mended."""
    studio.prompt("p.prompt", "words")
    studio.write(studio.output, "in the way")
    studio.run_once()
    assert studio.made() == (0, 0)
    assert studio.only("p.prompt").state == "queued"
    assert "cannot be written" in studio.value(f"output:{studio.output}")
    studio.output.unlink()
    studio.run_once()
    assert studio.only("p.prompt").state == "done"
    assert studio.value(f"output:{studio.output}") is None


@pytest.mark.parametrize(
    ("free", "flags", "says"),
    [(1_000_000, 0, "make room"), (10**12, os.ST_RDONLY, "read-only")],
    ids=["full", "read-only"],
)
def test_a_disk_without_room(studio, monkeypatch, free, flags, says):
    """A disk that is full, or read-only, is found out before a request is paid, not after."""
    studio.prompt("p.prompt", "words")
    disk = types.SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_flag=flags)
    with monkeypatch.context() as patch:
        patch.setattr(room.os, "statvfs", lambda _: disk)
        studio.run_once()
    assert studio.made() == (0, 0)
    assert says in studio.value(f"output:{studio.output}")
    studio.run_once()
    assert studio.made() == (0, 1)
