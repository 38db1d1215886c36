"""What streams may have to go through: it carries bytes, and makes end-of-file of everything else.

Worse than any that is in use: an end of one direction is the end of both, and a reset is an end.
Belongs to the loop it was made in. Counterpart: `relay_stage.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

__all__ = ["Tunnels"]

PIECE: Final = 1 << 16


class Tunnels:
    """Tunnels of streams, each for as long as both of its ends are there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._carriers: set[asyncio.Task[None]] = set()

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Join two sockets, which are its own from now on."""
        carrier = self._loop.create_task(self._carry(near, far), name="tunnel")
        self._carriers.add(carrier)
        carrier.add_done_callback(self._carriers.discard)

    async def aclose(self) -> None:
        """Wait until all have ended, as they do with their streams, or end them."""
        if self._carriers:
            await asyncio.wait(self._carriers, timeout=1)
        await self.cut()

    async def cut(self) -> None:
        """End all now."""
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    async def _carry(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            await asyncio.gather(self._copy(near, far), self._copy(far, near))

    async def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := await self._loop.sock_recv(source, PIECE):
                await self._loop.sock_sendall(sink, data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
