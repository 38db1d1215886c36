"""A stream that knows where it belongs between its flows, and what was read of the next.

Rules: made of a socket to the other end once that is authenticated. Counterparts: `pool.py` and
`opening.py` are its homes; a relay sends it there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

__all__ = ["READ_AHEAD", "Stream", "may_be_raw", "may_come_home", "take_early"]

READ_AHEAD: Final = 4096
"""Bytes that may be read with an opening: a question mostly comes in the same packet."""


class Stream(socket.socket):
    """See the module. Made by `of`.

    Attributes:
        home: takes it after a flow that leaves it whole; without one it is closed.
        is_wanted: asked before the other end is told that it is whole; without it, it is wanted.
            Only then can it be given up by the end that waits for openings: one who was told may
            open the next flow at once.
        may_be_raw: a reset crosses it as one, so frames may be given up for bulk. Where what lies
            between turns a reset into end-of-file (a tunnel of SSH does), both ends keep frames.
        early: what was read with the opening, if anybody read ahead.
    """

    __slots__ = ("early", "home", "is_wanted", "may_be_raw")
    early: bytes | None
    home: Callable[[Stream], None] | None
    is_wanted: Callable[[], bool] | None
    may_be_raw: bool

    @classmethod
    def of(cls, sock: socket.socket, *, may_be_raw: bool = True) -> Stream:
        """The same connection, non-blocking; `sock` has it no more."""
        family, kind, protocol = sock.family, sock.type, sock.proto
        stream = cls(family, kind, protocol, sock.detach())
        stream.settimeout(0)
        stream.home = stream.early = stream.is_wanted = None
        stream.may_be_raw = may_be_raw
        return stream


def may_be_raw(sock: socket.socket) -> bool:
    """See `Stream.may_be_raw`; True of any other socket."""
    return not isinstance(sock, Stream) or sock.may_be_raw


def may_come_home(sock: socket.socket) -> bool:
    """True if somebody wants it after its flow. Never of another socket than a Stream."""
    if not isinstance(sock, Stream) or sock.home is None:
        return False
    return sock.is_wanted is None or sock.is_wanted()


def take_early(sock: socket.socket) -> tuple[bytes, bool]:
    """What was read with the opening, for whoever goes on; True if that left nothing behind."""
    early = sock.early if isinstance(sock, Stream) else None
    if early is None:
        return b"", False
    sock.early = None  # type: ignore[attr-defined]
    return early, len(early) < READ_AHEAD
