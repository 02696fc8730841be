"""What the name of a host says by itself, without asking anybody: an address, or this machine."""

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_this_machine(base_url: str) -> bool:
    """Whether Astria is a stand-in on this machine, over plain http."""
    parts = urlsplit(base_url)
    address = literal(parts.hostname or "")
    return parts.scheme == "http" and address is not None and address.is_loopback


def literal(host: str) -> Address | None:
    """The address that a host's name is, in any of the ways that systems read; None if it is one to be looked up."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return ipaddress.IPv4Address("127.0.0.1")
    with suppress(ValueError):
        return ipaddress.ip_address(name.strip("[]").partition("%")[0])
    import socket  # here, since `status` reads a configuration and connects to nothing

    with suppress(OSError, UnicodeError, ValueError):  # 2130706433, 0x7f.1, 0177.0.0.1
        return ipaddress.IPv4Address(socket.inet_aton(name))
    return None
