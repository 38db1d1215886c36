"""Addresses and ports of every UDP socket: which are served, answered from, taken and reached.

Rules: tests that need addresses, or ports that nobody else takes, run in a network of their own.

Counterparts: `link/datagrams/sockets.py` promises it; `datagram_ends.py` and `conftest.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator

import pytest

from link.dial import ForbiddenAddressError
from tests.contract.datagram_ends import (
    ADDRESSES,
    FURTHER,
    OPEN_FILES,
    Dialled,
    MakeSockets,
    Mirror,
    Run,
    client_of,
    descriptors,
    hears,
    mirror,
    opened,
    plain,
    receive,
    turn_the_loop,
)
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network


@private_network
def test_a_reply_leaves_from_the_very_address_that_the_client_addressed(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            four = Mirror(sockets, "0.0.0.0", 4000)
            six = Mirror(sockets, "::", 4000)
            for address in (*ADDRESSES, *ADDRESSES[::-1]):
                with client_of(address, 4000) as client:
                    client.send(address.encode())
                    payload, sender = await receive(client)
                    assert payload == address.encode()
                    assert sender[:2] == (address, 4000)
            assert four.unsent == six.unsent == 0
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
def test_a_link_local_address_is_served_in_its_zone(make_sockets: MakeSockets, run: Run) -> None:
    add_addresses("fe80::1/64")

    async def story() -> None:
        async with mirror(make_sockets, "::", 4000) as one:
            with plain("::") as client:
                client.connect(("fe80::1", 4000, 0, socket.if_nametoindex("lo")))
                client.send(b"near")
                assert await hears(client) == [b"near"]
            assert one.unsent == 0

    run(story())


@private_network
def test_ipv4_and_ipv6_clients_are_told_apart_whoever_came_before(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            four = Mirror(sockets, "10.99.0.1", 4000)
            six = Mirror(sockets, "fd99::1", 4000)
            with plain("10.99.0.1") as one, plain("fd99::1") as other:
                for client, server in ((one, four), (other, six)) * 3:
                    client.sendto(b"?", (server.address, 4000))
                    assert await hears(client) == [b"?"]
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
def test_two_clients_with_one_address_who_addressed_two_of_ours_are_two_flows(
    make_sockets: MakeSockets, run: Run
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with mirror(make_sockets, "0.0.0.0", 4000) as one:
            with plain("0.0.0.0", 5000) as client:
                for address in ("127.0.0.1", "127.0.0.2"):
                    client.sendto(address.encode(), (address, 4000))
                    assert await receive(client) == (address.encode(), (address, 4000))
            assert len({key for key, _ in one.inbox.datagrams}) == 2

    run(story())


@private_network
def test_an_ipv6_wildcard_takes_no_ipv4(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            six = Mirror(sockets, "::", 4000)
            await turn_the_loop()
            with client_of("127.0.0.1", 4000) as client:
                client.send(b"?")
                with pytest.raises(ConnectionRefusedError):
                    await receive(client)
            four = Mirror(sockets, "0.0.0.0", 4000)
            with client_of("127.0.0.1", 4000) as client, client_of("::1", 4000) as other:
                client.send(b"4")
                other.send(b"6")
                assert await hears(client) == [b"4"]
                assert await hears(other) == [b"6"]
            assert (four.inbox.payloads, six.inbox.payloads) == ([b"4"], [b"6"])
            four.listening.close()
            six.listening.close()

    run(story())


@private_network
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::", "::"),
        ("0.0.0.0", "127.0.0.2"),
        ("127.0.0.2", "0.0.0.0"),
        ("fd99::1", "::"),
    ],
)
def test_a_port_that_is_taken_cannot_be_bound_and_nothing_of_the_attempt_stays(
    make_sockets: MakeSockets, run: Run, first: str, second: str
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, first, 4000)
            await turn_the_loop()
            with pytest.raises(OSError, match="in use") as caught:
                Mirror(sockets, second, 4000)
            assert caught.value.errno == errno.EADDRINUSE
            one.listening.close()
            with plain(first, 4000):
                pass
            with plain(second, 4000):
                pass

    run(story())


def test_nobody_gets_a_share_of_a_port_for_the_asking(make_sockets: MakeSockets, run: Run) -> None:
    """The loop underneath may have asked for that: libuv does."""

    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"served")
                await hears(client)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
                thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    thief.bind(("127.0.0.1", one.port))

    run(story())


@pytest.mark.parametrize("address", ["192.0.2.1", "0.0.0.0", "fe80::1", "::", "255.255.255.255"])
def test_only_loopback_is_ever_connected_to(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            before = descriptors()
            with pytest.raises(ForbiddenAddressError):
                Dialled(sockets, address, 53)
            assert descriptors() == before

    run(story())


@private_network
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::", "::1"])
def test_the_sockets_of_a_mirror_are_known_by_their_inodes(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address, 4000) as one:
            assert one.listening.inodes
            await turn_the_loop()
            assert one.listening.inodes <= set(open_sockets())

    run(story())


def open_sockets() -> Iterator[int]:
    for name in os.listdir(OPEN_FILES):
        with contextlib.suppress(OSError):  # that by which they were listed
            status = os.fstat(int(name))
            if stat.S_ISSOCK(status.st_mode):
                yield status.st_ino
