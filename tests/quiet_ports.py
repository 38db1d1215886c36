"""Ports of this computer on which nothing listens, on any system.

Limits: each port is tried four times; for thousands in a row see `integration/samehost.py`, which
asks Linux for all that there are.
"""

from __future__ import annotations

import contextlib
import random
import socket
from typing import Final

__all__ = ["quiet_ports"]

AMONG: Final = range(10000, 32768)
"""Below those that any system gives to clients: Linux from 32768 on, the others from 49152 on."""

_ENDS: Final = (
    (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0"),
    (socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0"),
    (socket.AF_INET6, socket.SOCK_STREAM, "::"),
    (socket.AF_INET6, socket.SOCK_DGRAM, "::"),
)


def quiet_ports(count: int) -> int:
    """The first of `count` ports in a row, at random: tests that run at once do not meet."""
    while True:
        first = random.randrange(AMONG.start, AMONG.stop - count)
        if all(_is_quiet(port) for port in range(first, first + count)):
            return first


def _is_quiet(port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for family, kind, address in _ENDS:
            sock = stack.enter_context(socket.socket(family, kind))
            try:
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address, port))
            except OSError:
                return False
    return True
