"""What transports that connect a socket of the kernel have in common.

Rules: whatever happens but success, no socket is left. Used by `tcp.py`, `unix.py` and
`vsock.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from typing import Any, Final

from desktop.transports.transport import TransportError
from link.dial import CONNECTING, error_words

__all__ = ["CONNECT_SECONDS", "connect", "new_socket", "opened"]

CONNECT_SECONDS: Final = 5.0
"""A machine of this computer that does not answer in this time is not there."""


def new_socket(family: int) -> socket.socket:
    """A stream socket that does not block. Raises TransportError."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise TransportError(f"no socket: {error.strerror}") from error
    sock.setblocking(False)
    return sock


async def connect(sock: socket.socket, address: Any, name: str) -> socket.socket:
    """Connect a non-blocking socket, or close it. `name` is for a person.

    Raises TransportError.
    """
    return await opened(sock, _connect(sock, address), name)


async def opened(sock: socket.socket, opening: Awaitable[None], name: str) -> socket.socket:
    """`sock`, once `opening` has done its work on it; or else it is closed.

    Raises TransportError, as which OSError of `opening` is told.
    """
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await opening
        except TimeoutError as error:
            raise TransportError(f"{name} does not answer") from error
        except OSError as error:
            raise TransportError(f"{name}: {error.strerror or error}") from error
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(sock: socket.socket, address: Any) -> None:
    """Raises OSError.

    uvloop's `sock_connect` asks the resolver first, in another thread, even for an address.
    """
    number = sock.connect_ex(address)
    if number in CONNECTING:
        loop = asyncio.get_running_loop()
        writable = asyncio.Event()
        loop.add_writer(sock.fileno(), writable.set)
        try:
            await writable.wait()
        finally:
            loop.remove_writer(sock.fileno())
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, error_words(number))
