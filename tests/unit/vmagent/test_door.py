"""The agent's door: who gets in, what strangers learn, and what they cost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Iterator

import pytest

from link.handshake import NONCE_SIZE, SECRET_SIZE, DesktopHandshake, Role
from tests.stories import run
from vmagent import door as door_module
from vmagent.door import MAX_NEWCOMERS, Door

SECRET = bytes(range(SECRET_SIZE))
HELLO_SIZE = 38
"""Bytes of the agent's hello: magic, protocol, nonce."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Some hold more sockets than a usual limit lets be open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def knock(door: Door) -> Iterator[socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    door.admit(far)
    try:
        yield near
    finally:
        near.close()


async def heard(stream: socket.socket) -> bytes:
    """All that comes until the end."""
    loop = asyncio.get_running_loop()
    said = b""
    with contextlib.suppress(ConnectionError):
        while part := await loop.sock_recv(stream, 4096):
            said += part
    return said


def test_who_knows_the_secret_gets_in_with_the_role_that_was_said() -> None:
    entered: list[tuple[socket.socket, Role]] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        door = Door(SECRET, lambda stream, role: entered.append((stream, role)))
        with knock(door) as stream:
            desktop = DesktopHandshake(SECRET, b"n" * NONCE_SIZE, Role.PARKED)
            await loop.sock_sendall(stream, desktop.start())
            while not desktop.is_done:
                answer = desktop.receive(await loop.sock_recv(stream, desktop.wanted))
                await loop.sock_sendall(stream, answer)
        ((inside, role),) = entered
        assert role is Role.PARKED
        inside.close()
        assert door.refused == 0

    run(story)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\n\r\n" * 9, b"SMHO" + bytes(35)])
def test_a_stranger_learns_no_more_than_the_agents_hello(said: bytes) -> None:
    async def story() -> None:
        door = Door(SECRET, lambda *_: pytest.fail("a stranger got in"))
        with knock(door) as stream:
            await asyncio.get_running_loop().sock_sendall(stream, said)
            stream.shutdown(socket.SHUT_WR)
            assert len(await heard(stream)) <= HELLO_SIZE
        assert door.refused == 1

    run(story)


@pytest.mark.parametrize("said", [b"", b"x"], ids=["silence", "a letter"])
def test_who_has_greeted_is_not_pushed_out_by_those_who_have_not(said: bytes) -> None:
    entered: list[socket.socket] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        door = Door(SECRET, lambda stream, _role: entered.append(stream))
        desktop = DesktopHandshake(SECRET, b"n" * NONCE_SIZE, Role.CONTROL)
        with contextlib.ExitStack() as stack:
            stream = stack.enter_context(knock(door))
            stream.send(desktop.start())  # and nobody has looked at it yet
            for _ in range(2):
                for _ in range(2 * MAX_NEWCOMERS):
                    stack.enter_context(knock(door)).send(said)
                answer = desktop.receive(await loop.sock_recv(stream, desktop.wanted))
                stream.send(answer)
            assert desktop.is_done
            door.close()
        entered.pop().close()

    run(story)


def test_of_those_who_have_greeted_the_oldest_makes_room_unless_it_has_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door_module, "MAX_GREETED", MAX_NEWCOMERS)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        door = Door(SECRET, lambda stream, _role: stream.close())
        desktop = DesktopHandshake(SECRET, b"n" * NONCE_SIZE, Role.CONTROL)
        forged = desktop.start()
        with contextlib.ExitStack() as stack:
            first, second, *_others = [
                stack.enter_context(knock(door)) for _ in range(MAX_NEWCOMERS)
            ]
            for stream in (first, second):
                stream.send(forged)
            first.send(desktop.receive(await loop.sock_recv(first, desktop.wanted)))
            await loop.sock_recv(second, HELLO_SIZE)
            for _ in range(MAX_NEWCOMERS):
                newcomer = stack.enter_context(knock(door))
                newcomer.send(forged)
                assert len(await loop.sock_recv(newcomer, HELLO_SIZE)) == HELLO_SIZE
            desktop.receive(await loop.sock_recv(first, desktop.wanted))
            assert desktop.is_done
            assert await heard(second) == b""
            door.close()

    run(story)


def test_when_all_places_are_taken_the_oldest_makes_room() -> None:
    async def story() -> None:
        door = Door(SECRET, lambda *_: None)
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(knock(door)) for _ in range(MAX_NEWCOMERS + 1)]
            assert await heard(streams[0]) == b""
            with pytest.raises(BlockingIOError):
                streams[1].recv(1)
            assert door.refused == 1
            door.close()
            assert door.refused == MAX_NEWCOMERS + 1

    run(story)


def test_however_many_strangers_are_refused_the_log_has_few_lines(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_module, "QUIET_SECONDS", 1000.0)

    async def story() -> None:
        door = Door(SECRET, lambda *_: None)
        for _ in range(500):
            with knock(door) as stream:
                stream.send(b"x" * 39)
                assert await heard(stream) == b""
        assert door.refused == 500

    with caplog.at_level(logging.INFO):
        run(story)
    assert [record.message for record in caplog.records] == [
        "a stream was refused: what called is not a Samehost desktop (1 so far)"
    ]
