"""Streams to an agent in this very process: both ends without a machine.

A pair of connected kernel sockets per stream, made over loopback, since a Unix socket pair
knows no reset. For tests and for trying a daemon without a machine; real in all it does.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from desktop.transports.transport import Transport, TransportError
from link.dial import tune_local

__all__ = ["MemoryTransport", "tcp_pair"]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected, non-blocking TCP sockets. Raises OSError."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, peer = server.accept()
    if peer != near.getsockname():
        near.close()
        far.close()
        raise OSError("somebody else connected first")
    for end in (near, far):
        end.setblocking(False)
        tune_local(end)
    return near, far


class MemoryTransport(Transport):
    """`adopt` is the agent's: it is given the far end of each stream. None: no agent there."""

    name = "memory"

    def __init__(self, adopt: Callable[[socket.socket], None] | None) -> None:
        self.adopt = adopt

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        if self.adopt is None:
            raise TransportError("there is no agent")
        near, far = tcp_pair()
        self.adopt(far)
        return near

    async def aclose(self) -> None:
        """See `Transport.aclose`."""
        self.adopt = None
