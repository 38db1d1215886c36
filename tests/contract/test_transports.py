"""Every transport gives what `desktop.transports.transport` promises."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from desktop.transports.memory import MemoryTransport
from desktop.transports.tcp import TcpTransport
from desktop.transports.transport import Transport, TransportError
from link.acceptor import Acceptor, listen_tcp
from link.relay.relay import reset_socket

PATIENCE = 10.0
Far = asyncio.Queue[socket.socket]


@contextlib.asynccontextmanager
async def tcp() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    acceptor = Acceptor(listen_tcp("127.0.0.1", 0), far.put_nowait)
    try:
        yield TcpTransport(*acceptor.address), far
    finally:
        acceptor.close()


@contextlib.asynccontextmanager
async def memory() -> AsyncIterator[tuple[Transport, Far]]:
    far: Far = asyncio.Queue()
    yield MemoryTransport(far.put_nowait), far


Opened = Callable[[], Any]


@pytest.fixture(params=[tcp, memory], ids=["tcp", "memory"])
def opened(request: pytest.FixtureRequest) -> Opened:
    return request.param  # type: ignore[no-any-return]


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await story()

    asyncio.run(bounded())


@contextlib.asynccontextmanager
async def streams(opened: Opened, count: int = 1) -> AsyncIterator[list[tuple[Any, Any]]]:
    async with opened() as (transport, far):
        pairs = []
        for _ in range(count):
            near = await transport.open()
            pairs.append((near, await asyncio.wait_for(far.get(), PATIENCE)))
        try:
            yield pairs
        finally:
            for near, end in pairs:
                near.close()
                end.close()
            await transport.aclose()
            await transport.aclose()


async def receive(sock: socket.socket, size: int = 65536) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, size), PATIENCE)


def test_a_stream_is_a_connected_non_blocking_stream_socket(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened) as [(near, far)]:
            for end in (near, far):
                assert end.type == socket.SOCK_STREAM
                assert end.getpeername()
                with pytest.raises(BlockingIOError):
                    end.recv(1)

    run(story)


def test_bytes_arrive_in_order_and_whole(opened: Opened) -> None:
    async def story() -> None:
        data = bytes(range(256)) * 4096
        async with streams(opened) as [(near, far)]:
            loop = asyncio.get_running_loop()
            for source, sink in ((near, far), (far, near)):
                sending = asyncio.ensure_future(loop.sock_sendall(source, data))
                received = b""
                while len(received) < len(data):
                    received += await receive(sink)
                await sending
                assert received == data

    run(story)


def test_half_close_is_end_of_file_and_no_more(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened) as [(near, far)]:
            near.shutdown(socket.SHUT_WR)
            assert await receive(far) == b""
            await asyncio.get_running_loop().sock_sendall(far, b"still")
            assert await receive(near) == b"still"

    run(story)


@pytest.mark.parametrize("side", [0, 1])
def test_a_reset_is_seen_as_one(opened: Opened, side: int) -> None:
    async def story() -> None:
        async with streams(opened) as [pair]:
            reset_socket(pair[side])
            with pytest.raises(ConnectionResetError):
                await receive(pair[1 - side])

    run(story)


def test_a_stalled_stream_holds_up_no_other(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened, count=20) as pairs:
            stalled = pairs[0][0]
            with contextlib.suppress(BlockingIOError):
                while True:
                    stalled.send(b"x" * 65536)
            for index, (near, far) in enumerate(pairs[1:]):
                near.send(bytes([index]))
                assert await receive(far) == bytes([index])

    run(story)


def test_nobody_there_is_a_transport_error() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for transport in (TcpTransport("127.0.0.1", port), MemoryTransport(None)):
            with pytest.raises(TransportError):
                await transport.open()

    run(story)
