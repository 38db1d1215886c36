"""The addresses of this computer, each of which a portable wildcard mirror has a socket for.

Rules: asks the system anew each time, without waiting. Counterpart: `portable.py`.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import cast

import psutil

from desktop.datagrams.queue import Address

__all__ = ["family_of", "is_loopback", "local_addresses", "socket_address"]


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6. Raises ValueError for what is no address."""
    return socket.AF_INET if ip_address(address).version == 4 else socket.AF_INET6


def is_loopback(address: str) -> bool:
    """True for an address that only this computer reaches."""
    return ip_address(address).is_loopback


def local_addresses(family: socket.AddressFamily) -> list[str]:
    """All addresses of one family, loopback first, with their zone (fe80::1%eth0, RFC 4007).

    Raises OSError.
    """
    found = {
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == family
    }
    return sorted(found, key=lambda address: (not is_loopback(address), address))


def socket_address(address: str, port: int) -> Address:
    """The form that sockets take, in which IPv6 has its zone as a number. Raises OSError."""
    found = socket.getaddrinfo(
        address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    )
    return cast("Address", found[0][4])
