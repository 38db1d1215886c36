"""One socket by asyncio-dgram: its bounds, its errors, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable

import pytest

from desktop.datagrams import endpoint as module
from desktop.datagrams.endpoint import Endpoint, EndpointGroup
from desktop.datagrams.queue import MOST_DATAGRAMS, Datagram
from desktop.sockets.linux import LinuxSockets
from tests.capabilities import LINUX_KERNEL, needs
from tests.unit.datagrams.worlds import LOOPS, plain, run
from tests.until import until

HIGHEST_QUEUE = 64
"""Datagrams in asyncio-dgram's own queue: what a loop reads in one turn; libuv 32, asyncio 1."""


class World:
    """A bound endpoint, and what it said."""

    def __init__(self, group: EndpointGroup, on_start: Callable[[], None] = lambda: None) -> None:
        sock = LinuxSockets().datagram(socket.AF_INET)
        sock.bind(("127.0.0.1", 0))
        self.address: tuple[str, int] = sock.getsockname()
        self.received: list[Datagram] = []
        self.batches = 0
        self.errors: list[OSError] = []
        self.endpoint = Endpoint(
            group,
            sock,
            "of a test",
            on_datagrams=self._take,
            on_error=self.errors.append,
            on_start=on_start,
        )

    def _take(self, datagrams: list[Datagram]) -> None:
        assert datagrams
        self.received += datagrams
        self.batches += 1


on_every_loop = pytest.mark.parametrize("loop", LOOPS)


@on_every_loop
def test_a_flood_that_nobody_takes_costs_bounded_memory_and_the_newest_survive(loop: str) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        world = World(group)
        for number in range(20_000):
            world.endpoint._put(number.to_bytes(4, "big"), ("127.0.0.1", 1))
        assert len(world.endpoint._queue) == MOST_DATAGRAMS
        assert world.endpoint.dropped == 20_000 - MOST_DATAGRAMS
        await until(lambda: bool(world.received))
        assert len(world.received) == MOST_DATAGRAMS
        assert world.received[-1].payload == (19_999).to_bytes(4, "big")
        assert world.batches == 1
        world.endpoint.close()
        group.close()

    run(loop, story())


@needs(LINUX_KERNEL)
@on_every_loop
def test_a_flood_does_not_gather_in_asyncio_dgram_whose_queue_has_no_bound(loop: str) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        world = World(group)
        await until(lambda: world.endpoint.is_started)
        highest = 0

        def flood() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                for _ in range(20_000):
                    client.sendto(b"flood", world.address)

        thread = threading.Thread(target=flood)
        thread.start()
        while thread.is_alive():
            stream = world.endpoint._stream
            assert stream is not None
            highest = max(highest, stream._recvq.qsize())  # type: ignore[attr-defined]
            await asyncio.sleep(0)
        thread.join()
        assert world.received
        assert highest <= HIGHEST_QUEUE
        world.endpoint.close()
        group.close()

    run(loop, story())


@on_every_loop
def test_a_stream_that_cannot_be_made_is_said_and_frees_the_port(
    loop: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(_sock: socket.socket) -> None:
        raise OSError(28, "no room for another watch")

    monkeypatch.setattr(module, "from_socket", refuse)

    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        world = World(group)
        await until(lambda: not group.tasks)
        assert "UDP of a test broke" in caplog.text
        assert "no room for another watch" in caplog.text
        with plain(*world.address):
            assert world.endpoint.send(memoryview(b"1234"), 2, ("127.0.0.1", 9)) == 2
        group.close()

    run(loop, story())


@on_every_loop
def test_a_stream_that_breaks_is_said_and_frees_the_port(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        world = World(group)
        await until(lambda: world.endpoint.is_started)
        stream = world.endpoint._stream
        assert stream is not None
        stream.close()
        await until(lambda: not group.tasks)
        assert "UDP of a test broke" in caplog.text
        with plain(*world.address):
            world.endpoint.drain()
        group.close()

    run(loop, story())


@needs(LINUX_KERNEL)
@on_every_loop
def test_an_error_that_is_read_late_is_told_without_another_sending(loop: str) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        with plain("127.0.0.1") as server:
            address = server.getsockname()
            world = World(group, lambda: world.endpoint._sock.connect(address))
            await until(lambda: world.endpoint.is_started)
            assert world.endpoint.send(memoryview(b"!"), 1) == 0
            await until(lambda: world.endpoint._error_looks > 0)
            stream = world.endpoint._stream
            assert stream is not None
            stream._excq.put_nowait(ConnectionRefusedError())  # type: ignore[attr-defined]
            await until(lambda: len(world.errors) == 1)
            await until(lambda: world.endpoint._error_look is None)
        world.endpoint.close()
        group.close()

    run(loop, story())


@on_every_loop
def test_errors_that_nobody_reads_for_are_told_soon_and_end_nothing(loop: str) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        with plain("127.0.0.1") as server:
            address = server.getsockname()
        world = World(group, lambda: world.endpoint._sock.connect(address))
        await until(lambda: world.endpoint.is_started)
        for number in range(1, 4):
            assert world.endpoint.send(memoryview(b"?"), 1) == 0
            await until(lambda number=number: len(world.errors) == number)  # type: ignore[misc]
        assert all(isinstance(error, ConnectionRefusedError) for error in world.errors)
        with plain(*address) as server:
            assert world.endpoint.send(memoryview(b"!"), 1) == 0
            _, client = server.recvfrom(9)
            server.sendto(b"yes", client)
            await until(lambda: bool(world.received))
        world.endpoint.close()
        group.close()

    run(loop, story())


@on_every_loop
def test_what_was_read_when_it_was_closed_is_not_handed_on_later(loop: str) -> None:
    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        world = World(group)
        await until(lambda: world.endpoint.is_started)
        stream = world.endpoint._stream
        assert stream is not None
        # The reader has been woken for these when the endpoint is closed, but has not run.
        for _ in range(2):
            stream._recvq.put_nowait((b"late", ("127.0.0.1", 1)))  # type: ignore[attr-defined]
        world.endpoint.close()
        await until(lambda: not group.tasks)
        world.endpoint.drain()
        assert not world.received
        group.close()

    run(loop, story())


@on_every_loop
def test_closing_the_group_closes_what_is_left(loop: str) -> None:
    async def story() -> None:
        before = len(os.listdir("/dev/fd"))
        group = EndpointGroup(LinuxSockets())
        worlds = [World(group) for _ in range(3)]
        await asyncio.sleep(0)
        worlds += [World(group) for _ in range(3)]
        group.close()
        for world in worlds:
            with plain(*world.address):
                world.endpoint.close()
        await until(lambda: not group.tasks)
        await until(lambda: len(os.listdir("/dev/fd")) == before)

    run(loop, story())


@needs(LINUX_KERNEL)
@on_every_loop
def test_a_loop_that_ends_first_leaves_no_noise(
    loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    groups: list[EndpointGroup] = []

    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        groups.append(group)
        world = World(group)
        await until(lambda: world.endpoint.is_started)
        World(group)
        # Of one that is cancelled in the very turn in which it is made uvloop warns (endpoint.py),
        # and `wait_for` took a turn of its own up to Python 3.11.
        await asyncio.sleep(0)

    run(loop, story())
    groups.pop().close()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@needs(LINUX_KERNEL)
def test_without_a_descriptor_to_exchange_asyncio_frees_the_port_at_once_too() -> None:
    """As on Windows, which has no dup2 for sockets."""

    async def story() -> None:
        group = EndpointGroup(LinuxSockets())
        assert group._nowhere is not None
        group._nowhere.close()
        group._nowhere = None
        world = World(group)
        await until(lambda: world.endpoint.is_started)
        world.endpoint.close()
        with plain(*world.address):
            await until(lambda: not group.tasks)
        group.close()

    run("asyncio", story())


def test_a_system_that_refuses_large_buffers_is_asked_for_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    allowed = 256 << 10

    class Stingy(socket.socket):
        def setsockopt(self, level: int, option: int, value: int) -> None:  # type: ignore[override]
            if option == socket.SO_RCVBUF:
                asked.append(value)
                if value > allowed:
                    raise OSError(55, "no buffer space available")
            super().setsockopt(level, option, value)

    monkeypatch.setattr(socket, "socket", Stingy)
    LinuxSockets().datagram(socket.AF_INET).close()
    assert asked == [4 << 20, 1 << 20, allowed]
    asked.clear()
    allowed = 1
    LinuxSockets().datagram(socket.AF_INET).close()
    assert asked == [4 << 20, 1 << 20, 256 << 10]
