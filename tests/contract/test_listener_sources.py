"""What every source of listeners guarantees: the fake one and, with real sockets, this system's."""

from __future__ import annotations

import abc
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from desktop.listeners.fake import FakeListenerSource
from desktop.listeners.linux import LinuxListenerSource
from desktop.listeners.source import ListenerSource
from link.listener import Listener, canonical_address
from tests.private_network import private_network

SO_COOKIE: Final = 57
"""asm-generic/socket.h."""

FIRST_PORT: Final = 10_000
"""Ports from here are not of the kernel's choice, so UDP sockets there are listeners at once."""

PATIENCE: Final = 5.0
"""Seconds until a wake-up must have come."""


@dataclass
class Opened:
    """A listener that a test opened, as whoever opened it knows it."""

    id: int
    inode: int
    port: int
    close: Callable[[], None]


class World(abc.ABC):
    """A place where a test opens listeners, and the source that should see them."""

    def __init__(self, source: ListenerSource) -> None:
        self.source = source
        self._next_port = FIRST_PORT

    def listen(
        self,
        address: str,
        port: int = 0,
        *,
        protocol: str = "tcp",
        v6only: bool = True,
        shared: bool = False,
    ) -> Opened:
        """Open a listener; port 0 takes one that nobody has, `shared` is SO_REUSEPORT."""
        self._next_port += 1
        return self._open(protocol, address, port or self._next_port, v6only, shared)

    @abc.abstractmethod
    def _open(
        self, protocol: str, address: str, port: int, v6only: bool, shared: bool
    ) -> Opened: ...

    @abc.abstractmethod
    def close(self) -> None:
        """Close all, the source too."""


class RealWorld(World):
    """Kernel sockets of this thread's network namespace."""

    def __init__(self) -> None:
        super().__init__(LinuxListenerSource())
        self._sockets: list[socket.socket] = []

    def _open(self, protocol: str, address: str, port: int, v6only: bool, shared: bool) -> Opened:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        sock = socket.socket(family, kind)
        self._sockets.append(sock)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        sock.bind((address, port))
        if protocol == "tcp":
            sock.listen()
        cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), "little")
        inode = os.fstat(sock.fileno()).st_ino
        return Opened(cookie, inode, port, sock.close)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self.source.close()


class FakeWorld(World):
    """Made-up listeners, numbered."""

    def __init__(self) -> None:
        self.fake = FakeListenerSource()
        super().__init__(self.fake)
        self._count = 0

    def _open(
        self,
        protocol: str,
        address: str,
        port: int,
        v6only: bool,
        shared: bool,  # noqa: ARG002 - a made-up port is never in use
    ) -> Opened:
        self._count += 1
        number = self._count
        canonical = canonical_address(address)
        only = v6only or canonical != "::"
        self.fake.add(
            Listener(number, protocol, canonical, port, only, number + 500, None, "me", os.getpid())
        )
        return Opened(number, number + 500, port, lambda: self.fake.remove(number))

    def close(self) -> None:
        self.source.close()


@pytest.fixture(params=[FakeWorld, RealWorld], ids=["fake", "linux"])
def make_world(request: pytest.FixtureRequest) -> Callable[[], World]:
    """Makes the world where it is called: in the test's own network namespace."""
    make: Callable[[], World] = request.param
    return make


both_protocols = pytest.mark.parametrize("protocol", ["tcp", "udp"])


@private_network
def test_nothing_listens_at_first(make_world: Callable[[], World]) -> None:
    world = make_world()
    assert world.source.scan(frozenset()) == []
    world.close()


@pytest.mark.parametrize(
    ("address", "v6only", "seen", "dual"),
    [
        ("127.0.0.1", True, "127.0.0.1", False),
        ("127.0.0.2", True, "127.0.0.2", False),
        ("0.0.0.0", True, "0.0.0.0", False),
        ("::1", True, "::1", False),
        ("::1", False, "::1", False),
        ("::", True, "::", False),
        ("::", False, "::", True),
        ("::ffff:127.0.0.1", False, "127.0.0.1", False),
        ("::ffff:0.0.0.0", False, "0.0.0.0", False),
    ],
)
@both_protocols
@private_network
def test_a_listener_is_seen_as_it_is_bound(
    make_world: Callable[[], World],
    protocol: str,
    address: str,
    v6only: bool,
    seen: str,
    dual: bool,
) -> None:
    world = make_world()
    opened = world.listen(address, protocol=protocol, v6only=v6only)
    (listener,) = world.source.scan(frozenset())
    assert (listener.id, listener.inode) == (opened.id, opened.inode)
    assert (listener.protocol, listener.address, listener.port) == (protocol, seen, opened.port)
    assert listener.is_dual_stack is dual
    assert (listener.container, listener.pid) == (None, os.getpid())
    assert listener.process
    world.close()


@private_network
def test_each_listener_is_the_same_in_every_scan(make_world: Callable[[], World]) -> None:
    world = make_world()
    for address in ("127.0.0.1", "::1", "0.0.0.0"):
        world.listen(address)
        world.listen(address, protocol="udp")
    assert world.source.scan(frozenset()) == world.source.scan(frozenset())
    world.close()


@private_network
def test_a_scan_is_sorted(make_world: Callable[[], World]) -> None:
    world = make_world()
    expected = [
        ("tcp", 80, "::1"),
        ("tcp", 9001, "127.0.0.1"),
        ("tcp", 9001, "::1"),
        ("tcp", 9002, "127.0.0.1"),
        ("udp", 53, "::"),
        ("udp", 9001, "127.0.0.1"),
    ]
    for protocol, port, address in (expected[each] for each in (5, 3, 2, 4, 1, 0)):
        world.listen(address, port, protocol=protocol)
    found = [(each.protocol, each.port, each.address) for each in world.source.scan(frozenset())]
    assert found == expected
    world.close()


@both_protocols
@private_network
def test_an_excluded_socket_does_not_appear(make_world: Callable[[], World], protocol: str) -> None:
    world = make_world()
    ours, theirs = (world.listen("127.0.0.1", protocol=protocol) for _ in range(2))
    found = world.source.scan(frozenset({ours.inode}))
    assert [each.id for each in found] == [theirs.id]
    assert len(world.source.scan(frozenset())) == 2
    world.close()


@both_protocols
@private_network
def test_two_sockets_on_one_port_are_two_listeners(
    make_world: Callable[[], World], protocol: str
) -> None:
    world = make_world()
    first = world.listen("127.0.0.1", protocol=protocol, shared=True)
    second = world.listen("127.0.0.1", first.port, protocol=protocol, shared=True)
    found = world.source.scan(frozenset())
    assert [each.id for each in found] == sorted([first.id, second.id])
    first.close()
    assert [each.id for each in world.source.scan(frozenset())] == [second.id]
    world.close()


@private_network
def test_one_port_of_both_protocols_is_two_listeners(make_world: Callable[[], World]) -> None:
    world = make_world()
    stream = world.listen("::1")
    datagram = world.listen("::1", stream.port, protocol="udp")
    assert [each.id for each in world.source.scan(frozenset())] == [stream.id, datagram.id]
    stream.close()
    assert [each.protocol for each in world.source.scan(frozenset())] == ["udp"]
    world.close()


@both_protocols
@private_network
def test_a_closed_listener_wakes_and_is_gone(
    make_world: Callable[[], World], protocol: str
) -> None:
    world = make_world()
    opened = world.listen("::1", protocol=protocol)
    assert len(world.source.scan(frozenset())) == 1
    descriptor = world.source.wakeup_fileno()
    assert descriptor is not None
    assert not world.source.drain()
    opened.close()
    assert select.select([descriptor], [], [], PATIENCE)[0] == [descriptor]
    assert world.source.drain()
    assert not world.source.drain()
    assert select.select([descriptor], [], [], 0)[0] == []
    assert world.source.scan(frozenset()) == []
    world.close()


@private_network
def test_closing_twice_is_fine_and_leaves_no_descriptor(make_world: Callable[[], World]) -> None:
    before = os.listdir("/proc/self/fd")
    world = make_world()
    world.listen("127.0.0.1")
    world.source.scan(frozenset())
    world.close()
    world.source.close()
    assert world.source.wakeup_fileno() is None
    assert os.listdir("/proc/self/fd") == before
