"""Many ports' datagrams through one socket per address family, told apart by where they arrived.

    Front of port N ◀─┐
    Front of port M ◀─┴─ SharedDatagramSockets ◀─ redirected socket, `encoded.asked_for`

Rules: as `link.datagrams.sockets` promises: a front sees its own only. A datagram for a port that
nobody has any more is refused, as the kernel would. Counterparts: `link.datagrams.front`,
`redirect`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, cast

from link.datagrams.clients import local_address
from link.datagrams.linux import LinuxDatagramSockets, Option
from link.datagrams.sockets import Connected, DatagramSockets, Listening, OnTrains, Peer, Train
from link.datagrams.unreachable import IPV6_FREEBIND
from link.messages import StubKey
from vmagent.desktop_ports.by_loopback import BY_LOOPBACK
from vmagent.desktop_ports.encoded import asked_for

__all__ = ["SharedDatagramSockets"]

_OPTIONS: Final[dict[str, tuple[Option, ...]]] = {
    "127.0.0.1": (BY_LOOPBACK,),
    "::1": (BY_LOOPBACK, (socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)),
}
_WILDCARDS: Final = {"127.0.0.1": "0.0.0.0", "::1": "::"}


class SharedDatagramSockets(DatagramSockets):
    """Sockets on `port`, for the families of these loopback addresses. Construction raises OSError.

    `listen` takes one of those addresses, and any port.
    """

    name = "shared"

    def __init__(self, sockets: LinuxDatagramSockets, addresses: Sequence[str], port: int) -> None:
        self._sockets = sockets
        self._listeners: dict[StubKey, OnTrains] = {}
        self._shared: dict[str, Listening] = {}
        try:
            for each in addresses:
                self._shared[each] = self._open(each, port)
        except OSError:
            self.close()
            raise

    @property
    def inodes(self) -> frozenset[int]:
        """The sockets it is made of."""
        return frozenset(inode for each in self._shared.values() for inode in each.inodes)

    def listen(self, address: str, port: int, on_trains: OnTrains) -> Listening:
        """See `DatagramSockets.listen`; EADDRINUSE if it is one of ours already."""
        key = StubKey(address, port, "udp")
        if key in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        self._listeners[key] = on_trains
        return _Share(self._shared[address], lambda: self._listeners.pop(key, None))

    def connect(
        self, address: str, port: int, on_trains: OnTrains, on_refused: Callable[[], None]
    ) -> Connected:
        """See `DatagramSockets.connect`; nothing is shared there."""
        return self._sockets.connect(address, port, on_trains, on_refused)

    def close(self) -> None:
        """See `DatagramSockets.close`."""
        for each in self._shared.values():
            each.close()
        self._shared.clear()

    def _open(self, address: str, port: int) -> Listening:
        def arrived(trains: Sequence[Train]) -> None:
            self._arrived(address, trains)

        return self._sockets.listen_with(_OPTIONS[address], _WILDCARDS[address], port, arrived)

    def _arrived(self, address: str, trains: Sequence[Train]) -> None:
        for key, group in groupby(trains, _asked_for):
            on_trains = self._listeners.get(key) if key is not None else None
            if on_trains is not None:
                on_trains(list(group))
                continue
            shared = self._shared[address]
            for train in group:
                shared.refuse(shared.peer(train.key))


def _asked_for(train: Train) -> StubKey | None:
    return asked_for(local_address(cast("bytes", train.key)), "udp")


class _Share(Listening):
    """One port's part of a shared socket."""

    def __init__(self, shared: Listening, forget: Callable[[], object]) -> None:
        self.inodes = shared.inodes
        self._shared = shared
        self._forget = forget

    @property
    def dropped(self) -> int:
        """See `Listening.dropped`: 0, for nobody knows whose they were."""
        return 0

    def peer(self, key: object) -> Peer:
        """See `Listening.peer`."""
        return self._shared.peer(cast("bytes", key))

    def send(self, peer: Peer, payload: memoryview, segment: int) -> int:
        """See `Listening.send`."""
        return self._shared.send(peer, payload, segment)

    def refuse(self, peer: Peer) -> None:
        """See `Listening.refuse`."""
        self._shared.refuse(peer)

    def drain(self) -> None:
        """See `Listening.drain`; others' datagrams are handed on as well."""
        self._shared.drain()

    def close(self) -> None:
        """See `Listening.close`."""
        self._forget()
