"""Mirrors whose port the system gives more widely than they were meant: who is let in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from desktop.daemon.host_mirrors import GUARDED, HostMirrors
from desktop.daemon.traffic import Traffic
from desktop.datagrams.portable import PortableDatagramSockets
from desktop.mirror.model import Binding, Origin, Target
from desktop.sockets.interface import Door
from desktop.sockets.linux import LinuxSockets
from link.datagrams.flows import Limits
from tests.daemon_world import DaemonWorld, machines, say_nothing
from tests.fake_machine import FakeRegistry
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network
from tests.quiet_ports import quiet_ports
from tests.stories import run as tell
from tests.unit.datagrams.worlds import plain

__all__ = ["machines"]

OUTSIDE: Final = "10.99.0.1"
"""An address of the private network that is not loopback."""


class Wide(LinuxSockets):
    """Sockets of a system that gives a port on loopback as macOS gives low ones."""

    def listen(self, address: str, port: int) -> Door:
        del address
        return Door(super().listen("0.0.0.0", port).sock, is_guarded=True)

    def bind_datagrams(self, address: str, port: int) -> Door:
        del address
        return Door(super().bind_datagrams("0.0.0.0", port).sock, is_guarded=True)


class Forwarder:
    """Counts whom it is given."""

    def __init__(self) -> None:
        self.given = asyncio.Queue[socket.socket]()

    def forward(self, client: socket.socket, *_: Any) -> None:
        self.given.put_nowait(client)


@asynccontextmanager
async def opened_mirrors(host: LinuxSockets) -> AsyncIterator[tuple[HostMirrors, Forwarder]]:
    forwarder = Forwarder()
    sockets = PortableDatagramSockets(host)
    opened = HostMirrors(
        forwarder,  # type: ignore[arg-type]
        sockets,
        SimpleNamespace(),  # type: ignore[arg-type]
        Limits(),
        Traffic(),
        lambda _: Target("127.0.0.1", 80),
        host,
    )
    try:
        yield opened, forwarder
    finally:
        opened.close_all()
        sockets.close()


def binding(protocol: str) -> Binding:
    return Binding(Origin.MACHINE, protocol, "127.0.0.1", 8000, "vm")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize("host", [LinuxSockets(), Wide()], ids=["as asked", "wider"])
@private_network
def test_an_open_mirror_has_a_note_if_it_is_wider_than_it_was_meant(
    protocol: str, host: LinuxSockets
) -> None:
    async def story() -> None:
        async with opened_mirrors(host) as (opened, _):
            place = binding(protocol)
            assert opened.note(place) == ""
            assert opened.open(place) == 0
            assert opened.note(place) == (GUARDED if isinstance(host, Wide) else "")
            opened.close(place)
            assert opened.note(place) == ""

    tell(story)


@pytest.mark.parametrize(
    ("host", "said"),
    [(LinuxSockets, ("", False)), (Wide, (GUARDED, True))],
    ids=["as asked", "wider"],
)
def test_its_row_is_active_and_says_so(
    tmp_path: Path,
    machines: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    host: type[LinuxSockets],
    said: tuple[str, bool],
) -> None:
    monkeypatch.setattr("desktop.daemon.host_mirrors.host_sockets", host)

    async def story() -> None:
        port = quiet_ports(1)
        async with DaemonWorld(tmp_path, machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            world.machine("sandbox").appear(port)
            await world.until(lambda: world.states(port) == {"sandbox": "active"})
            row = world.rows(port)["sandbox"]
            assert (row.reason, row.guarded) == said

    tell(story)


async def hear(client: socket.socket, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (OUTSIDE, port))
    return await loop.sock_recv(client, 1)


@private_network
def test_a_tcp_client_of_this_computer_is_let_in_and_another_is_reset() -> None:
    add_addresses(f"{OUTSIDE}/32")

    async def story() -> None:
        loop = asyncio.get_running_loop()
        async with opened_mirrors(Wide()) as (opened, forwarder):
            place = binding("tcp")
            assert opened.open(place) == 0
            with socket.socket() as stranger:
                stranger.setblocking(False)
                with pytest.raises(ConnectionResetError):
                    await hear(stranger, place.port)
            with socket.socket() as friend:
                friend.setblocking(False)
                await loop.sock_connect(friend, ("127.0.0.1", place.port))
                given = await forwarder.given.get()
                assert given.getpeername() == friend.getsockname()
                given.close()
            assert forwarder.given.empty()

    tell(story)


@private_network
def test_a_datagram_of_this_computer_is_let_in_and_another_is_not() -> None:
    add_addresses(f"{OUTSIDE}/32")

    async def story() -> None:
        sockets = PortableDatagramSockets(Wide())
        came = asyncio.Queue[Any]()
        port = 8000
        listening = sockets.listen("127.0.0.1", port, lambda trains: came.put_nowait(trains))
        assert listening.is_guarded
        with plain(OUTSIDE) as stranger, plain("127.0.0.1") as friend:
            stranger.sendto(b"stranger", (OUTSIDE, port))
            friend.sendto(b"friend", ("127.0.0.1", port))
            (train,) = await came.get()
            assert b"".join(bytes(part) for part in train.parts) == b"friend"
        assert came.empty()
        sockets.close()

    tell(story)
