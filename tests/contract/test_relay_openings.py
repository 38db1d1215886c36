"""What a client says before its flow begins goes with the opening, and reaches the server first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from link.relay.frames import HEADER
from link.stream import READ_AHEAD
from tests.contract.relay_stage import PATIENCE, Joined, MakeEnds, Run, refused, tcp_pair
from tests.streams import is_reset, receive, receive_exactly, send

WHOLE: int = READ_AHEAD - HEADER.size
"""The longest that is read with the opening as a whole."""


@pytest.mark.parametrize("size", [1, WHOLE - 1, WHOLE, WHOLE + 1, 60_000])
def test_first_words_arrive_whole_before_those_that_follow(
    make_ends: MakeEnds, run_on_loop: Run, size: int
) -> None:
    words = os.urandom(size)

    async def story() -> None:
        ends = make_ends()
        flow = Joined(ends, words=words)
        await send(flow.client, b"and more")
        flow.client.shutdown(socket.SHUT_WR)
        assert await receive_exactly(flow.server, size + 8) == words + b"and more"
        assert await receive(flow.server) == b""
        await send(flow.server, b"answer")
        assert await receive_exactly(flow.client, 6) == b"answer"
        assert flow.served is not None
        assert (flow.flow.from_first, flow.served.from_first) == (size + 8, size + 8)
        flow.server.shutdown(socket.SHUT_WR)
        await flow.wait_end()
        flow.close()
        await ends.aclose()

    run_on_loop(story())


def test_first_words_wait_for_a_server_that_takes_nothing_yet(
    make_ends: MakeEnds, run_on_loop: Run
) -> None:
    async def story() -> None:
        ends = make_ends()
        second, server = tcp_pair()
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += second.send(b"-" * 65536)
        flow = Joined(ends, server=(second, server), words=b"words")
        async with asyncio.timeout(PATIENCE):
            while flow.served is None:  # noqa: ASYNC110 - the listener's side announces nothing
                await asyncio.sleep(0)
        await send(flow.client, b".")
        await receive_exactly(server, filled)
        assert await receive_exactly(server, 6) == b"words."
        flow.close()
        await ends.aclose()

    run_on_loop(story())


def test_first_words_for_a_server_that_refuses_end_in_a_reset(
    make_ends: MakeEnds, run_on_loop: Run
) -> None:
    async def story() -> None:
        ends = make_ends()
        flow = Joined(ends, server=refused(), words=b"words")
        assert await is_reset(flow.client)
        await flow.wait_end()
        flow.close()
        await ends.aclose()

    run_on_loop(story())
