"""A byte is answered with its complement, and nothing else counts as an answer."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable

import pytest

from desktop.daemon.loops import new_event_loop
from link import one_byte
from link.one_byte import HERE, MOST_CLIENTS, Answerer, ask_byte, free_port
from tests import stories

PROTOCOLS = ("tcp", "udp")


def run(story: Callable[[], Awaitable[None]]) -> None:
    """On the event loop of the daemon."""
    stories.run(story, new_event_loop)


def test_every_byte_gets_its_complement_by_both_protocols() -> None:
    async def story() -> None:
        with contextlib.closing(Answerer()) as answerer:
            for protocol, port in answerer.ports.items():
                for _ in range(20):
                    await ask_byte(protocol, port)

    run(story)


def test_it_is_gone_when_it_is_closed() -> None:
    async def story() -> None:
        answerer = Answerer()
        answerer.close()
        answerer.close()
        for protocol, port in answerer.ports.items():
            with pytest.raises(ConnectionRefusedError):
                await ask_byte(protocol, port)

    run(story)


def test_its_clients_are_bounded() -> None:
    async def story() -> None:
        with contextlib.closing(Answerer()) as answerer, contextlib.ExitStack() as stack:
            loop = asyncio.get_running_loop()
            clients = [socket.socket() for _ in range(MOST_CLIENTS + 1)]
            for client in clients:
                stack.enter_context(client)
                client.connect((HERE, answerer.ports["tcp"]))
                client.setblocking(False)
            with pytest.raises(ConnectionResetError):
                await loop.sock_recv(clients[-1], 1)
            await loop.sock_sendall(clients[0], b"\x0f")
            assert await loop.sock_recv(clients[0], 1) == b"\xf0"

    run(story)


@pytest.mark.parametrize(
    ("says", "why"), [(b"", "ended without an answer"), (b"always the same", "somebody else")]
)
def test_what_is_no_answer_is_told(says: bytes, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda _count: b"\x00")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(says)
        writer.close()
        await writer.wait_closed()

    async def story() -> None:
        async with await asyncio.start_server(serve, HERE, 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionError, match=why):
                await ask_byte("tcp", port)

    asyncio.run(story())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_silence_ends_with_its_time(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_byte, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(one_byte, "UDP_RETRY_SECONDS", 0.02)

    async def story() -> None:
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as silent:
            silent.bind((HERE, 0))
            if protocol == "tcp":
                silent.listen()
            with pytest.raises(TimeoutError, match="no answer within"):
                await ask_byte(protocol, silent.getsockname()[1])

    run(story)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_free_port_can_be_bound(protocol: str) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((HERE, free_port(protocol)))
