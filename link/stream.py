"""A stream that knows where it belongs between its flows.

Rules: made of a socket to the other end once that is authenticated. Counterparts: `pool.py` and
`opening.py` are its homes; a relay sends it there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["Stream"]


class Stream(socket.socket):
    """See the module. `home` takes it after a flow that leaves it whole; without one it is closed.

    Made by `of`.
    """

    __slots__ = ("home",)
    home: Callable[[Stream], None] | None

    @classmethod
    def of(cls, sock: socket.socket) -> Stream:
        """The same connection, non-blocking; `sock` has it no more."""
        family, kind, protocol = sock.family, sock.type, sock.proto
        stream = cls(family, kind, protocol, sock.detach())
        stream.settimeout(0)
        stream.home = None
        return stream
