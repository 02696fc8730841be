"""The parts of the test on a real systemd that need none: reasons, places, the table of probes. `make prove-service` does the rest."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.container import machine, prober, probing, scenarios, systemwide, tree
from tests.container.machine import Facts, Obstacle, obstacle, provide, unified

MOUNTS = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n"
FIT = Facts(
    system="Linux",
    root=True,
    capabilities=0x1FFFEFFFFFF,
    mounts=MOUNTS,
    missing=(),
    apt=True,
    room=machine.NEEDED,
)
PAGE = "# Service\n\n<!-- probes -->\nold\n<!-- end -->\n\nafter\n"


def changed(**facts):
    return dataclasses.replace(FIT, **facts)


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (changed(system="Darwin"), "Darwin"),
        (changed(root=False), "root"),
        (changed(capabilities=0xA80425FB), "CAP_SYS_ADMIN"),
        (changed(mounts="cgroup /sys/fs/cgroup/pids cgroup rw 0 0\n"), "cgroup2"),
        (changed(mounts=MOUNTS.replace("rw,", "ro,")), "cgroup2"),
        (changed(missing=("debootstrap",), apt=False), "debootstrap missing"),
        (changed(room=1 << 20), "1 MiB of disk"),
    ],
)
def test_what_stands_in_the_way_is_one_sentence(here, reason):
    """Each thing without which no container boots is named, in one line."""
    told = obstacle(here)
    assert told
    assert reason in told
    assert "\n" not in told


@pytest.mark.parametrize("here", [FIT, changed(missing=("debootstrap",))])
def test_nothing_stands_in_the_way(here):
    """Tools that can be installed are no obstacle."""
    assert obstacle(here) is None


def test_the_facts_of_this_machine_can_be_told(tmp_path):
    """They are read on any machine, also where no container can be booted."""
    here = machine.facts(tmp_path / "not" / "there")
    assert here.system
    assert here.room > 0
    assert obstacle(here) is None or isinstance(obstacle(here), str)


def test_where_the_unified_hierarchy_is():
    """Beside the older ones, wherever it is mounted."""
    assert unified(MOUNTS) == "/sys/fs/cgroup/unified"
    assert unified("") is None


def test_only_what_is_missing_is_installed():
    """Lists are fetched first; two tools of one package are one package; where nothing is missing nothing is run."""
    lines = []
    provide(FIT, run=lambda line, **_: lines.append(line))
    assert lines == []
    provide(changed(missing=("unshare", "nsenter")), run=lambda line, **_: lines.append(line))
    assert [line[1] for line in lines] == ["update", "install"]
    assert lines[1][-2:] == ["debian-archive-keyring", "util-linux"]


def test_a_failing_installation_is_a_reason():
    """Without a network apt-get says so, and that is the reason why it is not tried."""

    def fails(line, **_):
        raise subprocess.CalledProcessError(100, line, stderr="W: odd\nE: Could not resolve 'deb.example'\n")

    with pytest.raises(Obstacle, match="apt-get update failed: E: Could not resolve"):
        provide(changed(missing=("debootstrap",)), run=fails)


def test_trees_are_kept_outside_of_the_checkout(monkeypatch):
    """In the person's cache; each release and each list of packages has its own."""
    kept = tree.store({"HOME": "/root"})
    assert kept == Path("/root/.cache/astria-sync-container")
    assert tree.store({"HOME": "/root", "XDG_CACHE_HOME": "/var/c"}) == Path("/var/c/astria-sync-container")
    before = tree.place(kept, tree.RELEASES["bookworm"])
    assert before != tree.place(kept, tree.RELEASES["trixie"])
    monkeypatch.setattr(tree, "PACKAGES", (*tree.PACKAGES, "one-more"))
    assert before != tree.place(kept, tree.RELEASES["bookworm"])


def test_wheels_are_asked_for_as_the_release_takes_them():
    """Newest glibc first, none that is newer than the release's."""
    tags = tree.RELEASES["bookworm"].platforms("x86_64")
    assert tags[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_17_x86_64" in tags
    assert "manylinux_2_37_x86_64" not in tags


# Probes


def all_right():
    """What a sandbox tells that is as it must be."""
    return {probe.name: (probe.must, "EROFS" if probe.must == "refused" else "") for probe in prober.PROBES}


def everything():
    return {probe.name: ("possible", "") for probe in prober.PROBES}


def test_probes_have_names_of_their_own():
    """Results are told by name; each says what must come of it."""
    names = [probe.name for probe in prober.PROBES]
    assert len(set(names)) == len(names) > 30
    assert {probe.must for probe in prober.PROBES} == {"refused", "possible"}


def test_a_sandbox_as_it_must_be():
    """Nothing is told to be wrong."""
    assert probing.wrong(probing.rows(all_right(), everything())) == []


def test_what_is_possible_is_wrong():
    """Where it must be refused; and where it is refused although the daemon needs it."""
    name, need = prober.PROBES[0].name, prober.PROBES[-1].name
    told = all_right() | {name: ("possible", ""), need: ("refused", "EPERM")}
    found = probing.wrong(probing.rows(told, everything()))
    assert len(found) == 2
    assert f"{name}: possible" in found[0]
    assert f"{need}: refused" in found[1]


def test_what_was_not_tried_is_wrong():
    """A prober that left one out proves nothing of it."""
    told = all_right()
    del told[prober.PROBES[3].name]
    assert len(probing.wrong(probing.rows(told, everything()))) == 1


def test_a_file_that_nobody_can_read_proves_nothing():
    """What is refused without the sandbox as well is not refused by it."""
    without = everything() | {"`~/.ssh/id_ed25519`": ("refused", "ENOENT")}
    assert len(probing.wrong(probing.rows(all_right(), without))) == 1


def test_the_table_is_written_and_read_again():
    """Only the marked section of a page is replaced, and what it tells can be compared."""
    told = probing.rows(all_right(), everything())
    page = probing.redrawn(PAGE, probing.table(told))
    assert page.startswith("# Service\n\n<!-- probes -->\n|")
    assert page.endswith("<!-- end -->\n\nafter\n")
    assert probing.told_by(page) == [(f"{row.group}: {row.name}", row.within) for row in told]
    assert probing.differing(page, told) == []
    other = probing.rows(all_right() | {prober.PROBES[0].name: ("possible", "")}, everything())
    assert probing.differing(page, other) == [f"{prober.PROBES[0].group}: {prober.PROBES[0].name}"]


def test_the_documents_tell_what_the_probes_must_find():
    """docs/service.md lists each probe with the result that it must have; `make prove-service` compares it with what is."""
    page = (Path(__file__).parent.parent / "docs" / "service.md").read_text()
    assert probing.told_by(page) == [(f"{one.group}: {one.name}", one.must) for one in prober.PROBES]


def test_the_documents_tell_an_administrator_what_is_typed_there():
    """The commands that set up the template are those of docs/service.md, but for sudo."""
    page = (Path(__file__).parent.parent / "docs" / "service.md").read_text()
    install, template = systemwide.FOR_ALL
    assert f"sudo env {install}\n" in page
    assert template.replace(" >", " | sudo tee") + " > /dev/null\n" in page
    assert f"sudo {systemwide.FOR_ONE.format(name='jane')} " in page


def test_what_nobody_may_do_there_proves_nothing_and_is_not_wrong():
    """The program of the system's unit is root's: that it cannot be written is as it must be, with or without the sandbox."""
    without = everything() | {"its own program": ("refused", "EACCES")}
    told = probing.rows(all_right(), without)
    assert len(probing.wrong(told)) == 1
    assert probing.wrong(told, {"its own program"}) == []
    opened = probing.rows(all_right() | {"its own program": ("possible", "")}, without)
    assert len(probing.wrong(opened, {"its own program"})) == 1


def test_a_page_without_a_place_for_it_is_told():
    """Nothing is written somewhere else."""
    with pytest.raises(AssertionError, match="no place"):
        probing.redrawn("# Service\n", "table")


def test_the_prober_tells_what_it_met(tmp_path):
    """A file that can be made, a folder that is not there, a socket that nobody listens at: by the system's own words."""
    facts = {"here": str(tmp_path)}

    def told(attempt):
        return prober.tried(prober.Probe("", "", "refused", attempt), facts)

    assert told(prober.writes("{here}")) == ("possible", "")
    assert list(tmp_path.iterdir()) == []
    assert told(prober.writes("{here}/none")) == ("refused", "ENOENT")
    assert told(prober.connects("{here}/none")) == ("refused", "ENOENT")
    assert told(lambda _: prober.checked(prober.LIBC.close(-1))) == ("refused", "EBADF")


def test_the_prober_needs_only_the_standard_library():
    """It is run with the container's own Python, from one file."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import runpy; runpy.run_path({prober.__file__!r}); print('read')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "read\n"


def test_an_answer_is_found_among_lines_of_the_log():
    """Systemd's own lines stand around it; without it the log is told."""
    answer = {"a": ["refused", "EPERM"]}
    assert probing._answer(f"Starting …\n{json.dumps(answer)}\nStopped …") == answer
    with pytest.raises(AssertionError, match="Failed with result"):
        probing._answer("Failed with result 'exit-code'.")


def test_every_scenario_says_what_must_hold():
    """Its first line is what is printed beside its result; installing comes first."""
    assert all(one.__doc__ for one in (*scenarios.SCENARIOS, *systemwide.SCENARIOS))
    assert scenarios.SCENARIOS[0] is scenarios.three_commands
    assert len(scenarios.COMMANDS) == 3
