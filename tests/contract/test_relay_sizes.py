"""Every size arrives whole through every pair of relays, and so do many flows at once."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.capabilities import POSIX_FILES
from tests.contract.relay_sizes import COPY_SIZE, PIPE_SIZE, RAW_AFTER, TURN_BYTES
from tests.contract.relay_stage import Ends, Joined, MakeEnds, Run
from tests.streams import receive_all, send

EDGES: Final = (1 << 12, COPY_SIZE, 2 * COPY_SIZE, TURN_BYTES, RAW_AFTER, PIPE_SIZE, 1 << 21)
"""Sizes of buffers, pipes and turns, and twice and half of some."""
SIZES: Final = sorted(
    {0, 1, 2, *(edge + more for edge in EDGES for more in (-65, -5, -4, -1, 0, 1, 4, 5))} - {0}
)
NOISE: Final = os.urandom(max(SIZES))
MANY: Final = 500
SIZE_OF_MANY: Final = 128 << 10
DESCRIPTORS: Final = 16 * MANY


@pytest.fixture
def descriptors() -> Iterator[None]:
    """There may be enough of them."""
    if not POSIX_FILES.is_there:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(DESCRIPTORS, before[0]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def say(sock: socket.socket, data: bytes) -> None:
    """Send all of it, and then end-of-file."""
    await send(sock, data)
    sock.shutdown(socket.SHUT_WR)


async def exchange(flow: Joined, there: bytes, back: bytes) -> None:
    """Send both at once, and compare what arrives."""
    _, _, at_server, at_client = await asyncio.gather(
        say(flow.client, there),
        say(flow.server, back),
        receive_all(flow.server),
        receive_all(flow.client),
    )
    for sent, received in ((there, at_server), (back, at_client)):
        assert len(received) == len(sent)
        assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
    await flow.wait_end()
    assert (flow.flow.from_first, flow.flow.from_second) == (len(there), len(back))


@pytest.mark.parametrize("sizes", [SIZES[::2], SIZES[1::2]], ids=["even", "odd"])
def test_every_size_around_the_edges_of_buffers_arrives_whole_both_ways(
    make_ends: MakeEnds, run_on_loop: Run, sizes: list[int]
) -> None:
    async def story() -> None:
        ends = make_ends()
        for there, back in zip(sizes, reversed(sizes), strict=True):
            flow = Joined(ends)
            await exchange(flow, NOISE[:there], NOISE[-back:])
            flow.close()
        assert ends.count == 0
        await ends.aclose()

    run_on_loop(story())


def test_a_flow_of_nothing_is_a_flow(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def story() -> None:
        ends = make_ends()
        flow = Joined(ends)
        await exchange(flow, b"", b"")
        flow.close()
        await ends.aclose()

    run_on_loop(story())


@pytest.mark.usefixtures("descriptors")
def test_many_flows_at_once_are_all_carried_whole(make_ends: MakeEnds, run_on_loop: Run) -> None:
    async def one(ends: Ends, number: int) -> None:
        flow = Joined(ends)
        data = NOISE[number : number + SIZE_OF_MANY]
        await exchange(flow, data, data[::-1])
        flow.close()

    async def story() -> None:
        ends = make_ends()
        await asyncio.gather(*(one(ends, number) for number in range(MANY)))
        assert ends.count == 0
        await ends.aclose()

    run_on_loop(story())
