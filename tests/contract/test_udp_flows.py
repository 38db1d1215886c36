"""UDP flows through a real Front and Back, on every event loop and every kind of socket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import random
import select
import socket
import struct
import weakref
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any, Final

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from link import pool as pool_module
from link.datagrams import front as front_module
from link.datagrams import stream as stream_module
from link.datagrams.flows import Limits
from link.datagrams.frames import HEADER_SIZE, MAX_FLOW, Kind, cut, header
from link.datagrams.kernel import segment_option
from link.datagrams.stream import BACKLOG_BYTES
from link.relay.relay import reset_socket
from link.wire import OPEN_SIZE, OpenRequest
from tests.contract.udp_world import (
    PATIENCE,
    SOCKETS,
    Client,
    MakeSockets,
    World,
    descriptors,
    stream_pair,
    until,
    world,
)

LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]
Story = Callable[[World], Awaitable[None]]
Tell = Callable[..., None]
"""Runs a story in a world that is made with the given limits or address."""

LARGEST: Final = 65_507
"""Bytes of the largest datagram over IPv4 (udp(7))."""

HYPOTHESIS = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=SOCKETS)
def make_sockets(request: pytest.FixtureRequest) -> MakeSockets:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def tell(new_loop: Callable[[], asyncio.AbstractEventLoop], make_sockets: MakeSockets) -> Tell:
    def teller(story: Story, **how: Any) -> None:
        async def told() -> None:
            async with asyncio.timeout(90), world(make_sockets, **how) as one:
                await story(one)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(told())

    return teller


def now() -> float:
    return asyncio.get_running_loop().time()


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


@pytest.mark.parametrize("count", [64, 128])
def test_a_train_that_a_client_makes_arrives_as_its_datagrams(tell: Tell, count: int) -> None:
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


def test_small_datagrams_after_a_large_one_are_not_stuck_together(tell: Tell) -> None:
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


# ---- silence


def test_a_flow_ends_after_silence_in_both_directions_and_not_before(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        began = now()
        await client.ask(b"hello")
        (flow,) = one.at_front.started
        await until(lambda: flow in one.at_front.ended)
        assert one.at_front.ended[flow] - began >= one.front_limits.idle_seconds
        await until(lambda: len(one.at_back.ended) == 1)
        assert (one.front.count, one.backs[0].count) == (0, 0)

    tell(story, limits=Limits(idle_seconds=0.3))


@pytest.mark.parametrize("who", ["client", "server"])
def test_words_of_either_side_alone_keep_a_flow(tell: Tell, who: str) -> None:
    async def story(one: World) -> None:
        client = one.client()
        idle = one.front_limits.idle_seconds
        await client.ask(b"hello")
        one.server.answers = False
        began = last = now()
        while last < began + 1.5 * idle:
            await asyncio.sleep(idle / 10)
            last = now()
            if who == "client":
                client.say(b"still here")
                await one.server.hear()
            else:
                one.server.sock.sendto(b"still here", one.server.sources[0])
                assert await client.hear() == b"still here"
        (flow,) = one.at_front.started
        await until(lambda: flow in one.at_front.ended)
        assert one.at_front.ended[flow] - last >= idle
        assert len(one.server.sources) == 1

    tell(story, limits=Limits(idle_seconds=1.0))


def test_a_shorter_limit_holds_for_the_flows_there_are(tell: Tell) -> None:
    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        one.front_limits.idle_seconds = 0.1
        await until(lambda: one.front.count == 0)

    tell(story, limits=Limits(idle_seconds=3600))


def test_a_flow_that_ended_comes_back_with_another_source_port(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        await client.ask(b"hello")
        await until(lambda: one.at_back.ended)
        # That it can be bound shows that it is free; that it is held, that it is not drawn again.
        one.serve(port=one.server.sources[0][1])
        assert await client.ask(b"me again") == b"me again"
        assert len(one.server.sources) == 2
        assert len(one.opened) == 1, "flows that end leave the stream alone"

    tell(story, limits=Limits(idle_seconds=0.2))


# ---- room


def test_a_flow_too_many_evicts_the_oldest_quarter_which_may_come_back(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(17)
        for client in clients[:16]:
            await client.ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (16, 0)
        await clients[16].ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (13, 4)
        assert list(one.at_front.ended) == one.at_front.started[:4]
        assert (one.backs[0].count, one.at_back.evicted) == (13, 4)
        assert await clients[0].ask(b"back again") == b"back again"
        assert (one.front.count, one.at_front.evicted) == (14, 4)

    tell(story, limits=Limits(most_flows=16))


def test_the_busy_are_not_evicted_and_keep_their_source_ports(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(17)
        for client in clients[:16]:
            await client.ask(b"hello")
        sources = one.server.sources
        await clients[0].ask(b"client speaks")
        one.server.sock.sendto(b"server speaks", sources[2])
        await clients[2].hear()
        await clients[16].ask(b"hello")
        gone = [one.at_front.started[i] for i in (1, 3, 4, 5)]
        assert list(one.at_front.ended) == gone
        for number in (0, 2, *range(6, 16)):
            await clients[number].ask(b"%d" % number)
            assert one.server.everything[-1].sender == sources[number]

    tell(story, limits=Limits(most_flows=16))


def test_a_lower_limit_holds_with_the_next_flow(tell: Tell) -> None:
    async def story(one: World) -> None:
        for client in one.clients(16):
            await client.ask(b"hello")
        one.front_limits.most_flows = 4
        await one.client().ask(b"hello")
        assert (one.front.count, one.at_front.evicted) == (4, 13)

    tell(story, limits=Limits(most_flows=16))


def test_what_the_servers_end_has_no_room_for_ends_at_the_clients_end_too(tell: Tell) -> None:
    async def story(one: World) -> None:
        clients = one.clients(9)
        for client in clients[:8]:
            await client.ask(b"hello")
        await clients[8].ask(b"hello")
        assert one.at_back.evicted == 2
        await until(lambda: one.front.count == 7)
        assert list(one.at_front.ended) == one.at_front.started[:2]
        assert one.backs[0].count == 7
        assert await clients[0].ask(b"back again") == b"back again"

    tell(story, back_limits=Limits(most_flows=8))


def test_the_servers_end_gives_up_those_silent_longest_too(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.server.answers = False
        clients = one.clients(9)
        for number in (*range(8), 0):
            clients[number].say(b"%d" % number)
            await one.server.hear()
        one.server.sock.sendto(b"server speaks", one.server.sources[2])
        await clients[2].hear()
        clients[8].say(b"8")
        await one.server.hear()
        assert list(one.at_back.ended) == [one.at_back.started[1], one.at_back.started[3]]

    tell(story, back_limits=Limits(most_flows=8))


def test_a_flow_given_up_at_the_servers_end_is_not_begun_there_by_what_was_on_its_way(
    tell: Tell,
) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = Peer(one.add_peer())
        one.client().say(b"hello")
        await until(lambda: peer.read() == [(Kind.DATA, 1)])
        peer.sock.send(header(Kind.END, 1))
        await until(lambda: one.front.count == 0)
        await until(lambda: peer.read() == [(Kind.DATA, 1), (Kind.END, 1)])

    tell(story)


class Peer:
    """The other end of a mirror's stream, moved by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def read(self) -> list[tuple[int, int]]:
        """Kinds and flows of all frames so far, after the opening."""
        with contextlib.suppress(BlockingIOError):
            self.data += self.sock.recv(1 << 20)
        frames, _ = cut(memoryview(self.data)[OPEN_SIZE:])
        return [(frame.kind, frame.flow) for frame in frames]


def test_a_flood_from_many_clients_costs_bounded_flows_and_descriptors(tell: Tell) -> None:
    total, most = 5000, 64

    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        before, peak = descriptors(), 0
        for number in range(total):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
                sock.sendto(b"flood", ("127.0.0.1", one.port))
            if number % 100 == 99:
                await until(lambda: len(one.at_front.started) == number + 2)  # noqa: B023
                peak = max(peak, descriptors())
                assert one.front.count <= most
                assert one.backs[0].count <= most
        assert peak <= before + most * one.descriptors_per_flow
        assert one.at_front.evicted == total + 1 - one.front.count
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=most))


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


# ---- streams that come and go


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


# ---- any order of events

OPERATIONS = st.sampled_from(
    ["say"] * 8 + ["burst", "reply", "turn", "turn", "lose", "target", "none", "limit", "idle"]
)


@given(st.lists(OPERATIONS, min_size=300, max_size=300), st.randoms(use_true_random=False))
@settings(HYPOTHESIS, max_examples=5, phases=[Phase.generate])
def test_whatever_happens_every_flow_that_began_ends_once(
    tell: Tell, schedule: list[str], source: Any
) -> None:
    async def story(one: World) -> None:
        clients = one.clients(24)
        servers = [one.server, one.serve(b"other ")]
        for step in schedule:
            await act(one, step, source, clients, servers)
            assert one.front.count == len(one.at_front.live)
            assert sum(back.count for back in one.backs) == len(one.at_back.live)
        one.lead_to(servers[0])
        one.front_limits.idle_seconds = 60
        async with asyncio.timeout(PATIENCE):
            while b"over" not in servers[0].words:
                one.client().say(b"over")
                await asyncio.sleep(0.01)

    tell(story, limits=Limits(most_flows=16), back_limits=Limits(most_flows=12))


async def act(
    one: World, step: str, source: Any, clients: list[Client], servers: list[Any]
) -> None:
    """One thing that may happen."""
    client = source.choice(clients)
    if step in ("say", "burst"):
        for _ in range(1 if step == "say" else 50):
            client.say(bytes(source.randrange(100)))
    elif step == "reply":
        server = source.choice(servers)
        for sender in islice(server.sources, 8):
            server.sock.sendto(b"unasked", sender)
    elif step == "turn":
        await asyncio.sleep(0)
    elif step == "lose":
        one.break_streams()
    elif step == "target":
        one.lead_to(source.choice(servers))
    elif step == "none":
        one.target = None
    elif step == "limit":
        one.front_limits.most_flows = source.randrange(1, 20)
    else:
        one.front_limits.idle_seconds = source.choice((0.01, 0.1, 90))


# ---- peers that mean harm

FRAMES = st.builds(
    lambda kind, flow, payload, segment: (
        header(kind, flow, len(payload), min(segment, len(payload))) + payload
    ),
    st.sampled_from([1, 1, 1, 2, 3, 4, 5]),
    st.integers(0, 30) | st.integers(0, MAX_FLOW),
    st.binary(max_size=30),
    st.integers(1, 30),
)
WORDS = st.builds(header, st.integers(2, 5), st.integers(0, 30))
HARM = st.lists(FRAMES | WORDS | st.binary(max_size=40), max_size=20).map(b"".join)


@given(HARM)
@settings(HYPOTHESIS, max_examples=60)
def test_nothing_that_is_said_on_a_stream_harms_the_servers_end(tell: Tell, harm: bytes) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        peer.send(harm)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: not one.backs)
        assert one.at_back.peak <= one.back_limits.most_flows
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=4))


@given(HARM)
@settings(HYPOTHESIS, max_examples=60)
def test_nothing_that_is_said_on_a_stream_harms_the_clients_end(tell: Tell, harm: bytes) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        for client in one.clients(3):
            client.say(b"hello")
        await until(lambda: one.front.count == 3)
        peer.send(harm)
        peer.shutdown(socket.SHUT_WR)
        await until(lambda: not one.front._stream.is_attached)
        assert len(one.at_front.started) == 3, "the other end begins no flow"
        one.makes_streams = True
        assert await one.client().ask(b"still served") == b"still served"

    tell(story, limits=Limits(most_flows=4))


def test_frames_of_flows_that_are_not_there_are_nobodys(tell: Tell) -> None:
    async def story(one: World) -> None:
        one.makes_streams = False
        peer = one.add_peer()
        clients = one.clients(2)
        for client in clients:
            client.say(b"hello")
        await until(lambda: one.front.count == 2)
        for flow in (0, 3, 1000, MAX_FLOW):
            for kind in (Kind.DATA, Kind.END, Kind.REFUSED):
                peer.send(header(kind, flow))
        peer.send(header(Kind.DATA, 2, 4, 4) + b"mine")
        assert await clients[1].hear() == b"mine"
        assert clients[0].inbox.empty()
        assert all(client.refusals == 0 for client in clients)
        assert one.front.count == 2

    tell(story)


def test_a_peer_that_begins_flows_without_end_costs_no_more_than_the_limit(tell: Tell) -> None:
    most = 32

    async def story(one: World) -> None:
        total = 100_000 if one.descriptors_per_flow == 1 else 20_000  # the latter are slow
        one.server.close()
        peer = one.reach_back()
        before, peaks = descriptors(), [0]

        def look() -> None:
            if len(one.at_back.started) % 1000 == 0:
                peaks.append(descriptors())

        one.at_back.on_start = look
        ended = bytearray()

        async def listen() -> None:
            while data := await asyncio.get_running_loop().sock_recv(peer, 1 << 16):
                ended.extend(data)

        listener = asyncio.create_task(listen())
        for start in range(1, total + 1, 1000):
            frames = b"".join(header(Kind.DATA, flow) for flow in range(start, start + 1000))
            await asyncio.get_running_loop().sock_sendall(peer, frames)
        await until(lambda: len(one.at_back.started) == total, 6 * PATIENCE)
        assert one.backs[0].count <= most
        assert one.at_back.peak <= most
        assert max(peaks) <= before + most * one.descriptors_per_flow + 1
        assert one.at_back.evicted == total - one.backs[0].count
        peer.shutdown(socket.SHUT_WR)
        await listener
        said = [frame.flow for frame in cut(memoryview(ended))[0] if frame.kind == Kind.END]
        assert said == sorted(set(said)), "a flow ended twice"
        assert 0 < len(said) <= one.at_back.evicted

    tell(story, limits=Limits(most_flows=most))


def test_the_end_of_flows_without_end_is_no_burden(tell: Tell) -> None:
    async def story(one: World) -> None:
        peer = one.reach_back()
        frames = b"".join(struct.pack("!IHHB3x", flow, 0, 0, 2) for flow in range(100_000))
        await asyncio.get_running_loop().sock_sendall(
            peer, frames + header(Kind.DATA, 7, 2, 2) + b"ok"
        )
        assert await one.server.hear() == b"ok"
        assert len(one.at_back.started) == 1
        peer.close()
        await until(lambda: not one.backs)

    tell(story)


# ---- afterwards


def test_nothing_refers_to_what_was_closed(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_module, "SWEEP_SECONDS", (3600, 3600))
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 3600)

    async def story(one: World) -> None:
        await one.client().ask(b"hello")
        one.target = OpenRequest("192.0.2.1", 53, "udp")
        one.client().say(b"to be dropped, and told later")
        await until(lambda: one.backs[-1].dropped_here == 1)
        one.makes_streams = False
        await one.lose_streams()
        one.client().say(b"waits for a stream")
        await until(lambda: one.pool.waiting)
        closed = [weakref.ref(each) for each in (one.front, one.front._stream)]
        one.close_ends()
        del one.front
        one.fronts.clear()

        def are_gone() -> bool:
            gc.collect()
            return [each() for each in closed] == [None, None]

        await until(are_gone)

    tell(story)


def test_ends_may_be_closed_twice_and_in_any_order(tell: Tell) -> None:
    async def story(one: World) -> None:
        client = one.client()
        await client.ask(b"hello")
        back = one.backs[0]
        back.close()
        back.close()
        client.say(b"to nobody")
        one.front.close()
        one.front.close()
        assert (one.front.count, back.count) == (0, 0)
        one.backs.remove(back)

    tell(story)
