"""The one interface of this room: sockets for mirrors, that nobody shares.

Guarantees of every platform's, proven by `tests/contract/test_host_sockets.py`:

- a port that is bound here is ours alone: whoever binds the same place has EADDRINUSE, whatever
  options they set, and so have we where somebody else was first;
- IPv6 sockets are v6-only, so each family is bound, and fails, by itself;
- a TCP port may be bound again at once though connections of its predecessor linger, but on
  Windows, where it is in use until they have gone;
- nothing waits: sockets do not block.

A *guarded* door is wider than it was asked to be, since the system gives no narrower one: whoever
has it turns away all peers but `is_local` ones, TCP clients and each datagram.
"""

from __future__ import annotations

import abc
import logging
import socket
from ipaddress import ip_address
from typing import Final, NamedTuple

from desktop.datagrams.addresses import family_of, socket_address

__all__ = ["Door", "HostSockets", "is_local"]

BUFFER_BYTES: Final = (4 << 20, 1 << 20, 256 << 10)
"""Asked for, each way, per UDP socket; where a system refuses, the next. macOS refuses more than it
allows (kern.ipc.maxsockbuf), Linux gives what it allows (socket(7))."""

log = logging.getLogger(__name__)


class Door(NamedTuple):
    """A bound socket; a TCP one listens. `is_guarded`: see the module."""

    sock: socket.socket
    is_guarded: bool = False


class HostSockets(abc.ABC):
    """Makes sockets. All methods raise OSError.

    Attributes:
        claim: the option with which nobody binds what a socket has, 0 where that is so by itself.
    """

    claim: int = 0

    @abc.abstractmethod
    def listen(self, address: str, port: int) -> Door:
        """Listen on TCP."""

    def bind_datagrams(self, address: str, port: int) -> Door:
        """Bind UDP. The address may have a zone (fe80::1%eth0)."""
        sock = self.datagram(family_of(address))
        try:
            sock.bind(socket_address(address, port))
        except OSError:
            sock.close()
            raise
        return Door(sock)

    def datagram(self, family: socket.AddressFamily) -> socket.socket:
        """A UDP socket that is not bound yet."""
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if self.claim:
                sock.setsockopt(socket.SOL_SOCKET, self.claim, 1)
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                _ask_for_room(sock, option)
        except OSError:
            sock.close()
            raise
        return sock

    def unshare(self, sock: socket.socket) -> None:
        """Take back that a UDP port may be shared, which libuv asks for in `uv_udp_open`."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)


def is_local(address: str) -> bool:
    """True for the address of a peer that is this computer itself, by loopback."""
    return ip_address(address.partition("%")[0]).is_loopback


def _ask_for_room(sock: socket.socket, option: int) -> None:
    for size in BUFFER_BYTES:
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
        except OSError as error:
            log.debug("no socket buffer of %d bytes: %s", size, error)
        else:
            return
