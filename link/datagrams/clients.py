"""Who sent a datagram, and to which of our addresses: from and to the kernel's own bytes.

    key     IPv4: family, port, address (the first 8 bytes of sockaddr_in) | our address (4)
            IPv6: sockaddr_in6 (28 bytes) | our address (16)

Rules: pure. Layouts are those of linux/in.h, linux/in6.h and cmsg(3), with the machine's word
size. For a datagram that came by broadcast, "our address" is the one the kernel would answer
from (ip(7), ipi_spec_dst); for IPv6 multicast there is none, and the kernel chooses.

Counterpart: `linux.py`.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, Union

from link.datagrams.kernel import (
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_PKTINFO,
    NAME_SIZE,
    SOL_UDP,
    UDP_GRO,
)
from link.datagrams.sockets import Peer

__all__ = ["Address", "Client", "Control", "Layout", "local_address", "merged_segment"]

Address = Union[tuple[str, int], tuple[str, int, int, int]]
Control = list[tuple[int, int, bytes]]

_HEADER: Final = struct.Struct("@Nii")
"""struct cmsghdr: length with this header, level, type (cmsg(3))."""
_WORD: Final = struct.calcsize("@N")
_INT: Final = struct.Struct("=i")
_NAME4: Final = struct.Struct("!2xH4s")
_NAME6: Final = struct.Struct("!2xH4x16s")
"""sockaddr_in and sockaddr_in6: port, address. The scope follows in the machine's byte order."""
_SCOPE: Final = struct.Struct("=24xI")


class Client(Peer):
    """A client's address, and what makes a reply leave from the address it spoke to."""

    __slots__ = ("address", "control", "local")

    def __init__(self, address: Address, local: str, control: Control) -> None:
        self.address = address
        self.local = local
        self.control = control


class Layout:
    """Where things are in the name and control bytes of one address family."""

    def __init__(self, family: int) -> None:
        self.is_ipv4 = family == socket.AF_INET
        self.name_size = 8 if self.is_ipv4 else NAME_SIZE
        self.address_size = 4 if self.is_ipv4 else 16
        # in_pktinfo: interface, our address, the datagram's; in6_pktinfo: address, interface
        self.address_at = _HEADER.size + (4 if self.is_ipv4 else 0)
        self.plain_size = _HEADER.size + _aligned(12 if self.is_ipv4 else 20)

    def key(self, names: bytearray, controls: bytearray, index: int, control_size: int) -> bytes:
        """The key of message `index` of a batch."""
        name = index * NAME_SIZE
        # Other control messages, such as the merged size, come before this one.
        at = index * CONTROL_SIZE + control_size - self.plain_size + self.address_at
        return bytes(names[name : name + self.name_size] + controls[at : at + self.address_size])

    def client(self, key: bytes) -> Client:
        """The client that a key stands for."""
        local = key[self.name_size :]
        if self.is_ipv4:
            port, packed = _NAME4.unpack_from(key)
            info = struct.pack("=I4s4x", 0, local)
            control = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
            text = socket.inet_ntop(socket.AF_INET, local)
            return Client((socket.inet_ntop(socket.AF_INET, packed), port), text, control)
        port, packed = _NAME6.unpack_from(key)
        (scope,) = _SCOPE.unpack_from(key)
        control = []
        if local[0] != _MULTICAST:
            control = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, local + bytes(4))]
        address = (socket.inet_ntop(socket.AF_INET6, packed), port, 0, scope)
        return Client(address, socket.inet_ntop(socket.AF_INET6, local), control)


def local_address(key: bytes) -> bytes:
    """The packed address of ours that the client of a key spoke to."""
    return key[-4:] if len(key) < NAME_SIZE else key[NAME_SIZE:]


_MULTICAST: Final = 0xFF
"""First byte of an IPv6 multicast address (RFC 4291, 2.7)."""


def _aligned(size: int) -> int:
    return -(-size // _WORD) * _WORD


def merged_segment(controls: bytearray, index: int) -> int:
    """The size of the datagrams that the kernel merged into message `index`; 0 if it did not."""
    at = index * CONTROL_SIZE
    _length, level, kind = _HEADER.unpack_from(controls, at)
    if (level, kind) != (SOL_UDP, UDP_GRO):
        return 0
    return int(_INT.unpack_from(controls, at + _HEADER.size)[0])
