"""What tests say to a stream socket, and hear from it, in an event loop; none waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final

from tests.until import PATIENCE

__all__ = ["is_refused", "is_reset", "receive", "receive_all", "receive_exactly", "send"]

PIECE: Final = 1 << 18
"""Bytes that are read at once."""


async def send(sock: socket.socket, data: bytes) -> None:
    """Send all of it."""
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, data), PATIENCE)


async def receive(sock: socket.socket, size: int = 1 << 16) -> bytes:
    """What comes next; b"" at end-of-file."""
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, size), PATIENCE)


async def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = bytearray()
    while len(data) < size:
        part = await receive(sock, min(size - len(data), PIECE))
        assert part, f"end-of-file after {len(data)} of {size} bytes"
        data += part
    return bytes(data)


async def receive_all(sock: socket.socket) -> bytes:
    """Everything, to end-of-file."""
    data = bytearray()
    while part := await receive(sock, PIECE):
        data += part
    return bytes(data)


async def is_reset(sock: socket.socket) -> bool:
    """True if the connection ends with a reset."""
    with contextlib.suppress(ConnectionResetError):
        while await receive(sock):
            pass
        return False
    return True


def is_refused(sock: socket.socket) -> bool:
    """True if nobody takes what is said on it any more."""
    try:
        sock.send(b"x")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False
