"""A cable between desktop and machine that is slow, loses, falls silent, or breaks where told.

    daemon ══ stream ══ Cable ══ stream ══ agent of a FakeMachine

Rules: what arrives is whole and in order, as over TCP: a loss is a delay. A stream that breaks is
reset at both ends. Counterpart: `fake_machine.py`; `tests/contract/tunnel.py` changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from typing import Final

from desktop.machines.machine import AgentHandle
from desktop.transports.memory import MemoryTransport, tcp_pair
from desktop.transports.transport import TransportError
from tests.fake_machine import FakeMachine

__all__ = ["FILES_OF_STREAM", "TASKS_OF_STREAM", "Cable", "CabledMachine"]

FILES_OF_STREAM: Final = 4
TASKS_OF_STREAM: Final = 5
"""One for the stream, and two for either way."""

PIECE: Final = 1 << 14
QUEUED_PIECES: Final = 64
RETRANSMISSION_SECONDS: Final = 0.2
"""The least that a lost segment costs (TCP_RTO_MIN of Linux)."""
RESET: Final = struct.pack("ii", 1, 0)


_Pieces = asyncio.Queue[tuple[float, bytes | None]]
"""When it is due, and what; b"" is the end, and None breaks it."""


class Cable:
    """See the module.

    Attributes:
        delay: seconds one way.
        loss: share of pieces that come RETRANSMISSION_SECONDS late, and all behind them.
        break_next_after: bytes, both ways together, after which the next stream breaks.
    """

    def __init__(self, seed: int = 0) -> None:
        self.delay = 0.0
        self.loss = 0.0
        self.break_next_after: int | None = None
        self._random = random.Random(seed)
        self._passes = asyncio.Event()
        self._passes.set()
        self._streams: set[asyncio.Task[None]] = set()

    @property
    def streams(self) -> int:
        """Those that there are."""
        return len(self._streams)

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Join two sockets, which are its own from now on."""
        budget, self.break_next_after = self.break_next_after, None
        stream = asyncio.get_running_loop().create_task(
            self._carry(near, far, _Budget(budget)), name="stream through a bad cable"
        )
        self._streams.add(stream)
        stream.add_done_callback(self._streams.discard)
        # One that is cancelled before its first step closes nothing.
        stream.add_done_callback(lambda _: near.close())
        stream.add_done_callback(lambda _: far.close())

    def hold(self) -> None:
        """Nothing passes, and nobody is told."""
        self._passes.clear()

    def release(self) -> None:
        """What was held passes."""
        self._passes.set()

    async def cut(self) -> None:
        """Break every stream that there is."""
        streams = list(self._streams)
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)

    async def _carry(self, near: socket.socket, far: socket.socket, budget: _Budget) -> None:
        is_whole = False
        with near, far:
            try:
                async with asyncio.TaskGroup() as work:
                    for source, sink in ((near, far), (far, near)):
                        pieces: _Pieces = asyncio.Queue(QUEUED_PIECES)
                        work.create_task(self._take(source, pieces, budget))
                        work.create_task(self._deliver(pieces, sink))
                is_whole = True
            except* (OSError, _BrokenError):
                pass
            finally:
                if not is_whole:
                    for end in (near, far):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    async def _take(self, source: socket.socket, pieces: _Pieces, budget: _Budget) -> None:
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(source, PIECE)
            late = self._random.random() < self.loss
            due = loop.time() + self.delay + (RETRANSMISSION_SECONDS if late else 0)
            await pieces.put((due, budget.take(data)))
            if not data:
                break
            if budget.is_used_up:
                await pieces.put((due, None))
                break

    async def _deliver(
        self, pieces: asyncio.Queue[tuple[float, bytes | None]], sink: socket.socket
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._passes.wait()
            if data is None:
                raise _BrokenError
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)


class _BrokenError(Exception):
    """The stream has carried what it was to carry."""


class _Budget:
    """What a stream may still carry; None: everything."""

    def __init__(self, size: int | None) -> None:
        self._left = size

    @property
    def is_used_up(self) -> bool:
        return self._left == 0

    def take(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        part = data[: self._left]
        self._left -= len(part)
        return part


class CabledMachine(FakeMachine):
    """A fake machine at the end of a bad cable.

    Attributes:
        state_told: what it is said to do; "": what it does.
        asked: how often that has been asked.
    """

    def __init__(self, name: str, cable: Cable) -> None:
        super().__init__(name)
        self.cable = cable
        self.state_told = ""
        self.asked = 0

    async def state(self) -> str:
        """See `Machine`."""
        self.asked += 1
        return self.state_told or await super().state()

    async def start_agent(self, secret: bytes) -> AgentHandle:
        """See `Machine`."""
        handle = await super().start_agent(secret)
        assert isinstance(handle.transport, MemoryTransport)
        assert handle.transport.adopt is not None
        return AgentHandle(handle.process, _CableTransport(handle.transport, self.cable))


class _CableTransport(MemoryTransport):
    def __init__(self, straight: MemoryTransport, cable: Cable) -> None:
        super().__init__(straight.adopt)
        self._cable = cable

    async def open(self) -> socket.socket:
        """See `Transport.open`."""
        if self.adopt is None:
            raise TransportError("there is no agent")
        near, here = tcp_pair()
        there, far = tcp_pair()
        self.adopt(far)
        self._cable.carry(here, there)
        return near
