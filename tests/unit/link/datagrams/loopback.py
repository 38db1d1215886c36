"""Clients on loopback, and more addresses there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final

from link.datagrams.clients import Address

__all__ = ["add_address", "family_of", "speaker"]

PATIENCE: Final = 30.0
"""Seconds."""

SIOCSIFADDR: Final = 0x8916
"""netdevice(7); for IPv6 it takes a struct in6_ifreq (linux/ipv6.h)."""


def family_of(address: str) -> int:
    """The address family of a literal."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextlib.contextmanager
def speaker(address: Address, source: str = "") -> Iterator[socket.socket]:
    """A socket that speaks to `address` and hears nobody else; calls wait 10 s at most."""
    with socket.socket(family_of(address[0]), socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind((source, 0))
        sock.connect(address)
        yield sock


def add_address(address: str) -> None:
    """Give an IPv6 address to the loopback interface of this network namespace."""
    index = socket.if_nametoindex("lo")
    request = struct.pack("=16sIi", socket.inet_pton(socket.AF_INET6, address), 64, index)
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFADDR, request)
        deadline = time.monotonic() + PATIENCE
        while not _is_usable(sock, (address, 0, 0, index)):
            assert time.monotonic() < deadline, f"{address} was not usable in time"
            time.sleep(0.001)


def _is_usable(sock: socket.socket, name: Address) -> bool:
    """The kernel looks for duplicates first, in the background."""
    try:
        sock.bind(name)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return False
    return True
