"""Which hosts pictures may be fetched from: over https and at public addresses, checked on the address connected to.

An address in a list of Astria's is only text. A name in it may lead to this machine's router or a neighbour's disk, and may lead
elsewhere at the second look than at the first; so what is checked is the connection itself, before a byte is sent over it.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.request import getproxies

from astria_sync.addresses import Address, literal

# All that IPv6 has given out to the public (RFC 4291 §2.4), without what in it is for examples and tunnels.
_PUBLIC6: Final = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC6: Final = [ipaddress.ip_network(one) for one in ("2001::/23", "2001:db8::/32", "3fff::/20")]
# Addresses of IPv4 in those of IPv6: so a network without IPv4 reaches all of it.
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class HostRefusedError(Exception):
    """Pictures are not fetched from there."""


@dataclass(frozen=True, slots=True)
class PictureHosts:
    """The rule. `local`: Astria itself is a stand-in on this machine, so its pictures may be too, over http."""

    local: bool

    def guard(self, *, scheme: str, host: str, userinfo: bool = False) -> "Guard":
        """What watches the connection for one address; raises HostRefusedError if it is not even to be tried."""
        if scheme not in ({"https", "http"} if self.local else {"https"}):
            raise HostRefusedError(f"its address is not https ({scheme}://{host})")
        if userinfo:
            raise HostRefusedError(f"its address has a user's name in it, at {host}")
        guard = Guard(host=host, plain=scheme == "http", local=self.local)
        if (address := literal(host)) is not None:
            guard.check(address)
        return guard


@dataclass(slots=True)
class Guard:
    """Hears of the connection that one request makes (httpcore's trace), and closes one that leads where it must not."""

    host: str
    plain: bool  # over http
    local: bool
    _to: str = field(default="", init=False)

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """A proxy connects for us, and what it may reach is its own business."""
        if event == "connection.connect_tcp.started":
            self._to = info["host"]
        if event != "connection.connect_tcp.complete" or self._to != self.host:
            return
        stream = info["return_value"]
        try:
            self.check(_peer(stream))
        except HostRefusedError:
            stream.close()
            raise

    def check(self, address: Address) -> None:
        """Public over https; this machine, if Astria itself is there, over http too."""
        real = _mapped(address)
        if self.local and real.is_loopback:
            return
        if self.plain:
            raise HostRefusedError(f"its address is not https (http://{self.host})")
        if not _is_public(real):
            raise HostRefusedError(
                f"its host leads to an address that is not public ({self.host}: {address})"
            )


def _peer(stream: Any) -> Address:
    try:
        found = stream.get_extra_info("server_addr")
        return ipaddress.ip_address(found[0].partition("%")[0])
    except (OSError, TypeError, ValueError):
        raise HostRefusedError("the connection ended at once") from None


def _mapped(address: Address) -> Address:
    """As systems write an address of IPv4 that is used through IPv6."""
    return getattr(address, "ipv4_mapped", None) or address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        address = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    address = getattr(address, "sixtofour", None) or address
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    return address in _PUBLIC6 and not any(address in network for network in _NOT_PUBLIC6)


def proxied() -> bool:
    """Whether the environment names a proxy, for anything at all."""
    found = getproxies()
    return any(found.get(scheme) for scheme in ("http", "https", "all"))
