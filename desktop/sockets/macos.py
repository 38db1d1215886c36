"""Sockets on macOS: SO_REUSEADDR means more there, and low ports are free on the wildcard only.

Source: XNU `bsd/netinet/in_pcb.c`, in_pcbbind. With SO_REUSEADDR a socket may bind 127.0.0.1 beside
another program's wildcard, and takes its clients; without it, connections that linger in TIME_WAIT
are in the way. So a listener binds without it first, and with it only when the kernel's table of
sockets has nobody who listens there.

Ports below 1024 need root on a given address (EACCES), and, since 10.14, nothing on the wildcard
(so say the sources of Lima, Podman and crc). A mirror that was meant for loopback gets the wildcard
then, guarded: others reach the port, see it open, and are turned away.

Limits: has never run on a Mac. Where the table is not understood, a port with lingering connections
is in use until they have gone (15 to 30 s). Whether IP_BOUND_IF keeps the network off a guarded
door is not known, so it is not used. Counterparts: `interface.py`; `desktop/listeners/macos.py`.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

from desktop.listeners.macos import TABLES, sysctl
from desktop.listeners.pcblist import LayoutError, parse_pcblist
from desktop.listeners.tables import Entry
from desktop.sockets.interface import Door, HostSockets, is_local
from link.acceptor import listen_tcp

__all__ = ["MacSockets"]

PRIVILEGED: Final = 1024
"""IPPORT_RESERVED, netinet/in.h: ports below it."""
WILDCARDS: Final = {4: "0.0.0.0", 6: "::"}

log = logging.getLogger(__name__)


def _listening() -> list[Entry]:
    """Who listens on TCP now. Raises OSError, LayoutError."""
    return parse_pcblist(sysctl(TABLES["tcp"]), "tcp")


class MacSockets(HostSockets):
    """See the module. `listening` gives all listeners on TCP of this computer."""

    def __init__(self, listening: Callable[[], Iterable[Entry]] = _listening) -> None:
        self._listening = listening

    def listen(self, address: str, port: int) -> Door:
        """See `HostSockets.listen`."""
        try:
            return Door(self._listen(address, port))
        except PermissionError:
            if not _may_widen(address, port):
                raise
        return Door(self._listen(_wildcard(address), port), is_guarded=True)

    def bind_datagrams(self, address: str, port: int) -> Door:
        """See `HostSockets.bind_datagrams`."""
        try:
            return super().bind_datagrams(address, port)
        except PermissionError:
            if not _may_widen(address, port):
                raise
        door = super().bind_datagrams(_wildcard(address), port)
        return Door(door.sock, is_guarded=True)

    def _listen(self, address: str, port: int) -> socket.socket:
        try:
            return listen_tcp(address, port, claim=0)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or self._is_held(address, port):
                raise
        return listen_tcp(address, port)

    def _is_held(self, address: str, port: int) -> bool:
        """True if somebody listens there, or that cannot be known."""
        try:
            held = [each for each in self._listening() if each.port == port]
        except (OSError, LayoutError) as error:
            log.info("who listens here cannot be read: %s", error)
            return True
        return any(_meet(each, address) for each in held)


def _meet(entry: Entry, address: str) -> bool:
    version = ip_address(address).version
    wildcards = {entry.address} & set(WILDCARDS.values())
    if not entry.v6only:
        return True
    if ip_address(entry.address).version != version:
        return False
    return bool(wildcards) or entry.address == address or address == WILDCARDS[version]


def _may_widen(address: str, port: int) -> bool:
    return port < PRIVILEGED and is_local(address)


def _wildcard(address: str) -> str:
    return WILDCARDS[ip_address(address).version]
