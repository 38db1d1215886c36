"""Every transport gives what `desktop.transports.transport` promises."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from desktop.transports.hyperv import HypervTransport, service_id
from desktop.transports.memory import MemoryTransport
from desktop.transports.stdio import StdioTransport
from desktop.transports.tcp import TcpTransport
from desktop.transports.transport import Transport, TransportError, WayGoneError
from desktop.transports.unix import UnixTransport
from desktop.transports.vsock import MonitoredVsockTransport
from link.relay.relay import reset_socket
from tests.contract.transport_ways import WAYS, Opened, Program
from tests.fake_hyperv import FakeHyperv
from tests.stories import run
from tests.streams import is_refused, receive
from tests.until import until

PATIENCE = 30.0


@pytest.fixture(params=WAYS)
def opened(request: pytest.FixtureRequest) -> Opened:
    return WAYS[request.param]


class Pairs(list[tuple[socket.socket, socket.socket]]):
    """Both ends of streams of one transport."""

    transport: Transport


@contextlib.asynccontextmanager
async def streams(opened: Opened, count: int = 1) -> AsyncIterator[Pairs]:
    async with opened() as (transport, far):
        pairs = Pairs()
        pairs.transport = transport
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


async def receive_all_of(sock: socket.socket, size: int) -> bytes:
    """So many bytes, in however many pieces they come; less at the end."""
    received = b""
    while len(received) < size and (data := await receive(sock, size - len(received))):
        received += data
    return received


def test_a_stream_is_a_connected_non_blocking_stream_socket(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened) as [(near, far)]:
            for end in (near, far):
                assert end.type == socket.SOCK_STREAM
                end.getpeername()
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
            assert await receive_all_of(near, 5) == b"still"

    run(story)


@pytest.mark.parametrize("side", [0, 1])
def test_a_reset_is_seen_as_one_or_at_least_as_the_end(opened: Opened, side: int) -> None:
    async def story() -> None:
        async with streams(opened) as pairs:
            [pair] = pairs
            reset_socket(pair[side])
            if pairs.transport.carries_reset:
                with pytest.raises(ConnectionResetError):
                    await receive(pair[1 - side])
            else:
                assert await receive(pair[1 - side]) == b""

    run(story)


@pytest.mark.parametrize("side", [0, 1])
def test_what_was_said_before_the_close_arrives_and_what_is_said_after_it_does_not(
    opened: Opened, side: int
) -> None:
    async def story() -> None:
        async with streams(opened) as [pair]:
            pair[side].send(b"last words")
            pair[side].close()
            other = pair[1 - side]
            assert await receive_all_of(other, 10) == b"last words"
            assert await receive(other) == b""
            await until(lambda: is_refused(other))

    run(story)


def test_many_streams_carry_each_its_own_at_once(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened, count=50) as pairs:
            await asyncio.gather(
                *(echo(near, far, bytes([n]) * 9999) for n, (near, far) in enumerate(pairs))
            )

    run(story)


async def echo(near: socket.socket, far: socket.socket, data: bytes) -> None:
    """There and back, and the end."""
    loop = asyncio.get_running_loop()
    for source, sink in ((near, far), (far, near)):
        sending = asyncio.ensure_future(loop.sock_sendall(source, data))
        received = b""
        while len(received) < len(data):
            received += await receive(sink)
        assert received == data
        await sending
        source.shutdown(socket.SHUT_WR)
        assert await receive(sink) == b""


def test_streams_live_on_without_their_transport(opened: Opened) -> None:
    async def story() -> None:
        async with streams(opened, count=2) as pairs:
            await pairs.transport.aclose()
            for near, far in pairs:
                await echo(near, far, bytes(99))

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


def test_nobody_there_is_a_transport_error(tmp_path: Path) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        transports = (
            TcpTransport("127.0.0.1", port),
            MemoryTransport(None),
            UnixTransport(tmp_path / "nobody"),
            MonitoredVsockTransport(tmp_path / "nobody", 5000),
            HypervTransport("6b1a6c0e-8a3c-4f43-9d2c-0c1d5d8b9a10", 5000, FakeHyperv(tmp_path)),
            HypervTransport("6b1a6c0e-8a3c-4f43-9d2c-0c1d5d8b9a10", 5000),
        )
        for transport in transports:
            with pytest.raises(TransportError):
                await transport.open()

    run(story)


def test_a_socket_that_was_removed_is_a_way_that_is_gone_for_good(tmp_path: Path) -> None:
    async def story() -> None:
        for place in (tmp_path / "removed", tmp_path / "with its folder" / "removed"):
            with pytest.raises(WayGoneError, match="was removed"):
                await UnixTransport(place).open()

    run(story)


def test_a_program_that_has_ended_opens_no_streams() -> None:
    async def story() -> None:
        near, far = socket.socketpair()
        with near:
            transport = StdioTransport(Program(near))
            stream = await transport.open()
            far.close()
            assert await receive(stream) == b""
            stream.close()
            with pytest.raises(TransportError, match="pipe"):
                await transport.open()

    run(story)


def test_a_program_that_says_something_else_opens_no_streams() -> None:
    async def story() -> None:
        near, far = socket.socketpair()
        far.setblocking(False)
        with near, far:
            transport = StdioTransport(Program(near))
            stream = await transport.open()
            await asyncio.get_running_loop().sock_sendall(
                far, b"bash: python3: no such file" * 3000
            )
            assert await receive(stream) == b""
            stream.close()
            with pytest.raises(TransportError, match="does not begin"):
                await transport.open()

    run(story)


def test_a_hyperv_stream_that_nobody_waits_for_any_more_leaves_no_socket(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        sockets = FakeHyperv(tmp_path)
        with sockets.listen("machine", service_id(5000)) as server:
            for _ in range(20):
                opening = asyncio.ensure_future(HypervTransport("machine", 5000, sockets).open())
                await asyncio.sleep(0)
                opening.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await opening
            for _ in range(20):
                connection, _ = await asyncio.get_running_loop().sock_accept(server)
                with connection:
                    connection.setblocking(False)
                    assert await receive(connection) == b""

    run(story)


def test_a_port_that_is_a_connections_has_no_hyperv_service() -> None:
    assert service_id(5000) == "00001388-facb-11e6-bd58-64006a7986d3"
    with pytest.raises(ValueError, match="no Hyper-V service"):
        service_id(1 << 31)


@pytest.mark.parametrize("answer", [b"", b"ERR 5000\n", b"x" * 99])
def test_a_monitor_that_refuses_opens_no_stream(answer: bytes, tmp_path: Path) -> None:
    async def story() -> None:
        path = str(tmp_path / "vsock")

        async def monitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"CONNECT 5000\n"
            writer.write(answer)
            await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(monitor, path):
            with pytest.raises(TransportError, match="refuses"):
                await MonitoredVsockTransport(path, 5000).open()

    run(story)


def test_not_a_byte_behind_a_monitors_answer_is_lost(tmp_path: Path) -> None:
    async def story() -> None:
        path = str(tmp_path / "vsock")

        async def monitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"OK 1073741825\nfirst words")
            await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(monitor, path):
            stream = await MonitoredVsockTransport(path, 5000).open()
            assert await receive(stream) == b"first words"
            stream.close()

    run(story)
