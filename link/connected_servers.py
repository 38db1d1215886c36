"""UDP servers that gave themselves to one client: no listeners to the kernel any more, but to us.

A program such as `nc -lu`, `socat UDP-LISTEN` or a DTLS server takes a first datagram, and then
connects its socket to whoever sent that (connect(2), udp(7)). From then on the kernel counts it
as a client. The conversation goes on, though, and as long as it does so must the mirror stand:
the other end of it is a socket of this very process, a flow of ours.

Rules: Linux, standard library. Only sockets that were listeners at the last look are judged, by
inode; nothing is read while none of them is missing. Whose the other end is is looked up once.

Limits: sees the network namespace of the calling thread. A server that connects before any look
has seen it listen is a client. One that outlives its flow (silence, another agent) stays a
listener until it closes: as on Linux, it answers nobody else.

Counterparts: `vmagent.watch.watcher` and `desktop.listeners.linux` look; `link.datagrams.back`
has the other ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from link.processes import find_processes
from link.sockdiag_wire import ListeningSocket
from link.udp_table import connected_sockets

__all__ = ["ConnectedServers"]


class _Connection(NamedTuple):
    """A connected UDP socket: its port, its peer's."""

    port: int
    peer: int


class ConnectedServers:
    """Remembers which servers are in a conversation with us."""

    def __init__(self) -> None:
        self._ours: dict[int, _Connection] = {}

    def among(self, missing: Iterable[ListeningSocket]) -> list[ListeningSocket]:
        """Of listeners that are missing from a look, those that serve one of our flows.

        Ask with all that are missing, every time. Raises OSError.
        """
        wanted = {each.inode: each for each in missing if each.protocol == "udp"}
        if not wanted:
            self._ours = {}
            return []
        connections = dict(_connections())
        found = {
            inode: connections[inode]
            for inode, each in wanted.items()
            if inode in connections and connections[inode].port == each.port
        }
        self._ours = {
            inode: connection
            for inode, connection in found.items()
            if self._ours.get(inode) == connection or _is_ours(connection, connections)
        }
        return [wanted[inode] for inode in self._ours]


def _is_ours(server: _Connection, connections: dict[int, _Connection]) -> bool:
    """True if this process has the other end."""
    other_end = _Connection(server.peer, server.port)
    inodes = [inode for inode, connection in connections.items() if connection == other_end]
    return bool(find_processes(inodes, [os.getpid()]))


def _connections() -> Iterator[tuple[int, _Connection]]:
    """Every connected UDP socket, by inode. Raises OSError."""
    for each in connected_sockets():
        yield each.inode, _Connection(each.port, each.peer_port)
