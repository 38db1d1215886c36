"""Sockets on Linux: what is cheap stays cheap. What they do is proven by the contract tests."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
import uvloop

from link.datagrams import linux
from link.datagrams.grouping import group_alike
from link.datagrams.kernel import SOL_UDP, UDP_GRO, segment_option
from link.datagrams.linux import LinuxDatagramSockets
from link.datagrams.sockets import Train
from link.readiness import SHORT_TURNS
from tests.arrival import await_datagrams
from tests.contract.datagram_ends import free_port
from tests.private_network import private_network
from tests.unit.link.datagrams.loopback import add_address, speaker
from tests.until import until

Before = Callable[[LinuxDatagramSockets, "linux._Listening"], None]


def drop(_: object) -> None:
    """Take no notice."""


def port_of(listening: object) -> int:
    assert isinstance(listening, linux._Listening)
    return listening._port


def merged_trains_came(_: LinuxDatagramSockets, here: linux._Listening) -> None:
    """Trains that the kernel merges arrive between plain datagrams."""
    address = here.sock.getsockname()
    with speaker(address, address[0]) as sock:
        for i in range(60):
            if i % 3:
                sock.send(b"plain")
            else:
                sock.sendmsg((bytes(250),), [segment_option(100)])
    await_datagrams(here.sock, 60)
    here.drain()


def clients_of_the_other_family_came(sockets: LinuxDatagramSockets, _: linux._Listening) -> None:
    """Clients of several IPv6 addresses speak to another mirror, in turn."""
    beside = sockets.listen("::", 0, lambda _: None)
    assert isinstance(beside, linux._Listening)
    for i in range(60):
        address = f"fd00::{i % 7 + 1}"
        with speaker((address, port_of(beside)), address) as sock:
            sock.send(b"plain")
    await_datagrams(beside.sock, 60)
    beside.drain()
    beside.close()


def expect_alike(patch: pytest.MonkeyPatch, address: str, before: Before) -> None:
    """See that a batch of datagrams alike is taken for one after `before`."""
    alike: list[int] = []

    def count(key: object, views: Sequence[memoryview], number: int, size: int) -> list[Train]:
        alike.append(number)
        return group_alike(key, views, number, size)

    async def story() -> None:
        sockets = LinuxDatagramSockets()
        here = sockets.listen(address, 0, lambda _: None)
        assert isinstance(here, linux._Listening)
        before(sockets, here)
        alike.clear()
        with speaker((address, port_of(here)), address) as sock:
            for _ in range(50):
                sock.send(b"alike")
        await_datagrams(here.sock, 50)
        here.drain()
        assert alike == [50]
        here.close()
        sockets.close()

    patch.setattr(linux, "group_alike", count)
    asyncio.run(story())


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_merged_trains_leave_nothing_behind_by_which_later_datagrams_differ(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    expect_alike(monkeypatch, address, merged_trains_came)


def bound_mirrors_clients_came(sockets: LinuxDatagramSockets, here: linux._Listening) -> None:
    """Clients speak to a mirror of one address, and to one of all, in turn."""
    beside = sockets.listen("0.0.0.0" if "." in here.sock.getsockname()[0] else "::", 0, drop)
    assert isinstance(beside, linux._Listening)
    address = here.sock.getsockname()[0]
    for _ in range(20):
        for mirror in (beside, here):
            with speaker((address, port_of(mirror)), address) as sock:
                sock.send(b"plain")
    for mirror in (beside, here):
        await_datagrams(mirror.sock, 20)
        mirror.drain()
    beside.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_mirrors_of_one_address_and_of_all_leave_each_other_alike_datagrams(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    expect_alike(monkeypatch, address, bound_mirrors_clients_came)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_mirror_whose_socket_an_administrator_destroyed_serves_on(
    new_loop: Callable[[], asyncio.AbstractEventLoop], address: str
) -> None:
    """Its error (ss(8), --kill) is the only one that an unconnected socket has by itself."""

    async def story() -> None:
        sockets = LinuxDatagramSockets()
        heard: list[bytes] = []
        here = sockets.listen(
            address,
            free_port(address),  # one that the kernel chose would be lost with the error
            lambda trains: heard.extend(bytes(each.parts[0]) for each in trains),
        )
        assert isinstance(here, linux._Listening)
        try:
            for number in range(3):
                if not await asyncio.to_thread(is_destroyed, here.sock):
                    pytest.skip("sockets cannot be destroyed here")
                with speaker((address, port_of(here)), address) as sock:
                    sock.send(b"%d" % number)
                await until(lambda number=number: len(heard) > number)  # type: ignore[misc]
            assert heard == [b"0", b"1", b"2"]
        finally:
            here.close()
            sockets.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(story())


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_a_merged_train_that_comes_where_lone_datagrams_did_is_taken_as_its_datagrams(
    address: str,
) -> None:
    async def story() -> None:
        sockets = LinuxDatagramSockets()
        heard: list[tuple[object, bytes, int]] = []

        def take(trains: Sequence[Train]) -> None:
            for key, parts, _, segment in trains:
                heard.append((key, b"".join(parts), segment))

        here = sockets.listen(address, 0, take)
        assert isinstance(here, linux._Listening)
        here.on_lone = lambda *train: take([Train(*train)])
        with speaker((address, port_of(here)), address) as sock:
            for _ in range(4):
                sock.send(b"lone")
                await_datagrams(here.sock)
                here.look()
                here.send(here.peer(heard[0][0]), memoryview(b"answer"), 6)
            assert here._lone_looks > 0
            sock.sendmsg((bytes(250),), [segment_option(100)])
            await_datagrams(here.sock)
            here.look()
        key = heard[0][0]
        assert heard == [(key, b"lone", 4)] * 4 + [(key, bytes(250), 100)]
        assert here._lone_looks == 0, "more is to be expected"
        here.close()
        sockets.close()

    asyncio.run(story())


def test_a_server_that_sends_bursts_is_taken_from_in_batches_and_merged() -> None:
    async def story() -> None:
        sockets = LinuxDatagramSockets()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            heard: list[bytes] = []
            sizes: list[int] = []

            def take(trains: Sequence[Train]) -> None:
                for _, parts, size, _ in trains:
                    heard.append(b"".join(parts))
                    sizes.append(size)

            there = sockets.connect("127.0.0.1", server.getsockname()[1], take, lambda: None)
            assert isinstance(there, linux._Connected)
            there.on_lone = lambda *train: take([Train(*train)])
            client = there.sock.getsockname()

            def send(*payloads: bytes) -> None:
                for payload in payloads:
                    server.sendto(payload, client)
                await_datagrams(there.sock, len(payloads))

            for _ in range(2):
                there.send(memoryview(b"question"), 8)
                send(b"lone")
                there.look()
            assert there.sock.getsockopt(SOL_UDP, UDP_GRO) == 0
            send(*[b"burst"] * 10)
            there.look()
            assert sizes[-1] == 50
            assert there.sock.getsockopt(SOL_UDP, UDP_GRO) == 1
            server.sendmsg((bytes(250),), [segment_option(100)], 0, client)
            await_datagrams(there.sock)
            there.look()
            assert sizes[-1] == 250
            for number in range(3):
                send(b"%d" % number)
                there.look()
            assert heard[-3:] == [b"0", b"1", b"2"]
            there.close()
        sockets.close()

    asyncio.run(story())


def is_destroyed(sock: socket.socket) -> bool:
    """Destroy a socket; False where that is not allowed."""
    program = shutil.which("ss", path="/usr/bin:/usr/sbin:/bin:/sbin")
    if program is None:
        return False
    address, port = sock.getsockname()[:2]
    source = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    command = [program, "--kill", "--udp", "--all", "--numeric", "src", source]
    return str(port) in subprocess.run(command, capture_output=True, text=True, check=False).stdout


@private_network
def test_clients_of_one_family_leave_nothing_behind_by_which_the_others_datagrams_differ() -> None:
    for i in range(1, 8):
        add_address(f"fd00::{i}")
    with pytest.MonkeyPatch.context() as patch:
        expect_alike(patch, "127.0.0.1", clients_of_the_other_family_came)


class Taken(NamedTuple):
    """How many datagrams were taken as lone ones, and how many turns of bulk are short for them."""

    lone: int
    short_turns: int


def taken(*, answers: bool, rounds: int, together: int) -> Taken:
    """What becomes of datagrams that come together."""
    lone = short_turns = 0

    async def story() -> None:
        nonlocal short_turns
        sockets = LinuxDatagramSockets()
        key: object = None

        def take(trains: Sequence[Train]) -> None:
            nonlocal key
            key = trains[0].key

        def take_lone(*_: object) -> None:
            nonlocal lone
            lone += 1

        here = sockets.listen("127.0.0.1", 0, take)
        assert isinstance(here, linux._Listening)
        here.on_lone = take_lone
        with speaker(("127.0.0.1", port_of(here))) as sock:
            for _ in range(rounds):
                for _ in range(together):
                    sock.send(b"question")
                await_datagrams(here.sock, together)
                here.look()
                if answers:
                    here.send(here.peer(key), memoryview(b"answer"), 6)
        short_turns = sockets.readiness.short_turns
        here.close()
        sockets.close()

    asyncio.run(story())
    return Taken(lone, short_turns)


def test_questions_that_come_one_by_one_are_nearly_all_taken_as_lone_ones() -> None:
    lone, short_turns = taken(answers=True, rounds=100, together=1)
    assert lone >= 100 - 100 // linux.LONE_LOOKS - 4
    assert short_turns == SHORT_TURNS, "bulk beside them does not make room"


@pytest.mark.parametrize(("answers", "together"), [(False, 1), (False, 10), (True, 10)])
def test_what_comes_otherwise_is_taken_in_batches(*, answers: bool, together: int) -> None:
    assert taken(answers=answers, rounds=100, together=together) == (0, 0)
