"""Both ends of the link in one process, over every transport: the desktop's and the agent's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from desktop.daemon.link import BASE_STREAMS
from desktop.transports.transport import TransportError
from link.handshake import SECRET_SIZE
from link.messages import Bye, Resync, Snapshot, StubKey, StubResults, Stubs, Watching, Welcome
from link.opening import Forwarder
from link.version import VERSION
from link.wire import OpenRequest
from tests.integration.both_ends import KINDS, PATIENCE, SECRET, Desktop, ask, both, free_port
from tests.stories import run
from tests.until import until
from vmagent.agent import Agent, AgentConfig
from vmagent.door import MAX_NEWCOMERS


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A real echo server of the standard library, in its own thread."""
    import socketserver
    import threading

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                while data := self.request.recv(65536):
                    self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 1024
        block_on_close = False

    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield ("127.0.0.1", int(server.server_address[1]))
        server.shutdown()
        thread.join()


def client_of(forwarder: Forwarder, address: tuple[str, int]) -> socket.socket:
    """A client whose connection was accepted by a mirror of `address`."""
    from desktop.transports.memory import tcp_pair

    near, far = tcp_pair()
    opening = OpenRequest(*address).encode()
    forwarder.forward(far, opening, lambda _flow: None, lambda _flow: None)
    return near


def test_the_agent_says_who_it_is_and_what_listens(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            welcome = await ends.desktop.next()
            assert isinstance(welcome, Welcome)
            assert welcome.agent_version == VERSION
            snapshot = await ends.desktop.next()
            assert isinstance(snapshot, Snapshot)
            assert snapshot.first
            assert snapshot.last
            ends.desktop.link.send(Resync())
            again = await ends.desktop.next()
            assert isinstance(again, Snapshot)
            assert again.generation == snapshot.generation + 1

    run(story)


def test_the_agent_says_once_that_it_watches_otherwise_than_it_said(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            welcome = await ends.desktop.next()
            assert isinstance(welcome, Welcome)
            await ends.desktop.next()
            watcher = ends.agent._watcher
            for _ in range(3):
                watcher.rescan()
            watcher._binds.lost += 3
            for _ in range(3):
                watcher.rescan()
            ends.desktop.link.send(Resync())
            watching, snapshot = await ends.desktop.next(), await ends.desktop.next()
            assert isinstance(watching, Watching)
            mishap = "; 3 events lost and made up for"
            assert mishap in watching.watcher
            assert watching.watcher.replace(mishap, "") == welcome.watcher
            assert isinstance(snapshot, Snapshot)
            await until(lambda: ends.desktop.counts.get("events_lost") == 3)

    run(story)


def test_what_the_agent_says_before_the_desktop_listens_is_heard(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.link.open()
            await until(lambda: len(ends.desktop.link._early or ()) >= 2)
            assert ends.desktop.messages.empty()
            ends.desktop.running = asyncio.create_task(ends.desktop.link.run())
            assert isinstance(await ends.desktop.next(), Welcome)
            assert isinstance(await ends.desktop.next(), Snapshot)

    run(story)


def test_a_client_of_a_mirror_reaches_the_server(kind: str, echo: tuple[str, int]) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            forwarder = Forwarder(ends.desktop.pool, ends.desktop.relay)
            for _ in range(3 * BASE_STREAMS):
                with client_of(forwarder, echo) as client:
                    assert await ask(client, b"ping") == b"ping"

    run(story)


def test_more_clients_at_once_than_streams_ahead_are_all_served(
    kind: str, echo: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both ends and all clients share one thread: on a busy computer the dials take longer.
    monkeypatch.setattr("link.pool.WAIT_SECONDS", PATIENCE)

    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            forwarder = Forwarder(ends.desktop.pool, ends.desktop.relay)
            with contextlib.ExitStack() as stack:
                clients = [
                    stack.enter_context(client_of(forwarder, echo))
                    for _ in range(10 * BASE_STREAMS)
                ]
                answers = await asyncio.gather(*(ask(client, b"me too") for client in clients))
                assert answers == [b"me too"] * len(clients)

    run(story)


def test_a_refused_connection_is_a_reset_for_the_client(kind: str) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            nobody = server.getsockname()
        async with both(kind) as ends:
            await ends.desktop.start()
            forwarder = Forwarder(ends.desktop.pool, ends.desktop.relay)
            with client_of(forwarder, nobody) as client:
                with pytest.raises(ConnectionResetError):
                    await asyncio.wait_for(
                        asyncio.get_running_loop().sock_recv(client, 1), PATIENCE
                    )

    run(story)


def test_the_agent_dials_nothing_but_loopback(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            forwarder = Forwarder(ends.desktop.pool, ends.desktop.relay)
            with client_of(forwarder, ("192.0.2.1", 80)) as client:
                with pytest.raises(ConnectionResetError):
                    await asyncio.wait_for(
                        asyncio.get_running_loop().sock_recv(client, 1), PATIENCE
                    )

    run(story)


def test_a_client_of_a_stub_reaches_the_desktop(kind: str, echo: tuple[str, int]) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            await ends.desktop.next()
            await ends.desktop.next()
            ends.desktop.target = echo
            stub = StubKey("::1", free_port())
            ends.desktop.link.send(Stubs((stub,), ()))
            results = await ends.desktop.next()
            assert isinstance(results, StubResults)
            assert [result.is_open for result in results.results] == [True]
            for _ in range(2 * BASE_STREAMS):
                with socket.socket(socket.AF_INET6) as client:
                    client.setblocking(False)
                    await asyncio.get_running_loop().sock_connect(client, ("::1", stub.port))
                    assert await ask(client, b"hello desktop") == b"hello desktop"
            ends.desktop.link.send(Stubs((), (stub,)))
            assert isinstance(await ends.desktop.next(), StubResults)
            with socket.socket(socket.AF_INET6) as client:
                with pytest.raises(ConnectionRefusedError):
                    client.connect(("::1", stub.port))

    run(story)


def test_a_stub_where_somebody_listens_fails_and_is_reported(kind: str) -> None:
    async def story() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            taken = StubKey(*server.getsockname())
            outside = StubKey("0.0.0.0", 1)
            async with both(kind) as ends:
                await ends.desktop.start()
                await ends.desktop.next()
                await ends.desktop.next()
                ends.desktop.link.send(Stubs((taken, outside), ()))
                results = await ends.desktop.next()
        assert isinstance(results, StubResults)
        assert [(one.is_open, one.errno) for one in results.results] == [(False, 98), (False, 13)]

    run(story)


def test_a_stranger_gets_nothing_and_costs_a_bounded_amount(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            before = len(os.listdir("/proc/self/fd"))
            strangers = [await ends.transport.open() for _ in range(2 * MAX_NEWCOMERS)]
            ends_held = 3 * MAX_NEWCOMERS
            await until(lambda: len(os.listdir("/proc/self/fd")) <= before + ends_held)
            impostor = Desktop(ends.transport, bytes(SECRET_SIZE))
            with pytest.raises(TransportError, match=r"closed|hung up"):
                await impostor.start()
            await ends.desktop.start()
            assert isinstance(await ends.desktop.next(), Welcome)
            for stranger in strangers:
                stranger.close()
            await impostor.stop()

    run(story)


def test_the_newest_desktop_is_served(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            await ends.desktop.next()
            newer = Desktop(ends.transport)
            await newer.start()
            assert isinstance(await newer.next(), Welcome)
            assert ends.desktop.running is not None
            await asyncio.wait_for(ends.desktop.running, PATIENCE)
            await newer.stop()

    run(story)


def test_goodbye_ends_the_agent_and_frees_its_stubs(kind: str) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            stub = StubKey("::1", free_port())
            ends.desktop.link.send(Stubs((stub,), ()))
            ends.desktop.link.send(Bye())
            await asyncio.wait_for(asyncio.shield(ends.task), PATIENCE)
            with socket.create_server(("::1", stub.port), family=socket.AF_INET6) as server:
                assert server.getsockname()[1] == stub.port

    run(story)


def test_clients_wait_while_the_link_is_away_and_are_served_when_it_is_back(
    kind: str, echo: tuple[str, int]
) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            forwarder = Forwarder(ends.desktop.pool, ends.desktop.relay)
            client = client_of(forwarder, echo)
            asked = asyncio.create_task(ask(client, b"patience"))
            await asyncio.sleep(0)
            await ends.desktop.start()
            assert await asked == b"patience"
            client.close()

    run(story)


def test_an_agent_to_which_no_desktop_comes_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmagent.agent.ORPHAN_SECONDS", 0.2)

    async def story() -> None:
        await asyncio.wait_for(Agent(AgentConfig(SECRET, ())).run(), PATIENCE)

    asyncio.run(story())


def test_an_agent_whose_desktop_is_lost_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async def story() -> None:
        async with both(kind) as ends:
            await ends.desktop.start()
            assert isinstance(await ends.desktop.next(), Welcome)
            monkeypatch.setattr("vmagent.agent.ORPHAN_SECONDS", 0.2)
            assert ends.desktop.running is not None
            ends.desktop.running.cancel()
            await asyncio.wait_for(asyncio.shield(ends.task), PATIENCE)

    run(story)
