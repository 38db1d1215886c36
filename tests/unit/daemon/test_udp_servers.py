"""The desktop's end of UDP flows from stubs: what is served, counted, and cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import pytest

from desktop.daemon.traffic import Traffic
from desktop.daemon.udp_servers import UdpServers
from desktop.datagrams.select import open_datagram_sockets
from desktop.mirror.model import Binding, Origin, Target
from desktop.transports.memory import tcp_pair
from link.datagrams.flows import Limits
from link.datagrams.frames import Frame, Kind, cut, header
from tests.stories import run
from tests.until import until

PATIENCE = 30.0
STUB = Binding(Origin.HOST, "udp", "127.0.0.1", 5300, "vm")
OTHER_STUB = Binding(Origin.HOST, "udp", "127.0.0.1", 5301, "vm")

_Value = TypeVar("_Value")


class Scene:
    """Servers of this computer, and what the daemon has for them."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self.limits = Limits()
        self.sockets = open_datagram_sockets("auto")
        self.servers = UdpServers(self.sockets, self.limits, self.traffic)
        self.real = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.real.setblocking(False)
        self.real.bind(("127.0.0.1", 0))
        self._streams = contextlib.ExitStack()

    def stream(self, binding: Binding, target: Target | None = None) -> socket.socket:
        """The machine's end of a stream that a stub opened."""
        near, far = tcp_pair()
        self._streams.enter_context(near)
        self.servers.opened(binding, far, target or Target(*self.real.getsockname()))
        return near

    async def hears(self) -> tuple[bytes, tuple[str, int]]:
        """What the real server hears next, and from where."""
        data, peer = await _soon(asyncio.get_running_loop().sock_recvfrom(self.real, 1 << 16))
        return data, peer

    def close(self) -> None:
        """End all of it."""
        self.servers.close_all()
        self.sockets.close()
        self.real.close()
        self._streams.close()


@contextlib.asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    with contextlib.closing(Scene()) as it:
        yield it


async def _soon(awaitable: Awaitable[_Value]) -> _Value:
    return await asyncio.wait_for(awaitable, PATIENCE)


async def say(stream: socket.socket, flow: int, words: bytes) -> None:
    """A datagram of a container's client."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(stream, header(Kind.DATA, flow, len(words), len(words)) + words)


async def frames(stream: socket.socket, count: int = 1) -> list[Frame]:
    """The next frames on a stream."""
    data = b""
    while True:
        found, _used = cut(memoryview(data))
        if len(found) >= count:
            return found
        more = await _soon(asyncio.get_running_loop().sock_recv(stream, 1 << 16))
        assert more, "the stream ended"
        data += more


def test_each_flow_of_a_stream_has_a_port_of_its_own_and_its_own_answers() -> None:
    async def story() -> None:
        async with scene() as it:
            stream = it.stream(STUB)
            await say(stream, 7, b"seven")
            await say(stream, 8, b"eight")
            heard = dict([await it.hears(), await it.hears()])
            assert heard.keys() == {b"seven", b"eight"}
            assert heard[b"seven"] != heard[b"eight"]
            it.real.sendto(b"to eight", heard[b"eight"])
            (frame,) = await frames(stream)
            assert (frame.flow, bytes(frame.payload)) == (8, b"to eight")

    run(story)


def test_flows_and_bytes_are_counted_for_the_mirror() -> None:
    async def story() -> None:
        async with scene() as it:
            stream = it.stream(STUB)
            await say(stream, 1, b"question")
            _words, peer = await it.hears()
            it.real.sendto(b"the answer", peer)
            await frames(stream)
            counts = it.traffic.of(STUB)
            assert (counts.flows, counts.bytes_in, counts.bytes_out) == (1, 8, 10)
            assert it.traffic.flows("udp") == 1
            assert it.traffic.of(OTHER_STUB).flows == 0

    run(story)


def test_closing_a_mirror_sends_the_servers_last_words_and_ends_its_streams() -> None:
    async def story() -> None:
        async with scene() as it:
            streams = [it.stream(STUB), it.stream(STUB)]
            for stream in streams:
                await say(stream, 1, b"question")
                _words, peer = await it.hears()
                it.real.sendto(b"last words", peer)
            # Closed in the same turn: no look at the sockets has come between.
            it.servers.close(STUB)
            for stream in streams:
                (frame,) = await frames(stream)
                assert bytes(frame.payload) == b"last words"
                assert await _soon(asyncio.get_running_loop().sock_recv(stream, 1)) == b""
            assert it.traffic.of(STUB).flows == 0
            it.servers.close(STUB)

    run(story)


def test_closing_a_mirror_leaves_the_flows_of_others_alone() -> None:
    async def story() -> None:
        async with scene() as it:
            gone, stays = it.stream(STUB), it.stream(OTHER_STUB)
            for stream in (gone, stays):
                await say(stream, 1, b"question")
                await it.hears()
            it.servers.close(STUB)
            await say(stays, 1, b"still here")
            words, _peer = await it.hears()
            assert words == b"still here"
            assert it.traffic.flows("udp") == 1

    run(story)


def test_nothing_reaches_the_server_once_its_mirror_is_closed() -> None:
    async def story() -> None:
        async with scene() as it:
            stream = it.stream(STUB)
            await say(stream, 1, b"allowed")
            await it.hears()
            await say(stream, 1, b"too late")
            it.servers.close(STUB)
            with pytest.raises(BlockingIOError):
                it.real.recv(100)
            await until(lambda: is_over(stream))
            with pytest.raises(BlockingIOError):
                it.real.recv(100)

    run(story)


def is_over(stream: socket.socket) -> bool:
    try:
        return stream.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_stream_that_ends_takes_its_flows_along() -> None:
    async def story() -> None:
        async with scene() as it:
            stream = it.stream(STUB)
            await say(stream, 1, b"question")
            await it.hears()
            assert it.traffic.of(STUB).flows == 1
            stream.close()
            await until(lambda: it.traffic.of(STUB).flows == 0)
            assert it.traffic.of(STUB).bytes_in == len(b"question")

    run(story)


def test_a_target_that_is_not_loopback_is_never_spoken_to() -> None:
    async def story() -> None:
        async with scene() as it:
            stream = it.stream(STUB, Target("192.0.2.1", 53))
            await say(stream, 1, b"out")
            await until(lambda: it.traffic.of(STUB).dropped == 1)
            assert it.traffic.of(STUB).flows == 0

    run(story)


def test_what_breaks_the_format_ends_that_stream_only() -> None:
    async def story() -> None:
        async with scene() as it:
            bad, good = it.stream(STUB), it.stream(STUB)
            await say(bad, 1, b"question")
            await it.hears()
            await asyncio.get_running_loop().sock_sendall(bad, header(9, 1))
            assert await _soon(asyncio.get_running_loop().sock_recv(bad, 1)) == b""
            assert it.traffic.of(STUB).flows == 0
            await say(good, 1, b"still served")
            assert (await it.hears())[0] == b"still served"

    run(story)


def test_what_containers_side_dropped_is_counted_once_over_all_its_streams() -> None:
    async def story() -> None:
        async with scene() as it:
            loop = asyncio.get_running_loop()
            first, second = it.stream(STUB), it.stream(STUB)
            for stream, count in ((first, 5), (second, 5)):
                await loop.sock_sendall(stream, header(Kind.DROPPED, count))
            await until(lambda: it.traffic.of(STUB).dropped == 5)
            first.close()
            await loop.sock_sendall(second, header(Kind.DROPPED, 7))
            await until(lambda: it.traffic.of(STUB).dropped == 7)
            second.close()
            await loop.sock_sendall(it.stream(STUB), header(Kind.DROPPED, 8))
            await until(lambda: it.traffic.of(STUB).dropped == 8)

    run(story)
