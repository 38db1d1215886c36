"""The direct loop is an asyncio loop; what is watched is served in order, whatever fails."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from link.loop import DirectLoop, open_epoll_readiness, run
from link.readiness import ENDING, READABLE, WRITABLE, EpollReadiness
from tests.until import until

PATIENCE = 30.0
LOOPS = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
    "direct": DirectLoop,
}


@pytest.fixture(params=list(LOOPS.values()), ids=list(LOOPS))
def tell(request: pytest.FixtureRequest) -> Callable[[Callable[[], Any]], None]:
    def teller(story: Callable[[], Any]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(story(), 30))

    return teller


def pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


class Watched:
    """A socket that is watched, and what its handler was told."""

    def __init__(self, readiness: EpollReadiness) -> None:
        self.readiness = readiness
        self.near, self.far = pair()
        self.masks: list[int] = []
        readiness.watch(self.near.fileno(), self.masks.append)

    def close(self) -> None:
        self.readiness.forget(self.near.fileno())
        self.near.close()
        self.far.close()


def test_news_is_told_once_and_again_on_demand(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        watched = Watched(readiness)
        watched.far.send(b"x")
        await until(lambda: watched.masks == [READABLE])
        await asyncio.sleep(0.01)
        assert watched.masks == [READABLE]
        readiness.rearm(watched.near.fileno())
        await until(lambda: watched.masks == [READABLE] * 2)
        watched.far.close()
        await until(lambda: bool(watched.masks[-1] & ENDING))
        watched.close()
        close()

    tell(story)


def test_room_to_write_is_told_to_those_who_ask_for_it(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        watched = Watched(readiness)
        await asyncio.sleep(0.01)
        assert watched.masks == []
        readiness.watch_room(watched.near.fileno())
        await until(lambda: watched.masks == [WRITABLE])
        watched.close()
        close()

    tell(story)


def test_who_takes_a_socket_over_is_told_of_what_comes(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        watched = Watched(readiness)
        masks: list[int] = []
        readiness.watch(watched.near.fileno(), masks.append)
        watched.far.send(b"x")
        await until(lambda: masks == [READABLE])
        readiness.unwatch(watched.near.fileno())
        assert await asyncio.get_running_loop().sock_recv(watched.near, 9) == b"x"
        watched.far.send(b"y")
        assert await asyncio.get_running_loop().sock_recv(watched.near, 9) == b"y"
        assert (masks, watched.masks) == ([READABLE], [])
        watched.close()
        close()

    tell(story)


def test_a_handler_that_fails_is_reported_and_holds_up_no_other(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        reports: list[str] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: reports.append(repr(context["exception"]))
        )

        def fail(*_: object) -> None:
            raise ValueError("on purpose")

        ones = [Watched(readiness) for _ in range(3)]
        readiness.watch(ones[1].near.fileno(), fail)
        readiness.later(fail)
        for one in ones:
            one.far.send(b"x")
        await until(lambda: len(reports) == 2)
        assert set(reports) == {"ValueError('on purpose')"}
        await until(lambda: ones[0].masks == ones[2].masks == [READABLE])
        for one in ones:
            one.close()
        close()

    tell(story)


def test_what_is_small_overtakes_what_was_put_off(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        order: list[str] = []
        near, far = pair()
        readiness.watch(near.fileno(), lambda _mask: order.append("small"))

        def bulk(left: int) -> None:
            order.append("bulk")
            if left == 4:
                far.send(b"x")
            if left:
                readiness.later(lambda: bulk(left - 1))

        readiness.later(lambda: bulk(5))
        await until(lambda: order.count("bulk") == 6 and "small" in order)
        assert order == ["bulk", "bulk", "small", "bulk", "bulk", "bulk", "bulk"]
        readiness.forget(near.fileno())
        near.close()
        far.close()
        close()

    tell(story)


def test_bulk_that_never_ends_holds_up_neither_timers_nor_tasks(tell: Any) -> None:
    async def story() -> None:
        readiness, close = open_epoll_readiness()
        turns = 0
        is_over = False

        def bulk() -> None:
            nonlocal turns
            turns += 1
            if not is_over:
                readiness.later(bulk)

        bulk()
        await asyncio.sleep(0.01)
        await asyncio.get_running_loop().run_in_executor(None, int)
        assert turns > 1
        is_over = True
        await until(lambda: not readiness.put_off)
        close()

    tell(story)


def test_what_asyncio_hears_is_dealt_with_before_news_that_came_later() -> None:
    """Such as the word that a port is to be opened, before its number that a server tells."""

    async def story() -> None:
        loop = asyncio.get_running_loop()
        readiness, close = open_epoll_readiness()
        order: list[str] = []
        one, other = Watched(readiness), Watched(readiness)
        readiness.watch(one.near.fileno(), lambda _mask: order.append("later"))

        class Session(asyncio.Protocol):
            def data_received(self, data: bytes) -> None:
                other.close()
                loop.call_soon(order.append, data.decode())

        near, far = pair()
        transport, _session = await loop.create_connection(Session, sock=near)
        far.send(b"first")
        one.far.send(b"x")
        other.far.send(b"x")
        await until(lambda: len(order) == 2)
        await asyncio.sleep(0.01)
        assert (order, other.masks) == (["first", "later"], [])
        transport.close()
        far.close()
        one.close()
        close()

    run(story())


def test_the_direct_loop_calls_readers_and_writers_until_they_are_removed() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        near, far = pair()
        calls: list[str] = []
        loop.add_reader(near, calls.append, "read")
        loop.add_writer(near.fileno(), calls.append, "write")
        await until(lambda: "write" in calls)
        assert "read" not in calls
        assert loop.remove_writer(near)
        assert not loop.remove_writer(near)
        far.send(b"x")
        await until(lambda: "read" in calls)
        loop.add_reader(near, lambda: calls.append(near.recv(1).decode()))
        await until(lambda: calls[-1] == "x")
        assert loop.remove_reader(near)
        assert not loop.remove_reader(near)
        far.send(b"y")
        assert await loop.sock_recv(near, 1) == b"y"
        near.close()
        far.close()

    with asyncio.Runner(loop_factory=DirectLoop) as runner:
        runner.run(story())


def test_the_direct_loop_runs_streams_processes_signals_and_threads() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n" * 100_000)
        writer.write_eof()
        assert len(await reader.read()) == 600_000
        writer.close()
        server.close()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print('from a process')", stdout=asyncio.subprocess.PIPE
        )
        assert (await process.communicate())[0] == b"from a process\n"
        signalled = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, signalled.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(signalled.wait(), PATIENCE)
        assert await asyncio.to_thread(lambda: 3) == 3

    run(asyncio.wait_for(story(), 30))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_the_direct_loop_leaves_nothing_open_and_its_tasks_ended() -> None:
    ended: list[str] = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("cancelled")

    async def story() -> int:
        task = asyncio.get_running_loop().create_task(forgotten(), name="forgotten")
        await asyncio.sleep(0)
        return id(task)

    before = len(os.listdir("/proc/self/fd"))
    assert run(story())
    assert ended == ["cancelled"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_idle_direct_loop_sleeps() -> None:
    """It looks for news as often as there is some, and when a timer is due."""

    class Counting(DirectLoop):
        looks = 0

        def __init__(self) -> None:
            super().__init__()
            serve = self.readiness.serve

            def counted(seconds: float) -> list[tuple[int, int]]:
                self.looks += 1
                return serve(seconds)

            self.readiness.serve = counted  # type: ignore[method-assign]

    async def story() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Counting)
        await asyncio.sleep(0)
        before = loop.looks
        await asyncio.sleep(0.2)
        assert loop.looks - before <= 3

    with asyncio.Runner(loop_factory=Counting) as runner:
        runner.run(story())


def test_masks_are_those_of_epoll() -> None:
    assert (READABLE, WRITABLE) == (select.EPOLLIN, select.EPOLLOUT)
    assert ENDING == select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP


def test_news_of_who_is_no_longer_watched_goes_to_nobody_who_comes_in_its_place() -> None:
    told: list[int] = []
    readiness = EpollReadiness(lambda error: pytest.fail(repr(error)))
    first, to_first = pair()
    second, to_second = pair()
    with first, to_first, second, to_second:
        readiness.before = {first.fileno()}
        readiness.epoll.register(first, READABLE)
        readiness.watch_level(second.fileno(), told.append, READABLE)
        to_first.send(b"1")
        to_second.send(b"2")
        assert readiness.serve(0) == [(first.fileno(), READABLE)]
        readiness.watch_level(second.fileno(), told.append, 0)
        second.recv(1)
        readiness.watch_level(second.fileno(), told.append, READABLE)
        first.recv(1)
        readiness.serve(0)
    readiness.close()
    assert told == []
