"""The streams under UDP flows come and go: flows outlive them, and what is dropped is counted.

Rules: a stream that ends, or does not come, costs no more than the datagrams that were on it or
waited for it; those that may wait are bounded, and the newest stay.

Counterparts: `udp_world.py` and `conftest.py`; `tests/unit/link/datagrams/test_stream_*.py` for
one stream alone.
"""

from __future__ import annotations

import asyncio
import select

import pytest

from link import pool as pool_module
from link.datagrams.frames import HEADER_SIZE, Kind, header
from link.datagrams.stream import BACKLOG_BYTES
from link.relay.relay import reset_socket
from link.wire import OpenRequest
from tests.contract.datagram_ends import PATIENCE
from tests.contract.udp_world import LARGEST, Tell, World, stream_pair
from tests.until import until


def test_a_lost_stream_leaves_flows_alone_and_the_next_datagram_draws_another(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        for number in range(3):
            assert await client.ask(b"%d" % number) == b"%d" % number
            await one.lose_streams()
            assert one.front.count == 1
        assert await client.ask(b"here?") == b"here?"
        assert len(one.at_front.started) == 1
        assert (len(one.at_back.started), len(one.opened)) == (4, 4)
        assert len(one.server.sources) == 4

    tell(story)


def test_a_peer_that_breaks_the_protocol_loses_its_stream_and_no_flow(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        client = one.client()
        client.say(b"lost")
        await until(lambda: one.front._stream.is_attached)
        peer.send(header(99, 1))
        await until(lambda: not one.front._stream.is_attached)
        one.makes_streams = True
        assert await client.ask(b"here?") == b"here?"
        assert len(one.at_front.started) == 1

    tell(story)


def test_datagrams_wait_for_a_stream_and_go_out_in_order_when_it_comes(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        clients = one.clients(2)
        for client in clients:
            client.say(b"1", b"2", b"3")
        await until(lambda: one.front.count == 2)
        assert one.pool.waiting == 1
        one.add_stream()
        for client in clients:
            assert await client.hear_many(3) == [b"1", b"2", b"3"]
        assert one.front.dropped == 0

    tell(story)


def test_what_waits_for_a_stream_is_bounded_and_the_newest_stays(tell: Tell) -> None:
    size, count = 60_000, 40

    async def story(one: World) -> None:
        one.makes_streams = False
        client = one.client()
        kept = BACKLOG_BYTES // (HEADER_SIZE + size)
        for number in range(count):
            client.say(b"%4d" % number + bytes(size - 4))
            await until(lambda: one.at_front.first_bytes == (number + 1) * size)  # noqa: B023
        assert one.front.dropped == count - kept
        one.add_stream()
        heard = [int(data[:4]) for data in await client.hear_many(kept)]
        assert heard == list(range(count - kept, count))

    tell(story)


def test_without_a_stream_in_time_datagrams_are_dropped_and_counted(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "WAIT_SECONDS", 0.1)

    async def story(one: World) -> None:
        one.makes_streams = False
        client = one.client()
        client.say(b"1", b"2", b"3")
        await until(lambda: one.front.dropped == 3)
        assert one.pool.waiting == 0
        one.makes_streams = True
        assert await client.ask(b"here?") == b"here?"
        assert one.front.count == 1

    tell(story)


def test_what_did_not_get_into_a_lost_stream_does_not_come_out_of_the_next(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        client = one.client()
        size, sent, left = 60_000, 0, 3
        while left:
            client.say(bytes(size))
            sent += size
            await until(lambda: one.at_front.first_bytes == sent)  # noqa: B023
            left -= bool(one.front._stream._backlog)
        peer.close()
        await until(lambda: not one.front._stream.is_attached)
        assert one.front.dropped >= 3
        one.makes_streams = True
        assert await client.ask(b"new") == b"new"

    tell(story)


def test_a_stream_that_died_while_idle_costs_no_more_than_its_datagrams(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.add_peer().close()
        client = one.client()
        async with asyncio.timeout(PATIENCE):
            while client.inbox.empty():
                client.say(b"here?")
                await asyncio.sleep(0.02)
        assert await client.hear() == b"here?"

    tell(story)


def test_a_stream_that_died_before_it_was_opened_costs_nothing(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        client = one.client()
        client.say(b"hello")
        await until(lambda: one.pool.waiting == 1)
        near, far = stream_pair()
        reset_socket(far)
        assert select.select([near], [], [], PATIENCE)[0], "the reset did not come"
        one.pool.put(near)
        assert one.pool.waiting == 1
        one.add_stream()
        assert await client.hear() == b"hello"

    tell(story)


def test_a_reply_that_cannot_be_sent_is_counted(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        client = one.client()
        client.say(b"hello")
        await until(lambda: one.front.count == 1)
        peer.send(header(Kind.DATA, 1, LARGEST + 1, LARGEST + 1) + bytes(LARGEST + 1))
        await until(lambda: one.front.dropped == 1)
        peer.send(header(Kind.DATA, 1, 2, 2) + b"ok")
        assert await client.hear() == b"ok"

    tell(story)


def test_a_datagram_that_no_server_can_take_is_counted(tell: Tell) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        peer.send(header(Kind.DATA, 1, LARGEST + 1, LARGEST + 1) + bytes(LARGEST + 1))
        peer.send(header(Kind.DATA, 1, 2, 2) + b"ok")
        assert await one.server.hear() == b"ok"
        peer.send(header(Kind.END, 1))
        await until(lambda: one.at_back.ended)
        assert one.backs[0].dropped_here == 1
        peer.close()

    tell(story)


def test_what_was_dropped_at_either_end_is_counted_on_over_lost_streams(tell: Tell) -> None:
    async def story(one: World) -> None:
        target, one.target = one.target, OpenRequest("192.0.2.1", 53, "udp")
        client = one.client()
        client.say(b"1", b"2")
        await until(lambda: one.front.dropped == 2)
        await one.lose_streams()
        client.say(b"3")
        await until(lambda: one.front.dropped == 3)
        one.target = target

    tell(story)
