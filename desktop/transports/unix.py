"""Streams over a Unix socket of this computer, one connect for each.

Behind it is an agent of this computer, or what carries each stream on to one in a machine, such as
ssh(1). A Unix socket knows no reset: it is seen as the end. Counterpart: `vmagent/doors/unix.py`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Final

from desktop.transports.connecting import new_socket, opened
from desktop.transports.transport import Transport, WayGoneError
from link.dial import grow_send_buffer

__all__ = ["UnixTransport"]

FULL_PAUSE_SECONDS: Final = 0.01
"""A socket whose backlog is full refuses with EAGAIN (unix(7)); it is tried again after this."""


class UnixTransport(Transport):
    """Dials the socket at `path`.

    `buffer_bytes` may wait in a stream, either way; 0 leaves it to the kernel, whose 208 KiB
    (unix(7), net.core.wmem_default) are right where something slower is behind.
    """

    name = "unix"
    carries_reset = False

    def __init__(self, path: str | os.PathLike[str], buffer_bytes: int = 0) -> None:
        self.path = os.fspath(path)
        self._buffer_bytes = buffer_bytes

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        sock = new_socket(socket.AF_UNIX)
        return await opened(sock, self._connect(sock), self.path)

    async def aclose(self) -> None:
        """See `Transport.aclose`; there is nothing to free."""

    async def _connect(self, sock: socket.socket) -> None:
        """Raises OSError, WayGoneError."""
        if self._buffer_bytes:
            grow_send_buffer(sock, self._buffer_bytes)
        while True:
            try:
                sock.connect(self.path)
            except BlockingIOError:
                await asyncio.sleep(FULL_PAUSE_SECONDS)
            except (FileNotFoundError, NotADirectoryError) as error:
                raise WayGoneError(f"{self.path} was removed") from error
            else:
                return
