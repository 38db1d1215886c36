"""Connecting to a machine: there once it is connected, and a refusal in words."""

from __future__ import annotations

import asyncio
import socket

import pytest

from desktop.daemon.loops import new_event_loop
from desktop.transports.connecting import connect
from desktop.transports.transport import TransportError
from tests.quiet_ports import quiet_ports

HERE = "127.0.0.1"


def test_a_stream_to_a_machine_is_there_once_it_is_connected() -> None:
    async def story(server: socket.socket) -> None:
        with socket.socket() as client:
            client.setblocking(False)
            await connect(client, server.getsockname(), "the agent")
            assert client.getpeername() == server.getsockname()

    with socket.create_server((HERE, 0)) as server, runner() as loop:
        loop.run(story(server))


def test_a_machine_that_refuses_is_told_in_words() -> None:
    async def story() -> None:
        client = socket.socket()
        client.setblocking(False)
        await connect(client, (HERE, quiet_ports(1)), "the agent")

    with runner() as loop, pytest.raises(TransportError, match=r"the agent: .*refused"):
        loop.run(story())


def runner() -> asyncio.Runner:
    """On the loop that the daemon has here."""
    return asyncio.Runner(loop_factory=new_event_loop)
