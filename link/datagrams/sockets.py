"""The one interface between UDP flows and a platform's sockets.

Guarantees of every implementation, proven by `tests/contract/test_datagram_sockets_*.py`:

- datagrams are whole, from empty to the largest that UDP has, and are never another flow's;
- a reply leaves from the very address that its client addressed, on a wildcard, too;
- an error that one peer causes (ICMP) ends nothing: not the socket, not another flow;
- sending never waits: what the system does not take is dropped, and `send` says so;
- call-backs come from the event loop, and views handed to them are valid during the call only.

Counterparts: `front.py` and `back.py` use it; `linux.py` is the fast implementation, the
desktop's `portable.py` the one for every platform.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Hashable, Sequence
from typing import Final, NamedTuple, Union

__all__ = [
    "LARGEST_DATAGRAM",
    "MOST_SEGMENTS",
    "Buffer",
    "ClientKey",
    "Connected",
    "DatagramSockets",
    "Listening",
    "OnTrain",
    "OnTrains",
    "Peer",
    "Train",
    "datagrams_in",
]

LARGEST_DATAGRAM: Final = 65_527
"""Bytes of payload that fit a UDP datagram: 65 535 less its header of 8 (RFC 768). IPv4 takes
20 more for its own header, so 65 507 there."""

MOST_SEGMENTS: Final = 64
"""Datagrams in one train: UDP_MAX_SEGMENTS of the kernel (linux/udp.h)."""

Buffer = Union[bytes, memoryview]
ClientKey = Hashable
"""Tells clients of a Listening socket apart: their address, and the address they spoke to."""


def datagrams_in(size: int, segment: int) -> int:
    """How many datagrams of `segment` bytes make `size`; the last may be shorter."""
    return -(-size // segment) if segment else 1


class Train(NamedTuple):
    """A run of datagrams from one client.

    Attributes:
        key: whose they are; None on a Connected socket, which has one peer only.
        parts: the bytes, in pieces that need not be datagrams.
        size: bytes in all.
        segment: bytes of each datagram; the last may be shorter. 0 for one empty datagram.
    """

    key: ClientKey
    parts: Sequence[Buffer]
    size: int
    segment: int

    @property
    def datagrams(self) -> int:
        """How many datagrams."""
        return datagrams_in(self.size, self.segment)


OnTrains = Callable[[Sequence[Train]], None]
"""Told what one look at a socket found, in the order of arrival."""
OnTrain = Callable[[ClientKey, Sequence[Buffer], int, int], None]
"""Told of one train, by what would be its attributes."""


class Peer:
    """A client as `Listening.send` wants it; cheap to keep for the life of a flow."""

    __slots__ = ()


class Listening(abc.ABC):
    """An unconnected socket on a mirror's address and port."""

    inodes: frozenset[int]
    """The sockets it is made of, so that nobody mirrors them; empty where there are none."""
    is_guarded: bool = False
    """It is bound more widely than asked for, and lets in this computer only."""
    on_lone: OnTrain | None = None
    """If set, an implementation may tell this of a train that a look found alone."""

    @property
    @abc.abstractmethod
    def dropped(self) -> int:
        """Datagrams that came and were lost, since nobody took them in time."""

    @abc.abstractmethod
    def peer(self, key: ClientKey) -> Peer:
        """The client of a key that `OnTrains` told."""

    @abc.abstractmethod
    def send(self, peer: Peer, payload: memoryview, segment: int) -> int:
        """Send datagrams to a client, from the address it spoke to; the number not sent."""

    @abc.abstractmethod
    def refuse(self, peer: Peer) -> None:
        """Tell a client that nobody serves it (ICMP port unreachable), where that is allowed."""

    @abc.abstractmethod
    def drain(self) -> None:
        """Hand on, now, what has arrived."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free the port. No call-back comes any more. May be called twice."""


class Connected(abc.ABC):
    """A socket connected to a real server, with a port of its own for the life of a flow."""

    on_lone: OnTrain | None = None
    """See `Listening.on_lone`."""

    @property
    @abc.abstractmethod
    def dropped(self) -> int:
        """See `Listening.dropped`."""

    @abc.abstractmethod
    def send(self, payload: memoryview, segment: int) -> int:
        """Send datagrams to the server; the number not sent."""

    @abc.abstractmethod
    def drain(self) -> None:
        """Hand on, now, what has arrived."""

    @abc.abstractmethod
    def close(self) -> None:
        """Free the socket. No call-back comes any more. May be called twice."""


class DatagramSockets(abc.ABC):
    """A platform's UDP sockets. Belongs to the event loop it was made in."""

    name: str

    @abc.abstractmethod
    def listen(self, address: str, port: int, on_trains: OnTrains) -> Listening:
        """Bind. An IPv6 address never takes IPv4 clients. Raises OSError."""

    @abc.abstractmethod
    def connect(
        self, address: str, port: int, on_trains: OnTrains, on_refused: Callable[[], None]
    ) -> Connected:
        """A socket to a loopback address, never another.

        `on_refused` is called when the server's side says that nobody is there (ICMP); the
        socket serves on. Raises ForbiddenAddressError, or another OSError.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Free what all sockets share, after they were closed. May be called twice."""
