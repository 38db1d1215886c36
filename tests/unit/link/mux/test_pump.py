"""The pump of a pipe: its streams are kernel sockets, and each has a life of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from link.loop import DirectLoop
from link.mux.frames import DATA, OPEN, PREAMBLE, FrameCutter, header
from link.mux.pipe import DescriptorPipe, SocketPipe
from link.mux.pump import MuxPump
from link.mux.session import FIRST_WINDOW, MAX_STREAMS, MAX_WINDOW, StreamLimitError
from link.mux.signals import EpollSignals, LoopSignals, Signals, open_signals
from tests.streams import is_refused, receive, receive_all, send
from tests.until import until

PATIENCE = 20.0
Run = Callable[[Coroutine[Any, Any, None]], None]
NewSignals = Callable[[], Signals]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop, DirectLoop])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a story on each kind of loop."""

    def runner(story: Coroutine[Any, Any, None]) -> None:
        failures: list[dict[str, Any]] = []

        async def bounded() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: failures.append(context))
            async with asyncio.timeout(60):
                await story

        with asyncio.Runner(loop_factory=request.param) as one:
            one.run(bounded())
        assert not failures

    return runner


@pytest.fixture(params=[EpollSignals, LoopSignals])
def new_signals(request: pytest.FixtureRequest) -> NewSignals:
    """Makes signals of each kind, inside the running loop."""
    return request.param  # type: ignore[no-any-return]


class Ends:
    """Two pumps, the streams that came at the agent's, and why each ended."""

    def __init__(self, near: Any, far: Any, new_signals: NewSignals) -> None:
        self.came: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.reasons: asyncio.Queue[str] = asyncio.Queue()
        self.near = MuxPump(
            near,
            new_signals(),
            opens=True,
            on_stream=lambda sock: sock.close(),
            on_end=self.reasons.put_nowait,
        )
        self.far = MuxPump(
            far,
            new_signals(),
            opens=False,
            on_stream=self.came.put_nowait,
            on_end=self.reasons.put_nowait,
        )

    async def open(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new stream."""
        near = self.near.open()
        return near, await asyncio.wait_for(self.came.get(), PATIENCE)


@contextlib.asynccontextmanager
async def ends(new_signals: NewSignals) -> AsyncIterator[Ends]:
    """Over a socket pair at the desktop, and the two pipes of a process at the agent."""
    near, far = socket.socketpair()
    both = Ends(SocketPipe(near), DescriptorPipe(os.dup(far.fileno()), far.detach()), new_signals)
    try:
        yield both
    finally:
        both.near.close()
        both.far.close()


async def fill(sock: socket.socket) -> int:
    """Send until nothing is taken any more; how much was."""
    total, quiet = 0, 0
    while quiet < 20:
        try:
            total += sock.send(bytes(1 << 16))
            quiet = 0
        except BlockingIOError:
            quiet += 1
            await asyncio.sleep(0.01)  # nothing tells that nothing more will happen
    return total


def test_bytes_go_both_ways_at_once_whole_and_in_order(run: Run, new_signals: NewSignals) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            pairs = [await both.open() for _ in range(5)]
            sent = [os.urandom(1 << 20) for _ in range(10)]
            sockets = [sock for pair in pairs for sock in pair]
            others = [sock for pair in pairs for sock in reversed(pair)]

            async def say(sock: socket.socket, data: bytes) -> None:
                await send(sock, data)
                sock.shutdown(socket.SHUT_WR)

            got = await asyncio.gather(
                *(receive_all(sock) for sock in others),
                *(say(sock, data) for sock, data in zip(sockets, sent, strict=True)),
            )
            assert got[:10] == sent
            for sock in sockets:
                sock.close()
            await until(lambda: not (both.near.count or both.far.count))

    run(story())


def test_a_user_who_closes_has_said_all_and_the_other_writes_in_vain(
    run: Run, new_signals: NewSignals
) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            near, far = await both.open()
            await send(near, b"last words")
            near.close()
            assert await receive_all(far) == b"last words"
            await until(lambda: is_refused(far))
            far.close()
            await until(lambda: not (both.near.count or both.far.count))

    run(story())


def test_what_nobody_reads_costs_bounded_memory_and_stops_nobody(
    run: Run, new_signals: NewSignals
) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            stalled = [await both.open() for _ in range(3)]
            for near, far in stalled:
                assert await fill(near) < MAX_WINDOW + (2 << 20)
                assert await fill(far) < MAX_WINDOW + (2 << 20)
            near, far = await both.open()
            for index in range(200):
                near.send(bytes([index]))
                assert await receive(far) == bytes([index])
                far.send(bytes([index]))
                assert await receive(near) == bytes([index])
            for pump in (both.near, both.far):
                assert 0 < pump._session.held <= 3 * MAX_WINDOW
            # A user who goes without having read frees what waited for it.
            for near_end, far_end in stalled:
                near_end.close()
                far_end.close()
            await until(lambda: both.near.count <= 1 and both.far.count <= 1)
            assert both.near._session.held == both.far._session.held == 0
            near.close()
            far.close()

    run(story())


def test_who_reads_late_gets_all(run: Run, new_signals: NewSignals) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            near, far = await both.open()
            data = os.urandom(3 << 20)
            sending = asyncio.ensure_future(send(near, data))
            await until(lambda: both.far._session.held >= FIRST_WINDOW)
            got = b""
            while len(got) < len(data):
                got += await receive(far)
            await sending
            near.close()
            assert got + await receive_all(far) == data
            far.close()

    run(story())


def test_the_end_of_the_pipe_is_the_end_of_every_stream(run: Run, new_signals: NewSignals) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            pairs = [await both.open() for _ in range(3)]
            both.far.close("enough")
            assert await both.reasons.get() == "enough"
            assert "ended" in await both.reasons.get()
            for near, far in pairs:
                assert await receive_all(near) == await receive_all(far) == b""
                near.close()
                far.close()
            assert both.near.is_closed
            with pytest.raises(ConnectionError):
                both.near.open()

    run(story())


def test_a_fault_in_the_pipe_ends_it_with_its_reason(run: Run, new_signals: NewSignals) -> None:
    async def story() -> None:
        reasons: list[str] = []
        sock, other = socket.socketpair()
        pump = MuxPump(
            SocketPipe(sock),
            new_signals(),
            opens=False,
            on_stream=lambda sock: sock.close(),
            on_end=reasons.append,
        )
        other.send(b"Welcome!\n" + PREAMBLE + header(OPEN, 1) + header(DATA, 1, FIRST_WINDOW + 1))
        await until(lambda: reasons)
        assert reasons == ["protocol error: stream 1 has sent more than it had credit for"]
        assert pump.is_closed
        other.close()

    run(story())


def test_more_streams_than_there_may_be_are_refused_here_already(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setattr("link.mux.session.MAX_STREAMS", 3)

    async def story() -> None:
        async with ends(EpollSignals) as both:
            pairs = [await both.open() for _ in range(3)]
            with pytest.raises(StreamLimitError):
                both.near.open()
            pairs[0][0].close()
            pairs[0][1].close()
            await until(lambda: both.near.count < 3)
            pairs.append(await both.open())
            for near, far in pairs:
                near.close()
                far.close()

    run(story())


def test_without_descriptors_a_streamis_refused_and_the_pipe_goes_on(run: Run) -> None:
    async def story() -> None:
        async with ends(EpollSignals) as both:
            first = await both.open()
            near = both.near.open()
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
            try:
                assert await receive(near) == b""
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await send(first[0], b"still")
            assert await receive(first[1]) == b"still"
            for sock in (near, *first):
                sock.close()

    run(story())


def test_the_small_ones_wait_for_one_frame_of_the_large_one_at_most(run: Run) -> None:
    """Told by the order on the wire, with a pipe that takes nothing at first."""

    async def story() -> None:
        sock, other = socket.socketpair()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        pump = MuxPump(
            SocketPipe(sock),
            EpollSignals(),
            opens=True,
            on_stream=lambda sock: sock.close(),
            on_end=lambda _reason: None,
        )
        bulk = [pump.open() for _ in range(4)]
        small = [pump.open() for _ in range(4)]
        for each in bulk:
            await fill(each)
        for each in small:
            each.send(b"small")
        await asyncio.sleep(0)
        other.setblocking(False)
        order = await _streams_in_order(other, until=8)
        places = [order.index(number) for number in (5, 6, 7, 8)]
        before = [sum(number <= 4 for number in order[:place]) for place in places]
        assert max(before) <= 1 + 4 + 1  # what was in the buffer already, then one of each
        pump.close()
        for each in (*bulk, *small, other):
            each.close()

    run(story())


async def _streams_in_order(sock: socket.socket, until: int) -> list[int]:
    """Whose frames come, until each of so many streams had one."""
    cutter = FrameCutter()
    order: list[int] = []
    while len(set(order)) < until:
        pieces = cutter.feed(memoryview(await receive(sock)))
        order += [each.stream for each in pieces if each.kind == DATA and not each.data]
    return order


def test_a_stream_to_nobody_is_none_of_the_others_business(
    run: Run, new_signals: NewSignals
) -> None:
    async def story() -> None:
        async with ends(new_signals) as both:
            for _ in range(300):
                near, far = await both.open()
                far.close()
                near.close()
            await until(lambda: not (both.near.count or both.far.count))
            near, far = await both.open()
            await send(near, b"x")
            assert await receive(far) == b"x"
            near.close()
            far.close()

    run(story())


def test_each_platform_gets_its_signals() -> None:
    async def story() -> None:
        for platform, kind in (("linux", EpollSignals), ("darwin", LoopSignals)):
            signals = open_signals(platform)
            assert isinstance(signals, kind)
            signals.close()
            signals.close()

    asyncio.run(story())
    assert MAX_STREAMS * FIRST_WINDOW == 128 << 20
