"""What logind says of sleep is heard on a real bus, and a bus that is not there costs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.daemon import logind
from desktop.daemon.logind import FIRST_SECONDS, MOST_SECONDS, watch_logind
from desktop.daemon.loops import new_event_loop
from tests import message_bus as buses
from tests.daemon_world import PATIENCE, DaemonWorld, machines, say_nothing
from tests.effort import EFFORT
from tests.fake_machine import FakeRegistry

__all__ = ["machines"]

jeepney = pytest.importorskip("jeepney", reason="for Linux only")
pytest.importorskip("jeepney.io.asyncio")
blocking = pytest.importorskip("jeepney.io.blocking")

NAME: Final = "org.freedesktop.login1"
MANAGER: Final = jeepney.DBusAddress("/org/freedesktop/login1", NAME, f"{NAME}.Manager")

needs_bus = pytest.mark.skipif(bool(buses.MISSING), reason=buses.MISSING or "-")


class Sleeper:
    """Takes the part of logind on a bus; or, by another name, that of somebody else."""

    def __init__(self, address: str, name: str = NAME) -> None:
        self._bus = blocking.open_dbus_connection(address)
        self._bus.send_and_get_reply(jeepney.message_bus.RequestName(name))

    def say(self, is_going: bool, emitter: Any = MANAGER, signal: str = "PrepareForSleep") -> None:
        self._bus.send(jeepney.new_signal(emitter, signal, "b", (is_going,)))

    def say_to_each(self, is_going: bool) -> None:
        """To every connection of the bus by its own name, as every user can."""
        for name in self._bus.send_and_get_reply(jeepney.message_bus.ListNames()).body[0]:
            if name.startswith(":") and name != self._bus.unique_name:
                message = jeepney.new_signal(MANAGER, "PrepareForSleep", "b", (is_going,))
                message.header.fields[jeepney.HeaderFields.destination] = name
                self._bus.send(message)

    def close(self) -> None:
        self._bus.close()


@contextlib.contextmanager
def sleeper(address: str, name: str = NAME) -> Iterator[Sleeper]:
    with contextlib.closing(Sleeper(address, name)) as made:
        yield made


class Watch:
    """A watch that runs, with what it has come to."""

    def __init__(self) -> None:
        self.woken = 0
        self.pauses: list[float] = []
        self.news = asyncio.Event()
        self.may_go_on = asyncio.Semaphore(0)

    async def wake(self) -> None:
        self.woken += 1
        self.news.set()

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.news.set()
        await self.may_go_on.acquire()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.news.clear()
                await self.news.wait()


class Heard(logging.Handler):
    """Tells a watch of each line that logind's watcher logs."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._watch.news.set()

    def count(self, words: str) -> int:
        return sum(words in line for line in self.lines)


@contextlib.asynccontextmanager
async def watching() -> AsyncIterator[tuple[Watch, Heard]]:
    watch = Watch()
    heard = Heard(watch)
    logind.log.addHandler(heard)
    logind.log.setLevel(logging.INFO)
    task = asyncio.create_task(watch_logind(watch.wake, watch.pause), name="logind")
    try:
        yield watch, heard
        assert not task.done(), "it goes on until it is cancelled"
    finally:
        logind.log.removeHandler(heard)
        logind.log.setLevel(logging.NOTSET)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(story: Coroutine[Any, Any, None]) -> None:
    """In the loop that the daemon has."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(story)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the system bus has its socket, if there is one."""
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'bus'}")
    return tmp_path


@needs_bus
def test_a_waking_is_told_at_once_and_going_to_sleep_is_none(place: Path) -> None:
    async def story() -> None:
        with buses.message_bus(place) as address, sleeper(address) as system:
            async with watching() as (watch, heard):
                await watch.until(lambda: heard.count("logind tells of sleep") == 1)
                for times in (1, 2):
                    system.say(True)
                    await watch.until(lambda: heard.count("goes to sleep") == times)  # noqa: B023
                    assert watch.woken == times - 1
                    system.say(False)
                    await watch.until(lambda: watch.woken == times)  # noqa: B023
                assert watch.pauses == []

    run(story())


@needs_bus
def test_only_logind_is_listened_to_and_only_when_it_speaks_to_all(place: Path) -> None:
    other = jeepney.DBusAddress("/org/freedesktop/login1", NAME, f"{NAME}.Session")

    async def story() -> None:
        with buses.message_bus(place) as address, sleeper(address) as system:
            with sleeper(address, "org.example.Other") as stranger:
                async with watching() as (watch, heard):
                    await watch.until(lambda: heard.count("logind tells of sleep") == 1)
                    stranger.say(False)
                    stranger.say_to_each(False)
                    system.say(False, emitter=other)
                    system.say(False, signal="PrepareForShutdown")
                    system.say(True)  # the bus keeps the order of what each says
                    await watch.until(lambda: heard.count("goes to sleep") == 1)
                    assert watch.woken == 0

    run(story())


@needs_bus
def test_a_bus_that_comes_late_and_goes_and_comes_is_listened_to(place: Path) -> None:
    async def story() -> None:
        async with watching() as (watch, heard):
            for times in (1, 2):
                await watch.until(lambda: len(watch.pauses) == times)  # noqa: B023
                with buses.message_bus(place) as address, sleeper(address) as system:
                    watch.may_go_on.release()
                    await watch.until(lambda: heard.count("logind tells") == times)  # noqa: B023
                    system.say(False)
                    await watch.until(lambda: watch.woken == times)  # noqa: B023
            await watch.until(lambda: len(watch.pauses) == 3)
            assert heard.count("logind is not heard") == 3, "each going is news"

    run(story())


def test_a_computer_without_a_bus_is_asked_ever_less_often_and_told_of_once(place: Path) -> None:
    async def story() -> None:
        async with watching() as (watch, heard):
            for times in range(1, 10):
                await watch.until(lambda: len(watch.pauses) == times)  # noqa: B023
                watch.may_go_on.release()
            await watch.until(lambda: len(watch.pauses) == 10)
            assert watch.pauses[0] == FIRST_SECONDS
            assert watch.pauses == sorted(watch.pauses)
            assert watch.pauses[-3:] == [MOST_SECONDS] * 3
            assert heard.count("logind is not heard") == 1

    assert not (place / "bus").exists()
    run(story())


@pytest.mark.parametrize(
    "says",
    [b"", b"REJECTED EXTERNAL\r\n", b"OK 00\r\n" + b"x" * 64, b"x" * 9000, None],
    ids=["hangs up", "refuses", "no message", "no line", "says nothing"],
)
def test_what_is_no_bus_is_left_alone_until_later(
    place: Path, says: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logind, "ANSWER_SECONDS", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(says or b"")
        if says is None:
            await reader.read()
        writer.close()

    async def story() -> None:
        async with await asyncio.start_unix_server(serve, place / "bus"):
            async with watching() as (watch, heard):
                await watch.until(lambda: len(watch.pauses) == 1)
                watch.may_go_on.release()
                await watch.until(lambda: len(watch.pauses) == 2)
                assert heard.count("logind is not heard") == 1
                assert watch.woken == 0

    run(story())


@pytest.mark.parametrize(
    "address", ["", "tcp:host=localhost,port=1", "nonsense", "unix:path=/" + "x" * 300]
)
def test_an_address_of_no_bus_is_no_end(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address or "unix:path=")

    async def story() -> None:
        async with watching() as (watch, _):
            await watch.until(lambda: len(watch.pauses) == 1)

    run(story())


def test_without_the_library_there_is_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jeepney", None)

    async def story() -> None:
        watch = Watch()
        async with asyncio.timeout(PATIENCE):
            await watch_logind(watch.wake, watch.pause)
        assert watch.pauses == []

    run(story())


@needs_bus
def test_what_a_watch_has_open_is_closed_when_it_ends(place: Path) -> None:
    def sockets() -> int:
        names = (Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd"))
        return sum(name.is_socket() for name in names)

    async def story() -> None:
        before = sockets()
        with buses.message_bus(place):
            async with watching() as (watch, heard):
                await watch.until(lambda: heard.count("logind tells of sleep") == 1)
                assert sockets() == before + 1
            assert sockets() == before

    run(story())


@needs_bus
def test_a_daemon_that_hears_of_a_waking_links_anew_with_the_agent_that_does_not_answer(
    place: Path, machines: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.daemon.inquiries.ANSWER_SECONDS", 0.1)

    async def story() -> None:
        async with DaemonWorld(place / "home", machines) as world:
            await world.daemon.attach("sandbox", say_nothing)
            world.machine("sandbox").is_deaf = True
            with sleeper(address) as system:
                await world.until(lambda: "logind tells of sleep" in lines)
                system.say(False)
                await world.until(lambda: world.daemon.status().counters["links_lost"] >= 1)
                await world.until(lambda: world.attached() == {"sandbox": "connected"})

    lines: list[str] = []
    monkeypatch.setattr(logind.log, "info", lambda words, *_: lines.append(words))
    with buses.message_bus(place) as address:
        run(story())


MESSAGES: Final = (
    jeepney.new_signal(MANAGER, "PrepareForSleep", "b", (False,)).serialise(1),
    jeepney.new_method_call(MANAGER, "X", "a{sv}s(ii)", ({"a": ("s", "b")}, "x", (1, 2))).serialise(
        2
    ),
)


@settings(max_examples=300 * EFFORT, deadline=None, database=None)
@given(data=st.data())
def test_bytes_that_are_no_message_are_an_error_of_the_bus_and_of_nothing_else(
    data: st.DataObject,
) -> None:
    damaged = bytearray(data.draw(st.sampled_from(MESSAGES)))
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[place] = data.draw(st.sampled_from((0, 1, 4, 97, 115, 118, 255)))

    async def story() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(bytes(damaged))
        reader.feed_eof()
        bus = logind._Bus(jeepney)
        bus._connection = jeepney.io.asyncio.DBusConnection(reader, None)
        while True:
            assert await bus.goes_to_sleep() in (True, False)

    with pytest.raises(logind._BusError):  # at the end, if not before
        asyncio.run(story())


def test_a_socket_of_the_system_bus_has_its_usual_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    asked: list[str] = []

    async def connect(path: str) -> None:
        asked.append(path)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio, "open_unix_connection", connect)

    async def story() -> None:
        async with watching() as (watch, _):
            await watch.until(lambda: len(watch.pauses) == 1)

    run(story())
    assert asked == ["/var/run/dbus/system_bus_socket"]
