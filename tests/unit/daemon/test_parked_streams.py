"""Streams that are parked at the agent: it draws them, so the desktop may not give them up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from desktop.daemon import link
from desktop.daemon.link import BASE_SHARE
from desktop.transports.memory import MemoryTransport
from link.control import ControlConnection
from link.handshake import Role
from link.messages import Wanted
from link.relay.frames import END, HEADER, WHOLE
from link.wire import OpenRequest
from tests.integration.both_ends import PATIENCE, SECRET, Desktop
from tests.link_messages import WELCOME
from tests.until import until
from vmagent.door import Door

MOST = 8
"""Streams without a flow that the desktop wants to have."""
PLENTY = 1000
OPENING = OpenRequest("127.0.0.1", 80).encode()


OTHERS = 1 + MOST // BASE_SHARE
"""The control session, and streams for flows of the desktop."""


class Scarce(MemoryTransport):
    """As many streams as that can be had, and never one more."""

    most_idle = MOST

    def __init__(self, adopt: Callable[[socket.socket], None], most: int) -> None:
        super().__init__(adopt)
        self._left = most

    async def open(self) -> socket.socket:
        self._left -= 1
        if self._left < 0:
            await asyncio.Event().wait()
        return await super().open()


class DrawingAgent:
    """What an agent does with streams that are parked at it, by hand."""

    def __init__(self) -> None:
        self.parked: list[socket.socket] = []
        self.outbound: list[socket.socket] = []
        self.control: ControlConnection | None = None
        self.door = Door(SECRET, self._enter)
        self._loop = asyncio.get_running_loop()
        self._start: asyncio.Task[None] | None = None

    def _enter(self, stream: socket.socket, role: Role) -> None:
        if role is Role.CONTROL:
            self._start = self._loop.create_task(self._begin(stream))
        else:
            (self.parked if role is Role.PARKED else self.outbound).append(stream)

    async def _begin(self, stream: socket.socket) -> None:
        self.control = await ControlConnection.start(
            stream, beats=False, on_message=lambda _: None, on_end=lambda _: None
        )
        self.control.send(WELCOME)
        self.control.send(Wanted(MOST))

    async def stream(self, number: int) -> socket.socket:
        """That which was parked as this one, from 0."""
        await until(lambda: len(self.parked) > number)
        return self.parked[number]

    async def ask(self, stream: socket.socket) -> None:
        """Open a flow, and have a byte of it answered."""
        await self._loop.sock_sendall(stream, OPENING + HEADER.pack(1) + b"?")
        assert await self.hear(stream) + await self.hear(stream, 1) == HEADER.pack(1) + b"?"

    async def hear(self, stream: socket.socket, size: int = HEADER.size) -> bytes:
        """What the desktop says next."""
        return await asyncio.wait_for(self._loop.sock_recv(stream, size), PATIENCE)

    async def end(self, stream: socket.socket) -> bytes:
        """Say a flow's end; what the desktop says to that."""
        await self._loop.sock_sendall(stream, HEADER.pack(END))
        return await self.hear(stream)

    def close(self) -> None:
        self.door.close()
        if self.control is not None:
            self.control.close()
        for stream in (*self.parked, *self.outbound):
            stream.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that ends what its client has ended."""
    while data := await reader.read(100):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def drawing_agent(streams: int) -> AsyncIterator[DrawingAgent]:
    """An agent and a desktop with an echo server; there are so many streams to draw in all."""
    agent = DrawingAgent()
    desktop = Desktop(Scarce(agent.door.admit, streams + OTHERS))
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    desktop.target = server.sockets[0].getsockname()
    await desktop.start()
    try:
        yield agent
    finally:
        await desktop.stop()
        agent.close()
        server.close()
        await server.wait_closed()


def test_a_stream_of_which_the_agent_was_told_that_it_is_free_is_not_given_up() -> None:
    async def story() -> None:
        async with drawing_agent(2 * MOST) as agent:
            for number in range(2 * MOST):
                await agent.ask(await agent.stream(number))
            answers = [await agent.end(stream) for stream in agent.parked]
            assert answers == [HEADER.pack(word) for word in [WHOLE] * MOST + [END] * MOST]
            for stream in agent.parked[:MOST]:
                await agent.ask(stream)
            for stream in agent.parked[MOST:]:
                assert await agent.hear(stream) == b""

    asyncio.run(story())


@pytest.mark.parametrize("sign", ["are_files_short", "is_reserved"])
def test_while_files_are_short_no_stream_is_parked_that_would_have_to_be_given_up(
    monkeypatch: pytest.MonkeyPatch, sign: str
) -> None:
    asked: list[object] = []

    def is_short(*descriptor: int) -> bool:
        asked.append(descriptor)
        return True

    async def story() -> None:
        monkeypatch.setattr(link, sign, is_short)
        async with drawing_agent(PLENTY) as agent:
            await until(lambda: len(asked) > link.DIALS_AT_ONCE)
            assert not agent.parked
            monkeypatch.setattr(link, sign, lambda *_: False)
            await agent.ask(await agent.stream(0))

    asyncio.run(story())
