"""Sockets that take only what comes by `lo`, whatever the machine's network is told to let in.

An engine may have told the kernel that packets for 127.0.0.1 are welcome from bridges
(ip-sysctl, route_localnet): a bridged container could reach what listens on loopback.

Limits: before Linux 5.7 it takes CAP_NET_RAW (`vmagent.capabilities`); an agent without goes
without. Counterparts: `stubs`, `shared_datagrams`, `redirect`.
"""

from __future__ import annotations

import functools
import logging
import socket
from typing import Final

from link.acceptor import listen_tcp
from link.datagrams.linux import Option
from link.relay.relay import linger_not

__all__ = ["BY_LOOPBACK", "LOOPBACK", "by_loopback", "listen_by_loopback"]

LOOPBACK: Final = "lo"
BY_LOOPBACK: Final[Option] = (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, LOOPBACK.encode() + b"\0")
"""As an option of sockets (socket(7))."""

_log = logging.getLogger(__name__)


@functools.cache
def by_loopback() -> tuple[Option, ...]:
    """The options of such a socket; none where the system does not allow it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(*BY_LOOPBACK)
        except PermissionError as error:
            _log.warning("the desktop's ports cannot be kept to `lo`: %s", error)
            return ()
    return (BY_LOOPBACK,)


def listen_by_loopback(address: str, port: int) -> socket.socket:
    """A TCP listener that takes only what comes by `lo`, where that can be had. Raises OSError."""
    sock = listen_tcp(address, port, device=LOOPBACK if by_loopback() else "")
    linger_not(sock)
    return sock
