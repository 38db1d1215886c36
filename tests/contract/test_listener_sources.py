"""What every source of listeners guarantees: the fake one and, with real sockets, this system's.

Those of macOS and Windows read tables that are put together here by the headers of those systems.
"""

from __future__ import annotations

import abc
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import pytest

from desktop.listeners.fake import FakeListenerSource
from desktop.listeners.iphlpapi import Layout
from desktop.listeners.linux import LinuxListenerSource
from desktop.listeners.macos import TABLES, MacListenerSource
from desktop.listeners.source import ListenerSource
from desktop.listeners.windows import WindowsListenerSource
from link.listener import Listener, canonical_address
from tests.private_network import private_network
from tests.recordings import iphlpapi, pcblist

SO_COOKIE: Final = 57
"""asm-generic/socket.h."""

FIRST_PORT: Final = 10_000
"""Ports from here are not of the kernel's choice, so UDP sockets there are listeners at once."""

PATIENCE: Final = 30.0
"""Seconds until a wake-up must have come."""


@dataclass
class Opened:
    """A listener of a test, as whoever opened it knows it; `id` 0: only the source does."""

    id: int
    inode: int
    port: int
    close: Callable[[], None]


class World(abc.ABC):
    """A place where a test opens listeners, and the source that should see them.

    `tells_all`: the system's tables tell sockets of one port apart, and which take both families.
    """

    tells_all: ClassVar[bool] = True

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
        is_ours: bool = False,  # noqa: ARG002 - for those who know it by the process
    ) -> Opened:
        """Open a listener; port 0 takes one that nobody has, `shared` is SO_REUSEPORT.

        `is_ours`: it is to be excluded.
        """
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


OWN: Final = 4_000_000
"""The process that a source of tables takes for its own: no process has that number."""


class TableWorld(World):
    """Rows of made-up tables: their processes are real ones, for they must have names."""

    def __init__(self) -> None:
        super().__init__(self._source())
        self._owner = os.getpid()
        self._opened: list[tuple[str, pcblist.Row]] = []

    @abc.abstractmethod
    def _source(self) -> ListenerSource: ...

    def listen(
        self,
        address: str,
        port: int = 0,
        *,
        protocol: str = "tcp",
        v6only: bool = True,
        shared: bool = False,
        is_ours: bool = False,
    ) -> Opened:
        self._owner = OWN if is_ours else os.getpid()
        return super().listen(address, port, protocol=protocol, v6only=v6only, shared=shared)

    def _open(
        self,
        protocol: str,
        address: str,
        port: int,
        v6only: bool,
        shared: bool,  # noqa: ARG002 - a made-up port is never in use
    ) -> Opened:
        number = 100 * (len(self._opened) + 1)
        row = pcblist.Row(address, port, self._owner, number, v6only)
        self._opened.append((protocol, row))
        known_id = number if self.tells_all else 0
        return Opened(known_id, 0, port, lambda: self._opened.remove((protocol, row)))

    def rows(self, protocol: str) -> list[pcblist.Row]:
        return [row for which, row in self._opened if which == protocol]

    def close(self) -> None:
        self.source.close()


class MacWorld(TableWorld):
    """The kernel's tables of macOS 13 and later."""

    socket_bytes: ClassVar[int] = pcblist.LONG

    def _source(self) -> ListenerSource:
        self._opened = []
        protocols = {name: protocol for protocol, name in TABLES.items()}

        def sysctl(name: str) -> bytes:
            protocol = protocols[name]
            return pcblist.table(protocol, self.rows(protocol), self.socket_bytes)

        return MacListenerSource(sysctl, own=OWN)


class OldMacWorld(MacWorld):
    """Those of macOS 12 and before."""

    socket_bytes: ClassVar[int] = pcblist.SHORT


class WindowsWorld(TableWorld):
    """The tables of Windows, where a socket of both families is in two of them."""

    tells_all = False

    def _source(self) -> ListenerSource:
        self._opened = []
        return WindowsListenerSource(self._table, own=OWN)

    def _table(self, layout: Layout) -> bytes:
        rows = [
            iphlpapi.Row(part.address, part.port, part.pid)
            for row in self.rows(layout.protocol)
            for part in self._parts(row)
            if (6 if ":" in part.address else 4) == layout.version
        ]
        return iphlpapi.table(layout.protocol, layout.version, rows)

    def _parts(self, row: pcblist.Row) -> list[pcblist.Row]:
        parts = [replace(row, address=canonical_address(row.address))]
        if row.address == "::" and not row.v6only:
            parts.append(replace(row, address="0.0.0.0"))
        return parts


WORLDS: Final = {
    "fake": FakeWorld,
    "linux": RealWorld,
    "macos": MacWorld,
    "macos-12": OldMacWorld,
    "windows": WindowsWorld,
}


@pytest.fixture(params=list(WORLDS.values()), ids=list(WORLDS))
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
    *of_ipv4, listener = world.source.scan(frozenset())
    assert listener.inode == opened.inode
    assert opened.id in (listener.id, 0)
    assert (listener.protocol, listener.address, listener.port) == (protocol, seen, opened.port)
    assert (listener.is_dual_stack or bool(of_ipv4)) is dual
    assert [each.address for each in of_ipv4] == ["0.0.0.0"] * (dual and not world.tells_all)
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
    ours, theirs = (
        world.listen("127.0.0.1", protocol=protocol, is_ours=each) for each in (True, False)
    )
    found = world.source.scan(frozenset({ours.inode}))
    assert [each.port for each in found] == [theirs.port]
    assert len(world.source.scan(frozenset())) == (2 if ours.inode else 1)
    world.close()


@both_protocols
@private_network
def test_two_sockets_on_one_port_are_two_listeners(
    make_world: Callable[[], World], protocol: str
) -> None:
    world = make_world()
    first = world.listen("127.0.0.1", protocol=protocol, shared=True)
    second = world.listen("127.0.0.1", first.port, protocol=protocol, shared=True)
    found = [each.id for each in world.source.scan(frozenset())]
    assert len(set(found)) == 2
    first.close()
    (left,) = world.source.scan(frozenset())
    if world.tells_all:
        assert found == sorted([first.id, second.id])
        assert left.id == second.id
    assert left.id in found
    world.close()


@private_network
def test_one_port_of_both_protocols_is_two_listeners(make_world: Callable[[], World]) -> None:
    world = make_world()
    stream = world.listen("::1")
    world.listen("::1", stream.port, protocol="udp")
    found = world.source.scan(frozenset())
    assert [each.protocol for each in found] == ["tcp", "udp"]
    assert len({each.id for each in found}) == 2
    stream.close()
    assert [each.protocol for each in world.source.scan(frozenset())] == ["udp"]
    world.close()


@both_protocols
@private_network
def test_a_closed_listener_is_gone_and_wakes_where_the_system_tells(
    make_world: Callable[[], World], protocol: str
) -> None:
    world = make_world()
    opened = world.listen("::1", protocol=protocol)
    assert len(world.source.scan(frozenset())) == 1
    descriptor = world.source.wakeup_fileno()
    assert (descriptor is None) is isinstance(world, TableWorld)
    assert not world.source.drain()
    opened.close()
    if descriptor is not None:
        assert select.select([descriptor], [], [], PATIENCE)[0] == [descriptor]
        assert world.source.drain()
        assert select.select([descriptor], [], [], 0)[0] == []
    assert not world.source.drain()
    assert world.source.scan(frozenset()) == []
    world.close()


@private_network
def test_a_source_says_how_often_to_look(make_world: Callable[[], World]) -> None:
    world = make_world()
    assert 0 < world.source.pace.fast < world.source.pace.slow
    world.close()


@private_network
def test_closing_twice_is_fine_and_leaves_no_descriptor(make_world: Callable[[], World]) -> None:
    before = os.listdir("/dev/fd")
    world = make_world()
    world.listen("127.0.0.1")
    world.source.scan(frozenset())
    world.close()
    world.source.close()
    assert world.source.wakeup_fileno() is None
    assert os.listdir("/dev/fd") == before
