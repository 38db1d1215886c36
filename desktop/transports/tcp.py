"""Streams over TCP to an agent that listens on an address of the machine's own network.

Right for the sandbox and for machines whose network only this computer reaches. The streams are
authenticated, not encrypted: they never leave this computer. Counterpart: `vmagent/doors/tcp.py`.
"""

from __future__ import annotations

import itertools
import socket
from ipaddress import ip_address

from desktop.transports.connecting import connect, new_socket
from desktop.transports.transport import Transport
from link.dial import tune_dialled

__all__ = ["TcpTransport"]


class TcpTransport(Transport):
    """Dials `host` (an address, never a name) and one of `ports` after the other."""

    name = "tcp"

    def __init__(self, host: str, *ports: int) -> None:
        self.host = host
        self._ports = itertools.cycle(ports)
        self._family = socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        port = next(self._ports)
        sock = new_socket(self._family)
        tune_dialled(sock)
        return await connect(sock, (self.host, port), f"{self.host} port {port}")

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""
