"""Run in the container's network, with this machine's Python: `nsenter --net python net.py up|down|ask …`."""

import fcntl
import json
import socket
import struct
import sys
import urllib.request

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1  # linux/sockios.h, linux/if.h


def link(up: bool, name: bytes = b"lo") -> None:
    """Raise or cut the one network that there is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, GET_FLAGS, struct.pack("16sH14x", name, 0))
        (flags,) = struct.unpack_from("H", asked, 16)
        flags = flags | UP if up else flags & ~UP
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sH14x", name, flags))


def ask(method: str, url: str, given: str = "") -> object:
    """A call of the stand-in's own."""
    request = urllib.request.Request(url, method=method, data=given.encode() or None)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
        return json.load(answer)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "ask":
        sys.stdout.write(json.dumps(ask(*arguments)))
    else:
        link(what == "up")
