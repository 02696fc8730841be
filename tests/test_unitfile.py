"""Units: right for any path, as hardened as docs/service.md says, and understood by systemd itself."""

import dataclasses
import os
import shutil
import subprocess

import pytest

from astria_sync.core.plain import visible
from astria_sync.unitfile import Unit, hidden, quoted, render, unreachable, word
from tests.service import MOST, PAGE, UNITS, exposure, rewritten, units

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze to ask")

TRICKY = [
    "/home/jane/Astria/in box",
    "/home/jane/50% off",
    "/home/jane/%h",
    '/home/jane/the "best"',
    "/home/jane/it's",
    "/home/jane/back\\slash\\",
    "/home/jane/a:b",
    "/home/jane/$HOME",
    "/home/jane/-dash",
    "/home/jane/# no comment",
    "/home/jane/caf\u00e9 \u4e2d\u6587",
    "/mnt/photos;x/out",
]
UNIT = Unit(
    description="astria-sync: 100%",
    command=("/bin/true", "--config", "/home/jane/%h $HOME/c.toml", "run"),
    home="/home/jane",
    writes=TRICKY,
    reads=("/home/jane/.config/astria-sync", "/usr/lib/python3", "/opt/venv"),
    environment=(("ASTRIA_BASE_URL", "https://x.example/50% off"),),
)


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/plain/path-1.0", "/plain/path-1.0"),
        ("/in box", '"/in box"'),
        ("/50%", "/50%%"),
        ('/a"b', '"/a\\"b"'),
        ("/a\\b", '"/a\\\\b"'),
        ("/a:b", '"/a:b"'),
    ],
)
def test_a_path_is_one_word(path, written):
    """Blanks, quotes, backslashes and colons are quoted; a percent sign is doubled."""
    assert quoted(path) == written


def test_a_word_of_a_command_line():
    """There a dollar sign is a variable, and a semicolon alone a second command."""
    assert [word(one) for one in ("run", "$HOME/x", ";", "")] == ["run", '"$$HOME/x"', '";"', '""']


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/home/jane/Astria", ""),
        ("/mnt/photos", ""),
        ("/proc/self", "lies in /proc"),
        ("/sys", "lies in /sys"),
        ("/dev/shm/x", "lies in /dev"),
        ("/home/jane", "your whole home"),
        ("/home", "your whole home"),
        ("/", "your whole home"),
        ("/home/jane/.ssh", "lies in ~/.ssh"),
        ("/home/jane/.gnupg/photos", "lies in ~/.gnupg"),
        ("/home/jane/.sshfs", ""),
        ("/home/jane/a\nb", "control character"),
        ("/home/jane/\udcff", "no UTF-8"),
    ],
)
def test_folders_that_no_service_can_have(path, why):
    """Each with its reason, and what to do about it."""
    told = unreachable(path, "/home/jane")
    assert why in told
    assert bool(why) == bool(told)


def test_what_the_sandbox_hides():
    """Homes, wherever they are, and what is everybody's; what lies there is bound into its place, all else is only named."""
    assert [
        hidden(path, "/srv/homes/jane")
        for path in ("/home/x", "/run/user/7/x", "/tmp/x", "/srv/homes/jane/x")
    ] == [True] * 4
    assert not hidden("/mnt/homestead", "/home/jane")
    text = render(UNIT)
    assert '\nBindPaths=-"/home/jane/Astria/in box"\n' in text
    assert '\nReadWritePaths=-"/mnt/photos;x/out"\n' in text
    assert "\nBindReadOnlyPaths=-/home/jane/.config/astria-sync\n" in text
    assert "/usr/lib/python3" not in text
    assert "\nInaccessiblePaths=-/home/jane/.ssh\n" in text
    assert "TemporaryFileSystem=/srv" not in text
    elsewhere = render(dataclasses.replace(UNIT, home="/srv/homes/jane"))
    assert '\nTemporaryFileSystem="/srv/homes/jane:ro"\n' in elsewhere


def test_without_namespaces_nothing_is_mounted():
    """Such a unit starts where user namespaces are off: no option is left that needs one."""
    text = render(dataclasses.replace(UNIT, namespaces=False))
    for name in (
        "PrivateUsers",
        "ProtectSystem",
        "TemporaryFileSystem",
        "BindPaths",
        "Private",
        "CapabilityBoundingSet",
    ):
        assert f"\n{name}" not in text
    assert "\nNoNewPrivileges=yes\n" in text
    assert "\nSystemCallFilter=@system-service\n" in text


@needs_systemd
@pytest.mark.parametrize("namespaces", [True, False])
def test_systemd_understands_any_path(tmp_path, namespaces):
    """`systemd-analyze verify` has nothing to say, and finds the command with all its words."""
    told = verified(tmp_path, "tricky.service", render(dataclasses.replace(UNIT, namespaces=namespaces)))
    assert told == ""


@needs_systemd
@pytest.mark.parametrize("name", sorted(units()))
def test_the_units_to_be_put_down_by_hand_are_clean(tmp_path, name):
    """`systemd-analyze verify`, but for the program that is not installed here."""
    text = (
        units()[name]
        .replace("%h/.local/bin/astria-sync", "/bin/true")
        .replace("/usr/local/bin/astria-sync", "/bin/true")
    )
    assert verified(tmp_path, name, text) == ""


@needs_systemd
@pytest.mark.parametrize("name", sorted(units()))
def test_the_exposure_is_low(name):
    """As low as was asked for, by systemd's own reckoning; and so is that of a unit that was made for a machine."""
    found = exposure(units()[name], name)
    assert found is not None
    assert found <= MOST[name]
    made = exposure(render(UNIT), "made.service")
    assert made is not None
    assert made <= MOST["astria-sync.service"]


def test_the_units_are_the_codes():
    """systemd/ has what `python -m tests.service docs/service.md` writes."""
    assert {path.name: path.read_text() for path in UNITS.iterdir()} == units()


def test_the_page_is_the_codes():
    """docs/service.md has the options and the figures as they are."""
    page = PAGE.read_text()
    assert rewritten(page) == page


def test_each_option_has_its_reason():
    """A comment stands before each line of the service."""
    for text in units().values():
        lines = text.splitlines()
        service = lines[lines.index("[Service]") + 1 : lines.index("[Install]")]
        told = ""
        for line in service:
            if line.startswith("#"):
                told = line
            elif line:
                group = line.startswith(("Bind", "ReadWrite", "Inaccessible", "User=", "ExecStart="))
                assert told or group, line
                told = told if group else ""


def verified(folder, name, text):
    """What systemd-analyze complains of."""
    file = folder / name
    file.write_text(text)
    manager = [] if "@" in name else ["--user"]
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "SYSTEMD_LOG_LEVEL": "info"}
    assert ANALYZE
    done = subprocess.run(
        [ANALYZE, "verify", *manager, "--man=no", str(file)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return visible(done.stderr.strip()) + ("" if done.returncode == 0 else f" ({done.returncode})")
