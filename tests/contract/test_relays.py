"""Every relay gives what `link.relay.relay` promises, with every other, on every event loop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import socket

import pytest

from link.dial import ForbiddenAddressError, dial
from link.relay.relay import reset_socket
from tests.contract.relay_stage import PAIRS, Joined, MakeEnds, Run, joined, refused
from tests.private_network import private_network
from tests.streams import is_reset, receive, receive_exactly, send
from tests.until import until


def test_bytes_pass_both_ways_and_are_counted(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            await send(flow.client, b"question")
            assert await receive_exactly(flow.server, 8) == b"question"
            await send(flow.server, b"answer!")
            assert await receive_exactly(flow.client, 7) == b"answer!"
            assert (flow.flow.from_first, flow.flow.from_second) == (8, 7)
            assert flow.ends.count == 2

    run_on_loop(story())


def test_a_server_that_speaks_first_is_heard(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            await send(flow.server, b"220 hello\r\n")
            assert await receive_exactly(flow.client, 11) == b"220 hello\r\n"

    run_on_loop(story())


def test_half_close_leaves_the_other_direction_open(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
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

    run_on_loop(story())


def test_bytes_and_end_sent_at_once_both_arrive(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        for size in (1, 65535, 65536, 65537, 131072):
            async with joined(make_ends) as flow:
                flow.client.setblocking(True)
                flow.client.sendall(b"x" * size)
                flow.client.close()
                assert len(await receive_exactly(flow.server, size)) == size
                assert await receive(flow.server) == b""

    run_on_loop(story())


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_reset_on_one_side_is_a_reset_on_the_other(
    make_ends: MakeEnds, run_on_loop: Run, side: str
) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            await send(flow.client, b"hello")
            await receive_exactly(flow.server, 5)
            ends = (flow.client, flow.server)
            dying, other = ends if side == "client" else ends[::-1]
            reset_socket(dying)
            assert await is_reset(other)
            await flow.wait_end()

    run_on_loop(story())


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "empty"])
@pytest.mark.parametrize("pair", ["splice-splice", "splice-splice-tunnelled"])
def test_a_client_that_has_said_all_and_is_reset_then_ends_the_flow(
    pair: str, run_on_loop: Run, is_full: bool
) -> None:
    async def story() -> None:
        async with joined(PAIRS[pair]) as flow:
            flow.client.shutdown(socket.SHUT_WR)
            assert await receive(flow.server) == b""
            if is_full:
                await fill(flow)
            reset_socket(flow.client)
            await flow.wait_end()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                flow.server.send(b"nobody is there")

    run_on_loop(story())


@pytest.mark.parametrize("last", [0, 1, 100_000])
@pytest.mark.parametrize("before", [0, 1 << 20], ids=["short", "long"])
@pytest.mark.parametrize("pair", ["splice-splice", "splice-splice-tunnelled"])
def test_a_client_that_says_all_and_is_reset_at_once_is_heard_and_ends_the_flow(
    pair: str, run_on_loop: Run, before: int, last: int
) -> None:
    async def story() -> None:
        async with joined(PAIRS[pair], room=1 << 19) as flow:
            sending = asyncio.get_running_loop().sock_sendall(flow.client, bytes(before))
            await asyncio.gather(sending, receive_exactly(flow.server, before))
            flow.client.setblocking(True)
            flow.client.sendall(bytes(last))  # the relay sees nothing until all of this has come
            flow.client.shutdown(socket.SHUT_WR)
            reset_socket(flow.client)
            await receive_exactly(flow.server, last)
            await flow.wait_end()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                flow.server.send(b"nobody is there")

    run_on_loop(story())


async def fill(flow: Joined) -> None:
    """Let the server speak until nobody takes more, since its client does not read."""
    passed = -1
    while passed < flow.flow.from_second:
        passed = flow.flow.from_second
        with contextlib.suppress(BlockingIOError):
            while flow.server.send(bytes(1 << 16)):
                pass
        await asyncio.sleep(0.2)


def test_a_close_is_not_a_reset(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            flow.client.close()
            assert not await is_reset(flow.server)
            flow.server.close()
            await flow.wait_end()

    run_on_loop(story())


def test_what_was_said_before_a_reset_is_delivered(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            await send(flow.server, b"e" * 100_000)
            while flow.flow.from_second < 100_000:  # noqa: ASYNC110 - the relay counts silently
                await asyncio.sleep(0.001)
            reset_socket(flow.server)
            assert len(await receive_exactly(flow.client, 100_000)) == 100_000
            assert await is_reset(flow.client)
            await flow.wait_end()

    run_on_loop(story())


def test_a_dial_that_is_refused_is_a_reset(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        ends = make_ends()
        flow = Joined(ends, server=refused())
        assert await is_reset(flow.client)
        await flow.wait_end()
        await ends.aclose()
        flow.close()

    run_on_loop(story())


@pytest.mark.parametrize("room", [1 << 16, 1 << 19], ids=["little room", "much room"])
def test_a_slow_reader_costs_bounded_memory_and_loses_nothing(
    make_ends: MakeEnds, run_on_loop: Run, room: int
) -> None:
    block = os.urandom(1 << 20)
    total, part = 64 * len(block), 16 * len(block)

    async def write(client: socket.socket) -> bytes:
        sent = hashlib.sha256()
        for _ in range(0, total, len(block)):
            await asyncio.get_running_loop().sock_sendall(client, block)
            sent.update(block)
        client.shutdown(socket.SHUT_WR)
        return sent.digest()

    async def read(flow: Joined) -> bytes:
        received = hashlib.sha256()
        for taken in range(0, total, part):
            await flow.wait_held_back(taken)
            received.update(await receive_exactly(flow.server, part))
        assert await receive(flow.server) == b""
        return received.digest()

    async def story() -> None:
        async with joined(make_ends, room) as flow:
            assert flow.ends.most < part
            sent, received = await asyncio.gather(write(flow.client), read(flow))
            assert received == sent

    run_on_loop(story())


def test_a_stalled_flow_holds_up_no_other(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as stalled:
            other = Joined(stalled.ends)
            stalled.client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    stalled.client.send(b"z" * 65536)
            await send(other.client, b"ping")
            assert await receive_exactly(other.server, 4) == b"ping"
            other.close()

    run_on_loop(story())


def test_closing_the_relay_resets_its_flows(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(make_ends) as flow:
            await send(flow.client, b"a")
            await receive_exactly(flow.server, 1)
            await flow.ends.aclose()
            assert await is_reset(flow.client)
            assert await is_reset(flow.server)
            await flow.wait_end()

    run_on_loop(story())


def test_many_short_flows_leave_no_descriptor(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        ends = make_ends()

        async def one() -> None:
            flow = Joined(ends)
            await send(flow.client, b"x")
            assert await receive_exactly(flow.server, 1) == b"x"
            flow.client.close()
            assert await receive(flow.server) == b""
            flow.server.close()
            await flow.wait_end()
            flow.close()

        await one()
        gc.collect()  # what other tests have dropped goes now, not meanwhile
        before = len(os.listdir("/dev/fd"))
        for _ in range(300):
            await one()
        assert ends.count == 0
        await until(lambda: len(os.listdir("/dev/fd")) <= before)  # a loop closes some in its turn
        await ends.aclose()

    run_on_loop(story())


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
