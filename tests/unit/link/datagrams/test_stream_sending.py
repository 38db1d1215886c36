"""What a stream of datagrams sends: in order, within bounds, each datagram once or counted.

Rules: a peer that reads little, late or not at all costs bounded memory and the oldest datagrams;
a frame that was begun is finished on its stream, or on none.

Counterparts: `stream_world.py`; `link/datagrams/stream.py` is tested.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link.datagrams import stream as stream_module
from link.datagrams.frames import HEADER_SIZE, Kind
from link.datagrams.sockets import LARGEST_DATAGRAM
from link.datagrams.stream import BACKLOG_BYTES, MOST_BUFFERS
from tests.unit.link.datagrams.stream_world import join, run, world
from tests.until import until

STEPS = st.sampled_from(["send", "send", "read", "turn", "detach", "attach"])


@pytest.fixture(params=[stream_module._send, stream_module._send_joined], scope="module")
def write(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each way of writing several buffers: the system's, and that of Windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_module, "_send", request.param)
        yield


pytestmark = pytest.mark.usefixtures("write")


def test_frames_pass_both_ways_in_order() -> None:
    async def story() -> None:
        async with world() as one, world() as other:
            join(one, other)
            one.stream.send(Kind.DATA, 1, (b"ab", b"cd", b"e"), 5, 2)
            one.stream.send(Kind.DATA, 2)
            one.stream.send_words(Kind.END, [1, 3])
            other.send(b"", b"reply", first=7)
            await until(lambda: len(one.received) == 2 and len(other.received) == 4)
            assert other.received == [
                (Kind.DATA, 1, 2, b"abcde"),
                (Kind.DATA, 2, 0, b""),
                (Kind.END, 1, 0, b""),
                (Kind.END, 3, 0, b""),
            ]
            assert one.received == [(Kind.DATA, 7, 0, b""), (Kind.DATA, 8, 5, b"reply")]

    run(story())


def test_a_frame_goes_out_at_once() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            for flow in range(3):
                one.stream.send(Kind.DATA, flow, (b"a",), 1, 1)
                peer.await_more()
                assert peer.flows == list(range(flow + 1))

    run(story())


def test_what_was_held_goes_out_together_and_later_frames_at_once_again() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.stream.hold()
            one.stream.send(Kind.DATA, 0, (b"a",), 1, 1)
            one.stream.send_words(Kind.END, [1, 2])
            peer.take()
            assert peer.data == b""
            one.stream.flush()
            peer.await_more()
            assert peer.flows == [0, 1, 2]
            one.stream.send(Kind.END, 3)
            peer.await_more()
            assert peer.flows == [0, 1, 2, 3]

    run(story())


def test_more_pieces_than_one_write_takes_arrive_all_the_same() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.send(*[b"x"] * (2 * MOST_BUFFERS))
            await one.all_sent(peer)
            assert peer.flows == list(range(2 * MOST_BUFFERS))

    run(story())


def test_a_stream_that_takes_little_at_a_time_loses_nothing_under_the_limit() -> None:
    source = random.Random(1)
    largest = BACKLOG_BYTES // 75
    payloads = [source.randbytes(source.randrange(1, largest)) for _ in range(100)]

    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            one.send(*payloads[:50])
            one.send(*payloads[50:], first=50)
            peer.take_all()
            assert len(peer.data) < sum(map(len, payloads)), "the stream took all at once"
            await one.all_sent(peer)
            assert [each.payload for each in peer.frames()] == payloads
            assert one.stream.dropped_here == 0

    run(story())


def test_nobody_is_woken_to_write_once_nothing_waits() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            one.send(bytes(50_000))
            assert one.stream._is_writing
            await one.all_sent(peer)
            assert not one.stream._is_writing

    run(story())


def test_memory_of_the_caller_may_be_used_again_after_the_flush() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            memory = bytearray(b"a" * 60_000)
            one.send(bytes(memory[:1]))
            for flow in range(3):
                one.stream.send(Kind.DATA, flow, (memoryview(memory),), len(memory), len(memory))
                memory[:] = bytes([memory[0] + 1]) * len(memory)
            await one.all_sent(peer)
            last = [each.payload for each in peer.frames()][1:]
            assert last == [letter * 60_000 for letter in (b"a", b"b", b"c")]

    run(story())


def test_a_peer_that_does_not_read_costs_bounded_memory_and_the_oldest_datagrams() -> None:
    count, size = 200, 20_000

    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            for flow in range(count):
                one.send(bytes([flow]) * size, first=flow)
                assert one.stream._backlog_bytes <= BACKLOG_BYTES
                waiting = sum(len(each.data) for each in one.stream._backlog)
                assert waiting == one.stream._backlog_bytes
            await one.all_sent(peer)
            kept = BACKLOG_BYTES // (size + HEADER_SIZE)
            missing = sorted(set(range(count)) - set(peer.flows))
            assert peer.flows == sorted(peer.flows)
            assert peer.flows[0] == 0, "a frame that was begun was not finished"
            assert missing == list(range(missing[0], count - kept + 1))
            assert one.stream.dropped_here == len(missing)
            assert {len(each.payload) for each in peer.frames()} == {size}

    run(story())


def test_what_is_dropped_is_counted_by_datagrams() -> None:
    async def story() -> None:
        async with world() as one:
            one.stream.send(Kind.DATA, 1, (bytes(95),), 95, 10)
            one.stream.send(Kind.DATA, 2)
            one.stream.send(Kind.END, 3)
            one.stream.drop_waiting()
            assert one.stream.dropped_here == 11
            peer = one.attach()
            peer.take_all()
            assert peer.data == b""

    run(story())


def test_without_a_stream_datagrams_wait_and_go_out_when_there_is_one() -> None:
    async def story() -> None:
        async with world() as one:
            assert not one.is_attached()
            one.send(b"early", b"birds")
            peer = one.attach()
            assert one.is_attached()
            one.send(b"later", first=2)
            peer.take_all()
            assert [each.payload for each in peer.frames()] == [b"early", b"birds", b"later"]

    run(story())


def test_without_a_stream_no_more_waits_than_the_limit() -> None:
    count = 30

    async def story() -> None:
        async with world() as one:
            for flow in range(count):
                one.send(bytes(LARGEST_DATAGRAM), first=flow)
            kept = BACKLOG_BYTES // (HEADER_SIZE + LARGEST_DATAGRAM)
            assert one.stream.dropped_here == count - kept
            peer = one.attach()
            await one.all_sent(peer)
            assert peer.flows == list(range(count - kept, count))

    run(story())


def test_another_stream_does_not_begin_with_half_a_frame() -> None:
    async def story() -> None:
        async with world() as one:
            first = one.attach(is_small=True)
            one.send(bytes(100_000)[:60_000], b"whole")
            one.stream.detach()
            first.take_all()
            assert 0 < len(first.data) < 60_000
            assert one.stream.dropped_here == 1
            second = one.attach()
            one.send(b"more", first=2)
            second.take_all()
            assert [each.payload for each in second.frames()] == [b"whole", b"more"]

    run(story())


@given(st.lists(STEPS, max_size=60), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_every_datagram_arrives_once_or_is_counted(steps: list[str], source: Any) -> None:
    async def story() -> None:
        async with world() as one:
            sent = 0
            for step in [*steps, "detach", "attach"]:
                if step == "send":
                    count = source.randrange(1, 5)
                    one.send(*[b"x" * source.randrange(1, 3000) for _ in range(count)], first=sent)
                    sent += count
                elif step == "read" and one.peers:
                    one.peers[-1].take(source.randrange(1, 5000))
                elif step == "turn":
                    await asyncio.sleep(0)
                elif step == "detach":
                    one.stream.detach()
                elif step == "attach" and not one.is_attached():
                    one.attach(is_small=True)
            await one.all_sent(one.peers[-1])
            for peer in one.peers:
                peer.take_all()
            arrived = [flow for peer in one.peers for flow in peer.flows]
            assert arrived == sorted(set(arrived))
            assert len(arrived) + one.stream.dropped_here == sent

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_module, "BACKLOG_BYTES", 20_000)
        run(story())
