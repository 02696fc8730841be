"""Stop the one thread of a process that turns its loop, until the process has ended: `python3 hang.py PID`. Run as root.

Signals stop all threads, and then none could lie to the watchdog. A debugger can stop one.
"""

import ctypes
import os
import sys
from typing import Final

PTRACE_SEIZE: Final = 0x4206
PTRACE_INTERRUPT: Final = 0x4207
ALL: Final = 0x40000000  # __WALL


def ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, None) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main_thread = int(sys.argv[1])
    ptrace(PTRACE_SEIZE, main_thread)
    ptrace(PTRACE_INTERRUPT, main_thread)
    print("stopped", flush=True)
    while os.WIFSTOPPED(os.waitpid(main_thread, ALL)[1]):
        pass  # it stays where it is; only its end is awaited, which nobody else hears of before us
