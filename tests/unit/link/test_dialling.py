"""What a system says of a connect that goes on, and of one that failed."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from desktop.daemon.loops import new_event_loop
from desktop.transports.connecting import connect
from desktop.transports.transport import TransportError
from link.dial import CONNECTING, dial, error_words
from link.one_byte import HERE, Answerer, ask_byte
from tests.quiet_ports import quiet_ports


def test_the_words_of_an_error_are_those_of_the_system_that_counts_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "errorTab", {10061: "Connection refused."}, raising=False)
    assert error_words(10061) == "Connection refused."
    assert error_words(errno.EACCES) == os.strerror(errno.EACCES)


@pytest.mark.parametrize("address", [HERE, "::1"])
def test_a_server_of_this_computer_is_dialled_without_waiting(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        server.settimeout(30.0)
        with dial(address, server.getsockname()[1]) as client:
            accepted, _ = server.accept()
            with accepted:
                assert accepted.getpeername()[:2] == client.getsockname()[:2]


def test_a_connect_that_does_not_wait_has_begun_or_is_done() -> None:
    with socket.create_server((HERE, 0)) as server, socket.socket() as client:
        client.setblocking(False)
        assert client.connect_ex(server.getsockname()) in {0, *CONNECTING}


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


def test_one_byte_is_answered_on_either_protocol() -> None:
    async def story() -> None:
        answerer = Answerer()
        try:
            for protocol, port in answerer.ports.items():
                await ask_byte(protocol, port)
        finally:
            answerer.close()

    with runner() as loop:
        loop.run(story())


def runner() -> asyncio.Runner:
    """On the loop that the daemon has here."""
    return asyncio.Runner(loop_factory=new_event_loop)
