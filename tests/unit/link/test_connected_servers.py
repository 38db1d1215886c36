"""Servers that connect to their first client: with real sockets, some of another process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from desktop.listeners.linux import LinuxListenerSource
from link.connected_servers import ConnectedServers
from link.sockdiag import ListeningSocket, SockDiag

STRANGER = """
import socket, sys
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.connect(("127.0.0.1", int(sys.argv[1])))
client.send(b"hello")
sys.stdin.read()
"""


@contextlib.contextmanager
def server(address: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((address, port))
        sock.settimeout(10)
        yield sock


@contextlib.contextmanager
def flow(port: int) -> Iterator[socket.socket]:
    """A socket of ours that has spoken to a server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        sock.send(b"hello")
        yield sock


@contextlib.contextmanager
def stranger(port: int) -> Iterator[None]:
    """Another process that has."""
    command = [sys.executable, "-c", STRANGER, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        yield
    finally:
        process.stdin.close()
        process.wait(10)


def record_of(sock: socket.socket) -> ListeningSocket:
    inode = os.fstat(sock.fileno()).st_ino
    with contextlib.closing(SockDiag()) as diag:
        return next(each for each in diag.listeners() if each.inode == inode)


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def connect_to_first_client(sock: socket.socket) -> None:
    _data, client = sock.recvfrom(100)
    sock.connect(client)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_server_that_connects_to_a_flow_of_ours_is_one_still(address: str) -> None:
    servers = ConnectedServers()
    with server(address) as serving:
        record = record_of(serving)
        with flow(port_of(serving)):
            connect_to_first_client(serving)
            assert servers.among([record]) == [record]
            assert servers.among([record]) == [record]


def test_it_stays_one_when_the_flow_has_ended_and_goes_when_it_closes() -> None:
    servers = ConnectedServers()
    with server() as serving:
        record = record_of(serving)
        with flow(port_of(serving)):
            connect_to_first_client(serving)
            assert servers.among([record]) == [record]
        assert servers.among([record]) == [record]
    assert servers.among([record]) == []


def test_a_server_that_connects_to_somebody_else_is_a_client() -> None:
    with server() as serving:
        record = record_of(serving)
        with stranger(port_of(serving)):
            connect_to_first_client(serving)
            assert ConnectedServers().among([record]) == []


def test_a_socket_of_ours_that_speaks_to_another_server_proves_nothing() -> None:
    with server() as serving, server() as other:
        record = record_of(serving)
        with flow(port_of(other)) as speaking:
            serving.connect(speaking.getsockname())
            assert ConnectedServers().among([record]) == []


def test_a_server_that_closed_is_none() -> None:
    with server() as serving:
        record = record_of(serving)
    assert ConnectedServers().among([record]) == []


def test_another_socket_on_its_port_is_not_taken_for_it() -> None:
    servers = ConnectedServers()
    with server() as serving:
        record, port = record_of(serving), port_of(serving)
    with server("127.0.0.1", port) as heir, flow(port):
        connect_to_first_client(heir)
        assert servers.among([record]) == []


def test_tcp_listeners_that_are_missing_are_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        record = record_of(listener)
    assert ConnectedServers().among([record]) == []


def test_this_computers_listeners_include_those_in_a_conversation_with_us() -> None:
    with contextlib.closing(LinuxListenerSource()) as source, server_on_purpose() as serving:
        port = port_of(serving)

        def is_listed() -> bool:
            return port in [each.port for each in source.scan(frozenset())]

        assert is_listed()
        with flow(port):
            connect_to_first_client(serving)
            assert is_listed()
        serving.close()
        assert not is_listed()


def server_on_purpose() -> contextlib.AbstractContextManager[socket.socket]:
    """On a port below those of the kernel's choice, so that it counts at once."""
    for port in range(20000, 30000):
        try:
            with server("127.0.0.1", port):
                pass
        except OSError:
            continue
        return server("127.0.0.1", port)
    raise AssertionError("no port is free")
