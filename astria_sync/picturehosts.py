"""Which hosts pictures may be fetched from: over https and at public addresses, checked on the address connected to.

An address in a list of Astria's is only text. A name in it may lead to this machine's router or a neighbour's disk, and may lead
elsewhere at the second look than at the first; so what is checked is the connection itself, before a byte is sent over it.
"""

import ipaddress
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class HostRefusedError(Exception):
    """Pictures are not fetched from there."""


@dataclass(frozen=True, slots=True)
class PictureHosts:
    """The rule. `local`: Astria itself is a stand-in on this machine, so its pictures are too, over http."""

    local: bool
    proxied: bool = False  # a proxy connects for us, and what it may reach is its own business

    def check_url(self, url: str) -> None:
        """Raise HostRefusedError for an address that is not even to be tried."""
        parts = urlsplit(url)
        if parts.scheme not in ({"https", "http"} if self.local else {"https"}):
            raise HostRefusedError(f"its address is not https ({parts.scheme}://{parts.hostname})")
        if not self.local:
            _check_address(parts.hostname or "")

    def on_trace(self, event: str, info: Mapping[str, Any]) -> None:
        """A connection was made (httpcore's trace). Closed at once if it leads where it must not."""
        if event != "connection.connect_tcp.complete" or self.local or self.proxied:
            return
        stream = info["return_value"]
        address = stream.get_extra_info("server_addr")
        try:
            _check_address(address[0] if address else "")
        except HostRefusedError:
            stream.close()
            raise


def from_environment(*, local: bool) -> PictureHosts:
    """The rule, with regard to proxies that httpx will use."""
    proxies = urllib.request.getproxies()  # with `no` among them if only NO_PROXY is set
    return PictureHosts(local=local, proxied=any(proxies.get(kind) for kind in ("http", "https", "all")))


def _check_address(host: str) -> None:
    """A literal address must be one that everybody can reach; a name is for the connection to tell."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        raise HostRefusedError(f"its host leads to an address that is not public ({host})")
