"""What becomes of one peer of a UDP socket is told where it counts, and harms no other flow.

Servers that are not there or have just come, clients that vanished or are refused, strangers.

Rules: the refusals that a client hears (ICMP) are Linux's only, and need a right.

Counterparts: `link/datagrams/sockets.py` promises it; `datagram_ends.py` and `conftest.py`.
"""

from __future__ import annotations

import socket

import pytest

from tests.contract.datagram_ends import (
    ADDRESSES,
    FURTHER,
    LOOPBACK,
    Dialled,
    MakeSockets,
    Run,
    client_of,
    dialled,
    free_port,
    hears,
    linux_sockets,
    may_use_raw_sockets,
    mirror,
    numbered,
    opened,
    plain,
    receive,
    turn_the_loop,
)
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network
from tests.until import until


def test_a_flow_keeps_its_port_and_hears_its_server_only(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server, plain() as stranger:
            async with opened(make_sockets) as sockets:
                flows = [Dialled(sockets, *server.getsockname()) for _ in range(3)]
                ports = []
                for flow in flows * 2:
                    flow.send(b"?")
                    _, sender = await receive(server)
                    ports.append(sender)
                    stranger.sendto(b"from a stranger", sender)
                    server.sendto(str(sender).encode(), sender)
                assert ports[:3] == ports[3:]
                assert len(set(ports)) == 3
                for flow, port in zip(flows, ports, strict=False):
                    assert await flow.inbox.wait(2) == [str(port).encode()] * 2
                    flow.connected.close()

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_server_that_is_not_there_is_told_and_heard_when_it_comes(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    async def story() -> None:
        port = free_port(address)
        async with dialled(make_sockets, address, port) as one:
            for number in (1, 2):
                one.send(b"lost")
                await until(lambda number=number: one.refusals >= number)  # type: ignore[misc]
            with plain(address, port) as server:
                assert one.send(b"third") == 0
                payload, sender = await receive(server)
                assert payload == b"third"
                server.sendto(b"here I am", sender)
                assert await one.inbox.wait() == [b"here I am"]

    run(story())


@pytest.mark.parametrize("address", LOOPBACK)
def test_a_server_that_goes_after_a_long_conversation_is_told_and_heard_when_it_comes_back(
    make_sockets: MakeSockets, run: Run, address: str
) -> None:
    rounds = 50

    async def story() -> None:
        with plain(address) as server:
            port = server.getsockname()[1]
            async with dialled(make_sockets, address, port) as one:
                await converse(one, server, rounds)
                server.close()
                for number in (1, 2):
                    one.send(b"lost")
                    await until(lambda number=number: one.refusals >= number)  # type: ignore[misc]
                one.send(b"lost, too")
                assert one.send(b"told of by the next call") == 0
                with plain(address, port) as again:
                    await converse(one, again, rounds)

    run(story())


async def converse(one: Dialled, server: socket.socket, rounds: int) -> None:
    """Question and answer, one after the other."""
    for question in numbered(rounds):
        before = len(one.inbox.datagrams)
        one.send(question)
        payload, sender = await receive(server)
        assert payload == question
        server.sendto(b"answer to " + question, sender)
        assert (await one.inbox.wait(before + 1))[before:] == [b"answer to " + question]


def test_datagrams_sent_together_to_a_server_that_has_just_come_all_arrive(
    make_sockets: MakeSockets, run: Run
) -> None:
    """The news that it was not there is told to a later sending, which is not lost for it."""

    async def story() -> None:
        port = free_port()
        async with dialled(make_sockets, "127.0.0.1", port) as one:
            one.send(b"first")
            await until(lambda: one.refusals > 0)
            one.send(b"lost")
            with plain("127.0.0.1", port) as server:
                for payload in numbered(3):
                    assert one.send(payload) == 0
                assert await hears(server, 3) == numbered(3)
            await until(lambda: one.refusals > 1)

    run(story())


def test_a_client_that_vanished_ends_nothing(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with client_of("127.0.0.1", one.port) as gone:
                gone.send(b"and away")
                await one.inbox.wait()
            key = one.inbox.datagrams[0][0]
            one.inbox.on_train = one.echo
            with client_of("127.0.0.1", one.port) as client:
                for number in range(1, 4):
                    one.answer(key, b"nobody hears this", 5)
                    await turn_the_loop()
                    client.send(b"still there?")
                    assert await hears(client) == [b"still there?"]
                    assert len(one.inbox.datagrams) == 1 + number

    run(story())


@private_network
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("bound", ["to the address", "to all"])
def test_a_client_that_is_refused_hears_so_from_its_next_call(
    run: Run, address: str, bound: str
) -> None:
    if not may_use_raw_sockets():
        pytest.skip("raw sockets are not allowed here")
    add_addresses(*FURTHER)
    everywhere = "::" if ":" in address else "0.0.0.0"

    async def story() -> None:
        where = address if bound == "to the address" else everywhere
        async with mirror(linux_sockets, where, 4000, echoes=False) as one:
            with client_of(address, 4000) as client, client_of(address, 4000) as other:
                client.send(b"anybody?")
                other.send(b"not me")
                await one.inbox.wait(2)
                key = next(key for key, data in one.inbox.datagrams if data == b"anybody?")
                one.listening.refuse(one.listening.peer(key))
                with pytest.raises(ConnectionRefusedError):
                    await receive(client)
                one.inbox.on_train = one.echo
                for each in (client, other):
                    each.send(b"again")
                    assert await hears(each) == [b"again"]

    run(story())


def test_a_refusal_harms_nobody(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with plain() as client:
                client.sendto(b"?", ("127.0.0.1", one.port))
                await one.inbox.wait()
                one.listening.refuse(one.listening.peer(one.inbox.datagrams[0][0]))
                await turn_the_loop()
                one.answer(one.inbox.datagrams[0][0], b"!", 1)
                assert await hears(client) == [b"!"]

    run(story())
