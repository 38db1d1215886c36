"""UDP sockets that have a peer, as the kernel's text table tells them.

Rules: Linux, standard library. Sees the network namespace of the calling thread. The addresses are
in the one spelling of `link.listener.canonical_address`.

Limits: sock_diag is what tells listeners (`link.sockdiag`); this is for the rare question about
the others. Costs 2 µs a UDP socket of the namespace, and 30 µs at least.

Counterparts: `link.connected_servers`, `vmagent.desktop_ports.taken_places`.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from link.listener import canonical_address

__all__ = ["ConnectedSocket", "connected_sockets"]

TABLES: Final = ("/proc/thread-self/net/udp", "/proc/thread-self/net/udp6")
"""All UDP sockets as text, a line each (proc(5))."""

ESTABLISHED: Final = "01"
"""State of a connected UDP socket there (net/tcp_states.h)."""

_GROUP: Final = struct.Struct("=I")
_GROUP_LETTERS: Final = 2 * _GROUP.size
"""Addresses are groups of four bytes, each a number of the machine's own byte order (proc(5))."""


class ConnectedSocket(NamedTuple):
    """A UDP socket with a peer."""

    inode: int
    port: int
    peer_address: str
    peer_port: int


def connected_sockets() -> Iterator[ConnectedSocket]:
    """All of them. Raises OSError."""
    for table in TABLES:
        with open(table, encoding="ascii", errors="replace") as lines:
            next(lines, "")
            for line in lines:
                if found := _connected(line):
                    yield found


def _connected(line: str) -> ConnectedSocket | None:
    """The socket of a line; None for one without a peer. Raises OSError."""
    try:
        _slot, local, remote, state, *rest = line.split()
        if state != ESTABLISHED:
            return None
        address, _, port = remote.partition(":")
        return ConnectedSocket(int(rest[5]), _port(local), _address(address), _port(port))
    except (ValueError, IndexError, struct.error) as error:
        raise OSError(errno.EBADMSG, f"not a line about a UDP socket: {line[:80]!r}") from error


def _port(place: str) -> int:
    port = int(place.rpartition(":")[2], 16)
    if not 0 <= port < 1 << 16:
        raise ValueError("no port")
    return port


@lru_cache(maxsize=256)
def _address(text: str) -> str:
    if len(text) not in (_GROUP_LETTERS, 4 * _GROUP_LETTERS):
        raise ValueError("no address")
    starts = range(0, len(text), _GROUP_LETTERS)
    packed = b"".join(_GROUP.pack(int(text[at : at + _GROUP_LETTERS], 16)) for at in starts)
    family = socket.AF_INET if len(packed) == _GROUP.size else socket.AF_INET6
    return canonical_address(socket.inet_ntop(family, packed))
