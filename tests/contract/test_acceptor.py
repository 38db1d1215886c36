"""Listening sockets in the event loop: what they hand on, and that nothing ends them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from link import acceptor
from link.acceptor import Acceptor, listen_tcp
from link.dial import LOCAL_CONGESTION_CONTROL, dial, is_near
from link.shortages import shortages
from tests.capabilities import POSIX_FILES, Capability, needs
from tests.loops import EVERY_LOOP

PATIENCE = 30.0


CONGESTION_CONTROL = Capability(
    hasattr(socket, "TCP_CONGESTION"), "congestion control cannot be chosen here"
)


@pytest.fixture(params=list(EVERY_LOOP.values()), ids=list(EVERY_LOOP))
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def runner(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as one:
            one.run(asyncio.wait_for(coroutine, 60))

    return runner


class Accepting:
    """An acceptor, and what it has handed on."""

    def __init__(self, sock: socket.socket) -> None:
        self.accepted: asyncio.Queue[socket.socket] = asyncio.Queue()
        self.acceptor = Acceptor(sock, self.accepted.put_nowait)

    async def next(self) -> socket.socket:
        return await asyncio.wait_for(self.accepted.get(), PATIENCE)


def congestion_control(sock: socket.socket) -> bytes:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0")


@needs(CONGESTION_CONTROL)
@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_near_clients_are_not_paced_on_loopback_and_wildcard(address: str, run: Any) -> None:
    async def body() -> None:
        accepting = Accepting(listen_tcp(address, 0))
        near = "::1" if ":" in address else "127.0.0.1"
        with dial(near, accepting.acceptor.address[1]) as client, await accepting.next() as server:
            assert congestion_control(client) == LOCAL_CONGESTION_CONTROL
            assert congestion_control(server) == LOCAL_CONGESTION_CONTROL
        accepting.acceptor.close()

    run(body())


@needs(CONGESTION_CONTROL)
def test_a_wildcard_itself_keeps_the_systems_congestion_control_for_far_clients() -> None:
    with listen_tcp("0.0.0.0", 0) as sock, socket.socket() as plain:
        assert congestion_control(sock) == congestion_control(plain)
        assert not is_near(sock)
    with listen_tcp("0.0.0.0", 0, is_local=True) as sock:
        assert congestion_control(sock) == LOCAL_CONGESTION_CONTROL
        assert is_near(sock)


def test_what_a_listener_hands_on_is_not_set_again(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "tune_near", lambda sock: pytest.fail(f"{sock} has it"))

    async def body() -> None:
        accepting = Accepting(listen_tcp("0.0.0.0", 0, is_local=True))
        port = accepting.acceptor.address[1]
        with dial("127.0.0.1", port), await accepting.next() as server:
            assert congestion_control(server) == LOCAL_CONGESTION_CONTROL
        accepting.acceptor.close()

    run(body())


def test_every_connection_is_handed_on_non_blocking_and_without_delay(run: Any) -> None:
    async def body() -> None:
        accepting = Accepting(listen_tcp("127.0.0.1", 0))
        clients = [dial(*accepting.acceptor.address) for _ in range(200)]
        for _ in clients:
            with await accepting.next() as server:
                assert not server.getblocking()
                assert server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        for client in clients:
            client.close()
        accepting.acceptor.close()

    run(body())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOBUFS, errno.ECONNABORTED])
def test_a_failing_accept_ends_nothing(number: int, run: Any) -> None:
    class Failing:
        """A listening socket whose first accept fails."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock
            self._failures = [OSError(number, os.strerror(number))]

        def _accept(self) -> tuple[int, Any]:
            if self._failures:
                raise self._failures.pop()
            return self._sock._accept()  # type: ignore[attr-defined, no-any-return]

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    async def body() -> None:
        accepting = Accepting(Failing(listen_tcp("127.0.0.1", 0)))  # type: ignore[arg-type]
        with dial(*accepting.acceptor.address), await accepting.next():
            accepting.acceptor.close()
            accepting.acceptor.close()

    run(body())


def test_who_comes_alone_is_seldom_followed_by_a_look_for_another(run: Any) -> None:
    class Counting:
        """A listening socket that counts how often nobody was there."""

        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock
            self.missed = 0

        def _accept(self) -> tuple[int, Any]:
            try:
                return self._sock._accept()  # type: ignore[attr-defined, no-any-return]
            except BlockingIOError:
                self.missed += 1
                raise

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    async def body() -> None:
        counting = Counting(listen_tcp("127.0.0.1", 0))
        accepting = Accepting(counting)  # type: ignore[arg-type]
        for _ in range(200):
            with dial(*accepting.acceptor.address), await accepting.next():
                pass
        assert counting.missed <= 12
        flood = [dial(*accepting.acceptor.address) for _ in range(500)]
        for client in flood:
            with client, await accepting.next():
                pass
        accepting.acceptor.close()

    run(body())


@contextlib.contextmanager
def without_descriptors() -> Iterator[None]:
    """No descriptor can be had by this process."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    last = os.dup(0)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, before[1]))
    taken = [last]
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(0))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)


@needs(POSIX_FILES)
def test_a_lasting_shortage_of_descriptors_refuses_clients_and_heals(run: Any) -> None:
    async def body() -> None:
        loop = asyncio.get_running_loop()
        accepting = Accepting(listen_tcp("127.0.0.1", 0))
        with dial(*accepting.acceptor.address) as early, await accepting.next() as server:
            clients = [dial(*accepting.acceptor.address) for _ in range(20)]
            pauses, refused = shortages.pauses, shortages.files
            with without_descriptors():
                for client in clients:
                    with client, pytest.raises(ConnectionResetError):
                        await asyncio.wait_for(loop.sock_recv(client, 1), PATIENCE)
                await loop.sock_sendall(early, b"x")
                assert await loop.sock_recv(server, 1) == b"x"
            assert shortages.files == refused + len(clients)
            assert shortages.pauses > pauses
            with dial(*accepting.acceptor.address), await accepting.next():
                accepting.acceptor.close()

    run(body())
