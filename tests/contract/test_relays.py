"""Every relay gives what `link.relay.relay` promises, on every event loop it may meet."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from link.dial import ForbiddenAddressError, dial
from link.relay.kernel import unsent_bytes
from link.relay.portable import PortableRelay
from link.relay.relay import Flow, Relay, reset_socket
from link.relay.splice import SpliceRelay
from tests.private_network import private_network

MakeRelay = Callable[[], Relay]
RELAYS: list[MakeRelay] = [SpliceRelay, lambda: PortableRelay(unsent_bytes)]
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]
PATIENCE = 10.0


@pytest.fixture(params=RELAYS, ids=["splice", "portable"])
def make_relay(request: pytest.FixtureRequest) -> MakeRelay:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def runner(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as one:
            one.run(asyncio.wait_for(coroutine, 60))

    return runner


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


class Joined:
    """A client and a server with a flow between them."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.client, first = tcp_pair()
        second, self.server = tcp_pair()
        self.ends: list[Flow] = []
        self.ended = asyncio.Event()
        self.flow = relay.join(first, second, self._end)

    def _end(self, flow: Flow) -> None:
        self.ends.append(flow)
        self.ended.set()

    async def wait_end(self) -> None:
        await asyncio.wait_for(self.ended.wait(), PATIENCE)
        assert self.ends == [self.flow]
        assert self.relay.count == 0


@contextlib.asynccontextmanager
async def joined(make_relay: MakeRelay) -> AsyncIterator[Joined]:
    relay = make_relay()
    flow = Joined(relay)
    try:
        yield flow
    finally:
        await relay.aclose()
        flow.client.close()
        flow.server.close()


async def send(sock: socket.socket, data: bytes) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, data), PATIENCE)


async def receive(sock: socket.socket, size: int = 1 << 16) -> bytes:
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, size), PATIENCE)


async def receive_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await receive(sock, size - len(data))
        assert part, f"end-of-file after {len(data)} of {size} bytes"
        data += part
    return data


async def is_reset(sock: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        while await receive(sock):
            pass
        return False
    return True


def test_bytes_pass_both_ways_and_are_counted(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.client, b"question")
            assert await receive_exactly(flow.server, 8) == b"question"
            await send(flow.server, b"answer!")
            assert await receive_exactly(flow.client, 7) == b"answer!"
            assert (flow.flow.from_first, flow.flow.from_second) == (8, 7)
            assert flow.relay.count == 1

    run(story())


def test_a_server_that_speaks_first_is_heard(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.server, b"220 hello\r\n")
            assert await receive_exactly(flow.client, 11) == b"220 hello\r\n"

    run(story())


def test_half_close_leaves_the_other_direction_open(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.client, b"last words")
            flow.client.shutdown(socket.SHUT_WR)
            assert await receive_exactly(flow.server, 10) == b"last words"
            assert await receive(flow.server) == b""
            await send(flow.server, b"still here")
            assert await receive_exactly(flow.client, 10) == b"still here"
            assert not flow.ended.is_set()
            flow.server.shutdown(socket.SHUT_WR)
            assert await receive(flow.client) == b""
            await flow.wait_end()

    run(story())


def test_bytes_and_end_sent_at_once_both_arrive(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        for size in (1, 65535, 65536, 65537, 131072):
            async with joined(make_relay) as flow:
                flow.client.setblocking(True)
                flow.client.sendall(b"x" * size)
                flow.client.close()
                assert len(await receive_exactly(flow.server, size)) == size
                assert await receive(flow.server) == b""

    run(story())


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_reset_on_one_side_is_a_reset_on_the_other(
    make_relay: MakeRelay, run: Any, side: str
) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.client, b"hello")
            await receive_exactly(flow.server, 5)
            ends = (flow.client, flow.server)
            dying, other = ends if side == "client" else ends[::-1]
            reset_socket(dying)
            assert await is_reset(other)
            await flow.wait_end()

    run(story())


def test_a_close_is_not_a_reset(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            flow.client.close()
            assert not await is_reset(flow.server)
            flow.server.close()
            await flow.wait_end()

    run(story())


def test_what_was_said_before_a_reset_is_delivered(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.server, b"e" * 100_000)
            while flow.flow.from_second < 100_000:  # noqa: ASYNC110 - the relay counts silently
                await asyncio.sleep(0.001)
            reset_socket(flow.server)
            assert len(await receive_exactly(flow.client, 100_000)) == 100_000
            assert await is_reset(flow.client)
            await flow.wait_end()

    run(story())


def test_a_dial_that_is_refused_is_a_reset(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        relay = make_relay()
        client, first = tcp_pair()
        ended = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        relay.join(first, dial("127.0.0.1", port), lambda _flow: ended.set(), to_second=b"hi")
        assert await is_reset(client)
        await asyncio.wait_for(ended.wait(), PATIENCE)
        client.close()
        await relay.aclose()

    run(story())


def test_bytes_read_before_the_flow_come_first(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        relay = make_relay()
        client, first = tcp_pair()
        second, server = tcp_pair()
        await send(client, b" and later")
        relay.join(first, second, lambda _flow: None, to_second=b"early")
        assert await receive_exactly(server, 15) == b"early and later"
        await relay.aclose()
        client.close()
        server.close()

    run(story())


def test_a_slow_reader_costs_bounded_memory_and_loses_nothing(
    make_relay: MakeRelay, run: Any
) -> None:
    total = 64 << 20
    block = os.urandom(1 << 20)

    async def story() -> None:
        async with joined(make_relay) as flow:
            sent = hashlib.sha256()

            async def write() -> None:
                for _ in range(total // len(block)):
                    await asyncio.get_running_loop().sock_sendall(flow.client, block)
                    sent.update(block)
                flow.client.shutdown(socket.SHUT_WR)

            writer = asyncio.create_task(write())
            before = -1
            while flow.flow.from_first != before:
                before = flow.flow.from_first
                await asyncio.sleep(0.3)
            assert before < total // 2, "the writer was not held back by a reader that is asleep"
            received = hashlib.sha256()
            while data := await receive(flow.server, 1 << 20):
                received.update(data)
            await writer
            assert received.digest() == sent.digest()

    run(story())


def test_a_stalled_flow_holds_up_no_other(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as stalled:
            other = Joined(stalled.relay)
            stalled.client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stalled.client.send(b"z" * 65536)
            await send(other.client, b"ping")
            assert await receive_exactly(other.server, 4) == b"ping"
            other.client.close()
            other.server.close()

    run(story())


def test_closing_the_relay_resets_its_flows(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        async with joined(make_relay) as flow:
            await send(flow.client, b"a")
            await receive_exactly(flow.server, 1)
            await flow.relay.aclose()
            assert await is_reset(flow.client)
            assert await is_reset(flow.server)
            await flow.wait_end()

    run(story())


def test_a_thousand_short_flows_leave_no_descriptor(make_relay: MakeRelay, run: Any) -> None:
    async def story() -> None:
        relay = make_relay()

        async def one() -> None:
            flow = Joined(relay)
            await send(flow.client, b"x")
            assert await receive_exactly(flow.server, 1) == b"x"
            flow.client.close()
            assert await receive(flow.server) == b""
            flow.server.close()
            await asyncio.wait_for(flow.ended.wait(), PATIENCE)

        await one()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(1000):
            await one()
        assert relay.count == 0
        assert len(os.listdir("/proc/self/fd")) == before
        await relay.aclose()

    run(story())


@private_network
def test_a_dialled_connection_is_in_no_listeners_way() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, dial(*server.getsockname()) as client:
        accepted, (_, port) = server.accept()
        with accepted, socket.create_server(("0.0.0.0", port)) as other:
            assert other.getsockname()[1] == client.getsockname()[1]


@pytest.mark.parametrize("address", ["192.0.2.1", "0.0.0.0", "fe80::1", "::"])
def test_only_loopback_is_ever_dialled(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        dial(address, 1)
