"""What sockets of mirrors guarantee on every platform, with the kernel that is here.

Those of macOS and Windows make the same calls here as there, but for options that only those
systems have: what such an option does is that system's own affair.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Final

import pytest

from desktop.listeners.linux import LinuxListenerSource
from desktop.listeners.tables import Entry
from desktop.sockets.interface import Door, HostSockets, is_local
from desktop.sockets.linux import LinuxSockets
from desktop.sockets.macos import MacSockets
from desktop.sockets.windows import WindowsSockets
from link.dial import dial
from tests.capabilities import LINUX_KERNEL
from tests.private_network import private_network

PATIENCE: Final = 30.0


def listening() -> list[Entry]:
    """Who listens here, on Linux: macOS's sockets ask their own kernel's table."""
    with closing(LinuxListenerSource()) as source:
        return [
            Entry("tcp", each.address, each.port, each.v6only, each.id, 1, is_chosen=False)
            for each in source.scan(frozenset())
            if each.protocol == "tcp"
        ]


WORLDS: Final[dict[str, Callable[[], HostSockets]]] = {
    "linux": LinuxSockets,
    "macos": lambda: MacSockets(listening) if LINUX_KERNEL.is_there else MacSockets(),
    "windows": lambda: WindowsSockets(socket.SO_OOBINLINE, lambda _: None),
}


@pytest.fixture(params=list(WORLDS))
def sockets(request: pytest.FixtureRequest) -> HostSockets:
    make: Callable[[], HostSockets] = WORLDS[request.param]
    return make()


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    """What is given to it is closed at the end."""
    with ExitStack() as stack:
        yield stack


def bind(sockets: HostSockets, protocol: str, address: str, port: int) -> Door:
    if protocol == "tcp":
        return sockets.listen(address, port)
    return sockets.bind_datagrams(address, port)


both_protocols = pytest.mark.parametrize("protocol", ["tcp", "udp"])
SHARING = {
    "none": (),
    "address": (socket.SO_REUSEADDR,),
    **({"port": (socket.SO_REUSEPORT,)} if hasattr(socket, "SO_REUSEPORT") else {}),
}
sharing = pytest.mark.parametrize("options", list(SHARING.values()), ids=list(SHARING))
"""What others set to share a port."""


@both_protocols
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])
@private_network
def test_a_port_is_bound_where_it_was_asked_for_and_nothing_waits(
    sockets: HostSockets, protocol: str, address: str
) -> None:
    door = bind(sockets, protocol, address, 8000)
    with door.sock:
        assert door.sock.getsockname()[:2] == (address, 8000)
        assert not door.is_guarded
        assert not door.sock.getblocking()
        with pytest.raises(BlockingIOError):
            door.sock.accept() if protocol == "tcp" else door.sock.recv(1)


@both_protocols
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::", "::1"),
        ("::1", "::1"),
    ],
)
@sharing
@private_network
def test_a_port_that_another_has_is_in_use(
    sockets: HostSockets, protocol: str, first: str, second: str, options: tuple[int, ...]
) -> None:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in first else socket.AF_INET
    with socket.socket(family, kind) as theirs:
        for option in options:
            theirs.setsockopt(socket.SOL_SOCKET, option, 1)
        theirs.bind((first, 8000))
        if protocol == "tcp":
            theirs.listen()
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is the point
            bind(sockets, protocol, second, 8000)
    assert caught.value.errno == errno.EADDRINUSE


@both_protocols
@sharing
@private_network
def test_nobody_gets_a_port_that_is_ours(
    sockets: HostSockets, protocol: str, options: tuple[int, ...], kept: ExitStack
) -> None:
    kept.enter_context(bind(sockets, protocol, "127.0.0.1", 8000).sock)
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    theirs = kept.enter_context(socket.socket(socket.AF_INET, kind))
    for option in options:
        theirs.setsockopt(socket.SOL_SOCKET, option, 1)
    with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is the point
        theirs.bind(("127.0.0.1", 8000))
    assert caught.value.errno == errno.EADDRINUSE


@both_protocols
@private_network
def test_each_family_is_bound_by_itself(
    sockets: HostSockets, protocol: str, kept: ExitStack
) -> None:
    for address in ("::", "0.0.0.0"):
        kept.enter_context(bind(sockets, protocol, address, 8000).sock)
    with pytest.raises(OSError, match="in use"):
        bind(sockets, protocol, "::1", 8000)


@private_network
def test_a_port_comes_back_at_once_though_connections_of_its_predecessor_live_or_linger(
    kept: ExitStack,
) -> None:
    sockets = LinuxSockets()  # the others need their own kernel for this
    for _ in range(3):
        with sockets.listen("127.0.0.1", 8000).sock as listener:
            client = kept.enter_context(socket.create_connection(("127.0.0.1", 8000)))
            assert select.select([listener], [], [], PATIENCE)[0]
            served = kept.enter_context(listener.accept()[0])
            served.shutdown(socket.SHUT_WR)  # it ends first, so its side is the one that lingers
            client.settimeout(PATIENCE)
            assert client.recv(1) == b""


@private_network
def test_a_port_may_be_bound_while_a_connection_of_ours_has_its_number(
    kept: ExitStack,
) -> None:
    sockets = LinuxSockets()
    server = kept.enter_context(socket.create_server(("127.0.0.1", 9000)))
    ours = kept.enter_context(dial("127.0.0.1", 9000))
    assert select.select([server], [], [], PATIENCE)[0]
    door = sockets.listen("127.0.0.1", ours.getsockname()[1])
    door.sock.close()


@private_network
def test_an_address_that_this_computer_does_not_have_is_an_error(sockets: HostSockets) -> None:
    for protocol in ("tcp", "udp"):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its number is the point
            bind(sockets, protocol, "10.99.0.1", 8000)
        assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_failure_leaves_no_socket_open(sockets: HostSockets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        before = socket.socket().detach()
        socket.close(before)
        for _ in range(3):
            with pytest.raises(OSError, match="in use"):
                sockets.listen("127.0.0.1", theirs.getsockname()[1])
        after = socket.socket().detach()
        socket.close(after)
    assert after == before


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("10.0.0.1", False),
        ("fe80::1%1", False),
        ("::", False),
        ("0.0.0.0", False),
    ],
)
def test_a_peer_is_local_by_loopback_only(address: str, expected: bool) -> None:
    assert is_local(address) is expected
