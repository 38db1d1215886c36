"""Datagrams stay what they are on every UDP socket: whole, of any size, in order, not merged.

Rules: what arrives is compared byte by byte with what was sent, singly and in trains; what a
flooded system drops is the only thing that may be missing.

Counterparts: `link/datagrams/sockets.py` promises it; `datagram_ends.py` and `conftest.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import Final

import pytest

from tests.contract.datagram_ends import (
    LOOPBACK,
    SILENCE,
    Dialled,
    MakeSockets,
    Mirror,
    Run,
    client_of,
    dialled,
    hears,
    mirror,
    numbered,
    opened,
    plain,
    receive,
    turn_the_loop,
)

SIZES: Final = (0, 1, 64, 1472, 9000, 65507)

TRAINS: Final = {
    "one": ([b"x" * 77], 77),
    "ten and a short one": ([b"x" * 100] * 10 + [b"y" * 40], 100),
    "the longest": (numbered(64, 1000), 1000),
    "single bytes": ([b"z"] * 64, 1),
    "larger than a usual MTU": (numbered(7, 9000), 9000),
    "empty": ([b""], 0),
}


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_datagram_of_any_size_is_echoed_whole(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            with client_of(address, one.port) as client:
                for size in SIZES:
                    sent = os.urandom(size)
                    client.send(sent)
                    assert await hears(client) == [sent]
            assert [len(payload) for payload in one.inbox.payloads] == list(SIZES)
            assert one.unsent == 0

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_datagram_of_any_size_goes_to_the_server_and_comes_back_whole(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        with plain(address) as server:
            async with dialled(make_sockets, address, server.getsockname()[1]) as one:
                for number, size in enumerate(SIZES, 1):
                    sent = os.urandom(size)
                    assert one.send(sent) == 0
                    received, sender = await receive(server)
                    assert received == sent
                    server.sendto(received, sender)
                    assert (await one.inbox.wait(number))[-1] == sent

    run(story())


def test_a_burst_to_a_mirror_arrives_in_order_and_is_not_merged(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                for payload in numbered(500):
                    client.send(payload)
                assert await one.inbox.wait(500) == numbered(500)
                assert await hears(client, 500) == numbered(500)

    run(story())


def test_a_burst_from_a_server_arrives_in_order_and_is_not_merged(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server:
            async with dialled(make_sockets, *server.getsockname()) as one:
                one.send(b"go")
                _, sender = await receive(server)
                for payload in numbered(500):
                    server.sendto(payload, sender)
                assert await one.inbox.wait(500) == numbered(500)

    run(story())


def test_empty_datagrams_keep_their_place_among_others(make_sockets: MakeSockets, run: Run) -> None:
    payloads = [b"a", b"", b"", b"bb", b"bb", b"c", b"", b"bb"]

    async def story() -> None:
        async with mirror(make_sockets) as one:
            with client_of("127.0.0.1", one.port) as client:
                for payload in payloads:
                    client.send(payload)
                assert await hears(client, len(payloads)) == payloads

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_interleaved_clients_get_their_own_and_in_order(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    chance = random.Random(20)
    turns = [number for number in range(20) for _ in range(40)]
    chance.shuffle(turns)

    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(client_of(address, one.port)) for _ in range(20)]
                sent: list[list[bytes]] = [[] for _ in clients]
                for number in turns:
                    size = chance.choice([0, 1, 64, 64, 64, 500, 1472, chance.randrange(3000)])
                    payload = bytes([number]) * size
                    sent[number].append(payload)
                    clients[number].send(payload)
                    if chance.random() < 0.1:
                        await asyncio.sleep(0)
                for client, payloads in zip(clients, sent, strict=True):
                    assert await hears(client, len(payloads)) == payloads
                assert len({key for key, _ in one.inbox.datagrams}) == len(clients)

    run(story())


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("address", LOOPBACK)
def test_a_train_to_a_client_arrives_as_the_datagrams_it_is(
    make_sockets: MakeSockets, run: Run, address: str, train: str
) -> None:
    payloads, segment = TRAINS[train]

    async def story() -> None:
        async with mirror(make_sockets, address, echoes=False) as one:
            with client_of(address, one.port) as client:
                client.send(b"hello")
                await one.inbox.wait()
                one.answer(one.inbox.datagrams[0][0], b"".join(payloads), segment)
                assert await hears(client, len(payloads)) == payloads
                assert one.unsent == 0

    run(story())


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("address", LOOPBACK)
def test_a_train_to_a_server_arrives_as_the_datagrams_it_is(
    make_sockets: MakeSockets, run: Run, address: str, train: str
) -> None:
    payloads, segment = TRAINS[train]

    async def story() -> None:
        with plain(address) as server:
            async with dialled(make_sockets, address, server.getsockname()[1]) as one:
                assert one.send(b"".join(payloads), segment) == 0
                assert await hears(server, len(payloads)) == payloads
                # Once more, as it is sent when the socket has long been there.
                assert one.send(b"".join(payloads), segment) == 0
                assert await hears(server, len(payloads)) == payloads

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_trains_of_two_flows_pass_from_end_to_end_and_back(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, address)
            flows = [Dialled(sockets, address, one.port) for _ in range(2)]
            payloads, segment = TRAINS["ten and a short one"]
            for _ in range(5):
                for number, flow in enumerate(flows):
                    train = bytes([number]) + b"".join(payloads)[1:]
                    assert flow.send(train, segment) == 0
            for number, flow in enumerate(flows):
                expected = [bytes([number]) + payloads[0][1:], *payloads[1:]] * 5
                assert await flow.inbox.wait(len(expected)) == expected
                flow.connected.close()
            one.listening.close()

    run(story())


def test_a_datagram_that_udp_has_no_room_for_is_told_and_hurts_nobody(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with opened(make_sockets) as sockets:
            one = Mirror(sockets, "127.0.0.1")
            flow = Dialled(sockets, "127.0.0.1", one.port)
            flow.send(b"before")
            await flow.inbox.wait()
            assert flow.send(bytes(65_508)) == 1
            one.answer(one.inbox.datagrams[0][0], bytes(65_508), 65_508)
            assert one.unsent == 1
            flow.send(b"after")
            assert await flow.inbox.wait(2) == [b"before", b"after"]
            flow.connected.close()
            one.listening.close()

    run(story())


def test_a_flood_while_the_loop_is_busy_ends_and_the_mirror_serves_on(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            await turn_the_loop()
            with client_of("127.0.0.1", one.port) as client:
                for payload in numbered(20_000):
                    client.send(payload)
                held: list[bytes] = []

                def is_quiet() -> bool:
                    """True when nothing has come for one look."""
                    nonlocal held
                    before, held = held, one.inbox.payloads
                    return bool(held) and len(before) == len(held)

                while not is_quiet():  # noqa: ASYNC110 - the kernel does not say what it dropped
                    await asyncio.sleep(SILENCE)
                assert held == sorted(held)
                assert len(set(held)) == len(held)
                one.inbox.on_train = one.echo
                client.send(b"and now?")
                assert await hears(client) == [b"and now?"]

    run(story())
