"""UDP sockets on every platform, by asyncio-dgram.

Rules: as `link.datagrams.sockets` promises. A socket does not tell which address a datagram was
sent to, so a wildcard mirror is a socket per address of the computer, and a reply leaves from the
one its client spoke to. The addresses are looked at every ADDRESS_SECONDS: a new one is served,
one that has gone is not. At the start an address that is taken, or loopback that cannot be bound,
fails the whole; another that cannot be bound is said in the log and tried again. Where the system
gives a port on the wildcard only (a guarded door, `desktop.sockets`), that one socket serves all.

Limits: a wildcard mirror has no broadcast, and only those addresses that the system lists: of
127.0.0.0/8 mostly 127.0.0.1. Where one socket serves all, the system's routes say which address a
reply leaves from, which need not be the one its client spoke to. A client is not told that its
server is not there. One datagram per system call, in and out, where `link.datagrams.linux` has
many.

Counterparts: `endpoint.py` has a single socket; `select.py` chooses.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final, cast

from desktop.datagrams.addresses import (
    family_of,
    is_loopback,
    local_addresses,
    socket_address,
)
from desktop.datagrams.endpoint import (
    STALE,
    Endpoint,
    EndpointGroup,
    datagrams_in,
)
from desktop.datagrams.queue import Address, Datagram
from desktop.sockets.interface import HostSockets, is_local
from desktop.sockets.select import host_sockets
from link.datagrams.grouping import group
from link.datagrams.sockets import (
    ClientKey,
    Connected,
    DatagramSockets,
    Listening,
    OnTrains,
    Peer,
    Train,
)
from link.dial import require_loopback

__all__ = ["ADDRESS_SECONDS", "EARLY_TRAINS", "PortableDatagramSockets"]

ADDRESS_SECONDS: Final = 3.0
"""Between two looks at the addresses of the computer, while there is a wildcard mirror."""
EARLY_TRAINS: Final = 128
"""Trains that may wait for a new socket, which takes one turn of the loop to start."""

log = logging.getLogger(__name__)


class PortableDatagramSockets(DatagramSockets):
    """See `DatagramSockets`. Make it inside the running loop."""

    name = "portable"

    def __init__(self, sockets: HostSockets | None = None) -> None:
        self._group = EndpointGroup(sockets or host_sockets())
        self._wildcards: set[_Wildcard] = set()
        self._look: asyncio.TimerHandle | None = None

    def listen(self, address: str, port: int, on_trains: OnTrains) -> Listening:
        """See `DatagramSockets.listen`."""
        if not ip_address(address).is_unspecified:
            listening = _Listening(self._group, port, on_trains)
            listening.serve(address)
            return listening
        wildcard = _Wildcard(self._group, address, port, on_trains, self._wildcards.discard)
        try:
            wildcard.begin()
        except OSError:
            wildcard.close()
            raise
        self._wildcards.add(wildcard)
        self._arm()
        return wildcard

    def connect(
        self, address: str, port: int, on_trains: OnTrains, on_refused: Callable[[], None]
    ) -> Connected:
        """See `DatagramSockets.connect`."""
        require_loopback(address)
        return _Connected(self._group, address, port, on_trains, on_refused)

    def close(self) -> None:
        """See `DatagramSockets.close`."""
        self._wildcards.clear()
        self._group.close()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _arm(self) -> None:
        if self._look is None and self._wildcards:
            self._look = self._group.loop.call_later(ADDRESS_SECONDS, self._look_at_addresses)

    def _look_at_addresses(self) -> None:
        self._look = None
        for wildcard in list(self._wildcards):
            wildcard.follow()
        self._arm()


class _Client(Peer):
    """A client's address, and that of ours which it spoke to."""

    __slots__ = ("address", "local")

    def __init__(self, local: str, address: Address) -> None:
        self.local = local
        self.address = address


class _Listening(Listening):
    """See `Listening`: an endpoint for each address that is served.

    Attributes:
        dropped: datagrams received so far that nobody took in time.
    """

    def __init__(self, group: EndpointGroup, port: int, on_trains: OnTrains) -> None:
        self._group = group
        self._port = port
        self._on_trains = on_trains
        self._endpoints: dict[str, Endpoint] = {}
        self._dropped_before = 0
        self.inodes = frozenset()

    @property
    def dropped(self) -> int:
        """See the class."""
        return self._dropped_before + sum(each.dropped for each in self._endpoints.values())

    def serve(self, address: str) -> None:
        """Bind one address. Raises OSError."""
        door = self._group.sockets.bind_datagrams(address, self._port)
        self.is_guarded |= door.is_guarded
        name = f"{address} port {self._port}"
        self._endpoints[address] = Endpoint(
            self._group,
            door.sock,
            name,
            on_datagrams=lambda datagrams: self._arrived(address, datagrams),
            on_error=lambda error: log.debug("%s: %s", name, error),
        )
        self._list_inodes()

    def withdraw(self, address: str) -> None:
        """Serve an address no more."""
        endpoint = self._endpoints.pop(address)
        endpoint.close()
        self._dropped_before += endpoint.dropped
        self._list_inodes()

    def peer(self, key: ClientKey) -> Peer:
        """See `Listening.peer`."""
        return _Client(*cast("tuple[str, Address]", key))

    def send(self, peer: Peer, payload: memoryview, segment: int) -> int:
        """See `Listening.send`."""
        client = cast("_Client", peer)
        endpoint = self._endpoints.get(client.local)
        if endpoint is None:
            return datagrams_in(len(payload), segment)
        return endpoint.send(payload, segment, client.address)

    def refuse(self, peer: Peer) -> None:
        """Does nothing: ICMP is not for just anybody to send, and the client waits in vain."""

    def drain(self) -> None:
        """See `Listening.drain`."""
        for endpoint in list(self._endpoints.values()):
            endpoint.drain()

    def close(self) -> None:
        """See `Listening.close`."""
        for address in list(self._endpoints):
            self.withdraw(address)

    def _arrived(self, local: str, datagrams: Iterable[Datagram]) -> None:
        let_in = (
            each for each in datagrams if not self.is_guarded or is_local(str(each.sender[0]))
        )
        trains = _trains(((local, each.sender), each.payload) for each in let_in)
        if trains:
            self._on_trains(trains)

    def _list_inodes(self) -> None:
        inodes = (each.inode for each in self._endpoints.values())
        self.inodes = frozenset(inode for inode in inodes if inode is not None)


class _Wildcard(_Listening):
    """A mirror on all addresses of the computer, of one family."""

    def __init__(
        self,
        group: EndpointGroup,
        address: str,
        port: int,
        on_trains: OnTrains,
        on_close: Callable[[_Wildcard], None],
    ) -> None:
        super().__init__(group, port, on_trains)
        self._family = family_of(address)
        self._on_close = on_close
        self._unserved: set[str] = set()
        self._is_one = False

    def begin(self) -> None:
        """Serve all addresses that there are. Raises OSError as the module says."""
        for address in local_addresses(self._family):
            try:
                self.serve(address)
            except OSError as error:
                if error.errno == errno.EADDRINUSE or is_loopback(address):
                    raise
                self._cannot_serve(address, error)
            if self.is_guarded:  # wider than asked for, which is just as wide as this is meant
                self._is_one, self.is_guarded = True, False
                break
        if not self._endpoints:
            raise OSError(errno.EADDRNOTAVAIL, "this computer has no address of that family")

    def follow(self) -> None:
        """Serve the addresses that there are now."""
        if self._is_one:
            return
        try:
            now = local_addresses(self._family)
        except OSError as error:
            log.warning("the addresses of this computer cannot be read: %s", error)
            return
        for address in self._endpoints.keys() - set(now):
            log.info("%s has gone: UDP port %d is not served there", address, self._port)
            self.withdraw(address)
        self._unserved.intersection_update(now)
        for address in now:
            if address not in self._endpoints:
                self._try_to_serve(address)

    def close(self) -> None:
        """See `Listening.close`."""
        super().close()
        self._on_close(self)

    def _try_to_serve(self, address: str) -> None:
        try:
            self.serve(address)
        except OSError as error:
            self._cannot_serve(address, error)
        else:
            self._unserved.discard(address)
            log.info("UDP port %d is served on %s now", self._port, address)

    def _cannot_serve(self, address: str, error: OSError) -> None:
        """Say so, once for each address."""
        if address not in self._unserved:
            self._unserved.add(address)
            log.warning(
                "UDP port %d cannot be served on %s: %s; it is tried again every %g seconds",
                self._port,
                address,
                error.strerror,
                ADDRESS_SECONDS,
            )


class _Connected(Connected):
    """See `Connected`. Connects when its endpoint has started; until then datagrams wait.

    Attributes:
        dropped: datagrams so far that nobody took in time, or that waited in vain.
    """

    def __init__(
        self,
        group: EndpointGroup,
        address: str,
        port: int,
        on_trains: OnTrains,
        on_refused: Callable[[], None],
    ) -> None:
        self._server = socket_address(address, port)
        self._on_trains = on_trains
        self._on_refused = on_refused
        self._early: deque[tuple[bytes, int]] = deque()
        self._lost = 0
        self._is_connected = False
        self._sock = group.sockets.datagram(family_of(address))
        try:
            # Only this computer reaches it before it is connected; `_arrived` sifts the rest.
            self._sock.bind(socket_address(_loopback(address), 0))
        except OSError:
            self._sock.close()
            raise
        self._endpoint = Endpoint(
            group,
            self._sock,
            f"to {address} port {port}",
            on_datagrams=self._arrived,
            on_error=self._failed,
            on_start=self._connect,
        )

    @property
    def dropped(self) -> int:
        """See the class."""
        return self._endpoint.dropped + self._lost

    def send(self, payload: memoryview, segment: int) -> int:
        """See `Connected.send`."""
        if self._endpoint.is_started and not self._is_connected:
            self._connect()
        if self._is_connected:
            return self._endpoint.send(payload, segment)
        if len(self._early) >= EARLY_TRAINS:
            return datagrams_in(len(payload), segment)
        self._early.append((bytes(payload), segment))
        return 0

    def drain(self) -> None:
        """See `Connected.drain`."""
        self._endpoint.drain()

    def close(self) -> None:
        """See `Connected.close`."""
        if self._early:
            self._connect()
        self._endpoint.close()

    def _connect(self) -> None:
        """Connect, and send what waits."""
        early, self._early = self._early, deque()
        try:
            self._sock.connect(self._server)
        except OSError as error:
            log.warning("no UDP to %s port %d: %s", *self._server[:2], error.strerror)
            self._lost += sum(datagrams_in(len(payload), segment) for payload, segment in early)
            return
        self._is_connected = True
        for payload, segment in early:
            self._lost += self._endpoint.send(memoryview(payload), segment)

    def _failed(self, error: OSError) -> None:
        if error.errno in STALE:
            self._on_refused()
        else:
            log.debug("UDP to %s port %d: %s", *self._server[:2], error)

    def _arrived(self, datagrams: Iterable[Datagram]) -> None:
        trains = _trains((None, each.payload) for each in datagrams if each.sender == self._server)
        if trains:
            self._on_trains(trains)


def _loopback(server: str) -> str:
    return "127.0.0.1" if ip_address(server).version == 4 else "::1"


def _trains(datagrams: Iterable[tuple[ClientKey, bytes]]) -> list[Train]:
    return list(group((key, memoryview(payload), len(payload)) for key, payload in datagrams))
