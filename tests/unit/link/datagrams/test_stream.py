"""The stream of datagrams on real stream sockets: order, bounds, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import socket
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from link.datagrams import stream as stream_module
from link.datagrams.frames import HEADER_SIZE, Frame, Kind, cut, header
from link.datagrams.sockets import LARGEST_DATAGRAM
from link.datagrams.stream import BACKLOG_BYTES, MOST_BUFFERS, DatagramStream
from link.relay.relay import reset_socket
from tests.unit.machines.until import until

SMALL_BUFFER: Final = 1
"""Bytes of SO_SNDBUF asked for; the kernel gives its least (socket(7))."""


class Read(NamedTuple):
    """A frame that has come."""

    kind: int
    flow: int
    segment: int
    payload: bytes


def read(frames: Sequence[Frame]) -> list[Read]:
    return [Read(f.kind, f.flow, f.segment, bytes(f.payload)) for f in frames]


def frame(flow: int, payload: bytes = b"", kind: Kind = Kind.DATA) -> bytes:
    return header(kind, flow, len(payload), len(payload)) + payload


def run(story: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await story

    asyncio.run(bounded())


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    return near, far


class Peer:
    """The other end of a stream, moved by hand."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.data = b""

    def take(self, size: int = 1 << 20) -> bool:
        """Read what is there; False at the end of the stream or if nothing is."""
        try:
            data = self.sock.recv(size)
        except BlockingIOError:
            return False
        self.data += data
        return bool(data)

    def take_all(self) -> None:
        while self.take():
            pass

    def frames(self) -> list[Read]:
        """The whole frames so far. Raises WireError if something else came."""
        return read(cut(memoryview(self.data))[0])

    @property
    def flows(self) -> list[int]:
        return [each.flow for each in self.frames()]


class World:
    """A stream under test, what it has told, and its peers."""

    def __init__(self) -> None:
        self.received: list[Read] = []
        self.ends: list[str] = []
        self.on_frames: Callable[[], None] = lambda: None
        self.stream = DatagramStream(self._frames, self.ends.append)
        self.peers: list[Peer] = []

    def _frames(self, frames: list[Frame]) -> None:
        self.received += read(frames)
        self.on_frames()

    def attach(self, *, is_small: bool = False) -> Peer:
        near, far = socket.socketpair()
        near.setblocking(False)
        far.setblocking(False)
        if is_small:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        self.stream.attach(near)
        self.peers.append(Peer(far))
        return self.peers[-1]

    def is_attached(self) -> bool:
        return self.stream.is_attached

    def send(self, *payloads: bytes, first: int = 0) -> None:
        """Send datagrams, each of the flow of its place."""
        for flow, payload in enumerate(payloads, first):
            self.stream.add(Kind.DATA, flow, (payload,), len(payload), len(payload))
        self.stream.flush()

    async def all_sent(self, peer: Peer) -> None:
        """Let the stream write, and the peer read, until nothing waits."""
        while self.stream._backlog:
            peer.take_all()
            await asyncio.sleep(0)
        peer.take_all()


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    one = World()
    try:
        yield one
    finally:
        one.stream.close()
        for peer in one.peers:
            peer.sock.close()


def join(one: World, other: World) -> None:
    """Make the two the ends of one stream."""
    for end, sock in zip((one, other), socket.socketpair(), strict=True):
        sock.setblocking(False)
        end.stream.attach(sock)


def test_frames_pass_both_ways_in_order() -> None:
    async def story() -> None:
        async with world() as one, world() as other:
            join(one, other)
            one.stream.add(Kind.DATA, 1, (b"ab", b"cd", b"e"), 5, 2)
            one.stream.add(Kind.DATA, 2)
            one.stream.add(Kind.END, 1)
            assert other.received == []
            one.stream.flush()
            other.send(b"", b"reply", first=7)
            await until(lambda: len(one.received) == 2 and len(other.received) == 3)
            assert other.received == [
                (Kind.DATA, 1, 2, b"abcde"),
                (Kind.DATA, 2, 0, b""),
                (Kind.END, 1, 0, b""),
            ]
            assert one.received == [(Kind.DATA, 7, 0, b""), (Kind.DATA, 8, 5, b"reply")]

    run(story())


def test_what_was_added_goes_out_in_one_write() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.send(b"a", b"b", b"c")
            peer.take()
            assert peer.flows == [0, 1, 2]

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
                one.stream.add(Kind.DATA, flow, (memoryview(memory),), len(memory), len(memory))
                one.stream.flush()
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
                assert sum(each.size for each in one.stream._backlog) == one.stream._backlog_bytes
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
            one.stream.add(Kind.DATA, 1, (bytes(95),), 95, 10)
            one.stream.add(Kind.DATA, 2)
            one.stream.add(Kind.END, 3)
            one.stream.flush()
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


@given(st.lists(st.binary(max_size=300), max_size=8), st.data())
@settings(deadline=None)
def test_frames_cut_anywhere_are_put_together(payloads: list[bytes], data: st.DataObject) -> None:
    text = b"".join(frame(flow, payload) for flow, payload in enumerate(payloads))
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10).map(sorted))

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
                peer.sock.send(text[start:end])
                one.stream.drain()
            assert [each.payload for each in one.received] == payloads

    run(story())


def test_frames_larger_than_what_one_look_takes_arrive() -> None:
    payloads = [bytes([i]) * LARGEST_DATAGRAM for i in range(20)]
    text = b"".join(frame(flow, payload) for flow, payload in enumerate(payloads))

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            await asyncio.get_running_loop().sock_sendall(peer.sock, text)
            await until(lambda: len(one.received) == len(payloads))
            assert [each.payload for each in one.received] == payloads

    run(story())


def test_drain_hands_on_what_has_arrived_without_a_turn_of_the_loop() -> None:
    async def story() -> None:
        async with world() as one:
            one.stream.drain()
            peer = one.attach()
            peer.sock.send(frame(5, b"last words"))
            one.stream.drain()
            assert [each.payload for each in one.received] == [b"last words"]

    run(story())


@pytest.mark.parametrize("noise", [header(9, 1), header(Kind.END, 1, 5), b"\xff" * 50])
def test_a_protocol_error_ends_the_stream(noise: bytes) -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            peer.sock.send(noise)
            await until(lambda: one.ends)
            assert one.ends[0].startswith("protocol error: a frame of")
            assert not one.is_attached()
            assert one.received == []
            one.send(b"to the next stream")
            second = one.attach()
            second.take_all()
            assert [each.payload for each in second.frames()] == [b"to the next stream"]
            assert len(one.ends) == 1

    run(story())


def test_the_rest_of_a_broken_stream_is_not_taken_for_the_start_of_the_next() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            peer.sock.send(frame(1, b"cut short")[:-1])
            peer.sock.close()
            await until(lambda: one.ends)
            second = one.attach()
            second.sock.send(frame(2, b"whole"))
            one.stream.drain()
            assert one.received == [(Kind.DATA, 2, 5, b"whole")]

    run(story())


def test_the_end_of_a_stream_comes_after_what_was_said() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            peer.sock.send(frame(1, b"goodbye"))
            peer.sock.close()
            await until(lambda: one.ends)
            assert one.ends == ["the other end closed the stream"]
            assert [each.payload for each in one.received] == [b"goodbye"]

    run(story())


def test_a_reset_is_an_end_and_writing_into_it_is_no_error() -> None:
    async def story() -> None:
        async with world() as one:
            near, far = tcp_pair()
            one.stream.attach(near)
            reset_socket(far)
            for _ in range(3):
                one.send(b"into the void")
            await until(lambda: one.ends)
            assert len(one.ends) == 1
            assert not one.is_attached()

    run(story())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_reset_behind_more_than_one_look_takes_is_noticed(
    monkeypatch: pytest.MonkeyPatch, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    monkeypatch.setattr(stream_module, "READ_BYTES", 1000)

    async def story() -> None:
        async with world() as one:
            near, far = tcp_pair()
            one.stream.attach(near)
            await asyncio.sleep(0)
            one.send(*[bytes(60_000)] * 100)
            assert one.stream._is_writing
            far.send(b"".join(frame(flow, bytes(1000)) for flow in range(50)))
            reset_socket(far)
            await until(lambda: one.ends)
            assert [each.flow for each in one.received] == list(range(50))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


def test_a_close_ends_the_stream_forgets_what_waited_and_may_come_twice() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            one.send(*[bytes(10_000)] * 20)
            one.stream.add(Kind.END, 20)
            one.stream.close()
            one.stream.close()
            peer.take_all()
            assert len(peer.data) < 100_000
            with pytest.raises(BrokenPipeError):
                peer.sock.send(b"anybody?")
            second = one.attach()
            one.send(b"fresh", first=99)
            second.take_all()
            assert second.flows == [99]
            assert one.ends == []

    run(story())


def test_what_one_end_dropped_is_told_to_the_other_and_not_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.01)

    async def story() -> None:
        async with world() as one, world() as other:
            one.stream.lose(5)
            join(one, other)
            other.stream.lose(3)
            await until(lambda: one.stream.dropped_there and other.stream.dropped_there)
            assert (one.stream.dropped_there, other.stream.dropped_there) == (3, 5)
            one.stream.lose(4)
            await until(lambda: other.stream.dropped_there == 9)
            assert one.received == other.received == []

    run(story())


def test_what_was_dropped_is_counted_on_over_another_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.01)

    async def story() -> None:
        async with world() as one, world() as second:
            first = one.attach()
            one.stream.lose(4)
            first.sock.send(header(Kind.DROPPED, 10) + header(Kind.DROPPED, 12) + frame(1))
            await until(lambda: one.received)
            assert one.received == [(Kind.DATA, 1, 0, b"")]
            one.stream.detach()
            join(one, second)
            second.stream.lose(3)
            await until(lambda: one.stream.dropped_there == 15)
            await until(lambda: second.stream.dropped_there == 4)

    run(story())


def test_nothing_keeps_a_closed_stream() -> None:
    async def story() -> None:
        stream = DatagramStream(lambda _: None, lambda _: None)
        near, far = socket.socketpair()
        near.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        stream.attach(near)
        stream.add(Kind.DATA, 1, (bytes(60_000),), 60_000, 60_000)
        stream.flush()
        stream.lose(1)
        stream.close()
        far.close()
        gone = weakref.ref(stream)
        del stream
        gc.collect()
        assert gone() is None

    run(story())


def test_drops_are_told_no_more_often_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.05)

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            start = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() < start + 0.2:
                one.stream.lose(1)
                peer.take_all()
                await asyncio.sleep(0)
            await until(lambda: one.stream._report is None)
            peer.take_all()
            passed = asyncio.get_running_loop().time() - start
            told = [each.flow for each in peer.frames()]
            assert told == sorted(set(told))
            assert told[-1] == one.stream.dropped_here
            assert 1 <= len(told) <= passed / 0.05 + 0.1

    run(story())


def test_a_stream_may_be_closed_by_what_it_hands_on() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.on_frames = one.stream.close
            peer.sock.send(frame(1, b"enough") + frame(2, b"cut short")[:-1])
            await until(lambda: one.received)
            peer.take_all()
            with pytest.raises(BrokenPipeError):
                peer.sock.send(b"anybody?")
            assert one.ends == []

    run(story())


STEPS = st.sampled_from(["send", "send", "read", "turn", "detach", "attach"])


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
