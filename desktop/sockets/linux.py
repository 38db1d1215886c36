"""Sockets on Linux, where plain ones do all that the interface asks for (socket(7), ip(7)).

SO_REUSEADDR of a TCP listener lets it come back while connections linger, and never two listen. UDP
ports would be shared by it, so it is not set. Counterpart: `interface.py`.
"""

from __future__ import annotations

from desktop.sockets.interface import Door, HostSockets
from link.acceptor import listen_tcp

__all__ = ["LinuxSockets"]


class LinuxSockets(HostSockets):
    """See the module."""

    def listen(self, address: str, port: int) -> Door:
        """See `HostSockets.listen`."""
        return Door(listen_tcp(address, port))
