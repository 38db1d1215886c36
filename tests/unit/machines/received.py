"""What a socket says until its end."""

from __future__ import annotations

import asyncio
import socket

__all__ = ["received"]


async def received(stream: socket.socket, seconds: float = 10) -> bytes:
    """All of it."""
    taken = b""
    async with asyncio.timeout(seconds):
        while part := await asyncio.get_running_loop().sock_recv(stream, 1 << 16):
            taken += part
    return taken
