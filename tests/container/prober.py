"""What the daemon's process can and cannot do, tried for real: run in place of the daemon, with all options of its unit.

Only the standard library: it is copied into the container. Standard output gets one line of JSON. Every probe either does what
its name says, or is kept from it by an OSError; `must` says which of the two is right within the unit's sandbox.
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FACTS: Final = Path("/usr/local/lib/astria-probe/facts.json")
OPEN: Final = ("/etc/open", "/usr/local/open", "/var/open", "/opt/open")  # anybody may write there
LIBC: Final = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER: Final = 0x10000000
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
KEYCTL_GET_KEYRING_ID, OWN_PROCESS_KEYRING = 0, -2
PERSONALITY_NO_RANDOM: Final = 0x0040000
# System calls without a function in libc: number on x86-64, number on others.
NUMBERS: Final = {"keyctl": (250, 219), "process_vm_readv": (310, 270)}
SCRATCH: Final = ctypes.create_string_buffer(8)
Facts = dict[str, Any]


@dataclass(frozen=True)
class Probe:
    """One attempt."""

    group: str
    name: str
    must: str  # "refused" or "possible"
    attempt: Callable[[Facts], object]


class Refused(OSError):
    """There is no error number, and yet it was kept from it."""


def checked(result: int) -> int:
    """What a function of libc returned; -1 is raised."""
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def system_call(name: str, *arguments: int) -> int:
    number = NUMBERS[name][os.uname().machine != "x86_64"]
    return checked(LIBC.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments)))


@contextmanager
def suppress_only(number: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise


def writes(*folders: str) -> Callable[[Facts], object]:
    """A new file in each of these; a name in braces is one of the facts."""

    def attempt(facts: Facts) -> None:
        for folder in folders:
            file = os.path.join(folder.format(**facts), f".probe-{os.getpid()}")
            os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.unlink(file)

    return attempt


def appends(file: str) -> Callable[[Facts], object]:
    """Open for writing what is there; nothing is written."""
    return lambda facts: os.close(os.open(file.format(**facts), os.O_WRONLY | os.O_APPEND))


def reads(file: str) -> Callable[[Facts], object]:
    return lambda facts: Path(file.format(**facts)).read_bytes()


def lists(folder: str) -> Callable[[Facts], object]:
    return lambda facts: os.listdir(folder.format(**facts))


def status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith(f"{field}:"))


def has_capabilities(_: Facts) -> None:
    if not any(status(field) for field in ("CapInh", "CapPrm", "CapEff", "CapAmb")):
        raise Refused("all sets are empty")


def goes_unfiltered(facts: Facts) -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    filters = next(int(line.split()[1]) for line in lines if line.startswith("Seccomp_filters:"))
    if filters > facts["filters"]:
        raise Refused("Seccomp: 2")


def becomes_root(facts: Facts) -> None:
    said = subprocess.run([facts["setuid_id"], "-u"], capture_output=True, text=True, check=False).stdout
    if said.strip() != "0":
        raise Refused(f"NoNewPrivs: {status('NoNewPrivs')}")


def marks_setuid(facts: Facts) -> None:
    file = Path(facts["output"], f".probe-{os.getpid()}")
    file.touch()
    try:
        file.chmod(stat.S_ISUID | 0o700)
    finally:
        file.unlink()


def writes_code(_: Facts) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def traces(facts: Facts) -> None:
    pid = facts["sibling"]
    checked(LIBC.ptrace(PTRACE_ATTACH, pid, 0, 0))
    os.waitpid(pid, 0)
    LIBC.ptrace(PTRACE_DETACH, pid, 0, 0)


def peeks(facts: Facts) -> None:
    """Into another process's memory, without stopping it; at an address where there is none, which is found out last."""
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(SCRATCH), 1)  # struct iovec
    theirs = (ctypes.c_size_t * 2)(0x10, 1)
    with suppress_only(errno.EFAULT):
        system_call(
            "process_vm_readv", facts["sibling"], ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0
        )


def in_a_child(act: Callable[[], object]) -> Callable[[Facts], object]:
    """What would change this process for good is done by another."""

    def attempt(_: Facts) -> None:
        child = os.fork()
        if child == 0:
            try:
                act()
            except OSError as error:
                os._exit(error.errno or errno.EPERM)
            os._exit(0)
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            raise OSError(code, os.strerror(code)) if code > 0 else Refused(f"signal {-code}")

    return attempt


def connects(path: str) -> Callable[[Facts], object]:
    """To a socket in the file system."""

    def attempt(facts: Facts) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours:
            ours.connect(path.format(**facts))

    return attempt


def opens(family: int, kind: int) -> Callable[[Facts], object]:
    return lambda _: socket.socket(family, kind).close()


def reaches_astria(facts: Facts) -> None:
    socket.create_connection(("127.0.0.1", facts["port"]), timeout=5).close()


def mounts(_: Facts) -> None:
    checked(LIBC.unshare(CLONE_NEWUSER | 0x00020000))  # and CLONE_NEWNS, in which its owner may mount
    checked(LIBC.mount(b"none", b"/tmp", b"tmpfs", 0, None))


def runs_a_program(_: Facts) -> None:
    if subprocess.run(["/bin/sh", "-c", "exit 7"], check=False).returncode != 7:
        raise Refused("it did not run")


WRITING: Final = "Write"
READING: Final = "Read"
KERNEL: Final = "Gain power over the machine"
NEEDS: Final = "What the daemon needs"
PROBES: Final = (
    *(Probe(WRITING, f"into `{folder}`, where anybody may", "refused", writes(folder)) for folder in OPEN),
    Probe(WRITING, "into the home folder", "refused", writes("{home}")),
    Probe(WRITING, "into a folder of the home that is no root", "refused", writes("{home}/Pictures")),
    Probe(WRITING, "`~/.bashrc`", "refused", appends("{home}/.bashrc")),
    Probe(WRITING, "`~/.ssh/authorized_keys`", "refused", appends("{home}/.ssh/authorized_keys")),
    Probe(WRITING, "a unit into `~/.config/systemd/user`", "refused", writes("{home}/.config/systemd/user")),
    Probe(WRITING, "its own program", "refused", writes("{program}")),
    Probe(WRITING, "its own configuration", "refused", appends("{config}")),
    Probe(WRITING, "into another person's folder that is open to all", "refused", writes("{other}/open")),
    Probe(READING, "`~/.ssh/id_ed25519`", "refused", reads("{home}/.ssh/id_ed25519")),
    Probe(READING, "`~/.gnupg`", "refused", lists("{home}/.gnupg")),
    Probe(READING, "a letter in `~/Documents`", "refused", reads("{home}/Documents/letter.txt")),
    Probe(READING, "another person's file that is open to all", "refused", reads("{other}/open/note.txt")),
    Probe(READING, "a file of others in `/tmp`", "refused", reads("/tmp/note.txt")),
    Probe(
        READING,
        "the environment of the person's other processes",
        "refused",
        reads("/proc/{sibling}/environ"),
    ),
    Probe(KERNEL, "become root by a setuid program", "refused", becomes_root),
    Probe(KERNEL, "hold a capability", "refused", has_capabilities),
    Probe(KERNEL, "go without a filter of system calls", "refused", goes_unfiltered),
    Probe(
        KERNEL,
        "make a user namespace",
        "refused",
        in_a_child(lambda: checked(LIBC.unshare(CLONE_NEWUSER))),
    ),
    Probe(KERNEL, "mount, in namespaces of its own", "refused", in_a_child(lambda: mounts({}))),
    Probe(KERNEL, "trace the person's other processes", "refused", traces),
    Probe(KERNEL, "read their memory", "refused", peeks),
    Probe(KERNEL, "write code into memory and run it", "refused", writes_code),
    Probe(KERNEL, "make a file setuid", "refused", marks_setuid),
    Probe(
        KERNEL,
        "change how its memory is laid out (`personality`)",
        "refused",
        in_a_child(lambda: checked(LIBC.personality(ctypes.c_ulong(PERSONALITY_NO_RANDOM)))),
    ),
    Probe(
        KERNEL,
        "use the kernel's keyrings",
        "refused",
        lambda _: system_call("keyctl", KEYCTL_GET_KEYRING_ID, OWN_PROCESS_KEYRING, 1),
    ),
    Probe(KERNEL, "talk to the kernel by netlink", "refused", opens(socket.AF_NETLINK, socket.SOCK_RAW)),
    Probe(
        KERNEL,
        "have systemd start something outside of the sandbox",
        "refused",
        connects("/run/user/{uid}/systemd/private"),
    ),
    Probe(KERNEL, "talk on the person's D-Bus", "refused", connects("/run/user/{uid}/bus")),
    Probe(KERNEL, "talk on the system's D-Bus", "refused", connects("/run/dbus/system_bus_socket")),
    Probe(NEEDS, "write notes into a root", "possible", writes("{inbox}")),
    Probe(NEEDS, "write pictures into an output", "possible", writes("{output}")),
    Probe(NEEDS, "write its state", "possible", writes("{state}")),
    Probe(NEEDS, "a `/tmp` of its own", "possible", writes("/tmp")),
    Probe(NEEDS, "read its configuration", "possible", reads("{config}")),
    Probe(NEEDS, "read the system's certificates", "possible", lists("/etc/ssl/certs")),
    Probe(NEEDS, "reach Astria", "possible", reaches_astria),
    Probe(NEEDS, "run a program, as a hook is", "possible", runs_a_program),
)


def tried(probe: Probe, facts: Facts) -> tuple[str, str]:
    """What came of it, and the system's word for it."""
    try:
        probe.attempt(facts)
    except OSError as error:
        return "refused", errno.errorcode.get(error.errno or 0, str(error))
    return "possible", ""


def tell_systemd() -> None:
    """The unit waits for this as for the daemon's."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
            ours.connect("\0" + address[1:] if address[0] == "@" else address)
            ours.send(b"READY=1")


if __name__ == "__main__":
    tell_systemd()
    known = json.loads(FACTS.read_text())
    sys.stdout.write(json.dumps({probe.name: tried(probe, known) for probe in PROBES}) + "\n")
