"""The one interface of this room: join a socket and a stream into a flow.

    client ─▶ forward ══ stream ══▶ serve ─▶ server        frames in the stream: `frames.py`

Guarantees of every relay, proven by `tests/contract/test_relays.py`:

- bytes arrive whole and in order; end-of-file is carried one way at a time (half-close);
- a reset on one side is a reset on the other, after what was read before it was delivered
  (bounded by `RESET_FLUSH_SECONDS`); a dial that fails is a reset for the other side;
- a reader that does not read costs bounded memory and holds up nobody else;
- a process that is killed resets what it had not said the end of: the kernel closes its sockets,
  and without a lingering time of 0 that would be end-of-file, as if the other side had finished;
- the end of a flow is told exactly once, with its sockets closed by then, but for a `Stream`
  that is whole and has a home: that goes there, and carries another flow.
"""

from __future__ import annotations

import abc
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from typing import Final

from link.dial import SocketsAhead
from link.readiness import Readiness
from link.stream import may_be_raw

__all__ = [
    "LINGER_FOR_THE_REST",
    "LINGER_NOW",
    "RESET_FLUSH_SECONDS",
    "Flow",
    "Relay",
    "StreamGoneError",
    "end_in_order",
    "linger_not",
    "reset_socket",
]

RESET_FLUSH_SECONDS: Final = 1.0
"""How long bytes read before a reset may still take to be delivered before the reset follows."""

LINGER_FORM: Final = "ii" if os.name == "posix" else "hh"
"""struct linger: two int (socket(7)); on Windows two u_short (winsock2.h)."""
LINGER_NOW: Final = struct.pack(LINGER_FORM, 1, 0)
"""On, 0 s: close() sends a reset instead of end-of-file (socket(7), tcp(7))."""
LINGER_FOR_THE_REST: Final = struct.pack(LINGER_FORM, 0, 0)
"""Off: close() sends end-of-file, after what the kernel still has."""


class StreamGoneError(Exception):
    """The stream had ended before a flow could begin: the client waits for another.

    `early` has been read from the client meanwhile.
    """

    def __init__(self, early: bytes) -> None:
        super().__init__("the stream ended while it was idle")
        self.early = early


def linger_not(sock: socket.socket) -> None:
    """Let closing the socket be a reset for its peer, even if the kernel closes it.

    A listener hands that on to what it accepts (Linux, BSD, Windows). Not of a stream that may not
    be RAW: there it would be end-of-file like any other, and could overtake what was said before.
    """
    if may_be_raw(sock):
        with contextlib.suppress(OSError, TypeError):  # of vsock Python sets numbers only
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOW)


def end_in_order(sock: socket.socket) -> None:
    """Let closing the socket be end-of-file: its peer is told all there is, and that it is all."""
    with contextlib.suppress(OSError, TypeError):  # it is gone; of vsock, as above
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_FOR_THE_REST)


def reset_socket(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset, or a stream that breaks off."""
    linger_not(sock)
    sock.close()


class Flow(abc.ABC):
    """A live flow between `first` and `second`. Counts are of bytes read so far."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def from_first(self) -> int:
        """Bytes read from `first`."""

    @property
    @abc.abstractmethod
    def from_second(self) -> int:
        """Bytes read from `second`."""

    @abc.abstractmethod
    def abort(self) -> None:
        """Reset both sides now. A flow that has ended is left alone."""


class Relay(abc.ABC):
    """Owns flows. Belongs to the event loop it was made in.

    Attributes:
        readiness: what watches its sockets; streams that are not in a flow, too.
        before_words: called, if it can be, before what a program of this side has said goes into
            a stream, if that is little; must not raise.
        ahead: dials the servers of flows; closed with the relay.
    """

    name: str
    readiness: Readiness
    before_words: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.ahead = SocketsAhead()

    @abc.abstractmethod
    def forward(
        self,
        client: socket.socket,
        stream: socket.socket,
        opening: bytes,
        on_end: Callable[[Flow], None],
        early: bytes = b"",
    ) -> Flow:
        """Say `opening` on an idle stream and make a flow of `client` (first) and it (second).

        Both are non-blocking, and `client` does not linger (`linger_not`). `early` was read from
        the client before. The relay owns both from now on, even if this raises OSError. Raises
        StreamGoneError: the client is the caller's again, and the stream is closed.
        """

    @abc.abstractmethod
    def serve(
        self, stream: socket.socket, server: socket.socket, on_end: Callable[[Flow], None]
    ) -> Flow:
        """Make a flow of an opened stream (first) and `server` (second), which may be connecting.

        `server` does not linger (`linger_not`). `readiness` may watch the stream already, for
        whoever had it. The relay owns both from now on, even if this raises OSError.
        """

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """Flows open now."""

    @abc.abstractmethod
    async def aclose(self) -> None:
        """Reset every flow and free what the relay holds. May be called twice."""
