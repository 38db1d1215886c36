"""Telling a client that nobody serves it: ICMP "port unreachable", as its own kernel expects it.

On Linux a datagram to a port without a socket is answered so, and the client's next call fails
with "connection refused" (udp(7)). A mirror has a socket, so the refusal that the real server's
side gave is passed on by hand.

Rules: building is pure. Messages are those of RFC 792 (type 3, code 3) and RFC 4443 (type 1,
code 4), with the start of the datagram that they are about: its IP header and UDP header, by
which the client's kernel finds the socket. Sending needs CAP_NET_RAW; without it `Refuser` does
nothing, and the client waits in vain, as behind many a firewall.

Counterpart: `linux.py`.
"""

from __future__ import annotations

import logging
import socket
import struct
from ipaddress import ip_address
from typing import Final

from link.datagrams.clients import Client, leave_from

__all__ = ["IPV6_FREEBIND", "Refuser", "refusal"]

_HEADER: Final = struct.Struct("!BBH4x")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_UDP: Final = struct.Struct("!HHHH")
_UNREACHABLE4: Final = (3, 3)
_UNREACHABLE6: Final = (1, 4)
_HOPS: Final = 64

IPV6_FREEBIND: Final = 78
"""linux/in6.h; lets what is sent leave from an address that is local by a route only, as those of
redirected IPv6 are."""

log = logging.getLogger(__name__)


def refusal(client: tuple[str, int], local: tuple[str, int]) -> bytes:
    """The ICMP message for a client whose datagram to `local` nobody took.

    For IPv6 the kernel fills the checksum in (raw(7), RFC 3542, 3.1).
    """
    source, target = ip_address(client[0]), ip_address(local[0])
    udp = _UDP.pack(client[1], local[1], _UDP.size, 0)
    if source.version == 4:
        size = _IPV4.size + _UDP.size
        about = _IPV4.pack(
            0x45, 0, size, 0, 0, _HOPS, socket.IPPROTO_UDP, 0, source.packed, target.packed
        )
        body = about + udp
        checksum = _checksum(_HEADER.pack(*_UNREACHABLE4, 0) + body)
        return _HEADER.pack(*_UNREACHABLE4, checksum) + body
    about = _IPV6.pack(6 << 28, _UDP.size, socket.IPPROTO_UDP, _HOPS, source.packed, target.packed)
    return _HEADER.pack(*_UNREACHABLE6, 0) + about + udp


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Refuser:
    """Sends refusals, where that is allowed. One raw socket per family, made when first needed."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket | None] = {}

    def refuse(self, client: Client, port: int) -> None:
        """Tell `client` that nobody is at our `port`."""
        family = socket.AF_INET if len(client.address) == 2 else socket.AF_INET6
        sock = self._socket(family)
        if sock is None:
            return
        message = refusal(client.address[:2], (client.local, port))
        address = (client.address[0], 0, *client.address[2:])
        control = leave_from(ip_address(client.local).packed)
        try:
            sock.sendmsg((message,), control, socket.MSG_DONTWAIT, address)
        except OSError as error:
            log.debug("a refusal could not be sent to %s: %s", client.address[0], error)

    def close(self) -> None:
        """Close the raw sockets. May be called twice."""
        for sock in self._sockets.values():
            if sock is not None:
                sock.close()
        self._sockets.clear()

    def _socket(self, family: int) -> socket.socket | None:
        if family not in self._sockets:
            self._sockets[family] = _open(family)
        return self._sockets[family]


def _open(family: int) -> socket.socket | None:
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    try:
        sock = socket.socket(family, socket.SOCK_RAW, protocol)
    except OSError as error:
        log.info("clients cannot be told that a UDP server is not there: %s", error)
        return None
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    # It only sends; the little that its least buffer takes of what comes is never read.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    return sock
