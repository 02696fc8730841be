"""A process that has imported the product and forks a child for each run: a real process without the time to import it.

Started by bench.py as `python -m tests.crashes.zygote FD`; told over that socket, one run at a time.
"""

import gc
import json
import os
import socket
import sys
import traceback
from importlib import import_module
from typing import Any

from tests.crashes import hooks, syscalls

# What a run imports late: once here instead of in every child.
_WARM = (
    "astria_sync.service",
    "astria_sync.cli.run",
    "astria_sync.cli.logs",
    "astria_sync.cli.status",
    "filelock",
    "PIL.JpegImagePlugin",
    "PIL.WebPImagePlugin",
    "encodings.idna",
    "concurrent.futures.thread",
    "httpcore._sync",
)


def main() -> None:
    """Fork as told until the socket is closed."""
    syscalls.die_with_parent()
    for module in _WARM:
        import_module(module)
    gc.collect()
    gc.freeze()  # its pages stay shared with the children
    control = socket.socket(fileno=int(sys.argv[1]))
    control.send(json.dumps({"unsupported": syscalls.unsupported()}).encode())
    while text := control.recv(1 << 16):
        if (pid := os.fork()) == 0:
            _child(json.loads(text), control)
        _, status = os.waitpid(pid, 0)
        control.send(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode())


def _child(order: dict[str, Any], control: socket.socket) -> None:
    """Become `astria-sync …`; never returns."""
    code: Any = 70
    try:
        syscalls.die_with_parent()
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(order["environ"])
        for name, value in order["settings"].items():
            module, _, attribute = name.rpartition(".")
            setattr(import_module(module), attribute, value)
        if hook := order["hook"]:
            hooks.install(**hook)
        watched = [syscalls.install()] if order["watched"] else []
        socket.send_fds(control, [json.dumps({"pid": os.getpid()}).encode()], watched)
        for fd in watched:
            os.close(fd)
        control.close()
        from astria_sync.cli import cli

        cli.main(order["argv"])
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - the child must not become a second zygote
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if order["hook"]:
            hooks.report(order["hook"]["counts"])
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    main()
