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

    source: ListenerSource

    @abc.abstractmethod
    def listen(
        self, address: str, port: int = 0, *, v6only: bool = True, shared: bool = False
    ) -> Opened:
        """Open a listener; port 0 chooses one, `shared` is SO_REUSEPORT."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close all, the source too."""


class RealWorld(World):
    """Kernel sockets of this thread's network namespace."""

    def __init__(self) -> None:
        self.source = LinuxListenerSource()
        self._sockets: list[socket.socket] = []

    def listen(
        self, address: str, port: int = 0, *, v6only: bool = True, shared: bool = False
    ) -> Opened:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family)
        self._sockets.append(sock)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        sock.bind((address, port))
        sock.listen()
        cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8), "little")
        inode = os.fstat(sock.fileno()).st_ino
        return Opened(cookie, inode, sock.getsockname()[1], sock.close)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self.source.close()


class FakeWorld(World):
    """Made-up listeners, numbered."""

    def __init__(self) -> None:
        self.fake = FakeListenerSource()
        self.source = self.fake
        self._count = 0

    def listen(
        self,
        address: str,
        port: int = 0,
        *,
        v6only: bool = True,
        shared: bool = False,  # noqa: ARG002 - a made-up port is never in use
    ) -> Opened:
        self._count += 1
        number = self._count
        canonical = canonical_address(address)
        port = port or 10_000 + number
        only = v6only or canonical != "::"
        self.fake.add(
            Listener(number, "tcp", canonical, port, only, number + 500, None, "me", os.getpid())
        )
        return Opened(number, number + 500, port, lambda: self.fake.remove(number))

    def close(self) -> None:
        self.source.close()


@pytest.fixture(params=[FakeWorld, RealWorld], ids=["fake", "linux"])
def make_world(request: pytest.FixtureRequest) -> Callable[[], World]:
    """Makes the world where it is called: in the test's own network namespace."""
    make: Callable[[], World] = request.param
    return make


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
@private_network
def test_a_listener_is_seen_as_it_is_bound(
    make_world: Callable[[], World], address: str, v6only: bool, seen: str, dual: bool
) -> None:
    world = make_world()
    opened = world.listen(address, v6only=v6only)
    (listener,) = world.source.scan(frozenset())
    assert (listener.id, listener.inode) == (opened.id, opened.inode)
    assert (listener.protocol, listener.address, listener.port) == ("tcp", seen, opened.port)
    assert listener.is_dual_stack is dual
    assert (listener.container, listener.pid) == (None, os.getpid())
    assert listener.process
    world.close()


@private_network
def test_each_listener_is_the_same_in_every_scan(make_world: Callable[[], World]) -> None:
    world = make_world()
    for address in ("127.0.0.1", "::1", "0.0.0.0"):
        world.listen(address)
    assert world.source.scan(frozenset()) == world.source.scan(frozenset())
    world.close()


@private_network
def test_a_scan_is_sorted(make_world: Callable[[], World]) -> None:
    world = make_world()
    for port, address in ((9002, "127.0.0.1"), (9001, "::1"), (9001, "127.0.0.1"), (80, "::1")):
        world.listen(address, port)
    found = [(each.port, each.address) for each in world.source.scan(frozenset())]
    assert found == [(80, "::1"), (9001, "127.0.0.1"), (9001, "::1"), (9002, "127.0.0.1")]
    world.close()


@private_network
def test_an_excluded_socket_does_not_appear(make_world: Callable[[], World]) -> None:
    world = make_world()
    ours, theirs = world.listen("127.0.0.1"), world.listen("127.0.0.1")
    found = world.source.scan(frozenset({ours.inode}))
    assert [each.id for each in found] == [theirs.id]
    assert len(world.source.scan(frozenset())) == 2
    world.close()


@private_network
def test_two_sockets_on_one_port_are_two_listeners(make_world: Callable[[], World]) -> None:
    world = make_world()
    first = world.listen("127.0.0.1", shared=True)
    second = world.listen("127.0.0.1", first.port, shared=True)
    found = world.source.scan(frozenset())
    assert [each.id for each in found] == sorted([first.id, second.id])
    first.close()
    assert [each.id for each in world.source.scan(frozenset())] == [second.id]
    world.close()


@private_network
def test_a_closed_listener_wakes_and_is_gone(make_world: Callable[[], World]) -> None:
    world = make_world()
    opened = world.listen("::1")
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
