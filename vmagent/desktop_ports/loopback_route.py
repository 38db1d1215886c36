"""Makes a range of IPv6 addresses the machine's own, for a while: a route that expires by itself.

All of 127.0.0.0/8 is loopback anyway; of IPv6 it is one address. A "local" route to `lo` makes
more without giving the machine an address that programs would find (rtnetlink(7)). It serves for
EXPIRES_SECONDS, and the kernel forgets it within half a minute more (ip-sysctl, gc_interval), so
nothing is left of an agent that was killed.

Counterpart: `redirect` renews it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Final

from link.sockdiag_wire import MOST_ERRNO

__all__ = ["EXPIRES_SECONDS", "check_answer", "keep_local"]

EXPIRES_SECONDS: Final = 90

_RTM_NEWROUTE: Final = 24
_NLM_F_REQUEST: Final = 0x1
_NLM_F_ACK: Final = 0x4
_NLM_F_CREATE: Final = 0x400
_NLMSG_ERROR: Final = 2
_RT_TABLE_LOCAL: Final = 255
_RTPROT_STATIC: Final = 4
_RT_SCOPE_UNIVERSE: Final = 0
_RTN_LOCAL: Final = 2
_RTA_DST: Final = 1
_RTA_OIF: Final = 4
_RTA_PREFSRC: Final = 7
_RTA_EXPIRES: Final = 23
"""linux/netlink.h and linux/rtnetlink.h."""


_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
"""struct nlmsghdr; struct rtmsg: family, bits of destination and source, type of service, table,
protocol, scope, type, flags."""
_ATTRIBUTE: Final = struct.Struct("=HH")
_INT: Final = struct.Struct("=I")
_STATUS: Final = struct.Struct("=i")

_LOOPBACK: Final = bytes(15) + b"\1"


def keep_local(prefix: bytes, bits: int) -> None:
    """Make the addresses that begin so local, for EXPIRES_SECONDS from now. Raises OSError.

    Clients that connect there do so from ::1.
    """
    destination = prefix + bytes(16 - len(prefix))
    route = _ROUTE.pack(
        *(socket.AF_INET6, bits, 0, 0),
        *(_RT_TABLE_LOCAL, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RTN_LOCAL, 0),
    )
    body = (
        route
        + _attribute(_RTA_DST, destination)
        + _attribute(_RTA_OIF, _INT.pack(socket.if_nametoindex("lo")))
        + _attribute(_RTA_PREFSRC, _LOOPBACK)
        + _attribute(_RTA_EXPIRES, _INT.pack(EXPIRES_SECONDS))
    )
    flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE
    header = _HEADER.pack(_HEADER.size + len(body), _RTM_NEWROUTE, flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(header + body)
        check_answer(sock.recv(4096))


def check_answer(answer: bytes) -> None:
    """Read the kernel's answer to a new route. Raises OSError unless there is one now."""
    if len(answer) < _HEADER.size + _STATUS.size:
        raise OSError(errno.EBADMSG, f"no route for redirected IPv6: {len(answer)} bytes of answer")
    number = -_STATUS.unpack_from(answer, _HEADER.size)[0]
    if not 0 <= number <= MOST_ERRNO:
        raise OSError(errno.EBADMSG, f"no route for redirected IPv6: no error is {number}")
    # One that is there is renewed all the same (net/ipv6/ip6_fib.c, fib6_add_rt2node).
    if _HEADER.unpack_from(answer)[1] != _NLMSG_ERROR or number not in (0, errno.EEXIST):
        raise OSError(number, f"no route for redirected IPv6: {os.strerror(number)}")


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value
