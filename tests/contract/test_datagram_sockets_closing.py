"""Closing a UDP socket: port and descriptor are free at once, and no word is lost or comes late.

Rules: whatever is closed is closed right after it was opened, while it starts, and later: TURNS.

Counterparts: `link/datagrams/sockets.py` promises it; `datagram_ends.py` and `conftest.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

import pytest

from link.datagrams.sockets import Train
from tests.contract.datagram_ends import (
    FURTHER,
    PATIENCE,
    SILENCE,
    Dialled,
    MakeSockets,
    Mirror,
    Run,
    client_of,
    descriptors,
    hears,
    mirror,
    numbered,
    opened,
    plain,
    receive,
)
from tests.loopback_addresses import add_addresses
from tests.private_network import private_network
from tests.until import until

TURNS: Final = {"at once": 0, "while it starts": 1, "when it has started": 10}
"""Turns of the loop between opening and closing."""


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_closing_frees_the_port_at_once(
    make_sockets: MakeSockets, run: Run, address: str, turns: str
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, address) as one:
            for _ in range(TURNS[turns]):
                await asyncio.sleep(0)
            one.listening.close()
            with plain(address, one.port):
                one.listening.close()

    run(story())


@private_network
@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_closing_a_wildcard_frees_the_port_on_every_address_at_once(
    make_sockets: MakeSockets, run: Run, address: str, turns: str
) -> None:
    add_addresses(*FURTHER)

    async def story() -> None:
        async with mirror(make_sockets, address, 4000) as one:
            for _ in range(TURNS[turns]):
                await asyncio.sleep(0)
            one.listening.close()
            with plain(address, 4000):
                one.listening.close()

    run(story())


@pytest.mark.parametrize("turns", TURNS)
def test_what_is_closed_leaves_no_descriptor(
    make_sockets: MakeSockets, run: Run, turns: str
) -> None:
    async def story() -> None:
        with plain() as server:
            before = descriptors()
            async with opened(make_sockets) as sockets:
                for _ in range(20):
                    one = Mirror(sockets, "127.0.0.1")
                    flow = Dialled(sockets, *server.getsockname())
                    for _ in range(TURNS[turns]):
                        await asyncio.sleep(0)
                    for end in (one.listening, flow.connected):
                        end.close()
                        end.close()
            await until(lambda: descriptors() == before)

    run(story())


def test_closing_all_without_another_turn_of_the_loop_leaves_no_descriptor(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        with plain() as server:
            for turns in TURNS.values():
                async with opened(make_sockets) as sockets:
                    one = Mirror(sockets, "127.0.0.1")
                    flow = Dialled(sockets, *server.getsockname())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    one.listening.close()
                    flow.connected.close()

    async def nothing() -> None:
        """To have the loop's own descriptors opened and closed."""

    run(nothing())
    before = descriptors()
    run(story())
    assert descriptors() == before


def test_nothing_is_handed_on_after_closing(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                one = Mirror(sockets, "127.0.0.1")
                flow = Dialled(sockets, *server.getsockname())
                flow.send(b"?")
                _, sender = await receive(server)
                server.sendto(b"too late", sender)
                with client_of("127.0.0.1", one.port) as client:
                    client.send(b"too late")
                one.listening.close()
                flow.connected.close()
                one.listening.drain()
                flow.connected.drain()
                await asyncio.sleep(SILENCE)
                assert not one.inbox.datagrams
                assert not flow.inbox.datagrams

    run(story())


def test_nothing_more_is_handed_on_when_closed_in_a_call_back(
    make_sockets: MakeSockets, run: Run
) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            calls = 0

            def close_it(_train: Train, _data: bytes) -> None:
                nonlocal calls
                calls += 1
                one.listening.close()

            one.inbox.on_train = close_it
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"end")
                await one.inbox.wait()
                with contextlib.suppress(ConnectionRefusedError):
                    client.send(b"more")
                await asyncio.sleep(SILENCE)
            assert calls == 1

    run(story())


@pytest.mark.parametrize("turns", TURNS)
def test_what_was_sent_before_closing_arrives(
    make_sockets: MakeSockets, run: Run, turns: str
) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                flow = Dialled(sockets, *server.getsockname())
                for _ in range(TURNS[turns]):
                    await asyncio.sleep(0)
                for payload in numbered(5):
                    assert flow.send(payload) == 0
                assert flow.send(b"the last word") == 0
                flow.connected.close()
                assert await hears(server, 6) == [*numbered(5), b"the last word"]

    run(story())


def test_an_answer_given_before_closing_arrives(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        async with mirror(make_sockets, echoes=False) as one:
            with client_of("127.0.0.1", one.port) as client:
                client.send(b"?")
                await one.inbox.wait()
                one.answer(one.inbox.datagrams[0][0], b"bye", 3)
                one.listening.close()
                assert await hears(client) == [b"bye"]

    run(story())


def test_draining_hands_on_at_once_and_in_order(make_sockets: MakeSockets, run: Run) -> None:
    async def story() -> None:
        with plain() as server:
            async with opened(make_sockets) as sockets:
                one = Mirror(sockets, "127.0.0.1", echoes=False)
                flow = Dialled(sockets, *server.getsockname())
                flow.send(b"?")
                _, sender = await receive(server)
                with client_of("127.0.0.1", one.port) as client:
                    for payload in numbered(40):
                        server.sendto(payload, sender)
                        client.send(payload)
                        if payload == numbered(20)[-1]:
                            await asyncio.sleep(0)
                    for end, inbox in ((one.listening, one.inbox), (flow.connected, flow.inbox)):
                        # The kernel may still be at it; the loop has no turn meanwhile.
                        deadline = time.monotonic() + PATIENCE
                        while len(inbox.datagrams) < 40 and time.monotonic() < deadline:
                            end.drain()
                        assert inbox.payloads == numbered(40)
                one.listening.close()
                flow.connected.close()

    run(story())
