"""What a process holds is counted by kind, and each socket of the Internet protocols is told."""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

from tests.soak.held import Inet, held_by


def test_each_kind_is_counted(tmp_path: Path) -> None:
    before, _ = held_by(os.getpid())
    with (
        (tmp_path / "file").open("w"),
        select.epoll(),
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
        socket.create_server(("127.0.0.1", 0)),
        socket.socket(),
    ):
        udp.bind(("::1", 0))
        pipe, pair = os.pipe(), socket.socketpair()
        after, _ = held_by(os.getpid())
        for end in pipe:
            os.close(end)
        for sock in pair:
            sock.close()
    more = after - before
    assert more == {
        "file": 1,
        "eventpoll": 1,
        "udp": 1,
        "tcp": 1,
        "closed tcp": 1,
        "pipe": 2,
        "unix": 2,
    }
    assert held_by(os.getpid())[0] == before


def test_a_listener_is_told_from_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
            _, inets = held_by(os.getpid())
    listener = Inet("tcp", "127.0.0.1", port, "0A", peer=0)
    assert listener.listens
    assert listener in inets


def test_a_datagram_socket_listens_until_it_is_connected() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.bind(("::1", 0))
        port = sock.getsockname()[1]
        assert [each.listens for each in held_by(os.getpid())[1] if each.port == port] == [True]
        sock.connect(("::1", port))
        (inet,) = [each for each in held_by(os.getpid())[1] if each.port == port]
    assert (inet.protocol, inet.address, inet.listens) == ("udp", "::1", False)
