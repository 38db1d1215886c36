"""Every datagram of a UDP flow gets to whom it is for: whole, in order, none missing, counted.

Rules: each story is told on every event loop and every kind of socket, through a real Front and
Back; `World` proves at the end of each that nothing is left.

Counterparts: `udp_world.py` and `conftest.py`; `test_udp_flow_*.py` for what else must hold.
"""

from __future__ import annotations

import random
import socket

import pytest

from link.wire import OpenRequest
from tests.capabilities import LINUX_KERNEL, needs
from tests.contract.udp_world import LARGEST, Tell, World
from tests.until import until

# ---- whose is what


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_question_is_answered(tell: Tell, address: str) -> None:
    async def story(one: World) -> None:
        client = one.client()
        assert await client.ask(b"hello") == b"hello"
        assert one.opened == [OpenRequest(address, one.server.port, "udp")]

    tell(story, address=address)


def test_two_clients_at_once_each_get_their_own_replies(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(2)
        for number in range(100):
            for name, client in zip(b"AB", clients, strict=True):
                client.say(b"%c %d" % (name, number))
        for name, client in zip(b"AB", clients, strict=True):
            assert await client.hear_many(100) == [b"%c %d" % (name, i) for i in range(100)]
        assert len(one.server.sources) == 2
        assert all(client.inbox.empty() for client in clients)

    tell(story)


def test_the_server_sees_one_source_port_over_many_datagrams_and_replies(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        for number in range(30):
            assert await client.ask(b"%d" % number) == b"%d" % number
            one.server.sock.sendto(b"and another thing", one.server.sources[0])
            assert await client.hear() == b"and another thing"
        assert len(one.server.sources) == 1
        assert len(one.at_front.started) == len(one.at_back.started) == 1

    tell(story)


def test_a_client_that_speaks_to_two_addresses_hears_from_each_what_it_said_there(
    tell: Tell,
) -> None:
    async def story(one: World) -> None:
        _, port = one.mirror("0.0.0.0")
        if not one.knows_all_of_loopback:
            pytest.skip("these sockets serve the addresses that the system lists")
        first = one.client("127.0.0.1", port)
        second = one.client("127.0.0.2", port)
        assert await first.ask(b"to one") == b"to one"
        assert await second.ask(b"to two") == b"to two"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            for address in ("127.0.0.1", "127.0.0.2"):
                sock.sendto(b"same socket", (address, port))
            await until(lambda: len(one.server.sources) == 4)

    tell(story)


def test_mirrors_of_both_families_side_by_side_keep_their_flows_apart(tell: Tell) -> None:
    async def story(one: World) -> None:
        _, port6 = one.mirror("::1")
        client4, client6 = one.client(), one.client("::1", port6)
        for number in range(20):
            assert await client4.ask(b"4 %d" % number) == b"4 %d" % number
            assert await client6.ask(b"6 %d" % number) == b"6 %d" % number
        assert len(one.server.sources) == 2
        assert len(one.at_front.started) == 2

    tell(story)


# ---- whole, in order, none missing


@pytest.mark.parametrize("size", [0, 1, 2, 1472, 9000, LARGEST])
def test_datagrams_of_every_size_pass_whole_both_ways(tell: Tell, size: int) -> None:
    data = random.Random(size).randbytes(size)

    async def story(one: World) -> None:
        client = one.client()
        for _ in range(3):
            assert await client.ask(data) == data
        assert one.server.words == [data] * 3

    tell(story)


def test_an_empty_datagram_between_others_keeps_its_place(tell: Tell) -> None:
    words = [b"", b"a", b"", b"", b"bb", b""]

    async def story(one: World) -> None:
        client = one.client()
        client.say(*words)
        assert await client.hear_many(len(words)) == words

    tell(story)


def test_bursts_of_small_datagrams_keep_boundaries_and_order_both_ways(tell: Tell) -> None:
    source = random.Random(3)
    bursts = [
        [b"%d " % i + bytes(source.choice((10, 10, 10, 3, 40, 200))) for i in range(1000)]
        for _ in range(3)
    ]

    async def story(one: World) -> None:
        clients = one.clients(3)
        for datagrams in zip(*bursts, strict=True):
            for client, data in zip(clients, datagrams, strict=True):
                client.say(data)
        for client, burst in zip(clients, bursts, strict=True):
            assert await client.hear_many(1000) == burst
        for sender, burst in zip(one.server.sources, bursts, strict=True):
            heard = [data for data, source in one.server.everything if source == sender]
            assert heard == burst
        assert one.front.dropped == 0

    tell(story)


@needs(LINUX_KERNEL)
@pytest.mark.parametrize("count", [64, 128])
def test_a_train_that_a_client_makes_arrives_as_its_datagrams(tell: Tell, count: int) -> None:
    from link.datagrams.kernel import segment_option

    async def story(one: World) -> None:
        client = one.client()
        data = b"".join(b"%09d " % i for i in range(count))
        try:
            client.sock.sendmsg((data,), [segment_option(10)])
        except OSError as error:
            pytest.skip(f"this kernel makes no trains of {count}: {error}")
        assert b"".join(await client.hear_many(count)) == data
        assert {len(word) for word in one.server.words} == {10}

    tell(story)


@needs(LINUX_KERNEL)
def test_small_datagrams_after_a_large_one_are_not_stuck_together(tell: Tell) -> None:
    from link.datagrams.kernel import segment_option

    async def story(one: World) -> None:
        client = one.client()
        client.say(bytes(1000))
        client.sock.sendmsg((b"one two three",), [segment_option(4)])
        words = [bytes(1000), b"one ", b"two ", b"thre", b"e"]
        assert await client.hear_many(5) == words
        assert one.server.words == words

    tell(story)


def test_the_last_datagram_before_the_close_arrives(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        one.server.answers = False
        client.say(b"question")
        await one.server.hear()
        one.server.sock.sendto(b"last word", one.server.sources[0])
        one.server.close()
        one.backs[0].drain()
        one.wait_for_bytes_on_streams()
        one.close_ends()
        assert await client.hear() == b"last word"

    tell(story)


def test_flows_count_the_bytes_that_passed(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.server.name = b"reply "
        client = one.client()
        for size in (0, 7, 100, 3000):
            await client.ask(bytes(size))
        for ledger in (one.at_front, one.at_back):
            assert ledger.first_bytes == 3107
            assert ledger.second_bytes == 3107 + 4 * len(b"reply ")

    tell(story)
