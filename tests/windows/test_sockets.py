"""Sockets of mirrors, on the kernel whose options they use."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing

import pytest

from desktop.daemon.loops import new_event_loop
from desktop.datagrams.portable import PortableDatagramSockets
from desktop.datagrams.select import open_datagram_sockets
from desktop.mirror.systems import WINDOWS, Why
from desktop.sockets.select import host_sockets
from desktop.sockets.windows import WindowsSockets
from link.datagrams.sockets import Train
from tests.windows.wine import not_by_wine

SIZES = [1, 0, 1400, 65507, 0]
ADDRESSES = ["127.0.0.1", "::1", "0.0.0.0", "::"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_they_are_those_of_windows() -> None:
    assert isinstance(host_sockets(), WindowsSockets)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_port_is_bound_where_it_was_asked_for_and_nobody_else_gets_it(
    protocol: str, address: str
) -> None:
    port, sockets = free_port(), host_sockets()
    make = sockets.listen if protocol == "tcp" else sockets.bind_datagrams
    with closing(make(address, port).sock) as sock:
        assert sock.getsockname()[:2] == (address, port)
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is the point
            make(address, port)
        # WSAEACCES of a wildcard under Wine: then the daemon looks who has it (failures.py).
        assert WINDOWS.numbers[number_of(caught.value)] in (Why.IN_USE, Why.DENIED)
        with socket.socket(sock.family, sock.type) as theirs:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError):  # noqa: PT011 - EADDRINUSE, or EACCES by SO_REUSEADDR
                theirs.bind((address, port))


def number_of(error: OSError) -> int:
    return getattr(error, "winerror", None) or error.errno or 0


def test_each_family_is_bound_by_itself() -> None:
    port, sockets = free_port(), host_sockets()
    with closing(sockets.listen("::", port).sock), closing(sockets.listen("0.0.0.0", port).sock):
        pass


def test_an_address_that_is_not_here_is_told_as_such() -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is the point
        host_sockets().listen("192.0.2.1", free_port())
    assert WINDOWS.numbers[number_of(caught.value)] is Why.NO_ADDRESS


def test_a_client_that_has_gone_is_not_felt_by_the_next_one() -> None:
    with closing(host_sockets().bind_datagrams("127.0.0.1", free_port()).sock) as server:
        server.setblocking(True)
        server.settimeout(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            nobody = gone.getsockname()
        for _ in range(3):
            server.sendto(b"late", nobody)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"hello", server.getsockname())
            assert server.recv(100) == b"hello"


def test_datagrams_pass_and_are_answered_on_the_loop_of_windows() -> None:
    port = free_port()

    def ask() -> list[int]:
        heard = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            client.connect(("127.0.0.1", port))
            for size in SIZES:
                client.send(b"x" * size)
                heard.append(len(client.recv(1 << 16)))
        return heard

    async def story() -> list[int]:
        sockets = open_datagram_sockets("auto")
        assert isinstance(sockets, PortableDatagramSockets)

        def answer(trains: Sequence[Train]) -> None:
            for train in trains:
                payload = memoryview(b"".join(train.parts))
                assert listening.send(listening.peer(train.key), payload, train.segment) == 0

        listening = sockets.listen("127.0.0.1", port, answer)
        heard = await asyncio.to_thread(ask)
        listening.close()
        sockets.close()
        return heard

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(story()) == SIZES


@not_by_wine("forgets a socket in a select that waits, once an ICMP error has come for it")
def test_a_server_that_is_not_there_is_told_and_then_found_on_the_loop_of_windows() -> None:
    port = free_port()

    async def story() -> None:
        sockets, refused = open_datagram_sockets("auto"), asyncio.Event()
        heard: asyncio.Queue[int] = asyncio.Queue()

        def hear(trains: Sequence[Train]) -> None:
            for train in trains:
                heard.put_nowait(train.size)

        connected = sockets.connect("127.0.0.1", port, hear, refused.set)
        async with asyncio.timeout(20):
            while not refused.is_set():
                connected.send(memoryview(b"anybody?"), 8)
                await asyncio.sleep(0.05)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(("127.0.0.1", port))
                connected.send(memoryview(b"hello"), 5)
                _, client = await asyncio.to_thread(server.recvfrom, 100)
                server.sendto(b"you said hello", client)
                assert await heard.get() == 14
        connected.close()
        sockets.close()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story())


def test_reading_and_writing_are_told_on_the_loop_of_windows() -> None:
    async def story() -> list[bytes]:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            writable = asyncio.Event()
            loop.add_reader(near, lambda: heard.put_nowait(near.recv(100)))
            loop.add_writer(near, writable.set)
            await asyncio.wait_for(writable.wait(), 10)
            loop.remove_writer(near)
            said = []
            for text in (b"one", b"two"):
                far.sendall(text)
                said.append(await asyncio.wait_for(heard.get(), 10))
            assert loop.remove_reader(near)
            return said

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(story()) == [b"one", b"two"]
