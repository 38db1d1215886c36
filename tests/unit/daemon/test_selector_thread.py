"""Readiness by threads: level-triggered, no call-back after its removal, more threads than one."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import pytest

from desktop.daemon import selector_thread as module
from desktop.daemon.selector_thread import SelectorThreads
from desktop.daemon.windows_loop import Readiness
from tests import stories
from tests.capabilities import POSIX_FILES, needs
from tests.threaded_loop import ThreadedLoop
from tests.until import until
from tests.windows.wine import not_by_wine

PATIENCE: Final = 30.0


def run(story: Callable[[], Awaitable[None]]) -> None:
    stories.run(story, ThreadedLoop)
    assert not [each for each in threading.enumerate() if each.name.startswith("select ")]


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


def test_a_socket_is_told_of_as_long_as_it_has_something() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            read = bytearray()
            done = asyncio.Event()

            def ready() -> None:
                read.extend(one.recv(1))
                if len(read) == 5:
                    done.set()

            loop.add_reader(one, ready)
            other.send(b"hello")
            await done.wait()
            assert loop.remove_reader(one)
            assert not loop.remove_reader(one)
            assert bytes(read) == b"hello"

    run(story)


def test_nothing_is_called_after_its_removal_though_it_is_ready() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other), pair() as (two, peer):
            called: list[str] = []

            def first() -> None:
                called.append("first")
                loop.remove_reader(one)
                loop.remove_reader(two)

            loop.add_reader(one, first)
            loop.add_reader(two, first)
            other.send(b"x")
            peer.send(b"x")
            later = asyncio.Event()
            loop.add_writer(peer, later.set)  # by the time this is told, the others were
            await later.wait()
            loop.remove_writer(peer)
            await asyncio.sleep(0)
            assert called == ["first"]

    run(story)


@needs(POSIX_FILES)
def test_a_number_that_is_another_sockets_by_the_time_it_is_told_calls_nobody() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        told: queue.Queue[tuple[Any, ...]] = queue.Queue()
        threads = SelectorThreads(lambda *call: told.put(call))
        called: list[str] = []

        def watch(number: int, name: str) -> None:
            threads.watch(number, asyncio.Handle(called.append, (name,), loop), writing=False)

        with pair() as (one, other), pair() as (another, _):
            other.send(b"x")
            number = one.fileno()
            watch(number, "the first")
            answer, *ready = told.get(timeout=PATIENCE)
            assert threads.forget(number, writing=False)
            os.dup2(another.fileno(), number)
            watch(number, "the other")
            answer(*ready)
            assert called == []
            another.shutdown(socket.SHUT_RD)
            answer, *ready = told.get(timeout=PATIENCE)
            answer(*ready)
            assert called == ["the other"]
            assert threads.forget(number, writing=False)
        threads.close()

    run(story)


def test_a_removal_waits_for_the_look_that_was_and_for_no_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wake = module._Thread._wake
    is_removing = False

    def wake_and_see_it_look_again(thread: module._Thread) -> None:
        look = thread._looks
        wake(thread)
        while is_removing and not (thread._is_looking and thread._looks > look):
            time.sleep(0)

    monkeypatch.setattr(module._Thread, "_wake", wake_and_see_it_look_again)
    monkeypatch.setattr(module, "LOOK_SECONDS", PATIENCE / 2)

    async def story() -> None:
        nonlocal is_removing
        loop: Any = asyncio.get_running_loop()
        (thread,) = loop._threads._threads
        with pair() as (one, _):
            loop.add_reader(one, int)
            await until(lambda: thread._is_looking)
            is_removing, begin = True, time.monotonic()
            assert loop.remove_reader(one)
            assert time.monotonic() - begin < module.LOOK_SECONDS
            is_removing = False

    run(story)


def test_a_second_call_back_takes_the_place_of_the_first() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            told: asyncio.Future[str] = loop.create_future()
            loop.add_reader(one, told.set_exception, RuntimeError("the first"))
            second = asyncio.Event()
            loop.add_reader(one, second.set)
            other.send(b"x")
            await second.wait()
            assert not told.done()
            loop.remove_reader(one)

    run(story)


def test_both_sides_of_one_socket_are_watched_apart() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with pair() as (one, other):
            may_write, may_read = asyncio.Event(), asyncio.Event()
            loop.add_writer(one, may_write.set)
            loop.add_reader(one, may_read.set)
            await may_write.wait()
            assert not may_read.is_set()
            assert loop.remove_writer(one)
            other.send(b"x")
            await may_read.wait()
            assert loop.remove_reader(one)

    run(story)


def test_a_connect_that_fails_is_told() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as bound, socket.socket() as client:
            bound.bind(("127.0.0.1", 0))  # so that nobody else listens there
            client.setblocking(False)
            client.connect_ex(bound.getsockname())
            ended = asyncio.Event()
            loop.add_writer(client, ended.set)
            await ended.wait()
            loop.remove_writer(client)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    run(story)


def test_a_call_back_that_fails_is_reported_and_stops_nobody() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        failed: asyncio.Future[Exception] = loop.create_future()
        loop.set_exception_handler(lambda _, context: failed.set_result(context["exception"]))
        with pair() as (one, other), pair() as (two, peer):

            def fail() -> None:
                one.recv(1)
                raise ValueError("a bug")

            told = asyncio.Event()
            loop.add_reader(one, fail)
            loop.add_reader(two, told.set)
            other.send(b"x")
            assert str(await failed) == "a bug"
            peer.send(b"x")
            await told.wait()
            loop.remove_reader(one)
            loop.remove_reader(two)

    run(story)


def test_a_socket_that_is_closed_while_watched_is_said_and_harms_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[str] = asyncio.Queue()

        def warn(words: str, *_: object) -> None:
            loop.call_soon_threadsafe(said.put_nowait, words)

        monkeypatch.setattr(module.log, "warning", warn)
        with pair() as (one, other), pair() as (two, peer):
            told = asyncio.Event()
            loop.add_reader(one, int)
            loop.add_reader(two, told.set)
            number = one.detach()
            socket.close(number)
            other.close()
            peer.send(b"x")
            await told.wait()
            assert "closed while watched" in await said.get()
            loop.remove_reader(two)
            assert not loop.remove_reader(number)

    run(story)


@pytest.mark.parametrize(("sockets", "threads"), [(0, 0), (1, 1), (3, 1), (4, 2), (10, 4)])
def test_there_are_as_many_threads_as_sockets_take(sockets: int, threads: int) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        several = SelectorThreads(loop.call_soon_threadsafe, most=3)
        told = asyncio.Queue[int]()
        with ExitStack() as stack:
            pairs = [stack.enter_context(pair()) for _ in range(sockets)]
            for number, (one, _) in enumerate(pairs):
                for _ in range(2):  # the second takes the place of the first
                    handle = asyncio.Handle(told.put_nowait, (number,), loop)
                    several.watch(one.fileno(), handle, writing=False)
            assert several.count == threads
            for _, other in pairs:
                other.send(b"x")
            seen: set[int] = set()
            while len(seen) < sockets:
                seen.add(await told.get())
            for one, _ in pairs:
                assert several.forget(one.fileno(), writing=False)
            several.close()
            several.close()
            assert several.count == 0

    run(story)


@not_by_wine("forgets a socket in a select that waits, once an ICMP error has come for it")
def test_a_udp_endpoint_lives_on_when_a_client_has_gone() -> None:
    """What the proactor does not (CPython's gh-127057)."""

    class Protocol(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.received = asyncio.Queue[bytes]()
            self.errors = asyncio.Queue[Exception]()

        def datagram_received(self, data: bytes, _address: Any) -> None:
            self.received.put_nowait(data)

        def error_received(self, error: Exception) -> None:
            self.errors.put_nowait(error)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            transport, protocol = await loop.create_datagram_endpoint(
                Protocol, remote_addr=gone.getsockname()
            )
            ours = transport.get_extra_info("sockname")
            peer = gone.getsockname()
        transport.sendto(b"to nobody")
        assert isinstance(await protocol.errors.get(), ConnectionRefusedError)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(peer)
            back.connect(ours)
            for payload in (b"", b"again"):
                back.send(payload)
                assert await protocol.received.get() == payload
        transport.close()

    run(story)


def test_a_signal_wakes_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Callable[[int, None], None]] = {}
    monkeypatch.setattr("signal.signal", handlers.__setitem__)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[str] = loop.create_future()
        Readiness.add_signal_handler(loop, 15, told.set_result, "ended")  # type: ignore[arg-type]
        threading.Thread(target=handlers[15], args=(15, None)).start()
        assert await told == "ended"

    run(story)
