"""What the real kernel answers and tells of sockets: dumps, and the events of destroyed ones.

Each test has a network namespace of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from typing import Final

import pytest

from link.listener import Listener
from link.sockdiag import (
    DestroyEvents,
    SockDiag,
    SockDiagError,
    ephemeral_ports,
    to_listener,
)
from tests.capabilities import INTERFACES, needs
from tests.integration.kernel_sockets import bind_udp, listen
from tests.private_network import private_network

PATIENCE: Final = 30.0
"""Seconds a condition may take."""

IPPROTO_MPTCP: Final = 262
IPPROTO_UDPLITE: Final = 136
SO_COOKIE: Final = 57
"""linux/in.h and asm-generic/socket.h."""


def disconnect(sock: socket.socket) -> None:
    """Take a UDP socket's peer away: connect to an address of no family (connect(2))."""
    nowhere = struct.pack("@H14x", socket.AF_UNSPEC)
    if ctypes.CDLL(None).connect(sock.fileno(), nowhere, len(nowhere)) != 0:
        raise OSError("a UDP socket could not be disconnected")


def dump(diag: SockDiag) -> list[Listener]:
    return [to_listener(each) for each in diag.listeners()]


# ---- the kernel's answers


@private_network
def test_a_multipath_listener_appears_as_tcp() -> None:
    try:
        sock = listen(protocol=IPPROTO_MPTCP)
    except OSError as error:
        pytest.skip(f"no multipath TCP here: {error}")
    diag = SockDiag()
    with sock, contextlib.closing(diag):
        (found,) = dump(diag)
        assert found.port == sock.getsockname()[1]
        assert found.inode == os.fstat(sock.fileno()).st_ino


@needs(INTERFACES)
@private_network
@pytest.mark.parametrize(("wildcard", "told"), [("0.0.0.0", "0.0.0."), ("::", "::")])
def test_who_takes_from_one_interface_only_is_told_from_who_takes_from_all(
    wildcard: str, told: str
) -> None:
    subprocess.run(["ip", "link", "add", "here", "type", "veth", "peer", "there"], check=True)
    diag = SockDiag()
    with listen(wildcard) as server, contextlib.closing(diag):
        assert dump(diag)[0].address == wildcard
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        assert dump(diag)[0].address == wildcard
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"here")
        assert dump(diag)[0].address == f"{told}{socket.if_nametoindex('here')}"


@private_network
def test_connections_and_bound_sockets_do_not_appear() -> None:
    diag = SockDiag()
    with listen() as server, socket.socket() as bound, contextlib.closing(diag):
        bound.bind(("127.0.0.1", 0))
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert [each.port for each in dump(diag)] == [server.getsockname()[1]]


@private_network
def test_a_socket_that_came_as_another_went_is_a_difference() -> None:
    diag = SockDiag()
    with contextlib.closing(diag), listen():
        assert not diag.is_as_before()
        with bind_udp():
            diag.listeners()
            assert diag.is_as_before()
        with bind_udp():
            assert diag.is_as_before(["tcp"])
            assert not diag.is_as_before(["udp"])
            assert not diag.is_as_before()


@private_network
def test_udp_sockets_appear_while_they_are_bound_and_have_no_peer() -> None:
    diag = SockDiag()
    with contextlib.closing(diag), bind_udp("127.0.0.1", 5000) as sock:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):  # never bound
            (first,) = dump(diag)
        assert (first.protocol, first.address, first.port) == ("udp", "127.0.0.1", 5000)
        sock.connect(("127.0.0.1", 9))
        assert dump(diag) == []
        disconnect(sock)
        assert dump(diag) == [first]


@private_network
def test_a_udp_client_that_loses_its_peer_and_port_does_not_appear() -> None:
    diag = SockDiag()
    with contextlib.closing(diag), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))
        disconnect(sock)
        assert dump(diag) == []
        sock.sendto(b"", ("127.0.0.1", 9))
        (found,) = dump(diag)
        assert found.port == sock.getsockname()[1]


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [(socket.SOCK_DGRAM, IPPROTO_UDPLITE), (socket.SOCK_RAW, socket.IPPROTO_UDP)],
    ids=["UDP-Lite", "raw"],
)
@private_network
def test_sockets_of_other_protocols_do_not_appear(kind: int, protocol: int) -> None:
    try:
        sock = socket.socket(socket.AF_INET, kind, protocol)
    except OSError as error:
        pytest.skip(f"no such sockets here: {error}")
    diag = SockDiag()
    with contextlib.closing(diag), sock, bind_udp("127.0.0.1", 5001):
        sock.bind(("127.0.0.1", 5000))
        assert [each.port for each in dump(diag)] == [5001]


@private_network
def test_a_closed_client_works_again() -> None:
    diag = SockDiag()
    with listen():
        first = dump(diag)
        diag.close()
        assert dump(diag) == first
        diag.close()


@pytest.mark.parametrize("open_one", [listen, bind_udp], ids=["tcp", "udp"])
@private_network
def test_who_was_seen_is_not_overlooked_in_a_dump_of_many_parts_while_others_come_and_go(
    open_one: Callable[[], socket.socket],
) -> None:
    diag = SockDiag()
    lasting = [open_one() for _ in range(700)]
    expected = {sock.getsockname()[1] for sock in lasting}
    assert expected <= {each.port for each in diag.listeners()}
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for sock in [open_one() for _ in range(20)]:
                sock.close()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(30):
            assert expected <= {each.port for each in diag.listeners()}
    finally:
        stop.set()
        thread.join()
        diag.close()
        for sock in lasting:
            sock.close()


# ---- destroy events


@private_network
def test_only_sockets_without_a_peer_wake() -> None:
    events = DestroyEvents()
    with listen() as server, contextlib.closing(events):
        for _ in range(20):
            client = socket.create_connection(server.getsockname())
            server.accept()[0].close()
            client.close()
            with socket.socket() as refused, pytest.raises(ConnectionRefusedError):
                refused.connect(("127.0.0.1", 1))
        server.close()
        # The listener's event is behind all of the connections' in the queue, if those came.
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        assert events._socket.recv(1)
        assert not events.drain()


def received(events: DestroyEvents, at_least: int = 0) -> int:
    """How many events there are besides that of a UDP socket which is closed now.

    The kernel tells them in order, mostly, and later than `close` returns.
    """
    with bind_udp("::1", 1) as last:
        cookie = last.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8)
    count, is_last_there = 0, False
    while not is_last_there or count < at_least:
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        if cookie in events._socket.recv(1 << 12):
            is_last_there = True
        else:
            count += 1
    return count


@private_network
def test_udp_sockets_without_a_peer_wake_and_connected_ones_do_not() -> None:
    events = DestroyEvents()
    with contextlib.closing(events), bind_udp("127.0.0.1", 5000) as server:
        for address in ("127.0.0.1", "::1"):
            for _ in range(20):
                with bind_udp(address) as client:
                    client.connect((address, 5000))
        assert received(events) == 0
        server.close()
        bind_udp("::", 5000).close()
        assert received(events, 2) == 2


@private_network
def test_clients_on_ports_of_the_kernels_choice_are_left_out_and_listeners_there_are_not() -> None:
    events = DestroyEvents()
    with contextlib.closing(events), bind_udp() as listener:
        for _ in range(20):
            bind_udp().close()
        assert received(events, 20) == 20
        events.leave_out(ephemeral_ports(), {listener.getsockname()[1]})
        for address in ("0.0.0.0", "::"):
            for _ in range(20):
                bind_udp(address).close()
        assert received(events) == 0
        listener.close()
        listen().close()
        bind_udp("0.0.0.0", 5000).close()
        assert received(events, 3) == 3


@private_network
def test_an_overflow_is_a_reason_to_look_and_heals() -> None:
    events = DestroyEvents()
    with contextlib.closing(events):
        events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(200):
            listen().close()
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        assert events.drain()
        while events.drain():
            pass
        listen("::1").close()
        assert select.select([events], [], [], PATIENCE)[0] == [events]
        assert events.drain()


@private_network
def test_events_of_a_closed_subscription_are_an_error() -> None:
    events = DestroyEvents()
    events.close()
    events.close()
    with pytest.raises(SockDiagError):
        events.drain()
