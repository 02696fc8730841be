"""Files of our own: whole or not there, and durable with the folders that hold them."""

import errno
import os
import stat

import pytest

from astria_sync.disk import Disk


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_new_folder_is_durable_with_those_above_it(tmp_path, monkeypatch):
    """Each folder that is made is made durable in the one above; folders that were there are not touched."""
    synced = []
    monkeypatch.setattr(Disk, "sync_folder", lambda self, folder: synced.append(folder))
    Disk().make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    Disk().make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


@pytest.mark.parametrize(
    "refused", [0, errno.EPERM, errno.ENOTSUP, errno.EIO], ids=["links", "FAT", "s3fs", "rclone"]
)
def test_a_name_that_is_taken_is_not_given_again(tmp_path, monkeypatch, refused):
    """Publishing never replaces a file, whether the file system has hard links or not, and however it says so."""
    if refused:
        monkeypatch.setattr(os, "link", lambda *_: _refuse(refused))
    part, final = tmp_path / ".part", tmp_path / "final"
    part.write_bytes(b"one")
    assert Disk().publish(part, final)
    part.write_bytes(b"two")
    assert not Disk().publish(part, final)
    assert contents(tmp_path) == {"final": b"one", ".part": b"two"}


def _refuse(number):
    raise OSError(number, os.strerror(number))


def _fail_fsync(patch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    patch.setattr(os, "fsync", fsync)


def test_files_of_our_own_are_replaced_whole(tmp_path, monkeypatch):
    """A sidecar is written anew in one step; if that fails the old one stays, and nothing else."""
    file = tmp_path / "new" / "walk.json"
    Disk().write_whole(file, b"old")
    assert contents(file.parent) == {"walk.json": b"old"}
    with monkeypatch.context() as patch:
        _fail_fsync(patch)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            Disk().write_whole(file, b"new")
    assert contents(file.parent) == {"walk.json": b"old"}
    Disk().write_whole(file, b"new")
    assert contents(file.parent) == {"walk.json": b"new"}


def test_syncing_a_folder_that_is_gone(tmp_path):
    """There is nothing to sync in a folder that is not there, and that is told."""
    with pytest.raises(FileNotFoundError):
        Disk().sync_folder(tmp_path / "gone")
