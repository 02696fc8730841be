"""What /proc says, as it is written there."""

import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from astria_sync import kernel
from astria_sync.kernel import Limit

MOUNTS = """\
sysfs /sys sysfs rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
nas:/export /mnt/my\\040share nfs4 rw,vers=4.2 0 0
tmpfs /mnt/my tmpfs rw 0 0
me@host:/ /home/jane/remote fuse.sshfs rw 0 0
/dev/sdb1 /media/stick fuseblk rw 0 0
/dev/sdc1 /media/caf\303\251\\134 ext4 rw 0 0
auto /net/x autofs rw 0 0
nas:/x /net/x cifs rw 0 0
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mounts").write_bytes(MOUNTS.encode("latin-1"))
    monkeypatch.setattr(kernel, "_PROC", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/mnt/my share/x", ("/mnt/my share", "nfs4")),
        ("/mnt/my/x", ("/mnt/my", "tmpfs")),
        ("/mnt/mystery", ("/", "ext4")),
        ("/media/café\\/x", ("/media/café\\", "ext4")),
        ("/net/x", ("/net/x", "cifs")),
    ],
)
def test_the_innermost_and_latest_mount_counts(proc: Path, path: str, where: tuple[str, str]) -> None:
    """The longest mount point around the path, and what was mounted there last; names as they are."""
    assert kernel.mounted_at(path) == where


@pytest.mark.parametrize(
    ("path", "dated"),
    [
        ("/home/jane", True),
        ("/mnt/my/x", True),
        ("/mnt/my share/x", False),
        ("/home/jane/remote", False),
        ("/media/stick/x", False),
    ],
)
def test_which_file_systems_date_directories(proc: Path, path: str, dated: bool) -> None:
    """This machine's own; of shares, of what programs mount and of disks of other systems nobody knows."""
    assert kernel.dates_directories(path) == dated


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/mnt/my share/x", "nfs4"),
        ("/home/jane/remote", "fuse.sshfs"),
        ("/media/stick", ""),
        ("/home/jane", ""),
    ],
)
def test_which_file_systems_are_silent(proc: Path, path: str, kind: str) -> None:
    """Shares and what programs mount; not this machine's own disks, of whatever make."""
    assert kernel.silent(path) == kind


def test_what_is_mounted_below(proc: Path) -> None:
    """All mount points in a folder, itself included, and none beside it."""
    assert list(kernel.mounts_below("/mnt/my")) == ["/mnt/my"]
    assert list(kernel.mounts_below("/media/")) == ["/media/stick", "/media/café\\"]


def test_the_lower_limit_holds(proc: Path) -> None:
    """A container's own limit may be lower than the machine's; the one that holds is named."""
    for name, value in {"fs/inotify/max_user_watches": 192_536, "user/max_inotify_watches": 12}.items():
        (proc / "sys" / name).parent.mkdir(parents=True, exist_ok=True)
        (proc / "sys" / name).write_text(f"{value}\n")
    limit = kernel.watches()
    assert limit is not None
    assert (limit.name, limit.most) == ("user.max_inotify_watches", 12)
    (proc / "sys/user/max_inotify_watches").unlink()
    limit = kernel.watches()
    assert limit is not None
    assert limit.most == 192_536
    assert kernel.instances() is None


@pytest.mark.parametrize("most", [8192, 192_536, 524_288, 3_000_000])
@pytest.mark.parametrize("needed", [1, 60_000, 2_000_000])
def test_what_is_advised_is_enough(most: int, needed: int) -> None:
    """With the number in the advice, all that is needed fits beside all that has filled the present limit."""
    limit = Limit(name="fs.inotify.max_user_watches", most=most, usual=524_288)
    assert limit.enough(needed) >= most + needed
    assert limit.advice(needed) == f"sudo sysctl fs.inotify.max_user_watches={limit.enough(needed)}"


def test_our_own_watches_are_counted(tmp_path: Path) -> None:
    """The real /proc tells what this process watches, and leaves it out when told to."""
    if not Path("/proc/self/fdinfo").exists():
        pytest.skip("this system has no /proc")
    from astria_sync.watch import Watched, Watcher

    before = kernel.in_use(but_by=None)
    (tmp_path / "a").mkdir()
    watcher = Watcher([Watched(path=str(tmp_path), output="/nowhere")], lambda _: None, now=time.monotonic)
    watcher.start()
    try:
        programs, watches = kernel.in_use()
        assert programs > before[0] - 1
        assert watches >= 2
        without = kernel.in_use(but_by=os.getpid())
        assert without[1] <= watches - 2
    finally:
        watcher.stop()


MOUNTINFO = """\
65 44 254:0 / / ro,nosuid shared:1 - ext4 /dev/vda rw
70 65 8:1 /@home /home rw shared:2 - btrfs /dev/sda1 rw
97 65 0:41 / /home ro,nosuid shared:47 - tmpfs tmpfs rw
98 97 8:1 /@home/jane/Astria/my\\040inbox /home/jane/Astria/my\\040inbox rw - btrfs /dev/sda1 rw
99 65 254:0 /srv/out /srv/out rw - ext4 /dev/vda rw
100 65 8:17 / /mnt/photos rw - ext4 /dev/sdb1 rw
101 100 8:17 / /mnt/photos rw - ext4 /dev/sdb1 rw
102 100 8:17 /2026 /mnt/photos/2026 rw - ext4 /dev/sdb1 rw
103 65 254:0 /data/pictures /srv/pictures rw - ext4 /dev/vda rw
104 65 8:33 / /srv/disk rw - ext4 /dev/sdc1 rw
105 65 254:0 /srv/disk /srv/disk rw - ext4 /dev/vda rw
"""


def test_what_a_sandbox_binds_onto_itself_is_no_disk(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that a service is let into are mounts there; outside of it nobody must miss them. Disks stay disks."""
    (proc / "self/mountinfo").write_text(MOUNTINFO)
    points = [line.split()[4].replace("\\040", " ") for line in MOUNTINFO.splitlines()]
    (proc / "self/mounts").write_text(
        "".join(f"x {line.split()[4]} ext4 rw 0 0\n" for line in MOUNTINFO.splitlines())
    )

    def found(path: str) -> SimpleNamespace:
        on = [point for point in points if f"{path}/".startswith(f"{point.rstrip('/')}/")]
        return SimpleNamespace(st_dev=max(on, key=len), st_ino=path)

    monkeypatch.setattr(os.path, "ismount", lambda path: path in points)
    monkeypatch.setattr(kernel, "_found", found)
    windows = {"/home/jane/Astria/my inbox", "/srv/out", "/mnt/photos/2026"}
    assert {point for point in points if not kernel.is_disk(point)} == windows
    assert set(points) - set(kernel.mounts_below("/")) == windows
    assert kernel.is_disk("/mnt/photos")
    on = {
        "/home/jane/Astria/my inbox/x": "/home",
        "/srv/out": "/",
        "/mnt/photos/2026/a": "/mnt/photos",
        "/srv/disk/x": "/srv/disk",
    }
    assert {path: kernel.disk_of(path) for path in on} == on
    assert not kernel.is_disk("/mnt/nothing")


def test_without_mountinfo_each_mount_is_a_disk(proc: Path) -> None:
    """Where the kernel does not tell more, nothing is left out."""
    assert "/media/stick" in kernel.mounts_below("/")


def test_a_window_stays_one(proc: Path) -> None:
    """Its folder was moved outside of the sandbox, or removed: it is no disk for that, and known to be astray."""
    (proc / "self/mountinfo").write_text(MOUNTINFO)
    windows = dict(kernel.windows())
    assert not kernel.astray()
    moved = MOUNTINFO.replace("/@home/jane/Astria/my", "/@home/jane/elsewhere/my").replace(
        "8:17 /2026 ", "8:17 /2026//deleted "
    )
    (proc / "self/mountinfo").write_text(moved)
    assert kernel.windows() == windows
    assert kernel.astray() == {"/home/jane/Astria/my inbox", "/mnt/photos/2026"}
