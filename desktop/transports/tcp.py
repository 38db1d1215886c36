"""Streams over TCP to an agent that listens on an address of the machine's own network.

Right for the sandbox and for machines whose network only this computer reaches. The streams are
authenticated, not encrypted: they never leave this computer. Counterpart: `vmagent/agent.py`.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from typing import Final

from desktop.transports.transport import Transport, TransportError
from link.dial import tune_dialled

__all__ = ["TcpTransport"]

CONNECT_SECONDS: Final = 5.0
"""A machine of this computer that does not answer in this time is not there."""


class TcpTransport(Transport):
    """Dials `host` (an address, never a name) and `port`."""

    name = "tcp"

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._family = socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError as error:
            raise TransportError(f"no socket: {error.strerror}") from error
        try:
            sock.setblocking(False)
            tune_dialled(sock)
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (self.host, self.port))
        except TimeoutError as error:
            sock.close()
            raise TransportError(f"{self.host} port {self.port} does not answer") from error
        except OSError as error:
            sock.close()
            raise TransportError(f"{self.host} port {self.port}: {error.strerror}") from error
        except asyncio.CancelledError:
            sock.close()
            raise
        return sock

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""
