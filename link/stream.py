"""A stream that knows where it belongs between its flows.

Rules: made of a socket to the other end once that is authenticated. Counterparts: `pool.py` and
`opening.py` are its homes; a relay sends it there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["Stream", "may_be_raw"]


class Stream(socket.socket):
    """See the module. Made by `of`.

    Attributes:
        home: takes it after a flow that leaves it whole; without one it is closed.
        may_be_raw: a reset crosses it as one, so frames may be given up for bulk. Where what lies
            between turns a reset into end-of-file (a tunnel of SSH does), both ends keep frames.
    """

    __slots__ = ("home", "may_be_raw")
    home: Callable[[Stream], None] | None
    may_be_raw: bool

    @classmethod
    def of(cls, sock: socket.socket, *, may_be_raw: bool = True) -> Stream:
        """The same connection, non-blocking; `sock` has it no more."""
        family, kind, protocol = sock.family, sock.type, sock.proto
        stream = cls(family, kind, protocol, sock.detach())
        stream.settimeout(0)
        stream.home = None
        stream.may_be_raw = may_be_raw
        return stream


def may_be_raw(sock: socket.socket) -> bool:
    """See `Stream.may_be_raw`; True of any other socket."""
    return not isinstance(sock, Stream) or sock.may_be_raw
