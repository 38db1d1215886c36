"""Where UDP flows lead: servers that are not there or come back, and targets that change.

Rules: a client whose server is not there is refused, where it can be told, and nobody else is; a
flow stays where it began; only loopback is ever spoken to.

Counterparts: `udp_world.py` and `conftest.py`.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import pytest

from link.wire import OpenRequest
from tests.contract.datagram_ends import PATIENCE
from tests.contract.udp_world import Client, Tell, World
from tests.until import until

# ---- servers that are not there


@pytest.mark.parametrize("words", [[b"1"], [b"1", b"22", b"333"]], ids=["one", "several"])
def test_a_client_of_no_server_is_refused_and_the_mirror_lives(
    tell: Tell, words: list[bytes]
) -> None:
    async def story(one: World) -> None:
        client = one.client()
        one.server.close()
        size = sum(map(len, words))
        for number in (1, 2):
            client.say(*words)
            await until(lambda: one.at_back.first_bytes == number * size)  # noqa: B023
            await one.refused(client, number)
        one.serve(b"now ", port=one.server.port)
        assert await client.ask(b"there?") == b"now there?"
        assert len(one.at_front.started) == len(one.at_back.started) == 1

    tell(story)


def test_a_server_that_comes_back_may_speak_first(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        await client.ask(b"hello")
        one.server.close()
        client.say(b"anybody?")
        await until(lambda: one.at_back.first_bytes == len(b"hello") + len(b"anybody?"))
        await one.refused(client)
        again = one.serve(port=one.server.port)
        again.sock.sendto(b"back again", one.server.sources[0])
        assert await client.hear() == b"back again"

    tell(story)


def test_a_refusal_is_for_the_client_whose_server_is_gone(tell: Tell) -> None:
    async def story(one: World) -> None:
        if not one.refuses:
            pytest.skip("here clients cannot be told")
        clients = one.clients(2)
        for client in clients:
            await client.ask(b"hello")
        one.server.close()
        clients[0].say(b"anybody?")
        await one.refused(clients[0])
        assert clients[1].refusals == 0
        with pytest.raises(ConnectionRefusedError):
            await refused_call(clients[1])

    tell(story)


async def refused_call(client: Client) -> None:
    """Speak until a call fails; nobody reads the error before."""
    asyncio.get_running_loop().remove_reader(client.sock.fileno())
    async with asyncio.timeout(PATIENCE):
        while True:
            client.sock.send(b"anybody?")
            await asyncio.sleep(0.005)


def test_without_a_target_a_client_is_refused_and_costs_nothing(tell: Tell) -> None:
    async def story(one: World) -> None:
        target, one.target = one.target, None
        client = one.client()
        client.say(b"anybody?")
        await until(lambda: one.asked == 1)
        await one.refused(client)
        assert (one.front.count, one.opened, one.pool.waiting) == (0, [], 0)
        one.target = target
        assert await client.ask(b"there?") == b"there?"

    tell(story)


def test_an_address_that_is_not_loopback_is_never_spoken_to(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.target = OpenRequest("192.0.2.1", 53, "udp")
        one.client().say(b"hello", b"hello")
        await until(lambda: one.front.dropped == 2)
        assert one.at_back.started == []
        assert one.backs[0].dropped_here == 2

    tell(story)


def test_a_shortage_of_sockets_costs_datagrams_and_heals(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def story(one: World) -> None:
        old, new = one.clients(2)
        await old.ask(b"hello")
        with monkeypatch.context() as patch:
            patch.setattr(one.back_sockets, "connect", fail)
            new.say(b"hello")
            assert await old.ask(b"not my shortage") == b"not my shortage"
            await until(lambda: one.front.dropped == 1)
        assert await new.ask(b"again") == b"again"

    tell(story)


# ---- targets that change


def test_another_target_ends_the_flows_of_the_old_and_is_reached(tell: Tell) -> None:
    async def story(one: World) -> None:
        first, second = one.clients(2)
        await first.ask(b"hello")
        other = one.serve(b"other ")
        one.lead_to(other)
        assert await first.ask(b"still") == b"still", "a flow stays where it began"
        assert await second.ask(b"hello") == b"other hello"
        assert list(one.at_front.ended) == one.at_front.started[:1]
        await until(lambda: len(one.at_back.ended) == 1)
        assert await first.ask(b"hello") == b"other hello"
        assert one.server.words == [b"hello", b"still"]

    tell(story)


def test_what_comes_with_a_change_of_target_goes_where_its_flow_leads(tell: Tell) -> None:
    async def story(one: World) -> None:
        first, second = one.clients(2)
        one.server.answers = False
        first.say(b"hello")
        await one.server.hear()
        other = one.serve(b"other ")
        one.lead_to(other)
        first.say(b"to the old one")
        second.say(b"to the new one")
        assert await second.hear() == b"other to the new one"
        assert await one.server.hear() == b"to the old one"
        assert other.words == [b"to the new one"]
        await until(lambda: len(one.at_back.started) == 2)

    tell(story)


def test_what_waits_for_a_stream_to_the_old_target_is_not_sent_to_the_new(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        first, second = one.clients(2)
        first.say(b"to the old one")
        await until(lambda: one.front.count == 1)
        other = one.serve(b"other ")
        one.lead_to(other)
        second.say(b"to the new one")
        await until(lambda: len(one.at_front.started) == 2)
        one.add_stream()
        assert await second.hear() == b"other to the new one"
        assert other.words == [b"to the new one"]
        assert one.server.words == []
        assert one.front.dropped == 1

    tell(story)
