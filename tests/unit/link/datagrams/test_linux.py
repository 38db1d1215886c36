"""Sockets on Linux: what is cheap stays cheap. What they do is proven by the contract tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from link.datagrams import linux
from link.datagrams.grouping import group_alike
from link.datagrams.kernel import segment_option
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import Train
from tests.private_network import private_network
from tests.unit.link.datagrams.loopback import add_address, speaker

Before = Callable[[LinuxDatagramSockets, "linux._Listening"], None]


def port_of(listening: object) -> int:
    assert isinstance(listening, linux._Listening)
    return listening._port


def merged_trains_came(_: LinuxDatagramSockets, here: linux._Listening) -> None:
    """Trains that the kernel merges arrive between plain datagrams."""
    address = here.sock.getsockname()
    with speaker(address, address[0]) as sock:
        for i in range(60):
            if i % 3:
                sock.send(b"plain")
            else:
                sock.sendmsg((bytes(250),), [segment_option(100)])
    here.drain()


def clients_of_the_other_family_came(sockets: LinuxDatagramSockets, _: linux._Listening) -> None:
    """Clients of several IPv6 addresses speak to another mirror, in turn."""
    beside = sockets.listen("::", 0, lambda _: None)
    for i in range(60):
        address = f"fd00::{i % 7 + 1}"
        with speaker((address, port_of(beside)), address) as sock:
            sock.send(b"plain")
    beside.drain()
    beside.close()


def expect_alike(patch: pytest.MonkeyPatch, address: str, before: Before) -> None:
    """See that a batch of datagrams alike is taken for one after `before`."""
    alike: list[int] = []

    def count(key: object, views: Sequence[memoryview], number: int, size: int) -> list[Train]:
        alike.append(number)
        return group_alike(key, views, number, size)

    async def story() -> None:
        sockets = LinuxDatagramSockets()
        here = sockets.listen(address, 0, lambda _: None)
        assert isinstance(here, linux._Listening)
        before(sockets, here)
        alike.clear()
        with speaker((address, port_of(here)), address) as sock:
            for _ in range(50):
                sock.send(b"alike")
        here.drain()
        assert alike == [50]
        here.close()
        sockets.close()

    patch.setattr(linux, "group_alike", count)
    asyncio.run(story())


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_merged_trains_leave_nothing_behind_by_which_later_datagrams_differ(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    expect_alike(monkeypatch, address, merged_trains_came)


@private_network
def test_clients_of_one_family_leave_nothing_behind_by_which_the_others_datagrams_differ() -> None:
    for i in range(1, 8):
        add_address(f"fd00::{i}")
    with pytest.MonkeyPatch.context() as patch:
        expect_alike(patch, "127.0.0.1", clients_of_the_other_family_came)
