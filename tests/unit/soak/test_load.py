"""What clients of a soak tell is what happened: a cut is no end, and an end is no cut."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from link.relay.relay import reset_socket
from tests.soak.load import PATIENCE, echoing, exchanges

CLIENTS: Final = 25

Serve = Callable[[socket.socket], None]


def _reset(client: socket.socket) -> None:
    client.recv(1)
    reset_socket(client)


def _close(client: socket.socket) -> None:
    while client.recv(1 << 16):
        pass
    client.close()


def _end_early(client: socket.socket) -> None:
    heard = client.recv(1 << 16)
    while client.recv(1 << 16):
        pass
    client.sendall(heard[:1])
    client.close()


def _lie(client: socket.socket) -> None:
    while client.recv(1 << 16):
        pass
    client.sendall(b"?!" * (1 << 16))
    client.close()


@pytest.fixture
def outcomes_of() -> Iterator[Callable[[Serve], set[str]]]:
    """What clients tell of a server, which serves one after the other."""
    server = socket.create_server(("127.0.0.1", 0))

    def outcomes(serve: Serve) -> set[str]:
        def run() -> None:
            for _ in range(CLIENTS):
                serve(server.accept()[0])

        thread = threading.Thread(target=run, name="server")
        thread.start()
        space, chance = exchanges(), random.Random(1)
        address = server.getsockname()
        told = {space["exchange"](space["tcp"], chance, *address)[2] for _ in range(CLIENTS)}
        thread.join(PATIENCE)
        assert not thread.is_alive()
        return told

    with server:
        yield outcomes


@pytest.mark.parametrize(
    ("serve", "outcome"),
    [
        (_reset, "ConnectionResetError"),
        (_close, "ended at once"),
        (_end_early, "cut short"),
        (_lie, "wrong"),
    ],
)
def test_each_way_to_break_off_is_told(
    outcomes_of: Callable[[Serve], set[str]], serve: Serve, outcome: str
) -> None:
    assert outcomes_of(serve) == {outcome}


def test_what_comes_back_whole_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with echoing(port):
        space, chance = exchanges(), random.Random(2)
        for how in ("tcp", "udp"):
            where = ("127.0.0.1", port + (how == "udp"))
            assert space["exchange"](space[how], chance, *where)[2] == "whole"
