"""The standard error of a process, read by the event loop until nobody can say more.

Counterparts: `process.py` has a pipe from a child, `paramiko/process.py` a socket from its pump.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from desktop.pipes import read_pipe

__all__ = ["ErrorReader"]

LAST_WORDS_SECONDS: Final = 1.0
"""How long after the end of a process it is still read: another may have it open."""


class ErrorReader(asyncio.StreamReaderProtocol):
    """Reads from `open_pipe` or `take` until `finish` or `close`.

    Attributes:
        reader: has what was said.
    """

    def __init__(self) -> None:
        self.reader = asyncio.StreamReader()
        self._has_ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None
        super().__init__(self.reader)

    async def open_pipe(self) -> int:
        """Read a new pipe; the descriptor to write to, which is the caller's. Raises OSError."""
        self._transport, writing = await read_pipe(self)
        return writing

    async def take(self, sock: socket.socket) -> None:
        """Read `sock`, which this owns from now on. Raises OSError."""
        try:
            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.connect_accepted_socket(lambda: self, sock)
        except BaseException:
            sock.close()
            raise

    def eof_received(self) -> bool | None:
        """See `asyncio.Protocol`; a socket is closed then, as a pipe is."""
        self._has_ended.set()
        super().eof_received()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._has_ended.set()
        super().connection_lost(error)

    async def finish(self) -> bool:
        """Read what is still to come, but not for long, and no more; False if that was not all."""
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self._has_ended.wait()
        except TimeoutError:
            return False
        finally:
            self.close()
        return True

    def close(self) -> None:
        """Read no more. May be called twice."""
        if self._transport is not None:
            self._transport.close()
