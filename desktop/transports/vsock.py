"""Streams over vsock (vsock(7)) to the agent in a virtual machine of this computer, on Linux.

Two ways to the same door: the kernel's own sockets, and the Unix socket that a virtual machine
monitor offers where it serves vsock itself (Firecracker, Cloud Hypervisor, vhost-device-vsock):
one connect and the line "CONNECT port" for each stream, which it answers with "OK …".

Limits: vsock knows no reset of a connection that was accepted: it is seen as the end.
Counterpart: `vmagent/doors/vsock.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from desktop.transports.connecting import connect, new_socket, opened
from desktop.transports.transport import Transport, TransportError
from desktop.transports.unix import UnixTransport

__all__ = ["MonitoredVsockTransport", "VsockTransport"]

LONGEST_ANSWER: Final = 32
"""Bytes of "OK", a port of ten digits and what is around them, with room."""


class VsockTransport(Transport):
    """Dials `port` of the machine whose context id is `cid`."""

    name = "vsock"
    carries_reset = False

    def __init__(self, cid: int, port: int) -> None:
        self.cid = cid
        self.port = port

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        sock = new_socket(socket.AF_VSOCK)
        return await connect(sock, (self.cid, self.port), f"vsock {self.cid} port {self.port}")

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""


class MonitoredVsockTransport(Transport):
    """Dials `port` of the machine whose monitor listens on the Unix socket `path`."""

    name = "vsock"
    carries_reset = False

    def __init__(self, path: str | os.PathLike[str], port: int) -> None:
        self.path = os.fspath(path)
        self.port = port

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        sock = await UnixTransport(self.path).open()
        return await opened(sock, self._ask(sock), f"{self.path}: port {self.port}")

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""

    async def _ask(self, sock: socket.socket) -> None:
        """Raises TransportError, OSError."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, b"CONNECT %d\n" % self.port)
        answer = b""
        while not answer.endswith(b"\n") and len(answer) < LONGEST_ANSWER:
            # What follows the line is the agent's: not a byte of it may be taken.
            byte = await loop.sock_recv(sock, 1)
            if not byte:
                break
            answer += byte
        if not answer.startswith(b"OK "):
            raise TransportError(f"{self.path}: port {self.port} refuses")
