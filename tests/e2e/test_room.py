"""Nothing is bought that could not be saved."""

import dataclasses
import os
import shutil
import types
from pathlib import Path

import pytest

from astria_sync import disk, room
from astria_sync.disk import Disk
from astria_sync.room import Room
from astria_sync.settings import Watch
from astria_sync.simulator import Fault
from tests.test_spending import Purse


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


def test_the_room_is_counted_for_each_request(make_studio, monkeypatch):
    """Those that go out together share the room that is left: of eight, as many are paid as it holds, and the rest wait."""
    studio = make_studio(generate_seconds=3600)
    for n in range(8):
        studio.prompt(f"{n}.prompt", f"words {n}")
    free = room._RESERVE + (room._AT_MOST + 2) * room._PICTURE
    disk = types.SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_flag=0)
    monkeypatch.setattr(room.os, "statvfs", lambda _: disk)
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.get(f"output:{studio.output}") and studio.made() == (0, 3))
        assert len(daemon.journal.prompts("state = 'queued'")) == 5


def test_the_room_is_counted_for_all_that_a_pack_makes(studio, monkeypatch):
    """Packs of two hundred pictures that are let go between two counts do not share the room of one."""
    made = 0
    monkeypatch.setattr(room.Room, "_largest", lambda *_: 200)
    monkeypatch.setattr(room.Room, "_under_way", lambda *_: made)
    free = room._RESERVE + 1100 * room._PICTURE
    disk = types.SimpleNamespace(f_bavail=free // 4096, f_frsize=4096, f_flag=0)
    monkeypatch.setattr(room.os, "statvfs", lambda _: disk)
    with studio.daemon() as daemon, daemon.journal.transaction():
        while daemon.engine.sending.room.takes(str(studio.output)):
            made += 200
            assert made <= 1100
    assert made == 1000


def test_a_disk_that_changes_is_noticed_before_the_next_request(studio, monkeypatch):
    """That it could be written a moment ago says nothing of now."""
    disk = types.SimpleNamespace(f_bavail=10**9, f_frsize=4096, f_flag=0)
    monkeypatch.setattr(room.os, "statvfs", lambda _: disk)
    studio.prompt("a.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'done'"))
        disk.f_flag = os.ST_RDONLY
        studio.prompt("b.prompt", "more words")
        daemon.look()
        daemon.until(lambda: daemon.journal.get(f"output:{studio.output}"))
        assert studio.made() == (0, 1)


def test_trouble_with_an_output_is_not_told_for_longer_than_it_lasts(studio, monkeypatch):
    """Nobody waits for the output any more: that it takes pictures again is noticed all the same."""
    file = studio.prompt("p.prompt", "words")
    disk = types.SimpleNamespace(f_bavail=1, f_frsize=4096, f_flag=0)
    with monkeypatch.context() as patch:
        patch.setattr(room.os, "statvfs", lambda _: disk)
        studio.run_once()
    assert "make room" in studio.value(f"output:{studio.output}")
    file.unlink()
    studio.run_once()
    assert studio.value(f"output:{studio.output}") is None


@pytest.mark.parametrize("again", ["mounted", "elsewhere"])
def test_an_output_whose_disk_is_taken_out(studio, monkeypatch, again):
    """Nothing is bought, and nothing written where the disk was, until it is back or somebody says that it will not be."""
    mounts = {"/", "/media/usb"}
    monkeypatch.setattr(Disk, "mounted", lambda _, mount: not mount or mount in mounts)
    monkeypatch.setattr(Disk, "mount", lambda _, __: max(mounts, key=len))
    studio.prompt("p.prompt", "words")
    studio.run_once()
    assert studio.check_pictures() == 1
    mounts.remove("/media/usb")
    kept = studio.output.rename(studio.home / "usb")
    studio.prompt("q.prompt", "more words")
    studio.run_once()
    assert studio.made() == (0, 1)
    assert not studio.output.exists()
    assert "/media/usb" in studio.value(f"output:{studio.output}")
    if again == "mounted":
        mounts.add("/media/usb")
        kept.rename(studio.output)
    else:
        shutil.copytree(kept, studio.output)
    studio.run_once()
    assert studio.made() == (0, 2)
    assert studio.check_pictures() == 2
    assert studio.value(f"output:{studio.output}") is None


def test_a_picture_that_is_paid_for_waits_for_its_disk(studio, monkeypatch):
    """Taken out between the order and its pictures: they are fetched when it is back, and as soon as that is noticed."""
    mounts = {"/", "/media/usb"}
    monkeypatch.setattr(Disk, "mounted", lambda _, mount: not mount or mount in mounts)
    monkeypatch.setattr(Disk, "mount", lambda _, __: max(mounts, key=len))
    monkeypatch.setattr(room, "_FRESH", 0.02)
    studio.tables["timing"]["retry_base_seconds"] = studio.tables["timing"]["retry_max_seconds"] = 60
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.prompts("state = 'generating'"))
        mounts.remove("/media/usb")
        daemon.until(lambda: daemon.journal.get(f"output:{studio.output}"))
        assert not studio.output.exists()
        assert "not mounted" in daemon.journal.prompts()[0].reason
        mounts.add("/media/usb")
        daemon.until(lambda: daemon.journal.prompts("state = 'done'"))
    assert studio.check_pictures() == 1


@pytest.fixture
def usb(studio, monkeypatch):
    """The mount points that there are; the output lies below /media/usb as long as that is one."""
    mounts = {"/", "/media/usb"}
    monkeypatch.setattr(Disk, "mounted", lambda _, mount: not mount or mount in mounts)
    monkeypatch.setattr(Disk, "mount", lambda _, __: max(mounts, key=len))
    return mounts


def test_what_lay_beneath_a_disk_says_nothing(studio, usb):
    """Files that got into the mount point once are no reason to put pictures to them; one that is put there now is."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    usb.remove("/media/usb")
    studio.output.rename(studio.home / "usb")
    studio.write(studio.output / "stray.txt", "written while it was not mounted, long ago")
    studio.prompt("q.prompt", "more words")
    for _ in range(2):
        studio.run_once()
        assert studio.made() == (0, 1)
        assert studio.files() == ["stray.txt"]
    studio.write(studio.output / "here.txt", "from now on")
    studio.run_once()
    assert studio.made() == (0, 2)
    assert "here.txt" in studio.files()
    assert studio.value(f"beneath:{studio.output}") is None


def test_the_disk_of_pictures_that_were_found(studio, usb):
    """A new state buys nothing, it finds what was ordered: the disk that its pictures go to is known all the same."""
    studio.prompt("p.prompt", "words")
    studio.run_once()
    studio.state.unlink()
    studio.output.rename(studio.home / "old")
    studio.sim.faults.add(Fault(kind="status", status=503, host="pictures", times=None))
    with studio.daemon() as daemon:
        daemon.until(lambda: daemon.journal.images("attempt > 0"))
        assert studio.value(f"mount:{studio.output}") == "/media/usb"
    usb.remove("/media/usb")
    shutil.rmtree(studio.output)
    studio.sim.faults.clear()
    with studio.daemon() as daemon:
        daemon.until(lambda: "not mounted" in (daemon.journal.get(f"output:{studio.output}") or ""))
        assert not studio.output.exists()
        usb.add("/media/usb")
        daemon.until(lambda: daemon.journal.prompts("state = 'done'"), timeout=20)
    assert studio.made() == (0, 1)


def test_looking_for_a_disk_wakes_an_automounter(tmp_path, monkeypatch):
    """What mounts itself when it is looked into is looked into."""
    looked = []
    monkeypatch.setattr(disk.os, "stat", lambda path: looked.append(path))
    monkeypatch.setattr(disk.os.path, "ismount", lambda path: bool(looked))
    assert Disk().mounted("/net/nas")
    assert looked == ["/net/nas/."]


def test_what_is_under_way_is_not_counted_for_each_request(studio, monkeypatch):
    """With plenty of room an estimate that is never too low does; it is counted anew every few seconds."""
    counted = []
    count = room.Room._under_way
    monkeypatch.setattr(room.Room, "_under_way", lambda one: counted.append(1) or count(one))
    for n in range(12):
        studio.prompt(f"{n}.prompt", f"wall {n}")
    studio.run_once()
    assert studio.made() == (0, 12)
    assert 1 <= len(counted) <= 6


def test_an_output_that_is_gone_but_still_seen(studio, monkeypatch):
    """A service goes on seeing a folder that was removed outside of its sandbox; nothing is bought for it."""
    studio.output.mkdir()
    real = Path.stat

    def stat(path, **how):
        info = real(path, **how)
        return os.stat_result((*info[:3], 0, *info[4:10])) if path == studio.output else info

    monkeypatch.setattr(Path, "stat", stat)
    studio.prompt("p.prompt", "words")
    with studio.daemon() as daemon:
        daemon.until(lambda: studio.value(f"output:{studio.output}"))
    assert "was removed while the service had it" in studio.value(f"output:{studio.output}")
    assert not studio.posts()


@pytest.fixture
def packs(tmp_path):
    """Room for pictures of 16 MiB each, and a folder of which packs are run."""
    purse = Purse(tmp_path)
    watch = Watch(path=Path("/in"), output=Path("/out"))
    purse.ctx.settings = dataclasses.replace(purse.ctx.settings, watch=(watch,))
    yield purse
    purse.journal.close()


def room_with(purse, free):
    room = Room(ctx=purse.ctx)
    room._look = lambda output: free
    return room


def test_a_pack_that_is_to_go_is_looked_at_in_the_same_step(packs):
    """What was seen for a prompt, a moment before the pack was queued, is no room for all of its pictures."""
    room = room_with(packs, 3 * 10**9)
    assert room.takes("/out")
    packs.row("packs", "queued", name="p", num_images=400, expected=100)
    room.look_again()
    assert not room.takes("/out")
