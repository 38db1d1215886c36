"""What becomes of a stream when its flow is over: it carries another, or is no more."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from typing import Final

import pytest

from link.relay.frames import END, HEADER, MAX_PAYLOAD, RAW, Unframer
from link.relay.relay import StreamGoneError, reset_socket
from link.stream import Stream
from tests.contract.relay_sizes import COPY_SIZE, RAW_AFTER
from tests.contract.relay_stage import (
    OPENING,
    PAIRS,
    PATIENCE,
    Ends,
    Joined,
    MakeEnds,
    Run,
    joined,
    tcp_pair,
)
from tests.streams import is_reset, receive, receive_all, receive_exactly, send
from tests.until import until

SPLICE: Final = PAIRS["splice-splice"]
TUNNELLED: Final = PAIRS["splice-splice-tunnelled"]

SMALL_BUFFER: Final = 1 << 16
"""Bytes: one segment of loopback fits; below that each waits for a timer of TCP."""


def _ignore(_: object) -> None:
    """Nobody cares."""


async def close_in_order(flow: Joined, first: str, last_words: bytes = b"") -> None:
    """Both sides close, one after the other or at once; the client hears the server's last words.

    That is the end, and no reset, whoever closes first.
    """
    if first != "server":
        flow.client.shutdown(socket.SHUT_WR)
    if first == "client":
        assert await receive(flow.server) == b""
    flow.server.shutdown(socket.SHUT_WR)
    if first == "server":
        assert await receive_all(flow.client) == last_words
        flow.client.shutdown(socket.SHUT_WR)
    else:
        assert await receive_all(flow.client) == last_words
    await flow.wait_end()


@pytest.mark.parametrize("first", ["client", "server", "both"])
@pytest.mark.parametrize("make", [SPLICE, TUNNELLED], ids=["", "tunnelled"])
def test_a_stream_carries_one_flow_after_the_other_whoever_ends_them(
    first: str, make: MakeEnds, run_on_loop: Run
) -> None:
    async def story() -> None:
        ends = make()
        stream: tuple[Stream, Stream] | None = None
        for number in range(20):
            flow = Joined(ends, stream)
            question, answer = b"question %d" % number, b"answer %d" % number
            await send(flow.client, question)
            assert await receive_exactly(flow.server, len(question)) == question
            await send(flow.server, answer)
            assert await receive_exactly(flow.client, len(answer)) == answer
            await close_in_order(flow, first)
            await flow.wait_home()
            stream = flow.home.pop("near"), flow.home.pop("far")
            flow.close()
        for end in stream or ():
            end.close()
        await ends.aclose()

    run_on_loop(story())


def test_before_a_programs_words_go_on_who_asked_for_it_is_called(run_on_loop: Run) -> None:
    async def story() -> None:
        ends = SPLICE()
        order: list[str] = []
        ends.opener.before_words = lambda: order.append("client's")
        ends.listener.before_words = lambda: order.append("server's")
        flow = Joined(ends)
        assert order == ["client's"], "what is said by then goes with the opening"
        await send(flow.client, b"question")
        assert await receive_exactly(flow.server, 8) == b"question"
        assert order == ["client's"] * 2
        await send(flow.server, b"answer")
        assert await receive_exactly(flow.client, 6) == b"answer"
        assert order == ["client's", "client's", "server's"]
        flow.close()
        await ends.aclose()

    run_on_loop(story())


@pytest.mark.parametrize("last_words", [b"", b"last words"])
@pytest.mark.parametrize("first", ["client", "server", "both"])
@pytest.mark.parametrize("make", [SPLICE, TUNNELLED], ids=["", "tunnelled"])
def test_a_stream_that_nobody_waits_on_any_more_is_not_offered_for_another_flow(
    make: MakeEnds, first: str, last_words: bytes, run_on_loop: Run
) -> None:
    """Its opener would be reset that had begun one by the time that it is closed."""

    async def story() -> None:
        async with joined(make) as flow:
            flow.far.is_wanted = lambda: False
            await send(flow.client, b"a question")
            assert await receive_exactly(flow.server, 10) == b"a question"
            await send(flow.server, last_words)
            await close_in_order(flow, first, last_words)
            await until(lambda: flow.near.fileno() < 0 and flow.far.fileno() < 0)
            assert not flow.home

    run_on_loop(story())


def test_a_stream_comes_home_only_when_the_server_has_left_nothing_in_it(run_on_loop: Run) -> None:
    """A server may say its end and take what the client said as slowly as it likes."""

    async def story() -> None:
        async with joined(SPLICE) as flow:
            for sock in (flow.second, flow.server):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
            question = bytes(RAW_AFTER - 1)
            flow.server.shutdown(socket.SHUT_WR)
            assert await receive(flow.client) == b""
            await send(flow.client, question)
            flow.client.shutdown(socket.SHUT_WR)
            await asyncio.wait_for(flow.ended.wait(), PATIENCE)
            assert not flow.home
            assert not flow.served_ended.is_set()
            taken = await receive_exactly(flow.server, len(question) // 4)
            assert not flow.home
            assert taken + await receive_all(flow.server) == question
            await asyncio.wait_for(flow.served_ended.wait(), PATIENCE)
            await flow.wait_home()

    run_on_loop(story())


def test_after_bulk_or_a_reset_a_stream_is_no_more(run_on_loop: Run) -> None:
    async def story() -> None:
        async with joined(SPLICE) as flow:
            size = 4 * RAW_AFTER
            sent = asyncio.create_task(send(flow.client, bytes(size)))
            assert await receive_exactly(flow.server, size) == bytes(size)
            await sent
            await close_in_order(flow, "client")
            assert not flow.home
        async with joined(SPLICE) as flow:
            await send(flow.client, b"hello")
            assert await receive_exactly(flow.server, 5) == b"hello"
            reset_socket(flow.server)
            assert await is_reset(flow.client)
            await flow.wait_end()
            assert not flow.home

    run_on_loop(story())


def test_a_stream_that_must_keep_its_frames_outlives_bulk_too(run_on_loop: Run) -> None:
    async def story() -> None:
        ends = TUNNELLED()
        stream: tuple[Stream, Stream] | None = None
        for _ in range(3):
            flow = Joined(ends, stream)
            size = 4 * RAW_AFTER
            for sender, receiver in ((flow.client, flow.server), (flow.server, flow.client)):
                sent = asyncio.create_task(send(sender, bytes(size)))
                assert await receive_exactly(receiver, size) == bytes(size)
                await sent
            await close_in_order(flow, "client")
            await flow.wait_home()
            stream = flow.home.pop("near"), flow.home.pop("far")
            flow.close()
        for end in stream or ():
            end.close()
        await ends.aclose()

    run_on_loop(story())


@pytest.mark.parametrize("size", [1, 4 * RAW_AFTER])
@pytest.mark.parametrize("pair", [name for name in PAIRS if name.endswith("tunnelled")])
def test_a_flow_whose_tunnel_is_gone_is_reset_and_never_ended(
    pair: str, size: int, run_on_loop: Run
) -> None:
    async def story() -> None:
        async with joined(PAIRS[pair]) as flow:
            sent = asyncio.create_task(send(flow.server, bytes(size)))
            assert await receive_exactly(flow.client, size) == bytes(size)
            await sent
            await flow.ends.cut()
            assert await is_reset(flow.client)
            assert await is_reset(flow.server)
            await flow.wait_end()

    run_on_loop(story())


class Half:
    """A relay's end of a flow, whose other end the test moves by hand.

    `peer` is the program that the relay serves: a client if `is_opener`, or else a server.
    """

    def __init__(self, ends: Ends, *, is_opener: bool) -> None:
        self._ends = ends
        self.peer, its = tcp_pair()
        stream, self.far = ends.streams()
        self.ended = asyncio.Event()
        self.home: list[Stream] = []
        stream.home = self.home.append
        if is_opener:
            ends.opener.readiness.watch(stream.fileno(), _ignore)
            ends.opener.forward(its, stream, OPENING, lambda _flow: self.ended.set())
        else:
            ends.listener.serve(stream, its, lambda _flow: self.ended.set())

    async def aclose(self) -> None:
        """End it."""
        for stream in self.home:
            self._ends.opener.readiness.forget(stream.fileno())
            stream.close()
        await self._ends.aclose()
        self.peer.close()
        self.far.close()


@pytest.mark.parametrize("is_opener", [True, False], ids=["opener", "listener"])
@pytest.mark.parametrize(
    "said",
    [
        b"",
        HEADER.pack(9) + b"part",
        HEADER.pack(4)[:2],
        HEADER.pack(MAX_PAYLOAD + 1),
        HEADER.pack(END) + b"x",
        2 * HEADER.pack(END),
        HEADER.pack(1) + b"x" + 2 * HEADER.pack(END),
    ],
    ids=["nothing", "part of a frame", "part of a header", "too much", "more", "2 ends", "2 more"],
)
def test_a_stream_that_breaks_off_or_breaks_the_rules_is_a_reset(
    make_ends: MakeEnds, run_on_loop: Run, said: bytes, is_opener: bool
) -> None:
    async def story() -> None:
        half = Half(make_ends(), is_opener=is_opener)
        await send(half.far, said)
        with contextlib.suppress(OSError):  # the relay may have reset it by now
            half.far.shutdown(socket.SHUT_WR)
        assert await is_reset(half.peer)
        await asyncio.wait_for(half.ended.wait(), PATIENCE)
        await half.aclose()

    run_on_loop(story())


@pytest.mark.parametrize("size", [1, 3 * COPY_SIZE])
def test_last_words_before_a_reset_are_no_end(
    make_ends: MakeEnds, run_on_loop: Run, size: int
) -> None:
    async def story() -> None:
        half = Half(make_ends(), is_opener=False)
        await send(half.peer, bytes(size))
        reset_socket(half.peer)
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while part := await receive(half.far):
                data += part
        unframer = Unframer()
        unframer.feed(memoryview(data))
        assert not unframer.is_ended
        await asyncio.wait_for(half.ended.wait(), PATIENCE)
        await half.aclose()

    run_on_loop(story())


@pytest.mark.parametrize("said", [b"", b"last", bytes(COPY_SIZE - 1), bytes(COPY_SIZE)])
def test_last_words_and_the_end_behind_them_arrive(run_on_loop: Run, said: bytes) -> None:
    async def story() -> None:
        half = Half(SPLICE(), is_opener=False)
        await send(half.peer, said)
        half.peer.shutdown(socket.SHUT_WR)
        unframer, heard = Unframer(), b""
        while not unframer.is_ended:
            data = await receive(half.far)
            heard += b"".join(unframer.feed(memoryview(data)))
        assert heard == said
        await send(half.far, HEADER.pack(3) + b"bye" + HEADER.pack(END))
        assert await receive_all(half.peer) == b"bye"
        await asyncio.wait_for(half.ended.wait(), PATIENCE)
        await half.aclose()

    run_on_loop(story())


@pytest.mark.parametrize("pair", [name for name in PAIRS if name.endswith("tunnelled")])
def test_frames_are_not_given_up_where_that_may_not_be(pair: str, run_on_loop: Run) -> None:
    async def story() -> None:
        half = Half(PAIRS[pair](), is_opener=True)
        await send(half.far, HEADER.pack(RAW) + b"x")
        assert await is_reset(half.peer)
        await asyncio.wait_for(half.ended.wait(), PATIENCE)
        await half.aclose()

    run_on_loop(story())


def test_a_stream_that_ends_with_its_flow_does_not_come_home(run_on_loop: Run) -> None:
    async def story() -> None:
        half = Half(SPLICE(), is_opener=True)
        half.peer.shutdown(socket.SHUT_WR)
        assert await receive_exactly(half.far, len(OPENING) + HEADER.size)
        await send(half.far, HEADER.pack(END))
        half.far.close()
        assert await receive(half.peer) == b""
        await asyncio.wait_for(half.ended.wait(), PATIENCE)
        for stream in half.home:  # it was before the end was to be seen
            assert stream.recv(1) == b""
        await half.aclose()

    run_on_loop(story())


def test_what_a_client_has_said_survives_a_stream_that_is_gone(
    make_ends: MakeEnds, run_on_loop: Run
) -> None:
    async def story() -> None:
        ends = make_ends()
        client, first = tcp_pair()
        await send(client, b"patience")
        gone, far = tcp_pair()
        ends.opener.readiness.watch(gone.fileno(), _ignore)
        reset_socket(far)
        assert select.select([gone], [], [], PATIENCE)[0]
        with pytest.raises(StreamGoneError) as caught:
            ends.opener.forward(first, gone, OPENING, _ignore)
        assert gone.fileno() == -1
        near, far = tcp_pair()
        ends.opener.readiness.watch(near.fileno(), _ignore)
        ends.opener.forward(first, near, OPENING, _ignore, caught.value.early)
        assert await receive_exactly(far, len(OPENING)) == OPENING
        assert (await receive_exactly(far, HEADER.size + 8)).endswith(b"patience")
        await ends.aclose()
        client.close()
        far.close()

    run_on_loop(story())
