"""Streams to an agent on the loopback of a machine, each a direct-tcpip channel of paramiko's.

Rules: the connection belongs to the shell that made this, and streams end with it. Each is the near
end of a socket pair, whose bytes a pump carries (`desktop/machines/paramiko/pump.py`).

Limits: see LIMITS. Counterpart: `desktop/machines/paramiko/shell.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from typing import Final

from desktop.transports.transport import Transport

__all__ = ["LIMITS", "ParamikoTransport"]

LIMITS: Final = (
    "about half as fast as ssh, for it encrypts in Python; Unix sockets cannot be forwarded,"
    " certificates of hosts and keys on cards are not known: install OpenSSH's client"
)
"""What a person should know who uses this way (facts: performance, SSH)."""


class ParamikoTransport(Transport):
    """Opens streams by `dial`, which raises TransportError."""

    name = "paramiko"
    carries_reset = False
    limits = LIMITS

    def __init__(self, dial: Callable[[], Awaitable[socket.socket]]) -> None:
        self._dial = dial

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        return await self._dial()

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""
