"""What a stream of datagrams hands on: whole frames, however they come, until it ends.

Rules: what was said before an end is handed on before the end is told, which is told once; the
rest of a stream that ended is never taken for the start of the next.

Counterparts: `stream_world.py`; `link/datagrams/stream.py` is tested;
`tests/contract/test_datagram_stream.py` for ends right behind the last frame.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from link.datagrams import stream as stream_module
from link.datagrams.frames import Kind, header
from link.datagrams.sockets import LARGEST_DATAGRAM
from link.datagrams.stream import DatagramStream
from link.relay.relay import reset_socket
from link.stream import Stream
from tests.loops import LOOPS
from tests.unit.link.datagrams.stream_world import SMALL_BUFFER, frame, run, world
from tests.until import until

# ---- frames


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


@pytest.mark.parametrize("is_followed", [False, True], ids=["alone", "with more behind"])
def test_what_was_read_with_the_opening_is_handed_on_first(is_followed: bool) -> None:
    begun = frame(3, b"three")
    early = frame(1, b"one") + frame(2, b"two") + begun[:5]

    async def story() -> None:
        async with world() as one:
            near, far = socket.socketpair()
            stream = Stream.of(near)
            stream.early = early
            one.stream.attach(stream)
            if is_followed:
                far.send(begun[5:])
                one.stream.drain()
            await until(lambda: len(one.received) == (3 if is_followed else 2))
            far.sendall(b"" if is_followed else begun[5:])
            await until(lambda: len(one.received) == 3)
            assert [each.payload for each in one.received] == [b"one", b"two", b"three"]
            far.close()

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


# ---- ends


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    return near, far


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


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=list(LOOPS))
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


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=list(LOOPS))
def test_writing_into_a_reset_of_which_only_the_last_bytes_were_read_is_no_error(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def story() -> None:
        async with world() as one:
            near, far = tcp_pair()
            one.stream.attach(near)
            far.send(frame(1, b"goodbye"))
            reset_socket(far)
            await until(lambda: one.received)
            await asyncio.sleep(0)
            one.send(b"into the void")
            await until(lambda: one.ends)
            assert len(one.ends) == 1

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


def test_a_close_ends_the_stream_forgets_what_waited_and_may_come_twice() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach(is_small=True)
            one.send(*[bytes(10_000)] * 20)
            one.stream.hold()
            one.stream.send(Kind.END, 20)
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


def test_a_stream_may_be_closed_by_what_it_hands_on() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.on_frame = one.stream.close
            peer.sock.send(frame(1, b"enough") + frame(2, b"cut short")[:-1])
            await until(lambda: one.received)
            peer.take_all()
            with pytest.raises(BrokenPipeError):
                peer.sock.send(b"anybody?")
            assert one.ends == []

    run(story())


def test_a_stream_that_is_drained_by_what_it_hands_on_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payloads = [b"one", b"two", b"three"]
    text = b"".join(frame(flow, payload) for flow, payload in enumerate(payloads))
    monkeypatch.setattr(stream_module, "READ_BYTES", len(frame(0, b"one")) + 3)

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            one.on_frame = one.stream.drain
            peer.sock.send(text)
            await until(lambda: len(one.received) == len(payloads) or one.ends)
            assert [each.payload for each in one.received] == payloads
            assert one.ends == []

    run(story())


def test_what_is_left_of_a_stream_is_not_kept_for_one_that_was_attached_meanwhile() -> None:
    async def story() -> None:
        async with world() as one:

            def attach_another() -> None:
                one.on_frame = lambda: None
                one.stream.detach()
                one.attach()

            one.on_frame = attach_another
            one.attach().sock.send(frame(1, b"one") + frame(2, b"cut short")[:-1])
            await until(lambda: len(one.peers) == 2)
            one.peers[1].sock.send(frame(3, b"whole"))
            await until(lambda: len(one.received) == 2 or one.ends)
            assert [each.payload for each in one.received] == [b"one", b"whole"]
            assert one.ends == []

    run(story())


def test_a_write_that_fails_tells_of_an_end_that_the_loop_did_not_tell() -> None:
    async def story() -> None:
        async with world() as one:
            near, far = tcp_pair()
            one.stream.attach(near)
            asyncio.get_running_loop().remove_reader(near.fileno())
            reset_socket(far)
            one.send(b"into the void")
            await until(lambda: one.ends)
            assert len(one.ends) == 1

    run(story())


def test_a_stream_ends_with_what_cannot_be_handled_since_where_it_goes_on_is_not_known() -> None:
    def fail() -> None:
        raise LookupError("for the test")

    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            peer.sock.send(frame(1, b"one") + frame(2, b"two") + frame(3, b"cut short")[:-1])
            one.on_frame = fail
            with pytest.raises(LookupError, match="for the test"):
                one.stream.drain()
            assert one.ends == ["what it carried could not be handled"]
            assert not one.is_attached()
            one.on_frame = lambda: None
            one.attach().sock.send(frame(4, b"anew"))
            await until(lambda: len(one.received) == 2)
            assert one.received[1].payload == b"anew"

    run(story())


def test_what_a_stream_brings_is_taken_by_one_read() -> None:
    async def story() -> None:
        async with world() as one:
            peer = one.attach()
            near = one.stream._socket
            assert near is not None
            counted = CountedReads(near)
            one.stream._socket = counted  # type: ignore[assignment]
            for number in range(1, 4):
                peer.sock.send(frame(1, b"short"))
                await until(lambda number=number: len(one.received) == number)  # type: ignore[misc]
                assert counted.reads == number

    run(story())


class CountedReads:
    """A socket that counts."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.reads = 0

    def recv_into(self, buffer: memoryview, size: int) -> int:
        self.reads += 1
        return self._sock.recv_into(buffer, size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._sock, name)


def test_nothing_keeps_a_closed_stream() -> None:
    async def story() -> None:
        stream = DatagramStream(lambda *_: None, lambda *_: None, lambda _: None)
        near, far = socket.socketpair()
        near.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        stream.attach(near)
        far.send(frame(1))
        stream.drain()
        stream.send(Kind.DATA, 1, (bytes(60_000),), 60_000, 60_000)
        stream.lose(1)
        stream.close()
        far.close()
        gone = weakref.ref(stream)
        del stream
        gc.collect()
        assert gone() is None

    run(story())
