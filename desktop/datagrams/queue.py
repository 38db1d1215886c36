"""Datagrams that were received and wait for their turn: bounded, the oldest make room.

Rules: pure. A new datagram is always taken: what is old by the time somebody looks is worth less
than what has just come. Counterpart: `endpoint.py`.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

__all__ = ["MOST_BYTES", "MOST_DATAGRAMS", "Address", "Datagram", "DatagramQueue"]

MOST_DATAGRAMS: Final = 4096
MOST_BYTES: Final = 4 << 20
"""What may wait for one socket, whichever is reached first."""

Address = tuple[str | int, ...]
"""A socket address: (address, port), or (address, port, flow, scope) for IPv6."""


class Datagram(NamedTuple):
    """One datagram, whole, and where it came from."""

    payload: bytes
    sender: Address


class DatagramQueue:
    """See the module.

    Attributes:
        dropped: datagrams that had to make room so far.
    """

    def __init__(self) -> None:
        self._waiting: deque[Datagram] = deque()
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, datagram: Datagram) -> None:
        """Take a datagram in."""
        self._waiting.append(datagram)
        self._bytes += len(datagram.payload)
        while len(self._waiting) > MOST_DATAGRAMS or self._bytes > MOST_BYTES:
            self._bytes -= len(self._waiting.popleft().payload)
            self.dropped += 1

    def take_all(self) -> list[Datagram]:
        """What waits, the oldest first; nothing waits then."""
        taken = list(self._waiting)
        self.clear()
        return taken

    def clear(self) -> None:
        """Forget what waits. It is not counted as dropped: nobody wants it any more."""
        self._waiting.clear()
        self._bytes = 0
