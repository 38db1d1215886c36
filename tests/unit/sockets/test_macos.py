"""Low ports of macOS, and what is asked before a port is taken beside another program's."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import pytest

from desktop.datagrams.portable import PortableDatagramSockets
from desktop.listeners.pcblist import LayoutError
from desktop.listeners.tables import Entry
from desktop.sockets.macos import MacSockets
from link.datagrams.sockets import Train
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network
from tests.unit.datagrams.worlds import plain, run

LOW: Final = 80
"""A port that only root may bind on a given address, there; root binds it here."""


class Mac(socket.socket):
    """A socket that is refused as macOS refuses it: EACCES for low ports, but on the wildcard."""

    def bind(self, address: Any) -> None:
        if 0 < address[1] < 1024 and address[0] not in ("0.0.0.0", "::"):
            raise PermissionError(errno.EACCES, "Permission denied")
        super().bind(address)


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("desktop.sockets.interface.socket.socket", Mac)


both = pytest.mark.parametrize("protocol", ["tcp", "udp"])


def bind(sockets: MacSockets, protocol: str, address: str, port: int) -> Any:
    which = sockets.listen if protocol == "tcp" else sockets.bind_datagrams
    return which(address, port)


@both
@pytest.mark.parametrize(("asked", "bound"), [("127.0.0.1", "0.0.0.0"), ("::1", "::")])
@pytest.mark.usefixtures("on_a_mac")
@private_network
def test_a_low_port_on_loopback_is_taken_on_the_wildcard_and_guarded(
    protocol: str, asked: str, bound: str
) -> None:
    door = bind(MacSockets(list), protocol, asked, LOW)
    with door.sock:
        assert door.is_guarded
        assert door.sock.getsockname()[:2] == (bound, LOW)


@both
@pytest.mark.usefixtures("on_a_mac")
@private_network
def test_a_low_port_on_the_wildcard_is_not_guarded(protocol: str) -> None:
    door = bind(MacSockets(list), protocol, "0.0.0.0", LOW)
    with door.sock:
        assert not door.is_guarded


@pytest.mark.usefixtures("on_a_mac")
@private_network
def test_a_low_udp_port_on_all_addresses_is_served_on_all_of_them_by_one_socket() -> None:
    others = ["10.0.0.1", "10.0.1.1"]
    add_addresses(*(f"{address}/32" for address in others))

    async def story() -> None:
        sockets = PortableDatagramSockets(MacSockets(list))
        came = asyncio.Queue[Sequence[Train]]()
        listening = sockets.listen("0.0.0.0", LOW, came.put_nowait)
        assert not listening.is_guarded
        for _ in range(2):
            assert len(listening.inodes) == 1
            for address in ("127.0.0.1", *others):
                with plain(address) as client:
                    client.connect((address, LOW))
                    client.send(address.encode())
                    (train,) = await came.get()
                    payload = b"".join(train.parts)
                    listening.send(listening.peer(train.key), memoryview(payload), len(payload))
                    assert await asyncio.to_thread(client.recv, 99) == address.encode()
            sockets._look_at_addresses()
        sockets.close()

    run("asyncio", story())


@both
@pytest.mark.usefixtures("on_a_mac")
@private_network
def test_a_low_port_on_another_address_is_denied(protocol: str) -> None:
    with pytest.raises(PermissionError):
        bind(MacSockets(list), protocol, "10.0.0.1", LOW)


@both
@pytest.mark.usefixtures("on_a_mac")
@private_network
def test_a_low_port_that_another_has_on_the_wildcard_is_in_use(protocol: str) -> None:
    with ExitStack() as stack:
        stack.enter_context(bind(MacSockets(list), protocol, "0.0.0.0", LOW).sock)
        with pytest.raises(OSError, match="in use"):
            bind(MacSockets(lambda: [entry("0.0.0.0")]), protocol, "127.0.0.1", LOW)


def entry(address: str, *, v6only: bool = True, port: int = LOW) -> Entry:
    return Entry("tcp", address, port, v6only, 1, 1, is_chosen=False)


class Lingering(socket.socket):
    """A socket that is told, once, that its port is in use; with SO_REUSEADDR it is not."""

    def bind(self, address: Any) -> None:
        if not self.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR):
            raise OSError(errno.EADDRINUSE, "Address already in use")
        super().bind(address)


@pytest.mark.parametrize(
    ("address", "held", "may"),
    [
        ("127.0.0.1", entry("10.0.0.1"), True),
        ("127.0.0.1", entry("127.0.0.1", port=81), True),
        ("127.0.0.1", entry("::"), True),
        ("127.0.0.1", entry("::", v6only=False), False),
        ("127.0.0.1", entry("0.0.0.0"), False),
        ("127.0.0.1", entry("127.0.0.1"), False),
        ("0.0.0.0", entry("10.0.0.1"), False),
        ("::1", entry("0.0.0.0"), True),
        ("::1", entry("::1"), False),
    ],
)
@private_network
def test_a_port_is_shared_with_lingering_connections_and_never_with_a_listener(
    monkeypatch: pytest.MonkeyPatch, address: str, held: Entry, may: bool
) -> None:
    monkeypatch.setattr("desktop.sockets.interface.socket.socket", Lingering)
    sockets = MacSockets(lambda: [held])
    if may:
        sockets.listen(address, LOW).sock.close()
    else:
        with pytest.raises(OSError, match="in use"):
            sockets.listen(address, LOW)


@pytest.mark.parametrize("error", [LayoutError("new"), OSError(2, "gone")])
@private_network
def test_where_it_is_not_known_who_listens_the_port_is_in_use(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> list[Entry]:
        raise error

    monkeypatch.setattr("desktop.sockets.interface.socket.socket", Lingering)
    with pytest.raises(OSError, match="in use"):
        MacSockets(fail).listen("127.0.0.1", LOW)
