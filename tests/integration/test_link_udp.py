"""UDP over the link, both ends in one process, over every transport."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from link.datagrams.flow import UNWATCHED
from link.datagrams.front import Front
from link.messages import StubKey, StubResults, Stubs, UdpLimits
from link.wire import OpenRequest
from tests.integration.both_ends import KINDS, PATIENCE, Both, Desktop, ask, both, free_port
from tests.stories import run
from tests.until import until


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class UdpEcho:
    """Answers with the port that it hears, then what it heard."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind((address, port))
        asyncio.get_running_loop().add_reader(self._socket, self._serve)
        name = self._socket.getsockname()
        self.where = str(name[0]), int(name[1])

    def close(self) -> None:
        """Free the port. May be called twice."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _serve(self) -> None:
        data, client = self._socket.recvfrom(1 << 16)
        self._socket.sendto(self.answer(data, client[1]), client)

    def answer(self, data: bytes, port: int) -> bytes:
        return b"%d %b" % (port, data)


class UdpMirror(UdpEcho):
    """Answers with what it heard, backwards."""

    def answer(self, data: bytes, port: int) -> bytes:  # noqa: ARG002
        return data[::-1]


@contextlib.asynccontextmanager
async def udp_echo(address: str = "127.0.0.1") -> AsyncIterator[tuple[str, int]]:
    """One for as long as it lasts; where."""
    with contextlib.closing(UdpEcho(address)) as server:
        yield server.where


@contextlib.contextmanager
def mirror_of(desktop: Desktop, server: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """A UDP mirror of `server` on a port of the kernel's choice; where."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    front = Front(
        desktop.sockets,
        "127.0.0.1",
        port,
        target=lambda: OpenRequest(*server, "udp"),
        pool=desktop.pool,
        limits=desktop.limits,
        watch=UNWATCHED,
    )
    try:
        yield "127.0.0.1", port
    finally:
        front.close()


def udp_client(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM)
    client.setblocking(False)
    client.connect(address)
    return client


async def ask_udp(client: socket.socket, words: bytes) -> tuple[int, bytes]:
    """The port that the server heard, and what. Asks again: a datagram may be lost for a cause."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                await loop.sock_sendall(client, words)
                async with asyncio.timeout(0.5):
                    return split_answer(await loop.sock_recv(client, 1 << 16))
            await asyncio.sleep(0.01)


def split_answer(answer: bytes) -> tuple[int, bytes]:
    port, _, words = answer.partition(b" ")
    return int(port), words


def test_udp_clients_of_a_mirror_get_their_own_answers(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo() as server:
            await ends.desktop.start()
            with mirror_of(ends.desktop, server) as mirror:
                with udp_client(mirror) as one, udp_client(mirror) as two:
                    ports = set()
                    for turn in range(100):
                        for client, name in ((one, b"one"), (two, b"two")):
                            port, words = split_answer(await ask(client, b"%b %d" % (name, turn)))
                            assert words == b"%b %d" % (name, turn)
                            ports.add((name, port))
                    assert len(ports) == len({port for _name, port in ports}) == 2

    run(story)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_udp_clients_of_a_stub_get_their_own_answers(kind: str, address: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo(address) as server:
            stub = await open_stub(ends, address, server)
            with udp_client((address, stub.port)) as one, udp_client((address, stub.port)) as two:
                for turn in range(100):
                    asked = [b"one %d" % turn, b"two %d" % turn]
                    answers = await asyncio.gather(ask(one, asked[0]), ask(two, asked[1]))
                    assert [split_answer(answer)[1] for answer in answers] == asked
            assert ends.desktop.traffic.flows("udp") == 2
            ends.desktop.link.send(Stubs((), (stub,)))
            await ends.desktop.next()
            await until(lambda: ends.desktop.traffic.flows("udp") == 0)

    run(story)


async def open_stub(ends: Both, address: str, server: tuple[str, int]) -> StubKey:
    await ends.desktop.start()
    await ends.desktop.next()
    await ends.desktop.next()
    ends.desktop.target = server
    stub = StubKey(address, free_port(), "udp")
    ends.desktop.link.send(Stubs((stub,), ()))
    results = await ends.desktop.next()
    assert isinstance(results, StubResults)
    assert [result.is_open for result in results.results] == [True]
    return stub


def test_datagrams_of_every_size_cross_whole_both_ways(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            with contextlib.closing(UdpMirror()) as server:
                with mirror_of(ends.desktop, server.where) as mirror, udp_client(mirror) as client:
                    for size in (0, 1, 1472, 9000, 65_507):
                        data = os.urandom(size)
                        assert await ask(client, data) == data[::-1]

    run(story)


def test_a_udp_server_that_is_not_there_is_told_and_served_once_it_is(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            server = UdpEcho()
            server.close()
            await ends.desktop.start()
            with mirror_of(ends.desktop, server.where) as mirror, udp_client(mirror) as client:
                for _ in range(2):
                    with pytest.raises(ConnectionRefusedError):
                        await ask(client, b"nobody there")
                with contextlib.closing(UdpEcho(*server.where)):
                    assert split_answer(await ask(client, b"third"))[1] == b"third"

    run(story)


def test_the_agent_sends_datagrams_to_nothing_but_loopback(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            with mirror_of(ends.desktop, ("192.0.2.1", 53)) as mirror:
                with udp_client(mirror) as client:
                    await asyncio.get_running_loop().sock_sendall(client, b"out")
                    await until(lambda: bool(ends.agent._backs))
                    (back,) = ends.agent._backs
                    await until(lambda: back.dropped_here == 1)
                    assert back.count == 0

    run(story)


def test_a_udp_client_is_served_again_when_a_lost_link_is_back(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo() as server:
            await ends.desktop.start()
            with mirror_of(ends.desktop, server) as mirror, udp_client(mirror) as client:
                assert split_answer(await ask(client, b"before"))[1] == b"before"
                for back in list(ends.agent._backs):
                    back.close()  # as the death of the agent does
                assert (await ask_udp(client, b"after"))[1] == b"after"

    run(story)


def test_datagrams_wait_for_a_link_and_are_delivered_in_order(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo() as server:
            with mirror_of(ends.desktop, server) as mirror, udp_client(mirror) as client:
                loop = asyncio.get_running_loop()
                for turn in range(10):
                    await loop.sock_sendall(client, b"%d" % turn)
                await ends.desktop.start()
                for turn in range(10):
                    answer = await asyncio.wait_for(loop.sock_recv(client, 100), PATIENCE)
                    assert split_answer(answer)[1] == b"%d" % turn

    run(story)


def test_the_desktops_limits_hold_for_the_flows_of_a_stub(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo() as server:
            stub = await open_stub(ends, "127.0.0.1", server)
            ends.desktop.link.send(UdpLimits(idle_seconds=1, most_flows=2))
            with udp_client(("127.0.0.1", stub.port)) as client:
                first, _ = split_answer(await ask(client, b"first"))
                await until(lambda: ends.desktop.traffic.flows("udp") == 0)
                second, _ = split_answer(await ask(client, b"second"))
                assert second != first
            clients = [udp_client(("127.0.0.1", stub.port)) for _ in range(3)]
            for client in clients:
                await ask(client, b"me")
                client.close()
            assert ends.desktop.traffic.flows("udp") == 2

    run(story)


def test_a_lower_limit_ends_flows_that_were_there_before(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends, udp_echo() as server:
            await ends.desktop.start()
            with mirror_of(ends.desktop, server) as mirror, udp_client(mirror) as client:
                first, _ = split_answer(await ask(client, b"first"))
                ends.desktop.limits.idle_seconds = 1
                (back,) = ends.agent._backs
                await until(lambda: back.count == 0)
                second, _ = split_answer(await ask(client, b"second"))
                assert second != first

    run(story)
