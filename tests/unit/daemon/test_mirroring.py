"""Mirroring in a loop of the daemon's kind, without a machine: what it is told, when it acts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from desktop.daemon import mirroring as mirroring_module
from desktop.daemon.link import AgentLink
from desktop.daemon.machine_ports import MachinePorts
from desktop.daemon.mirroring import Mirroring
from desktop.daemon.named_ports import COUNTS
from desktop.datagrams.select import open_datagram_sockets
from desktop.listeners.fake import FakeListenerSource
from desktop.mirror.rules import Rules
from desktop.transports.memory import MemoryTransport, tcp_pair
from link.datagrams.frames import Kind, header
from link.handshake import SECRET_SIZE
from link.listener import Container, Listener
from link.messages import Snapshot, Watching, Welcome
from link.polling import AdaptiveInterval
from link.relay.select import open_relay
from link.socket_counts import SocketCounts
from link.wire import OpenRequest
from tests import stories
from tests.loops import new_other_loop
from tests.until import until

PATIENCE = 30.0
SHORT = 0.1
HOUR = 3600.0
WEB = Container("ab" * 32, "web", "docker")


def run(story: Callable[[], Awaitable[None]]) -> None:
    """In an event loop whose handles are not asyncio's."""
    stories.run(story, new_other_loop)


@contextlib.asynccontextmanager
async def not_running(*here: Listener) -> AsyncIterator[Mirroring]:
    """Switched on, on a computer with these listeners, without a link; it does not look yet."""
    source = FakeListenerSource()
    for listener in here:
        source.add(listener)
    relay = open_relay()
    mirroring = Mirroring(relay, open_datagram_sockets("auto"), source, lambda *_: None)
    mirroring.configure(Rules())
    try:
        yield mirroring
    finally:
        mirroring.close()
        await relay.aclose()


@contextlib.asynccontextmanager
async def mirroring_of(*here: Listener) -> AsyncIterator[Mirroring]:
    """The same, and it looks."""
    async with not_running(*here) as mirroring:
        watching = asyncio.create_task(mirroring.run())
        try:
            yield mirroring
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


def link_up(mirroring: Mirroring, *there: Listener, machine: str = "vm") -> MachinePorts:
    """A link to a machine with these listeners."""
    ports = mirroring.machine(machine)
    link = AgentLink(MemoryTransport(None), bytes(SECRET_SIZE), ports.pool, ports)
    ports.link_up(link)
    ports.message(Snapshot(1, first=True, last=True, listeners=there))
    return ports


async def until_states(mirroring: Mirroring, *states: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while [row.state.value for row in mirroring.rows()] != list(states):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until_looked(mirroring: Mirroring) -> None:
    """Until it knows of this computer's listeners."""
    while mirroring._interval._last_scan is None:  # noqa: ASYNC110
        await asyncio.sleep(0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_mirrors_are_active_as_soon_as_the_link_is_back() -> None:
    server = Listener(1, "tcp", "127.0.0.1", free_port(), container=WEB)

    async def story() -> None:
        async with mirroring_of() as mirroring:
            vm = link_up(mirroring, server)
            await until_states(mirroring, "active")
            vm.link_down("a test cut it")
            await until_states(mirroring, "paused")
            link_up(mirroring, server)
            await until_states(mirroring, "active")

    run(story)


def test_a_port_by_which_one_machine_is_reached_is_mirrored_into_none() -> None:
    port = free_port()

    async def story() -> None:
        async with mirroring_of(Listener(1, "tcp", "127.0.0.1", port)) as mirroring:
            link_up(mirroring)
            await until_states(mirroring, "pending")
            other = mirroring.machine("other")
            other.reached_by(frozenset({("tcp", port)}))
            await until_states(mirroring, "ignored")
            link_up(mirroring, machine="other")
            await until_states(mirroring, "ignored", "ignored")
            mirroring.configure(Rules(port_binding="localhost"))
            await until_states(mirroring, "ignored", "ignored")
            other.detached()
            await until_states(mirroring, "pending")

    run(story)


def test_a_lost_link_ends_the_udp_flows_of_the_stubs_that_went_with_it() -> None:
    async def story() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            server.setblocking(False)
            port = int(server.getsockname()[1])
            async with mirroring_of(Listener(1, "udp", "127.0.0.1", port)) as mirroring:
                vm = link_up(mirroring)
                await until_states(mirroring, "pending")
                near, far = tcp_pair()
                vm.opened(far, OpenRequest("127.0.0.1", port, "udp"))
                loop = asyncio.get_running_loop()
                with near:
                    await loop.sock_sendall(near, header(Kind.DATA, 1, 5, 5) + b"hello")
                    async with asyncio.timeout(PATIENCE):
                        assert await loop.sock_recv(server, 100) == b"hello"
                        vm.link_down("a test cut it")
                        assert await loop.sock_recv(near, 100) == b""
                assert mirroring.traffic.flows("udp") == 0

    run(story)


def test_how_the_machine_is_watched_is_what_the_agent_said_last() -> None:
    async def story() -> None:
        async with mirroring_of() as mirroring:
            vm = link_up(mirroring)
            known = [vm.welcome]
            welcome = Welcome("0.1.0", "3.9.2", "6.1", "vm", "eBPF")
            early, now, late = map(Watching, ("too early", "sock_diag polling", "too late"))
            for message in (early, welcome, now):
                vm.message(message)
                known.append(vm.welcome)
            vm.link_down("a test cut it")
            vm.message(late)
            known.append(vm.welcome)
            assert known == [None, None, welcome, replace(welcome, watcher=now.watcher), None]

    run(story)


def test_who_has_the_port_is_named_at_once_even_if_he_has_just_come() -> None:
    async def story() -> None:
        async with mirroring_of() as mirroring:
            await until_looked(mirroring)
            with socket.create_server(("127.0.0.1", 0)) as holder:
                port = int(holder.getsockname()[1])
                source = mirroring._source
                assert isinstance(source, FakeListenerSource)
                source.add(Listener(9, "tcp", "127.0.0.1", port, process="postgres", pid=811))
                server = Listener(1, "tcp", "127.0.0.1", port, container=WEB)
                link_up(mirroring, server)
                async with asyncio.timeout(PATIENCE):
                    while not mirroring.rows() or not mirroring.rows()[-1].reason:  # noqa: ASYNC110
                        await asyncio.sleep(0)
                assert "postgres" in mirroring.rows()[-1].reason

    run(story)


class SocketsHere:
    """What `SocketCounts` reads: there are so many, and they were counted so often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.many: int | None = 1
        self.counted = 0
        monkeypatch.setattr(SocketCounts, "read", lambda _self: self.read())

    def read(self) -> tuple[bytes, ...] | None:
        self.counted += 1
        return None if self.many is None else (b"%d" % self.many,)


@pytest.fixture
def sockets_here(monkeypatch: pytest.MonkeyPatch) -> SocketsHere:
    monkeypatch.setattr(mirroring_module, "COUNT_SECONDS", 0.001)
    return SocketsHere(monkeypatch)


@pytest.mark.parametrize(
    ("changes", "cost", "looks"), [(True, 0.0, True), (True, 1.0, False), (False, 0.0, False)]
)
def test_at_rest_sockets_that_came_or_went_are_followed_by_a_look_if_looks_are_cheap(
    sockets_here: SocketsHere, changes: bool, cost: float, looks: bool
) -> None:
    async def story() -> None:
        async with not_running() as mirroring:
            mirroring._interval = AdaptiveInterval(0.0, fast=HOUR, slow=HOUR)
            mirroring._scan()
            mirroring._cost = cost
            counted = sockets_here.counted
            waiting = asyncio.create_task(mirroring._until_due())
            sockets_here.many = 2 if changes else 1
            if looks:
                await asyncio.wait_for(waiting, PATIENCE)
            elif not cost:
                await until(lambda: sockets_here.counted > counted + 1)
            else:
                await asyncio.wait([waiting], timeout=SHORT)
                assert sockets_here.counted == counted
            assert waiting.done() is looks
            waiting.cancel()

    run(story)


def test_looks_that_have_become_dear_come_no_sooner_than_they_may(
    sockets_here: SocketsHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that go with a count are at its strokes, and these are no longer."""

    async def story() -> None:
        async with not_running() as mirroring:
            mirroring._interval = AdaptiveInterval(0.0, fast=HOUR, slow=HOUR)
            mirroring._scan()
            sockets_here.many = 2
            await asyncio.wait_for(mirroring._until_due(), PATIENCE)
            monkeypatch.setattr(mirroring_module, "COUNT_SECONDS", 4 * SHORT)
            mirroring._interval = AdaptiveInterval(0.0, fast=5 * SHORT, slow=5 * SHORT)
            mirroring._scan()
            mirroring._cost = HOUR
            before = mirroring._loop.time()
            await mirroring._until_due()
            assert mirroring._loop.time() - before > 4.9 * SHORT

    run(story)


def test_where_sockets_cannot_be_counted_the_clock_alone_asks_for_a_look(
    sockets_here: SocketsHere,
) -> None:
    async def story() -> None:
        sockets_here.many = None
        async with not_running() as mirroring:
            mirroring._interval = AdaptiveInterval(0.0, fast=HOUR, slow=HOUR)
            mirroring._scan()
            counted = sockets_here.counted
            waiting = asyncio.create_task(mirroring._until_due())
            done, _ = await asyncio.wait([waiting], timeout=SHORT)
            assert not done
            assert sockets_here.counted == counted
            waiting.cancel()

    run(story)


@pytest.mark.usefixtures("sockets_here")
def test_listeners_that_close_without_end_are_looked_at_no_more_often_than_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is an event, and a look for each would take all of a processor."""

    async def story() -> None:
        async with mirroring_of() as mirroring:
            await until_looked(mirroring)
            looks: list[None] = []
            monkeypatch.setattr(mirroring, "_scan", lambda: looks.append(None))
            mirroring._interval.scanned(mirroring._loop.time(), cost=HOUR, changed=False)
            mirroring._interval.kick(mirroring._loop.time())
            mirroring._kicked.set()
            await asyncio.sleep(SHORT)
            assert not looks

    run(story)


def test_messages_pass_unasked_where_nothing_may_be_looked_for_and_are_asked_again_later(
    sockets_here: SocketsHere,
) -> None:
    async def story() -> None:
        async with not_running() as mirroring:

            def ask() -> bool:
                words = mirroring._relay.before_words
                if words is not None:
                    words()
                return words is not None

            asked = sum(1 for _ in iter(ask, False))
            assert asked >= COUNTS - 1, "some may be asked for after a quiet time"
            before = sockets_here.counted
            await until(lambda: mirroring._relay.before_words is not None)
            assert sockets_here.counted == before, "nothing was said meanwhile"
            assert ask()
            assert sockets_here.counted == before + 1

    run(story)
