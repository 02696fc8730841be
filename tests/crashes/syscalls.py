"""System calls of another process, each held up until it is decided what becomes of it: seccomp's user notification.

Needs no privileges, no ptrace and no compiler; what is numbered is the real call, whichever thread makes it. The process to
be watched installs the filter on itself (`install`) and hands the descriptor over; `Listener` tells of every call.
"""

import ctypes
import errno
import fcntl
import os
import platform
import select
import signal
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

_Calls = dict[str, tuple[int, str, int]]
# name → number, and where it says which file it is about: in a descriptor or a path, its first argument or its second
_X86: Final[_Calls] = {
    "write": (1, "fd", 0),
    "pwrite64": (18, "fd", 0),
    "writev": (20, "fd", 0),
    "connect": (42, "fd", 0),
    "sendto": (44, "fd", 0),
    "recvfrom": (45, "fd", 0),
    "fsync": (74, "fd", 0),
    "fdatasync": (75, "fd", 0),
    "ftruncate": (77, "fd", 0),
    "rename": (82, "path", 0),
    "mkdir": (83, "path", 0),
    "link": (86, "path", 0),
    "unlink": (87, "path", 0),
    "openat": (257, "path", 1),
    "mkdirat": (258, "path", 1),
    "unlinkat": (263, "path", 1),
    "renameat": (264, "path", 1),
    "linkat": (265, "path", 1),
    "renameat2": (316, "path", 1),
}
_ARM: Final[_Calls] = {
    "mkdirat": (34, "path", 1),
    "unlinkat": (35, "path", 1),
    "linkat": (37, "path", 1),
    "renameat": (38, "path", 1),
    "ftruncate": (46, "fd", 0),
    "openat": (56, "path", 1),
    "write": (64, "fd", 0),
    "writev": (66, "fd", 0),
    "pwrite64": (68, "fd", 0),
    "fsync": (82, "fd", 0),
    "fdatasync": (83, "fd", 0),
    "connect": (203, "fd", 0),
    "sendto": (206, "fd", 0),
    "recvfrom": (207, "fd", 0),
    "renameat2": (276, "path", 1),
}
# machine → (AUDIT_ARCH_…, the number of seccomp(2), the calls that are watched)
_MACHINES: Final = {
    "x86_64": (0xC000003E, 317, _X86),
    "aarch64": (0xC00000B7, 277, _ARM),
}
_SAME: Final = {
    "mkdirat": "mkdir",
    "unlinkat": "unlink",
    "linkat": "link",
    "renameat": "rename",
    "renameat2": "rename",
}
# An openat with none of them changes nothing.
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06


class _Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("code", ctypes.c_void_p)]


def die_with_parent() -> None:
    """Whoever started this process, if it is killed, takes it along."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def unsupported() -> str:
    """Why system calls cannot be numbered here; "" if they can. Forks: to be asked while there is one thread."""
    if platform.system() != "Linux" or platform.machine() not in _MACHINES:
        return f"seccomp is not known here ({platform.system()} on {platform.machine()})"
    if (pid := os.fork()) == 0:
        code = 255
        try:
            os.close(install())
            os.write(1, b"")  # the listener is gone, so this is refused: then all is well
        except OSError as error:
            code = 0 if error.errno == errno.ENOSYS else error.errno or 255
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return "" if code == 0 else f"seccomp's user notification cannot be had ({os.strerror(abs(code))})"


def install() -> int:
    """Have every watched call of this process, in all its threads to come, wait for the returned descriptor's reader."""
    audit, seccomp, calls = _MACHINES[platform.machine()]
    names = [name for name in calls if name != "openat"]
    end = 4 + len(names) + 2  # where "allow" stands
    code = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, end - 2, audit),
        (_LOAD, 0, 0, 0),
        *((_EQUAL, end - 3 - at, 0, calls[name][0]) for at, name in enumerate(names)),
        (_EQUAL, 0, 2, calls["openat"][0]),
        (_LOAD, 0, 0, 16 + 8 * 2),
        (_ANY_BIT, 1, 0, _WRITING),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _NOTIFY),
    ]
    raw = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = _Program(len(code), ctypes.cast(raw, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    fd = int(libc.syscall(seccomp, _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program)))
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One system call that waits."""

    id: int
    thread: int
    name: str
    path: str
    """The file that it is about, or what /proc calls the descriptor: `socket:[…]`."""


class Listener:
    """The other end of `install`'s descriptor."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        calls = _MACHINES[platform.machine()][2]
        self._by_number = {number: (name, kind, which) for name, (number, kind, which) in calls.items()}
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def next(self, timeout: float) -> Call | None:
        """The next call; None when the process is gone. TimeoutError if neither comes."""
        while True:
            events: Any = self._poll.poll(timeout * 1000)
            if not events:
                raise TimeoutError
            if not events[0][1] & select.POLLIN:
                return None
            raw = bytearray(80)
            with suppress(FileNotFoundError):  # its thread was killed meanwhile
                fcntl.ioctl(self.fd, _RECEIVE, raw)
                return self._read(raw)

    def _read(self, raw: bytearray) -> Call:
        id_, thread, _flags, number, _arch, _ip, *args = struct.unpack("=QIIiIQ6Q", raw)
        name, kind, which = self._by_number[number]
        about = _path_of(thread, args[which] & 0xFFFFFFFF) if kind == "fd" else _text(thread, args[which])
        return Call(id=id_, thread=thread, name=_SAME.get(name, name), path=about)

    def answer(self, call: Call, error: int = 0) -> None:
        """Let the call happen, or have it fail with this errno without having happened."""
        raw = struct.pack("=QqiI", call.id, 0, -error, 0 if error else _GO_ON)
        with suppress(FileNotFoundError):
            fcntl.ioctl(self.fd, _SEND, raw)

    def close(self) -> None:
        os.close(self.fd)


def _path_of(thread: int, fd: int) -> str:
    try:
        return os.readlink(f"/proc/{thread}/fd/{fd}")
    except OSError:
        return ""


def _text(thread: int, address: int) -> str:
    try:
        with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return os.fsdecode(memory.read(4096).partition(b"\0")[0])
    except OSError:
        return ""
