"""Who sent a datagram, and to which of our addresses: from and to the kernel's own bytes.

    key     IPv4: family, port, address (the first 8 bytes of sockaddr_in) | our address (4)
            IPv6: sockaddr_in6 (28 bytes) | our address (16)
            without our address where the socket has but one

Rules: pure. Layouts are those of linux/in.h, linux/in6.h and cmsg(3), with the machine's word
size. For a datagram that came by broadcast, "our address" is the one the kernel would answer
from (ip(7), ipi_spec_dst); for IPv6 multicast there is none, and the kernel chooses.

Counterpart: `linux.py`.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, Union, cast

from link.datagrams.kernel import (
    CONTROL_SIZE,
    IP_PKTINFO,
    IPV6_PKTINFO,
    NAME_SIZE,
    SOL_UDP,
    UDP_GRO,
)
from link.datagrams.sockets import Peer

__all__ = [
    "Address",
    "Client",
    "Control",
    "Layout",
    "leave_from",
    "local_address",
    "merged_segment",
    "told_segment",
]

Address = Union[tuple[str, int], tuple[str, int, int, int]]
Control = list[tuple[int, int, bytes]]

_HEADER: Final = struct.Struct("@Nii")
"""struct cmsghdr: length with this header, level, type (cmsg(3))."""
_WORD: Final = struct.calcsize("@N")
_INT: Final = struct.Struct("=i")
_UNSIGNED: Final = struct.Struct("=I")
_FAMILY: Final = struct.Struct("=H")
_END4: Final = struct.Struct("!H4s")
_END6: Final = struct.Struct("!HI16s")
"""What follows the family: port, for IPv6 the flow label, address."""
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
    """Where things are in the name and control bytes of one address family.

    `bound` is the address that the socket is bound to. One that is bound to all ("") is told with
    each message which address it came to; for another that is no question, and replies leave from
    there by themselves.
    """

    def __init__(self, family: int, bound: str = "") -> None:
        self.is_ipv4 = family == socket.AF_INET
        self.bound = bound
        self.name_size = 8 if self.is_ipv4 else NAME_SIZE
        # in_pktinfo: interface, our address, the datagram's; in6_pktinfo: address, interface
        self.address_at = _HEADER.size + (4 if self.is_ipv4 else 0)
        self.address_size = 0 if bound else 4 if self.is_ipv4 else 16
        self.plain_size = 0 if bound else _HEADER.size + _aligned(12 if self.is_ipv4 else 20)
        rest = CONTROL_SIZE - self.address_at - self.address_size
        self._names = struct.Struct(f"{self.name_size}s{NAME_SIZE - self.name_size}x")
        self._locals = struct.Struct(f"{self.address_at}x{self.address_size}s{rest}x")

    def key(self, names: bytearray, controls: bytearray, index: int, control_size: int) -> bytes:
        """The key of message `index` of a batch."""
        name = index * NAME_SIZE
        if self.bound:
            return bytes(names[name : name + self.name_size])
        # Other control messages, such as the merged size, come before this one.
        at = index * CONTROL_SIZE + control_size - self.plain_size + self.address_at
        return bytes(names[name : name + self.name_size] + controls[at : at + self.address_size])

    def keys(self, names: bytearray, controls: bytearray, count: int) -> list[bytes]:
        """`key` of each of the first messages, none of which is merged."""
        keys = [key for (key,) in self._names.iter_unpack(names[: count * NAME_SIZE])]
        if self.bound:
            return keys
        locals_ = self._locals.iter_unpack(controls[: count * CONTROL_SIZE])
        return [key + local for key, (local,) in zip(keys, locals_)]

    def key_of(self, name: Address, controls: Control) -> bytes:
        """The same key, of what Python's recvmsg tells of a message."""
        family = socket.AF_INET if self.is_ipv4 else socket.AF_INET6
        packed = socket.inet_pton(family, name[0])
        if self.is_ipv4:
            key = _FAMILY.pack(family) + _END4.pack(name[1], packed)
        else:
            _, port, label, scope = cast("tuple[str, int, int, int]", name)
            key = _FAMILY.pack(family) + _END6.pack(port, label, packed) + _UNSIGNED.pack(scope)
        at = self.address_at - _HEADER.size
        for _level, kind, data in () if self.bound else controls:
            if kind in (IP_PKTINFO, IPV6_PKTINFO):
                key += data[at : at + self.address_size]
        return key

    def repeats(self, names: bytearray, controls: bytearray, count: int) -> bool:
        """True if the first `count` messages are of one client; none of them is merged."""
        if not _repeats(names, NAME_SIZE, count):
            return False
        return bool(self.bound) or _repeats(controls, CONTROL_SIZE, count)

    def client(self, key: bytes) -> Client:
        """The client that a key stands for."""
        address: Address
        if self.is_ipv4:
            port, packed = _NAME4.unpack_from(key)
            address = (socket.inet_ntop(socket.AF_INET, packed), port)
        else:
            port, packed = _NAME6.unpack_from(key)
            (scope,) = _SCOPE.unpack_from(key)
            address = (socket.inet_ntop(socket.AF_INET6, packed), port, 0, scope)
        if self.bound:
            return Client(address, self.bound, [])
        local = key[self.name_size :]
        family = socket.AF_INET if self.is_ipv4 else socket.AF_INET6
        return Client(address, socket.inet_ntop(family, local), leave_from(local))


def local_address(key: bytes) -> bytes:
    """The packed address of ours that the client of a key spoke to, on a wildcard's socket."""
    return key[-4:] if len(key) < NAME_SIZE else key[NAME_SIZE:]


def leave_from(local: bytes) -> Control:
    """What makes a datagram leave from a packed address of ours."""
    if len(local) == _IPV4_SIZE:
        return [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4x", 0, local))]
    if local[0] == _MULTICAST:
        return []
    return [(socket.IPPROTO_IPV6, IPV6_PKTINFO, local + bytes(4))]


_IPV4_SIZE: Final = 4
_MULTICAST: Final = 0xFF
"""First byte of an IPv6 multicast address (RFC 4291, 2.7)."""


def _repeats(rows: bytearray, width: int, count: int) -> bool:
    """True if the first `count` rows are all the same."""
    return rows[: width * count] == rows[:width] * count


def _aligned(size: int) -> int:
    return -(-size // _WORD) * _WORD


def told_segment(controls: Control) -> int:
    """`merged_segment` of the control messages that Python's recvmsg tells."""
    for level, kind, data in controls:
        if (level, kind) == (SOL_UDP, UDP_GRO):
            return int(_INT.unpack_from(data)[0])
    return 0


def merged_segment(controls: bytearray, index: int) -> int:
    """The size of the datagrams that the kernel merged into message `index`; 0 if it did not."""
    at = index * CONTROL_SIZE
    _length, level, kind = _HEADER.unpack_from(controls, at)
    if (level, kind) != (SOL_UDP, UDP_GRO):
        return 0
    return int(_INT.unpack_from(controls, at + _HEADER.size)[0])
