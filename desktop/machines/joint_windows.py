"""On Windows programs take pipes, not sockets, as standard streams: the bytes are carried between.

    stream ─ socket ─ far ─ sock_recv ─▶ pipe ─▶ program ─▶ pipe ─ sock_sendall ─▶ far ─ socket ─ …

Rules: one piece each way is in our hands at a time, so whoever does not read slows the other down.
Limits: has run under Wine, and on Linux in tests. Counterparts: `joint.py`; `desktop/pipes.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from typing import Any, Final

from desktop.machines.joint import Joint
from desktop.pipes import read_pipe, write_pipe

__all__ = ["make"]

PIECE_BYTES: Final = 1 << 16

log = logging.getLogger(__name__)


async def make() -> Joint:
    """See `joint.make_joint`."""
    joint = _Pipes()
    try:
        await joint.open()
    except BaseException:
        await joint.aclose()
        raise
    return joint


class _Pipes(Joint):
    """A pair of sockets and two pipes."""

    def __init__(self) -> None:
        self.stream, self._far = socket.socketpair()
        self.stream.setblocking(False)
        self._far.setblocking(False)
        self.input = self.output = -1
        self._reader = asyncio.StreamReader(PIECE_BYTES)
        self._writer: asyncio.StreamWriter | None = None
        self._from: asyncio.BaseTransport | None = None
        self._carriers: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Make the pipes. Raises OSError."""
        self._from, self.output = await read_pipe(asyncio.StreamReaderProtocol(self._reader))
        # What a writing pipe would be told is nothing, but for when it may go on.
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        transport, self.input = await write_pipe(protocol)
        loop = asyncio.get_running_loop()
        to: Any = transport
        self._writer = asyncio.StreamWriter(to, protocol, None, loop)

    def started(self) -> None:
        """See `Joint.started`."""
        self._close_theirs()
        create = asyncio.get_running_loop().create_task
        self._carriers = [
            create(self._carry_in(), name="to the program"),
            create(self._carry_out(), name="from the program"),
        ]

    async def aclose(self) -> None:
        """See `Joint.aclose`."""
        carriers, self._carriers = self._carriers, []
        for carrier in carriers:
            carrier.cancel()
        for ended in await asyncio.gather(*carriers, return_exceptions=True):
            if isinstance(ended, Exception):
                log.error("bytes of a program were not carried", exc_info=ended)
        self._close_theirs()
        for transport in (self._from, self._writer):
            if transport is not None:
                transport.close()
        self._far.close()
        self.stream.close()

    def _close_theirs(self) -> None:
        for descriptor in {self.input, self.output} - {-1}:
            os.close(descriptor)
        self.input = self.output = -1

    async def _carry_in(self) -> None:
        loop, writer = asyncio.get_running_loop(), self._writer
        if writer is None:
            return
        # OSError: the program takes no more, or whoever speaks to it has reset the stream.
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(self._far, PIECE_BYTES):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _carry_out(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):  # nobody reads what the program says
            while data := await self._reader.read(PIECE_BYTES):
                await loop.sock_sendall(self._far, data)
            self._far.shutdown(socket.SHUT_WR)
