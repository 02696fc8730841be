"""Ports that wait for a server."""

import socket
import struct

import pytest

from tests.ports import kept_ports


def test_a_kept_port_is_for_whoever_names_it():
    """It refuses until a server names it, and nobody who asks for any port at all gets it meanwhile."""
    with kept_ports(2) as ports:
        assert len(set(ports)) == 2
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)):
                socket.create_connection(("127.0.0.1", port)).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))


def only(port: int) -> socket.socket:
    """A socket for which this port is the only one that the kernel may choose (ip(7), IP_LOCAL_PORT_RANGE, Linux 6.3)."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.setsockopt(socket.IPPROTO_IP, 51, struct.pack("=2H", port, port))
    except OSError:
        one.close()
        pytest.skip("this kernel does not know IP_LOCAL_PORT_RANGE")
    return one


def test_nobody_else_is_given_a_kept_port():
    """Neither a server that asks for any port, nor a connection that needs one at its own end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with kept_ports(1) as [port]:
            with only(port) as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", 0))
            with only(port) as other, pytest.raises(OSError, match="Cannot assign"):
                other.connect(server.getsockname())
        with only(port) as other:
            other.bind(("127.0.0.1", 0))
            assert other.getsockname()[1] == port
