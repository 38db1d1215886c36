"""What a lone datagram costs in work of the interpreter. Counts, not seconds.

Every function that is called, Python's or C's, costs most of what it does again after a sleep,
when the processor has forgotten it; a wake-up for one datagram is such a case.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NamedTuple

import pytest

from link.datagrams import linux
from link.datagrams.linux import LinuxDatagramSockets
from tests.arrival import await_datagrams, await_news
from tests.contract.udp_world import Client, World, world
from tests.promptness import TRIES

CALLS: Final = {"in": 17, "across": 22, "back": 16, "out": 24}
"""Most that are called for one datagram, by leg: a few more than when this was written."""
ROUNDS: Final = 2000
BLOCKS: Final = 50
"""Objects that ROUNDS datagrams may leave: what pools and caches hold."""
BURST: Final = 50
"""Datagrams: fewer than one call takes."""
LARGE: Final = 60_000
"""Bytes of a datagram that would show if it were copied."""
COPY_BYTES: Final = 30_000
"""Most memory that may be in use at once for one look at BURST datagrams, or one at a large one."""


class Leg(NamedTuple):
    """Where something comes in, and what moves it on."""

    source: socket.socket
    move: Callable[[], None]


class Legs:
    """A conversation whose four legs are moved by hand."""

    def __init__(self, one: World, client: Client) -> None:
        flow = one.backs[0]._flows.all()[0]
        back, front = one.backs[0]._stream, one.front._stream
        assert isinstance(one.front._listening, linux._Listening)
        assert isinstance(flow.socket, linux._Connected)
        assert back._socket is not None
        assert front._socket is not None
        self._client, self._server = client.sock, one.server.sock
        self._room = bytearray(1 << 16)
        self.legs: dict[str, Leg] = {
            "in": Leg(one.front._listening.sock, one.front._listening.look),
            "across": Leg(back._socket, back.drain),
            "back": Leg(flow.socket.sock, flow.socket.look),
            "out": Leg(front._socket, front.drain),
        }

    def round_trip(self, run: Callable[[str, Callable[[], None]], None]) -> None:
        self._client.send(b"question")
        self._run("in", run)
        self._run("across", run)
        await_news(self._server)
        question, sender = self._server.recvfrom(100)
        assert question == b"question"
        self._server.sendto(b"answer", sender)
        self._run("back", run)
        self._run("out", run)
        await_news(self._client)
        assert self._client.recv(100) == b"answer"

    def ask(self, *questions: bytes) -> None:
        """Questions that come at once, and reach the server."""
        for question in questions:
            self._client.send(question)
        there, across = self.legs["in"], self.legs["across"]
        await_datagrams(there.source, len(questions))
        arrived = 0
        while arrived < len(questions):
            await_news(there.source, across.source, self._server)
            there.move()
            across.move()
            with contextlib.suppress(BlockingIOError):
                while self._server.recv_into(self._room):
                    arrived += 1

    def _run(self, name: str, run: Callable[[str, Callable[[], None]], None]) -> None:
        await_news(self.legs[name].source)
        run(name, self.legs[name].move)


def converse(story: Callable[[Legs], None]) -> None:
    async def told() -> None:
        async with world(LinuxDatagramSockets) as one:
            client = one.client()
            await client.ask(b"the first makes a flow")
            for endpoint in (client, one.server):
                asyncio.get_running_loop().remove_reader(endpoint.sock.fileno())
            story(Legs(one, client))

    asyncio.run(told())


def test_a_lone_datagram_is_passed_on_by_few_calls() -> None:
    counts = dict.fromkeys(CALLS, 0)

    def counted(name: str, leg: Callable[[], None]) -> None:
        def count(_frame: FrameType, event: str, _argument: Any) -> None:
            counts[name] += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            leg()
        finally:
            sys.setprofile(None)

    def story(legs: Legs) -> None:
        for _ in range(2):
            legs.round_trip(lambda _, leg: leg())
        legs.round_trip(counted)

    converse(story)
    assert {name: count for name, count in counts.items() if not 5 < count <= CALLS[name]} == {}


def test_datagrams_leave_nothing_behind() -> None:
    def story(legs: Legs) -> None:
        def round_trips() -> None:
            for _ in range(ROUNDS):
                legs.round_trip(lambda _, leg: leg())

        round_trips()
        gc.collect()
        before = sys.getallocatedblocks()
        round_trips()
        gc.collect()
        assert sys.getallocatedblocks() - before < BLOCKS

    converse(story)


def test_bursts_leave_nothing_behind() -> None:
    def story(legs: Legs) -> None:
        def bursts() -> None:
            for _ in range(ROUNDS // BURST):
                legs.ask(*[b"question"] * BURST)

        bursts()
        gc.collect()
        before = sys.getallocatedblocks()
        bursts()
        gc.collect()
        assert sys.getallocatedblocks() - before < BLOCKS

    converse(story)


@pytest.mark.parametrize("datagrams", [[bytes(LARGE)], [bytes(1400)] * BURST], ids=["one", "burst"])
def test_what_datagrams_say_is_copied_by_the_kernel_only(datagrams: list[bytes]) -> None:
    assert sum(map(len, datagrams)) >= 2 * COPY_BYTES

    def story(legs: Legs) -> None:
        def most_used() -> int:
            tracemalloc.start()
            try:
                legs.ask(*datagrams)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

        legs.ask(*datagrams)
        # What comes in parts is put together: on a busy computer some of it may be late.
        assert 0 < min(most_used() for _ in range(TRIES)) < COPY_BYTES

    converse(story)
