"""Streams over TCP to an agent that listens on an address of the machine's own network.

Right for the sandbox and for machines whose network only this computer reaches. The streams are
authenticated, not encrypted: they never leave this computer. Counterpart: `vmagent/agent.py`.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from ipaddress import ip_address
from typing import Final

from desktop.transports.transport import Transport, TransportError
from link.dial import tune_dialled

__all__ = ["TcpTransport"]

CONNECT_SECONDS: Final = 5.0
"""A machine of this computer that does not answer in this time is not there."""


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
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM)
        except OSError as error:
            raise TransportError(f"no socket: {error.strerror}") from error
        try:
            sock.setblocking(False)
            tune_dialled(sock)
            async with asyncio.timeout(CONNECT_SECONDS):
                await _connect(sock, (self.host, port))
        except TimeoutError as error:
            sock.close()
            raise TransportError(f"{self.host} port {port} does not answer") from error
        except OSError as error:
            sock.close()
            raise TransportError(f"{self.host} port {port}: {error.strerror}") from error
        except asyncio.CancelledError:
            sock.close()
            raise
        return sock

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""


async def _connect(sock: socket.socket, address: tuple[str, int]) -> None:
    """Connect to an address. Raises OSError.

    uvloop's `sock_connect` asks the resolver first, in another thread, even for an address.
    """
    number = sock.connect_ex(address)
    if number == errno.EINPROGRESS:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(sock.fileno(), writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(sock.fileno())
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
